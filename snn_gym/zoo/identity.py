"""Agent and environment of a model, and its settings as plain data."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, VectorizedActionNoise
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.vec_env import VecEnv

from snn_gym.envs.objects import name_of, spec_of
from snn_gym.policies.observations import extractor_name
from snn_gym.spiking import NetworkConfig
from snn_gym.zoo.algorithms import ALGORITHMS, Settings, algorithm_name, make_settings
from snn_gym.zoo.environments import Seeding
from snn_gym.zoo.hyperparameters import SCHEDULES, format_schedule
from snn_gym.zoo.recipe import Parent, Recipe


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


# ---- extract -------------------------------------------------------------------------------------
def extract_settings(model: BaseAlgorithm) -> Settings:
    """Return the hyper-parameters that would build a model again; refuse any that are code."""
    algorithm = algorithm_name(model)
    names = [field.name for field in dataclasses.fields(ALGORITHMS[algorithm].settings)]
    values = {name: getattr(model, name) for name in names if hasattr(model, name)}
    for name in SCHEDULES:
        if name in values:
            values[name] = format_schedule(values[name], name)
    if algorithm == "A2C":
        # A2C keeps these two only in the policy's arguments.
        values["use_rms_prop"] = model.policy_kwargs.get("optimizer_class") is torch.optim.RMSprop
        if values["use_rms_prop"]:
            values["rms_prop_eps"] = model.policy_kwargs["optimizer_kwargs"]["eps"]
    if "train_freq" in values:
        values["train_freq"] = _steps(values["train_freq"])
    if values.get("target_entropy") == -np.prod(model.action_space.shape or ()):
        values["target_entropy"] = "auto"  # which SAC has replaced by this number
    if "action_noise_std" in names:
        values["action_noise_std"] = _noise_std(model.action_noise)
    return make_settings(algorithm, values, f"{algorithm} model")


def extract_policy_arguments(model: BaseAlgorithm, *, before: bool = False) -> dict[str, Any]:
    """Return a model's policy arguments, ``network`` among them, as JSON types; refuse code.

    With ``before`` they are those that the model was made with, before any neurons were shed.
    """
    arguments = dict(model.policy_kwargs)
    if _optimiser_of_the_algorithm(model):
        del arguments["optimizer_class"], arguments["optimizer_kwargs"]
    # The policy has read the first three; off-policy algorithms put use_sde, a hyper-parameter.
    module = getattr(model.policy, "module_config", None)
    if module is not None:
        kind = type(model.policy.acting_network().module).__name__  # type: ignore[operator]
        raise ValueError(
            f"network {kind} is code and can't be saved as data; convert it by "
            "snn_gym.zoo.from_module, build it of NetworkConfig with a neuron of yours "
            "(register_neuron), or keep it by model.save, whose files only you should load"
        )
    for name in ("network", "net_arch", "critic_hidden_sizes", "use_sde"):
        arguments.pop(name, None)
    if "features_extractor_class" in arguments:
        extractor = model.policy.features_extractor_class
        arguments["features_extractor_class"] = extractor_name(extractor)
    plain = as_plain_data(arguments, "policy arguments", ", or save code too, by model.save")
    # From the policy, which knows its default network.
    network: NetworkConfig = model.policy.network  # type: ignore[assignment]
    critic = getattr(model.policy, "critic_hidden_sizes", None)
    if before:
        network, critic = getattr(model, "first_sizes", None) or (network, critic)
    if critic is not None:
        plain["critic_hidden_sizes"] = list(critic)
    return {**plain, "network": network.to_dict()}


def _optimiser_of_the_algorithm(model: BaseAlgorithm) -> bool:
    """Tell whether the policy's optimiser is one that A2C or QR-DQN chose by itself."""
    algorithm, arguments = algorithm_name(model), model.policy_kwargs
    kind = arguments.get("optimizer_class")
    if algorithm == "A2C":
        return kind is torch.optim.RMSprop
    if algorithm != "QRDQN" or kind is not torch.optim.Adam:
        return False
    # As in the paper's appendix, and in sb3-contrib.
    chosen = {"eps": 0.01 / model.batch_size}  # type: ignore[attr-defined]
    return bool(arguments.get("optimizer_kwargs") == chosen)


def _steps(train_freq: TrainFreq | tuple[int, str] | int) -> int:
    if isinstance(train_freq, int):
        return train_freq
    frequency, unit = train_freq
    if TrainFrequencyUnit(unit) is not TrainFrequencyUnit.STEP:
        raise ValueError(
            f"train_freq is {frequency} {TrainFrequencyUnit(unit).value}s; expected a number of "
            "environment steps"
        )
    return frequency


def _noise_std(noise: ActionNoise | None) -> float:
    if isinstance(noise, VectorizedActionNoise):
        noise = noise.base_noise
    if noise is None:
        return 0.0
    if type(noise) is NormalActionNoise:  # a subclass may draw in another way
        stds = set(np.ravel(noise._sigma).tolist())
        if not np.any(noise._mu) and len(stds) == 1:
            return float(stds.pop())
    raise ValueError(
        f"action_noise is {noise!r}, which can't be saved as data; use NormalActionNoise with mean "
        "0 and the same standard deviation for every action value"
    )
