"""Descriptions of the environments, read from envs/, and their registration with gymnasium."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym

from snn_gym._base.config import Config, Count, TimeSteps, from_mapping
from snn_gym._base.folders import content_path, read_toml
from snn_gym._base.lazy import install_hint
from snn_gym._base.names import UNREGISTERED, did_you_mean

BUDGET_CLASSES = ("gradient", "local", "evolutionary")
"""Classes of agents; tables compare agents within one class."""
IMPORTED = "imported"
"""Class of agents trained elsewhere, without a budget."""

_ENTRY_POINT = "snn_gym.envs.spiking:SpikingEnv"
_VECTOR_ENTRY_POINT = "snn_gym.envs.spiking:BatchedSpikingEnv"


@dataclass(frozen=True)
class SpikeSettings(Config):
    """Default encoding of a task's observations as spikes."""

    encoder: str
    time_steps: TimeSteps
    low: tuple[float, ...]
    """Lower limit of each observed value, in the task's units; smaller values are clipped."""
    high: tuple[float, ...]
    """Upper limit of each observed value, in the task's units; larger values are clipped."""
    encoder_parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Parameters by encoder name."""

    def _check(self) -> None:
        if len(self.low) != len(self.high):
            raise ValueError(f"low has {len(self.low)} values and high {len(self.high)}")
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"every low must be below its high: {self.low}, {self.high}")


@dataclass(frozen=True)
class TaskClass(Config):
    """Classes behind the ids of a native task."""

    entry_point: str  # Class of the single environment, as ``gym.register`` takes it
    vector_entry_point: str | None = None
    """Class of the batch; None for a task that is stepped one environment at a time."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Arguments of both classes that the ids fix."""
    shows_spikes: bool = False  # Observations are spikes (T, N), so the ids have flat forms too


@dataclass(frozen=True)
class ReferenceScores(Config):
    """Returns per episode for comparison with a score."""

    random: float  # Mean return of uniformly random actions
    random_standard_error: float
    random_episodes: Count
    """Episodes behind ``random``, seeds 0, 1, 2, … of environment and action space."""
    solved: float  # Return from which the task counts as solved; the card gives the source
    maximum: float  # Upper bound of the return of an episode
    memoryless: float | None = None
    """Mean return of the best known policy on the present observation alone; native tasks only."""
    open_loop: float | None = None
    """Mean return of the best known actions without observations; MuJoCo's tasks only."""
    scripted: float | None = None
    """Mean return of a hand-written policy of the observations; MinAtar's games only."""
    rate_only: float | None = None
    """Mean return of the best policy on spike counts alone, for tasks about timing."""
    oracle: float | None = None
    """Mean return of the ideal observer or a privileged policy; native tasks only."""
    learned: float | None = None
    """Return from which a task counts as learned: the running mean over training episodes, which
    explore, in reward units. None: ``solved``."""

    def _check(self) -> None:
        if self.learned is not None and not self.random < self.learned <= self.maximum:
            raise ValueError(
                f"learned is {self.learned:g}; expected a return above random "
                f"({self.random:g}) and at most maximum ({self.maximum:g})"
            )

    @property
    def threshold(self) -> float:
        """Running training return from which the task counts as learned, in reward units."""
        return self.solved if self.learned is None else self.learned

    def normalise(self, score: float) -> float:
        """Scale a score so that random play is 0 and the oracle, or else ``solved``, is 1."""
        reference = self.solved if self.oracle is None else self.oracle
        return (score - self.random) / (reference - self.random)

    def loss(self, share: float) -> float:
        """Convert a share of the distance from random play to ``solved`` to units of return."""
        return share * (self.solved - self.random)


@dataclass(frozen=True)
class Level(Config):
    """Level of a task: an id with its settings, limit and reference scores."""

    max_episode_steps: Count
    arguments: dict[str, Any]  # Arguments of both classes that the id fixes
    reference: ReferenceScores
    budget: dict[str, Count] | None = None  # None: the task's budget


