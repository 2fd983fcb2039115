"""A spiking layer: synapses and the neurons that they drive."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from snn_gym.program.network import NeuronLayer
from snn_gym.program.neuron import equations
from snn_gym.program.neurons import LIFBox
from snn_gym.spiking.fused import run_fused, spike_product, supports
from snn_gym.spiking.layer_neurons import Breaks, LayerNeurons, NorseCell, Run, State, as_array
from snn_gym.spiking.learned import hidden_parameters


class SynapticLinear(nn.Linear):
    """A linear layer into spiking neurons, whose initialisation belongs to the network."""


class SpikingLayer(nn.Module):
    """Synapses and the neurons that they drive.

    Args:
        inputs: Input channels.
        size: Neurons.
        neuron: What its neurons are.
        backend: ``fused`` kernels, ``norse`` stepping, or the fastest that applies (``auto``).
        recurrent: Whether the spikes of the time step before come back through learned weights,
            as in Norse's recurrent cells.
    """

    def __init__(
        self,
        inputs: int,
        size: int,
        neuron: LayerNeurons | NorseCell,
        backend: str,
        *,
        recurrent: bool = False,
    ) -> None:
        super().__init__()
        self.linear = SynapticLinear(inputs, size)
        self.recurrent = SynapticLinear(size, size, bias=False) if recurrent else None
        self.neuron = neuron
        self.backend = backend
        self.size = size
        learned = neuron.learned if isinstance(neuron, LayerNeurons) else {}
        self.learned = nn.ModuleDict(learned)
        # What a neuron or cell learns of its own is trained and saved with the layer.
        self.neuron_parameters = nn.ParameterDict(hidden_parameters(neuron, self.parameters()))
        self.fusable = isinstance(neuron, LayerNeurons) and backend != "norse"
        """Whether the fused kernels run this layer where they support the input."""

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state variables; of a recurrent layer the last spikes ``z`` come last."""
        names = self.neuron.state_names
        return names if self.recurrent is None else (*names, "z")

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Numbers of one sample in each state variable."""
        sizes = self.neuron.state_sizes(self.size)
        return sizes if self.recurrent is None else (*sizes, self.size)

    @property
    def recurrent_weight(self) -> Tensor | None:
        """Weights (size, size) from the spikes of the step before, None without recurrence."""
        return None if self.recurrent is None else self.recurrent.weight

    def initial_state(self, batch: int, like: Tensor) -> State:
        """Return the state at rest, each variable (batch, size)."""
        state = self.neuron.initial_state(batch, self.size, like)
        return state if self.recurrent is None else (*state, like.new_zeros(batch, self.size))

    def program(self) -> NeuronLayer:
        """Return the layer as a part of a program, with copies of its numbers.

        Raises:
            ValueError: Its neurons are cells, which have no text.
        """
        neuron, looped = self.neuron, self.recurrent_weight
        if not isinstance(neuron, LayerNeurons):
            raise ValueError(
                f"cells of {type(neuron.cell).__name__} are not exported; train with a neuron that "
                "register_neuron knows"
            )
        state = neuron.initial_state(1, self.size, self.linear.weight)
        own, shared = neuron.own_constants, neuron.constants[:, 0].copy()
        return NeuronLayer(
            neuron=neuron.text,
            constants=as_array(own(self.size)) if neuron.learned else shared,
            weights=np.ascontiguousarray(as_array(self.linear.weight).T),
            biases=as_array(self.linear.bias),
            recurrent=None if looped is None else np.ascontiguousarray(as_array(looped).T),
            rest=np.concatenate([as_array(x) for x in state]),
        )

    def stand_in(self) -> NeuronLayer:
        """Return a part of a program with the synapses of this layer, whatever its neurons are."""
        silent = LIFBox, np.zeros(len(equations(LIFBox).constants), np.float32)
        weights, biases = as_array(self.linear.weight).T, as_array(self.linear.bias)
        looped = None if self.recurrent is None else as_array(self.recurrent.weight).T
        return NeuronLayer(*silent, weights, biases, looped, np.zeros((1, self.size), np.float32))

    def forward(
        self, inputs: Tensor, state: State, time_steps: int, breaks: Breaks | None = None
    ) -> Run:
        """Run all time steps of L environment steps.

        Args:
            inputs: (L * T, B, inputs), or (L, B, inputs) for inputs held over the time steps of an
                environment step.
            state: State variables, each (B, size), left by the environment step before the first.
            time_steps: T.
            breaks: Where the state is reset and where its gradient is cut; None for one
                environment step (L = 1) that goes on from ``state``.

        Raises:
            ValueError: The backend is ``fused`` and the kernels can't serve the input.
        """
        currents, weight = self.currents(inputs), self.recurrent_weight
        if self._runs_fused(currents):
            assert isinstance(self.neuron, LayerNeurons)  # of a fusable layer
            return run_fused(self.neuron, currents, state, time_steps, weight, breaks)
        return self.neuron.run_stepped(currents, state, time_steps, weight, breaks)

    def currents(self, inputs: Tensor) -> Tensor:
        """Return what the synapses bring of inputs (K, B, inputs), (K, B, size)."""
        # One product for all K steps: (K, B, in) -> (K * B, in) -> (K, B, size)
        if supports(inputs):
            return spike_product(inputs, self.linear.weight, self.linear.bias)
        steps, batch, _ = inputs.shape
        currents: Tensor = self.linear(inputs.reshape(steps * batch, -1))
        return currents.view(steps, batch, self.size)

    def _runs_fused(self, currents: Tensor) -> bool:
        """Tell whether the compiled kernels run the layer on these currents."""
        if not self.fusable:
            return False
        if not supports(currents) and self.backend == "fused":
            raise ValueError(
                f"backend 'fused' runs float32 on the CPU, got {currents.dtype} on "
                f"{currents.device}, or a trace of it; use backend='auto'"
            )
        return supports(currents)
