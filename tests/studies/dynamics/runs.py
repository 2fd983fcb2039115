"""Files of runs, made up for tests of what reads them."""

from studies.dynamics.outcome import Outcome, make_result, write_result
from studies.dynamics.plan import plan


def write_runs(folder, part, labels, means, episodes=None, **settings):
    """Write a run for each seed with the mean return, and the episodes to solve it if any.

    A mean of None is a run that is missing; the settings replace those of the plan.
    """
    (entry,) = (entry for entry in plan(part) if entry.labels == labels)
    for seed, mean in enumerate(means):
        if mean is None:
            continue
        solved = None if episodes is None else episodes[seed]
        outcome = Outcome(
            scores=(mean - 1.0, mean + 1.0),
            episodes=100,
            steps=1000,
            curve=((1000, mean),),
            solved_episodes=solved,
            solved_steps=None if solved is None else 10 * solved,
        )
        chosen = {**entry.case.settings, **settings}
        write_result(folder, make_result(part, labels, seed, "0.0.1", chosen, outcome))
