"""Train an agent of the zoo in a folder, from the start or from its last checkpoint."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import configure

from snn_gym.config import Config, Count, from_mapping, to_mapping
from snn_gym.registry import RecordedId, import_named_module, known_ids, load_environment_spec
from snn_gym.storage import read_regular_file, remove_partial_files, write_text_atomic
from snn_gym.threads import one_thread
from snn_gym.training.checkpoint import restore_checkpoint
from snn_gym.training.dynamics_callback import DynamicsCallback
from snn_gym.training.episodes import EpisodeLog
from snn_gym.training.segments import SegmentCallback
from snn_gym.zoo import load_agent_spec, make_agent, read_manifest, save_agent
from snn_gym.zoo.build import make_environments
from snn_gym.zoo.files import MANIFEST, package_versions
from snn_gym.zoo.seeding import Seeding, TrainingSeed
from snn_gym.zoo.spec import AgentSpec

DEFAULT_CHECKPOINT_INTERVAL = 10_000

RUN_FILE = "run.json"
EPISODES_FILE = "episodes.csv"
CHECKPOINT_FILE = "checkpoint.safetensors"
TENSORBOARD_FOLDER = "tb"
DYNAMICS_ROWS = 100
"""Times that the dynamics of a run are logged, about."""
_MAX_RUN_BYTES = 1 << 20
_RECIPE = ("agent", "environment", "seed", "steps", "checkpoint_interval", "dynamics", "seeding")


@dataclass(frozen=True)
class RunSettings(Config):
    """What decides the outcome of a training run; kept in run.json."""

    format: Literal["snn_gym/run/1"]
    """Name and version of this format."""
    agent: str
    """Agent of the zoo."""
    environment: RecordedId
    """Gymnasium id."""
    seed: TrainingSeed
    """Seed of everything random."""
    steps: Count
    """Environment steps to train."""
    checkpoint_interval: Count
    """Environment steps between checkpoints; environments are reset there, so it counts."""
    versions: dict[str, str]
    """Versions of the packages that began the run."""
    dynamics: bool = False
    """Whether the network's dynamics are logged, in dynamics.csv."""
    seeding: Seeding = "consecutive"
    """How the environments' random streams follow from the seed; older files do not say."""


@dataclass(frozen=True)
class TrainingRun:
    """How a call of ``train`` ended."""

    folder: Path
    """Folder of the run."""
    steps: int
    """Environment steps trained in all; whole rollouts, so maybe a few more than asked for."""
    resumed_at: int | None
    """Environment steps that were done before this call; None if it began the run."""
    was_finished: bool
    """Whether the run had finished before this call, which then did nothing."""


def train(
    agent: str,
    env_id: str,
    *,
    out: Path,
    resume: bool = False,
    progress_bar: bool = False,
    tensorboard: bool = True,
    **recipe: Any,
) -> TrainingRun:
    """Train an agent of the zoo, with checkpoints.

    A run that was killed at any moment and resumed ends bit-equal to one that was not, given the
    same settings and package versions on the same machine.

    Args:
        agent: One of ``snn_gym.agent_ids()``.
        env_id: Any id that gymnasium knows.
        out: Folder of the run; must not hold anything else.
        resume: Whether to go on with the run in ``out``, if there is one.
        progress_bar: Whether to show a progress bar.
        tensorboard: Whether to log for TensorBoard, under ``out/tb``.
        **recipe: ``seed``, ``steps``, ``checkpoint_interval``, ``dynamics`` and ``seeding``, as for
            ``make_run_settings``.

    Returns:
        How it ended. The trained agent is in ``out``, in the form that ``save_agent`` writes.

    Raises:
        ValueError: A name or number is invalid, the agent does not serve the environment's spaces,
            ``out`` is in use, or holds a run with other settings, or dynamics are wanted of an
            agent that does not spike.
    """
    settings = make_run_settings(agent, env_id, **recipe)
    out = Path(out)
    _check_folder(out, settings, resume)
    if (out / MANIFEST).exists():
        (out / CHECKPOINT_FILE).unlink(missing_ok=True)
        done = read_manifest(out).num_timesteps
        return TrainingRun(out, done, resumed_at=done, was_finished=True)
    with one_thread():
        # Before the folder is made: a package that the environment needs may be missing.
        model = make_agent(agent, settings.environment, settings.seed, seeding=settings.seeding)
        _begin_folder(out, settings)
        resumed_at = _learn(model, settings, out, progress_bar, tensorboard)
    # From here on the run counts as finished; killed before, its last stretch is trained again.
    save_agent(model, out)
    (out / CHECKPOINT_FILE).unlink(missing_ok=True)
    return TrainingRun(out, model.num_timesteps, resumed_at, was_finished=False)


def read_run_settings(folder: Path) -> RunSettings:
    """Read the settings of a training run.

    Args:
        folder: Folder that ``train`` wrote.

    Raises:
        ValueError: There are none, or they do not fit the schema.
    """
    file = folder / RUN_FILE
    if not file.exists():
        raise ValueError(f"{folder} holds no training run: there is no {RUN_FILE} in it")
    data = read_regular_file(file, max_bytes=_MAX_RUN_BYTES)
    try:
        mapping = json.loads(data)
    except ValueError as error:
        raise ValueError(f"{file}: not valid JSON: {error}") from error
    return from_mapping(RunSettings, mapping, str(file))


