"""Batches of environments that step at once, their form with one environment, random streams."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
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
    The next episode starts in the same step (gymnasium's autoreset mode ``SAME_STEP``):
    ``infos["final_obs"]`` and ``infos["final_info"]`` hold the last observation and info. Returned
    arrays are never written again.

    A subclass starts episodes (``_start``), moves all environments by one step (``_advance``),
    observes them (``_observe``, ``_info``) and draws them (``draw``).

    Args:
        num_envs: Number B of environments, at least 1.
        limit: Environment steps after which an episode is truncated, at least 1.
        observation_space: Space of one environment.
        action_space: Space of one environment.
        render_mode: ``rgb_array`` or None.

    Raises:
        ValueError: A number is below 1, or the render mode is unknown.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - gymnasium's own type
        "render_modes": ["rgb_array"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int,
        limit: int,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        render_mode: str | None = None,
    ) -> None:
        if num_envs < 1 or limit < 1:
            raise ValueError(
                f"num_envs and max_episode_steps must be at least 1, got {num_envs} and {limit}"
            )
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(
                f"render_mode {render_mode!r} is not allowed for a batch of environments; use "
                "'rgb_array' or None, or make a single environment with gym.make"
            )
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space, self.single_action_space = observation_space, action_space
        self.observation_space = batch_space(observation_space, num_envs)
        self.action_space = batch_space(action_space, num_envs)
        self._limit = limit
        self._steps = np.zeros(num_envs, np.int64)
        self._latest = np.zeros(self.observation_space.shape or (), observation_space.dtype)
        self._started = False

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Start an episode in every environment.

        Args:
            seed: s for s, s + 1, …; a list with a seed for each environment; None continues the
                random streams.
            options: Options of the task.

        Returns:
            Observations (B, ...) and infos.

        Raises:
            ValueError: Seeds have a wrong length, or an option is unknown or has a wrong value.
        """
        observations = self.begin(EVERY, seeds_for(seed, self.num_envs), options)
        self._started = True
        self.keep(observations, np.arange(self.num_envs))
        return observations, masked_infos(self._info(), np.ones(self.num_envs, np.bool_))

    def step(self, actions: ArrayLike) -> Step:
        """Make one environment step in every environment.

        Returns:
            Observations (B, ...); rewards (B,), float64; terminated (B,) and truncated (B,), bool;
            infos, with ``final_obs`` and ``final_info`` where episodes ended.

        Raises:
            gymnasium.error.ResetNeeded: There was no reset.
            ValueError: The actions do not fit the action space.
        """
        observations, rewards, terminated, truncated, info = self.advance(self.checked(actions))
        ends: dict[str, Any] = {}
        over = terminated | truncated
        fresh = np.flatnonzero(over)
        if len(fresh):
            ends = _final_infos(over, fresh, observations, info)
            # A slice is faster than the indices of all environments.
            rows = EVERY if len(fresh) == self.num_envs else fresh
            observations[fresh] = self.begin(rows)
            info = self._info()
        self.keep(observations, fresh)
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

    def advance(self, actions: NDArray[Any]) -> Step:
        """Make one environment step without checks and without starting new episodes.

        Infos are valid until the next step.
        """
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

    def keep(self, observations: NDArray[Any], fresh: NDArray[np.int64]) -> None:
        """Store the latest observations (B, ...); episodes of ``fresh`` (n,) began with them."""
        del fresh
        self._latest = observations.copy()

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return an image (height, width, 3), uint8, of each environment; None without a mode."""
        if self.render_mode is None:
            warn_of_no_render_mode("gym.make_vec")
            return None
        return tuple(self.draw(index) for index in range(self.num_envs))

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


def refuse_options(options: Mapping[str, Any] | None, task: str) -> None:
    """Raise ValueError for options of a task that has none."""
    if options:
        raise ValueError(
            f"options {sorted(options)} are unknown; {task} takes none: give settings to gym.make "
            "instead"
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


def single_env(batch_class: type[BatchEnv]) -> type[SingleEnv]:
    """Return the class of single environments of a batch class; ``Recall`` gives ``RecallEnv``."""

    def start(self: SingleEnv, render_mode: str | None = None, **arguments: Any) -> None:
        SingleEnv.__init__(self, batch_class, render_mode, num_envs=1, **arguments)

    names = {
        "__init__": start,
        "__doc__": batch_class.__doc__,
        "__module__": batch_class.__module__,
    }
    return type(f"{batch_class.__name__}Env", (SingleEnv,), names)


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
    ) -> None:
        self._spike_shape = spike_shape
        self._flat = FlatSpikes(*spike_shape) if flatten else None
        space = gym.spaces.MultiBinary(spike_shape) if self._flat is None else self._flat
        super().__init__(num_envs, limit, space, action_space, render_mode)
        self._renderers = [
            SpikeRenderer(channels_per_band) for _ in range(num_envs if render_mode else 0)
        ]

    def keep(self, observations: NDArray[Any], fresh: NDArray[np.int64]) -> None:
        """Store the latest spikes, also for the images; rasters of ``fresh`` start empty."""
        super().keep(observations, fresh)
        if self._renderers:
            for index in fresh:
                self._renderers[index].clear()
            for renderer, spikes in zip(self._renderers, observations, strict=True):
                renderer.add(spikes.reshape(self._spike_shape))

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


# ---- random streams ------------------------------------------------------------------------------
_START_ROWS = 32
_BLOCK_BYTES = 1 << 15
_WORD_BYTES = 8
# The generator of start states uses the same seed without a spawn key.
_SPAWN_KEY = (1,)

GeneratorT = TypeVar("GeneratorT")


class _BlockStreams(ABC, Generic[GeneratorT]):
    """Rows of random numbers, drawn in blocks from one generator per environment.

    ``blocks`` (B, rows, padded width) stores the rows drawn ahead, ``width`` entries of each are
    used. Drawing ahead changes the speed, not the numbers.
    """

    def __init__(self, blocks: NDArray[Any], width: int) -> None:
        self._blocks = blocks
        self._width = width
        self._generators = [self._generator(None) for _ in blocks]
        self._used = np.full(len(blocks), blocks.shape[1])

    def seed(self, seeds: Sequence[int | None] | None, rows: Rows) -> None:
        """Restart the streams of ``rows`` with ``seeds`` (B,); None continues a stream, or all."""
        if seeds is None:
            return
        for index in self._indices(rows):
            seed = seeds[index]
            if seed is not None:
                self._generators[index] = self._generator(seed)
                self._used[index] = self._blocks.shape[1]

    def take(self, rows: Rows) -> NDArray[Any]:
        """Return the next random numbers (n, width) of environments ``rows``, which must differ."""
        indices = self._indices(rows)
        used = self._used[indices]
        spent = indices[used == self._blocks.shape[1]]
        if len(spent):
            for index in spent:
                self._draw(self._generators[index], self._blocks[index])
            self._used[spent] = 0
            used = self._used[indices]
        self._used[indices] += 1
        drawn: NDArray[Any] = self._blocks[indices, used]
        # Slicing in the same index would be slower where the width needs no cut.
        return drawn if drawn.shape[1] == self._width else drawn[:, : self._width].copy()

    def _indices(self, rows: Rows) -> NDArray[np.int64]:
        return np.arange(len(self._used)) if isinstance(rows, slice) else rows

    @abstractmethod
    def _generator(self, seed: int | None) -> GeneratorT:
        """Return the generator of a seed; of None, an unseeded one."""

    @abstractmethod
    def _draw(self, generator: GeneratorT, block: NDArray[Any]) -> None:
        """Fill a block (rows, padded width) with the next rows."""


class StartStreams(_BlockStreams[np.random.Generator]):
    """Uniform numbers in [0, 1), float64, drawn as gymnasium's ``np_random`` does."""

    def __init__(self, num_envs: int, width: int) -> None:
        super().__init__(np.empty((num_envs, _START_ROWS, width)), width)

    def _generator(self, seed: int | None) -> np.random.Generator:
        return seeding.np_random(seed)[0]

    def _draw(self, generator: np.random.Generator, block: NDArray[Any]) -> None:
        # random(out=(k, d)) gives the numbers of k calls with size=d.
        generator.random(out=block)


