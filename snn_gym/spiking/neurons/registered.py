"""The neurons that a configuration can name, and how to add one."""

from __future__ import annotations

import keyword
from dataclasses import MISSING, fields

from snn_gym.spiking.neurons.adaptive_lif import ALIFNeuron
from snn_gym.spiking.neurons.base import FusedNeuron, Neuron, State
from snn_gym.spiking.neurons.norse_neurons import IAFNeuron, LIFBoxNeuron, LIFNeuron
from snn_gym.spiking.neurons.parameters import NEURON_PARAMETERS, NeuronParameters
from snn_gym.spiking.neurons.soft_iaf import SoftIAFNeuron

__all__ = ["NEURONS", "FusedNeuron", "Neuron", "State", "make_neuron", "register_neuron"]

NEURONS: dict[str, type[Neuron]] = {
    "lif_box": LIFBoxNeuron,
    "lif": LIFNeuron,
    "iaf": IAFNeuron,
    "alif": ALIFNeuron,
    "iaf_soft": SoftIAFNeuron,
}
"""Class of each registered neuron; ``register_neuron`` adds to it."""


def register_neuron(
    name: str, parameters_type: type[NeuronParameters], neuron_type: type[Neuron]
) -> None:
    """Add a neuron to those that ``NetworkConfig.neuron`` can name.

    Configurations and files hold the name and the parameters' numbers, never code: who loads a
    model with this neuron registers it first.

    Args:
        name: An identifier that no neuron has yet.
        parameters_type: Its parameters: a frozen dataclass derived from ``NeuronParameters``, all
            of whose fields are numbers with a default.
        neuron_type: The neuron, made as ``neuron_type(parameters, dt_ms, surrogate, slope)``.
            It runs step by step: the compiled kernels know the built-in neurons only.

    Raises:
        ValueError: The name is no identifier or is taken.
        TypeError: A type is not of the kind above.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"the name of a neuron must be an identifier, got {name!r}")
    if name in NEURON_PARAMETERS:
        raise ValueError(
            f"neuron {name!r} is registered already; registered: {', '.join(NEURON_PARAMETERS)}"
        )
    _check_parameters_type(parameters_type)
    _check_subclass("neuron_type", neuron_type, Neuron)
    missing = sorted(getattr(neuron_type, "__abstractmethods__", ()))
    if missing:
        raise TypeError(f"{neuron_type.__name__} must define {', '.join(missing)}")
    NEURON_PARAMETERS[name] = parameters_type
    NEURONS[name] = neuron_type


def _check_subclass(argument: str, given: object, base: type) -> None:
    if not (isinstance(given, type) and issubclass(given, base)):
        raise TypeError(f"{argument} must be a subclass of {base.__name__}, got {given!r}")


def _check_parameters_type(parameters_type: type[NeuronParameters]) -> None:
    _check_subclass("parameters_type", parameters_type, NeuronParameters)
    name = parameters_type.__name__
    # The base is a dataclass, so only the class's own mark tells whether it is one itself.
    if "__dataclass_fields__" not in vars(parameters_type):
        raise TypeError(f"{name} must be a dataclass: decorate it with @dataclass(frozen=True)")
    own = fields(parameters_type)
    for needed in ("v_threshold", "v_reset"):
        if needed not in {field.name for field in own}:
            raise TypeError(f"{name} must have the field {needed}")
    for field in own:
        if type(field.default) not in (int, float):
            raise TypeError(
                f"{name}.{field.name} must be a number with a default, "
                f"got {'none' if field.default is MISSING else repr(field.default)}"
            )


def make_neuron(
    name: str, parameters: NeuronParameters, dt_ms: float, surrogate: str, slope: float
) -> Neuron:
    """Return a registered neuron.

    Args:
        name: One of ``NEURONS``.
        parameters: Its parameters, of the type registered under that name.
        dt_ms: Length of a time step (ms).
        surrogate: Name of the surrogate gradient.
        slope: Slope of the surrogate gradient.
    """
    return NEURONS[name](parameters, dt_ms, surrogate, slope)
