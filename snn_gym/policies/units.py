"""Units of an ANN beside PyTorch's own: integrators, thresholds, quantised weights and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from snn_gym.program.layers import (
    GATED_STATES,
    Activation,
    DenseLayer,
    GatedLayer,
    Gates,
    LeakyLayer,
)
from snn_gym.spiking.layer_neurons import as_array, spike
from snn_gym.spiking.spiking_layer import SharedLinear


# ---- activations ---------------------------------------------------------------------------------
class ThresholdUnits(nn.Module):
    """An activation that is 1 above 0, else 0, with the surrogate gradient of spiking networks."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return 0 or 1, in the shape of the inputs."""
        return spike(inputs, "superspike", 5.0)


ACTIVATIONS: Mapping[Activation, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "threshold": ThresholdUnits,
}
"""Activations of ANNs by name."""


# ---- units with a state --------------------------------------------------------------------------
Leaks = Literal["leaky", "rectified_leaky"]
Memory = Gates | Leaks
"""Kind of an ANN's units that carry a state."""
Units = Memory | Activation
"""Kind of an ANN's units, with a state or without."""
_LEAST_TAU, _MOST_TAU = 2.0, 20.0  # decisions, of integrators that have not learned


class LeakyUnits(nn.Linear):
    """Leaky integrators ``h = decay * h + W x + b``, each with a learned decay in (0, 1).

    The interface is that of one layer of ``torch.nn.RNN``. Initial time constants are spread evenly
    over the logarithm from 2 to 20 decisions.

    Args:
        inputs: Values of an input.
        size: Number of units.
        rectified: Whether the output is the part of ``h`` above 0, not ``h``.
    """

    def __init__(self, inputs: int, size: int, *, rectified: bool = False) -> None:
        super().__init__(inputs, size)
        self.decay_logit = nn.Parameter(_spread_decays(size, _MOST_TAU))
        self.rectified = rectified

    @property
    def decay(self) -> Tensor:
        """Share (size,) of each unit's state that remains after a decision."""
        return torch.sigmoid(self.decay_logit)

    def forward(  # type: ignore[override]
        self, inputs: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return outputs (L, B, size) of L decisions on (L, B, D), and the state (1, B, size)."""
        decay, h, outputs = self.decay, state[0], []
        for driven in super().forward(inputs):
            h = decay * h + driven
            outputs.append(h.relu() if self.rectified else h)
        return torch.stack(outputs), h.unsqueeze(0)


def _spread_decays(size: int, longest: float) -> Tensor:
    """Return logits of decays whose time constants are spread from 2 to ``longest`` decisions."""
    places = (torch.arange(size) + 0.5) / size
    return torch.logit(torch.exp(-1.0 / (_LEAST_TAU * (longest / _LEAST_TAU) ** places)))


class DenseUnits(nn.Linear):
    """Units without a state, with the interface of a layer of ``torch.nn.RNN``.

    Args:
        inputs: Values of an input.
        size: Number of units.
        activation: Their activation.
    """

    def __init__(self, inputs: int, size: int, activation: Activation) -> None:
        super().__init__(inputs, size)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, inputs: Tensor) -> tuple[Tensor]:  # type: ignore[override]
        """Return outputs (L, B, size) of L decisions on (L, B, D), alone in a tuple."""
        return (self.activation(super().forward(inputs)),)


AnyUnits = nn.GRU | nn.LSTM | nn.RNN | LeakyUnits | DenseUnits
UNITS: Mapping[Units, Any] = {
    "gru": nn.GRU,
    "lstm": nn.LSTM,
    "rnn": nn.RNN,
    "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
    "leaky": LeakyUnits,
    "rectified_leaky": partial(LeakyUnits, rectified=True),
    **{name: partial(DenseUnits, activation=name) for name in ACTIVATIONS},
}
"""Makers of a layer of units from inputs and size, by kind."""


def state_variables(kind: Units) -> int:
    """Return how many numbers of state a unit carries."""
    if kind in get_args(Leaks):
        return 1
    return len(GATED_STATES[cast("Gates", kind)]) if kind in GATED_STATES else 0


def layer_of(kind: Units, units: AnyUnits) -> GatedLayer | LeakyLayer | DenseLayer:
    """Return a layer of units as a part of a ``Program``, of copied arrays."""
    if isinstance(units, nn.Linear):
        weights, biases = np.ascontiguousarray(as_array(units.weight).T), as_array(units.bias)
        if isinstance(units, LeakyUnits):
            return LeakyLayer(weights, biases, as_array(units.decay), rectified=units.rectified)
        return DenseLayer(cast("Activation", kind), weights, biases)
    (below, loop, first, second), *_ = units.all_weights
    weights, recurrent = (np.ascontiguousarray(as_array(x).T) for x in (below, loop))
    return GatedLayer(cast("Gates", kind), weights, as_array(first), recurrent, as_array(second))


@torch.no_grad()
def lengthen_memory(units: AnyUnits, steps: int) -> None:
    """Let fresh units forget within at most ``steps`` environment steps, spread over units.

    Of gates by chrono initialisation (Tallec and Ollivier 2018, https://arxiv.org/abs/1804.11188),
    without its random draws; of integrators by their decays; an RNN starts with the identity as
    recurrent weights (Le et al. 2015, https://arxiv.org/abs/1504.00941).
    """
    if isinstance(units, nn.Linear):
        if isinstance(units, LeakyUnits):
            units.decay_logit.copy_(_spread_decays(units.out_features, steps))
        return
    (_, loop, _, biases), *_ = units.all_weights
    size = units.hidden_size
    if isinstance(units, nn.RNN):
        loop.copy_(torch.eye(size))
        return
    hold = torch.linspace(1.0, steps - 1.0, size).log()
    # The second gate keeps the state: update of a GRU, forget of an LSTM.
    biases[size : 2 * size] = hold
    if isinstance(units, nn.LSTM):
        biases[:size] = -hold


# ---- quantisation --------------------------------------------------------------------------------
def _straight_through(values: Tensor, others: Tensor) -> Tensor:
    """Return the other values, with the gradient of the given ones."""
    return others + (values - values.detach())  # the difference is 0


BITS = range(2, 9)
"""Bits of a quantised weight that a policy may have."""


class Quantiser(nn.Module):
    """Weights of few bits in the forward pass, for quantisation-aware training.

    A weight is a whole number of at most ``2**(bits - 1) - 1`` in size, times one scale of its
    layer. The scale follows the largest weight; of 2 bits, {-1, 0, 1}, it is the mean size of
    the weights above 0.7 times the mean (Li et al. 2016, https://arxiv.org/abs/1605.04711).
    Gradients pass straight through, as in Kresse and Lampert 2025
    (https://arxiv.org/abs/2511.07046), whose policies have scales that are learned.

    Args:
        bits: Bits of a weight, 2 to 8.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def forward(self, weight: Tensor) -> Tensor:
        """Return quantised weights, with the gradient of the given ones."""
        with torch.no_grad():
            size = weight.abs()
            if self.bits == 2:
                large = size > 0.7 * size.mean()
                scale = (size * large).sum() / large.sum().clamp(min=1)
                whole = weight.sign() * large
            else:
                most = 2 ** (self.bits - 1) - 1
                scale = (size.max() / most).clamp(min=torch.finfo(weight.dtype).tiny)
                whole = torch.round(weight / scale)
            quantised = whole * scale
        return _straight_through(weight, quantised)


class RoundedUnits(nn.Module):
    """An activation whose outputs are rounded to multiples of ``1 / levels``.

    Outputs of ``relu`` are limited to [0, 1] first. Gradients are those of the activation before
    it is rounded.

    Args:
        activation: ``tanh`` or ``relu``.
        bits: Bits of an output: the levels are ``2**(bits - 1) - 1`` of ``tanh``, on either side
            of 0, and ``2**bits - 1`` of ``relu``.
    """

    def __init__(self, activation: Activation, bits: int) -> None:
        super().__init__()
        self.activation = activation
        self.levels = 2 ** (bits - 1) - 1 if activation == "tanh" else 2**bits - 1

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the rounded outputs, of the shape of the inputs."""
        values = torch.tanh(inputs) if self.activation == "tanh" else inputs.clamp(0.0, 1.0)
        rounded = torch.round(values.detach() * self.levels) / self.levels
        return _straight_through(values, rounded)


def quantise(module: nn.Module, bits: int) -> None:
    """Quantise the weights of all linear layers in a module."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            name = "filters" if isinstance(part, SharedLinear) else "weight"
            parametrize.register_parametrization(part, name, Quantiser(bits))
