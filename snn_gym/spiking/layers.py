"""Spiking layers: synapses and the neurons that they drive, T time steps in one compiled call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from snn_gym.program.kernels import backward_kernel, forward_kernel, kept_names
from snn_gym.program.layers import NeuronLayer
from snn_gym.program.neuron import equations
from snn_gym.program.neurons import LIFBox
from snn_gym.spiking.convolution import (
    SharedLinear,
    dense_synapses,
    learned_synapses,
    product,
)
from snn_gym.spiking.events import (
    COLUMNS,
    Source,
    add_products,
    event_room,
    strips_of,
    synapse_gradients,
)
from snn_gym.spiking.kernels import sequence_backward, sequence_forward
from snn_gym.spiking.layer_neurons import (
    Array,
    Breaks,
    LayerNeurons,
    NorseCell,
    Run,
    State,
    as_array,
    no_breaks,
)
from snn_gym.spiking.learned import hidden_parameters
from snn_gym.spiking.surrogates import is_traced


# ---- products of spikes --------------------------------------------------------------------------
def array_of(tensor: Tensor) -> Array:
    """View a CPU tensor, detached, as a contiguous array; copy only if it is not contiguous."""
    return tensor.detach().contiguous().numpy()


def gradients_of_learned(
    linear: nn.Linear, source: Source, grad_currents: Array
) -> tuple[Tensor, Tensor]:
    """Return the gradients of ``learned_synapses``, as ``gradients_of_synapses`` does."""
    if isinstance(linear, SharedLinear):
        return linear.filter_gradients(source, grad_currents)
    return gradients_of_synapses(source, grad_currents)


def gradients_of_synapses(source: Source, grad_currents: Array) -> tuple[Tensor, Tensor]:
    """Return the gradients of weights (N, D) and biases (N,), summed over the R rows.

    ``source`` (R, D) holds the synapses' inputs, ``grad_currents`` is (R, N).
    """
    channels, size = source.shape[1], grad_currents.shape[1]
    weight, bias = np.empty((size, channels), np.float32), np.empty(size, np.float32)
    synapse_gradients(source, grad_currents, weight, bias)
    return torch.from_numpy(weight), torch.from_numpy(bias)


def spike_product(signal: Tensor, linear: nn.Linear) -> Tensor:
    """Return a layer's currents (K, B, N), differentiable, of a signal (K, B, D)."""
    currents: Tensor = _SpikeProduct.apply(linear, signal, *learned_synapses(linear))
    return currents


class _SpikeProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, linear: nn.Linear, signal: Tensor, *learned: Tensor) -> Tensor:
        ctx.save_for_backward(signal, *learned)
        ctx.linear = linear
        weight, bias = dense_synapses(linear)
        source = array_of(signal).reshape(-1, signal.shape[2])
        currents = np.repeat(array_of(bias)[None], len(source), axis=0)
        room = event_room(source.shape[1])
        add_products(source, strips_of(array_of(weight)), currents, room)
        return torch.from_numpy(currents).view(*signal.shape[:2], -1)

    @staticmethod
    def backward(ctx: Any, grad_currents: Tensor) -> tuple[Tensor | None, ...]:
        signal, *learned = ctx.saved_tensors
        linear: nn.Linear = ctx.linear
        # As in ``_FusedLayer``: second derivatives need operations of PyTorch.
        if torch.is_grad_enabled():
            inputs = (signal, *learned)
            outputs = (product(linear, *inputs),)
            return None, *differentiable_gradients(outputs, (grad_currents,), inputs)
        rows = array_of(grad_currents).reshape(-1, linear.out_features)
        source = array_of(signal).reshape(-1, signal.shape[2])
        grad_signal = None
        if ctx.needs_input_grad[1]:
            weight, _ = dense_synapses(linear)
            grad_signal = torch.from_numpy(rows @ array_of(weight)).view_as(signal)
        return None, grad_signal, *gradients_of_learned(linear, source, rows)


# ---- fused ---------------------------------------------------------------------------------------
_NOTHING = np.empty((0, 0), dtype=np.float32)
_NO_STRIPS = np.empty((0, 0, COLUMNS), dtype=np.float32)


