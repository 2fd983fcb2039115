"""Our batched environments against gymnasium's SyncVectorEnv, and PPO in them, in turn."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env as sb3_make_vec_env
from stable_baselines3.common.vec_env import VecEnv

import snn_gym
from benchmarks.timing import Paired, paired
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.spiking import NetworkConfig
from snn_gym.tasks.classic_control import BATCHED_TASKS
from snn_gym.zoo import load_agent_spec

ENVIRONMENTS = 1024
"""Environments of a batch."""
LEARNING_ENVIRONMENTS = 64
"""Environments that PPO learns in."""
LEARNING_STEPS = 2048
"""Environment steps of one measured stretch of PPO."""
_SYNC_STEPS = 5
_NOISE_STEPS = 64


def _stepper(env: VectorEnv[Any, Any, Any], steps: int) -> Callable[[], None]:
    """Return a function that makes steps with random actions that were drawn before."""
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(20)]

    def run() -> None:
        for step in range(steps):
            env.step(actions[step % len(actions)])

    return run


def measure_stepping() -> dict[str, Paired]:
    """Return the times of one step of 1,024 environments by task, batched and sync.

    A batched stretch is as long as the longest episode, so that it holds a new start of
    every environment; a stretch of SyncVectorEnv, which is shorter, mostly holds none.
    """
    return {base_id: _against_sync(base_id, task) for base_id, task in BATCHED_TASKS.items()}


def measure_native() -> dict[str, Paired]:
    """Return the same of the native spiking tasks, at every level.

    A batched stretch is 64 steps at least, the noise that is drawn at once.
    """
    return {
        env_id: _against_sync(env_id, functools.partial(gym.make_vec, env_id), _NOISE_STEPS)
        for env_id in snn_gym.env_ids()
        if str(gym.spec(env_id).entry_point).startswith("snn_gym.tasks.native.")
    }


def _against_sync(env_id: str, make: Callable[[int], Any], at_least: int = 1) -> Paired:
    """Return the times of one step of 1,024 environments, batched and sync."""
    limit = gym.spec(env_id).max_episode_steps
    assert limit is not None
    steps = max(limit, at_least)
    sync = gym.make_vec(
        env_id,
        ENVIRONMENTS,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
    )
    pair = paired(_stepper(make(ENVIRONMENTS), steps), _stepper(sync, _SYNC_STEPS), 10)
    return Paired(
        tuple(seconds / steps for seconds in pair.seconds_a),
        tuple(seconds / _SYNC_STEPS for seconds in pair.seconds_b),
    )


def _ppo(policy: str, env: VecEnv) -> PPO:
    """Return PPO at the zoo's hyper-parameters for CartPole, but in 64 environments."""
    spiking = policy == "ppo-lif"
    arguments: dict[str, Any] = {}
    if spiking:
        network = NetworkConfig.from_dict(
            load_agent_spec("ppo-lif").network_settings("CartPole-v1")
        )
        arguments = {"policy_kwargs": {"network": network, "spiking_critic": False}}
    return PPO(
        SpikingActorCriticPolicy if spiking else policy,
        env,
        n_steps=LEARNING_STEPS // LEARNING_ENVIRONMENTS,
        batch_size=256,
        n_epochs=20,
        gamma=0.98,
        gae_lambda=0.8,
        seed=0,
        device="cpu",
        **arguments,
    )


def _learner(model: PPO) -> Callable[[], object]:
    return lambda: model.learn(LEARNING_STEPS, reset_num_timesteps=False)


def _collector(model: PPO) -> Callable[[], object]:
    """Return a function that makes the steps of a stretch without learning from them."""
    _, callback = model._setup_learn(LEARNING_STEPS)
    env = model.get_env()
    assert env is not None
    return lambda: model.collect_rollouts(env, callback, model.rollout_buffer, model.n_steps)


def measure_learning() -> dict[str, Paired]:
    """Return the times of 2,048 environment steps of PPO, in our environments and in SB3's."""
    torch.set_num_threads(1)
    results = {}
    for policy in ("ppo-lif", "MlpPolicy"):
        for what, run in (("collecting", _collector), ("learning", _learner)):
            ours, theirs = (
                run(_ppo(policy, make("CartPole-v1", LEARNING_ENVIRONMENTS, seed=0)))
                for make in (snn_gym.make_vec_env, sb3_make_vec_env)
            )
            results[f"{policy}, {what}"] = paired(ours, theirs, 10)
    return results
