"""Tests of the random streams of a run's environments."""

import json

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env

import snn_gym
from snn_gym.leaderboard.evaluation import FIRST_EVALUATION_SEED
from snn_gym.training import read_training
from snn_gym.zoo import read_manifest
from snn_gym.zoo.build import environment_seeds, seed_environments

SMALL = {"n_steps": 8, "batch_size": 16, "n_epochs": 1, "network": {"hidden_sizes": [4]}}
SHEDDING = {"hidden_sizes": [4], "regulation": {"lean": {"updates": 4}}}


def test_runs_share_no_stream_of_64_environments():
    seeds = [seed for run in range(20) for seed in environment_seeds(run, 64, "disjoint")]
    assert len(set(seeds)) == 20 * 64
    # Before, neighbours shared all but one.
    old = [set(environment_seeds(run, 64, "consecutive")) for run in (0, 1)]
    assert len(old[0] & old[1]) == 63


def test_training_seeds_differ_from_evaluation_seeds_and_have_32_bits():
    seeds = [seed for run in range(200) for seed in environment_seeds(run, 64, "disjoint")]
    assert min(seeds) > FIRST_EVALUATION_SEED + 1000
    assert max(seeds) < 2**32


@pytest.mark.parametrize("env_id", ["CartPole-v1", "snn/CueAccumulation-v0"])
def test_environments_start_like_single_environments_with_their_seed(env_id):
    agent = "ppo-lif" if env_id == "CartPole-v1" else "recurrent-ppo-lsnn"
    model = snn_gym.make_agent(agent, env_id, seed=3, n_envs=4, n_steps=36, batch_size=36)
    observations = model.get_env().reset()
    for index, seed in enumerate(environment_seeds(3, 4, "disjoint")):
        single = gym.make(env_id)
        np.testing.assert_array_equal(observations[index], single.reset(seed=seed)[0])


def test_consecutive_seeding_equals_stable_baselines3():
    model = snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=3, seeding="consecutive", **SMALL)
    ours = model.get_env()
    theirs = make_vec_env("CartPole-v1", 8, seed=3)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())


def test_action_spaces_have_separate_random_streams():
    env = make_vec_env("Pendulum-v1", 64, seed=0)
    samples = []
    for seed in (0, 1):
        seed_environments(env, seed, "disjoint")
        samples += [float(single.action_space.sample()[0]) for single in env.envs]
    assert len(set(samples)) == 128


def test_seeding_is_recorded_and_restored(tmp_path):
    model = snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=5, **SMALL)
    folder = snn_gym.save_agent(model, tmp_path)
    assert read_manifest(folder).seeding == "disjoint"
    first = model.get_env().reset()
    loaded = snn_gym.load_agent(folder)
    np.testing.assert_array_equal(loaded.get_env().reset(), first)
    assert read_manifest(snn_gym.save_agent(loaded, tmp_path / "again")).seeding == "disjoint"
    # Older files have no seeding entry.
    content = json.loads((folder / "manifest.json").read_text())
    del content["seeding"], content["sha256"]
    (folder / "manifest.json").write_text(json.dumps(content))
    consecutive = snn_gym.load_agent(folder).get_env().reset()
    np.testing.assert_array_equal(consecutive, make_vec_env("CartPole-v1", 8, seed=5).reset())


@pytest.mark.parametrize(
    ("agent", "hyperparameters", "steps"),
    [
        ("ppo-lif", SMALL, 64), ("ppo-mlp", SMALL, 64), ("random-search", {}, 64),
        ("dqn-mlp", {"learning_starts": 32, "gradient_steps": 2}, 64),
        ("ppo-lif-dynamics", {**SMALL, "network": SHEDDING}, 64), ("local-actor-critic", {}, 64),
    ],
)  # fmt: skip
@pytest.mark.parametrize("reset_num_timesteps", [True, False])
def test_weights_of_two_calls_of_learn_have_no_recipe(
    agent, hyperparameters, steps, reset_num_timesteps, tmp_path
):
    model = snn_gym.make_agent(agent, "CartPole-v1", seed=0, **hyperparameters)
    once = read_manifest(snn_gym.save_agent(model.learn(steps), tmp_path / "once")).recipe
    assert once is not None
    assert once.steps == steps
    model.learn(steps, reset_num_timesteps=reset_num_timesteps)
    assert read_manifest(snn_gym.save_agent(model, tmp_path / "twice")).recipe is None


def test_older_run_files_use_consecutive_seeding(tmp_path):
    run = {
        "format": "snn_gym/run/1", "agent": "ppo-lif", "environment": "CartPole-v1", "seed": 0,
        "steps": 100, "checkpoint_interval": 100, "versions": {},
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert read_training(tmp_path).seeding == "consecutive"