class Decision(NamedTuple):
    """Settings of ``run_kernels``: neurons, time steps T, breaks, and names of values to store."""

    neurons: LayerNeurons
    time_steps: int
    breaks: Breaks
    keep: tuple[str, ...]


def supports(currents: Tensor) -> bool:
    """Return whether the kernels support a tensor: float32 on the CPU, no tracing by PyTorch."""
    return currents.dtype == torch.float32 and currents.device.type == "cpu" and not is_traced()


def run_fused(
    neurons: LayerNeurons,
    currents: Tensor,
    state: State,
    time_steps: int,
    recurrent_weight: Tensor | None = None,
    breaks: Breaks | None = None,
) -> Run:
    """Run all time steps of L environment steps of a layer in one compiled call.

    ``currents`` are (L * T, B, N), or (L, B, N) if held; other arguments are those of
    ``Stepped.run_stepped``, float32 on the CPU. Spikes and voltages equal those of ``run_stepped``
    bit for bit, with recurrent weights up to the rounding of their sum; gradients agree to float32
    accuracy. A second derivative (``create_graph=True``) goes through ``run_stepped``.
    """
    within = no_breaks(currents.shape[1]) if breaks is None else breaks
    constants = neurons.own_constants(currents.shape[2]) if neurons.learned else None
    inputs = (currents, recurrent_weight, constants, *state)
    if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs):
        kept = kept_names(neurons.text, each=bool(neurons.learned))
        decision = Decision(neurons, time_steps, within, kept)
        outputs: tuple[Tensor, ...] = _FusedLayer.apply(decision, *inputs)
        spikes, voltages, entered, *final = outputs
    else:
        decision = Decision(neurons, time_steps, within, neurons.equations.moved_names[:1])
        result = run_kernels(decision, currents, recurrent_weight, constants, state)
        spikes, voltages, entered = result.spikes, result.kept[0], result.entered
        final = list(result.final)
    # (L, S, B, N) -> S variables (L * B, N); a single decision starts from the given state
    starts = state if breaks is None else tuple(x.flatten(0, 1) for x in entered.unbind(1))
    return Run(spikes, voltages, tuple(final), starts)


class Kept(NamedTuple):
    """Results of the forward kernels."""

    spikes: Tensor
    """(L * T, B, N)."""
    kept: Tensor
    """(K, L * T, B, N), the K values named by ``Decision.keep``, the recorded variable first."""
    entered: Tensor
    """(L, S, B, N), state variables at the start of each environment step."""
    final: tuple[Tensor, ...]
    """State variables at the end, each (B, N)."""


def _flat(tensor: Tensor) -> Array:
    """Return a detached tensor (K, B, N) as a contiguous array (K, B * N)."""
    return tensor.detach().contiguous().numpy().reshape(tensor.shape[0], -1)


def _own(tensor: Tensor) -> Array:
    """View a contiguous tensor (..., B, N) as an array (..., B * N) that a kernel can fill."""
    return tensor.numpy().reshape(*tensor.shape[:-2], -1)


def _constants(decision: Decision, constants: Tensor | None) -> Array:
    return decision.neurons.constants if constants is None else array_of(constants)


def run_kernels(
    decision: Decision,
    currents: Tensor,
    recurrent_weight: Tensor | None,
    constants: Tensor | None,
    state: State,
) -> Kept:
    """Run L * T time steps without gradients; ``constants`` are (P, N) if learned, else None."""
    neurons, time_steps, breaks, keep = decision
    rounds, shape = len(breaks.cuts), currents.shape[1:]
    spikes = torch.empty((rounds * time_steps, *shape))
    kept = torch.empty((len(keep), rounds * time_steps, *shape))
    final, entered = torch.stack(state), torch.empty((rounds, len(state), *shape))
    sequence_forward(
        forward_kernel(neurons.text, keep, each=bool(neurons.learned)).address,
        _constants(decision, constants),
        _NO_STRIPS if recurrent_weight is None else strips_of(array_of(recurrent_weight)),
        _flat(currents), breaks.starts.numpy(), _rest(neurons, shape[1]), _own(final),
        _own(entered), _own(kept), _own(spikes),
    )  # fmt: skip
    return Kept(spikes, kept, entered, final.unbind())


