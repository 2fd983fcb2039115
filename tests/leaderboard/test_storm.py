"""Tests of fifty simultaneous submissions and a hundred kills: no row is lost or doubled."""

import functools
import itertools
import json
from collections import Counter

import numpy as np
import pytest

from snn_gym._base.config import to_mapping
from snn_gym.leaderboard import check_board
from snn_gym.leaderboard.limited_process import Request, rerun_here
from snn_gym.leaderboard.plan import PlannedRun
from snn_gym.leaderboard.rendering import render_table
from snn_gym.leaderboard.results import find_row, list_rows, verified_weights
from snn_gym.training import train
from snn_gym.zoo.files import WEIGHTS
from tests.leaderboard.helpers import SETTINGS
from tests.leaderboard.storm import finish, kill_after, start, timed, verify_at_once
from tests.training._runs import results

pytestmark = pytest.mark.slow
ENVIRONMENT = "CartPole-v1"
JOBS = (("ppo-lif", 4000), ("dqsn", 2000), ("ppo-mlp", 6000), ("a2c-lif", 2000))
KILLS = {"train": 5, "submit": 4, "verify": 4, "table": 3, "sweep": 5}
"""How often a command is killed at most before it may end."""
SWEEP_SECONDS = 25.0
SWEPT = ("ppo-mlp", "a2c-mlp")
PLAN = """
[[groups]]
agents = ["ppo-mlp", "a2c-mlp"]
environments = ["CartPole-v1"]
seeds = "{seed}"
steps = 12_000
"""


def honest(template, seed):
    """Return a submission with separate weights and their score."""
    other = template.unrelated(seed)
    request = Request(agent="ppo-lif", environment=ENVIRONMENT, seeds=SETTINGS.seeds)
    score = rerun_here(request, other.weights).score
    claim = {"iqm": score.iqm, "mean": score.mean, "returns": list(score.returns)}
    return other.with_manifest(seed=seed, score=claim)


def test_fifty_submissions_at_once(template, tmp_path):
    alone = [honest(template, seed) for seed in range(44)]
    folders = [one.write(tmp_path / f"s{seed}") for seed, one in enumerate(alone)]
    # Three are sent twice, and the weights of three others under another seed, too.
    folders += folders[:3]
    for one in alone[3:6]:
        seed = one.manifest["seed"] + 100
        folders.append(one.with_manifest(seed=seed).write(tmp_path / f"s{seed}"))
    assert len(folders) == 50
    board = tmp_path / "board"
    said = Counter(verify_at_once(folders, board))
    assert said.pop("row") == 44
    assert set(said) <= {"row-exists", "duplicate-weights"}
    rows = list_rows(board)
    assert len(rows) == 44
    assert {row.seed % 100 for row in rows} == set(range(44))
    assert len({row.content_sha256 for row in rows}) == 44
    assert check_board(board) == ()  # README.md is the table of all of them, too


def undated(content):
    """Return a manifest or a row, as a mapping, without dates and durations."""
    content["curve"] = {**content["curve"], "seconds": []}
    return {key: x for key, x in content.items() if key not in ("created", "verified")}


class Storm:
    """Commands that are killed at random moments, and their files."""

    def __init__(self, room):
        self.room, self.board, self.calm = room, room / "board", room / "calm-board"
        self.rng = np.random.default_rng(14)
        self.kills = Counter()
        self.expected = []

    def until(self, done, seconds, *words):
        """Kill a command a few times, then let it finish."""
        for wait_s in self.rng.uniform(0, seconds, size=KILLS[str(words[0])]):
            if not done():
                self.kills[str(words[0])] += kill_after(float(wait_s), start(*words))
        if not done():
            assert finish(start(*words)) == 0, words

    def one_by_one(self, agent, steps, seed):
        run, calm = self.room / f"run-{agent}-{seed}", self.room / f"calm-{agent}-{seed}"
        train = ("train", agent, ENVIRONMENT, "--seed", seed, "--steps", steps, "--resume")
        train = (*train, "--checkpoint-interval", 500, "--out")
        seconds = timed(lambda: start(*train, calm))
        self.until((run / "manifest.json").exists, seconds, *train, run)
        assert finish(start(*train, run)) == 0  # tidies, where it was killed after the end
        assert results(run) == results(calm)

        seconds = timed(lambda: start("submit", calm))
        one, other = run / "submission", calm / "submission"
        self.until((one / "manifest.json").exists, seconds, "submit", run)
        texts = [(x / "manifest.json").read_text() for x in (one, other)]
        assert undated(json.loads(texts[0])) == undated(json.loads(texts[1]))
        assert files(one) == files(other) == {"manifest.json", "weights.safetensors"}
        assert (one / WEIGHTS).read_bytes() == (other / WEIGHTS).read_bytes()

        seconds = timed(lambda: start("verify", other, "--leaderboard", self.calm))
        key = (agent, ENVIRONMENT, seed)
        done = functools.partial(has_row, self.board, *key)
        self.until(done, seconds, "verify", one, "--leaderboard", self.board)
        row, calm_row = (find_row(list_rows(x), *key) for x in (self.board, self.calm))
        assert undated(to_mapping(row)) == undated(to_mapping(calm_row))
        assert verified_weights(self.board, row) == verified_weights(self.calm, calm_row)
        self.expected.append(key)
        self.table()

    def table(self):
        seconds = timed(lambda: start("table", "--leaderboard", self.calm))
        written = self.board / "README.md"
        written.unlink(missing_ok=True)
        self.until(written.exists, seconds, "table", "--leaderboard", self.board)
        assert written.read_text() == render_table(self.board)
        assert check_board(self.board) == ()

    def sweep(self, seed):
        """Run a sweep under kills; its run equals a run that was trained alone."""
        plan, runs = self.room / f"plan-{seed}.toml", self.room / "runs"
        plan.write_text(PLAN.format(seed=seed))
        keys = [(agent, ENVIRONMENT, seed) for agent in SWEPT]
        places = ("--leaderboard", self.board, "--runs", runs, "--workers", 2)
        done = lambda: all(has_row(self.board, *key) for key in keys)  # noqa: E731
        self.until(done, SWEEP_SECONDS, "sweep", plan, *places)
        alone = self.room / f"alone-{seed}"
        train(SWEPT[0], ENVIRONMENT, out=alone, seed=seed, steps=12_000, tensorboard=False)
        job = PlannedRun(SWEPT[0], ENVIRONMENT, seed, 12_000)
        assert results(job.folder(runs)) == results(alone)
        self.expected += keys


def has_row(board, *key):
    return find_row(list_rows(board), *key) is not None


def files(folder):
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_hundred_kills_do_not_change_results(tmp_path, capsys):
    storm = Storm(tmp_path)
    for round_, (agent, steps) in enumerate(itertools.cycle(JOBS)):
        storm.one_by_one(agent, steps, seed=round_)
        storm.sweep(seed=100 + round_)
        if storm.kills.total() >= 100:
            break
    assert min(storm.kills[command] for command in KILLS) >= 8
    storm.table()
    rows = [(x.agent, x.environment, x.seed) for x in list_rows(storm.board)]
    assert sorted(rows) == sorted(storm.expected)
    assert not [name for name in files(storm.board) if name.endswith(".partial")]
    with capsys.disabled():
        print(f"\n{storm.kills.total()} SIGKILLs: {dict(storm.kills)}; {len(rows)} rows, all whole")
