"""Identity task for every observation and action space, and the algorithms that learn it.

The agent repeats two random bits. ``VIEWS`` are the observation spaces, ``ACTIONS`` the action
spaces. In Stable-Baselines3's ``IdentityEnv``, both spaces are equal.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from sb3_contrib import QRDQN, TQC, TRPO
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise

from snn_gym.learners import StatefulPPO
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingDQNPolicy,
    SpikingQRDQNPolicy,
    SpikingSACPolicy,
    SpikingTD3Policy,
    SpikingTQCPolicy,
    StatefulActorCriticPolicy,
)
from snn_gym.spiking import NetworkConfig


@contextmanager
def refused(message, *errors):
    """Expect an error, a ValueError if none is named, whose one line matches a message."""
    with pytest.raises(errors or ValueError, match=message) as caught:
        yield
    assert "\n" not in str(caught.value)


SMALL = NetworkConfig(hidden_sizes=(32,), time_steps=4)
# A bit is said by a Box action of -TARGET or TARGET; half of that off is still right.
TARGET = 0.7

ACTIONS = {
    "Discrete": spaces.Discrete(4),
    "MultiDiscrete": spaces.MultiDiscrete([2, 2]),
    "MultiBinary": spaces.MultiBinary(2),
    "Box": spaces.Box(-1.0, 1.0, (2,)),
}


@dataclass(frozen=True)
class View:
    """A way to show two bits."""

    space: spaces.Space[Any]
    show: Callable[[np.ndarray[Any, Any], np.random.Generator], Any]


def _image(bits, rng):
    image = rng.integers(0, 50, (36, 36, 1), dtype=np.uint8)
    image[:, :18] += np.uint8(150 * bits[0])
    image[:, 18:] += np.uint8(150 * bits[1])
    return image


def _spikes(bits, rng):
    # (5,): two channels for each bit, and one that tells nothing
    rates = np.concatenate([np.repeat(bits, 2) * 0.9 + 0.05, [0.5]])
    return (rng.random((6, 5)) < rates).astype(np.int8)


VIEWS = {
    # Far from standardised, so that the normaliser has to do its part.
    "analogue": View(
        spaces.Box(-200.0, 200.0, (3,)),
        lambda bits, rng: np.float32([100 + 20 * bits[0], -0.3 * bits[1], rng.normal()]),
    ),
    "Discrete": View(spaces.Discrete(4), lambda bits, _: 2 * bits[0] + bits[1]),
    "MultiDiscrete": View(
        spaces.MultiDiscrete([2, 3, 2]),
        lambda bits, rng: np.array([bits[0], rng.integers(3), bits[1]]),
    ),
    "flags": View(
        spaces.MultiBinary(4), lambda bits, rng: np.int8([*bits, rng.integers(2), rng.integers(2)])
    ),
    "spikes": View(spaces.MultiBinary((6, 5)), _spikes),
    "image": View(spaces.Box(0, 255, (36, 36, 1), np.uint8), _image),
    "Dict": View(
        spaces.Dict(
            {
                "flag": spaces.Discrete(2),
                "noise": spaces.MultiBinary(2),
                "value": spaces.Box(-200.0, 200.0, (2,)),
            }
        ),
        lambda bits, rng: {
            "flag": bits[0],
            "noise": rng.integers(0, 2, 2, dtype=np.int8),
            "value": np.float32([rng.normal(), 100 + 20 * bits[1]]),
        },
    ),
}  # fmt: skip


class Identity(gym.Env[Any, Any]):
    """Repeat the two bits that the observation shows; ten steps an episode."""

    def __init__(self, view="analogue", action="Discrete"):
        self.view = VIEWS[view]
        # Copies: a space carries its own random numbers.
        self.observation_space = self.view.space
        self.action_space = ACTIONS[action]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.step_count = 0
        return self._next(), {}

    def _next(self):
        self.bits = self.np_random.integers(0, 2, 2)
        return self.view.show(self.bits, self.np_random)

    def step(self, action):
        if isinstance(self.action_space, spaces.Discrete):
            right = reward = float(action == 2 * self.bits[0] + self.bits[1])
        elif isinstance(self.action_space, spaces.Box):
            error = np.abs(action - TARGET * (2 * self.bits - 1))
            right, reward = float((error < TARGET / 2).mean()), float(1.0 - error.mean())
        else:
            right = reward = float((action == self.bits).mean())
        self.step_count += 1
        return self._next(), reward, False, self.step_count >= 10, {"right": right}


@dataclass(frozen=True)
class Case:
    """An algorithm, its policy, and settings under which it learns the task fast."""

    algorithm: type[BaseAlgorithm]
    policy: Any
    actions: tuple[str, ...]
    steps: int
    arguments: dict[str, Any] = field(default_factory=dict)
    policy_kwargs: dict[str, Any] = field(default_factory=dict)


_ALL = tuple(ACTIONS)
_EPSILON_GREEDY = {
    "learning_starts": 32, "learning_rate": 2e-3, "exploration_fraction": 0.5,
    "target_update_interval": 50, "train_freq": 2, "batch_size": 32, "buffer_size": 5000,
}  # fmt: skip
_CONTINUOUS = {"learning_starts": 32, "learning_rate": 3e-3, "batch_size": 32, "buffer_size": 5000}
_NOISE = {"action_noise": NormalActionNoise(np.zeros(2), np.full(2, 0.5))}

CASES = {
    "PPO": Case(PPO, SpikingActorCriticPolicy, _ALL, 1200,
                {"n_steps": 64, "batch_size": 32, "n_epochs": 4, "learning_rate": 3e-3},
                {"log_std_init": -0.7}),
    "A2C": Case(A2C, SpikingActorCriticPolicy, _ALL, 1400,
                {"n_steps": 16, "learning_rate": 3e-3, "normalize_advantage": True},
                {"log_std_init": -0.7}),
    "TRPO": Case(TRPO, SpikingActorCriticPolicy, _ALL, 1000,
                 {"n_steps": 64, "batch_size": 32, "learning_rate": 3e-3},
                 {"log_std_init": -0.7}),
    "DQN": Case(DQN, SpikingDQNPolicy, ("Discrete",), 800, _EPSILON_GREEDY),
    "QRDQN": Case(QRDQN, SpikingQRDQNPolicy, ("Discrete",), 800, _EPSILON_GREEDY,
                  {"n_quantiles": 10}),
    "SAC": Case(SAC, SpikingSACPolicy, ("Box",), 360, {**_CONTINUOUS, "ent_coef": 0.02}),
    "TQC": Case(TQC, SpikingTQCPolicy, ("Box",), 360, {**_CONTINUOUS, "ent_coef": 0.02},
                {"n_quantiles": 5}),
    "TD3": Case(TD3, SpikingTD3Policy, ("Box",), 600, {**_CONTINUOUS, **_NOISE}),
    "DDPG": Case(DDPG, SpikingTD3Policy, ("Box",), 600, {**_CONTINUOUS, **_NOISE}),
}  # fmt: skip


STATEFUL = {
    "StatefulPPO": Case(StatefulPPO, StatefulActorCriticPolicy, _ALL, 0,
                        {"n_steps": 32, "batch_size": 32, "sequence_length": 8, "n_epochs": 2}),
}  # fmt: skip
"""Those that carry a state; that they learn is tested on tasks that need one."""
EVERY = {**CASES, **STATEFUL}


# Settings for convolutional networks instead of the settings of the case.
FOR_IMAGES = {
    "A2C": {"learning_rate": 1e-3, "ent_coef": 0.02},
    "PPO": {"learning_rate": 1e-3},
    "TRPO": {"learning_rate": 1e-3},
    "TD3": {"learning_rate": 5e-4},
    "DDPG": {"learning_rate": 5e-4},
}


def make(name, env=None, seed=0, **arguments):
    """Return a model of an algorithm on a small spiking network."""
    case = EVERY[name]
    policy_kwargs = {"network": SMALL, **case.policy_kwargs, **arguments.pop("policy_kwargs", {})}
    if "net_arch" in policy_kwargs and policy_kwargs["network"] is SMALL:  # which has sizes, too
        policy_kwargs["network"] = NetworkConfig(time_steps=SMALL.time_steps)
    return case.algorithm(
        case.policy, env or Identity(action=case.actions[0]), seed=seed, device="cpu",
        policy_kwargs=policy_kwargs, **{"gamma": 0.0, **case.arguments, **arguments},
    )  # fmt: skip


def observations(view, count, seed=0):
    """Return a batch of observations."""
    rng = np.random.default_rng(seed)
    seen = [VIEWS[view].show(rng.integers(0, 2, 2), rng) for _ in range(count)]
    if isinstance(VIEWS[view].space, spaces.Dict):
        return {key: np.stack([x[key] for x in seen]) for key in seen[0]}
    return np.stack(seen)


def score(model, view, action, episodes=10):
    """Return the share of bits repeated rightly, acting deterministically."""
    env, total = Identity(view, action), 0.0
    for episode in range(episodes):
        observation, _ = env.reset(seed=1000 + episode)
        done = False
        while not done:
            choice, _ = model.predict(observation, deterministic=True)
            observation, _, _, done, info = env.step(choice)
            total += info["right"]
    return total / (10 * episodes)