def _rest(neurons: LayerNeurons, size: int) -> Array:
    """Return the state at rest, (S, 1), or (S, N) for neurons with learned constants."""
    if not neurons.learned:
        return neurons.rest32
    rest = neurons.initial_state(1, size, torch.empty(0))
    return torch.cat([x.contiguous() for x in rest]).numpy()


class _FusedLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        decision: Decision,
        currents: Tensor,
        recurrent_weight: Tensor | None,
        constants: Tensor | None,
        *state: Tensor,
    ) -> tuple[Tensor, ...]:
        result = run_kernels(decision, currents, recurrent_weight, constants, state)
        # The spikes are only needed for the gradient of the recurrent weights.
        spikes = None if recurrent_weight is None else result.spikes
        ctx.save_for_backward(currents, recurrent_weight, constants, result.kept, spikes, *state)
        ctx.decision = decision
        ctx.recurrent = recurrent_weight is not None
        ctx.mark_non_differentiable(result.entered)
        ctx.set_materialize_grads(False)
        voltages = result.kept[0].clone() if len(decision.keep) > 1 else result.kept[0]
        return result.spikes, voltages, result.entered, *result.final

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        # Grad mode is on in here only under create_graph. A numpy-backed backward would then
        # return constants, and a Hessian-vector product would be silently wrong.
        if torch.is_grad_enabled():
            return None, *_stepped_gradients(ctx, grads)
        gradients = _recurrent_gradients if ctx.recurrent else _fused_gradients
        return None, *gradients(ctx, grads)


def _fused_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    currents, *_ = ctx.saved_tensors
    # The kernel writes gradients of an input per time step, and adds up those of a held input.
    allocate = torch.empty if len(currents) > len(ctx.decision.breaks.cuts) else torch.zeros
    grad_currents = allocate(currents.shape)
    grad_state, grad_constants = _backward(ctx, grads, grad_currents, _NOTHING)
    return grad_currents, None, grad_constants, *grad_state.unbind()


def _recurrent_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    currents, weight, _, kept, spikes, *_, previous = ctx.saved_tensors
    voltages, breaks, time_steps = kept[0], ctx.decision.breaks, ctx.decision.time_steps
    starts, rounds = breaks.starts, len(breaks.cuts)
    if breaks.recurrent_gradient:
        grad_steps = torch.empty_like(voltages)
        grad_state, grad_constants = _backward(ctx, grads, grad_steps, _flat(weight))
    else:
        grad_steps = torch.zeros_like(voltages)
        direct = _direct(grads, voltages)
        grad_state, grad_constants = _backward(ctx, direct, grad_steps, _NOTHING)
    # Spikes that returned at each time step: none at the start of an episode.
    before = spikes[:-1]
    if rounds > 1 and starts[1:].any():
        before = before.clone()
        before[time_steps - 1 :: time_steps].masked_fill_(starts[1:, :, None], 0.0)
    # (L * T - 1, B, N) and (L * T - 1, B, N) -> (N, N), summed over time steps and batch
    grad_weight, _ = gradients_of_synapses(
        array_of(before.flatten(0, 1)), array_of(grad_steps[1:].flatten(0, 1))
    )
    grad_weight.addmm_(grad_steps[0].t(), previous.masked_fill(starts[0, :, None], 0.0))
    grad_currents = grad_steps
    if len(currents) == rounds:
        grad_currents = grad_steps.view(rounds, -1, *previous.shape).sum(1)
    return grad_currents, grad_weight, grad_constants, *grad_state


def _direct(grads: tuple[Tensor | None, ...], like: Tensor) -> tuple[Tensor | None, ...]:
    """Return ``grads``, the last one (of final spikes as state) moved to the spikes as outputs."""
    grad_spikes, *others, grad_last = grads
    if grad_last is None:
        return grads
    grad_spikes = torch.zeros_like(like) if grad_spikes is None else grad_spikes.clone()
    grad_spikes[-1] += grad_last
    return grad_spikes, *others, None


