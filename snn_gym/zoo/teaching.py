"""``distil`` and ``make_lean``: a trained agent as teacher of another, cheaper agent."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import FlattenExtractor

from snn_gym._base.config import from_mapping, to_mapping
from snn_gym._base.storage import dump_tensors
from snn_gym.envs.registry import known_ids, load_environment_spec
from snn_gym.learners.lean_algorithm import LeanAlgorithm, lean
from snn_gym.policies.base import ProgramPolicy, SpikingPolicy, spiking_policy_of
from snn_gym.policies.raw_observations import bare_policy
from snn_gym.policies.shrinking import unrolled, unrolled_config
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.network_config import LeanParameters, RegulationParameters
from snn_gym.zoo.algorithms import make_settings
from snn_gym.zoo.build import (
    build_model,
    identify,
    make_environments,
    remember_identity,
    resolve_settings,
    seed_environments,
)
from snn_gym.zoo.files import dump_weights, settings_of
from snn_gym.zoo.recipe import Parent, ResolvedSettings
from snn_gym.zoo.spec import lean_steps, load_agent_spec

_PURE = {"first_strength": 0.0, "control_rate": 0.0, "pruning": 0.0}
"""Settings of lean that shed nothing: the student is taught alone."""


def distil(
    teacher: BaseAlgorithm,
    student: str | None = None,
    steps: int | None = None,
    *,
    network: Mapping[str, Any] | None = None,
    seed: int | None = None,
    **settings: Any,
) -> LeanAlgorithm:
    """Return an agent that a trained one has taught to act as it does.

    The student plays, the teacher labels the states that the student visits, and every update
    lowers the divergence of their behaviour: DAgger (Ross et al. 2011,
    https://arxiv.org/abs/1011.0686). Student and teacher may be of any algorithm, spiking or not.
    The teacher is not changed.

    Args:
        teacher: Trained agent, of the zoo or a stock algorithm with one of our policies.
        student: Agent of the zoo of which the new one is made, with the hyper-parameters of its
            file; None for the teacher's own policy and hyper-parameters.
        steps: Environment steps to visit states in; a fifth of those trained if None, at least
            1,000.
        network: Settings of ``snn_gym.spiking.NetworkConfig`` that replace the student's, such as
            ``{"hidden_sizes": [8, 8]}``. A network whose weights have the shapes of the teacher's
            starts from them, any other from fresh ones.
        seed: Seed of the new agent; the teacher's if None.
        **settings: Fields of ``LeanParameters`` that replace those of the student's file. Without
            such a file nothing is shed: ``first_strength``, ``control_rate`` and ``pruning`` are 0.

    Returns:
        The student, after its updates. It can be saved and goes on learning as any other.

    Raises:
        ValueError: A setting is unknown or out of range, or the teacher can't teach the student.

    Example:
        >>> import snn_gym
        >>> teacher = snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=0).learn(512)
        >>> small = snn_gym.distil(teacher, "ppo-mlp", network={"hidden_sizes": [4]}, updates=20)
    """
    return _distil(teacher, student, steps, network, seed, settings, "distil")


def make_lean(
    model: BaseAlgorithm,
    steps: int | None = None,
    *,
    student: str | None = None,
    network: Mapping[str, Any] | None = None,
    seed: int | None = None,
    **settings: Any,
) -> LeanAlgorithm:
    """Return an agent that acts as a trained one does, with fewer spikes.

    It is ``distil`` with the bound and the pruning of ``LeanParameters``, whatever the student's
    file says. Its ``cost`` counts: with ``cost="operations"``, or a student whose file says so, the
    new agent sheds neurons, inputs and time steps too, and ends with a smaller network.

    A network with convolutions gets dense layers of equal weights first, so that single neurons of
    a filter may be shed.

    A student of the same network acts unchanged in the first fifth of the steps. Later episodes are
    compared with the return of that fifth: they move the bound, and weights are restored where the
    final ones earn less. The loss allowed is in units of the trained agent's return above random
    play; none is allowed where that return is unknown. The comparison takes about ten episodes in
    each fifth of the steps. The bound of any other student stays fixed, for fresh weights earn
    nothing.

    Args:
        model: Trained agent, as the ``teacher`` of ``distil``.
        steps: As for ``distil``.
        student: As for ``distil``. An ANN sheds weights.
        network: As for ``distil``, such as ``{"time_steps": 4}``.
        seed: As for ``distil``.
        **settings: Fields of ``LeanParameters``, such as ``bound`` or ``max_synops``.

    Returns:
        The new agent, after its updates. It can be saved and goes on learning as any other.

    Raises:
        ValueError: As for ``distil``.

    Example:
        >>> import snn_gym
        >>> trained = snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=0).learn(512)
        >>> small = snn_gym.make_lean(trained, network={"time_steps": 4}, updates=20)
    """
    shedding = {**to_mapping(LeanParameters()), **settings}
    if "cost" not in settings:
        del shedding["cost"]  # which the student's file or the agent's own network names
    return _distil(model, student, steps, network, seed, shedding, "make_lean")


def _distil(
    model: BaseAlgorithm,
    student: str | None,
    steps: int | None,
    network: Mapping[str, Any] | None,
    seed: int | None,
    settings: Mapping[str, Any],
    caller: str,
) -> LeanAlgorithm:
    """Return a taught student; ``settings`` replace those of lean that its network has."""
    if steps is not None and steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    environment = identify(model).environment
    if student is not None:
        spec = load_agent_spec(student).fitted(model.action_space)
        resolved = resolve_settings(spec, environment, network)
    else:
        resolved = settings_of(model)
        resolved = replace(resolved, network={**resolved.network, **(network or {})})
    own = (resolved.network.get("regulation") or {}).get("lean") or _PURE
    parameters = from_mapping(LeanParameters, {**own, **settings}, caller)
    new = _build_student(model, student, resolved, parameters, seed)
    if student is None and not network:
        new.teacher_first_return = _return_of_random_play(new)
    return _teach(new, model, steps)


def _return_of_random_play(model: BaseAlgorithm) -> float:
    """Return the mean return of random play or, where unknown, infinity, which allows no loss."""
    identity = identify(model)
    if identity.environment not in known_ids() or identity.environment_kwargs:
        return math.inf
    return load_environment_spec(identity.environment).reference.random


def make_student(
    model: BaseAlgorithm,
    steps: int | None,
    student: str,
    resolved: ResolvedSettings,
    parameters: LeanParameters,
    *,
    seed: int | None = None,
) -> LeanAlgorithm:
    """Return a zoo agent, built from resolved settings and taught by ``model`` as ``make_lean``."""
    return _teach(_build_student(model, student, resolved, parameters, seed), model, steps)


def _teach(new: LeanAlgorithm, model: BaseAlgorithm, steps: int | None) -> LeanAlgorithm:
    """Give a new agent the weights that fit, let the trained one teach it, and return it."""
    new.teacher = _in_form_of(spiking_policy_of(new), _teaching_policy(model))
    _take_over(spiking_policy_of(new), new.teacher)
    if new.lean_parameters.sheds_neurons and _acts_alike(spiking_policy_of(new), new.teacher):
        new.teacher_first_return = _return_of_random_play(new)
    new.learn(lean_steps(model.num_timesteps) if steps is None else steps)
    new.teacher = new.teacher_first_return = None  # later learning has no teacher
    return new


def _in_form_of(policy: SpikingPolicy, trained: ProgramPolicy) -> ProgramPolicy:
    """Return a trained policy, with dense layers for its convolutions if the student has these."""
    if not isinstance(trained, SpikingPolicy) or policy.network.convolutions:
        return trained
    if not trained.network.convolutions:
        return trained
    dense = unrolled_config(trained.network, trained.observation_space)
    return unrolled(trained) if dense.hidden_sizes == policy.network.hidden_sizes else trained


def _teaching_policy(model: BaseAlgorithm) -> ProgramPolicy:
    """Return a trained model's policy; refuse one that sees other observations than its student."""
    policy = bare_policy(model, "made lean")
    if not isinstance(policy, ProgramPolicy):
        raise ValueError(
            f"{type(policy).__name__} of {type(model).__name__} does not teach; train the same "
            "algorithm with a policy of snn_gym.policies, such as agent 'sb3-ppo' has"
        )
    return policy


