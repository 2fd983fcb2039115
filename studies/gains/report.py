"""Tables of deep networks and step sizes, which `studies.claims` writes into their pages."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.comparison import MARGIN
from snn_gym.leaderboard.statistics import difference_interval, mean_interval
from studies.efficiency import Rows, ratio_of_medians, thousands
from studies.gains.training import (
    DEPTHS,
    LANDER_STARTS,
    LANDER_STEPS,
    LEVEL_STEP_SIZES,
    LEVELS,
    STARTS,
    STEP_SEEDS,
    STEPS,
    TABLE,
    Run,
    agents_of,
)
from studies.runs import Runs
from studies.statistics import equal_to, holm, p_value, rank_sum_p
from studies.tables import return_digits, table, wrapped

LABELS = {"adaptive": "adaptive", "eps": "small eps", "eps adaptive": "small eps and adaptive"}
"""How step sizes are called, by their part of a run's name."""


# ---- shared --------------------------------------------------------------------------------------
def _until(run: Run) -> float:
    return math.inf if run.steps_until is None else run.steps_until


def _median(runs: Sequence[Run]) -> float:
    """Return the median of steps until learned, for an even number the larger of the middle two.

    Between a seed that learned and one that did not, a median has no value.
    """
    return statistics.median_high(_until(x) for x in runs)


def _cell(runs: Sequence[Run], budget: int) -> str:
    """Return the median of steps until learned, and their range, in thousands."""
    steps = [_until(x) for x in runs]
    least, middle, most = (
        f"> {thousands(budget)}" if math.isinf(x) else thousands(x)
        for x in (min(steps), _median(runs), max(steps))
    )
    return middle if least == most else f"{middle} ({least} to {most})"


# ---- depth ---------------------------------------------------------------------------------------
_TASK = "CartPole-v1"


def _solving(runs: Sequence[Run], task: str = _TASK) -> int:
    solved = load_environment_spec(task).reference.solved
    return sum(run.mean_return >= solved for run in runs)


def depth_part() -> str:
    """Return the table of depths and starts, and of the tests at 16 layers."""
    runs, rows = Runs(TABLE), []
    for depth in sorted(DEPTHS):
        for start, condition in STARTS.items():
            if made := runs.read(Run, f"depth/{depth}/{start}/"):
                returns = ", ".join(f"{x.mean_return:.0f}" for x in made)
                solving = f"{_solving(made)} of {len(made)}"
                rows.append((str(depth), start, solving, returns, _cell(made, condition.steps)))
    head = (
        "Layers", "Network", "Seeds that solve it", "Returns of the seeds",
        "Thousand steps until learned",
    )  # fmt: skip
    return table(head, rows) + "\n" + _tests(runs)


def _tests(runs: Runs) -> str:
    """Return Fisher's tests of relays against their rivals at 16 layers.

    Rivals that were not trained yet count in Holm's adjustment with a p-value of 1.
    """
    found = {start: runs.read(Run, f"depth/16/{start}/") for start in STARTS}
    counts = {start: (_solving(x), len(x) - _solving(x)) for start, x in found.items()}
    own = counts.pop("relay")
    tested = [x for x in counts if sum(counts[x])]
    ps = [float(stats.fisher_exact([own, counts[x]]).pvalue) for x in tested]
    adjusted = holm([*ps, *[1.0] * (len(counts) - len(ps))])
    rows = [
        (x, f"{own[0]} of {sum(own)}", f"{counts[x][0]} of {sum(counts[x])}", p_value(float(p)))
        for x, p in zip(tested, adjusted, strict=False)
    ]
    head = ("Rival", "Relay solves", "Rival solves", f"p (Fisher, Holm of {len(counts)})")
    return table(head, rows)


