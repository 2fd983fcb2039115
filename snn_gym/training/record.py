"""Record of a training: everything that decides its outcome, and its file, run.json."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.config import (
    Length,
    Natural,
    PathlessArguments,
    RecordedAgent,
    RecordedId,
    from_mapping,
    to_mapping,
)
from snn_gym._base.numerics import numerics
from snn_gym._base.storage import dump_tensors, read_sealed_content
from snn_gym.envs.registry import (
    describe_unregistered,
    import_named_module,
    known_ids,
    load_environment_spec,
)
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.zoo.build import (
    as_plain_data,
    available_device,
    fitting_spec,
    identify,
    make_environments,
    naming_the_argument,
    resolve_settings,
)
from snn_gym.zoo.files import dump_weights, package_versions, settings_of
from snn_gym.zoo.recipe import (
    DEFAULT_CHECKPOINT_INTERVAL,
    Parent,
    Recipe,
    ResolvedSettings,
    Seeding,
    StepCount,
    TrainingSeed,
    processor,
)
from snn_gym.zoo.spec import AgentSpec, load_agent_spec

RUN_FILE = "run.json"
FORMAT = "snn_gym/run/2"
_FIRST_FORMAT = "snn_gym/run/1"
_MAX_RUN_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Training(Recipe):
    """Everything that decides the outcome of a training; files hold it or parts of it."""

    agent: RecordedAgent
    """Agent of the zoo."""
    environment: RecordedId
    """Gymnasium id."""
    seed: TrainingSeed
    """Seed of everything random."""
    checkpoint_interval: StepCount
    """Environment steps between checkpoints; environments are reset there, so it counts."""
    environment_kwargs: PathlessArguments = field(default_factory=dict)
    """Arguments of the environment."""
    seeding: Seeding = "consecutive"
    """How the environments' random streams follow from the seed; older files do not say."""
    device: Annotated[str, Length(1, 64)] = "cpu"
    """PyTorch device that trains; on another one than the CPU no recipe gives the same weights."""
    dynamics: bool = False
    """The network's dynamics are logged, in dynamics.csv."""
    eval_every: Natural = 0
    """Environment steps between evaluations; 0 for none. The trained agent is the same."""

    @property
    def last_step(self) -> int:
        """Environment steps at the end, those of a parent included."""
        return self.steps + (0 if self.parent is None else self.parent.steps)

    @property
    def recipe(self) -> Recipe | None:
        """The part that a saved agent records.

        None on a GPU, or if the training began under other versions, processor or numerics.
        """
        here = "cpu", package_versions(), processor(), numerics()
        if (self.device, self.versions, self.processor, self.numerics) != here:
            return None
        shared = {x.name: getattr(self, x.name) for x in fields(Recipe)}
        return Recipe(**{**shared, "settings": None})  # they stand beside it

    def recorded(self) -> dict[str, Any]:
        """Return the record as plain values for files."""
        plain = to_mapping(self)
        first = {name: plain[name] for name in ("agent", "environment", "seed")}
        return {"format": FORMAT, **first, **plain}


