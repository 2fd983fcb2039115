"""Settings that decide the outcome of a training run, and their file, run.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import gymnasium as gym

from snn_gym._base.checksums import read_sealed
from snn_gym._base.config import (
    Config,
    Count,
    Length,
    Natural,
    PathlessArguments,
    RecordedAgent,
    RecordedId,
    to_mapping,
)
from snn_gym._base.numerics import warn_of_other_kernels
from snn_gym.envs.registry import (
    describe_unregistered,
    import_named_module,
    known_ids,
    load_environment_spec,
)
from snn_gym.zoo.algorithms import ALGORITHMS
from snn_gym.zoo.build import (
    available_device,
    fitting_spec,
    make_environments,
    naming_the_argument,
    resolve_settings,
)
from snn_gym.zoo.environments import Seeding, TrainingSeed
from snn_gym.zoo.files import package_versions
from snn_gym.zoo.identity import as_plain_data
from snn_gym.zoo.recipe import (
    DEFAULT_CHECKPOINT_INTERVAL,
    Parent,
    Processor,
    ResolvedSettings,
    processor,
)
from snn_gym.zoo.spec import AgentSpec, load_agent_spec

RUN_FILE = "run.json"
_MAX_RUN_BYTES = 1 << 20
_CHANGES = ("hyperparameters", "network", "environment_kwargs")
# Left out of files where they change nothing, so that runs begun without them go on.
_LATER: dict[str, Any] = {
    **{name: {} for name in _CHANGES},
    "eval_every": 0,
    "device": "cpu",
    "resolved": None,
    "parent": None,
    "start_sha256": None,
}


@dataclass(frozen=True)
class RunSettings(Config):
    """Settings that decide the outcome of a training run, stored in run.json."""

    format: Literal["snn_gym/run/1"]
    """Name and version of this format."""
    agent: RecordedAgent
    """Agent of the zoo."""
    environment: RecordedId
    """Gymnasium id."""
    seed: TrainingSeed
    """Seed of everything random."""
    steps: Count
    """Environment steps to train, after those of a parent."""
    checkpoint_interval: Count
    """Environment steps between checkpoints; environments are reset there, so it counts."""
    versions: dict[str, str]
    """Versions of the packages that began the run."""
    dynamics: bool = False
    """The network's dynamics are logged, in dynamics.csv."""
    seeding: Seeding = "consecutive"
    """How the environments' random streams follow from the seed; older files do not say."""
    processor: Processor = field(default_factory=dict)
    """Processor that began the run; older files do not say."""
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    """Hyper-parameters in place of the agent's own."""
    network: dict[str, Any] = field(default_factory=dict)
    """Settings of the network in place of the agent's own, each as a whole."""
    environment_kwargs: PathlessArguments = field(default_factory=dict)
    """Arguments of the environment."""
    eval_every: Natural = 0
    """Environment steps between evaluations; 0 for none. The trained agent is the same."""
    resolved: ResolvedSettings | None = None
    """Every setting that the run began with; None in older files, which go on with those of the
    agent's file."""
    device: Annotated[str, Length(1, 64)] = "cpu"
    """PyTorch device that trains; on another one than the CPU no recipe gives the same weights."""
    parent: Parent | None = None
    """Trained agent that the run goes on from; None for fresh weights."""
    start_sha256: str | None = None
    """SHA-256 of all of the parent's weights."""

    @property
    def last_step(self) -> int:
        """Environment steps at the end, those of a parent included."""
        return self.steps + (0 if self.parent is None else self.parent.steps)

    def recorded(self) -> dict[str, Any]:
        """Return the settings as plain values for files, later fields only if not at default."""
        plain = to_mapping(self)
        return {name: x for name, x in plain.items() if name not in _LATER or x != _LATER[name]}