def lander_part(rows: Rows) -> str:
    """Return the table of 16 layers on LunarLander-v3, below the stored rows of two layers."""
    task, runs = "LunarLander-v3", Runs(TABLE)
    margin = load_environment_spec(task).reference.loss(MARGIN)
    two = rows["ppo-lif", task].seed_means
    low, high = mean_interval(two)
    earned = f"{np.mean(two):.0f} ({low:.0f} to {high:.0f})"
    lines = [("2, `ppo-lif` (stored rows)", str(len(two)), earned, "–", "–")]
    for start in LANDER_STARTS:
        made = runs.read(Run, f"lander/{start}/")
        means = [x.mean_return for x in made]
        if made:
            difference = "too few seeds"
            if len(made) > 1:
                low, high = difference_interval(means, two)
                difference = f"{np.mean(means) - np.mean(two):.0f} ({low:.0f} to {high:.0f})"
            lines.append((
                f"16, {start}",
                str(len(made)),
                ", ".join(f"{x:.0f}" for x in means),
                difference,
                _cell(made, LANDER_STEPS),
            ))  # fmt: skip
    head = (
        "Layers", "Seeds", "Return", f"Difference (margin {margin:.0f})",
        "Thousand steps until learned",
    )  # fmt: skip
    return table(head, lines)


# ---- step sizes ----------------------------------------------------------------------------------
Compared = tuple[list[Run], list[Run], list[Run], list[Run]]
"""Runs of equal seeds: spiking, spiking with the other step size, twin, twin with that."""


def _compared(name: str) -> dict[str, Compared]:
    """Return the runs of a step size and of the zoo's on the tasks and seeds that have all."""
    runs, compared = Runs(TABLE), {}
    for task in STEPS:
        prefixes = [f"steps/{task}/{x}/{y}" for x in agents_of(task) for y in ("1", name)]
        seeds = [seed for seed in STEP_SEEDS if all(f"{x}/{seed}" in runs for x in prefixes)]
        if seeds:
            one, two, three, four = (
                [x for seed in seeds for x in runs.read(Run, f"{prefix}/{seed}")]
                for prefix in prefixes
            )
            compared[task] = one, two, three, four
    return compared


def _steps(compared: Mapping[str, Compared], name: str) -> str:
    """Return the tables of a step size beside the zoo's: thousand steps until learned, ratios."""
    steps, ratios, label = [], [], LABELS[name]
    for task, runs in compared.items():
        budget = STEPS[task]
        plain, other, twin, other_twin = map(_median, runs)
        pairs = (
            (plain, twin), (other, plain), (other, twin), (other_twin, twin), (other, other_twin),
            (min(plain, other), min(twin, other_twin)),
        )  # fmt: skip
        steps.append((task, str(len(runs[0])), *(_cell(x, budget) for x in runs)))
        shown = (ratio_of_medians(*x, budget, budget) for x in pairs)
        ratios.append((task, *("–" if x is None else str(x) for x in shown)))
    first = "Task", "Seeds", "Spiking", f"Spiking, {label}", "Twin", f"Twin, {label}"
    second = (
        "Ratio of medians", "Spiking / twin", f"Spiking, {label} / spiking",
        f"Spiking, {label} / twin", f"Twin, {label} / twin", f"Spiking / twin, both {label}",
        "Best spiking / best twin",
    )  # fmt: skip
    return table(first, steps) + "\n" + table(second, ratios)


def _returns(compared: Mapping[str, Compared], name: str) -> str:
    """Return the table of mean returns after training."""
    rows = [
        (task, *(f"{np.mean([x.mean_return for x in y]):.{return_digits(task)}f}" for y in runs))
        for task, runs in compared.items()
    ]
    label = LABELS[name]
    head = ("Return after training", "Spiking", f"Spiking, {label}", "Twin", f"Twin, {label}")
    return table(head, rows)


def _complete(compared: Mapping[str, Compared]) -> bool:
    return len(compared) == len(STEPS) and all(
        len(x[0]) == len(STEP_SEEDS) for x in compared.values()
    )


