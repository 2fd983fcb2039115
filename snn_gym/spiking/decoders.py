"""Decoders: from the last layer's spikes to outputs, through a linear head.

Mean rate and last voltage are linear in the spikes, so they commute with the linear head after
them: the mean of ``W s_t`` is ``W`` times the mean of ``s_t``, and a leaky integrator driven by
``W s_t`` ends at ``W`` times the voltage of a leaky integrator driven by ``s_t``. A decision
therefore needs one product with ``W``, not T. The maximum voltage is not linear: there the head
reads the voltage at every time step, and the maximum is taken of what it gives.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from scipy.linalg import block_diag
from torch import Tensor, nn

from snn_gym.program import network as program
from snn_gym.program.network import Head, Maximum
from snn_gym.spiking.config import (
    DecoderParameters,
    LeakyReadoutParameters,
    MaxVoltageParameters,
    PopulationDecoderParameters,
)
from snn_gym.spiking.layer_neurons import Breaks, as_array, no_breaks
from snn_gym.spiking.norse import norse_functional


class Decoder(nn.Module):
    """A readout of spikes over time, linear but for a maximum, with its own state.

    Args:
        coefficients: (R + S, T). Row r < R weighs the spikes for value r; row R + k weighs them
            for state variable k at the end. The output is the maximum of the R values.
        transition: (R + S, S). What a unit of each initial state variable adds to the values and
            to each final state variable.
    """

    coefficients: Tensor
    transition: Tensor

    def __init__(self, coefficients: Tensor, transition: Tensor) -> None:
        super().__init__()
        # Derived from the configuration, hence not saved.
        self.register_buffer("coefficients", coefficients, persistent=False)
        self.register_buffer("transition", transition, persistent=False)
        self.state_variables = transition.shape[1]
        """Number of state variables per neuron."""
        self._values = len(coefficients) - self.state_variables

    @property
    def takes_maximum(self) -> bool:
        """Whether the output is the maximum of several values, which is not linear."""
        return self._values > 1

    def program(self, maximum: Maximum) -> program.Decoder:
        """Return the decoder as a part of a program, with copies of its numbers.

        Args:
            maximum: Of what several values are the maximum.
        """
        coefficients = as_array(self.coefficients)
        transition = as_array(self.transition).reshape(len(coefficients), -1)
        return program.Decoder(coefficients, transition, maximum)

    def forward(
        self,
        spikes: Tensor,
        state: Tensor | None,
        head: nn.Module | None = None,
        breaks: Breaks | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decode the spikes of one environment step, or of a sequence of L.

        Args:
            spikes: (T, B, N), or (L * T, B, N) of a sequence; 0 or 1.
            state: State variables (S, B, N) carried from the environment step before, or None for
                none.
            head: Linear head applied to every value; None for none, and a maximum is then that of
                each neuron.
            breaks: Where the state of a sequence is reset and where its gradient is cut; None for
                one environment step.

        Returns:
            Outputs (B, N), or (B, outputs) of the head, of a sequence with an axis L before; and
            the final state (S, B, N).
        """
        batch, size = spikes.shape[1:]
        rounds = () if breaks is None else (len(breaks.cuts),)
        # (R + S, T) @ (..., T, B * N) -> (..., R + S, B, N)
        decoded = self.coefficients @ spikes.reshape(*rounds, -1, batch * size)
        return self.read(decoded.view(*rounds, -1, batch, size), state, head, breaks)

    def read(
        self,
        decoded: Tensor,
        state: Tensor | None,
        head: nn.Module | None = None,
        breaks: Breaks | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return what ``forward`` does for the weighted sums of spikes.

        Args:
            decoded: ``coefficients`` times the spikes, (R + S, B, N), of a sequence with an axis L
                before.
            state: As in ``forward``.
            head: As in ``forward``.
            breaks: As in ``forward``.
        """
        if self.state_variables and not (state is None and breaks is None):
            values, final = self._carry(decoded, state, breaks)
        else:
            count = self._values
            if breaks is None:
                values, final = decoded[:count], decoded[count:]
            else:
                values, final = decoded[:, :count], decoded[-1, count:]
        return _read(values, head), final

    def _carry(
        self, decoded: Tensor, state: Tensor | None, breaks: Breaks | None
    ) -> tuple[Tensor, Tensor]:
        """Return values (..., R, B, N) and final state (S, B, N), with what was carried.

        Args:
            decoded: (..., R + S, B, N), what the spikes of each environment step give.
            state: As in ``forward``.
            breaks: As in ``forward``.
        """
        variables, values = self.state_variables, []
        rest = decoded.new_zeros(variables, *decoded.shape[-2:])
        state = rest if state is None else state
        within = no_breaks(decoded.shape[-2]) if breaks is None else breaks
        for k, gained in enumerate(decoded.view(-1, *decoded.shape[-3:])):
            (state,) = within.enter(k, (state,), (rest,))
            total = gained + (self.transition @ state.reshape(variables, -1)).view_as(gained)
            values.append(total[:-variables])
            state = total[-variables:]
        return values[0] if breaks is None else torch.stack(values), state


def _read(values: Tensor, head: nn.Module | None) -> Tensor:
    """Return the maximum of values (..., R, B, N), of what the head gives for them if it does."""
    if values.shape[-3] == 1:
        values = values.squeeze(-3)
        return values if head is None else cast(Tensor, head(values))
    return (values if head is None else head(values)).amax(-3)


def read_head(head: nn.Module | None, features: int) -> Head:
    """Return a head as a part of a program, with copies of its numbers.

    Args:
        head: ``nn.Linear`` or ``PopulationHead``; None for no outputs.
        features: Values N that it reads.
    """
    if head is None:
        return Head(np.zeros((0, features), np.float32), np.zeros(0, np.float32))
    assert isinstance(head, nn.Linear | PopulationHead)  # as make_head makes them
    weights, biases = as_array(head.weight), as_array(head.bias)
    if isinstance(head, PopulationHead):  # each output reads neurons of its own
        weights = block_diag(*weights)
    return Head(weights, biases)


class PopulationHead(nn.Module):
    """A linear layer by which each output reads a population of neurons of its own.

    ``output_i = sum_k weight_ik rate_ik + bias_i`` (Tang et al. 2020,
    https://arxiv.org/abs/2010.09635); their squashing of the output is left to the policy. Weights
    start as those of ``nn.Linear`` with as many inputs.

    Args:
        outputs: Outputs.
        neurons_per_output: Neurons of each output's population.
    """

    def __init__(self, outputs: int, neurons_per_output: int) -> None:
        super().__init__()
        self.in_features = outputs * neurons_per_output
        self.out_features = outputs
        bound = 1.0 / math.sqrt(neurons_per_output)
        self.weight = nn.Parameter(torch.empty(outputs, neurons_per_output).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))

    def forward(self, rates: Tensor) -> Tensor:
        """Return the outputs (..., outputs) for rates (..., outputs * neurons_per_output)."""
        # (..., outputs * k) -> (..., outputs, k)
        populations = rates.view(*rates.shape[:-1], *self.weight.shape)
        output: Tensor = (populations * self.weight).sum(-1) + self.bias
        return output


def make_head(parameters: DecoderParameters | None, features: int, outputs: int) -> nn.Module:
    """Return the linear head that reads what a network's decoder gives.

    Args:
        parameters: Those of the decoder; None for the default, ``mean_rate``.
        features: Decoded values: the network's ``output_size`` where it has no head of its own.
        outputs: Outputs of the head.

    Returns:
        ``PopulationHead`` for the decoder ``population``, else ``nn.Linear``; both have
        ``in_features``, ``out_features``, ``weight`` and ``bias``.

    Raises:
        ValueError: The decoder is ``population`` and the features are not its populations.
    """
    if not isinstance(parameters, PopulationDecoderParameters):
        return nn.Linear(features, outputs)
    head = PopulationHead(outputs, parameters.neurons_per_output)
    if features != head.in_features:
        raise ValueError(
            f"decoder 'population' with {outputs} outputs reads {head.in_features} features, got "
            f"{features}; build the network with population_outputs={outputs}"
        )
    return head


def make_decoder(parameters: DecoderParameters | None, dt_ms: float, time_steps: int) -> Decoder:
    """Return a decoder.

    Args:
        parameters: Those of the decoder, whose type says which; None for ``mean_rate``.
        dt_ms: Length of a time step (ms).
        time_steps: T.
    """
    if isinstance(parameters, LeakyReadoutParameters):
        voltages, final = _impulse_responses(parameters, dt_ms / 1000.0, time_steps)
        if not isinstance(parameters, MaxVoltageParameters):
            voltages = voltages[-1:]
        response = torch.cat([voltages, final]).float()
        return Decoder(response[:, :time_steps].contiguous(), response[:, time_steps:].contiguous())
    share = torch.full((1, time_steps), 1.0 / time_steps)
    return Decoder(share, torch.empty(1, 0))


def _impulse_responses(
    parameters: LeakyReadoutParameters, dt_s: float, time_steps: int
) -> tuple[Tensor, Tensor]:
    """Read the coefficients off Norse's leaky integrator by unit impulses.

    Returns:
        Voltages (T, T + S) after every time step and final state (S, T + S), float64. Run k < T
        gets a unit input at time step k, run T + k a unit of state variable k.
    """
    # Here, because importing Norse takes longer than loading an agent, and few decoders need it.
    li, li_box = map(norse_functional, ("leaky_integrator", "leaky_integrator_box"))

    variables = 2 if parameters.tau_syn_ms > 0 else 1
    runs = time_steps + variables
    inputs = torch.eye(time_steps, runs, dtype=torch.float64)
    state = torch.eye(runs, dtype=torch.float64)[time_steps:]
    tau_mem_inv = torch.tensor(1000.0 / parameters.tau_mem_ms, dtype=torch.float64)
    voltages = []
    if variables == 1:
        box = li_box.LIBoxState(v=state[0])
        for x in inputs:
            _, box = li_box.li_box_feed_forward_step(
                x, box, li_box.LIBoxParameters(tau_mem_inv), dt_s
            )
            voltages.append(box.v)
        return torch.stack(voltages), torch.stack([box.v])
    tau_syn_inv = torch.tensor(1000.0 / parameters.tau_syn_ms, dtype=torch.float64)
    both = li.LIState(v=state[0], i=state[1])
    for x in inputs:
        _, both = li.li_feed_forward_step(x, both, li.LIParameters(tau_syn_inv, tau_mem_inv), dt_s)
        voltages.append(both.v)
    return torch.stack(voltages), torch.stack([both.v, both.i])
