"""Environment steps per second of training: spiking PPO against its twin, in turn."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm

import snn_gym
from benchmarks.timing import Paired, paired
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.spiking import NetworkConfig
from snn_gym.zoo import load_agent_spec

_STEPS = 2048


def _learner(model: BaseAlgorithm) -> Any:
    return lambda: model.learn(_STEPS, reset_num_timesteps=False)


def _both_spiking() -> BaseAlgorithm:
    """``ppo-lif`` with a spiking critic."""
    settings = load_agent_spec("ppo-lif").network_settings("CartPole-v1")
    model = snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=0)
    model.policy = SpikingActorCriticPolicy(
        model.observation_space,
        model.action_space,
        model.lr_schedule,
        network=NetworkConfig.from_dict(settings),
        spiking_critic=True,
    )
    return model


def _stock() -> BaseAlgorithm:
    """The stock MlpPolicy at the zoo's hyper-parameters for CartPole."""
    return PPO(
        "MlpPolicy",
        snn_gym.make_agent("ppo-mlp", "CartPole-v1", seed=0).get_env(),  # type: ignore[arg-type]
        n_steps=32,
        batch_size=256,
        n_epochs=20,
        seed=0,
        device="cpu",
    )


def measure() -> dict[str, Paired]:
    """Return timings of 2,048 training steps on CartPole-v1, one thread, by name."""
    torch.set_num_threads(1)

    def twin() -> BaseAlgorithm:
        return snn_gym.make_agent("ppo-mlp", "CartPole-v1", seed=0)

    pairs = {
        "ppo-lif against its twin ppo-mlp": (
            snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=0),
            twin(),
        ),
        "ppo-lif with a spiking critic against ppo-mlp": (_both_spiking(), twin()),
        "ppo-lif against the stock MlpPolicy": (
            snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=0),
            _stock(),
        ),
    }
    return {name: paired(_learner(a), _learner(b), 12) for name, (a, b) in pairs.items()}


def steps_per_second(milliseconds: float) -> float:
    """Return environment steps per second from the time of one measured stretch."""
    return 1000 * _STEPS / milliseconds
