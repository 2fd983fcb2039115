"""Play episodes and show them as films: in a file, or in a window as they are played."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.config import Config, Count, Range
from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import write_bytes_atomic
from snn_gym.envs.registry import make_task
from snn_gym.plots.frames import (
    Decision,
    Frame,
    LayerSpikes,
    Pixels,
    draw_frame,
    film_colours,
    fitted,
    play_episode,
    shown_steps,
)
from snn_gym.policies.protocols import Acting, ActingPolicy
from snn_gym.policies.raw_observations import RawPolicy, raw_policy
from snn_gym.zoo.build import as_learned

# ---- film files ----------------------------------------------------------------------------------
FILM_FORMATS = (".gif", ".mp4")
"""How the names of films end."""

MOST_GIF_BYTES = 1_000_000
"""Size above which frames of a GIF are left out."""

_FEWEST_FRAMES = 10
_COLOURS = 256
_SAMPLED_PICTURES = 8


def check_film_path(path: Path) -> Path:
    """Return where a film is to be written, if it can be.

    Args:
        path: The file.

    Raises:
        ValueError: The format is unknown, its folder is missing, or an mp4 needs ffmpeg, which is
            not installed.
    """
    if path.suffix not in FILM_FORMATS:
        raise ValueError(f"{path} names no film; expected a name that ends in .gif or .mp4")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}; make it first")
    if path.suffix == ".mp4" and shutil.which("ffmpeg") is None:
        raise ValueError(
            f"{path}: an mp4 needs the program ffmpeg, which was not found; install it, or write "
            f"{path.with_suffix('.gif').name}"
        )
    return path


def write_film(frames: Sequence[Frame], path: Path, frames_per_second: int) -> int:
    """Write frames one after the other; the last one stays for a second.

    Of a GIF of more than ``MOST_GIF_BYTES`` every second frame is left out, at half the pace, until
    it is small enough.

    Args:
        frames: At least one, of equal sizes.
        path: File, ``.gif`` or ``.mp4``.
        frames_per_second: Pace.

    Returns:
        Frames in the film.

    Raises:
        ValueError: ffmpeg failed.
    """
    if path.suffix == ".mp4":
        last = itertools.repeat(draw_frame(frames[-1]), frames_per_second - 1)
        _write_mp4(itertools.chain(map(draw_frame, frames), last), path, frames_per_second)
        return len(frames)
    palette, duration_ms = _palette(frames), 1000 / frames_per_second
    data = _encode_gif(frames, palette, duration_ms)
    while len(data) > MOST_GIF_BYTES and len(frames) > _FEWEST_FRAMES:
        # The last one stays, for it shows how an episode ends.
        frames, duration_ms = [*frames[:-1:2], frames[-1]], 2 * duration_ms
        data = _encode_gif(frames, palette, duration_ms)
    write_bytes_atomic(path, data)
    return len(frames)


def _encode_gif(frames: Sequence[Frame], palette: Palette, duration_ms: float) -> bytes:
    first, *others = (palette.image(draw_frame(frame)) for frame in frames)
    durations_ms = [duration_ms] * len(others) + [max(1000.0, duration_ms)]
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=durations_ms, loop=0)
    return file.getvalue()


class Palette:
    """At most 256 colours, and the nearest of them to any other.

    Pillow's own search is approximate, and gives equal areas different colours.
    """

    def __init__(self, colours: NDArray[np.uint8]) -> None:
        """Prepare the search.

        Args:
            colours: (n, 3) RGB, n at most 256; of equal ones the first is taken.
        """
        self.colours = colours
        self._nearest = np.full(1 << 24, -1, np.int16)

    def image(self, picture: Pixels) -> Image.Image:
        """Return a picture in these colours, without dithering, which would cost bytes."""
        image = Image.frombytes("P", picture.shape[1::-1], self.indices(picture).tobytes())
        image.putpalette(self.colours.tobytes())
        return image

    def indices(self, picture: Pixels) -> NDArray[np.uint8]:
        """Return the number of the nearest colour of every pixel, (height, width)."""
        packed = picture.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
        found = self._nearest[packed]
        unknown = np.unique(packed[found < 0])
        if len(unknown):
            rgb = unknown[:, np.newaxis] >> np.array([16, 8, 0]) & 255
            differences = rgb[:, np.newaxis] - self.colours.astype(np.int64)
            self._nearest[unknown] = np.square(differences).sum(axis=2).argmin(axis=1)
            found = self._nearest[packed]
        return found.astype(np.uint8)


def _palette(frames: Sequence[Frame]) -> Palette:
    """Return the film's colours: those of the raster, and the tasks' commonest."""
    fixed = film_colours([layer.name for layer in frames[0].layers])
    sampled = frames[:: -(-len(frames) // _SAMPLED_PICTURES)]
    pixels = np.concatenate([fitted(frame.picture).reshape(1, -1, 3) for frame in sampled], axis=1)
    reduced = Image.fromarray(pixels).quantize(_COLOURS - len(fixed), dither=Image.Dither.NONE)
    of_tasks = np.array(reduced.getpalette() or [], np.uint8).reshape(-1, 3)
    return Palette(np.concatenate([np.array(fixed, np.uint8), of_tasks])[:_COLOURS])


def _write_mp4(pictures: Iterator[Pixels], path: Path, frames_per_second: int) -> None:
    first = next(pictures)
    height, width = first.shape[:2]
    command = [
        *("ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{width}x{height}", "-r", str(frames_per_second), "-i", "-"),
        *("-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path.absolute())),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None  # asked for above
        assert process.stderr is not None
        try:
            for picture in itertools.chain([first], pictures):
                process.stdin.write(picture.tobytes())
            process.stdin.close()
        except BrokenPipeError:
            pass  # ffmpeg gave up, and says why below
        said = process.stderr.read().decode("utf-8", "replace").strip()
    if process.returncode != 0:
        raise ValueError(f"{path}: ffmpeg failed: {said or 'it said nothing'}; write a .gif")


# ---- window --------------------------------------------------------------------------------------
_DOTS_PER_INCH = 100
_SHORTEST_WAIT_S = 0.001  # 0 would be for ever


def check_window() -> None:
    """Do nothing where a window can be opened.

    Raises:
        ValueError: None can be: there is no display, or matplotlib has no backend for it.
    """
    # Only here, because pyplot is what chooses a backend.
    import matplotlib.pyplot as plt

    refusal = "no window can be opened here: {}; write the film to a file with --save film.gif"
    try:
        figure = plt.figure()
    except ImportError as error:
        raise ValueError(refusal.format(error)) from error
    interactive = figure.canvas.required_interactive_framework is not None
    plt.close(figure)
    if not interactive:
        backend = mpl.get_backend()
        raise ValueError(
            refusal.format(f"matplotlib's backend is {backend}, for lack of a display")
        )


def show_frames(pictures: Iterable[Pixels], frames_per_second: int, heading: str) -> int:
    """Show pictures in a window until they end or it is closed.

    Args:
        pictures: (height, width, 3), uint8, of equal sizes.
        frames_per_second: Pace, if they come so fast.
        heading: Title of the window.

    Returns:
        How many were shown.

    Raises:
        ValueError: No window can be opened.
    """
    check_window()
    import matplotlib.pyplot as plt

    figure: Any = None
    shown, due_s = 0, time.monotonic()
    for picture in pictures:
        if figure is None:
            figure, image = _open(picture, heading)
        elif not plt.fignum_exists(figure.number):
            break
        image.set_data(picture)
        figure.canvas.draw_idle()
        due_s = max(due_s + 1 / frames_per_second, time.monotonic())
        figure.canvas.start_event_loop(max(_SHORTEST_WAIT_S, due_s - time.monotonic()))
        shown += 1
    if figure is not None:
        plt.close(figure)
    return shown


def _open(picture: Pixels, heading: str) -> tuple[Any, Any]:
    import matplotlib.pyplot as plt

    height, width = picture.shape[:2]
    with mpl.rc_context({"toolbar": "none"}):
        size = (width / _DOTS_PER_INCH, height / _DOTS_PER_INCH)
        figure = plt.figure(figsize=size, dpi=_DOTS_PER_INCH)
    assert figure.canvas.manager is not None  # of a figure of pyplot's
    figure.canvas.manager.set_window_title(heading)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    image = axes.imshow(picture, aspect="equal")
    plt.show(block=False)
    return figure, image


# ---- films ---------------------------------------------------------------------------------------
MOST_FRAMES = 250
"""Frames of a film; of more decisions every second (fourth, …) is shown."""

_LARGEST_SEED = 2**32 - 1
_FEW_VALUES = 4


@dataclass(frozen=True)
class FilmSettings(Config):
    """Content and speed of a film."""

    episodes: Count = 1
    """Episodes, one after the other."""
    seed: Annotated[int, Range(at_least=0, at_most=_LARGEST_SEED)] = 0
    """Seed of the first; each further one has the next."""
    max_steps: Count | None = None
    """Decisions of an episode that are played, at most; None for all."""
    frames_per_second: Annotated[int, Range(at_least=1, at_most=50)] = 25
    """Pace; a GIF can have no more than 50."""


@dataclass(frozen=True)
class Played:
    """An episode that a film shows."""

    seed: int
    """Its seed."""
    decisions: int
    """Decisions played."""
    episode_return: float
    """Undiscounted sum of their rewards."""
    spikes_per_decision: float | None
    """Mean over them, all layers and the input together; None if the agent does not spike."""


@dataclass(frozen=True)
class Film:
    """Episodes that were shown."""

    episodes: tuple[Played, ...]
    """Those played, in order; the last one unfinished if a window was closed."""
    frames: int
    """Frames shown."""


def record_film(
    model_or_policy: BaseAlgorithm | Acting,
    env_id: str,
    path: str | Path,
    settings: FilmSettings | None = None,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Film:
    """Play episodes deterministically and write them as a film.

    The task is above, as its ``rgb_array`` shows it after each decision; below it scroll the spikes
    of every layer, with those of the input where the network sees spikes. A film has at most
    ``MOST_FRAMES`` frames, a GIF fewer if it would grow beyond a megabyte, and the last decision
    played is in it.

    Args:
        model_or_policy: Stable-Baselines3 model or policy. Of a policy without ``record``, or one
            that does not spike, there is no raster.
        env_id: Gymnasium id.
        path: File to write, ``.gif`` or ``.mp4``; an earlier one is replaced.
        settings: Episodes, seed and pace; the defaults if None.
        env_kwargs: Arguments of the environment, as ``gym.make`` takes them.
        name: What the film calls the agent; the class of the policy if None.

    Returns:
        What was played.

    Raises:
        ValueError: The file can't be written here, the environment draws nothing, or the policy
            is for other spaces.
        gymnasium.error.Error: The environment is unknown.
    """
    path = check_film_path(Path(path))
    settings = settings or FilmSettings()
    kept = _Kept()
    with one_thread():
        film = _Filming(model_or_policy, env_id, settings, env_kwargs, name)
        for shot in film.play():
            kept.add(shot)
    kept.add_last()
    frames = write_film(kept.frames, path, settings.frames_per_second)
    return Film(tuple(film.played), frames)


def show_film(
    model_or_policy: BaseAlgorithm | Acting,
    env_id: str,
    settings: FilmSettings | None = None,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Film:
    """Play episodes deterministically and show every decision in a window, as ``record_film``.

    Closing the window ends it.

    Args:
        model_or_policy: As for ``record_film``.
        env_id: Gymnasium id.
        settings: Episodes, seed and pace; the defaults if None.
        env_kwargs: Arguments of the environment, as ``gym.make`` takes them.
        name: What the window calls the agent; the class of the policy if None.

    Returns:
        What was played.

    Raises:
        ValueError: No window can be opened here, the environment draws nothing, or the policy is
            for other spaces.
        gymnasium.error.Error: The environment is unknown.
    """
    settings = settings or FilmSettings()
    with one_thread():
        film = _Filming(model_or_policy, env_id, settings, env_kwargs, name)
        with contextlib.closing(film.play()) as shots:
            pictures = (draw_frame(shot()) for shot in shots)
            frames = show_frames(pictures, settings.frames_per_second, f"{film.name} on {env_id}")
    return Film(tuple(film.played), frames)


class _Filming:
    """An agent in its environment, and the spikes of its latest decisions."""

    def __init__(
        self,
        model_or_policy: BaseAlgorithm | Acting,
        env_id: str,
        settings: FilmSettings,
        env_kwargs: Mapping[str, Any] | None,
        name: str | None,
    ) -> None:
        self.policy: ActingPolicy = raw_policy(model_or_policy, env_id, env_kwargs)
        self.name = name or type(getattr(self.policy, "inner", self.policy)).__name__
        self.played: list[Played] = []
        self._settings = settings
        self._heading = f"{self.name} on {env_id}"
        self._env = _make_drawn(env_id, env_kwargs or {})
        _check_spaces(self.policy, self._env, self._heading)
        self._latest: deque[tuple[NDArray[np.bool_], ...]] = deque()

    def play(self) -> Generator[Callable[[], Frame], None, None]:
        """Yield after each decision what draws its frame, good until the next one."""
        first = self._settings.seed
        try:
            for seed in range(first, first + self._settings.episodes):
                yield from self._play_episode(seed)
        finally:
            self._env.close()

    def _play_episode(self, seed: int) -> Generator[Callable[[], Frame], None, None]:
        self._latest.clear()
        spikes: list[int] = []
        self.played.append(Played(seed, 0, 0.0, None))
        for decision in play_episode(self.policy, self._env, seed):
            recording = decision.recording
            if recording is not None and recording.layers:
                self._remember(recording.layers)
                spikes.append(sum(int(x.sum()) for x in self._latest[-1]))
            self.played[-1] = Played(
                seed,
                decision.index,
                decision.episode_return,
                float(np.mean(spikes)) if spikes else None,
            )
            yield functools.partial(self._frame, decision, seed, spikes[-1] if spikes else None)
            if decision.index == self._settings.max_steps:
                return

    def _remember(self, layers: Sequence[Any]) -> None:
        # (T, 1, N) of each layer -> (T, N)
        self._latest.append(tuple(x.spikes[:, 0].cpu().numpy() > 0 for x in layers))
        time_steps = len(self._latest[-1][0])
        while (len(self._latest) - 1) * time_steps >= shown_steps(time_steps):
            self._latest.popleft()

    def _frame(self, decision: Decision, seed: int, spikes: int | None) -> Frame:
        picture = self._env.render()
        if not isinstance(picture, np.ndarray) or picture.ndim != 3:
            raise ValueError(
                f"{self._heading}: the environment draws {type(picture).__name__}, expected an "
                'image (height, width, 3); give it the render mode "rgb_array"'
            )
        layers: tuple[LayerSpikes, ...] = ()
        if self._latest:
            assert decision.recording is not None  # or nothing had been remembered
            names = [layer.name for layer in decision.recording.layers]
            together = (np.concatenate(x) for x in zip(*self._latest, strict=True))
            layers = tuple(map(LayerSpikes, names, together))
        status = [
            f"decision {decision.index}",
            f"action {describe_action(decision.action)}",
            f"return {shown_return(decision.episode_return)}",
            *([] if spikes is None else [f"{spikes} spikes"]),
        ]
        time_steps = len(self._latest[-1][0]) if self._latest else 0
        heading = f"{self._heading}, episode of seed {seed}"
        return Frame(picture, layers, time_steps, heading, "   ".join(status))


@dataclass(eq=False)
class _Kept:
    """An even subsample of the decisions, drawn; of bounded size."""

    frames: list[Frame] = field(default_factory=list)
    _stride: int = 1
    _seen: int = 0
    _passed_over: Callable[[], Frame] | None = None

    def add(self, shot: Callable[[], Frame]) -> None:
        self._passed_over = shot
        if self._seen % self._stride == 0:
            if len(self.frames) == MOST_FRAMES - 1:
                self.frames = self.frames[::2]
                self._stride *= 2
            if self._seen % self._stride == 0:
                self.frames.append(shot())
                self._passed_over = None
        self._seen += 1

    def add_last(self) -> None:
        if self._passed_over is not None:
            self.frames.append(self._passed_over())


def describe_action(action: Any) -> str:
    """Return an action in a few letters.

    Args:
        action: A number, or an array; of one with many values, how often each comes or their mean.
    """
    values = np.asarray(action).ravel()
    whole = values.dtype.kind in "biu"
    if len(values) <= _FEW_VALUES:
        return " ".join(f"{x:d}" if whole else f"{x:+.2f}" for x in values)
    kinds, counts = np.unique(values, return_counts=True)
    if whole and len(kinds) <= _FEW_VALUES:
        return ", ".join(f"{n} × {kind:d}" for kind, n in zip(kinds, counts, strict=True))
    return f"of {len(values)} values, mean {values.mean():+.2f}"


def shown_return(value: float) -> str:
    """Return a return in a few letters: without decimals if it has none.

    Args:
        value: In the task's reward units.
    """
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"


def _make_drawn(env_id: str, arguments: Mapping[str, Any]) -> gym.Env[Any, Any]:
    try:
        return make_task(env_id, **{**arguments, "render_mode": "rgb_array"})
    except TypeError as error:
        raise ValueError(
            f"{env_id} can't be drawn: {error}; its class needs an argument render_mode that takes "
            '"rgb_array"'
        ) from error


def _check_spaces(policy: ActingPolicy, env: gym.Env[Any, Any], heading: str) -> None:
    # A bare policy sees what Stable-Baselines3's algorithms see.
    seen = env if isinstance(policy, RawPolicy) else as_learned(env)
    for what in ("observation_space", "action_space"):
        expected, found = getattr(policy, what), getattr(seen, what)
        if _form(expected) != _form(found):
            env.close()
            raise ValueError(
                f"{heading}: the agent's {what} is {expected} and the environment's {found}; name "
                "the environment that it was trained on"
            )


def _form(space: gym.Space[Any]) -> tuple[Any, ...]:
    # The limits of a Box are no part of it: an argument of the environment may move them.
    number = int(space.n) if isinstance(space, gym.spaces.Discrete) else None
    return space.shape, space.dtype, number
