"""Decoders: from the last layer's spikes to outputs, through a linear head.

Mean rate and last voltage are linear in the spikes, so they commute with the linear head: a
decision needs one product with its weights, not T.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from scipy.linalg import block_diag
from torch import Tensor, nn

from snn_gym.program.program import Decoder, Head
from snn_gym.spiking.layer_neurons import Breaks, as_array, no_breaks, norse_functional
from snn_gym.spiking.network_config import (
    DecoderParameters,
    LastVoltageParameters,
    PopulationDecoderParameters,
)


class DecoderModule(nn.Module):
    """A linear readout of spikes over time, with its own state.

    Args:
        coefficients: (1 + S, T). Row 0 weighs the spikes for the value; row 1 + k weighs them for
            final state variable k.
        transition: (1 + S, S). Contribution of each initial state variable to the value and to
            each final state variable.
    """

    coefficients: Tensor
    transition: Tensor

    def __init__(self, coefficients: Tensor, transition: Tensor) -> None:
        super().__init__()
        # Derived from the configuration, hence not saved.
        self.register_buffer("coefficients", coefficients, persistent=False)
        self.register_buffer("transition", transition, persistent=False)
        self.state_variables = transition.shape[1]
        """State variables per neuron."""

    def program(self) -> Decoder:
        """Return the decoder as a part of a program, with copies of its numbers."""
        coefficients = as_array(self.coefficients)
        return Decoder(coefficients, as_array(self.transition).reshape(len(coefficients), -1))

    def forward(
        self,
        spikes: Tensor,
        state: Tensor | None,
        head: nn.Module | None = None,
        breaks: Breaks | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decode spikes (T, B, N), or (L * T, B, N) of a sequence of L environment steps.

        Args:
            spikes: 0 or 1.
            state: State variables (S, B, N) of the previous environment step, or None.
            head: Linear head applied to the values. None for none.
            breaks: Resets of a sequence; None for one environment step.

        Returns:
            Outputs (B, N), or (B, outputs) of the head, of a sequence with a leading axis L; and
            the final state (S, B, N).
        """
        batch, size = spikes.shape[1:]
        rounds = () if breaks is None else (len(breaks.starts),)
        # (1 + S, T) @ (..., T, B * N) -> (..., 1 + S, B, N)
        decoded = self.coefficients @ spikes.reshape(*rounds, -1, batch * size)
        return self.read(decoded.view(*rounds, -1, batch, size), state, head, breaks)

    def read(
        self,
        decoded: Tensor,
        state: Tensor | None,
        head: nn.Module | None = None,
        breaks: Breaks | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the results of ``forward`` for the weighted sums of spikes, (..., 1 + S, B, N)."""
        if self.state_variables and not (state is None and breaks is None):
            values, final = self._carry(decoded, state, breaks)
        else:
            values = decoded[..., 0, :, :]
            final = (decoded if breaks is None else decoded[-1])[1:]
        return values if head is None else cast(Tensor, head(values)), final

    def _carry(
        self, decoded: Tensor, state: Tensor | None, breaks: Breaks | None
    ) -> tuple[Tensor, Tensor]:
        """Return values (..., B, N) and final state (S, B, N), with the carried state added."""
        variables, values = self.state_variables, []
        rest = decoded.new_zeros(variables, *decoded.shape[-2:])
        state = rest if state is None else state
        within = no_breaks(decoded.shape[-2]) if breaks is None else breaks
        for k, gained in enumerate(decoded.view(-1, *decoded.shape[-3:])):
            (state,) = within.enter(k, (state,), (rest,))
            # (1 + S, S) @ (S, B * N): the carried state adds to value and next state
            total = gained + (self.transition @ state.reshape(variables, -1)).view_as(gained)
            values.append(total[0])
            state = total[1:]
        return values[0] if breaks is None else torch.stack(values), state


def read_head(head: nn.Module | None, features: int) -> Head:
    """Return a copy of a head of ``features`` inputs for export, without outputs if it is None."""
    if head is None:
        return Head(np.zeros((0, features), np.float32), np.zeros(0, np.float32))
    assert isinstance(head, nn.Linear | PopulationHead)  # as make_head makes them
    weights, biases = as_array(head.weight), as_array(head.bias)
    if isinstance(head, PopulationHead):  # each output reads neurons of its own
        weights = block_diag(*weights)
    return Head(weights, biases)


class PopulationHead(nn.Module):
    """A linear layer in which each output reads its own population of neurons.

    ``output_i = sum_k weight_ik rate_ik + bias_i`` (Tang et al. 2020,
    https://arxiv.org/abs/2010.09635); their squashing of the output is left to the policy. Initial
    weights are those of ``nn.Linear`` with as many inputs.

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
        return (populations * self.weight).sum(-1) + self.bias


def make_head(parameters: DecoderParameters | None, features: int, outputs: int) -> nn.Module:
    """Return the linear head that reads the decoded values of a network.

    Args:
        parameters: Parameters of the decoder; None for the default, ``mean_rate``.
        features: Decoded values: the network's ``output_size`` where it has no head.
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


def make_decoder(
    parameters: DecoderParameters | None, dt_ms: float, time_steps: int
) -> DecoderModule:
    """Return the decoder that the parameters describe: for None and populations the mean rate."""
    if isinstance(parameters, LastVoltageParameters):
        final = _impulse_responses(parameters, dt_ms / 1000.0, time_steps)
        response = torch.cat([final[:1], final]).float()  # the value is the final voltage
        return DecoderModule(
            response[:, :time_steps].contiguous(), response[:, time_steps:].contiguous()
        )
    share = torch.full((1, time_steps), 1.0 / time_steps)
    return DecoderModule(share, torch.empty(1, 0))


def _impulse_responses(parameters: LastVoltageParameters, dt_s: float, time_steps: int) -> Tensor:
    """Return the final state (S, T + S), the voltage first, float64.

    Run k < T of Norse's leaky integrator gets a unit input at time step k, run T + k a unit of
    state variable k.
    """
    # Imported here, because Norse loads slowly and few decoders need it.
    li, li_box = map(norse_functional, ("leaky_integrator", "leaky_integrator_box"))
    variables = 2 if parameters.tau_syn_ms > 0 else 1
    runs = time_steps + variables
    inputs = torch.eye(time_steps, runs, dtype=torch.float64)
    initial = torch.eye(runs, dtype=torch.float64)[time_steps:]
    tau_mem_inv = torch.tensor(1000.0 / parameters.tau_mem_ms, dtype=torch.float64)
    if variables == 1:
        step, state = li_box.li_box_feed_forward_step, li_box.LIBoxState(*initial)
        constants = li_box.LIBoxParameters(tau_mem_inv)
    else:
        step, state = li.li_feed_forward_step, li.LIState(*initial)
        tau_syn_inv = torch.tensor(1000.0 / parameters.tau_syn_ms, dtype=torch.float64)
        constants = li.LIParameters(tau_syn_inv, tau_mem_inv)
    for x in inputs:
        _, state = step(x, state, constants, dt_s)
    return torch.stack(list(state))
