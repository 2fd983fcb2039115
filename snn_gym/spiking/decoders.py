"""Decoders: from the last layer's spikes to the values that a linear head reads.

Both decoders are linear in the spikes, so they commute with the linear head after them: the mean
of ``W s_t`` is ``W`` times the mean of ``s_t``, and a leaky integrator driven by ``W s_t`` ends at
``W`` times the voltage of a leaky integrator driven by ``s_t``. A decision therefore needs one
product with ``W``, not T.
"""

from __future__ import annotations

import torch
from norse.torch.functional.leaky_integrator import LIParameters, LIState, li_feed_forward_step
from norse.torch.functional.leaky_integrator_box import (
    LIBoxParameters,
    LIBoxState,
    li_box_feed_forward_step,
)
from torch import Tensor, nn

from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.neuron_parameters import LastVoltageParameters


class Decoder(nn.Module):
    """A linear readout of spikes over time, with its own state.

    Args:
        coefficients: (1 + S, T). Row 0 weighs the spikes for the output; row 1 + k weighs them
            for state variable k at the end.
        transition: (1 + S, S). What a unit of each initial state variable adds to the output and
            to each final state variable.
    """

    coefficients: Tensor
    transition: Tensor

    def __init__(self, coefficients: Tensor, transition: Tensor) -> None:
        super().__init__()
        # Derived from the configuration, hence not saved.
        self.register_buffer("coefficients", coefficients, persistent=False)
        self.register_buffer("transition", transition, persistent=False)

    @property
    def state_variables(self) -> int:
        """Number of state variables per neuron."""
        return self.transition.shape[1]

    def forward(self, spikes: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Decode spikes.

        Args:
            spikes: (T, B, N), 0 or 1.
            state: State variables (S, B, N), or None at the start of an episode.

        Returns:
            Output (B, N) and the new state (S, B, N).
        """
        time_steps, batch, size = spikes.shape
        # (1 + S, T) @ (T, B * N) -> (1 + S, B, N)
        decoded = (self.coefficients @ spikes.reshape(time_steps, -1)).view(-1, batch, size)
        if state is not None and self.state_variables:
            carried = self.transition @ state.reshape(self.state_variables, -1)
            decoded = decoded + carried.view(-1, batch, size)
        return decoded[0], decoded[1:]


def make_decoder(config: NetworkConfig) -> Decoder:
    """Return the decoder that a configuration names."""
    parameters = config.decoder_parameters
    if isinstance(parameters, LastVoltageParameters):
        return _leaky_integrator(parameters, config.dt_ms / 1000.0, config.time_steps)
    share = torch.full((1, config.time_steps), 1.0 / config.time_steps)
    return Decoder(share, torch.empty(1, 0))


def _leaky_integrator(parameters: LastVoltageParameters, dt_s: float, time_steps: int) -> Decoder:
    """Read the coefficients off Norse's leaky integrator by unit impulses."""
    variables = 2 if parameters.tau_syn_ms > 0 else 1
    runs = time_steps + variables
    # Run k < T gets a unit input at time step k, run T + k a unit of state variable k.
    inputs = torch.eye(time_steps, runs, dtype=torch.float64)
    state = torch.eye(runs, dtype=torch.float64)[time_steps:]
    tau_mem_inv = torch.tensor(1000.0 / parameters.tau_mem_ms, dtype=torch.float64)
    if variables == 1:
        box = LIBoxState(v=state[0])
        for x in inputs:
            _, box = li_box_feed_forward_step(x, box, LIBoxParameters(tau_mem_inv), dt_s)
        final = torch.stack([box.v])
    else:
        tau_syn_inv = torch.tensor(1000.0 / parameters.tau_syn_ms, dtype=torch.float64)
        li = LIState(v=state[0], i=state[1])
        for x in inputs:
            _, li = li_feed_forward_step(x, li, LIParameters(tau_syn_inv, tau_mem_inv), dt_s)
        final = torch.stack([li.v, li.i])
    response = torch.cat([final[:1], final]).float()  # the output is the final voltage
    return Decoder(response[:, :time_steps].contiguous(), response[:, time_steps:].contiguous())