@dataclass(frozen=True)
class EnvironmentSpec(Config):
    """Description of a task, from its file under envs/."""

    name: str
    base_id: str
    """Gymnasium id of the task with analogue observations; of a native task, its first id."""
    registers: tuple[str, ...]  # Gymnasium ids that ``import snn_gym`` registers
    version: Count  # Version of this description; scores of different versions do not compare
    max_episode_steps: Count  # Environment steps after which an episode is truncated
    budget: dict[str, Count]  # Environment steps for training, by class of agent
    reference: ReferenceScores
    """Reference scores of the task and its spiking form, whose rewards are equal."""
    spikes: SpikeSettings | None = None  # Encoding of a gymnasium task; None for a native task
    task: TaskClass | None = None  # Classes of a native task; None for a gymnasium task
    levels: dict[str, Level] = field(default_factory=dict)
    """Levels of a native task beside the base id."""
    reward_threshold: float | None = None  # Gymnasium's threshold, if the task has one
    checkpoint_interval: Count = 10_000
    """Environment steps between checkpoints of a run. Environments are reset there, so that each of
    them should end several episodes before."""
    extra: str | None = None  # Extra of snn-gym that installs the task's packages, if it needs one

    def _check(self) -> None:
        if not self.registers or not all(name.startswith("snn/") for name in self.registers):
            raise ValueError(f"registers must name ids that start with snn/: {self.registers}")
        for budget in (self.budget, *(level.budget for level in self.levels.values())):
            if budget is not None and set(budget) != set(BUDGET_CLASSES):
                raise ValueError(
                    f"budget must give steps for each of {', '.join(BUDGET_CLASSES)}; got {budget}"
                )
        if (self.spikes is None) == (self.task is None):
            raise ValueError(
                "a file needs one of the tables [spikes], for the spiking form of a gymnasium "
                "task, and [task], for a task of our own"
            )
        level_ids = set() if self.task is None else set(self.registers) - {self.base_id}
        if set(self.levels) != level_ids:
            raise ValueError(
                f"levels must describe the ids beside {self.base_id}, which are "
                f"{', '.join(sorted(level_ids)) or 'none'}; got {', '.join(self.levels) or 'none'}"
            )

    def at_level(self, env_id: str) -> EnvironmentSpec:
        """Return the description of one id, with the limit, scores and arguments of its level."""
        level = self.levels.get(env_id)
        if level is None or self.task is None:
            return self
        return replace(
            self,
            base_id=env_id,
            registers=(env_id,),
            max_episode_steps=level.max_episode_steps,
            reference=level.reference,
            budget=self.budget if level.budget is None else level.budget,
            task=replace(self.task, arguments={**self.task.arguments, **level.arguments}),
            levels={},
        )


def env_ids() -> tuple[str, ...]:
    """Return the ids that ``import snn_gym`` registers, sorted, without ``flat_ids``."""
    return tuple(sorted(name for path in _toml_paths() for name in _ids(_read_toml(path), path)))


def flat_ids() -> tuple[str, ...]:
    """Return the sorted ids of flat forms, which observe spikes as vectors (``flat_id``)."""
    return tuple(sorted(name for name in _files_by_id() if name != unflattened_id(name)))


def flat_id(env_id: str) -> str:
    """Return the id of the flat form: ``snn/CartPole-flat-v1`` of ``snn/CartPole-v1``."""
    name, _, version = env_id.rpartition("-v")
    return f"{name}-flat-v{version}"


def unflattened_id(env_id: str) -> str:
    """Return ``snn/CartPole-v1`` of ``snn/CartPole-flat-v1``; any other id unchanged."""
    return env_id.replace("-flat-v", "-v")


def known_ids() -> frozenset[str]:
    """Return every described id: spiking and flat forms, base tasks and native tasks."""
    return frozenset(_files_by_id())


def load_environment_spec(env_id: str) -> EnvironmentSpec:
    """Load the description of a task, at the level of the id.

    Args:
        env_id: One of ``known_ids``, such as ``snn/CartPole-v1`` or its base id ``CartPole-v1``.

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
    """Return the description in a file; ValueError if its ``name`` is not the file's."""
    spec = from_mapping(EnvironmentSpec, _read_toml(path), f"envs/{path.name}")
    if spec.name != path.stem:
        raise ValueError(f"envs/{path.name}: name is {spec.name!r}, expected {path.stem!r}")
    return spec


def load_spike_settings(env_id: str) -> SpikeSettings:
    """Return the spike settings of a task, by spiking or base id; ValueError if it has none."""
    spikes = load_environment_spec(env_id).spikes
    if spikes is None:
        raise ValueError(
            f"{env_id} is no gymnasium task with a spiking form; make it with gym.make({env_id!r})"
        )
    return spikes


_NO_CAMERA = -1


