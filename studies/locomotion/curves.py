"""Evaluations during the trainings of TD3: a CSV file of every seed, and a figure."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from snn_gym._base.storage import write_text_atomic
from snn_gym.leaderboard.results import list_rows
from snn_gym.training.logs import EVALUATIONS_FILE
from studies.rows import LEADERBOARD, RowName

EVALUATIONS = Path(__file__).parents[2] / "docs" / "locomotion" / "evaluations.csv"
TASKS = ("Hopper-v5", "HalfCheetah-v5")
SPIKING, TWIN = "td3-lif-pt", "td3-mlp"
COLUMNS = (*RowName._fields, "steps", "mean_return")

Curves = Mapping[RowName, Sequence[tuple[int, float]]]
"""Environment steps and mean return of every evaluation, by run."""


def read_curves(path: Path = EVALUATIONS) -> Curves:
    """Return the evaluations of a CSV file; an absent file has none."""
    found = defaultdict[RowName, list[tuple[int, float]]](list)
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                name = RowName(line["agent"], line["environment"], int(line["seed"]))
                found[name].append((int(line["steps"]), float(line["mean_return"])))
    return found


def collect_runs(runs: Path, path: Path = EVALUATIONS, board: Path = LEADERBOARD) -> list[RowName]:
    """Add the evaluations of runs that have a row to a CSV file, and return the added runs.

    Raises:
        ValueError: There is no folder of runs.
    """
    if not runs.is_dir():
        raise ValueError(f"{runs} is no folder; expected the runs of `make results`")
    known = dict(read_curves(path))
    landed = [RowName(x.agent, x.environment, x.seed) for x in list_rows(board)]
    added = []
    for name in landed:
        file = runs / name.agent / name.environment / str(name.seed) / EVALUATIONS_FILE
        if name.agent in (SPIKING, TWIN) and name not in known and file.exists():
            with np.load(file, allow_pickle=False) as arrays:
                means = arrays["results"].mean(axis=1)
                known[name] = list(zip(arrays["timesteps"].tolist(), means.tolist(), strict=True))
            added.append(name)
    lines = [
        f"{','.join(map(str, name))},{steps},{value:.6g}\n"
        for name in sorted(known)
        for steps, value in known[name]
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(path, "".join([",".join(COLUMNS) + "\n", *lines]))
    return added
