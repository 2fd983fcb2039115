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
from snn_gym.policies.protocols import RecordedPolicy
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.registry import make_task
from snn_gym.scoring.evaluation import FIRST_EVALUATION_SEED
from snn_gym.scoring.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, parse_manifest
from snn_gym.scoring.submission import SUBMISSION_FOLDER
from snn_gym.storage import read_regular_file
from snn_gym.threads import one_thread
from snn_gym.training.dynamics_callback import DYNAMICS_FILE, acting_spiking_network
from snn_gym.training.dynamics_log import read_rows
from snn_gym.training.episodes import read_episodes
from snn_gym.training.evaluations import EVALUATIONS_FILE
from snn_gym.training.run import EPISODES_FILE, check_logs
from snn_gym.training.settings import RunSettings, read_run_settings
from snn_gym.zoo import load_agent

FORMATS = ("png", "svg")
"""Formats of pictures, by the endings of their files' names."""

RASTER_DECISIONS = 25
"""Name under which Stable-Baselines3's ``EvalCallback(log_path=RUN)`` writes."""


@dataclass(frozen=True)
class Pictures:
    """What ``plot_run`` drew."""

    paths: tuple[Path, ...]
    """Files written."""
    notes: tuple[str, ...]
    """What could not be drawn, and how to get it."""


def plot_run(run: Path, out: Path | None = None, formats: Sequence[str] = FORMATS) -> Pictures:
    """Draw a finished training run.

    ``learning_curve`` shows the return of every training episode and the deterministic evaluations
    that lie in the folder: Stable-Baselines3's ``EvalCallback`` (``evaluations.npz``), and the
    submission. Of a spiking agent, ``raster`` and ``membranes`` show the final policy in the first
    decisions of the first public evaluation episode, played deterministically; ``dynamics`` what
    ``snn-gym train --dynamics`` logged. Equal runs give equal bytes under equal versions of
    matplotlib.

    Args:
        run: Folder that ``snn-gym train`` wrote.
        out: Folder for the pictures; RUN/plots if None.
        formats: Any of ``FORMATS``.

    Returns:
        The files, and notes on what is missing.

    Raises:
        ValueError: A format is unknown, there is no finished run, or its files were changed.
    """
    formats = _checked_formats(formats)
    settings = read_run_settings(Path(run))
    check_logs(Path(run))
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


def _trace_final_policy(run: Path, settings: RunSettings) -> EpisodeTrace | None:
    """Return what the final policy does in an episode, None if it does not spike."""
    with one_thread():
        policy: RecordedPolicy = raw_policy(load_agent(run))
        if acting_spiking_network(policy) is None:
            return None
        env = make_task(settings.environment, **settings.environment_kwargs)
        return record_episode(policy, env, FIRST_EVALUATION_SEED, RASTER_DECISIONS)


def _drawings(
    run: Path, trace: EpisodeTrace | None, name: str
) -> tuple[dict[str, Callable[[], Figure]], list[str]]:
    """Return what draws each picture, and notes on those that can't be drawn."""
    notes: list[str] = []
    drawn: dict[str, Callable[[], Figure]] = {}
    if trace is None:
        notes.append("no spikes to draw: the agent is an ANN")
    else:
        drawn |= {
            "raster": lambda: draw_raster(trace, f"Spikes of {name}: {trace.decisions} decisions"),
            "membranes": lambda: draw_membranes(trace, f"Membrane potentials of {name}"),
        }
    timesteps, returns = read_episodes(run / EPISODES_FILE)
    if len(returns):
        drawn["learning_curve"] = lambda: draw_learning_curve(
            timesteps, returns, f"Training {name}",
            spiking=trace is not None, evaluations=read_evaluations(run),
        )  # fmt: skip
    else:
        notes.append("no learning curve: no training episode had ended")
    if trace is None:
        return drawn, notes
    series = _read_series(run / DYNAMICS_FILE)
    layers = [layer.name for layer in trace.layers]
    if series:
        drawn["dynamics"] = lambda: draw_dynamics(series, layers, f"Dynamics of {name}")
    else:
        notes.append("no dynamics over training: train with `snn-gym train ... --dynamics`")
    return drawn, notes


def read_evaluations(run: Path) -> tuple[FloatArray, FloatArray] | None:
    """Read the deterministic evaluations in a run's folder.

    Args:
        run: Folder of a run.

    Returns:
        Environment steps and mean returns, each (evaluations,); None if there are none.

    Raises:
        ValueError: A file is not what its name says.
    """
    points: list[tuple[float, float]] = []
    logged = run / EVALUATIONS_FILE
    if logged.exists():
        with np.load(logged, allow_pickle=False) as arrays:
            means = arrays["results"].mean(axis=1)
            points += zip(arrays["timesteps"].tolist(), means.tolist(), strict=True)
    manifest = run / SUBMISSION_FOLDER / MANIFEST_NAME
    if manifest.exists():
        submitted = parse_manifest(read_regular_file(manifest, max_bytes=MAX_MANIFEST_BYTES))
        points.append((submitted.steps, submitted.score.mean))
    if not points:
        return None
    steps, returns = np.array(sorted(points), dtype=np.float64).T
    return steps, returns


def _read_series(path: Path) -> Series:
    if not path.exists():
        return {}
    values: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for timestep, part, measure, value in read_rows(path):
        values.setdefault((part, measure), []).append((timestep, value))
    return {key: (np.array(x)[:, 0], np.array(x)[:, 1]) for key, x in values.items()}
