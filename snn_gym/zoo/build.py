"""Environments, policies and Stable-Baselines3 models, built from agents' descriptions."""

from __future__ import annotations

import inspect
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import load_env_creator
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.utils import ConstantSchedule, get_device
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from snn_gym._base.config import Natural, to_mapping, typed
from snn_gym._base.names import did_you_mean, printable
from snn_gym._base.spaces import holds_values
from snn_gym.envs.registry import (
    import_named_module,
    known_ids,
    load_environment_spec,
    make_task,
    unflattened_id,
)
from snn_gym.envs.stable_baselines import (
    EnvironmentLike,
    Given,
    Mode,
    has_batch,
    make_vec_env,
    name_of,
    spec_of,
)
from snn_gym.policies.raw_observations import RecordedPolicy, with_normalisation
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.assembly import time_steps_in
from snn_gym.zoo.algorithms import (
    ALGORITHMS,
    SCHEDULES,
    OnPolicySettings,
    Settings,
    StatefulPPOSettings,
    algorithm_class,
    make_settings,
    parse_schedule,
    policy_class,
)
from snn_gym.zoo.recipe import Parent, Recipe, ResolvedSettings, Seeding, wrap_in_vec_normalize
from snn_gym.zoo.spec import AgentSpec, agent_ids, load_agent_spec


# ---- plain data ----------------------------------------------------------------------------------
def as_plain_data(values: dict[str, Any], subject: str, alternative: str = "") -> dict[str, Any]:
    """Return a mapping as plain JSON types; refuse others, with the subject in the error."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(values, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{subject} {values!r} hold more than plain data and can't be saved; use numbers, "
            f"strings, lists and mappings{alternative}"
        ) from error
    return plain


# ---- identity ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Identity:
    """Agent and environment of a model."""

    agent: str | None
    """Name in the zoo; None for a model made by hand."""
    environment: str
    environment_kwargs: dict[str, Any] = field(default_factory=dict)
    seeding: Seeding = "consecutive"
    parent_sha256: str | None = None
    """SHA-256 of the weights of the agent that this one was made lean or goes on from, or None."""
    fresh: bool = False
    """Whether the model had fresh weights when it was made."""
    recipe: Recipe | None = None
    """Recipe of the weights with which it was made; None where it is not known."""
    parent: Parent | None = None
    """Parent from which ``make_lean`` made the model; None of any other and of a loaded one."""
    history: Path | tuple[Any, Any] | None = None
    """Folder that it was loaded from, where a run has its episodes, or environment steps and mean
    returns of its training; None where neither is known."""


# Beside the models and not on them: a Stable-Baselines3 object gets no attribute of ours.
_IDENTITIES: WeakKeyDictionary[BaseAlgorithm, Identity] = WeakKeyDictionary()


def remember_identity(model: BaseAlgorithm, identity: Identity) -> None:
    """Keep the identity of a model for as long as the model lives."""
    _IDENTITIES[model] = identity


def identify(model: BaseAlgorithm) -> Identity:
    """Return a model's remembered identity, else its environment's; refuse one without any."""
    if not hasattr(model, "get_env"):
        raise TypeError(
            f"expected a model of Stable-Baselines3, as of make_agent, got {type(model).__name__}; "
            "pass the model, not its policy or its name"
        )
    if model in _IDENTITIES:
        return _IDENTITIES[model]
    env = model.get_env()
    if env is None:
        raise ValueError("the model has no environment, which names its task; call set_env(env)")
    return Identity(agent=None, environment=name_of(env), environment_kwargs=own_arguments(env))


def own_arguments(env: gym.Env[Any, Any] | VecEnv) -> dict[str, Any]:
    """Return the arguments of an environment beyond those of its id; refuse any that are code."""
    spec = spec_of(env)
    if spec is None:
        return {}
    # Arguments that the id has itself say nothing of this environment.
    registered = gym.registry[spec.id].kwargs if spec.id in gym.registry else {}
    kwargs = {
        key: value
        for key, value in spec.kwargs.items()
        if key != "render_mode" and (key not in registered or registered[key] != value)
    }
    return as_plain_data(kwargs, f"arguments of environment {spec.id!r}")


# ---- seeding -------------------------------------------------------------------------------------
# Below lie training seeds, those that count up from them, and those of evaluations.
_FIRST_SEED = 1 << 31


def environment_seeds(seed: int, n_envs: int, seeding: Seeding) -> list[int]:
    """Return the seed, of 32 bits at most, of each environment's first reset, for a run's seed."""
    if seeding == "consecutive":
        return [seed + index for index in range(n_envs)]
    return [_drawn_seeds(seed, index)[0] for index in range(n_envs)]


def seed_environments(env: VecEnv, seed: int | None, seeding: Seeding) -> None:
    """Seed the next reset and the action spaces, unless ``seed`` is None or for ``consecutive``."""
    if seed is None or seeding == "consecutive":
        return  # as Stable-Baselines3 has seeded them
    base: Any = env.unwrapped
    # The attribute that VecEnv.seed sets, which can only count up.
    base._seeds = environment_seeds(seed, env.num_envs, seeding)
    # A batch has no single environments: its action space is that of the first one.
    base.action_space.seed(_drawn_seeds(seed, 0)[1])
    for index, single in enumerate(getattr(base, "envs", ())):
        single.action_space.seed(_drawn_seeds(seed, index)[1])


def _drawn_seeds(seed: int, index: int) -> tuple[int, int]:
    """Return the seeds of environment ``index`` and of its action space, in a run of ``seed``."""
    drawn = np.random.SeedSequence(seed, spawn_key=(index,)).generate_state(2)
    environment, actions = (_FIRST_SEED + int(word) // 2 for word in drawn)
    return environment, actions


# ---- environment arguments -----------------------------------------------------------------------
_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'(?:; allowed: ([\w, ]+))?")


@contextmanager
def naming_the_argument(env_id: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Turn errors from making an environment into a one-line ``ValueError`` on its arguments."""
    try:
        yield
    # Environments fail in many ways at an argument that they do not use.
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError) as error:
        match = _UNEXPECTED.search(str(error)) if isinstance(error, TypeError) else None
        if match is None:
            raise ValueError(f"{env_id} can't be made with {dict(arguments)}: {error}") from error
        known = match[2].split(", ") if match[2] else argument_names(env_id)
        raise ValueError(
            f"{env_id} takes no argument {match[1]!r}{did_you_mean(match[1], known)} it takes "
            f"{', '.join(known) or 'none'}"
        ) from error