def make_task(env_id: str, **arguments: Any) -> gym.Env[Any, Any]:
    """Make an environment as ``gym.make`` does; errors name the package to install or import.

    On Linux without a display, a render mode with MuJoCo loaded sets ``MUJOCO_GL`` to ``egl`` if
    it is not set.

    Raises:
        gymnasium.error.DependencyNotInstalled: A required package is absent; for our tasks the
            message names the extra to install.
    """
    with naming_the_extra(env_id):
        env = gym.make(env_id, **arguments)
    draws_by_mujoco = arguments.get("render_mode") is not None and "mujoco" in sys.modules
    no_display = not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    if draws_by_mujoco and sys.platform == "linux" and no_display:
        # MuJoCo's default ends the process without a display. Set after its import, which would
        # need EGL from then on: gymnasium reads this variable at the first image.
        os.environ.setdefault("MUJOCO_GL", "egl")
    if draws_by_mujoco:
        _follow_the_body(env)
    return env


def _follow_the_body(env: gym.Env[Any, Any]) -> None:
    """Draw by the model's camera that follows the body; gymnasium's default stays at the start."""
    renderer = getattr(env.unwrapped, "mujoco_renderer", None)
    if renderer is not None and renderer.camera_id == _NO_CAMERA:
        mujoco = sys.modules["mujoco"]
        kind = mujoco.mjtObj.mjOBJ_CAMERA
        renderer.camera_id = mujoco.mj_name2id(renderer.model, kind, "track")


def import_named_module(env_id: str) -> str:
    """Import the module that an id names before a colon, as ``gym.make`` does.

    Only for ids from a caller; an id from a file is a ``snn_gym._base.config.RecordedId``.

    Args:
        env_id: Such as ``CartPole-v1`` or ``my_package:MyEnv-v0``.

    Returns:
        The id without the module.

    Raises:
        ValueError: There is no such module.
    """
    if not isinstance(env_id, str):
        raise TypeError(
            f"expected a gymnasium id, got {env_id!r:.100}; make_agent, load_agent, evaluate and "
            "films take objects, everything else ids: gymnasium.register gives a class one"
        )
    module, _, name = env_id.rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise ValueError(f"environment {env_id!r}: {error}; install it or check it") from error
    return name


@contextmanager
def naming_the_extra(env_id: str) -> Iterator[None]:
    """Re-raise gymnasium's errors of absent ids or packages with the import or extra needed."""
    try:
        yield
    except gym.error.UnregisteredEnv as error:
        if env_id in gym.registry:  # it is another, inside
            raise
        raise type(error)(describe_unregistered(env_id)) from error
    except gym.error.DependencyNotInstalled as error:
        path = _files_by_id().get(env_id)
        extra = None if path is None else _read_toml(path).get("extra")
        if extra is None:
            raise
        raise gym.error.DependencyNotInstalled(
            f"{env_id} needs packages that are not installed; {install_hint(extra)}"
        ) from error


def describe_unregistered(env_id: str) -> str:
    """Return the error for an id that gymnasium does not know, with the likeliest fix."""
    start = f"environment {env_id!r} is not registered"
    if env_id.startswith(UNREGISTERED):
        name = env_id.removeprefix(UNREGISTERED)
        return (
            f"{start}: it stands for an object of class {name} without an id, or of an id with a "
            "path among its arguments, which no file can have opened; pass such an object in "
            f"Python, as in load_agent(path, env={name}()), or train on a registered id that has "
            "the path among its own arguments"
        )
    games = {"ALE/": "ale_py", "Atari/": "snn_gym.envs.atari"}
    for prefix, module in games.items():
        if env_id.startswith(prefix) and not any(name.startswith(prefix) for name in gym.registry):
            install = f"{install_hint('atari')}, then " * (find_spec("ale_py") is None)
            return (
                f"{start}: {install}import {module} first (on the command line, --module {module})"
            )
    guess = did_you_mean(env_id, gym.registry, "")
    return (
        f"{start}{f'{guess} If not,' if guess else ':'} import the package that registers it first "
        "(on the command line, --module PACKAGE); `snn-gym envs` lists those of snn_gym"
    )


def register_environments() -> None:
    """Register every id of envs/, flat forms too, with gymnasium, unless it is registered."""
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
    """Return a file's table ``task``; without one, the classes of the spiking form."""
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


@functools.cache
def _files_by_id() -> Mapping[str, Path]:
    """Return the file of each known id: base, spiking, flat; ValueError if two files share one."""
    files: dict[str, Path] = {}
    for path in _toml_paths():
        table = _read_toml(path)
        registered = _ids(table, path)
        flat = map(flat_id, registered if _task_class(table, path).shows_spikes else ())
        # A native task registers its base id too.
        for env_id in dict.fromkeys([table.get("base_id", path.stem), *registered, *flat]):
            if env_id in files:
                raise ValueError(f"envs/{path.name}: {env_id} is in envs/{files[env_id].name} too")
            files[env_id] = path
    return files
