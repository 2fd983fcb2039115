"""What decides the outcome of a training run, and the file that keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym

from snn_gym.config import Config, Count, Natural, to_mapping
from snn_gym.recorded import RecordedArguments, RecordedId
from snn_gym.registry import import_named_module, known_ids, load_environment_spec
from snn_gym.sealing import read_sealed
from snn_gym.zoo import load_agent_spec, policy_arguments
from snn_gym.zoo.algorithms import ALGORITHMS
from snn_gym.zoo.build import make_environments
from snn_gym.zoo.environment_arguments import naming_the_argument
from snn_gym.zoo.files import package_versions
from snn_gym.zoo.plain_data import as_plain_data
from snn_gym.zoo.recipe import Processor, processor
from snn_gym.zoo.seeding import Seeding, TrainingSeed
from snn_gym.zoo.spec import AgentSpec

DEFAULT_CHECKPOINT_INTERVAL = 10_000
"""Environment steps between checkpoints of a run."""

RUN_FILE = "run.json"
_MAX_RUN_BYTES = 1 << 20
# Left out of files where they change nothing, so that runs begun without them go on.
_CHANGES = ("hyperparameters", "network", "environment_kwargs")
_LATER = (*_CHANGES, "eval_every")


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
    processor: Processor = field(default_factory=dict)
    """Processor that began the run; older files do not say."""
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    """Hyper-parameters in place of the agent's own."""
    network: dict[str, Any] = field(default_factory=dict)
    """Settings of the network in place of the agent's own, each as a whole."""
    environment_kwargs: RecordedArguments = field(default_factory=dict)
    """Arguments of the environment."""
    eval_every: Natural = 0
    """Environment steps between evaluations; 0 for none. The trained agent is the same."""

    def recorded(self) -> dict[str, Any]:
        """Return the settings as plain values, for files."""
        plain = to_mapping(self)
        return {name: x for name, x in plain.items() if x or name not in _LATER}


def make_run_settings(
    agent: str, env_id: str, *, steps: int | None = None, **recipe: Any
) -> RunSettings:
    """Complete and check the settings of a run.

    Args:
        agent: One of ``snn_gym.agent_ids()``.
        env_id: Any id that gymnasium knows.
        steps: Environment steps; the environment's budget for the agent's class if None.
        **recipe: Other fields of ``RunSettings``: ``seed`` (0), ``checkpoint_interval`` (10,000),
            ``dynamics`` (False), ``seeding`` (``disjoint``; ``consecutive`` gives the bits of
            results from before there was a choice), ``hyperparameters``, ``network``,
            ``environment_kwargs`` (none) and ``eval_every`` (0).

    Raises:
        TypeError: A name in the recipe is unknown.
        ValueError: A name is unknown or a number out of range, or dynamics are wanted of an agent
            that does not spike.
    """
    spec = load_agent_spec(agent)
    env_id = import_named_module(env_id)
    if env_id not in gym.registry:
        load_environment_spec(env_id)  # says now, and not after the folder was made, what is known
    asked: dict[str, Any] = {
        "seed": 0,
        "checkpoint_interval": DEFAULT_CHECKPOINT_INTERVAL,
        "seeding": "disjoint",
        **recipe,
    }
    for name in _CHANGES:
        asked[name] = as_plain_data(dict(asked.get(name) or {}), name)
    settings = RunSettings(
        format="snn_gym/run/1",
        agent=agent,
        environment=env_id,
        steps=_budget(spec, env_id) if steps is None else steps,
        versions=package_versions(),
        processor=processor(),
        **asked,
    )
    _check_changes(settings, spec)
    if settings.dynamics and not acts_in_spikes(spec):
        raise ValueError(
            f"agent {agent!r} does not spike, so it has no dynamics to log; leave out --dynamics, "
            f"or train its twin {spec.twin!r}"
        )
    return settings


def _check_changes(settings: RunSettings, spec: AgentSpec) -> None:
    """Refuse hyper-parameters, network settings or arguments that nothing can be built of."""
    env_id = settings.environment
    made = spec.settings(env_id, settings.hyperparameters)
    policy_arguments(spec, env_id, settings.network, settings.hyperparameters)
    arguments = settings.environment_kwargs
    if arguments:
        with naming_the_argument(env_id, arguments):
            make_environments(env_id, made.n_envs, None, arguments).close()


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
    advice = "a run of `snn-gym train`"
    return read_sealed(RunSettings, folder / RUN_FILE, "training run", advice, _MAX_RUN_BYTES)