def adaptive_part() -> str:
    """Return the table of adaptive steps, what the registered rule says, and returns."""
    name = "adaptive"
    compared = _compared(name)
    medians = {task: [*map(_median, runs)] for task, runs in compared.items()}
    near = sum(other <= 1.2 * twin < math.inf for _, other, twin, _ in medians.values())
    best = sum(
        min(plain, other) <= 1.2 * min(twin, other_twin) < math.inf
        for plain, other, twin, other_twin in medians.values()
    )
    fewer = sum(other < plain for plain, other, _, _ in medians.values())
    said = (
        f"With adaptive steps the spiking agent needs at most 1.2 times the steps of its twin with "
        f"the zoo's step size on {near} of {len(medians)} tasks (registered: 5 of 7), and fewer "
        f"than with the zoo's step size on {fewer} (registered: 6 of 7). The better of the spiking "
        f"agent's two needs at most 1.2 times the better of the twin's on {best}."
    )
    if _complete(compared):
        steps = [[[*map(_until, x)] for x in runs] for runs in compared.values()]
        against_plain = rank_sum_p([(other, plain) for plain, other, _, _ in steps])
        against_twin = rank_sum_p([(other, twin) for _, other, _, twin in steps])
        first, second = map(float, holm([against_plain, against_twin]))
        said += (
            f" Rank tests over all tasks, by Holm: adaptive against the zoo's step size of spiking "
            f"agents {equal_to(first)}, spiking agents against twins, both adaptive, "
            f"{equal_to(second)}."
        )
    return wrapped(_steps(compared, name).rstrip(), said, _returns(compared, name).rstrip())


def eps_part() -> str:
    """Return the tables of the smaller ``eps``, and what the registered rule says."""
    name = "eps"
    compared = _compared(name)
    tables = _steps(compared, name).rstrip(), _returns(compared, name).rstrip()
    if not _complete(compared):
        return wrapped(*tables)
    fewer = sum(_median(other) < _median(plain) for plain, other, _, _ in compared.values())
    steps = [[[*map(_until, x)] for x in runs] for runs in compared.values()]
    ps = (
        rank_sum_p([(other, plain) for plain, other, _, _ in steps]),
        rank_sum_p([(other, twin) for _, _, twin, other in steps]),
        rank_sum_p([(other, other_twin) for _, other, _, other_twin in steps]),
    )
    own, twins, against = map(float, holm(ps))
    lower = [
        f"{agent} on {task}"
        for task, runs in compared.items()
        for agent, plain, other in zip(agents_of(task), runs[::2], runs[1::2], strict=True)
        if _is_lower(other, plain)
    ]
    said = (
        f"With the small `eps` spiking agents need fewer steps on {fewer} of {len(compared)} "
        f"tasks (registered: 5). Rank tests over all tasks, by Holm: small `eps` against "
        f"1e-5, spiking agents {equal_to(own)}, twins {equal_to(twins)}; spiking agents against "
        f"twins, both with the small `eps`, {equal_to(against)}. The return is lower, with an "
        f"interval of the difference below 0, for {', '.join(lower) or 'none of the agents'}."
    )
    both = "eps adaptive"
    with_adaptive = _compared(both)
    more = [_steps(with_adaptive, both).rstrip()] if with_adaptive else []
    return wrapped(tables[0], said, tables[1], *more)


def _is_lower(other: Sequence[Run], plain: Sequence[Run]) -> bool:
    """Return whether the interval of the difference of mean returns lies below 0."""
    difference = difference_interval([x.mean_return for x in other], [x.mean_return for x in plain])
    return difference[1] < 0


# ---- levels --------------------------------------------------------------------------------------
def levels_part() -> str:
    """Return the table of medium and hard levels: mean returns, and how many seeds solve them."""
    runs, rows = Runs(TABLE), []
    for level in LEVELS:
        known = load_environment_spec(level).reference
        cells = []
        for agent in agents_of(level):
            for name in LEVEL_STEP_SIZES:
                made = runs.read(Run, f"levels/{level}/{agent}/{name}/")
                mean = np.mean([x.mean_return for x in made]) if made else math.nan
                solving = f"{_solving(made, level)} of {len(made)}"
                cells.append(f"{mean:.2f}, {solving}" if made else "–")
        rows.append((level, *(f"{x:g}" for x in (known.solved, known.oracle)), *cells))
    head = ("Level", "Solved", "Oracle", "Spiking", "Spiking, adaptive", "Twin", "Twin, adaptive")
    return table(head, rows)
