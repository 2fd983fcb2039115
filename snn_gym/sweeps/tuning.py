"""Tune an agent by a search: Optuna asks, trainings on tuning seeds answer.

Trials follow from the search alone, and are kept in a database. A search that was killed trains
the seed that was under way again, goes on from there, and ends as if it had not been killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snn_gym.config import to_mapping
from snn_gym.folders import locked, make_writable
from snn_gym.scoring import evaluate
from snn_gym.storage import write_text_atomic
from snn_gym.sweeps.search import Search, Values, read_search, split
from snn_gym.threads import one_thread
from snn_gym.zoo import load_agent_spec, make_agent
from snn_gym.zoo.files import finite_or_raise, package_versions

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution


import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, get_args

from snn_gym.registry import unflattened_id

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

# ---- trials --------------------------------------------------------------------------------------
State = Literal["finished", "pruned", "failed"]

SCORES = "scores"
"""Attribute of a trial: mean return of each seed that was trained."""
FAILURE = "failure"
"""Attribute of a trial that failed: why, in one line."""


def finished(study: Study) -> list[FrozenTrial]:
    """Return the trials that ended, whatever came of them, in the order in which they were tried.

    Args:
        study: Optuna's study; a trial that was interrupted is its state FAIL, and was tried again.
    """
    from optuna.trial import TrialState

    return study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def state(trial: FrozenTrial) -> State:
    """Say what came of a trial.

    Args:
        trial: One that ended.
    """
    if FAILURE in trial.user_attrs:
        return "failed"
    return "finished" if trial.state.name == "COMPLETE" else "pruned"


def best(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Return the first of the best trials, None if none was finished.

    Args:
        trials: Trials that ended.
    """
    complete = [trial for trial in trials if state(trial) == "finished"]
    return max(complete, key=_value, default=None)


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def describe(trial: FrozenTrial, search: Search) -> str:
    """Say in words what came of a trial.

    Args:
        trial: One that ended.
        search: Its search.
    """
    scores = trial.user_attrs.get(SCORES, [])
    seeds = ", ".join(f"{x:.2f}" for x in scores)
    if state(trial) == "failed":
        seed = search.training_seeds[len(scores)]
        return f"failed with seed {seed}: {trial.user_attrs[FAILURE]}"
    mean = sum(scores) / len(scores)
    if state(trial) == "pruned":
        return f"pruned at mean return {mean:.2f} ({seeds})"
    return f"mean return {mean:.2f} ({seeds})"


def summary(trials: Sequence[FrozenTrial], search: Search) -> str:
    """Say in words what came of all, and which was best.

    Args:
        trials: Trials that ended.
        search: Their search.

    Raises:
        ValueError: None was finished.
    """
    found = best(trials)
    states = [state(trial) for trial in trials]
    if found is None:
        reasons = [trial.user_attrs.get(FAILURE) for trial in trials]
        raise ValueError(f"none of {len(trials)} trials was finished; the last: {reasons[-1]}")
    counts = ", ".join(f"{states.count(kind)} {kind}" for kind in get_args(State))
    shown = ", ".join(f"{name} = {_toml(x)}" for name, x in search.values(found.params).items())
    return f"best mean return {found.value:.2f} of seeds {search.seeds}; trials {counts}: {shown}"


def write_results(folder: Path, search: Search, agent: str, trials: Sequence[FrozenTrial]) -> None:
    """Write ``trials.csv`` and, if a trial was finished, ``best.toml``.

    Args:
        folder: Folder of the results.
        search: The search.
        agent: The agent.
        trials: Trials that ended.
    """
    write_text_atomic(folder / "trials.csv", _csv(search, agent, trials))
    found = best(trials)
    if found is not None:
        lines = [f"# snn-gym tune, {len(trials)} trials: {summary(trials, search)}."]
        lines += table_lines(search, agent, search.values(found.params))
        write_text_atomic(folder / "best.toml", "\n".join(lines) + "\n")