def _build_student(
    model: BaseAlgorithm,
    student: str | None,
    resolved: ResolvedSettings,
    parameters: LeanParameters,
    seed: int | None,
) -> LeanAlgorithm:
    policy, identity = _teaching_policy(model), identify(model)
    config = NetworkConfig.from_dict(resolved.network)
    arguments = dict(resolved.policy_kwargs)
    if config.convolutions and parameters.sheds:
        config = unrolled_config(config, policy.observation_space)
        arguments["features_extractor_class"] = FlattenExtractor
    regulation = RegulationParameters(lean=parameters)
    if config.regulation is not None:
        regulation = replace(config.regulation, lean=parameters)
    arguments["network"] = replace(config, regulation=regulation)
    settings = make_settings(resolved.algorithm, as_it_plays(resolved.hyperparameters), "make_lean")
    seed = model.seed if seed is None else seed
    env = make_environments(
        identity.environment, settings.n_envs, seed, identity.environment_kwargs
    )
    seed_environments(env, seed, identity.seeding)
    new = build_model(
        resolved.algorithm, arguments, settings, env, seed=seed, device=str(model.device)
    )
    assert isinstance(new, lean(type(new)))  # as its network's regulation demands
    parent = None  # an agent without steps has no row that could be the parent
    if model.num_timesteps > 0:
        acting = dump_tensors(policy.acting_state_dict())
        digest = hashlib.sha256(acting).hexdigest()
        parent = Parent(weights_sha256=digest, steps=model.num_timesteps)
    derived = replace(
        identity,
        agent=identity.agent if student is None else student,
        parent_sha256=hashlib.sha256(dump_weights(model)).hexdigest(),
        fresh=False,
        recipe=None,
        parent=parent,
    )
    remember_identity(new, derived)
    return new


