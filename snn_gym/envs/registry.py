"""Environments: a file under envs/ to gymnasium ids."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium as gym

from snn_gym._base.config import Config, Count, from_mapping
from snn_gym._base.folders import content_path, read_toml
from snn_gym._base.names import did_you_mean

BUDGET_CLASSES = ("gradient", "local", "evolutionary")
"""Classes of agents; tables compare agents within one class."""
IMPORTED = "imported"
"""Class of agents that were trained elsewhere, which no budget binds."""

_ENTRY_POINT = "snn_gym.envs.spiking:SpikingEnv"
_VECTOR_ENTRY_POINT = "snn_gym.envs.batched_spiking:BatchedSpikingEnv"


@dataclass(frozen=True)
class SpikeSettings(Config):
    """How the spiking form of a task encodes observations unless told otherwise."""

    encoder: str
    """Name of the default encoder."""
    time_steps: Count
    """Default number T of time steps for each environment step."""
    low: tuple[float, ...]
    """Lower limit of each observed value, in the task's units; below it, clipped."""
    high: tuple[float, ...]
    """Upper limit of each observed value, in the task's units; above it, clipped."""
    encoder_parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    """This task's parameters of encoders, by encoder name."""

    def _check(self) -> None:
        if len(self.low) != len(self.high):
            raise ValueError(f"low has {len(self.low)} values and high {len(self.high)}")
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"every low must be below its high: {self.low}, {self.high}")


@dataclass(frozen=True)
class TaskClass(Config):
    """The classes behind the ids of a task of our own."""

    entry_point: str
    """Class of the single environment, as ``gym.register`` takes it."""
    vector_entry_point: str | None = None
    """Class of the batch, likewise; None for a task that is stepped one environment at a time."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Arguments of both classes that the ids fix."""
    shows_spikes: bool = False
    """Whether observations are spikes (T, N), so that the ids have flat forms too."""


@dataclass(frozen=True)
class ReferenceScores(Config):
    """Returns per episode that put a score in its place."""

    random: float
    """Mean return of uniformly random actions."""
    random_standard_error: float
    """Standard error of ``random``."""
    random_episodes: Count
    """Episodes behind ``random``, seeds 0, 1, 2, … for environment and action space."""
    solved: float
    """Return from which the task counts as solved; the card says by whom."""
    maximum: float
    """Upper bound of the return of an episode; the card says how near one can get."""
    memoryless: float | None = None
    """Mean return of the best policy known that sees the present observation alone, of native
    tasks."""
    rate_only: float | None = None
    """Mean return of the best policy that sees spike counts alone, where timing is claimed."""
    oracle: float | None = None
    """Mean return of the ideal observer or of a policy that knows more, of native tasks."""

    def normalise(self, score: float) -> float:
        """Return a score on the scale from random play (0) to the reference (1).

        The reference is the oracle, or ``solved`` where a task has none.
        """
        reference = self.solved if self.oracle is None else self.oracle
        return (score - self.random) / (reference - self.random)

    def loss(self, share: float) -> float:
        """Return a share of the way from random play to ``solved``, in units of return."""
        return share * (self.solved - self.random)


@dataclass(frozen=True)
class Level(Config):
    """Level of a task: an id with other settings, reference scores and limits."""

    max_episode_steps: Count
    """Environment steps after which an episode is truncated."""
    arguments: dict[str, Any]
    """Arguments of both classes that the id fixes."""
    reference: ReferenceScores
    """Scores to compare with."""


