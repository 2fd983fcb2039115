"""Tests of table rows by earlier versions: one agent and seed, in five formats.

They are from the table's history (dqsn on CartPole-v1, seed 0): the first evaluator (5bc9c34), the
second with costs and the seeding (2e7c967), with a recipe (26fa80e), and the third
(dc52c65), all with the same weights. For the fourth (35d8626) the agent was trained
again, with other weights, a curve and returns with faults.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from snn_gym import evaluate, load_pretrained
from snn_gym.leaderboard import check_board, reevaluate, write_table
from snn_gym.leaderboard.batches import join_seeds
from snn_gym.leaderboard.evaluation import EVALUATOR_VERSION, evaluation_seeds
from snn_gym.leaderboard.results import list_rows

pytestmark = pytest.mark.check

STORED = Path(__file__).parent / "stored" / "rows"
FORMATS = {"evaluator-1": 1, "evaluator-2": 2, "recipe": 2, "evaluator-3": 3, "evaluator-4": 4}
TOLERANCE = 0.01 * (475.0 - 21.65)
"""1 % from random play to ``solved``, as in the rules: other processors may round differently."""


@pytest.fixture(params=FORMATS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def board(version: str, tmp_path: Path) -> Path:
    """Give a leaderboard with only this row."""
    (tmp_path / "results").mkdir()
    shutil.copy(STORED / f"{version}.jsonl", tmp_path / "results" / "CartPole-v1.jsonl")
    own = STORED / f"{version}.safetensors"
    weights = own if own.exists() else STORED / "weights.safetensors"
    folder = tmp_path / "weights" / "dqsn" / "CartPole-v1"
    folder.mkdir(parents=True)
    (folder / "0.safetensors").write_bytes(join_seeds({0: weights.read_bytes()}))
    return tmp_path


def test_a_row_is_read(version: str, board: Path) -> None:
    (row,) = list_rows(board)
    assert row.evaluator_version == FORMATS[version]
    seeding = "disjoint" if version == "evaluator-4" else "consecutive"
    assert (row.seed, row.steps, row.seeding, row.costs.uncounted) == (0, 50176, seeding, ())
    assert (row.recipe is None) == (version in ("evaluator-1", "evaluator-2"))
    assert (row.costs.synapses == {}) == (version == "evaluator-1")
    assert len(row.score.returns) == 100


def test_agent_return_equals_the_row(board: Path) -> None:
    (row,) = list_rows(board)
    model = load_pretrained("dqsn", "CartPole-v1", leaderboard=board)
    found = evaluate(model, "CartPole-v1", seeds=evaluation_seeds(20))
    assert np.mean(row.score.returns[:20]) == pytest.approx(found.mean, abs=TOLERANCE)


def test_current_evaluator_updates_a_row(
    version: str, board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # They are of native numerics, with which they would be played in processes of their own.
    monkeypatch.setattr("snn_gym.leaderboard.stored_rows.numerics", lambda: "native")
    (before,) = list_rows(board)
    problems = [result.problem for result in reevaluate(board)]
    assert problems == [None] * (FORMATS[version] < EVALUATOR_VERSION)
    (after,) = list_rows(board)
    assert after.evaluator_version == EVALUATOR_VERSION
    assert after.score.mean == pytest.approx(before.score.mean, abs=TOLERANCE)
    assert after.costs.synapses == {"hidden_1": 256}  # 128 neurons, 2 actions
    # 4 standardised values, and a current into 128 neurons. Integrators of 2 outputs at 16 time
    # steps are neurons, too.
    assert after.costs.macs_per_decision == {"normaliser": 4, "hidden_1": 512}
    assert after.costs.neuron_updates_per_decision == {"hidden_1": 16 * 128, "readout": 16 * 2}
    # Equal returns come from an equal evaluator, so that returns with faults stay valid.
    same = after.score == before.score
    assert after.robustness == (before.robustness if same else None)
    assert (after.trained_again, after.curve) == (before.trained_again, before.curve)
    write_table(board)
    assert check_board(board) == ()