def _backward(
    ctx: Any, grads: tuple[Tensor | None, ...], grad_currents: Tensor, weight: Array
) -> tuple[Tensor, Tensor | None]:
    """Fill ``grad_currents``; return gradients of initial state and constants (None if fixed)."""
    _, _, constants, kept, _, *state = ctx.saved_tensors
    grad_spikes, grad_voltages, _, *grad_final = grads
    grad_state = _stacked(grad_final, state)
    decision, neurons = ctx.decision, ctx.decision.neurons
    grad_constants = None if constants is None else torch.zeros_like(constants)
    kernel = backward_kernel(
        neurons.text,
        neurons.surrogate,
        recorded=grad_voltages is not None,
        each=bool(neurons.learned),
    )
    sequence_backward(
        (
            kernel.address, _constants(decision, constants), np.float32(neurons.slope),
            _NOTHING if grad_constants is None else grad_constants.numpy(),
        ),
        weight, decision.breaks.blocked.numpy(), _own(kept),
        _flat(torch.zeros_like(kept[0]) if grad_spikes is None else grad_spikes),
        _NOTHING if grad_voltages is None else _flat(grad_voltages),
        _own(grad_state), _own(grad_currents),
    )  # fmt: skip
    return grad_state, grad_constants


def _stacked(grads: list[Tensor | None], like: list[Tensor]) -> Tensor:
    """Return gradients (S, B, N) in one new tensor, zeros for None."""
    stacked = torch.zeros((len(like), *like[0].shape))
    for k, grad in enumerate(grads):
        if grad is not None:
            stacked[k] = grad
    return stacked


def _stepped_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    currents, weight, constants, _, _, *state = ctx.saved_tensors
    decision: Decision = ctx.decision
    inputs = (currents, weight, constants, *state)
    neurons = decision.neurons if constants is None else decision.neurons.with_values(constants)
    run = neurons.run_stepped(currents, tuple(state), decision.time_steps, weight, decision.breaks)
    # The states that environment steps start from are not differentiable.
    outputs = (run.spikes, run.voltages, run.spikes, *run.final)
    return differentiable_gradients(outputs, grads, inputs)


def differentiable_gradients(
    outputs: Sequence[Tensor], grads: Sequence[Tensor | None], inputs: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...]:
    """Return the inputs' gradients for the outputs' gradients ``grads``, for second derivatives.

    That of an input that requires none is None.
    """
    pairs = [pair for pair in zip(outputs, grads, strict=True) if pair[1] is not None]
    wanted = [x for x in inputs if x is not None and x.requires_grad]
    results = iter(
        torch.autograd.grad(
            [output for output, _ in pairs],
            wanted,
            [grad for _, grad in pairs],
            create_graph=True,
            allow_unused=True,
        )
    )
    return tuple(next(results) if x is not None and x.requires_grad else None for x in inputs)


# ---- layers --------------------------------------------------------------------------------------
class SynapticLinear(nn.Linear):
    """A linear layer into spiking neurons; ``initialise_layers`` sets its initial weights."""


class SynapticConvolution(SharedLinear):
    """A convolution into spiking neurons; ``initialise_layers`` sets its initial weights."""


