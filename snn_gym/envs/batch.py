"""Batches of environments that step at once, and their form with one environment."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from snn_gym._base.config import typed
from snn_gym._base.spaces import FlatSpikes
from snn_gym.envs.rendering import SpikeRenderer, Window, warn_of_no_render_mode

# ---- finite --------------------------------------------------------------------------------------
_MOST_SHOWN = 3


def check_finite(
    quantity: str,
    values: NDArray[Any] | dict[str, NDArray[Any]],
    environment: str,
    step: int | NDArray[np.int64],
    running: NDArray[np.bool_] | None = None,
    seeds: Sequence[int] | NDArray[np.int64] | None = None,
) -> None:
    """Raise ValueError if observations or rewards (B, ...) of running environments are not finite.

    ``values`` is one array or, of a Dict or Tuple space, one for each part. ``running`` (B,), bool,
    defaults to all. The error names ``step`` (0 at the reset; one number or (B,)) and ``seeds``
    (B,) of the first bad environment.
    """
    for key, part in _parts(values):
        if _surely_finite(part) or np.isfinite(part).all():
            continue
        wrong = ~np.isfinite(part).reshape(len(part), -1)
        bad = np.flatnonzero(wrong.any(axis=1) & (True if running is None else running))
        if bad.size:
            first = int(bad[0])
            value = part.reshape(len(part), -1)[first][wrong[first]][0]
            episode = "an episode" if seeds is None else f"the episode with seed {seeds[first]}"
            name = f"{quantity} {key!r}" if key else quantity
            share = f"{int(wrong[first].sum())} of {wrong.shape[1]} values are not"
            at = step if isinstance(step, int) else int(step[first])
            raise ValueError(
                f"{environment} gave the {name} {value} at step {at} of {episode}; "
                f"{quantity}s must be finite, and {share}"
            )


def check_step(
    environment: str,
    observations: NDArray[Any] | dict[str, NDArray[Any]],
    rewards: NDArray[Any],
    dones: NDArray[np.bool_],
    steps: NDArray[np.int64],
    infos: Sequence[Mapping[str, Any]],
) -> None:
    """Raise ValueError if a step of a ``VecEnv`` gave a reward or observation that is not finite.

    Where an episode ended (``dones``), ``terminal_observation`` of its info is checked too.
    ``steps`` (B,) counts the environment steps of each episode, including this one.
    """
    ended = np.flatnonzero(dones)
    finals = [infos[index]["terminal_observation"] for index in ended.tolist()]
    # Every training step calls this, nearly always with plain arrays of finite numbers.
    if all(map(_surely_finite, (rewards, observations, *finals))):
        return
    check_finite("reward", rewards, environment, steps)
    check_finite("observation", observations, environment, np.where(dones, 0, steps))
    if finals:
        parts = [dict(_parts(final)) for final in finals]
        stacked = {key: np.array([part[key] for part in parts]) for key in parts[0]}
        check_finite("observation", stacked, environment, steps[ended])


def few(values: NDArray[Any]) -> str:
    """Format up to three values of an array, with an ellipsis if there are more."""
    shown = [f"{value:g}" for value in values.ravel()[:_MOST_SHOWN]]
    return ", ".join(shown if values.size <= _MOST_SHOWN else [*shown, "…"])


def _parts(values: Any) -> list[tuple[str, Any]]:
    """Return named arrays: a mapping's by key, a tuple's by index, a plain one as ""."""
    if isinstance(values, Mapping):
        return list(values.items())
    if isinstance(values, tuple):
        return [(str(index), part) for index, part in enumerate(values)]
    return [("", values)]


def _surely_finite(values: Any) -> bool:
    """Test by one product whether an array is finite; False if no array or squares overflow."""
    if not isinstance(values, np.ndarray):
        return False
    if values.dtype.kind != "f":
        return True
    flat = values.ravel()
    return math.isfinite(flat.dot(flat))


# ---- batch env -----------------------------------------------------------------------------------
Seeds = int | Sequence[int | None] | None
Rows = slice | NDArray[np.int64]
"""Environments of a batch: ``EVERY``, or indices (n,)."""

EVERY: Rows = slice(None)
NOBODY = np.empty(0, np.int64)

Infos = dict[str, NDArray[Any]]
"""Infos of a batch, each array (B, ...)."""

Step = tuple[
    NDArray[Any], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
]
"""Observations (B, ...), rewards (B,), terminated (B,), truncated (B,) and infos."""


class BatchEnv(VectorEnv[NDArray[Any], NDArray[Any], NDArray[Any]], ABC):
    """Many environments stepped as one batch.

    Environment i of a batch that is reset with seed s equals ``gym.make`` reset with seed s + i, in
    every episode. An episode ends when the task terminates it or after ``limit`` environment steps.
    The autoreset mode says when the next episode starts, as in gymnasium's ``SyncVectorEnv``:

    - ``SAME_STEP``, the default: in the same step; ``infos["final_obs"]`` and
      ``infos["final_info"]`` hold the last observation and info.
    - ``NEXT_STEP``: in the next step, which ignores the action and gives reward 0.
    - ``DISABLED``: at the next ``reset``; ``step`` raises until then.

    ``reset(options={"reset_mask": mask})`` resets the chosen environments, as in ``SyncVectorEnv``.
    All other options belong to the task. Returned arrays are never written again.

    A subclass starts episodes (``_start``), moves all environments by one step (``_advance``),
    observes them (``_observe``, ``_info``) and draws them (``draw``).

    Args:
        num_envs: Number B of environments, at least 1.
        limit: Environment steps after which an episode is truncated, at least 1.
        observation_space: Space of one environment.
        action_space: Space of one environment.
        render_mode: ``rgb_array``, ``rgb_array_list`` or None.
        autoreset_mode: Mode, or gymnasium's name of it, such as ``NextStep``.

    Raises:
        ValueError: A number is below 1, or a mode is unknown.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - gymnasium's own type
        "render_modes": ["rgb_array", "rgb_array_list"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int,
        limit: int,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        if num_envs < 1 or limit < 1:
            raise ValueError(
                f"num_envs and max_episode_steps must be at least 1, got {num_envs} and {limit}"
            )
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(
                f"render_mode {render_mode!r} is not allowed for a batch of environments; use "
                "'rgb_array', 'rgb_array_list' or None, or make a single environment with gym.make"
            )
        self._autoreset_mode = autoreset_mode_of(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self._autoreset_mode}
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space, self.single_action_space = observation_space, action_space
        self.observation_space = batch_space(observation_space, num_envs)
        self.action_space = batch_space(action_space, num_envs)
        self._limit = limit
        self._steps = np.zeros(num_envs, np.int64)
        self._latest = np.zeros(self.observation_space.shape or (), observation_space.dtype)
        self._started = False
        self._over = np.zeros(num_envs, np.bool_)
        self._waiting = NOBODY
        self._frames: list[list[NDArray[np.uint8]]] = [[] for _ in range(num_envs)]

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Start episodes.

        Args:
            seed: s for s, s + 1, …; a list with a seed for each environment; None continues the
                random streams.
            options: ``reset_mask`` (B,), bool, and options of the task.

        Returns:
            Observations (B, ...), outside the mask the latest ones, and infos, 0 outside the mask.

        Raises:
            ValueError: Seeds or mask have a wrong length, or an option has a wrong value.
            TypeError: The mask is no array of bools.
        """
        indices, options = masked_environments(options, self.num_envs)
        first = self.begin(self._rows(indices), seeds_for(seed, self.num_envs), options)
        # A step needs one reset of all environments; later ones may reset a part.
        self._started = self._started or len(indices) == self.num_envs
        # The other environments show their latest observations again.
        observations = self._latest.copy()
        observations[indices] = first
        self._over[indices] = False
        self.keep(observations, indices, indices)
        self._film(indices, indices)
        mask = np.zeros(self.num_envs, np.bool_)
        mask[indices] = True
        return observations, masked_infos(self._info(), mask)

    def step(self, actions: ArrayLike) -> Step:
        """Make one environment step in every environment.

        Returns:
            Observations (B, ...); rewards (B,), float64; terminated (B,) and truncated (B,), bool;
            infos, with ``final_obs`` and ``final_info`` of ended episodes in mode ``SAME_STEP``.

        Raises:
            gymnasium.error.ResetNeeded: An environment has no running episode.
            ValueError: The actions do not fit the action space.
        """
        actions = self.checked(actions)
        same_step = self._autoreset_mode is AutoresetMode.SAME_STEP
        # Environments whose episodes ended in an earlier step.
        waiting = NOBODY if same_step else np.flatnonzero(self._over)
        if len(waiting) and self._autoreset_mode is AutoresetMode.DISABLED:
            raise gym.error.ResetNeeded(
                f"the episodes of environments {waiting.tolist()} are over and autoreset is "
                'DISABLED; call reset(options={"reset_mask": mask}) before step()'
            )
        observations, rewards, terminated, truncated, info = self.advance(actions, waiting)
        if len(waiting):
            # Their action is ignored: this step starts their episodes.
            rewards[waiting], terminated[waiting], truncated[waiting] = 0.0, False, False
        ends: dict[str, Any] = {}
        fresh, over = waiting, terminated | truncated
        if same_step:
            fresh = np.flatnonzero(over)
            ends = _final_infos(over, fresh, observations, info) if len(fresh) else {}
        else:
            self._over = over.copy()
        if len(fresh):
            # The infos hold copies of the last observations already.
            observations[fresh] = self.begin(self._rows(fresh))
            info = self._info()
        self.keep(observations, fresh)
        self._film(EVERY, fresh)
        if info:
            ends = {**masked_infos(info, np.ones(self.num_envs, np.bool_)), **ends}
        return observations, rewards, terminated, truncated, ends

    def checked(self, actions: ArrayLike) -> NDArray[Any]:
        """Return valid actions (B, ...) as an array; raise as ``step`` does."""
        if not self._started:
            raise gym.error.ResetNeeded("call reset() before step()")
        space: Any = self.single_action_space
        array = np.asarray(actions)
        if isinstance(space, gym.spaces.Discrete):
            fits = array.dtype.kind in "iu" and array.shape == (self.num_envs,)
            if fits and array.min() >= 0 and array.max() < space.n:
                return array
        elif array.dtype.kind in "fiu" and array.shape == (self.num_envs, *space.shape):
            return array.astype(space.dtype, copy=False)
        raise ValueError(
            f"actions {array!r} do not fit the action space; expected {self.num_envs} actions of "
            f"{space}, one for each environment"
        )

    def advance(self, actions: NDArray[Any], waiting: NDArray[np.int64] = NOBODY) -> Step:
        """Make one environment step without checks and without starting new episodes.

        Environments ``waiting`` (n,) keep their random streams; their results mean nothing. Infos
        are valid until the next step.
        """
        self._waiting = waiting
        rewards, terminated = self._advance(actions)
        self._steps += 1
        observations = self._observe()
        return observations, rewards, terminated, self._steps >= self._limit, self._info()

    def begin(
        self,
        rows: Rows,
        seeds: Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> NDArray[Any]:
        """Start episodes in n environments; return their first observations (n, ...).

        ``seeds`` (B,) has a place for every environment; None continues the random streams.
        """
        self._steps[rows] = 0
        return self._start(rows, seeds, options)

    def keep(self, observations: NDArray[Any], fresh: NDArray[np.int64], new: Rows = EVERY) -> None:
        """Store the latest observations (B, ...); episodes of ``fresh`` (n,) began with them.

        ``new`` are the environments whose observations changed.
        """
        del fresh, new
        self._latest = observations.copy()

    def render(self) -> tuple[Any, ...] | None:
        """Draw every environment.

        Returns:
            B images (height, width, 3), uint8, in mode ``rgb_array``. In mode ``rgb_array_list``, B
            lists of images: the present episode's steps since the last call, as gymnasium's
            ``RenderCollection`` returns them. Otherwise None.
        """
        if self.render_mode is None:
            warn_of_no_render_mode("gym.make_vec")
            return None
        if self.render_mode == "rgb_array":
            return tuple(self.draw(index) for index in range(self.num_envs))
        frames, self._frames = self._frames, [[] for _ in range(self.num_envs)]
        return tuple(frames)

    @abstractmethod
    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return the image (height, width, 3), uint8, of one environment; needs a render mode."""

    @abstractmethod
    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[Any]:
        """Start episodes in n environments; return first observations (n, ...)."""

    @abstractmethod
    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Move every environment by one step; return rewards (B,) and terminated (B,)."""

    @abstractmethod
    def _observe(self) -> NDArray[Any]:
        """Return the present observations (B, ...), a new array."""

    def _info(self) -> Infos:
        """Return the present infos, each (B, ...); they may be views."""
        return {}

    def _film(self, rows: Rows, fresh: NDArray[np.int64]) -> None:
        """In mode ``rgb_array_list``, append images of ``rows``; first drop those of ``fresh``."""
        if self.render_mode == "rgb_array_list":
            for index in fresh:
                self._frames[index] = []
            for index in np.arange(self.num_envs)[rows]:
                self._frames[index].append(self.draw(index))

    def _rows(self, indices: NDArray[np.int64]) -> Rows:
        # A slice is faster than the indices of all environments.
        return EVERY if len(indices) == self.num_envs else indices


def seeds_for(seed: Seeds, num_envs: int) -> Sequence[int | None]:
    """Return a seed for each environment: s, s + 1, … for a number s, None for None.

    A list of another length, and seeds that are no integers, raise ValueError.
    """
    if seed is None:
        return [None] * num_envs
    if not isinstance(seed, Sequence | np.ndarray):
        return [typed(int, seed, "seed") + index for index in range(num_envs)]
    if len(seed) != num_envs:
        raise ValueError(f"seed lists {len(seed)} seeds for {num_envs} environments")
    return list(typed(tuple[int | None, ...], tuple(seed), "seed"))


def masked_environments(
    options: dict[str, Any] | None, num_envs: int
) -> tuple[NDArray[np.int64], dict[str, Any] | None]:
    """Return the indices that ``options["reset_mask"]`` picks, or all, and the other options.

    The rest is None where there are none. A wrong mask raises TypeError or ValueError.
    """
    if options is None or "reset_mask" not in options:
        return np.arange(num_envs), options
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"options['reset_mask'] must be a numpy array of bools, got {mask!r}")
    if mask.shape != (num_envs,) or not mask.any():
        raise ValueError(
            f"options['reset_mask'] must have shape ({num_envs},) and pick at least one "
            f"environment, got {mask}"
        )
    rest = {key: value for key, value in options.items() if key != "reset_mask"}
    return np.flatnonzero(mask), rest or None


def refuse_options(options: Mapping[str, Any] | None, task: str) -> None:
    """Raise ValueError if options remain beside the mask, for a task that has none."""
    if options:
        raise ValueError(
            f"options {sorted(options)} are unknown; {task} takes 'reset_mask' only: give settings "
            "to gym.make instead"
        )


def masked_infos(values: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return copies of infos, 0 outside a mask (B,), each with the mask under ``_key``."""
    infos: dict[str, Any] = {}
    for key, array in values.items():
        values_in_mask = array
        if not mask.all():
            values_in_mask = np.where(mask.reshape(-1, *[1] * (array.ndim - 1)), array, 0)
        infos[key] = values_in_mask.astype(array.dtype)
        infos[f"_{key}"] = mask.copy()
    return infos


def single_render_mode(render_mode: str | None) -> str | None:
    """Return the mode of a renderer inside a batch: None for None, otherwise ``rgb_array``."""
    return None if render_mode is None else "rgb_array"


def autoreset_mode_of(mode: AutoresetMode | str) -> AutoresetMode:
    """Return gymnasium's autoreset mode for a member or its value; ValueError if unknown."""
    try:
        return AutoresetMode(mode)
    except ValueError as error:
        allowed = ", ".join(str(each) for each in AutoresetMode)
        raise ValueError(
            f"autoreset_mode {mode!r} is unknown; allowed are gymnasium.vector's {allowed}, and "
            f"their values {', '.join(repr(each.value) for each in AutoresetMode)}"
        ) from error


def _final_infos(
    over: NDArray[np.bool_], ended: NDArray[np.int64], observations: NDArray[Any], info: Infos
) -> dict[str, Any]:
    """Return ``final_obs`` and ``final_info`` of ended episodes: mask (B,), indices (n,)."""
    # An object array with None elsewhere, as gymnasium returns it.
    final = np.full(len(over), None, object)
    for index, last in zip(ended.tolist(), observations[ended], strict=True):
        final[index] = last.copy()
    return {
        "final_obs": final,
        "_final_obs": over,
        "final_info": masked_infos(info, over),
        "_final_info": over.copy(),
    }


# ---- single --------------------------------------------------------------------------------------
class SingleEnv(gym.Env[NDArray[Any], Any]):
    """Gymnasium environment on a batch of one, without batch axis, step limit and autoreset.

    ``make_batch`` makes the batch from the render mode and ``arguments``; a render mode other than
    ``human``, ``rgb_array`` and None raises ValueError.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"]}  # noqa: RUF012 - gymnasium's own type

    def __init__(
        self, make_batch: Callable[..., BatchEnv], render_mode: str | None = None, **arguments: Any
    ) -> None:
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            raise ValueError(
                f"render_mode {render_mode!r} is unknown; allowed modes: {', '.join(modes)}"
            )
        self.render_mode = render_mode
        self.batch = make_batch(render_mode=single_render_mode(render_mode), **arguments)
        self.metadata = {**self.metadata, "render_fps": self.batch.metadata["render_fps"]}
        self.observation_space = self.batch.single_observation_space
        self.action_space = self.batch.single_action_space
        self._window = Window(self.metadata["render_fps"]) if render_mode == "human" else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Start an episode; return the observation and the info.

        A seed of None continues the random streams. An unknown option raises ValueError.
        """
        super().reset(seed=seed)
        observations, infos = self.batch.reset(seed=seed, options=options)
        self._show()
        return observations[0].copy(), {
            key: _plain(value[0]) for key, value in infos.items() if not key.startswith("_")
        }

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Make one environment step.

        ``truncated`` is always False, because gymnasium's ``TimeLimit`` truncates. Raises as the
        ``step`` of a batch.
        """
        # `advance` starts no new episode, as a single environment must not.
        actions = self.batch.checked(np.asarray(action)[np.newaxis])
        observations, rewards, terminated, _, info = self.batch.advance(actions)
        self.batch.keep(observations, NOBODY)
        self._show()
        values = {key: _plain(value[0]) for key, value in info.items()}
        return observations[0].copy(), float(rewards[0]), bool(terminated[0]), False, values

    def render(self) -> NDArray[np.uint8] | None:
        """Return an image (height, width, 3), uint8, in mode ``rgb_array``; otherwise None."""
        if self.render_mode is None:
            warn_of_no_render_mode("gym.make")
        return self.batch.draw(0) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Close the window of mode ``human``."""
        if self._window is not None:
            self._window.close()

    def _show(self) -> None:
        if self._window is not None:
            self._window.show(self.batch.draw(0))


def _plain(value: Any) -> Any:
    """Return a Python number for a numpy scalar, or a copy of an array."""
    return value.item() if isinstance(value, np.generic) else value.copy()


# ---- spike batch ---------------------------------------------------------------------------------
class SpikeBatch(BatchEnv):
    """Many environments whose observations are spikes, ``MultiBinary((T, N))`` or flat.

    A subclass draws each environment without its spikes (``_scene``) and returns its observations
    through ``_observation``. ``spike_shape`` is (T, N); a band of the drawn raster has
    ``channels_per_band`` rows; with ``flatten``, observations are ``FlatSpikes(T, N)``.
    """

    def __init__(
        self,
        num_envs: int,
        limit: int,
        spike_shape: tuple[int, int],
        action_space: gym.Space[Any],
        render_mode: str | None,
        flatten: bool,
        channels_per_band: int,
        autoreset_mode: AutoresetMode | str,
    ) -> None:
        self._spike_shape = spike_shape
        self._flat = FlatSpikes(*spike_shape) if flatten else None
        space = gym.spaces.MultiBinary(spike_shape) if self._flat is None else self._flat
        super().__init__(num_envs, limit, space, action_space, render_mode, autoreset_mode)
        self._renderers = [
            SpikeRenderer(channels_per_band) for _ in range(num_envs if render_mode else 0)
        ]

    def keep(self, observations: NDArray[Any], fresh: NDArray[np.int64], new: Rows = EVERY) -> None:
        """Store the latest spikes, also for the images; rasters of ``fresh`` start empty."""
        super().keep(observations, fresh, new)
        if self._renderers:
            for index in fresh:
                self._renderers[index].clear()
            for index in np.arange(self.num_envs)[new]:
                self._renderers[index].add(observations[index].reshape(self._spike_shape))

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return the image (height, width, 3), uint8, of one environment beside its spikes."""
        return self._renderers[index].draw(self._scene(index))

    def _observation(self, spikes: NDArray[np.int8]) -> NDArray[Any]:
        """Return spikes (n, T, N), int8, as observations."""
        return spikes if self._flat is None else self._flat.flatten(spikes)

    def _latest_spikes(self, index: int) -> NDArray[Any]:
        """Return the present spikes (T, N) of one environment."""
        spikes: NDArray[Any] = self._latest[index].reshape(self._spike_shape)
        return spikes

    @abstractmethod
    def _scene(self, index: int) -> NDArray[np.uint8]:
        """Draw the scene (height, width, 3), uint8, of one environment, without its spikes."""
