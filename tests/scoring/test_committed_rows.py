"""Rows of leaderboard/: weights fit the architectures, costs are those that are counted today."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from snn_gym.content import checkout_root
from snn_gym.registry import make_task
from snn_gym.scoring.architecture import trained_tensors
from snn_gym.scoring.evaluation import EVALUATOR_VERSION
from snn_gym.scoring.results import Row, hash_tensors, list_rows, row_path
from snn_gym.scoring.verification import MAX_WEIGHTS_BYTES, check_weights
from snn_gym.storage import read_regular_file
from snn_gym.zoo import build_policy

ROOT = checkout_root()
assert ROOT is not None
BOARD = ROOT / "leaderboard"
ROWS = list_rows(BOARD)


def _pair(row: Row) -> tuple[str, str]:
    return row.agent, row.environment


FIRST_SEEDS = [next(rows) for _, rows in itertools.groupby(sorted(ROWS, key=_pair), key=_pair)]


def test_every_row_is_of_the_present_evaluator() -> None:
    assert {row.evaluator_version for row in ROWS} == {EVALUATOR_VERSION}


@pytest.mark.parametrize("row", FIRST_SEEDS, ids=lambda row: "-".join(_pair(row)))
def test_weights_and_costs_are_those_of_the_architecture(row: Row) -> None:
    path = row_path(BOARD, row.agent, row.environment, row.seed).with_suffix(".safetensors")
    tensors = check_weights(read_regular_file(path, max_bytes=MAX_WEIGHTS_BYTES), row)
    assert hash_tensors(trained_tensors(tensors, row.agent, row.environment)) == row.content_sha256
    policy: Any = build_policy(row.agent, row.environment)
    observation, _ = make_task(row.environment).reset(seed=0)
    costs = policy.record(observation).costs
    # What does not depend on the spikes, hence on no state and no observation.
    for name in ("macs_per_decision", "neuron_updates_per_decision", "synapses"):
        assert getattr(row, name) == getattr(costs, name), name
