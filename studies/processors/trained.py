"""Short trainings whose weights show whether numbers were rounded in the same way."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import dataclass, field
from typing import Any

from snn_gym._base.config import Config
from snn_gym._base.numerics import one_thread
from snn_gym.leaderboard.weights import hash_tensors
from snn_gym.zoo import make_agent
from snn_gym.zoo.files import package_versions
from snn_gym.zoo.recipe import processor

EARLY = {"learning_starts": 100}
AGENTS: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("ppo-lif", "CartPole-v1", 2048, {}),
    ("ppo-mlp", "CartPole-v1", 2048, {}),
    ("dqsn", "CartPole-v1", 1500, EARLY),
    ("sac-lif", "Pendulum-v1", 300, EARLY),
    ("recurrent-ppo-lsnn", "snn/CueAccumulation-v0", 5000, {}),
    ("recurrent-ppo-gru", "snn/CueAccumulation-v0", 5000, {}),
)
"""Agent, environment, environment steps, and hyper-parameters that let it learn in so few."""


@dataclass(frozen=True)
class Trained(Config):
    """Weights of the trainings under one setting."""

    setting: str
    """Environment variable and its value, or packages of another version; empty for none."""
    processor: dict[str, str]
    """The processor as recipes record it."""
    weights: dict[str, str]
    """SHA-256 of the weights by agent."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the packages, as recipes have them; none in files of before."""


def train_all(agents: tuple[tuple[str, str, int, dict[str, Any]], ...] = AGENTS) -> dict[str, str]:
    """Train each agent with seed 0, and return the SHA-256 of its weights."""
    found = {}
    for agent, env_id, steps, settings in agents:
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make_agent(agent, env_id, seed=0, **settings)
            policy: Any = model.learn(steps).policy
        found[agent] = hash_tensors(policy.acting_state_dict())
    return found


if __name__ == "__main__":
    found = {"processor": processor(), "versions": package_versions(), "weights": train_all()}
    json.dump(found, sys.stdout)