@dataclass(frozen=True)
class EnvironmentSpec(Config):
    """A task as its file under envs/ describes it."""

    name: str
    """Name of the file and of the card."""
    base_id: str
    """Gymnasium id of the task itself, with analogue observations; of a task of our own, its id."""
    registers: tuple[str, ...]
    """Gymnasium ids that ``import snn_gym`` registers: of its spiking forms, or its own."""
    version: Count
    """Version of this description; scores of different versions do not compare."""
    max_episode_steps: Count
    """Environment steps after which an episode is truncated."""
    budget: dict[str, Count]
    """Environment steps that training may use, by class of agent."""
    reference: ReferenceScores
    """Scores to compare with, valid for task and spiking form: their rewards are equal."""
    spikes: SpikeSettings | None = None
    """Encoder and limits of the spiking form of a task that is gymnasium's."""
    task: TaskClass | None = None
    """Entry points of a native task."""
    levels: dict[str, Level] = field(default_factory=dict)
    """Of a task of our own with more ids than its base: what each of the others has of its own."""
    reward_threshold: float | None = None
    """Gymnasium's threshold of the task, if it has one."""
    extra: str | None = None
    """Extra of the package that brings what the task needs, if it needs more."""

    def _check(self) -> None:
        if not self.registers or not all(name.startswith("snn/") for name in self.registers):
            raise ValueError(f"registers must name ids that start with snn/: {self.registers}")
        if set(self.budget) != set(BUDGET_CLASSES):
            raise ValueError(
                f"budget must give steps for each of {', '.join(BUDGET_CLASSES)}; got {self.budget}"
            )
        if (self.spikes is None) == (self.task is None):
            raise ValueError(
                "a file needs one of the tables [spikes], for the spiking form of a gymnasium "
                "task, and [task], for a task of our own"
            )
        others = () if self.task is None else set(self.registers) - {self.base_id}
        if set(self.levels) != set(others):
            raise ValueError(
                f"levels must describe the ids beside {self.base_id}, which are "
                f"{', '.join(sorted(others)) or 'none'}; got {', '.join(self.levels) or 'none'}"
            )

    def at_level(self, env_id: str) -> EnvironmentSpec:
        """Return the description of one id: this one with what the id has of its own."""
        level = self.levels.get(env_id)
        if level is None or self.task is None:
            return self
        return replace(
            self,
            base_id=env_id,
            registers=(env_id,),
            max_episode_steps=level.max_episode_steps,
            reference=level.reference,
            task=replace(self.task, arguments={**self.task.arguments, **level.arguments}),
            levels={},
        )


def env_ids() -> tuple[str, ...]:
    """Return the ids that ``import snn_gym`` registers, sorted, without ``flat_ids``."""
    return tuple(sorted(name for path in _toml_paths() for name in _ids(_read_toml(path), path)))


def flat_ids() -> tuple[str, ...]:
    """Return the ids, sorted, of the flat forms of those of ``env_ids`` that show spikes."""
    return tuple(sorted(set(_files_by_id()).difference(*map(_own_ids, _toml_paths()))))


def flat_id(env_id: str) -> str:
    """Return the id of the flat form: ``snn/CartPole-flat-v1`` of ``snn/CartPole-v1``."""
    name, _, version = env_id.rpartition("-v")
    return f"{name}-flat-v{version}"


def unflattened_id(env_id: str) -> str:
    """Return the id whose flat form an id is; of any other id, itself."""
    return env_id.replace("-flat-v", "-v")


def known_ids() -> frozenset[str]:
    """Return every id that a file describes: spiking and flat forms, base and own tasks."""
    return frozenset(_files_by_id())


def load_environment_spec(env_id: str) -> EnvironmentSpec:
    """Load the description of a task.

    Args:
        env_id: A spiking id such as ``snn/CartPole-v1`` or its base id ``CartPole-v1``.

    Raises:
        ValueError: The id is unknown, or the file does not fit the schema.
    """
    files = _files_by_id()
    if env_id not in files:
        hint = did_you_mean(env_id, files)
        raise ValueError(
            f"environment {env_id!r} is unknown{hint} `snn-gym envs` lists the "
            f"{len(files) - len(flat_ids())} known ones"
        )
    return _spec_of(files[env_id]).at_level(unflattened_id(env_id))


@functools.cache
def _spec_of(path: Path) -> EnvironmentSpec:
    """Return what a file describes."""
    spec = from_mapping(EnvironmentSpec, _read_toml(path), f"envs/{path.name}")
    if spec.name != path.stem:
        raise ValueError(f"envs/{path.name}: name is {spec.name!r}, expected {path.stem!r}")
    return spec


def load_spike_settings(env_id: str) -> SpikeSettings:
    """Load encoder and limits of the spiking form of a task.

    Args:
        env_id: A spiking id such as ``snn/CartPole-v1`` or its base id ``CartPole-v1``.

    Raises:
        ValueError: The id is unknown or has no spiking form.
    """
    spikes = load_environment_spec(env_id).spikes
    if spikes is None:
        raise ValueError(
            f"{env_id} is no gymnasium task with a spiking form; make it with gym.make({env_id!r})"
        )
    return spikes


def make_task(env_id: str, **arguments: Any) -> gym.Env[Any, Any]:
    """Make an environment as ``gym.make`` does; what must be installed for it is named.

    Args:
        env_id: Any id that gymnasium knows.
        arguments: Passed to ``gym.make``.

    Raises:
        gymnasium.error.DependencyNotInstalled: A package that it needs is absent; for our
            tasks the message names the extra to install.
    """
    with naming_the_extra(env_id):
        env = gym.make(env_id, **arguments)
    if arguments.get("render_mode") is not None and "mujoco" in sys.modules:
        _have_mujoco_draw_without_a_screen()
    return env