def _csv(search: Search, agent: str, trials: Sequence[FrozenTrial]) -> str:
    names = list(search.space_of(agent))
    seeds = list(search.training_seeds)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = ["trial", "state", "mean_return", *(f"return_of_{seed}" for seed in seeds)]
    writer.writerow([*header, *names, "failure"])
    for number, trial in enumerate(trials, 1):
        scores = trial.user_attrs.get(SCORES, [])
        blanks = [""] * (len(seeds) - len(scores))
        mean = "" if state(trial) == "failed" else trial.value
        values = search.values(trial.params)
        shown = [x if isinstance(x := values[name], str) else _toml(x) for name in names]
        reason = trial.user_attrs.get(FAILURE, "")
        writer.writerow([number, state(trial), mean, *scores, *blanks, *shown, reason])
    return text.getvalue()


def table_lines(search: Search, agent: str, values: Mapping[str, Any]) -> list[str]:
    """Return the environment's table of an agent's file, with some values in the place of its own.

    Args:
        search: The search.
        agent: The agent.
        values: Values by hyper-parameter, as the search names them.
    """
    env_id = unflattened_id(search.environment)
    overrides, network = split(values)
    table = load_agent_spec(agent).table(env_id)
    merged = {**table, **overrides}
    network = {**table.get("network", {}), **network}
    merged.pop("network", None)
    heading = f"environments.{_toml(env_id)}"
    lines = [f"[{heading}]", *(f"{name} = {_toml(value)}" for name, value in merged.items())]
    if network:
        lines += ["", f"[{heading}.network]"]
        lines += [f"{name} = {_toml(value)}" for name, value in network.items()]
    return lines


def _toml(value: Any) -> str:
    """Write a value in TOML, whose texts, numbers and flags JSON writes alike."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{json.dumps(key)} = {_toml(x)}" for key, x in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


# ---- tuning --------------------------------------------------------------------------------------
FIRST_TUNING_EPISODE_SEED = 1_700_000_000
"""Seed of the first episode that scores a trial: apart from training seeds, from the public ones
of evaluations, and from hidden ones."""

SEARCH_FILE = "search.json"
STUDY_FILE = "study.db"


def tune(path: Path, out: Path, agent: str | None = None) -> Iterator[str]:
    """Tune an agent and its twin by the same search, one after the other.

    Args:
        path: The search.
        out: Folder of the results, which gets a folder for each agent.
        agent: The one of the two that is tuned; both if None.

    Yields:
        Lines to print: what it costs, then one for each trial, then the best.

    Raises:
        ValueError: The search is wrong, the folder cannot be used, or no trial could be finished.
        ImportError: Optuna is not installed.
    """
    search = read_search(path)
    if agent is not None and agent not in search.agents:
        raise ValueError(f"{path} tunes {' and '.join(search.agents)}, not {agent!r}")
    _import_optuna()
    steps = search.steps or 0
    yield (
        f"{' and '.join(search.agents)} on {search.environment}: {search.trials} trials × "
        f"{len(search.training_seeds)} seeds × {steps:,} steps = {search.budget(steps):,} "
        "environment steps at most for each"
    )
    for name in search.agents if agent is None else (agent,):
        yield from tune_agent(search, name, out / name)


def tune_agent(search: Search, agent: str, folder: Path) -> Iterator[str]:
    """Carry out a search for one agent, or what is left of it.

    Args:
        search: The search, with its steps.
        agent: The agent.
        folder: Folder of the results: ``study.db``, ``search.json``, ``trials.csv``, ``best.toml``.

    Yields:
        Lines to print.

    Raises:
        ValueError: As in ``tune``.
    """
    # Before any training: its spaces may not suit the algorithm.
    _close(make_agent(agent, search.environment, search.training_seeds[0]))
    make_writable(folder)
    with locked(folder, wait=False):
        _begin_or_find(folder, search, agent)
        study = _open_study(folder, search)
        while (number := len(finished(study))) < search.trials:
            _try(study, search, agent, number)
            trials = finished(study)
            write_results(folder, search, agent, trials)
            yield f"{agent} trial {number + 1} of {search.trials}: {describe(trials[-1], search)}"
        trials = finished(study)
        write_results(folder, search, agent, trials)
    yield f"{agent}: {summary(trials, search)}"
    yield f"{agent}: {folder / 'best.toml'} is for agents/{agent}/agent.toml"


def _import_optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise ImportError(
            'searching needs Optuna, which is not installed: pip install "snn-gym[tune]"'
        ) from error
    return optuna


def _begin_or_find(folder: Path, search: Search, agent: str) -> None:
    """Make a folder this search's own, or make sure that it is."""
    spec = load_agent_spec(agent)
    begun = {
        "agent": agent,
        "search": to_mapping(search),
        "environment_steps_at_most": search.budget(search.steps or 0),
        # What the values that are tried are laid over.
        "settings": to_mapping(spec.settings(search.environment)),
        "network": spec.network_settings(search.environment),
        "versions": package_versions(),
    }
    file = folder / SEARCH_FILE
    if not file.exists():
        if any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty and holds no search; use another folder")
        write_text_atomic(file, json.dumps(begun, indent=2) + "\n")
        return
    old = json.loads(file.read_text(encoding="utf-8"))
    changed = [name for name, value in begun.items() if old.get(name) != value]
    if changed:
        raise ValueError(
            f"{folder} holds a search with other {', '.join(changed)}; go on with what it was "
            f"begun with, which {SEARCH_FILE} says, or use another folder"
        )