def make_run_settings(
    agent: str,
    env_id: str,
    *,
    seed: int = 0,
    steps: int | None = None,
    checkpoint_interval: int = DEFAULT_CHECKPOINT_INTERVAL,
    dynamics: bool = False,
    seeding: Seeding = "disjoint",
) -> RunSettings:
    """Complete and check the settings of a run.

    Args:
        agent: One of ``snn_gym.agent_ids()``.
        env_id: Any id that gymnasium knows.
        seed: Seed of everything random.
        steps: Environment steps; the environment's budget for the agent's class if None.
        checkpoint_interval: Environment steps between checkpoints.
        dynamics: Whether to log what the spiking network does, about 100 times, in
            ``out/dynamics.csv`` and for TensorBoard (``DynamicsCallback``). The trained agent is
            the same with and without.
        seeding: How the environments' random streams follow from the seed; ``consecutive`` gives
            the bits of results from before there was a choice.

    Raises:
        ValueError: A name is unknown or a number out of range, or dynamics are wanted of an agent
            that does not spike.
    """
    spec = load_agent_spec(agent)
    env_id = import_named_module(env_id)
    if env_id not in gym.registry:
        load_environment_spec(env_id)  # says now, and not after the folder was made, what is known
    if dynamics and not acts_in_spikes(spec):
        raise ValueError(
            f"agent {agent!r} does not spike, so it has no dynamics to log; leave out --dynamics, "
            f"or train its twin {spec.twin!r}"
        )
    return RunSettings(
        format="snn_gym/run/1",
        agent=agent,
        environment=env_id,
        seed=seed,
        steps=_budget(spec, env_id) if steps is None else steps,
        checkpoint_interval=checkpoint_interval,
        versions=package_versions(),
        dynamics=dynamics,
        seeding=seeding,
    )


def _budget(spec: AgentSpec, env_id: str) -> int:
    if env_id not in known_ids():
        raise ValueError(f"{env_id} is no task of snn_gym and has no budget; say how many --steps")
    return load_environment_spec(env_id).budget[spec.budget_class]


def acts_in_spikes(spec: AgentSpec) -> bool:
    """Return whether the network that chooses an agent's actions spikes."""
    switches = ("spiking_actor", "spiking")
    return all(spec.policy_kwargs.get(switch, True) for switch in switches)


def _check_folder(out: Path, settings: RunSettings, resume: bool) -> None:
    """Make sure that ``out`` is this run's own folder, or can become it."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; expected a folder for the run")
    if not out.exists():
        return
    if resume:
        remove_partial_files(out)
    if any(out.iterdir()):
        if not resume:
            raise ValueError(
                f"{out} is not empty; use --resume to go on with a run in it, or another folder"
            )
        _check_same(read_run_settings(out), settings, out)


def _begin_folder(out: Path, settings: RunSettings) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if not (out / RUN_FILE).exists():
        text = json.dumps(to_mapping(settings), indent=2)
        write_text_atomic(out / RUN_FILE, text + "\n")


def _check_same(old: RunSettings, new: RunSettings, out: Path) -> None:
    for name in _RECIPE:
        if getattr(old, name) != getattr(new, name):
            raise ValueError(
                f"{out} holds a run with {name} {getattr(old, name)!r}, not "
                f"{getattr(new, name)!r}; resume it with its own settings, or use another folder"
            )
    changed = [name for name in new.versions if old.versions.get(name) != new.versions[name]]
    if changed:
        warnings.warn(
            f"{out} was begun with other versions of {', '.join(changed)}: the result may differ "
            "from that of an uninterrupted run",
            stacklevel=4,
        )


def _learn(
    model: BaseAlgorithm, settings: RunSettings, out: Path, progress_bar: bool, tensorboard: bool
) -> int | None:
    """Train what is left to train; return the steps done before, None at the start."""
    checkpoint = out / CHECKPOINT_FILE
    resuming = checkpoint.exists()
    episodes = restore_checkpoint(checkpoint, model) if resuming else EpisodeLog()
    resumed_at = model.num_timesteps if resuming else None
    if tensorboard:
        model.set_logger(configure(str(out / TENSORBOARD_FOLDER), ["tensorboard"]))
    segments = SegmentCallback(
        checkpoint,
        out / EPISODES_FILE,
        episodes,
        settings.seed,
        settings.checkpoint_interval,
        partial(make_environments, settings.environment, model.n_envs, settings.seed),
        settings.seeding,
    )
    callbacks: list[BaseCallback] = [segments]
    if settings.dynamics:
        # First, so that what it logged is on disk before a checkpoint is.
        callbacks.insert(0, DynamicsCallback(max(1, settings.steps // DYNAMICS_ROWS), out))
    # Stable-Baselines3 adds the steps already done to what it is asked for, so that schedules
    # see the progress of the whole run.
    model.learn(
        settings.steps - model.num_timesteps,
        callback=CallbackList(callbacks),
        reset_num_timesteps=not resuming,
        progress_bar=progress_bar,
    )
    episodes.write(out / EPISODES_FILE)
    return resumed_at