def as_it_plays(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyper-parameters with the earliest updates, and then the final exploration rate."""
    values = dict(settings)
    if "learning_starts" in values:
        values["learning_starts"] = 0
    # States are those of play: no random actions at the start.
    if "exploration_initial_eps" in values:
        values["exploration_initial_eps"] = values["exploration_final_eps"]
    return values


def _acts_alike(policy: ProgramPolicy, trained: ProgramPolicy) -> bool:
    """Return whether all acting tensors of two policies are equal."""
    own, given = policy.acting_state_dict(), trained.acting_state_dict()
    return own.keys() == given.keys() and all(torch.equal(x, given[n]) for n, x in own.items())


def _take_over(policy: SpikingPolicy, trained: ProgramPolicy) -> None:
    """Load a trained policy's acting weights if all names and shapes fit, else its normaliser."""
    own, given = (
        {name: x for name, x in tensors.items() if not name.endswith(".neuron_constants")}
        for tensors in (policy.acting_state_dict(), trained.acting_state_dict())
    )
    fits = own.keys() == given.keys() and all(
        x.shape == own[name].shape for name, x in given.items()
    )
    statistics = trained.normaliser
    if not fits:
        # Another network sees the same observations, so the normaliser fits it too.
        names = [name for name in own if ".normaliser." in name and statistics is not None]
        given = {name: getattr(statistics, name.rpartition(".")[2]) for name in names}
    policy.load_acting_state_dict({**policy.acting_state_dict(), **given})
