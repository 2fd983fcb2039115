"""Draw a training run from its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from snn_gym.plotting.curves import FloatArray, Series, draw_dynamics, draw_learning_curve
from snn_gym.plotting.episode import EpisodeTrace, record_episode
from snn_gym.plotting.spikes import draw_membranes, draw_raster
from snn_gym.plotting.style import save, style
from snn_gym.registry import make_task
from snn_gym.scoring.evaluation import FIRST_EVALUATION_SEED
from snn_gym.threads import one_thread
from snn_gym.training.dynamics_callback import DYNAMICS_FILE
from snn_gym.training.dynamics_log import read_rows
from snn_gym.training.run import EPISODES_FILE, RunSettings, read_run_settings
from snn_gym.zoo import load_agent

FORMATS = ("png", "svg")
RASTER_DECISIONS = 25


@dataclass(frozen=True)
class Pictures:
    """What ``plot_run`` drew."""

    paths: tuple[Path, ...]
    """Files written."""
    notes: tuple[str, ...]
    """What could not be drawn, and how to get it."""


def plot_run(run: Path, out: Path | None = None, formats: Sequence[str] = FORMATS) -> Pictures:
    """Draw a finished training run of a spiking agent.

    ``raster`` and ``membranes`` show the final policy in the first decisions of the first public
    evaluation episode, played deterministically; ``learning_curve`` the return of every training
    episode; ``dynamics`` what ``snn-gym train --dynamics`` logged. Equal runs give equal bytes
    under equal versions of matplotlib.

    Args:
        run: Folder that ``snn-gym train`` wrote.
        out: Folder for the pictures; RUN/plots if None.
        formats: Any of ``FORMATS``.

    Returns:
        The files, and notes on what is missing.

    Raises:
        ValueError: A format is unknown, there is no finished run, or its agent does not spike.
    """
    formats = _checked_formats(formats)
    settings = read_run_settings(Path(run))
    trace = _trace_final_policy(run, settings)
    out = run / "plots" if out is None else Path(out)
    out.mkdir(parents=True, exist_ok=True)
    name = f"{settings.agent} on {settings.environment}, seed {settings.seed}"
    drawn, notes = _drawings(run, trace, name)
    paths: list[Path] = []
    with style():
        for stem, draw in drawn.items():
            paths += save(draw(), out / stem, formats)
    return Pictures(tuple(paths), tuple(notes))


def _checked_formats(formats: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ValueError(
            f"format {', '.join(unknown) or 'none'} is unknown; choose from {', '.join(FORMATS)}"
        )
    return tuple(dict.fromkeys(formats))


def _trace_final_policy(run: Path, settings: RunSettings) -> EpisodeTrace:
    with one_thread():
        model = load_agent(run)
        env = make_task(settings.environment)
        try:
            return record_episode(model.policy, env, FIRST_EVALUATION_SEED, RASTER_DECISIONS)
        except ValueError as error:
            raise ValueError(f"{settings.agent}: {error}; plot a spiking agent's run") from error


def _drawings(
    run: Path, trace: EpisodeTrace, name: str
) -> tuple[dict[str, Callable[[], Figure]], list[str]]:
    """Return what draws each picture, and notes on those that can't be drawn."""
    notes: list[str] = []
    drawn: dict[str, Callable[[], Figure]] = {
        "raster": lambda: draw_raster(trace, f"Spikes of {name}: {trace.decisions} decisions"),
        "membranes": lambda: draw_membranes(trace, f"Membrane potentials of {name}"),
    }
    timesteps, returns = read_episodes(run / EPISODES_FILE)
    if len(returns):
        drawn["learning_curve"] = lambda: draw_learning_curve(
            timesteps, returns, f"Training {name}"
        )
    else:
        notes.append("no learning curve: no training episode had ended")
    series = _read_series(run / DYNAMICS_FILE)
    layers = [layer.name for layer in trace.layers]
    if series:
        drawn["dynamics"] = lambda: draw_dynamics(series, layers, f"Dynamics of {name}")
    else:
        notes.append("no dynamics over training: train with `snn-gym train ... --dynamics`")
    return drawn, notes


def read_episodes(path: Path) -> tuple[FloatArray, FloatArray]:
    """Read the log of training episodes.

    Args:
        path: The file episodes.csv of a run.

    Returns:
        Environment steps at each episode's end, and returns, each (episodes,).
    """
    _, *lines = path.read_text().splitlines()
    rows = np.array([line.split(",")[:2] for line in lines], dtype=np.float64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def _read_series(path: Path) -> Series:
    if not path.exists():
        return {}
    values: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for timestep, part, measure, value in read_rows(path):
        values.setdefault((part, measure), []).append((timestep, value))
    return {key: (np.array(x)[:, 0], np.array(x)[:, 1]) for key, x in values.items()}