class NoiseStreams(_BlockStreams[np.random.SFC64]):
    """Bytes, uniform in [0, 255]: the words of ``SFC64(SeedSequence(seed, spawn_key=(1,)))``.

    Each row begins with a new 64-bit word.
    """

    def __init__(self, num_envs: int, width: int) -> None:
        padded = -(-width // _WORD_BYTES) * _WORD_BYTES
        rows = min(64, max(4, _BLOCK_BYTES // padded))
        super().__init__(np.empty((num_envs, rows, padded), np.uint8), width)

    def _generator(self, seed: int | None) -> np.random.SFC64:
        if seed is None:
            return np.random.SFC64()
        return np.random.SFC64(np.random.SeedSequence(seed, spawn_key=_SPAWN_KEY))

    def _draw(self, generator: np.random.SFC64, block: NDArray[Any]) -> None:
        words = generator.random_raw(block.size // _WORD_BYTES)
        # (rows * words,) uint64 -> (rows, padded) uint8
        block[:] = words.view(np.uint8).reshape(block.shape)


def byte_rate(probability: float) -> int:
    """Return t, 0 to 255: a random byte is below t with the probability, rounded to 1/256.

    Other probabilities raise ValueError.
    """
    threshold = round(probability * 256)
    if not 0 <= threshold <= 255:
        raise ValueError(
            f"the probability of a spike in a time step must be in [0, 255/256], got {probability}"
        )
    return threshold
