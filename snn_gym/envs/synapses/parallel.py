"""PettingZoo environment in which every synapse is an agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from snn_gym.envs.synapses.world import MOVES, PlasticityCore

MOST_AGENTS = 500
"""Largest number of synapses for which one Python object each is fast enough."""


class PlasticityParallelEnv(ParallelEnv[str, NDArray[np.float32], Any]):
    """A network in training whose synapses are agents, ``synapse_0`` and so on.

    Each agent observes its features (F,), moves its weight (0 lowers it by a step, 1 leaves it, 2
    raises it) and gets the reward of the network. See ``plasticity_parallel_env``.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - PettingZoo's own type
        "name": "plasticity_v0",
        "render_modes": [],
        "is_parallelizable": True,
    }

    def __init__(self, core: PlasticityCore, horizon: int) -> None:
        if core.synapses > MOST_AGENTS:
            raise ValueError(
                f"a network of {core.synapses} synapses has too many agents for PettingZoo's "
                f"dictionaries (at most {MOST_AGENTS}); use snn_gym.envs.synapses.PlasticityVecEnv"
            )
        if horizon < 1:
            raise ValueError(f"horizon must be at least 1, got {horizon}")
        self.core = core
        self._horizon = horizon
        self._moves = 0
        self.possible_agents = [f"synapse_{index}" for index in range(core.synapses)]
        self.agents: list[str] = []
        self.render_mode = None
        features = gym.spaces.Box(-1.0, 1.0, (len(core.features.names),), np.float32)
        self.observation_spaces = dict.fromkeys(self.possible_agents, features)
        self.action_spaces = {agent: gym.spaces.Discrete(MOVES) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> gym.Space[Any]:
        """Return the space of an agent's features."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space[Any]:
        """Return the space of an agent's moves."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, dict[str, Any]]]:
        """Start an episode from random weights; return every agent's features (F,) and info.

        A seed of None continues the random stream; options are ignored.
        """
        del options
        only = np.array([0])
        self.core.seed([seed], only)
        self.core.start(only)
        self.agents = list(self.possible_agents)
        self._moves = 0
        return self._by_agent(self.core.observe()), self._infos()

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[
        dict[str, NDArray[np.float32]],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Move every weight by its agent's action, 0, 1 or 2.

        Returns features, rewards, terminations (none), truncations at the horizon and infos of
        every agent. Missing or extra actions, and a step after an episode's end, raise ValueError.
        """
        if set(actions) != set(self.agents) or not self.agents:
            raise ValueError(
                f"got actions of {len(actions)} agents, expected one for each of the "
                f"{len(self.agents)} present agents; after an episode call reset()"
            )
        rewards = self.core.step(np.array([[actions[agent] for agent in self.agents]]))
        self._moves += 1
        over = self._moves == self._horizon
        result = (
            self._by_agent(self.core.observe()),
            dict.fromkeys(self.agents, float(rewards[0])),
            dict.fromkeys(self.agents, False),
            dict.fromkeys(self.agents, over),
            self._infos(),
        )
        if over:
            self.agents = []
        return result

    def _by_agent(self, features: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        return dict(zip(self.possible_agents, features[0], strict=True))

    def _infos(self) -> dict[str, dict[str, Any]]:
        score, steps = float(self.core.scores[0]), int(self.core.steps[0])
        return {agent: {"score": score, "steps": steps} for agent in self.possible_agents}
