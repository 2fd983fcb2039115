"""Programs written for Stable-Baselines3 and sb3-contrib, on spiking policies."""

import numpy as np
import pytest
from sb3_contrib import RecurrentPPO
from stable_baselines3 import DQN, HerReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv
from stable_baselines3.common.evaluation import evaluate_policy

from snn_gym.learners import StatefulPPO
from snn_gym.policies import SpikingDQNPolicy, StatefulActorCriticPolicy

NETWORK = {"network": {"hidden_sizes": [32], "time_steps": 4}}


def play(model, vec_env, episodes):
    """Return the first episodes' returns by the loop that sb3-contrib's RecurrentPPO documents."""
    obs = vec_env.reset()
    lstm_states = None
    num_envs = vec_env.num_envs
    episode_starts = np.ones((num_envs,), dtype=bool)
    returns, running = [], np.zeros(num_envs)
    while len(returns) < episodes:
        action, lstm_states = model.predict(
            obs, state=lstm_states, episode_start=episode_starts, deterministic=True
        )
        obs, rewards, dones, _info = vec_env.step(action)
        episode_starts = dones
        running += rewards
        for k in np.flatnonzero(dones):
            returns.append(running[k])
            running[k] = 0.0
    return returns


@pytest.mark.parametrize(
    ("kind", "policy", "arguments"),
    [
        (RecurrentPPO, "MlpLstmPolicy", {"n_steps": 64, "n_epochs": 1, "batch_size": 64}),
        (StatefulPPO, StatefulActorCriticPolicy, {"n_steps": 64, "n_epochs": 1, "batch_size": 64}),
    ],
    ids=["RecurrentPPO", "StatefulPPO"],
)
def test_the_loop_of_recurrent_ppo_plays_stateful_agents(kind, policy, arguments):
    model = kind(policy, "CartPole-v1", seed=0, device="cpu", **arguments).learn(128)
    returns = []
    for score in (play, lambda *given: evaluate_policy(*given, return_episode_rewards=True)[0]):
        env = make_vec_env("CartPole-v1", n_envs=2)
        env.seed(7)
        returns.append(score(model, env, 6))
    # evaluate_policy takes three episodes of each environment, and the loop those that end first.
    assert sorted(returns[0])[0] == sorted(returns[1])[0]
    assert returns[0][0] == returns[1][0]


@pytest.mark.check
def test_hindsight_replay_solves_bit_flipping():
    """Stable-Baselines3's own goal environment."""
    env = BitFlippingEnv(n_bits=3, max_steps=3)
    model = DQN(
        SpikingDQNPolicy, env, replay_buffer_class=HerReplayBuffer, seed=0, device="cpu",
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        gamma=0.95, learning_rate=4e-3, learning_starts=50, target_update_interval=50,
        exploration_fraction=0.3,
        policy_kwargs={"network": {"hidden_sizes": [32], "time_steps": 2}},
    )  # fmt: skip
    model.learn(500)
    returns, _ = evaluate_policy(model, env, 20, return_episode_rewards=True, warn=False)
    # -1 for each step before the goal: -3 is a failure, as are three of four before it learns.
    assert np.mean(np.array(returns) > -3) >= 0.9
