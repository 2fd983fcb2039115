"""Tests of learning curves of rows: claimed and retrained curves."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.leaderboard import SubmissionError, check_board, retrain_rows, submit, verify
from snn_gym.leaderboard.manifest import MAX_CURVE_POINTS, LearningCurve
from snn_gym.leaderboard.results import list_rows
from snn_gym.leaderboard.submission import check_curve, curve_of_run
from snn_gym.training import train
from snn_gym.training.logs import EpisodeLog
from tests.leaderboard.helpers import SETTINGS
from tests.leaderboard.test_retraining import read, with_recipe
from tests.leaderboard.test_table import make_row

pytestmark = [pytest.mark.usefixtures("in_process"), pytest.mark.check]

STEPS = 1200
EPISODES = st.lists(st.tuples(st.integers(1, 300), st.integers(-1000, 1000)), max_size=400)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Give a folder with one finished run, as a sweep leaves it."""
    root = tmp_path_factory.mktemp("runs")
    out = root / "ppo-lif" / "CartPole-v1" / "3"
    train("ppo-lif", "CartPole-v1", out=out, seed=3, steps=STEPS, checkpoint_interval=500)
    submit(out, seeds=SETTINGS.seeds)
    return root


@pytest.fixture
def honest(runs):
    return read(runs / "ppo-lif" / "CartPole-v1" / "3" / "submission")


def without_curve(template):
    older = template.with_manifest()
    del older.manifest["curve"]
    return older


def write_episodes(run, *episodes):
    """Write a run's log of episodes, from the lengths of one environment's episodes."""
    log, timestep = EpisodeLog(), 0
    for length, episode_return in episodes:
        timestep += length
        log.add(timestep, episode_return, length)
    run.mkdir(exist_ok=True)
    log.write(run / "episodes.csv")
    return run


def test_a_curve_by_hand(tmp_path):
    # Points lie 10 steps apart; none of these ends between 10 and 30.
    run = write_episodes(tmp_path / "run", (4, 1.0), (6, 2.0), (22, 7.0), (3, -1.0), (5, 1e-7))
    curve = curve_of_run(run, 500)
    assert curve.steps == (10, 40)
    assert curve.returns == (1.5, 2.0)  # (7 - 1 + 1e-7) / 3, to 6 digits
    assert curve.episodes == (2, 3)
    assert curve.seconds == ()  # nothing was logged for TensorBoard


@given(episodes=EPISODES, more=st.integers(0, 1000))
def test_episodes_are_counted_once(episodes, more, tmp_path_factory):
    run = write_episodes(tmp_path_factory.mktemp("drawn") / "run", *episodes)
    steps = sum(length for length, _ in episodes) + more
    curve = curve_of_run(run, steps)
    if not episodes:
        assert curve is None
        return
    assert len(curve.steps) <= MAX_CURVE_POINTS
    assert curve.steps[-1] <= steps
    assert set(curve.steps) <= {steps * k // 50 for k in range(1, 51)}
    assert sum(curve.episodes) == len(episodes)
    total = float(np.dot(curve.returns, curve.episodes))
    # Means have 6 digits.
    slack = 1e-5 * sum(abs(value) for _, value in episodes) + 1e-9
    assert total == pytest.approx(sum(value for _, value in episodes), abs=slack)


def test_a_run_without_a_log_has_no_curve(tmp_path):
    assert curve_of_run(tmp_path, 100) is None


def test_a_submission_has_the_curve_of_its_run(runs, honest):
    run = runs / "ppo-lif" / "CartPole-v1" / "3"
    log = np.loadtxt(run / "episodes.csv", delimiter=",", skiprows=1)
    curve = honest.manifest["curve"]
    assert sum(curve["episodes"]) == len(log)
    first = log[log[:, 0] <= curve["steps"][0]]
    assert curve["returns"][0] == pytest.approx(first[:, 1].mean(), rel=1e-5)
    assert len(curve["seconds"]) == len(curve["steps"])
    assert curve["seconds"] == sorted(curve["seconds"])


def test_claimed_and_retrained_curves_are_both_stored(honest, tmp_path):
    claimed = json.loads(json.dumps(honest.manifest["curve"]))
    claimed["seconds"] = [1000.0 + x for x in claimed["seconds"]]  # another machine's
    verify(honest.with_manifest(curve=claimed).write(tmp_path / "s"), tmp_path / "board", SETTINGS)
    (row,) = list_rows(tmp_path / "board")
    assert row.learning_curve == row.curve
    assert row.curve.seconds == tuple(claimed["seconds"])
    (again,) = retrain_rows(tmp_path / "board")
    assert again.problem is None
    (row,) = list_rows(tmp_path / "board")
    found = row.trained_again.curve
    assert row.learning_curve == found
    assert (found.steps, found.returns, found.episodes) == (
        row.curve.steps,
        row.curve.returns,
        row.curve.episodes,
    )
    assert found.seconds[-1] < 1000.0
    assert check_board(tmp_path / "board") == ()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("steps", lambda c: c["steps"].__setitem__(-1, c["steps"][-1] - 1)),
        ("returns", lambda c: c["returns"].__setitem__(0, c["returns"][0] + 1e-4)),
    ],
)
def test_curves_that_retraining_does_not_reproduce_are_refused(name, change, honest, tmp_path):
    forged = honest.with_manifest()
    change(forged.manifest["curve"])
    folder = forged.write(tmp_path / "s")
    with pytest.raises(SubmissionError, match=f"{name} of its learning curve are others") as caught:
        verify(folder, tmp_path / "board", SETTINGS, retrain=True)
    assert caught.value.code == "retrain-mismatch"
    assert not (tmp_path / "board").exists()
    assert verify(folder, tmp_path / "board", SETTINGS).curve is not None  # without it, a claim


def test_older_rows_get_a_curve_by_retraining(honest, tmp_path):
    board = tmp_path / "board"
    verify(without_curve(honest).write(tmp_path / "s"), board, SETTINGS)
    (row,) = list_rows(board)
    assert row.learning_curve is None
    list(retrain_rows(board))
    (row,) = list_rows(board)
    assert row.curve is None
    assert list(row.learning_curve.returns) == honest.manifest["curve"]["returns"]


CURVE = {"steps": (100, 200), "returns": (1.0, 2.0), "episodes": (1, 2), "seconds": ()}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"returns": (1.0,)}, "as many entries"),
        ({"seconds": (1.0,)}, "as many entries"),
        ({"steps": (100, 100)}, "must rise from point to point"),
        ({"seconds": (2.0, 1.0)}, "must not fall"),
        ({"episodes": (100, 101)}, "no more than steps"),
    ],
)
def test_a_curve_that_no_training_has_is_refused(changes, problem):
    assert LearningCurve(**CURVE).seconds == ()
    with pytest.raises(ValueError, match=problem):
        LearningCurve(**{**CURVE, **changes})


def test_a_curve_without_a_reproducible_training_is_refused(honest):
    curve = LearningCurve(steps=(100,), returns=(1.0,), episodes=(1,))
    for recipe in (None, with_recipe(honest, checkpoint_interval=None).manifest["recipe"]):
        with pytest.raises(SubmissionError, match="so that nobody could train it again") as caught:
            check_curve(make_row(curve=curve, recipe=recipe))
        assert caught.value.code == "curve"
    check_curve(make_row(curve=curve, recipe=honest.manifest["recipe"]))
