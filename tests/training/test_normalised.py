"""Tests of agents with VecNormalize: segments, evaluations, submissions, retraining."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import snn_gym
from snn_gym.leaderboard import SubmissionError, submit, verification, verify
from snn_gym.leaderboard.pretrained import load_row
from snn_gym.leaderboard.results import list_rows
from snn_gym.leaderboard.retraining import train_again
from snn_gym.leaderboard.weights import check_weights, hash_tensors
from snn_gym.training.logs import EVALUATION_EPISODES, EVALUATIONS_FILE, FIRST_SEED
from snn_gym.zoo import load_agent, read_manifest
from tests.leaderboard.helpers import SETTINGS, Template, rerun_in_process
from tests.marked import checked
from tests.training._runs import INTERVAL, STEPS, killed_at, results, run

BOTH = {"vec_normalize": {"gamma": 0.9}}
AGENTS = {
    "ppo-norm": ("ppo-mlp", BOTH),
    "ppo-rewards": ("ppo-lif", {"normalise_rewards": True}),
    "dqn-norm": ("dqn-mlp", {"gradient_steps": 16, **BOTH}),
}
"""Agents with their parents and settings."""


@pytest.fixture(autouse=True)
def registered(own_names):
    for name, (parent, settings) in AGENTS.items():
        snn_gym.register_agent(
            name, parent=parent, description="In a VecNormalize.",
            environments={"CartPole-v1": settings},
        )  # fmt: skip


@pytest.mark.parametrize("agent", [checked("ppo-rewards"), "dqn-norm"])
def test_resumed_runs_have_the_statistics_of_an_uninterrupted_run(agent, tmp_path):
    run(agent, tmp_path / "whole")
    with killed_at(STEPS - 200):
        run(agent, tmp_path / "killed")
    assert run(agent, tmp_path / "killed", resume=True).resumed_at is not None
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    env: Any = load_agent(tmp_path / "whole").get_vec_normalize_env()
    assert env.ret_rms.count > STEPS - INTERVAL


def test_evaluations_normalise_without_side_effects(tmp_path):
    run("ppo-norm", tmp_path / "plain")
    run("ppo-norm", tmp_path / "watched", eval_every=STEPS)
    assert results(tmp_path / "watched") == results(tmp_path / "plain")
    with np.load(tmp_path / "watched" / EVALUATIONS_FILE) as log:
        returns = log["results"][-1]
    seeds = range(FIRST_SEED, FIRST_SEED + EVALUATION_EPISODES)
    model = load_agent(tmp_path / "watched")
    expected = snn_gym.evaluate(model, "CartPole-v1", seeds=[*seeds]).returns
    assert sorted(returns) == sorted(expected)


def test_submissions_have_the_statistics_and_retrain_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "rerun_limited", rerun_in_process)
    monkeypatch.setattr(verification, "check_architecture", lambda *_: None)  # known here alone
    run("ppo-norm", tmp_path / "run")
    folder = submit(tmp_path / "run", tmp_path / "submission", seeds=SETTINGS.seeds)
    model = load_agent(tmp_path / "run")
    claimed = json.loads((folder / "manifest.json").read_text())["score"]["returns"]
    played = snn_gym.evaluate(model, "CartPole-v1", seeds=SETTINGS.seeds).returns
    assert list(played) == claimed
    verify(folder, tmp_path / "board", SETTINGS)
    (row,) = list_rows(tmp_path / "board")
    assert row.score.returns == played
    loaded = load_row(tmp_path / "board", row)
    assert snn_gym.evaluate(loaded, "CartPole-v1", seeds=SETTINGS.seeds).returns == played
    tensors = check_weights((folder / "weights.safetensors").read_bytes(), row)
    assert train_again(row, hash_tensors(tensors), tmp_path / "board").same == "weights"

    def spoil(given):
        given["vec_normalize.var"] *= -1

    template = Template(
        json.loads((folder / "manifest.json").read_text()),
        (folder / "weights.safetensors").read_bytes(),
    )
    spoilt = template.with_tensors(spoil).write(tmp_path / "spoilt")
    with pytest.raises(SubmissionError, match="no statistics have") as refusal:
        verify(spoilt, tmp_path / "other", SETTINGS)
    assert refusal.value.code == "weights-dynamics"
    assert read_manifest(tmp_path / "run").recipe is not None
