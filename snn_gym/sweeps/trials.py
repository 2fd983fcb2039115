"""What came of a search's trials: a line for each, trials.csv, and best.toml."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from snn_gym.registry import unflattened_id
from snn_gym.storage import write_text_atomic
from snn_gym.sweeps.search import Search, split
from snn_gym.zoo import load_agent_spec

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

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