def make_training(
    agent: str,
    env_id: str,
    origin: BaseAlgorithm | None = None,
    *,
    steps: int | None = None,
    checkpoint_interval: int | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    network: Mapping[str, Any] | None = None,
    environment_kwargs: Mapping[str, Any] | None = None,
    device: str = "cpu",
    settings: ResolvedSettings | None = None,
    **fields: Any,
) -> Training:
    """Complete and check the record of a training, before anything is made.

    Args:
        agent: One of ``snn_gym.agent_ids()``.
        env_id: Any id that gymnasium knows.
        origin: Trained model to go on from. Seed, arguments of the environment and settings are its
            own where nothing else is given; those of another ``agent`` are its file's.
        steps: Environment steps; the environment's budget for the agent's class if None.
        checkpoint_interval: Environment steps between checkpoints; if None, that of the task's
            description, 10,000 by default; of other environments 10,000 of each copy.
        hyperparameters: Hyper-parameters in place of the agent's own.
        network: Settings of the network in place of the agent's own, each as a whole.
        environment_kwargs: Arguments of the environment.
        device: PyTorch device, as in ``make_agent``; the record has the one that is used.
        settings: All settings in place of the agent's own.
        **fields: Fields of ``Training``: ``seed`` (0), ``dynamics`` (False), ``eval_every`` (0) and
            ``seeding`` (``disjoint``; ``consecutive`` gives the bits of results from before there
            was a choice).

    Raises:
        TypeError: A field is unknown.
        ValueError: A name is unknown or a number out of range, the origin was not trained, or
            dynamics are wanted of an agent that does not spike.
    """
    spec = load_agent_spec(agent)
    env_id = import_named_module(env_id)
    if env_id not in gym.registry:
        raise ValueError(describe_unregistered(env_id))
    changes = as_plain_data(dict(network or {}), "network")
    overrides = as_plain_data(dict(hyperparameters or {}), "hyperparameters")
    arguments = as_plain_data(dict(environment_kwargs or {}), "environment_kwargs")
    values: dict[str, Any] = {"seed": 0, "seeding": "disjoint"}
    if origin is not None:
        values |= _of_origin(origin)
        identity = identify(origin)
        if env_id == identity.environment:
            arguments = {**identity.environment_kwargs, **arguments}
        if settings is None and agent == identity.agent:
            settings = _changed(settings_of(origin), changes, overrides)
    if settings is None:
        fitting = fitting_spec(agent, env_id, arguments)
        settings = resolve_settings(fitting, env_id, changes, overrides)
    if checkpoint_interval is None:
        checkpoint_interval = _checkpoint_interval(env_id, settings)
    training = Training(
        agent=agent,
        environment=env_id,
        environment_kwargs=arguments,
        steps=_budget(spec, env_id) if steps is None else steps,
        checkpoint_interval=checkpoint_interval,
        settings=settings,
        versions=package_versions(),
        processor=processor(),
        numerics=numerics(),
        device=available_device(device),
        **{**values, **fields},
    )
    if arguments:  # try them
        with naming_the_argument(env_id, arguments):
            make_environments(env_id, 1, None, arguments).close()
    if training.dynamics and not spec.acts_in_spikes:
        raise ValueError(
            f"agent {agent!r} does not spike, so it has no dynamics to log; leave out --dynamics, "
            f"or train its twin {spec.twin!r}"
        )
    return training


def _changed(
    settings: ResolvedSettings, network: Mapping[str, Any], hyperparameters: Mapping[str, Any]
) -> ResolvedSettings:
    """Lay single settings over those of a model."""
    return replace(
        settings,
        network={**settings.network, **network},
        hyperparameters={**settings.hyperparameters, **hyperparameters},
    )


def _of_origin(origin: BaseAlgorithm) -> dict[str, Any]:
    """Return the seed of a model to go on from, its steps, and the digests of its weights."""
    if origin.num_timesteps < 1:
        raise ValueError("the agent to go on from has no training steps; train it first")
    acting = dump_tensors(raw_policy(origin).acting_state_dict())
    digests = [hashlib.sha256(data).hexdigest() for data in (acting, dump_weights(origin))]
    parent = Parent(weights_sha256=digests[0], steps=origin.num_timesteps)
    return {
        "seed": origin.seed or 0,
        "seeding": "disjoint",
        "parent": parent,
        "start_sha256": digests[1],
    }


def _checkpoint_interval(env_id: str, settings: ResolvedSettings) -> int:
    """Return a task's own interval, for any other id 10,000 environment steps of each copy."""
    if env_id in known_ids():
        return load_environment_spec(env_id).checkpoint_interval
    copies: int = settings.hyperparameters.get("n_envs", 1)
    return DEFAULT_CHECKPOINT_INTERVAL * copies


def _budget(spec: AgentSpec, env_id: str) -> int:
    if env_id not in known_ids():
        raise ValueError(f"{env_id} is no task of snn_gym and has no budget; say how many --steps")
    return spec.budget(load_environment_spec(env_id))


def parse_training(content: Any, where: str) -> Training:
    """Return the record that a file holds as plain values; ValueError for any other content."""
    values = dict(content) if isinstance(content, Mapping) else {}
    version = values.pop("format", None)
    if version == _FIRST_FORMAT:
        # Versions before 2.0 named the settings otherwise, and held what changed them too.
        for name in ("hyperparameters", "network"):
            values.pop(name, None)
        values = {"processor": {}, "settings": values.pop("resolved", None), **values}
    elif version != FORMAT:
        raise ValueError(f"{where}: format is {version!r:.60}, expected {FORMAT!r}")
    return from_mapping(Training, values, where)


def read_training(folder: Path) -> Training:
    """Read the record of a training.

    Args:
        folder: Folder that ``train`` wrote.

    Raises:
        ValueError: There is none, it was changed since, or it does not fit the schema.
    """
    file = folder / RUN_FILE
    content = read_sealed_content(file, "training run", "a run of `snn-gym train`", _MAX_RUN_BYTES)
    return parse_training(content, str(file))
