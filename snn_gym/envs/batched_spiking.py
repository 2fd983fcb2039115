"""Batch of environments behind the ``snn/`` ids, encoded as spikes."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import ArrayLike, NDArray

from snn_gym.envs.batch import BatchEnv, Infos, Rows, SpikeBatch, single_render_mode
from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.envs.coding import ANALOGUE, BatchCoder
from snn_gym.envs.registry import load_environment_spec, make_task
from snn_gym.envs.spiking import settings_of


class BatchedSpikingEnv(SpikeBatch):
    """Many environments of a task of ``SpikingEnv``, whose observations are encoded as spikes.

    ``gym.make_vec("snn/CartPole-v1", num_envs=8)`` makes one. Classic control runs in its batched
    form, all other tasks in environments that are stepped in turn.

    ``infos["analogue_observation"]`` (B, D) holds the analogue observations;
    ``infos["final_info"]["analogue_observation"]`` holds the last ones of ended episodes. Other
    infos of the task are left out.
    """

    def __init__(
        self,
        base_id: str,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        encoder: str | None = None,
        encoder_parameters: Mapping[str, Any] | None = None,
        time_steps: int | None = None,
        low: ArrayLike | None = None,
        high: ArrayLike | None = None,
        render_mode: str | None = None,
        flatten: bool = False,
        **arguments: Any,
    ) -> None:
        """Make the task and its encoder.

        Args:
            base_id: Gymnasium id of the task; fixed by the registered id.
            num_envs: Number B of environments, at least 1.
            max_episode_steps: Environment steps after which an episode is truncated.
                Default: the task's.
            encoder: As for ``SpikingEnv``, like the next four.
            encoder_parameters: Parameters of the encoder. Default: the task's.
            time_steps: Number T of time steps for each environment step.
            low: Observation that becomes intensity 0, per observed value.
            high: Observation that becomes intensity 1.
            render_mode: ``rgb_array``, ``rgb_array_list`` or None.
            flatten: Observe ``FlatSpikes(T, N)``, a Box of one dimension.
            **arguments: Arguments of the task, as for ``gym.make``, and ``autoreset_mode``
                (``BatchEnv``).

        Raises:
            TypeError: An argument is unknown, also to the task.
            ValueError: An argument is not allowed; the message names the allowed values.
        """
        autoreset_mode = arguments.pop("autoreset_mode", AutoresetMode.SAME_STEP)
        settings = settings_of(base_id)
        encoder = settings.encoder if encoder is None else encoder
        if max_episode_steps is None:
            max_episode_steps = load_environment_spec(base_id).max_episode_steps
        make_base = BATCHED_TASKS.get(base_id) or functools.partial(_OneByOne, base_id)
        self.base: BatchEnv = make_base(
            num_envs, max_episode_steps, single_render_mode(render_mode), **arguments
        )
        """The batch of the task itself, with analogue observations."""
        self._coder = BatchCoder(
            self.base.single_observation_space,
            encoder,
            {**settings.encoder_parameters.get(encoder, {}), **(encoder_parameters or {})},
            settings.time_steps if time_steps is None else time_steps,
            settings.low if low is None else low,
            settings.high if high is None else high,
            num_envs,
        )
        self.metadata = {**self.metadata, "render_fps": self.base.metadata["render_fps"]}
        super().__init__(
            num_envs,
            max_episode_steps,
            self._coder.spike_shape,
            self.base.single_action_space,
            render_mode,
            flatten,
            self._coder.channels_per_value,
            autoreset_mode,
        )
        space = self.base.observation_space
        self._analogue = np.zeros(space.shape or (), space.dtype)

    def close_extras(self, **_: Any) -> None:
        """Close the task."""
        self.base.close()

    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[Any]:
        indices = np.arange(self.num_envs)[rows]
        first = self.base.begin(rows, seeds, options)
        self._analogue[rows] = first
        if seeds is not None:
            self._coder.seed(seeds, indices)
        return self._observation(self._coder.start(first, indices))

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        # Waiting environments keep their random streams, also in the task.
        self._analogue, rewards, terminated, *_ = self.base.advance(actions, self._waiting)
        return rewards, terminated

    def _observe(self) -> NDArray[Any]:
        return self._observation(self._coder.step(self._analogue, self._waiting))

    def _info(self) -> Infos:
        return {ANALOGUE: self._analogue}

    def _scene(self, index: int) -> NDArray[np.uint8]:
        return self.base.draw(index)


class _OneByOne(BatchEnv):
    """Environments of a task without a batched form, stepped in turn."""

    def __init__(
        self,
        base_id: str,
        num_envs: int,
        max_episode_steps: int,
        render_mode: str | None,
        **arguments: Any,
    ) -> None:
        # One at least, for its spaces; the base class refuses num_envs below 1.
        self._envs = [
            make_task(base_id, render_mode=render_mode, **arguments).unwrapped
            for _ in range(max(num_envs, 1))
        ]
        first = self._envs[0]
        super().__init__(
            num_envs, max_episode_steps, first.observation_space, first.action_space, render_mode
        )
        self.spec = first.spec
        self.metadata = {**self.metadata, "render_fps": first.metadata["render_fps"]}
        self._observations = self._latest.copy()

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return the task's image (height, width, 3), uint8, of one environment."""
        image: Any = self._envs[index].render()
        return np.asarray(image, np.uint8)

    def close_extras(self, **_: Any) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()

    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[Any]:
        for index in np.arange(self.num_envs)[rows]:
            seed = None if seeds is None else seeds[index]
            self._observations[index], _ = self._envs[index].reset(seed=seed, options=options)
        first: NDArray[Any] = self._observations[rows].copy()
        return first

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        rewards, terminated = np.zeros(self.num_envs), np.zeros(self.num_envs, np.bool_)
        for index in np.delete(np.arange(self.num_envs), self._waiting):
            result = self._envs[index].step(actions[index])
            self._observations[index], rewards[index], terminated[index], *_ = result
        return rewards, terminated

    def _observe(self) -> NDArray[Any]:
        return self._observations.copy()
