"""Fixtures: folders that every reader accepts, and one to change copies of them in."""

import dataclasses
import functools
import importlib
import os
import resource
import shutil
import sys

import pytest

from snn_gym._base.storage import parse_tensors
from snn_gym.leaderboard import stored_rows, verification, verify, write_table
from snn_gym.leaderboard.limited_process import Request, rerun_here
from snn_gym.leaderboard.manifest import SubmissionError, TrainedAgain, utc_now
from snn_gym.leaderboard.results import list_rows, replace_row
from snn_gym.leaderboard.weights import hash_tensors
from snn_gym.training import train
from snn_gym.zoo.files import package_versions
from snn_gym.zoo.recipe import processor
from tests.hostile import readers
from tests.hostile.readers import RUN
from tests.leaderboard.conftest import run_folder, template
from tests.leaderboard.helpers import SETTINGS
from tests.leaderboard.hostile_weights import MARKER_VARIABLE
from tests.training._runs import killed_at

__all__ = ["run_folder", "template"]  # fixtures

MAX_MEMORY_BYTES = 6 << 30
"""Address space; PyTorch and numba map a part of it without using it."""

PLAN = """
[[groups]]
agents = ["ppo-lif", "ppo-mlp"]
environments = ["CartPole-v1"]
seeds = "0-9"

[[groups]]
agents = ["dqsn"]
environments = ["CartPole-v1", "Acrobot-v1"]
seeds = "3"
steps = 500
"""


class Played:
    """Plays known weights once; all others give other returns than any claim."""

    def __init__(self):
        self._results = {}

    def play(self, request, weights):
        result = rerun_here(request, weights)
        self._results[_hash(weights)] = result
        return result

    def __call__(self, request, weights, settings=None):
        known = self._results.get(_hash(weights))
        if known is None or request.seeds != SETTINGS.seeds:
            raise SubmissionError("rerun-failed", "not the weights that were claimed")
        return known

    def train_again(self, claim, weights_digest, board):
        if weights_digest not in self._results or claim.recipe is None:
            raise SubmissionError("retrain-mismatch", "other weights came of it")
        return TrainedAgain(
            same="weights", versions=package_versions(), processor=processor(), date=utc_now()
        )


def _hash(weights):
    return hash_tensors(parse_tensors(weights, where="weights")[0])


@pytest.fixture(scope="module")
def played():
    return Played()


def _submission(honest, seed, played, folder):
    request = Request(agent="ppo-lif", environment="CartPole-v1", seeds=SETTINGS.seeds)
    score = dataclasses.asdict(played.play(request, honest.weights).score)
    claim = {**score, "returns": list(score["returns"])}
    recipe = {**honest.manifest["recipe"], "checkpoint_interval": 10_000}  # so that it ranks
    return honest.with_manifest(seed=seed, score=claim, recipe=recipe).write(folder)


@pytest.fixture(scope="module")
def boards(template, played, tmp_path_factory):
    """Give a board of three rows, the same of an earlier evaluator, and a submission beside one."""
    root = tmp_path_factory.mktemp("boards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "rerun_limited", played)
        for seed in range(5):
            honest = template.unrelated(seed) if seed else template
            _submission(honest, seed, played, root / f"s{seed}" / "submission")
        steps = template.manifest["recipe"]["steps"]
        (root / "board").mkdir()
        (root / "board" / "plan.toml").write_text(
            '[[groups]]\nagents = ["ppo-lif"]\nenvironments = ["CartPole-v1"]\nseeds = "0-4"\n'
            f"steps = {steps}\n"
        )
        for seed in range(3):
            verify(root / f"s{seed}" / "submission", root / "board", SETTINGS)
        for row in list_rows(root / "board")[:1]:
            again = played.train_again(row, hash_tensors(honest.tensors()), root)
            replace_row(root / "board", row, trained_again=again)
        write_table(root / "board")
        verify(root / "s4" / "submission", root / "s3" / "board", SETTINGS)
        verify(root / "s0" / "submission", root / "others", SETTINGS)
    # Within one second it would be the board's first row as it was before it had a mark.
    for row in list_rows(root / "others"):
        replace_row(root / "others", row, verified="2026-01-01T00:00:00Z")
    shutil.copytree(root / "board", root / "old")
    for row in list_rows(root / "old"):
        replace_row(root / "old", row, evaluator_version=1)
    return {x.name: x for x in root.iterdir()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for seed in (7, 8):
        options = {**RUN, "seed": seed}
        train("ppo-lif", "CartPole-v1", out=root / f"finished{seed}", **options)
        with killed_at(800):
            train("ppo-lif", "CartPole-v1", out=root / f"killed{seed}", **options)
    return {x.name: x for x in root.iterdir()}


@pytest.fixture(scope="module")
def made(boards, runs, tmp_path_factory):
    board, results = boards["board"], boards["s4"] / "submission"
    flat = tmp_path_factory.mktemp("flat")
    weights = boards["others"] / "weights" / "ppo-lif" / "CartPole-v1" / "0.safetensors"
    for seed in (0, 1):  # so that there is another row 1
        shutil.copy(weights, flat / f"{seed}.safetensors")
    shutil.copy(boards["others"] / readers.ROWS, flat)
    shutil.copy(board / "README.md", flat)
    plan, plans = tmp_path_factory.mktemp("plan"), tmp_path_factory.mktemp("plans")
    (plan / "plan.toml").write_text(PLAN)
    (plans / "plan.toml").write_text("[x]\n")
    places = {
        readers.Verify: (boards["s3"], results),
        readers.Check: (board, flat),
        readers.Table: (board, flat),
        readers.Again: (boards["old"], flat),
        readers.Retrain: (board, flat),
        readers.LoadAgent: (runs["finished7"], runs["finished8"]),
        readers.Resume: (runs["killed7"], runs["killed8"]),
        readers.ResumeFinished: (runs["finished7"], runs["finished8"]),
        readers.Plan: (plan, plans),
    }
    return {kind.name: functools.partial(kind, *where) for kind, where in places.items()}


@pytest.fixture
def little_memory():
    """Have what would fill the machine's memory fail, and not the machine."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture
def room(tmp_path, played, little_memory, monkeypatch):
    """Give a folder to work in; what costs time is replaced, a payload lies on the path."""
    for name in ("outside", "scratch", "here"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside" / "kept").write_text("kept")
    marker = tmp_path / "marker"
    (tmp_path / "here" / "payload.py").write_text(f"open({str(marker)!r}, 'w').close()")
    monkeypatch.setenv(MARKER_VARIABLE, str(marker))
    monkeypatch.syspath_prepend(str(tmp_path / "here"))
    monkeypatch.chdir(tmp_path / "here")
    importlib.invalidate_caches()
    monkeypatch.setattr(verification, "rerun_limited", played)
    monkeypatch.setattr(verification, "VerificationSettings", lambda: SETTINGS)
    monkeypatch.setattr(stored_rows, "rerun_here", played)
    monkeypatch.setattr(stored_rows, "train_again", played.train_again)
    monkeypatch.setattr(stored_rows, "evaluation_seeds", lambda _: SETTINGS.seeds)
    monkeypatch.setattr("snn_gym.sweeps.sweep", lambda *_, **__: iter(()))
    readers.stop_when_restored(monkeypatch, tmp_path / "scratch")
    yield tmp_path
    assert "payload" not in sys.modules
    assert not os.path.lexists(marker)
