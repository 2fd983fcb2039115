"""Read back from a model what it was built from, as plain data."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit

from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.neuron_parameters import NEURON_PARAMETERS
from snn_gym.zoo.build import ALGORITHM_CLASSES, POLICY_CLASSES
from snn_gym.zoo.schedules import format_schedule
from snn_gym.zoo.settings import SCHEDULES, SETTINGS, Settings, make_settings
from snn_gym.zoo.spec import POLICIES


def algorithm_name(model: BaseAlgorithm) -> str:
    """Return the name of a model's algorithm.

    Args:
        model: Any model.

    Raises:
        ValueError: It is no stock algorithm with one of our policies.
    """
    for name, algorithm in ALGORITHM_CLASSES.items():
        # Equal types, for a subclass may behave in a way that its hyper-parameters do not say.
        if type(model) is algorithm and type(model.policy) is POLICY_CLASSES[POLICIES[name]]:
            return name
    supported = ", ".join(f"{name} with {policy}" for name, policy in POLICIES.items())
    raise ValueError(
        f"{type(model).__name__} with {type(model.policy).__name__} can't be saved as data; "
        f"supported: {supported}"
    )


def extract_settings(model: BaseAlgorithm) -> Settings:
    """Return the hyper-parameters that would build a model again.

    Args:
        model: Stock algorithm with one of our policies.

    Raises:
        ValueError: The algorithm isn't supported, or a hyper-parameter is no plain data.
    """
    algorithm = algorithm_name(model)
    names = [field.name for field in dataclasses.fields(SETTINGS[algorithm])]
    values = {name: getattr(model, name) for name in names if hasattr(model, name)}
    for name in SCHEDULES:
        if name in values:
            values[name] = format_schedule(values[name], name)
    if algorithm == "A2C":
        values |= _optimiser_of_a2c(model)
    if algorithm == "DQN":
        values["train_freq"] = _steps(values["train_freq"])
    return make_settings(algorithm, values, f"{algorithm} model")


def extract_policy_arguments(model: BaseAlgorithm) -> dict[str, Any]:
    """Return a model's policy arguments as plain JSON types.

    Args:
        model: Stock algorithm with one of our policies.

    Raises:
        ValueError: An argument is no plain data, such as a class or a function.
    """
    arguments = dict(model.policy_kwargs)
    if algorithm_name(model) == "A2C" and arguments.get("optimizer_class") is torch.optim.RMSprop:
        # A2C puts these there itself; its hyper-parameters stand for them.
        del arguments["optimizer_class"], arguments["optimizer_kwargs"]
    arguments.pop("network", None)
    if arguments.pop("cell_factory", None) is not None:
        raise ValueError(
            "a network of cells from a cell_factory is code and can't be saved as data; use a "
            f"registered neuron in NetworkConfig(neuron=...): {', '.join(NEURON_PARAMETERS)}"
        )
    try:
        plain = json.loads(json.dumps(arguments, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"policy arguments {arguments!r} hold more than plain data and can't be saved; "
            "use numbers, strings, lists and mappings"
        ) from error
    # From the policy, which knows its default network.
    network: NetworkConfig = model.policy.network  # type: ignore[assignment]
    return {**plain, "network": network.to_dict()}


def _optimiser_of_a2c(model: BaseAlgorithm) -> dict[str, Any]:
    # A2C keeps these two only in what it tells the policy.
    uses_rms_prop = model.policy_kwargs.get("optimizer_class") is torch.optim.RMSprop
    values: dict[str, Any] = {"use_rms_prop": uses_rms_prop}
    if uses_rms_prop:
        values["rms_prop_eps"] = model.policy_kwargs["optimizer_kwargs"]["eps"]
    return values


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
