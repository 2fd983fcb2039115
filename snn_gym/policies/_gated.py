"""Gated recurrent networks behind the interface of ``SpikingNetwork``: the twins with memory."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from snn_gym.program.costs import costs_of
from snn_gym.program.network import (
    GATED_STATES,
    GATES,
    UNCHOSEN,
    GatedLayer,
    Gates,
    Program,
)
from snn_gym.spiking.coding.decoders import read_head
from snn_gym.spiking.neurons.base import as_array
from snn_gym.spiking.recording import Recording
from snn_gym.spiking.sequence import Observer


class GatedNetwork(nn.Module):
    """Layers of gated recurrent units, one step of recurrence for each environment step.

    ``gru``: Cho et al. 2014, https://arxiv.org/abs/1406.1078; ``lstm``: Hochreiter and Schmidhuber
    1997, https://doi.org/10.1162/neco.1997.9.8.1735; both as in PyTorch.

    Args:
        kind: ``gru`` or ``lstm``.
        input_size: Values of an observation; a spike train comes flattened.
        hidden_sizes: Units of each layer, input side first.
        output_size: Outputs of the linear head; None for no head, and the last layer's activity is
            the output.
        spike_input: Whether the values are spikes, which cost synaptic operations.

    Raises:
        ValueError: The kind is unknown.
    """

    def __init__(
        self,
        kind: Gates,
        input_size: int,
        hidden_sizes: tuple[int, ...],
        output_size: int | None = None,
        *,
        spike_input: bool = False,
    ) -> None:
        super().__init__()
        if kind not in GATES:
            raise ValueError(f"gated must be one of {', '.join(GATES)}, got {kind!r}")
        self.kind = kind
        self.spike_input = spike_input
        self.hidden_sizes = hidden_sizes
        unit = nn.GRU if kind == "gru" else nn.LSTM
        sizes = (input_size, *hidden_sizes)
        self.layers = nn.ModuleList(
            unit(inputs, size) for inputs, size in zip(sizes, hidden_sizes, strict=False)
        )
        self.head = None if output_size is None else nn.Linear(hidden_sizes[-1], output_size)
        self.output_size = hidden_sizes[-1] if output_size is None else output_size

    @property
    def state_size(self) -> int:
        """Numbers in the flat state of one sample."""
        return len(GATED_STATES[self.kind]) * sum(self.hidden_sizes)

    def rest_state(self, batch: int) -> Tensor:
        """Return the flat state (batch, state_size) at the start of an episode: zeros."""
        return next(self.parameters()).new_zeros(batch, self.state_size)

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, *,
        optimised: bool = True, observer: Observer | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Decide on features (B, input_size), as ``SpikingNetwork.forward``.

        Nothing spikes that could be regulated or observed.
        """
        del optimised, observer
        if state is None:
            state = self.rest_state(len(inputs))
        output, state = self._run(inputs.unsqueeze(0), state)
        return output[0], state

    def sequence(
        self,
        inputs: Tensor,
        state: Tensor | None,
        starts: Tensor,
        *,
        truncate_every: int | None = None,
        recurrent_gradient: bool = True,
        optimised: bool = True,
        observer: Observer | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decide on sequences of environment steps; as ``SpikingNetwork.sequence``.

        Args:
            inputs: Features (L, B, input_size), float.
            state: Flat state (B, state_size) from before the first step, or None.
            starts: (L, B), bool: where an episode starts.
            truncate_every: Environment steps after which no gradient passes back.
            recurrent_gradient: Of spiking networks; what gated units carry always passes it.
            optimised: Of spiking networks.
            observer: Of spiking networks.

        Returns:
            Outputs (L, B, output_size) and the final state (B, state_size).
        """
        del recurrent_gradient, optimised, observer
        steps, batch = starts.shape
        if state is None:
            state = self.rest_state(batch)
        outputs = []
        # PyTorch runs a stretch without resets or truncations in one call.
        resets = starts.any(dim=1).tolist()
        edges = [
            step
            for step in range(steps)
            if step == 0 or resets[step] or (truncate_every and step % truncate_every == 0)
        ]
        for begin, end in zip(edges, [*edges[1:], steps], strict=True):
            if begin and truncate_every and begin % truncate_every == 0:
                state = state.detach()
            if resets[begin]:
                state = state.masked_fill(starts[begin].unsqueeze(1), 0.0)
            output, state = self._run(inputs[begin:end], state)
            outputs.append(output)
        return torch.cat(outputs), state

    def record(
        self, inputs: Tensor, state: Tensor | None = None, *, head: nn.Linear | None = None
    ) -> Recording:
        """Record a forward pass: no layers, for nothing spikes, but the costs.

        Args:
            inputs: Features (B, input_size).
            state: As in ``forward``.
            head: As in ``SpikingNetwork.record``.
        """
        made = self.program(head)
        before = self.rest_state(len(inputs)) if state is None else state
        signals, _ = self._run_units(inputs.unsqueeze(0), before)
        output = signals[-1][0] if self.head is None else self.head(signals[-1][0])
        units = [as_array(x[0]) for x in signals]
        entered = as_array(inputs)[np.newaxis]
        costs = costs_of(made, entered, units, units[-1], as_array(before))
        return Recording((), output, 0.0, costs)

    def program(self, head: nn.Module | None = None) -> Program:
        """Return the network as one value, as ``SpikingNetwork.program``.

        Args:
            head: As there.
        """
        layers = []
        for unit in self.units:
            (below, loop, *biases), *_ = unit.all_weights
            weights, recurrent = (np.ascontiguousarray(as_array(x).T) for x in (below, loop))
            first, second = (as_array(x) for x in biases)
            layers.append(GatedLayer(self.kind, weights, first, recurrent, second))
        return Program(
            inputs=len(layers[0].weights),
            encoder="spikes" if self.spike_input else "constant",
            normalisers=(),
            layers=tuple(layers),
            time_steps=1,
            decoder=None,
            head=read_head(head if self.head is None else self.head, self.hidden_sizes[-1]),
            choice=UNCHOSEN,
            stateful=True,
        )

    def reseed_noise(self, seed: int) -> None:
        """Do nothing: there is no noise."""

    @property
    def units(self) -> list[nn.GRU | nn.LSTM]:
        """Layers of units, input side first."""
        # A ModuleList forgets the type of its members.
        return cast("list[nn.GRU | nn.LSTM]", list(self.layers))

    def _run(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Run (L, B, input_size) from a state, without resets."""
        signals, final = self._run_units(inputs, state)
        output = signals[-1] if self.head is None else self.head(signals[-1])
        return output, final

    def _parts(self, state: Tensor) -> list[tuple[Tensor, ...]]:
        """Return the state variables (B, size) of each layer in a flat state, the output first."""
        variables = len(GATED_STATES[self.kind])
        sizes = [size for size in self.hidden_sizes for _ in range(variables)]
        parts = torch.split(state, sizes, dim=1)
        return [parts[k : k + variables] for k in range(0, len(parts), variables)]

    def _run_units(self, inputs: Tensor, state: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the outputs (L, B, size) of every layer, and the final state."""
        signal, signals, final = inputs, [], []
        for layer, carried in zip(self.units, self._parts(state), strict=True):
            start = [part.unsqueeze(0).contiguous() for part in carried]
            if self.kind == "gru":
                signal, hidden = layer(signal, start[0])
                final.append(hidden[0])
            else:
                signal, (hidden, cell) = layer(signal, tuple(start))
                final += [hidden[0], cell[0]]
            signals.append(signal)
        return signals, torch.cat(final, dim=1)