class SpikingLayer(nn.Module):
    """Synapses and the neurons that they drive.

    Args:
        linear: Synapses from the layer's inputs.
        neuron: Neurons of the layer.
        backend: ``fused`` kernels, ``norse`` stepping, or the fastest that applies (``auto``).
        recurrent: Whether spikes return one time step later, as in Norse's recurrent cells.
    """

    def __init__(
        self,
        linear: SynapticLinear | SynapticConvolution,
        neuron: LayerNeurons | NorseCell,
        backend: str,
        *,
        recurrent: bool = False,
    ) -> None:
        super().__init__()
        self.linear, size = linear, linear.out_features
        self.recurrent = SynapticLinear(size, size, bias=False) if recurrent else None
        self.neuron = neuron
        self.backend = backend
        self.size = size
        self.units = len(learned_synapses(linear)[0])
        """Neurons with weights of their own; those of a filter count as one, and adjoin."""
        learned = neuron.learned if isinstance(neuron, LayerNeurons) else {}
        self.learned = nn.ModuleDict(learned)
        # Parameters inside of a neuron or cell, so that they are trained and saved with the layer.
        self.neuron_parameters = nn.ParameterDict(hidden_parameters(neuron, self.parameters()))
        self.fusable = isinstance(neuron, LayerNeurons) and backend != "norse"
        """Whether the fused kernels can run this layer."""

    @property
    def places(self) -> int:
        """Neurons that share their weights: the places of a filter, else 1."""
        return self.size // self.units

    def of_units(self, values: Tensor) -> Tensor:
        """Return the mean (units,) of values (size,) over neurons that share their weights."""
        return values.view(self.units, -1).mean(1)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state variables; a recurrent layer's last spikes ``z`` come last."""
        names = self.neuron.state_names
        return names if self.recurrent is None else (*names, "z")

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Values per sample in each state variable."""
        sizes = self.neuron.state_sizes(self.size)
        return sizes if self.recurrent is None else (*sizes, self.size)

    @property
    def recurrent_weight(self) -> Tensor | None:
        """Recurrent weights (size, size), row i onto neuron i; None without recurrence."""
        return None if self.recurrent is None else self.recurrent.weight

    def initial_state(self, batch: int, like: Tensor) -> State:
        """Return the state at rest, variables (batch, values) of ``like``'s dtype and device."""
        state = self.neuron.initial_state(batch, self.size, like)
        return state if self.recurrent is None else (*state, like.new_zeros(batch, self.size))

    def program(self, *, stand_in: bool = False) -> NeuronLayer:
        """Return a copy of the layer for export; ``stand_in`` replaces cells by silent neurons.

        Raises:
            ValueError: The neurons are cells, which have no text, and ``stand_in`` is False.
        """
        neuron, rest = self.neuron, np.zeros((1, self.size), np.float32)
        if isinstance(neuron, LayerNeurons):
            text, constants = neuron.text, neuron.constants[:, 0].copy()
            if neuron.learned:
                constants = as_array(neuron.own_constants(self.size))
            state = neuron.initial_state(1, self.size, self.linear.weight)
            rest = np.concatenate([as_array(x) for x in state])
        elif stand_in:
            text, constants = LIFBox, np.zeros(len(equations(LIFBox).constants), np.float32)
        else:
            raise ValueError(
                f"cells of {type(neuron.cell).__name__} are not exported; train with a neuron that "
                "register_neuron knows"
            )
        weights, loop = self.linear.weight, self.recurrent_weight
        return NeuronLayer(
            neuron=text,
            constants=constants,
            weights=np.ascontiguousarray(as_array(weights).T),
            biases=as_array(self.linear.bias),
            recurrent=None if loop is None else np.ascontiguousarray(as_array(loop).T),
            rest=rest,
            operator=self.linear.operator if isinstance(self.linear, SharedLinear) else "linear",
        )

    def forward(
        self, inputs: Tensor, state: State, time_steps: int, breaks: Breaks | None = None
    ) -> Run:
        """Run L environment steps of ``time_steps`` each.

        Inputs are (L * T, B, inputs), or (L, B, inputs) if held over each environment step;
        ``breaks`` reset or detach the state, None means L = 1.

        Raises:
            ValueError: Backend ``fused`` gets other inputs than float32 on the CPU, or a trace.
        """
        currents, weight = self.currents(inputs), self.recurrent_weight
        if isinstance(self.neuron, LayerNeurons) and self.fusable and supports(currents):
            return run_fused(self.neuron, currents, state, time_steps, weight, breaks)
        if self.fusable and self.backend == "fused":
            raise ValueError(
                f"backend 'fused' runs float32 on the CPU, got {currents.dtype} on "
                f"{currents.device}, or a trace of it; use backend='auto'"
            )
        return self.neuron.run_stepped(currents, state, time_steps, weight, breaks)

    def currents(self, inputs: Tensor) -> Tensor:
        """Return the synaptic currents (K, B, size) of inputs (K, B, inputs)."""
        # One product for all K steps: (K, B, in) -> (K * B, in) -> (K, B, size)
        if supports(inputs):
            return spike_product(inputs, self.linear)
        steps, batch, _ = inputs.shape
        currents: Tensor = self.linear(inputs.reshape(steps * batch, -1))
        return currents.view(steps, batch, self.size)
