"""Films of episodes with the spikes of the agent's network."""

from __future__ import annotations

import base64
import contextlib
import html
import io
import itertools
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.config import Config, Count, Range
from snn_gym._base.lazy import import_extra
from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import write_bytes_atomic
from snn_gym.envs.registry import make_task
from snn_gym.envs.stable_baselines import EnvironmentLike, Given
from snn_gym.plots.frames import (
    Frame,
    LayerSpikes,
    Pixels,
    PlayedDecision,
    draw_frame,
    play_episode,
    shown_steps,
)
from snn_gym.policies.raw_observations import Acting, ActingPolicy, raw_policy
from snn_gym.zoo.build import check_spaces

Shot = Callable[[], Frame]
"""Function that draws the task now and returns the frame."""

# ---- film files ----------------------------------------------------------------------------------
MOST_GIF_BYTES = 1_000_000
"""Size above which frames of a GIF are left out."""

_FEWEST_FRAMES = 10
_SAMPLED_PICTURES = 8


def check_film_path(path: Path) -> Path:
    """Return the path of a film, or raise ``ValueError`` if it cannot be written here."""
    if path.suffix not in (".gif", ".mp4"):
        raise ValueError(f"{path} names no film; expected a name that ends in .gif or .mp4")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}; make it first")
    if path.suffix == ".mp4":
        _mp4_writer(path)
    return path


def write_film(frames: Sequence[Frame], path: Path, frames_per_second: int) -> int:
    """Write frames of equal sizes as a film and return the number written.

    The last stays for a second. Of a GIF above ``MOST_GIF_BYTES`` every second frame is left out,
    at half the pace, until it is small enough or has at most ten frames.
    """
    pictures = [draw_frame(frame) for frame in frames]
    if path.suffix == ".mp4":
        _write_mp4(pictures, path, frames_per_second)
        return len(pictures)
    images, duration_ms = _in_one_palette(pictures), 1000 / frames_per_second
    data = _encode_gif(images, duration_ms)
    while len(data) > MOST_GIF_BYTES and len(images) > _FEWEST_FRAMES:
        # The last one stays, for it shows how an episode ends.
        images, duration_ms = [*images[:-1:2], images[-1]], 2 * duration_ms
        data = _encode_gif(images, duration_ms)
    write_bytes_atomic(path, data)
    return len(images)


def _encode_gif(images: Sequence[Image.Image], duration_ms: float) -> bytes:
    durations_ms = [duration_ms] * (len(images) - 1) + [max(1000.0, duration_ms)]
    file = io.BytesIO()
    images[0].save(
        file, "GIF", save_all=True, append_images=images[1:], duration=durations_ms, loop=0
    )
    return file.getvalue()


