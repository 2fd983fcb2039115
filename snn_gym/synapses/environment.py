"""The gymnasium face: one agent moves all weights of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from snn_gym.spiking.config import NetworkConfig
from snn_gym.synapses.core import HORIZON, MOVES, PlasticityCore
from snn_gym.synapses.jobs import Job
from snn_gym.tasks.batched import Seeds, masked_environments, seeds_for
from snn_gym.tasks.infos import masked_infos


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


class BatchedPlasticityEnv(VectorEnv[NDArray[np.float32], NDArray[np.int64], NDArray[Any]]):
    """Many networks in training, as ``gym.make_vec("snn/Plasticity-Teacher-v0", 8)`` makes them.

    Environment i of a batch that was reset with seed s gives what ``PlasticityEnv`` gives after a
    reset with seed s + i, in this and in every later episode. A new episode starts in the step that
    ends one (``AutoresetMode.SAME_STEP``).

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

    metadata: dict[str, Any] = {  # noqa: RUF012 - gymnasium's own type
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        job: str | Job,
        num_envs: int = 1,
        max_episode_steps: int = HORIZON,
        network: NetworkConfig | Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.core = PlasticityCore(job, num_envs, network, max_episode_steps, **settings)
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = spaces(self.core)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start episodes.

        Args:
            seed: s for s, s + 1, …; a seed for each environment; or None, which goes on.
            options: ``reset_mask`` (N,), bool, for a part of the environments.

        Returns:
            Features (N, W * F), float32 in [-1, 1], and the infos.

        Raises:
            ValueError: Seeds or mask have a wrong length.
            TypeError: The mask is no array of bools.
        """
        which, _ = masked_environments(options, self.num_envs)
        self.core.seed(seeds_for(seed, self.num_envs), which)
        self.core.start(which)
        started = np.zeros(self.num_envs, np.bool_)
        started[which] = True
        observations = self.core.observe().reshape(self.num_envs, -1)
        return observations, self._infos(started)

    def step(
        self, actions: ArrayLike
    ) -> tuple[
        NDArray[np.float32],
        NDArray[np.float64],
        NDArray[np.bool_],
        NDArray[np.bool_],
        dict[str, Any],
    ]:
        """Move every weight of every network.

        Args:
            actions: (N, W), integers in {0, 1, 2}.

        Returns:
            Features (N, W * F), float32; rewards (N,), float64; terminated (never) and truncated
            (N,), bool; and the infos, with ``final_obs`` and ``final_info`` where episodes ended.
        """
        moved = self.core.step(np.asarray(actions))
        infos = self._infos(np.ones(self.num_envs, np.bool_))
        over = moved.truncated
        if over.any():
            final = np.full(self.num_envs, None, object)
            for index in np.flatnonzero(over):
                final[index] = moved.last_observations[index].flatten()
            last: dict[str, NDArray[Any]] = {
                "score": moved.last_scores,
                "steps": moved.last_steps,
                "weights": moved.last_weights,
            }
            infos.update(
                final_obs=final, _final_obs=over, final_info=masked_infos(last, over),
                _final_info=over.copy(),
            )  # fmt: skip
        observations = moved.observations.reshape(self.num_envs, -1)
        terminated = np.zeros(self.num_envs, np.bool_)
        return observations, moved.rewards, terminated, over, infos

    def _infos(self, mask: NDArray[np.bool_]) -> dict[str, Any]:
        core = self.core
        values: dict[str, NDArray[Any]] = {
            "score": core.scores,
            "steps": core.steps,
            "weights": core.weights,
        }
        return masked_infos(values, mask)


def spaces(core: PlasticityCore) -> tuple[gym.Space[Any], gym.Space[Any]]:
    """Return the spaces of one network with one agent: features and moves of all synapses."""
    size = core.synapses * len(core.features.names)
    moves = gym.spaces.MultiDiscrete(np.full(core.synapses, MOVES))
    return gym.spaces.Box(-1.0, 1.0, (size,), np.float32), moves
