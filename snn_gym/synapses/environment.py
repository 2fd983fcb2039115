"""The gymnasium face: one agent moves all weights of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from snn_gym.spiking.config import NetworkConfig
from snn_gym.synapses.core import HORIZON, MOVES, PlasticityCore
from snn_gym.synapses.jobs import Job
from snn_gym.tasks.same_step import Infos, Rows, SameStepEnv


class PlasticityEnv(gym.Env[NDArray[np.float32], NDArray[np.int64]]):
    """A spiking network in training, as ``gym.make("snn/Plasticity-Teacher-v0")`` makes it.

    An action is a move for each of the W synapses: 0 lowers its weight by a step, 1 leaves it, 2
    raises it. The reward says whether the network does its job better, judged before and after
    the move on one probe. An observation holds the F features of every synapse, side by side. Infos
    hold the ``score``, the ``steps`` that judging took since the episode began (environment steps
    of the controlled task, or samples) and the ``weights`` (W,), float32.

    Args:
        job: The job, or its name; fixed by the registered id.
        network: What the network is made of; the job's default if None.
        **settings: Fields of ``PlasticitySettings``.

    Raises:
        ValueError: An argument is not allowed; the message names what is.
        gymnasium.error.DependencyNotInstalled: A package that the job needs is absent.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - gymnasium's own type

    def __init__(
        self,
        job: str | Job,
        network: NetworkConfig | Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.core = PlasticityCore(job, 1, network, **settings)
        self.observation_space: gym.Space[Any]
        self.action_space: gym.Space[Any]
        self.observation_space, self.action_space = spaces(self.core)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode from random weights.

        Args:
            seed: Seed of everything random; None goes on.
            options: None are known.

        Returns:
            Features (W * F,), float32 in [-1, 1], and the info.
        """
        super().reset(seed=seed, options=options)
        self.core.generators = [self.np_random]
        self.core.start(np.array([0]))
        return self.core.observe().flatten(), self._info()

    def step(
        self, action: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Move every weight.

        Args:
            action: (W,), integers in {0, 1, 2}.

        Returns:
            Features (W * F,), float32 in [-1, 1]; reward; terminated and truncated, both False: the
            id's time limit ends episodes; and the info.
        """
        moved = self.core.step(np.asarray(action)[np.newaxis])
        return moved.observations.flatten(), float(moved.rewards[0]), False, False, self._info()

    def _info(self) -> dict[str, Any]:
        core = self.core
        return {
            "score": float(core.scores[0]),
            "steps": int(core.steps[0]),
            "weights": core.weights[0].copy(),
        }


class BatchedPlasticityEnv(SameStepEnv):
    """Many networks in training, as ``gym.make_vec("snn/Plasticity-Teacher-v0", 8)`` makes them.

    Args:
        job: The job, or its name; fixed by the registered id.
        num_envs: Number N of networks, at least 1.
        max_episode_steps: Moves after which an episode is truncated.
        network: What the networks are made of; the job's default if None.
        **settings: Fields of ``PlasticitySettings``.

    Raises:
        ValueError: An argument is not allowed; the message names what is.
        gymnasium.error.DependencyNotInstalled: A package that the job needs is absent.
    """

    metadata: dict[str, Any] = {**SameStepEnv.metadata, "render_modes": []}  # noqa: RUF012 - gymnasium's own type

    def __init__(
        self,
        job: str | Job,
        num_envs: int = 1,
        max_episode_steps: int = HORIZON,
        network: NetworkConfig | Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.core = PlasticityCore(job, num_envs, network, **settings)
        super().__init__(num_envs, max_episode_steps, *spaces(self.core))
        self._features = self._latest

    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[np.float32]:
        del options
        which = np.arange(self.num_envs)[rows]
        if seeds is not None:
            self.core.seed(seeds, which)
        self.core.start(which)
        return self.core.observe()[rows].reshape(len(which), -1)

    def checked(self, actions: ArrayLike) -> NDArray[np.integer]:
        """Return actions (N, W) as an array; the core, which moves the weights, checks them."""
        return np.asarray(actions)

    def _advance(
        self, actions: NDArray[np.integer]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        moved = self.core.step(actions)
        self._features = moved.observations.reshape(self.num_envs, -1)
        return moved.rewards, np.zeros(self.num_envs, np.bool_)

    def _observe(self) -> NDArray[np.float32]:
        return self._features

    def _info(self) -> Infos:
        core = self.core
        return {"score": core.scores, "steps": core.steps, "weights": core.weights}


def spaces(core: PlasticityCore) -> tuple[gym.Space[Any], gym.Space[Any]]:
    """Return the spaces of one network with one agent: features and moves of all synapses."""
    size = core.synapses * len(core.features.names)
    moves = gym.spaces.MultiDiscrete(np.full(core.synapses, MOVES))
    return gym.spaces.Box(-1.0, 1.0, (size,), np.float32), moves