def _in_one_palette(pictures: Sequence[Pixels]) -> list[Image.Image]:
    """Return pictures in the 256 commonest colours, without dithering, which would cost bytes."""
    sampled = pictures[:: -(-len(pictures) // _SAMPLED_PICTURES)]
    colours = Image.fromarray(np.concatenate(sampled)).quantize(dither=Image.Dither.NONE)
    images = map(Image.fromarray, pictures)
    return [x.quantize(palette=colours, dither=Image.Dither.NONE) for x in images]


def _mp4_writer(path: Path) -> Any:
    """Return the package that writes an mp4 and ships ffmpeg; ``ValueError`` without it."""
    need = f"{path}: write {path.with_suffix('.gif').name}, or an mp4 by imageio-ffmpeg"
    return import_extra("imageio_ffmpeg", need, "films", ValueError)


def _write_mp4(pictures: Sequence[Pixels], path: Path, frames_per_second: int) -> None:
    height, width = pictures[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder, path.name)
        writer = _mp4_writer(path).write_frames(
            str(film), (width, height), fps=frames_per_second, macro_block_size=2
        )
        writer.send(None)
        for picture in [*pictures, *[pictures[-1]] * (frames_per_second - 1)]:
            writer.send(picture)
        writer.close()
        write_bytes_atomic(path, film.read_bytes())


# ---- films ---------------------------------------------------------------------------------------
MOST_FRAMES = 250
"""Frames of a film; of more decisions every second (fourth, …) is shown."""

_FEW_VALUES = 4


@dataclass(frozen=True)
class FilmSettings(Config):
    """Content and speed of a film."""

    episodes: Count = 1
    """Episodes, one after the other."""
    seed: Annotated[int, Range(at_least=0, at_most=2**32 - 1)] = 0
    """Seed of the first; each further one has the next."""
    max_steps: Count | None = None
    """Decisions of an episode that are played, at most; None for all."""
    frames_per_second: Annotated[int, Range(at_least=1, at_most=50)] = 25
    """Pace; a GIF can have no more than 50."""


@dataclass(frozen=True)
class Played:
    """An episode that a film shows."""

    seed: int
    decisions: int
    """Decisions played."""
    episode_return: float
    """Undiscounted sum of their rewards."""
    spikes_per_decision: float | None
    """Mean over them, all layers and the input together; None if the agent does not spike."""


@dataclass(frozen=True)
class Film:
    """Episodes that were filmed."""

    episodes: tuple[Played, ...]
    frames: int
    """Frames shown."""
    heading: str = ""
    """Agent and environment."""
    gif: bytes | None = field(default=None, repr=False)
    """The film as a GIF; None of an mp4."""

    def _repr_html_(self) -> str | None:
        """Return the film with the returns of its episodes, for notebooks."""
        if self.gif is None:
            return None
        source = f"data:image/gif;base64,{base64.b64encode(self.gif).decode()}"
        words = self.heading + "".join(
            f", seed {x.seed}: return {shown_return(x.episode_return)}" for x in self.episodes
        )
        words = html.escape(words)
        film = f'<img src="{source}" alt="{words}" style="max-width:100%">'
        caption = f"<figcaption>{words}</figcaption>"
        return f'<figure style="margin:0.5em 0">{film}{caption}</figure>'


def record_film(
    model_or_policy: BaseAlgorithm | Acting,
    env_id: EnvironmentLike,
    path: str | Path | None = None,
    settings: FilmSettings | None = None,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Film:
    """Play episodes deterministically and return them as a film, written to a file if there is one.

    The task is above, as its ``rgb_array`` shows it after each decision; below it scroll the spikes
    of every layer, with those of the input where the network sees spikes. A film has at most
    ``MOST_FRAMES`` frames, a GIF fewer if it would grow beyond a megabyte, and the last decision
    played is in it.

    Args:
        model_or_policy: Stable-Baselines3 model or policy. Of a policy without ``record``, or one
            that does not spike, there is no raster.
        env_id: Gymnasium id; or an environment, which stays open, a callable that makes one, or a
            VecEnv of single ones, whose first is shown: made with ``render_mode="rgb_array"``.
        path: File to write, ``.gif`` or ``.mp4``; an earlier one is replaced. None for no file: a
            notebook shows the returned film, a GIF, without one.
        settings: Episodes, seed and pace; the defaults if None.
        env_kwargs: Arguments of an id, as ``gym.make`` takes them.
        name: Name of the agent in the film; the class of the policy if None.

    Returns:
        The episodes played, and the film.

    Raises:
        ValueError: The file can't be written here, the environment draws nothing, or the policy
            is for other spaces.
        gymnasium.error.Error: The environment is unknown.
    """
    path = None if path is None else check_film_path(Path(path))
    settings = settings or FilmSettings()
    player = _Player(model_or_policy, env_id, env_kwargs, name)
    with one_thread(), contextlib.closing(player):
        frames = evenly(player.play(settings))
    with tempfile.TemporaryDirectory() as folder:
        file = path or Path(folder) / "film.gif"
        count = write_film(frames, file, settings.frames_per_second)
        gif = None if file.suffix == ".mp4" else file.read_bytes()
        return Film(tuple(player.played), count, player.heading, gif)


class _Player:
    """An agent in its environment, which is made to be drawn."""

    def __init__(
        self,
        model_or_policy: BaseAlgorithm | Acting,
        env_id: EnvironmentLike,
        env_kwargs: Mapping[str, Any] | None,
        name: str | None,
    ) -> None:
        given = Given(env_id, env_kwargs)
        self.policy: ActingPolicy = raw_policy(model_or_policy, given.acted_in, env_kwargs)
        name = name or type(getattr(self.policy, "inner", self.policy)).__name__
        self.heading = f"{name} on {given.name}"
        self.played: list[Played] = []
        self._closes = given.count is None  # not a caller's own environment
        if isinstance(env_id, str):
            self.env = _drawn(env_id, env_kwargs)
        else:
            self.env = given.single()
            if self.env.render_mode != "rgb_array":
                raise ValueError(
                    f"{given.name} was made with render_mode {self.env.render_mode!r}, which draws "
                    'no film; make it with render_mode="rgb_array"'
                )
        check_spaces(self.policy, self.env, self.heading)

    def close(self) -> None:
        if self._closes:
            self.env.close()

    def play(self, settings: FilmSettings) -> Iterator[Shot]:
        """Play the episodes into `played`; after each decision yield a function for its frame.

        The function draws the task as it is when called: call it before the next decision.
        """
        for seed in range(settings.seed, settings.seed + settings.episodes):
            latest: list[list[NDArray[np.bool_]]] = []  # of each decision (T, N) of each layer
            counts: list[int] = []
            self.played.append(Played(seed, 0, 0.0, None))
            decisions = play_episode(self.policy, self.env, seed)
            for decision in itertools.islice(decisions, settings.max_steps):
                if decision.layers:
                    latest.append([x.spikes[:, 0].cpu().numpy() > 0 for x in decision.layers])
                    counts.append(sum(int(spikes.sum()) for spikes in latest[-1]))
                    time_steps = len(latest[-1][0])
                    del latest[: -math.ceil(shown_steps(time_steps) / time_steps)]
                mean = float(np.mean(counts)) if counts else None
                self.played[-1] = Played(seed, decision.index, decision.episode_return, mean)
                yield partial(self._frame, decision, latest, f"episode of seed {seed}")

    def _frame(
        self, decision: PlayedDecision, latest: Sequence[Sequence[NDArray[np.bool_]]], episode: str
    ) -> Frame:
        picture = self.env.render()
        if not isinstance(picture, np.ndarray) or picture.ndim != 3:
            raise ValueError(
                f"{self.heading}: the environment draws {type(picture).__name__}, expected an "
                'image (height, width, 3); give it the render mode "rgb_array"'
            )
        status = (
            f"decision {decision.index}   action {describe_action(decision.action)}   "
            f"return {shown_return(decision.episode_return)}"
        )
        heading = f"{self.heading}, {episode}"
        if not latest:
            return Frame(picture, (), 0, heading, status)
        status += f"   {sum(int(spikes.sum()) for spikes in latest[-1])} spikes"
        names = [layer.name for layer in decision.layers]
        spikes = [np.concatenate(parts) for parts in zip(*latest, strict=True)]
        layers = tuple(map(LayerSpikes, names, spikes))
        return Frame(picture, layers, len(latest[-1][0]), heading, status)


def _drawn(env_id: str, env_kwargs: Mapping[str, Any] | None) -> gym.Env[Any, Any]:
    """Make an environment that draws its images; ``ValueError`` if it can't."""
    try:
        env = make_task(env_id, **{**(env_kwargs or {}), "render_mode": "rgb_array"})
    except TypeError as error:
        raise ValueError(
            f"{env_id} can't be drawn: {error}; its class needs an argument render_mode that takes "
            '"rgb_array"'
        ) from error
    modes = env.metadata.get("render_modes", ())
    if "rgb_array" not in modes:
        env.close()
        raise ValueError(
            f"{env_id} can't be drawn: its metadata has the render_modes {list(modes)}; give its "
            'class "rgb_array" among them, and a method render that returns the image'
        )
    return env


def evenly(shots: Iterable[Shot]) -> list[Frame]:
    """Draw evenly spaced shots and the last one, at most ``MOST_FRAMES`` together."""
    frames: list[Frame] = []
    stride = 1
    skipped: Shot | None = None
    for index, shot in enumerate(shots):
        if index % stride == 0 and len(frames) == MOST_FRAMES - 1:
            frames, stride = frames[::2], 2 * stride
        skipped = shot
        if index % stride == 0:
            frames.append(shot())
            skipped = None
    if skipped is not None:
        frames.append(skipped())
    return frames


def describe_action(action: Any) -> str:
    """Return an action as text; of more than four values their counts or their mean."""
    values = np.asarray(action).ravel()
    is_integer = values.dtype.kind in "biu"
    if len(values) <= _FEW_VALUES:
        return " ".join(f"{x:d}" if is_integer else f"{x:+.2f}" for x in values)
    kinds, counts = np.unique(values, return_counts=True)
    if is_integer and len(kinds) <= _FEW_VALUES:
        return ", ".join(f"{n} × {kind:d}" for kind, n in zip(kinds, counts, strict=True))
    return f"of {len(values)} values, mean {values.mean():+.2f}"


def shown_return(value: float) -> str:
    """Return a return (reward units) as text, without decimals if it has none."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"