def _open_study(folder: Path, search: Search) -> Study:
    """Open the database; a trial that was under way is the next again, with its seeds' scores."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{folder.resolve() / STUDY_FILE}",
        study_name="tune",
        direction="maximize",
        # Running means are compared with those of the same seeds.
        pruner=optuna.pruners.MedianPruner(n_startup_trials=search.unpruned_trials),
        load_if_exists=True,
    )
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        # In this order: killed between the two, the same values are drawn once more.
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)
    return study


def _try(study: Study, search: Search, agent: str, number: int) -> None:
    """Try one more of the settings."""
    import optuna

    # A generator of each trial's own, so that a search that is resumed draws the same.
    seed = int(np.random.SeedSequence([search.sampler_seed, number]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    space = search.space_of(agent)
    trial = study.ask({name: _distribution(values) for name, values in space.items()})
    try:
        scores = _train_seeds(trial, search, agent, search.values(trial.params))
    except ValueError as error:
        # Worse than all that learned, so that the sampler keeps away from it.
        trial.set_user_attr(FAILURE, " ".join(str(error).split()))
        study.tell(trial, float("-inf"))
        return
    if len(scores) < len(search.training_seeds):
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, float(np.mean(scores)))


def _train_seeds(trial: Trial, search: Search, agent: str, values: dict[str, Any]) -> list[float]:
    """Return the scores of the seeds, of fewer if the trial was pruned."""
    scores: list[float] = list(trial.user_attrs.get(SCORES, ()))
    for index, seed in enumerate(search.training_seeds):
        if index == len(scores):
            scores.append(score(search, agent, seed, values))
        trial.report(float(np.mean(scores[: index + 1])), index)
        trial.set_user_attr(SCORES, scores)
        if index + 1 < len(search.training_seeds) and trial.should_prune():
            break
    return scores


def score(search: Search, agent: str, seed: int, values: dict[str, Any]) -> float:
    """Train with one seed and return what the final policy earns, deterministically.

    Args:
        search: The search, with its steps.
        agent: The agent.
        seed: Training seed.
        values: Values of the search's hyper-parameters.

    Returns:
        Mean return of the search's episodes.

    Raises:
        ValueError: The values do not fit each other, or training diverged.
    """
    overrides, network = split(values)
    with one_thread():
        model = make_agent(agent, search.environment, seed, network=network, **overrides)
        try:
            model.learn(search.steps or 0)
            finite_or_raise(model.policy.state_dict(), f"seed {seed}")
            first = FIRST_TUNING_EPISODE_SEED
            seeds: Sequence[int] = range(first, first + search.episodes)
            return evaluate(model, search.environment, seeds=seeds).mean
        finally:
            _close(model)


def _close(model: Any) -> None:
    model.env.close()


def _distribution(values: Values) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if values.choices is not None:
        return CategoricalDistribution([json.dumps(choice) for choice in values.choices])
    low, high = values.low, values.high
    assert low is not None
    assert high is not None
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=values.log)
    return FloatDistribution(low, high, log=values.log)
