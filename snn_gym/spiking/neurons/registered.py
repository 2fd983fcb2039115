"""The neurons that a configuration can name, and how to add one."""

from __future__ import annotations

import keyword
from dataclasses import MISSING, fields

from snn_gym.program.neuron import Neuron, NeuronParameters, equations
from snn_gym.program.neurons import NEURONS
from snn_gym.spiking.neurons.base import LayerNeurons


def register_neuron(name: str, neuron: type[Neuron]) -> None:
    """Add a neuron to those that ``NetworkConfig.neuron`` can name.

    Its kernels, gradients, traces and exports are made from its text. Configurations and files hold
    the name and the parameters' numbers, never code: who loads a model with this neuron registers
    it first.

    Args:
        name: An identifier that no neuron has yet.
        neuron: The neuron. Its ``Parameters`` are a frozen dataclass derived from
            ``NeuronParameters``, all of whose fields are numbers with a default.

    Raises:
        ValueError: The name is no identifier or is taken.
        TypeError: The class is no neuron, its parameters are not of the kind above, or its text is
            not made of element-wise operations; the message names what is wrong.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"the name of a neuron must be an identifier, got {name!r}")
    if name in NEURONS:
        raise ValueError(f"neuron {name!r} is registered already; registered: {', '.join(NEURONS)}")
    _check_subclass("neuron", neuron, Neuron)
    for needed in ("Parameters", "state"):
        if not hasattr(neuron, needed):
            raise TypeError(f"{neuron.__name__} must have {needed}")
    if neuron.integrate is Neuron.integrate:
        raise TypeError(f"{neuron.__name__} must define integrate")
    _check_parameters_type(neuron.Parameters)
    equations(neuron)
    NEURONS[name] = neuron


def _check_subclass(argument: str, given: object, base: type) -> None:
    if not (isinstance(given, type) and issubclass(given, base)):
        raise TypeError(f"{argument} must be a subclass of {base.__name__}, got {given!r}")


def _check_parameters_type(parameters_type: type[NeuronParameters]) -> None:
    _check_subclass("Parameters", parameters_type, NeuronParameters)
    name = parameters_type.__name__
    # The base is a dataclass, so only the class's own mark tells whether it is one itself.
    if "__dataclass_fields__" not in vars(parameters_type):
        raise TypeError(f"{name} must be a dataclass: decorate it with @dataclass(frozen=True)")
    for field in fields(parameters_type):
        if type(field.default) not in (int, float):
            raise TypeError(
                f"{name}.{field.name} must be a number with a default, "
                f"got {'none' if field.default is MISSING else repr(field.default)}"
            )


def make_neurons(
    name: str,
    parameters: NeuronParameters,
    dt_ms: float,
    surrogate: str,
    slope: float,
    *,
    by_norse: bool = False,
) -> LayerNeurons:
    """Return the neurons of a layer.

    Args:
        name: One of ``NEURONS``.
        parameters: Its parameters, of the type of that neuron.
        dt_ms: Length of a time step (ms).
        surrogate: Name of the surrogate gradient.
        slope: Slope of the surrogate gradient.
        by_norse: Whether Norse's step function integrates, where it has one.
    """
    return LayerNeurons(NEURONS[name], parameters, dt_ms, surrogate, slope, by_norse=by_norse)
