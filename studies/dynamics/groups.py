"""The runs of a part, group by group, as the report reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import from_mapping, to_mapping
from snn_gym.learners.settings import SynapseAgentsSettings
from snn_gym.spiking import NetworkConfig
from studies.dynamics.outcome import Result, read_result, result_path
from studies.dynamics.plan import plan

Values = NDArray[np.float64]
Groups = dict[tuple[str, ...], "Group"]
"""Groups of a part by the labels of their case, in the order of the plan."""


@dataclass(frozen=True)
class Group:
    """The runs of one case."""

    labels: tuple[str, ...]
    """Labels of the case."""
    planned: int
    """Seeds that are reported: 0, 1, …."""
    results: tuple[Result, ...]
    """Runs that exist, by seed."""
    is_outdated: bool
    """Whether they were made with other settings than those of the plan."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the runs that exist."""
        return tuple(result.seed for result in self.results)

    @property
    def means(self) -> Values:
        """Mean score of each run (runs,)."""
        return np.array([result.mean for result in self.results])

    @property
    def scores(self) -> Values:
        """Scores of each run (runs, episodes)."""
        return np.array([result.outcome.scores for result in self.results])

    @property
    def episodes(self) -> Values:
        """Episodes to the criterion (runs,), infinite where it was not met."""
        return _or_infinite([result.outcome.solved_episodes for result in self.results])

    @property
    def steps(self) -> Values:
        """Environment steps to the criterion (runs,), infinite where it was not met."""
        return _or_infinite([result.outcome.solved_steps for result in self.results])

    @property
    def solved(self) -> int:
        """Runs that met the criterion."""
        return int(np.isfinite(self.episodes).sum())


def read_groups(part: str, folder: Path) -> Groups:
    """Read the reported runs of a part."""
    groups: Groups = {}
    for entry in plan(part):
        paths = [result_path(folder, part, entry.labels, seed) for seed in range(entry.seeds)]
        results = tuple(read_result(path) for path in paths if path.exists())
        chosen = [_with_new_fields(result.settings) for result in results]
        if any(settings != chosen[0] for settings in chosen):
            raise ValueError(
                f"the runs in {paths[0].parent} were made with different settings; delete those "
                "that are outdated and run the part again"
            )
        outdated = bool(chosen) and chosen[0] != json.loads(json.dumps(entry.case.settings))
        groups[entry.labels] = Group(entry.labels, entry.seeds, results, outdated)
    return groups


def _with_new_fields(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as later versions write them: fields new since the run at their defaults."""
    network = to_mapping(NetworkConfig.from_dict(settings["network"]))
    completed = {**_with_new_hyperparameters(settings), "network": network}
    if completed.get("pretraining"):
        completed["pretraining"] = _with_new_hyperparameters(completed["pretraining"])
    written: dict[str, Any] = json.loads(json.dumps(completed))
    return written


def _with_new_hyperparameters(settings: dict[str, Any]) -> dict[str, Any]:
    values = settings.get("hyperparameters", {})
    if "preset" not in values:  # not those of synapse agents
        return settings
    found = from_mapping(SynapseAgentsSettings, values, "hyperparameters")
    return {**settings, "hyperparameters": to_mapping(found)}


def _or_infinite(values: Sequence[int | None]) -> Values:
    return np.array([np.inf if value is None else float(value) for value in values])