def _have_mujoco_draw_without_a_screen() -> None:
    """Say that MuJoCo is to draw by EGL, unless said otherwise; its own choice ends the process.

    After its import, which would need EGL from then on: gymnasium reads this when it first draws.
    """
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        os.environ.setdefault("MUJOCO_GL", "egl")


def import_named_module(env_id: str) -> str:
    """Import the module that an id names before a colon, as ``gym.make`` does.

    For ids that a caller passes. One from a file is a ``snn_gym._base.config.RecordedId``.

    Args:
        env_id: Such as ``CartPole-v1`` or ``my_package:MyEnv-v0``.

    Returns:
        The id without the module.

    Raises:
        ValueError: There is no such module.
    """
    module, _, name = env_id.rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise ValueError(f"environment {env_id!r}: {error}; install it or check it") from error
    return name


@contextmanager
def naming_the_extra(env_id: str) -> Iterator[None]:
    """Name what is missing where gymnasium can't make a task: our extra, or an import.

    Raises:
        gymnasium.error.UnregisteredEnv: No task of that id is registered.
        gymnasium.error.DependencyNotInstalled: With the extra to install in its message if
            the task is one of ours, else as it came.
    """
    try:
        yield
    except gym.error.UnregisteredEnv as error:
        raise type(error)(
            f"environment {env_id!r} is not registered: import the package that registers it first "
            f"(on the command line, --module PACKAGE); gymnasium says: {error}"
        ) from error
    except gym.error.DependencyNotInstalled as error:
        path = _files_by_id().get(env_id)
        extra = None if path is None else _read_toml(path).get("extra")
        if extra is None:
            raise
        raise gym.error.DependencyNotInstalled(
            f"{env_id} needs packages that are not installed; install them with: "
            f'pip install "snn-gym[{extra}]"'
        ) from error


def register_environments() -> None:
    """Register every spiking id with gymnasium; doing so again changes nothing."""
    for path in _toml_paths():
        table = _read_toml(path)
        ids = _ids(table, path)
        # The whole file is checked when an environment is made, so that importing is cheap.
        missing = [key for key in ("base_id", "max_episode_steps") if key not in table]
        if missing:
            raise ValueError(f"envs/{path.name}: missing key {', '.join(missing)}")
        task = _task_class(table, path)
        for env_id in ids:
            level = table.get("levels", {}).get(env_id, {})
            forms: dict[str, dict[str, Any]] = {env_id: {}}
            if task.shows_spikes:
                forms[flat_id(env_id)] = {"flatten": True}
            for form, changes in forms.items():
                if form not in gym.registry:
                    gym.register(
                        id=form,
                        entry_point=task.entry_point,
                        vector_entry_point=task.vector_entry_point,
                        kwargs={**task.arguments, **level.get("arguments", {}), **changes},
                        max_episode_steps=level.get(
                            "max_episode_steps", table["max_episode_steps"]
                        ),
                        reward_threshold=table.get("reward_threshold"),
                    )


def _task_class(table: Mapping[str, Any], path: Path) -> TaskClass:
    """Return what makes the environments of a file."""
    if "task" in table:
        return from_mapping(TaskClass, table["task"], f"envs/{path.name}: task")
    return TaskClass(_ENTRY_POINT, _VECTOR_ENTRY_POINT, {"base_id": table["base_id"]}, True)


def _toml_paths() -> list[Path]:
    return sorted(content_path("envs").glob("*.toml"))


@functools.cache
def _read_toml(path: Path) -> Mapping[str, Any]:
    return read_toml(path, f"envs/{path.name}")


def _ids(table: Mapping[str, Any], path: Path) -> list[str]:
    ids = table.get("registers")
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
        raise ValueError(f"envs/{path.name}: registers must be a list of ids, got {ids!r}")
    return ids


def _own_ids(path: Path) -> list[str]:
    """Return the base id of a file and those that it registers."""
    table = _read_toml(path)
    return list(dict.fromkeys([table.get("base_id", path.stem), *_ids(table, path)]))


@functools.cache
def _files_by_id() -> Mapping[str, Path]:
    """Return the file of every known id, base, spiking and flat."""
    files: dict[str, Path] = {}
    for path in _toml_paths():
        table = _read_toml(path)
        ids = _own_ids(path)
        if _task_class(table, path).shows_spikes:
            ids += [flat_id(env_id) for env_id in _ids(table, path)]
        for env_id in ids:
            if env_id in files:
                raise ValueError(f"envs/{path.name}: {env_id} is in envs/{files[env_id].name} too")
            files[env_id] = path
    return files