_NO_ARGUMENTS = ("base_id", "render_mode", "num_envs", "max_episode_steps")


def argument_names(env_id: str) -> tuple[str, ...]:
    """Return the names of an environment's keyword arguments, and of those of a task it wraps."""
    spec = gym.spec(env_id)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names: list[str] = []
    for entry in (spec.entry_point, spec.vector_entry_point):
        if entry is not None:
            creator = load_env_creator(entry) if isinstance(entry, str) else entry
            parameters = inspect.signature(creator).parameters
            names += [name for name, x in parameters.items() if x.kind in named]
    # Ids in snn/ pass further arguments on to the task that they wrap.
    base = spec.kwargs.get("base_id")
    if isinstance(base, str) and base != env_id:
        names += argument_names(base)
    return tuple(name for name in dict.fromkeys(names) if name not in _NO_ARGUMENTS)


# ---- build ---------------------------------------------------------------------------------------
BATCHED_FROM = 4
"""Copies of an environment from which a batch of them is at least as fast as singles."""


def make_agent(
    name: str,
    env_id: EnvironmentLike,
    seed: int = 0,
    *,
    device: str = "cpu",
    verbose: int = 0,
    tensorboard_log: str | None = None,
    network: Mapping[str, Any] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    seeding: Seeding = "disjoint",
    **overrides: Any,
) -> BaseAlgorithm:
    """Make an agent of the zoo, ready to learn.

    Args:
        name: One of ``snn_gym.agent_ids()``.
        env_id: Any id that gymnasium knows; an environment, a callable that makes one, or a
            VecEnv. Where the agent has no settings for the id, those of ``[default]`` serve, with a
            warning, or those of ``[continuous]`` for Box actions. An object takes the place of the
            agent's ``n_envs`` environments, with a warning if their number differs; rollouts then
            keep their number of environment steps.
        seed: Seed of the initial weights, of exploration and of the environments.
        device: PyTorch device, as for ``available_device``.
        verbose: Stable-Baselines3's verbosity, 0 to 2.
        tensorboard_log: Folder of TensorBoard logs; None for none.
        network: Settings of ``snn_gym.spiking.NetworkConfig`` that replace those of the agent's
            file, each as a whole.
        env_kwargs: Arguments of an id, as ``gym.make`` takes them.
        seeding: How the environments' random streams follow from the seed; ``consecutive`` gives
            the bits of results from before there was a choice.
        **overrides: Hyper-parameters, ``normalise_observations``, ``normalise_rewards``,
            ``vec_normalize`` or ``optimizer_kwargs``, that replace those of the agent's file.

    Returns:
        An algorithm on ``n_envs`` copies of the environment, or on the caller's own.

    Raises:
        TypeError: ``env_id`` is no environment.
        ValueError: The agent, the environment, a hyper-parameter or a setting of the network is
            unknown or invalid.
    """
    given, seed = None, typed(Natural | None, seed, "seed")
    if isinstance(env_id, str):
        env_id = import_named_module(env_id)
        spec = fitting_spec(name, env_id, env_kwargs)
    else:
        given = Given(env_id, env_kwargs)
        env_id = given.name
        assert not isinstance(given.acted_in, str)
        spec = load_agent_spec(name).fitted(given.acted_in.action_space)
        overrides = _as_many(spec, given, overrides)
    resolved = resolve_settings(spec, env_id, network, overrides)
    return build_agent(
        name,
        env_id,
        seed,
        resolved,
        device=device,
        verbose=verbose,
        tensorboard_log=tensorboard_log,
        env_kwargs=env_kwargs,
        seeding=seeding,
        given=given,
    )