def make_run_settings(
    agent: str, env_id: str, *, steps: int | None = None, **recipe: Any
) -> RunSettings:
    """Complete and check the settings of a run.

    Args:
        agent: One of ``snn_gym.agent_ids()``.
        env_id: Any id that gymnasium knows.
        steps: Environment steps; the environment's budget for the agent's class if None.
        **recipe: Other fields of ``RunSettings``: ``seed`` (0), ``checkpoint_interval`` (that of
            the task's description, 10,000 by default; of other environments 10,000 of each copy),
            ``dynamics`` (False), ``seeding`` (``disjoint``; ``consecutive`` gives the bits of
            results from before there was a choice), ``hyperparameters``, ``network``,
            ``environment_kwargs`` (none), ``eval_every`` (0), ``device`` (``cpu``, as in
            ``make_agent``; the settings have the one that is used), ``resolved`` (the agent's own
            settings with these changes), ``parent`` and ``start_sha256`` (none).

    Raises:
        TypeError: A name in the recipe is unknown.
        ValueError: A name is unknown or a number out of range, or dynamics are wanted of an agent
            that does not spike.
    """
    spec = load_agent_spec(agent)
    env_id = import_named_module(env_id)
    if env_id not in gym.registry:
        raise ValueError(describe_unregistered(env_id))  # before the folder is made
    values: dict[str, Any] = {
        "seed": 0,
        "seeding": "disjoint",
        **recipe,
    }
    warn_of_other_kernels()  # now, and not after hours of training
    if "device" in values:
        values["device"] = available_device(values["device"])
    for name in _CHANGES:
        values[name] = as_plain_data(dict(values.get(name) or {}), name)
    if values.get("resolved") is None:
        fitting = fitting_spec(agent, env_id, values["environment_kwargs"])
        changes = values["network"], values["hyperparameters"]
        values["resolved"] = resolve_settings(fitting, env_id, *changes)
    if values.get("checkpoint_interval") is None:
        values["checkpoint_interval"] = _checkpoint_interval(env_id, values["resolved"])
    settings = RunSettings(
        format="snn_gym/run/1",
        agent=agent,
        environment=env_id,
        steps=_budget(spec, env_id) if steps is None else steps,
        versions=package_versions(),
        processor=processor(),
        **values,
    )
    arguments = settings.environment_kwargs
    if arguments:  # try them
        with naming_the_argument(env_id, arguments):
            make_environments(env_id, 1, None, arguments).close()
    if settings.dynamics and not acts_in_spikes(spec):
        raise ValueError(
            f"agent {agent!r} does not spike, so it has no dynamics to log; leave out --dynamics, "
            f"or train its twin {spec.twin!r}"
        )
    return settings


def _checkpoint_interval(env_id: str, resolved: ResolvedSettings) -> int:
    """Return a task's own interval; of any other environment 10,000 steps of each copy."""
    if env_id in known_ids():
        return load_environment_spec(env_id).checkpoint_interval
    copies: int = resolved.hyperparameters.get("n_envs", 1)
    return DEFAULT_CHECKPOINT_INTERVAL * copies


def _budget(spec: AgentSpec, env_id: str) -> int:
    if env_id not in known_ids():
        raise ValueError(f"{env_id} is no task of snn_gym and has no budget; say how many --steps")
    return spec.budget(load_environment_spec(env_id))


def acts_in_spikes(spec: AgentSpec) -> bool:
    """Return whether the network that chooses an agent's actions spikes."""
    switches = ("spiking_actor", "spiking")
    return ALGORITHMS[spec.algorithm].stock is None and all(
        spec.policy_kwargs.get(switch, True) for switch in switches
    )


def read_run_settings(folder: Path) -> RunSettings:
    """Read the settings of a training run.

    Args:
        folder: Folder that ``train`` wrote.

    Raises:
        ValueError: There are none, they were changed since, or they do not fit the schema.
    """
    return read_sealed(
        RunSettings, folder / RUN_FILE, "training run", "a run of `snn-gym train`", _MAX_RUN_BYTES
    )
