"""Tests of training from images: bit-equal after a resume, and scored like Stable-Baselines3."""

from __future__ import annotations

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecTransposeImage

import snn_gym
from snn_gym.envs.registry import make_task
from snn_gym.zoo import build_policy, load_agent
from tests.images import LARGE, SMALL
from tests.training._runs import killed_at, results, run

FEW = {
    "ppo-lif": {"n_envs": 2, "n_steps": 16, "batch_size": 16, "n_epochs": 2},
    "dqsn": {"batch_size": 8, "buffer_size": 64, "learning_starts": 8, "gradient_steps": 1},
    "recurrent-ppo-lsnn": {"n_envs": 2, "n_steps": 16, "batch_size": 16, "n_epochs": 1},
}
OPTIONS = {"steps": 96, "interval": 32, "eval_every": 48}
RUNS = [
    ("ppo-lif", SMALL),
    ("dqsn", LARGE),
    pytest.param("recurrent-ppo-lsnn", SMALL, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("agent", "env_id"), RUNS)
def test_a_killed_run_on_images_ends_bit_equal(agent, env_id, tmp_path):
    options = {**OPTIONS, "env_id": env_id, "hyperparameters": FEW[agent]}
    run(agent, tmp_path / "whole", **options)
    with killed_at(70):
        run(agent, tmp_path / "killed", **options)
    assert run(agent, tmp_path / "killed", resume=True, **options).resumed_at == 64
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    best = [load_agent(tmp_path / name / "best") for name in ("whole", "killed")]
    assert best[0].num_timesteps == best[1].num_timesteps


@pytest.mark.parametrize("env_id", [SMALL, LARGE])
def test_image_agents_are_scored_like_stable_baselines3(env_id, tmp_path):
    model = snn_gym.make_agent("ppo-lif", env_id, seed=3, **FEW["ppo-lif"]).learn(64)
    snn_gym.save_agent(model, tmp_path / "saved")
    loaded = load_agent(tmp_path / "saved")
    # The verifier's way: a policy that is built from names alone, and the weights for acting.
    built = build_policy("ppo-lif", env_id)
    built.load_acting_state_dict(model.policy.acting_state_dict())
    played = []
    for seed in range(3):
        env = VecTransposeImage(DummyVecEnv([lambda: make_task(env_id)]))
        env.seed(seed)
        seen, total, done = env.reset(), 0.0, False
        assert seen.shape == (1, *model.observation_space.shape)
        while not done:
            actions, _ = model.predict(seen, deterministic=True)
            seen, rewards, dones, _ = env.step(actions)
            total, done = total + float(rewards[0]), bool(dones[0])
        played.append(total)
    assert len(set(played)) > 1
    for scored in (model, loaded, built):
        assert snn_gym.evaluate(scored, env_id, seeds=range(3)).returns == tuple(played)


def test_the_spaces_of_images_are_checked_when_an_agent_is_loaded(tmp_path):
    model = snn_gym.make_agent("ppo-lif", SMALL, seed=0, **FEW["ppo-lif"])
    snn_gym.save_agent(model, tmp_path)
    channels_last = snn_gym.make_vec_env(SMALL, n_envs=2)
    assert load_agent(tmp_path, channels_last).observation_space.shape == (4, 10, 10)
    with pytest.raises(ValueError, match=r"observation_space of SmallPicture-v0 was .* and is now"):
        load_agent(tmp_path, snn_gym.make_vec_env(LARGE, n_envs=2))
    observations = np.zeros((2, 10, 10, 4), np.uint8)
    first, last = (
        load_agent(tmp_path).predict(x, deterministic=True)[0]
        for x in (observations, observations.transpose(0, 3, 1, 2))
    )
    assert np.array_equal(first, last)
