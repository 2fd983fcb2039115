"""Tests of Stable-Baselines3's stock policies, as in the agents sb3-*."""

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO, SAC

import snn_gym
from snn_gym.policies import StockActorCriticPolicy, StockDQNPolicy, StockSACPolicy

ALGORITHMS = [
    (PPO, StockActorCriticPolicy, "CartPole-v1", {"n_steps": 64, "batch_size": 32}, 256),
    (
        PPO, StockActorCriticPolicy, "Pendulum-v1",
        {"n_steps": 64, "use_sde": True, "sde_sample_freq": 4}, 128,
    ),
    (DQN, StockDQNPolicy, "CartPole-v1", {"learning_starts": 50, "train_freq": 16}, 300),
    (SAC, StockSACPolicy, "Pendulum-v1", {"learning_starts": 50, "use_sde": True}, 80),
]  # fmt: skip


@pytest.mark.parametrize(("algorithm", "policy", "env_id", "settings", "steps"), ALGORITHMS)
def test_trained_weights_equal_mlp_policy_bit_for_bit(algorithm, policy, env_id, settings, steps):
    weights = []
    for kind, kwargs in (
        ("MlpPolicy", {"net_arch": [24, 16]}),
        (policy, {"network": {"hidden_sizes": [24, 16]}}),
    ):
        model = algorithm(kind, env_id, seed=3, device="cpu", policy_kwargs=kwargs, **settings)
        weights.append(model.learn(steps).policy.state_dict())
    stock, ours = weights
    assert stock.keys() == ours.keys()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in stock.items())


@pytest.mark.parametrize(
    ("agent", "env_id", "macs"),
    [
        # 4-64-64-2, 4-256-256-2 and 3-256-256-1: weights from observation to action.
        ("sb3-ppo", "CartPole-v1", 4 * 64 + 64 * 64 + 64 * 2),
        ("sb3-dqn", "CartPole-v1", None),
        ("sb3-sac", "Pendulum-v1", None),
    ],
)
def test_costs_are_recorded_and_saved_agents_act_the_same(agent, env_id, macs, tmp_path):
    model = snn_gym.make_agent(agent, env_id, seed=1)
    observation = np.array([[0.02, 0.4, -0.03, 0.5], [0.1, -0.2, 0.05, 0.3]], np.float32)
    observation = observation[:, : model.observation_space.shape[0]]
    policy = model.policy
    recording = policy.record(observation)
    assert not recording.layers
    if macs is not None:  # tanh units are never zero
        assert sum(recording.costs.macs_per_decision.values()) == macs
    snn_gym.save_agent(model, tmp_path / "agent")
    loaded = snn_gym.load_agent(tmp_path / "agent")
    for one in (False, True):
        seen = observation[0] if one else observation
        found, _ = loaded.predict(seen, deterministic=True)
        np.testing.assert_array_equal(found, model.predict(seen, deterministic=True)[0])