def fitting_spec(name: str, env_id: str, env_kwargs: Mapping[str, Any] | None = None) -> AgentSpec:
    """Return an agent's description, with default settings that fit the actions of an id."""
    spec = load_agent_spec(name)
    if unflattened_id(env_id) in spec.environments or not spec.continuous:
        return spec  # without an environment, whose package may be missing
    with naming_the_argument(env_id, env_kwargs or {}):
        env = make_task(env_id, **(env_kwargs or {}))
    env.close()
    return spec.fitted(env.action_space)


def _as_many(spec: AgentSpec, given: Given, overrides: dict[str, Any]) -> dict[str, Any]:
    """Return overrides with the number of given environments; refuse another ``n_envs``."""
    count, wanted = given.count, spec.settings(given.name, overrides)
    if count is None or count == wanted.n_envs:
        return overrides
    if "n_envs" in overrides:
        raise ValueError(
            f"n_envs is {wanted.n_envs}, and {given.name} was given as {count}; leave n_envs out, "
            "or give a callable that makes one environment"
        )
    changed, note = {"n_envs": count}, ""
    if isinstance(wanted, OnPolicySettings) and "n_steps" not in overrides:
        unit = 1
        if isinstance(wanted, StatefulPPOSettings):  # rollouts of whole sequences
            unit = changed["sequence_length"] = wanted.sequence_length or wanted.n_steps
        changed["n_steps"] = max(1, wanted.n_steps * wanted.n_envs // count // unit) * unit
        note = f", with n_steps {changed['n_steps']:,} in place of {wanted.n_steps:,}"
    warnings.warn(
        f"agent {spec.name!r} learns in {count} given environment{'s' * (count > 1)}, not in "
        f"{wanted.n_envs}{note}; a callable that makes one gives it {wanted.n_envs}",
        stacklevel=3,
    )
    return {**overrides, **changed}


def resolve_settings(
    spec: AgentSpec,
    env_id: str,
    network: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> ResolvedSettings:
    """Return every setting with which an agent would train, with changes as in ``make_agent``."""
    arguments = policy_arguments(spec, env_id, network, overrides)
    config: NetworkConfig = arguments.pop("network")
    return ResolvedSettings(
        algorithm=spec.algorithm,
        hyperparameters=to_mapping(spec.settings(env_id, dict(overrides or {}))),
        policy_kwargs=as_plain_data(arguments, f"policy arguments of {spec.name}"),
        network=config.to_dict(),
        vec_normalize=spec.vec_normalize(env_id, overrides),
    )


def build_agent(
    name: str,
    env_id: str,
    seed: int | None,
    resolved: ResolvedSettings,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    seeding: Seeding = "disjoint",
    device: str = "cpu",
    verbose: int = 0,
    tensorboard_log: str | None = None,
    given: Given | None = None,
) -> BaseAlgorithm:
    """Build an agent from resolved settings; warn if its file has none for the environment.

    It learns in the ``given`` environments, whose name is ``env_id``, if there are any.
    """
    device = available_device(device)  # here, so that a warning names the caller's line
    where = f"agent {name!r} on {env_id}"
    settings = make_settings(resolved.algorithm, resolved.hyperparameters, where)
    env_kwargs = dict(env_kwargs or {})
    with naming_the_argument(env_id, env_kwargs):
        env = make_environments(given or env_id, settings.n_envs, seed, env_kwargs)
    if given is not None:
        env_kwargs = own_arguments(env)
    if resolved.vec_normalize is not None:
        env = wrap_in_vec_normalize(env, resolved.vec_normalize)
    _check_actions(resolved.algorithm, env_id, env.action_space)
    model = build_model(
        resolved.algorithm,
        {**resolved.policy_kwargs, "network": NetworkConfig.from_dict(resolved.network)},
        settings,
        env,
        seed=seed,
        device=device,
        verbose=verbose,
        tensorboard_log=tensorboard_log,
    )
    if unflattened_id(env_id) not in load_agent_spec(name).environments:
        warnings.warn(
            f"agent {name!r} was not tuned for {env_id}: it learns with its default settings",
            stacklevel=3,
        )
    # Building a model has seeded its environments consecutively, so this comes last.
    seed_environments(env, seed, seeding)
    plain = as_plain_data(env_kwargs, f"arguments of environment {env_id!r}")
    # Nobody can make a caller's environments again, so no recipe leads to the weights.
    fresh = given is None
    remember_identity(model, Identity(name, env_id, plain, seeding=seeding, fresh=fresh))
    return model


_SHOWN_AGENTS = 6


def _check_actions(algorithm: str, env_id: str, space: spaces.Space[Any]) -> None:
    """Refuse an action space that an algorithm does not serve; name agents that do."""
    if not holds_values(space) or (
        isinstance(space, spaces.Box) and not np.issubdtype(space.dtype, np.floating)
    ):
        raise ValueError(
            f"{env_id} has the actions {printable(str(space), 100)}, which no agent chooses; "
            "expected Discrete, MultiDiscrete or MultiBinary of one axis, or a Box of floats that "
            "holds a value; use gymnasium.wrappers.TransformAction"
        )
    kind = ALGORITHMS[algorithm].actions
    if kind is None or isinstance(space, kind):
        return
    specs = [spec for spec in map(load_agent_spec, agent_ids()) if not spec.is_imported]
    fitting = [
        spec
        for spec in specs
        if (served := ALGORITHMS[spec.algorithm].actions) is None or isinstance(space, served)
    ]
    # Those tuned for the task first, and variants of an agent, with longer names, last.
    fitting.sort(
        key=lambda x: (env_id not in x.environments, x.twin is None, x.name.count("-"), x.name)
    )
    names = ", ".join(spec.name for spec in fitting[:_SHOWN_AGENTS])
    raise ValueError(
        f"{algorithm} takes {kind.__name__} actions, and {env_id} has {space}; agents that fit: "
        f"{names}"
    )


def build_policy(
    name: str, env_id: str, tensors: Mapping[str, Tensor] | None = None
) -> RecordedPolicy:
    """Build an agent's policy on raw observations with fresh weights and nothing to train it with.

    Args:
        name: One of ``snn_gym.agent_ids()``.
        env_id: Any id that gymnasium knows.
        tensors: Acting tensors that the policy shall take: it gets the neurons and time steps that
            are left of the agent's network where it sheds such. None for the whole network.

    Raises:
        ValueError: The agent or the environment is unknown.
    """
    spec = load_agent_spec(name)
    arguments = policy_arguments(spec, env_id, shed_settings(name, env_id, tensors))
    if getattr(spec.settings(env_id), "use_sde", False):
        arguments["use_sde"] = True  # which the algorithm would tell the policy
    env = make_environments(env_id, 1, None)
    spaces = env.observation_space, env.action_space
    env.close()
    # Any: the classes of the table alone are known to record.
    policy: Any = policy_class(spec.algorithm)(*spaces, ConstantSchedule(0.0), **arguments)
    policy.train(False)
    around = spec.vec_normalize(env_id)
    if around is not None and around.norm_obs:
        keys = around.norm_obs_keys
        policy = with_normalisation(
            policy, spaces[0], epsilon=around.epsilon, clip=around.clip_obs, keys=keys
        )
    return cast("RecordedPolicy", policy)


_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.linear\.bias$")


def shed_settings(
    name: str, env_id: str, tensors: Mapping[str, Tensor] | None
) -> dict[str, Any] | None:
    """Return the hidden sizes and time steps of a network that its agent has made smaller.

    They are read from its acting tensors. None without tensors, for an agent that sheds no neurons,
    and for sizes that shedding can't have left, which then do not fit the agent's own.
    """
    config: NetworkConfig = policy_arguments(load_agent_spec(name), env_id)["network"]
    lean = None if config.regulation is None else config.regulation.lean
    if tensors is None or lean is None or not lean.sheds_neurons:
        return None
    found = {
        int(match[1]): len(x)
        for tensor_name, x in tensors.items()
        if (match := _LAYER.search(tensor_name)) and x.dim() == 1
    }
    sizes = [found.get(k, 0) for k in range(len(config.hidden_sizes))]
    if not all(0 < n <= most for n, most in zip(sizes, config.hidden_sizes, strict=True)):
        return None
    given = time_steps_in(tensors)
    halved = [config.time_steps >> k for k in range(config.time_steps.bit_length())]
    # Spike trains have their environment's number.
    steps = next((x for x in halved if x == given), config.time_steps)
    return {"hidden_sizes": sizes, "time_steps": steps}


def policy_arguments(
    spec: AgentSpec,
    env_id: str,
    network: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the keyword arguments of an agent's policy on an environment.

    Args:
        spec: Description of the agent.
        env_id: Any id that gymnasium knows.
        network: Settings of the network that replace those of the description.
        overrides: As for ``AgentSpec.policy_settings``.

    Raises:
        ValueError: The environment or a setting of the network is unknown or invalid.
    """
    settings = spec.network_settings(env_id)
    arguments = spec.policy_settings(env_id, overrides)
    if "net_arch" in arguments:
        from snn_gym.policies.networks import read_net_arch  # which loads Norse

        key = policy_class(spec.algorithm).critic_key  # type: ignore[attr-defined]
        # Sizes of the parent make way; those of the agent itself would be lost.
        inherited = load_agent_spec(spec.parent).network_settings(env_id) if spec.parent else {}
        own = {name: x for name, x in settings.items() if x != inherited.get(name)}
        settings["hidden_sizes"], critic = read_net_arch(arguments.pop("net_arch"), key, own)
        if key is not None:
            arguments["critic_hidden_sizes"] = list(critic)
    config = NetworkConfig.from_dict({**settings, **(network or {})})
    # As a saved agent has it: equal policies are described alike.
    if arguments.get("critic_hidden_sizes") == list(config.hidden_sizes):
        del arguments["critic_hidden_sizes"]
    return {**arguments, "network": config}


def make_environments(
    env_id: EnvironmentLike | Given,
    n_envs: int,
    seed: int | None,
    env_kwargs: dict[str, Any] | None = None,
) -> VecEnv:
    """Make copies of an environment that are stepped together in this process.

    Those of an id are seeded unless ``seed`` is None, others are not. Of environments there are as
    many as were given.
    """
    if not isinstance(env_id, str):
        given = env_id if isinstance(env_id, Given) else Given(env_id, env_kwargs)
        return as_learned(given.vec_env(n_envs))
    is_ours = env_id in known_ids() and load_environment_spec(env_id).task is not None
    # A batch of few copies of a foreign task is slower; its transitions are the same to the bit.
    batched = has_batch(env_id) and (is_ours or n_envs >= BATCHED_FROM)
    mode: Mode = "batched" if batched else "sync"
    return as_learned(make_vec_env(env_id, n_envs, seed, mode=mode, env_kwargs=env_kwargs))


def as_learned(env: gym.Env[Any, Any] | VecEnv) -> VecEnv:
    """Return environments in a VecEnv, as Stable-Baselines3 wraps them: images channels first."""
    try:
        return BaseAlgorithm._wrap_env(env, monitor_wrapper=False)
    except NotImplementedError as error:
        raise ValueError(f"{error}; use gymnasium.wrappers.FlattenObservation") from error


def check_spaces(actor: Any, env: Any, where: str) -> None:
    """Refuse environments with other spaces than ``actor`` has, if it has any."""
    for name in ("observation_space", "action_space"):
        expected, offered = getattr(actor, name, None), getattr(env, name)
        # A bare policy has the spaces of Stable-Baselines3's algorithms.
        if expected is not None and expected not in (offered, getattr(as_learned(env), name)):
            raise ValueError(
                f"{where}: the agent's {name} is {expected} and the environment's {offered}; name "
                "the environment that it was trained on"
            )


def available_device(device: str) -> str:
    """Return the PyTorch device to use for a requested one.

    ``auto`` becomes CUDA's device if there is one. CUDA without support here becomes ``cpu``, with
    a warning. An unknown device raises ValueError.
    """
    try:
        used = str(get_device(device))
    except RuntimeError as error:
        raise ValueError(
            f"device {device!r} is unknown to PyTorch; use cpu, cuda, cuda:1 or auto"
        ) from error
    if used == "cpu" and device not in ("cpu", "auto"):
        warnings.warn(
            f"device {device!r} is not available here, so the CPU is used; install a PyTorch that "
            "finds it, or ask for device 'cpu'",
            stacklevel=4,
        )
    return used


def build_model(
    algorithm: str,
    arguments: dict[str, Any],
    settings: Settings,
    env: VecEnv,
    *,
    seed: int | None,
    device: str,
    verbose: int = 0,
    tensorboard_log: str | None = None,
) -> BaseAlgorithm:
    """Build an algorithm from typed hyper-parameters and its policy's ``arguments`` on ``env``.

    ``arguments`` hold ``network``; its ``regulation.lean`` makes it a ``LeanAlgorithm``.
    """
    values = to_mapping(settings, whole=True)
    del values["n_envs"]  # the environments say so themselves
    for key in SCHEDULES:
        if key in values:
            values[key] = parse_schedule(values[key])
    noise_std = values.pop("action_noise_std", 0.0)
    if noise_std > 0:
        size = get_action_dim(env.action_space)
        values["action_noise"] = NormalActionNoise(np.zeros(size), np.full(size, noise_std))
    arguments = {
        "policy_kwargs": dict(arguments),
        "seed": seed,
        "device": available_device(device),
        "verbose": verbose,
        "tensorboard_log": tensorboard_log,
        **values,
    }
    kind = algorithm_class(algorithm)
    regulation = arguments["policy_kwargs"]["network"].regulation
    if regulation is not None and regulation.lean is not None:
        # Its policies, and Norse with them, are not loaded by importing this module.
        from snn_gym.learners.lean_algorithm import lean

        kind = lean(kind)
    try:
        return kind(policy_class(algorithm), env, **arguments)
    except (AssertionError, NotImplementedError) as error:
        # Stable-Baselines3 asserts that it serves these spaces.
        raise ValueError(
            f"{algorithm} can't be built: {error}; see `snn-gym agents`, or use "
            "gymnasium.wrappers.FlattenObservation"
        ) from error
