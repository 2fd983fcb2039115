"""The vector environment behind the snn/ ids: many environments, encoded at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from snn_gym.registry import load_environment_spec, load_spike_settings, make_task
from snn_gym.tasks.batched import Seeds, check_render_mode, masked_environments, seeds_for
from snn_gym.tasks.classic_control import BATCHED_TASKS
from snn_gym.tasks.rendering import SpikeRenderer
from snn_gym.wrappers.coding import BatchCoder


class BatchedSpikingEnv(VectorEnv[NDArray[np.int8], Any, NDArray[Any]]):
    """Many environments of a known task seen through spikes.

    ``gym.make_vec("snn/CartPole-v1", num_envs=8)`` makes one. Environment i of a batch
    that was reset with seed s gives the spikes, rewards and ends of
    ``gym.make("snn/CartPole-v1")`` after a reset with seed s + i, in this and in every
    later episode. The task itself runs in our own batched form where there is one, else
    in environments that are stepped one after the other.

    A new episode starts in the step that ends one (``AutoresetMode.SAME_STEP``), with the
    last spikes in ``infos["final_obs"]``. ``infos["observation"]`` (B, D) holds the
    analogue observations, and ``infos["final_info"]["observation"]`` the last ones of
    ended episodes.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - gymnasium's own type
        "render_modes": ["rgb_array"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

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
    ) -> None:
        """Make the task and its encoder.

        Args:
            base_id: Gymnasium id of the task; fixed by the registered id.
            num_envs: Number B of environments, at least 1.
            max_episode_steps: Environment steps after which an episode is truncated.
                Default: the task's.
            encoder: As for ``SpikingEnv``, like the four that follow.
            encoder_parameters: Parameters of the encoder; the task's where absent.
            time_steps: Number T of time steps for each environment step.
            low: Observation that becomes intensity 0, per observed value.
            high: Likewise for intensity 1.
            render_mode: ``rgb_array`` or None.

        Raises:
            ValueError: An argument is not allowed; the message names what is.
        """
        settings = load_spike_settings(base_id)
        encoder = settings.encoder if encoder is None else encoder
        check_render_mode(render_mode)
        if max_episode_steps is None:
            max_episode_steps = load_environment_spec(base_id).max_episode_steps
        # Gymnasium's annotations of vector environments are narrower than what they take.
        self._base: Any = _make_base(base_id, num_envs, max_episode_steps, render_mode)
        self._coder = BatchCoder(
            self._base.single_observation_space,
            encoder,
            {**settings.encoder_parameters.get(encoder, {}), **(encoder_parameters or {})},
            settings.time_steps if time_steps is None else time_steps,
            settings.low if low is None else low,
            settings.high if high is None else high,
            num_envs,
        )
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": self._base.metadata["render_fps"]}
        self.single_action_space = self._base.single_action_space
        self.action_space = self._base.action_space
        self.single_observation_space = self._coder.space
        self.observation_space = batch_space(self._coder.space, num_envs)
        self._spikes = np.zeros(self.observation_space.shape or (), np.int8)
        self._renderers = self._make_renderers()

    @property
    def base(self) -> VectorEnv[Any, Any, Any]:
        """The vector environment of the task itself, with analogue observations."""
        base: VectorEnv[Any, Any, Any] = self._base
        return base

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.int8], dict[str, Any]]:
        """Start episodes.

        Args:
            seed: s for s, s + 1, …; a seed for each environment; or None, which goes on
                with the present streams.
            options: ``reset_mask`` (B,), bool, for a part of the environments, and the
                task's own options.

        Returns:
            Spikes (B, T, N), int8, and infos with the analogue ``observation``.

        Raises:
            ValueError: Seeds or mask have a wrong length, or an option a wrong value.
            TypeError: The mask is no array of bools.
        """
        seeds = seeds_for(seed, self.num_envs)
        which, _ = masked_environments(options, self.num_envs)
        # A copy, because gymnasium takes the mask out of what it is given.
        observations, infos = self._base.reset(
            seed=seeds,
            options=None if options is None else dict(options),
        )
        self._coder.seed(seeds, which)
        spikes = self._spikes.copy()
        spikes[which] = self._coder.start(observations[which], which)
        for index in which:
            self._clear_picture(index)
        self._keep(spikes)
        mask = np.zeros(self.num_envs, np.bool_)
        mask[which] = True
        return spikes, {**infos, **_observation_info(observations, mask)}

    def step(
        self, actions: ArrayLike
    ) -> tuple[
        NDArray[np.int8], NDArray[Any], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Make one environment step in every environment.

        Args:
            actions: Actions (B, ...) of the task.

        Returns:
            Spikes (B, T, N), int8; rewards (B,), float64; terminated and truncated (B,),
            bool; and infos with the analogue ``observation`` and, where episodes ended,
            ``final_obs`` and ``final_info``.
        """
        observations, rewards, terminated, truncated, infos = self._base.step(actions)
        over = terminated | truncated
        which = np.flatnonzero(over)
        last = observations.copy()
        if len(which):
            last[which] = np.stack(list(infos["final_obs"][which]))
        spikes = self._coder.step(last)
        if len(which):
            final = np.full(self.num_envs, None, object)
            for index in which:
                final[index] = spikes[index].copy()
                self._clear_picture(index)
            spikes[which] = self._coder.start(observations[which], which)
            final_info = {**infos["final_info"], **_observation_info(last, over)}
            infos = {**infos, "final_obs": final, "final_info": final_info}
        self._keep(spikes)
        everywhere = np.ones(self.num_envs, np.bool_)
        infos = {**infos, **_observation_info(observations, everywhere)}
        return spikes, rewards, terminated, truncated, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Draw every environment beside its latest spikes.

        Returns:
            B images (height, width, 3), uint8, in mode ``rgb_array``; else None.
        """
        frames = self._base.render()
        if self.render_mode is None:
            return None
        assert frames is not None
        images = []
        for renderer, frame in zip(self._renderers, frames, strict=True):
            image = renderer.draw(frame)
            assert image is not None
            images.append(image)
        return tuple(images)

    def close_extras(self, **_: Any) -> None:
        """Close the task."""
        self._base.close()

    def _make_renderers(self) -> list[SpikeRenderer]:
        if self.render_mode is None:
            return []
        return [
            SpikeRenderer(
                channels_per_value=self._coder.channels_per_value,
                human=False,
                frames_per_second=self.metadata["render_fps"],
            )
            for _ in range(self.num_envs)
        ]

    def _clear_picture(self, index: np.int64) -> None:
        if self._renderers:
            self._renderers[index].clear()

    def _keep(self, spikes: NDArray[np.int8]) -> None:
        """Keep the latest spikes, for pictures and for resets of a part."""
        self._spikes = spikes.copy()
        for renderer, shown in zip(self._renderers, self._spikes, strict=False):
            renderer.add(shown)


def _observation_info(
    observations: NDArray[Any], mask: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """Return the analogue observations where the mask says so, 0 elsewhere, as gymnasium does."""
    shown = np.zeros_like(observations)
    shown[mask] = observations[mask]
    return {"observation": shown, "_observation": mask.copy()}


def _make_base(
    base_id: str, num_envs: int, max_episode_steps: int, render_mode: str | None
) -> VectorEnv[Any, Any, Any]:
    if base_id in BATCHED_TASKS:
        return BATCHED_TASKS[base_id](num_envs, max_episode_steps, render_mode)

    def make() -> gym.Env[Any, Any]:
        task = make_task(base_id, render_mode=render_mode).unwrapped
        return gym.wrappers.TimeLimit(task, max_episode_steps)

    return SyncVectorEnv([make] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)
