"""Tests of logging to Weights & Biases, with a stand-in module."""

import sys
import types

import pytest

from tests.training._runs import killed_at, results, run


class Wandb(types.ModuleType):
    """Stand-in for wandb; see https://docs.wandb.ai/ref/python."""

    class Error(Exception):
        pass

    def __init__(self):
        super().__init__("wandb")
        self.begun, self.logged, self.ended, self.refuses = [], [], [], False

    def init(self, **arguments):
        if self.refuses:
            raise self.Error("api_key not configured")
        self.begun.append(arguments)
        return self

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self, exit_code):
        self.ended.append(exit_code)


@pytest.fixture
def wandb(monkeypatch):
    module = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_wandb_and_tensorboard_get_the_same_numbers(wandb, tmp_path, finished):
    run("ppo-lif", tmp_path / "run", track=True, tensorboard=True)
    (begun,) = wandb.begun
    assert begun["project"] == "snn-gym"
    assert (begun["config"]["agent"], begun["config"]["seed"]) == ("ppo-lif", 7)
    assert wandb.ended == [0]
    steps = [step for step, _ in wandb.logged]
    assert steps == sorted(steps)
    assert steps[-1] <= 1792
    values = wandb.logged[-1][1]
    assert {"rollout/ep_rew_mean", "train/loss"} <= values.keys()
    assert all(type(value) is float for value in values.values())
    assert list((tmp_path / "run" / "tb").glob("events.out.tfevents.*"))
    assert results(tmp_path / "run") == results(finished("ppo-lif"))


def test_resumed_runs_continue_and_killed_runs_are_marked_failed(wandb, tmp_path):
    with killed_at(800):
        run("ppo-mlp", tmp_path / "run", track=True)
    run("ppo-mlp", tmp_path / "run", track=True, resume=True)
    run("ppo-mlp", tmp_path / "other", track=True)
    ids = [begun["id"] for begun in wandb.begun]
    assert ids[0] == ids[1] != ids[2]
    assert wandb.ended == [1, 0, 0]


def test_missing_wandb_is_refused_before_the_folder_is_created(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match="not installed: pip install wandb, or leave out --track"):
        run("ppo-mlp", tmp_path / "run", track=True)
    assert not (tmp_path / "run").exists()


def test_wandb_errors_are_one_line(wandb, tmp_path):
    wandb.refuses = True
    with pytest.raises(ValueError, match="Weights & Biases says: api_key not configured; run `wan"):
        run("ppo-mlp", tmp_path / "run", track=True)
