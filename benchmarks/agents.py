"""The agents whose weights are measured: as trained, made lean, and their ANN twins.

The default agent's weights are a row of the results table. Other weights are made once by the
zoo's own means and kept in a folder outside of the repository's history.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

import snn_gym
from snn_gym._base.folders import checkout_root
from snn_gym._base.storage import parse_tensors
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.leaderboard.results import verified_weights
from snn_gym.spiking import SpikingNetwork
from snn_gym.zoo import load_agent_spec

ENV_ID = "CartPole-v1"
_TRAINING_STEPS = 100_000
_LEAN_STEPS = 20_000
_VISITED = 1024
"""Observations of a batch at most."""

Observations = NDArray[np.float32]


@dataclass(frozen=True)
class Agent:
    """A trained agent and states that it visits."""

    model: BaseAlgorithm
    """The agent."""
    visited: Observations
    """Observations (1024, 4) of its episodes, in the environment's units."""

    @property
    def network(self) -> SpikingNetwork:
        """Its spiking actor."""
        policy: Any = self.model.policy
        network: SpikingNetwork = policy.mlp_extractor.actor
        return network

    def sample(self, batch: int) -> Observations:
        """Return visited observations (batch, 4) at quantiles of the spikes that they cause.

        One alone causes the median number: a single state, such as the first, may be seven
        times as dear as most.
        """
        recording = self.model.policy.record(self.visited)  # type: ignore[operator]
        spikes = sum(np.asarray(layer.spikes).sum(axis=(0, 2)) for layer in recording.layers)
        places = (np.arange(batch) + 0.5) / batch * len(self.visited)
        found: Observations = self.visited[np.argsort(spikes, kind="stable")[places.astype(int)]]
        return found

    def inputs(self, batch: int) -> Tensor:
        """Return standardised observations (batch, 4), as its network takes them."""
        networks: Any = self.model.policy.mlp_extractor
        with torch.no_grad():
            inputs: Tensor = networks.normalised(torch.from_numpy(self.sample(batch)))
        return inputs.clone()

    def synops(self) -> float:
        """Return synaptic operations of a decision, mean over the visited states."""
        recording = self.model.policy.record(self.visited)  # type: ignore[operator]
        return float(recording.costs.total("synops_per_decision"))

    def describe(self, name: str) -> str:
        """Return a sentence that says how active it is."""
        recording = self.model.policy.record(self.visited)  # type: ignore[operator]
        shares = [f"{100 * float(layer.spikes.mean()):.2g} %" for layer in recording.layers]
        return (
            f"{name}: {self.synops():,.0f} SynOps per decision; "
            f"{' and '.join(shares)} of its layers' neurons fire at a time step."
        )


def default_agent(width: int, scratch: Path) -> Agent:
    """Return ``ppo-lif`` as trained for CartPole."""
    if width == 64:
        model = snn_gym.make_agent("ppo-lif", ENV_ID, seed=0)
        root = checkout_root()
        if root is None:
            raise ValueError("the stored agent is in a clone of the repository alone; run there")
        row = find_trained("ppo-lif", ENV_ID).row(0)
        weights = verified_weights(root / "leaderboard", row)
        tensors, _ = parse_tensors(weights, where=row.name)
        model.policy.load_acting_state_dict(tensors)  # type: ignore[operator]
        return _visiting(model)
    folder = scratch / f"default-{width}"
    if not folder.exists():
        network = {"hidden_sizes": [width, width]}
        model = snn_gym.make_agent("ppo-lif", ENV_ID, seed=0, network=network)
        snn_gym.save_agent(model.learn(_TRAINING_STEPS), folder)
    return _visiting(snn_gym.load_agent(folder))


def lean_agent(width: int, scratch: Path) -> Agent:
    """Return the default agent after ``make_lean``."""
    folder = scratch / f"lean-{width}"
    if not folder.exists():
        trained = default_agent(width, scratch).model
        snn_gym.save_agent(snn_gym.make_lean(trained, _LEAN_STEPS), folder)
    return _visiting(snn_gym.load_agent(folder))


def twin(width: int) -> BaseAlgorithm:
    """Return a fresh ``ppo-mlp``: the cost of a dense network does not depend on its weights."""
    network = {"hidden_sizes": [width, width]}
    return snn_gym.make_agent("ppo-mlp", ENV_ID, seed=0, network=network)


def stock(width: int, env: VecEnv | None = None) -> PPO:
    """Return Stable-Baselines3's own ``MlpPolicy`` with the twin's sizes and hyper-parameters."""
    settings: Any = load_agent_spec("ppo-mlp").settings(ENV_ID)
    return PPO(
        "MlpPolicy",
        cast(VecEnv, twin(width).get_env()) if env is None else env,
        n_steps=settings.n_steps,
        batch_size=settings.batch_size,
        n_epochs=settings.n_epochs,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        ent_coef=settings.ent_coef,
        policy_kwargs={"net_arch": [width, width]},
        seed=0,
        device="cpu",
    )


def _visiting(model: BaseAlgorithm) -> Agent:
    """Let an agent play, and keep its observations."""
    env = snn_gym.make_vec_env(ENV_ID, 64, seed=0)
    observation: Any = env.reset()
    seen = []
    for _ in range(_VISITED // 64 * 4):
        actions, _ = model.predict(observation, deterministic=True)
        observation, *_ = env.step(actions)
        seen.append(np.array(observation, dtype=np.float32))
    env.close()
    return Agent(model, np.concatenate(seen[::4]))
