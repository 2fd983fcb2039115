"""The gymnasium environment in which one agent moves all weights of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import ArrayLike, NDArray

from snn_gym.spiking.config import NetworkConfig
from snn_gym.synapses.core import HORIZON, MOVES, PlasticityCore
from snn_gym.synapses.jobs import Job
from snn_gym.synapses.scene import draw_scene, weight_matrices
from snn_gym.tasks.batch_env import BatchEnv, Infos, Rows
from snn_gym.tasks.single import SingleEnv


class BatchedPlasticityEnv(BatchEnv):
    """Many networks in training, as ``gym.make_vec("snn/Plasticity-Teacher-v0", 8)`` makes them.

    Args:
        job: The job, or its name; fixed by the registered id.
        num_envs: Number N of networks, at least 1.
        max_episode_steps: Moves after which an episode is truncated.
        network: What the networks are made of; the job's default if None.
        render_mode: ``rgb_array``, ``rgb_array_list`` or None.
        autoreset_mode: When new episodes start; see ``BatchEnv``.
        **settings: Fields of ``PlasticitySettings``.

    Raises:
        ValueError: An argument is not allowed; the message names what is.
        gymnasium.error.DependencyNotInstalled: A package that the job needs is absent.
    """

    metadata: dict[str, Any] = {**BatchEnv.metadata, "render_fps": 8}  # noqa: RUF012 - gymnasium's own type

    def __init__(
        self,
        job: str | Job,
        num_envs: int = 1,
        max_episode_steps: int = HORIZON,
        network: NetworkConfig | Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        **settings: Any,
    ) -> None:
        self.core = PlasticityCore(job, num_envs, network, **settings)
        super().__init__(
            num_envs, max_episode_steps, *spaces(self.core), render_mode, autoreset_mode
        )
        self._scores: list[list[float]] = [[] for _ in range(num_envs)]
        """Scores of each network since its episode began, for pictures."""

    def checked(self, actions: ArrayLike) -> NDArray[np.integer]:
        """Return actions (N, W) as an array; the core, which moves the weights, checks them."""
        return np.asarray(actions)

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return the picture (256, 256, 3), uint8, of a network's weights and scores."""
        core = self.core
        matrices = weight_matrices(core.weights[index], core.population.synapses)
        return draw_scene(matrices, core.settings.weight_limit, self._scores[index])

    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[np.float32]:
        del options
        which = np.arange(self.num_envs)[rows]
        if seeds is not None:
            self.core.seed(seeds, which)
        self.core.start(which)
        for index in which:
            self._scores[index] = []
        self._note_scores(which)
        return self._observe()[rows]

    def _advance(
        self, actions: NDArray[np.integer]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        generators = [self.core.generators[index].bit_generator for index in self._waiting]
        states = [generator.state for generator in generators]
        rewards = self.core.step(actions)
        for generator, state in zip(generators, states, strict=True):
            generator.state = state
        self._note_scores(np.arange(self.num_envs))
        return rewards, np.zeros(self.num_envs, np.bool_)

    def _note_scores(self, which: NDArray[np.int64]) -> None:
        if self.render_mode is not None:
            scores = self.core.scores
            for index in which:
                self._scores[index].append(float(scores[index]))

    def _observe(self) -> NDArray[np.float32]:
        return self.core.observe().reshape(self.num_envs, -1)

    def _info(self) -> Infos:
        core = self.core
        return {"score": core.scores, "steps": core.steps, "weights": core.weights}


class PlasticityEnv(SingleEnv):
    """A spiking network in training, as ``gym.make("snn/Plasticity-Teacher-v0")`` makes it.

    An action is a move for each of the W synapses: 0 lowers its weight by a step, 1 leaves it, 2
    raises it. The reward says whether the network does its job better, judged before and after
    the move on one probe. An observation holds the F features of every synapse, side by side. Infos
    hold the ``score``, the ``steps`` that judging took since the episode began (environment steps
    of the controlled task, or samples) and the ``weights`` (W,), float32.

    Args:
        job: The job, or its name; fixed by the registered id.
        network: What the network is made of; the job's default if None.
        render_mode: ``human``, ``rgb_array`` or None.
        **settings: Fields of ``PlasticitySettings``.

    Raises:
        ValueError: An argument is not allowed; the message names what is.
        gymnasium.error.DependencyNotInstalled: A package that the job needs is absent.
    """

    def __init__(
        self,
        job: str | Job,
        network: NetworkConfig | Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(BatchedPlasticityEnv, render_mode, job=job, network=network, **settings)

    @property
    def core(self) -> PlasticityCore:
        """The network in training."""
        assert isinstance(self.batch, BatchedPlasticityEnv)  # as was asked for
        return self.batch.core


def spaces(core: PlasticityCore) -> tuple[gym.Space[Any], gym.Space[Any]]:
    """Return the spaces of one network with one agent: features and moves of all synapses."""
    size = core.synapses * len(core.features.names)
    moves = gym.spaces.MultiDiscrete(np.full(core.synapses, MOVES))
    return gym.spaces.Box(-1.0, 1.0, (size,), np.float32), moves
