"""``SpikingLayer``: synapses and the neurons that they drive, T time steps in one compiled call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snn_gym._base.compilation import njit
from snn_gym.program.layers import Filtered, NeuronLayer, Readers
from snn_gym.program.neuron_kernels import backward_kernel, forward_kernel, kept_names
from snn_gym.spiking.event_kernels import (
    COLUMNS,
    Array,
    Source,
    add_products,
    event_room,
    strips_of,
    synapse_gradients,
)
from snn_gym.spiking.layer_kernels import sequence_backward, sequence_forward
from snn_gym.spiking.layer_neurons import (
    Breaks,
    LayerNeurons,
    Run,
    State,
    as_array,
    is_traced,
    no_breaks,
)

# ---- convolutions --------------------------------------------------------------------------------
MOST_WEIGHTS = 1 << 25
"""Weights of the equivalent dense layer, 128 MiB, which kernels read."""


class _Spread:
    """Values that stand at many places of an array, which stays the same and shows every change.

    A value of ``which`` (M,), times ``scale``, stands at each of the flat places ``at`` (M,).
    """

    def __init__(self, shape: tuple[int, ...], scale: float) -> None:
        self._shape, self._scale = shape, scale
        self._memory = self._seen = torch.empty(0)
        self.changes = 0
        """Times that the memory was written."""

    def of(self, values: Tensor, at: Tensor, which: Tensor) -> Tensor:
        """Return the tensor of values: the memory, or a new tensor where gradients are needed."""
        if torch.is_grad_enabled() and values.requires_grad:
            dense = values.new_zeros(math.prod(self._shape))
            return dense.index_add(0, at, values.reshape(-1)[which] * self._scale).view(self._shape)
        return self.memory(values.detach(), at, which)

    def memory(self, values: Tensor, at: Tensor, which: Tensor) -> Tensor:
        """Return the memory with the present values, which have no gradients."""
        seen = self._seen
        if seen.shape != values.shape or (seen.device, seen.dtype) != (values.device, values.dtype):
            self._memory = values.new_zeros(self._shape)
            self._seen = torch.full_like(values, torch.nan)
        if not torch.equal(self._seen, values):
            self._memory.view(-1).index_copy_(0, at, values.reshape(-1)[which] * self._scale)
            self._seen.copy_(values)
            self.changes += 1
        return self._memory


@njit(cache=True, error_model="numpy", _nrt=False)
def _add_filter_gradients(
    source: Source, grads: Array, readers: Readers, turned: Array, of_filters: Array,
    of_biases: Array,
) -> None:  # fmt: skip
    """Add the gradients of filters (K, F) and their biases (F,) for sources (R, D).

    ``grads`` (R, F * P) are those of the layer's currents. ``readers`` are, of each input, the
    places P and the elements K that read it: where those of an input begin (D + 1,), and both
    lists. ``turned`` (P, F) is scratch.
    """
    starts, places, elements = readers
    size, filters = turned.shape
    for r in range(source.shape[0]):
        for f in range(filters):
            for p in range(size):
                turned[p, f] = grads[r, f * size + p]
        for p in range(size):
            for f in range(filters):
                of_biases[f] += turned[p, f]
        for d in range(source.shape[1]):
            if source[r, d] == 0:
                continue
            x = np.float32(source[r, d])
            for k in range(starts[d], starts[d + 1]):
                row, total = turned[places[k]], of_filters[elements[k]]
                for f in range(filters):
                    total[f] += x * row[f]


class SharedLinear(nn.Linear):
    """A linear layer from flattened planes to flattened planes of filters.

    ``weight`` (out, in) and ``bias`` (out,) are those of the equivalent dense layer, zero outside
    of receptive fields; what is learned are ``filters`` (F, C * kernel * kernel) and
    ``filter_biases`` (F,). Average pooling is a part of the weights.

    Args:
        operator: The convolution and the planes that it reads.
    """

    at: Tensor
    """(M,) int64, places in the flattened weights that are not zero."""
    which: Tensor
    """(M,) int64, the elements of the flattened filters that stand there."""
    units: Tensor
    planes_of_units: Tensor

    def __init__(self, operator: Filtered) -> None:
        # nn.Linear's own would make parameters of ``weight`` and ``bias``.
        nn.Module.__init__(self)
        self.operator, layer = operator, operator.layer
        self.in_features = math.prod(operator.planes)
        self.out_features = math.prod(operator.shape)
        if self.in_features * self.out_features > MOST_WEIGHTS:
            raise ValueError(
                f"a convolution from planes {operator.planes} to {operator.shape} stands for "
                f"{self.in_features * self.out_features:,} synapses, and at most {MOST_WEIGHTS:,} "
                "are laid out; pool or stride first, or leave convolutions out, so that images "
                "pass an ordinary CNN"
            )
        sources, at, elements = operator.readers()
        places, size = self.out_features // layer.filters, operator.planes[0] * layer.kernel**2
        self.filters = nn.Parameter(torch.empty(layer.filters, size))
        self.filter_biases = nn.Parameter(torch.empty(layer.filters))
        filters = np.arange(layer.filters)[:, np.newaxis]
        dense = (filters * places + at) * self.in_features + sources
        which = filters * size + elements
        self.register_buffer("at", torch.from_numpy(dense.ravel()), persistent=False)
        self.register_buffer("which", torch.from_numpy(which.ravel()), persistent=False)
        units = torch.arange(self.out_features)
        self.register_buffer("units", units, persistent=False)
        self.register_buffer("planes_of_units", units // places, persistent=False)
        starts = np.searchsorted(sources, np.arange(self.in_features + 1))
        self._readers = starts, at, elements
        # No buffers, which who acts would compare with their last values.
        self._weight = _Spread((self.out_features, self.in_features), 1.0 / layer.pool**2)
        self._bias = _Spread((self.out_features,), 1.0)
        nn.init.kaiming_uniform_(self.filters, a=5**0.5)  # as nn.Conv2d
        bound = 1.0 / size**0.5
        nn.init.uniform_(self.filter_biases, -bound, bound)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """Weights (out, in) of the equivalent dense layer, differentiable where gradients are."""
        return self._weight.of(self.filters, self.at, self.which)

    @property
    def bias(self) -> Tensor:  # type: ignore[override]
        """Biases (out,) of the equivalent dense layer."""
        return self._bias.of(self.filter_biases, self.units, self.planes_of_units)

    @property
    def changes(self) -> int:
        """Times that the memory of ``dense_synapses``' weights was written."""
        return self._weight.changes

    def dense_synapses(self) -> tuple[Tensor, Tensor]:
        """Return ``weight`` and ``bias`` without gradients, in memory that stays the same."""
        return (
            self._weight.memory(self.filters.detach(), self.at, self.which),
            self._bias.memory(self.filter_biases.detach(), self.units, self.planes_of_units),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return planes of filters (..., out) for flattened planes (..., in)."""
        return self.convolved(inputs, self.filters, self.filter_biases)

    def convolved(self, inputs: Tensor, filters: Tensor, biases: Tensor) -> Tensor:
        """Return what ``forward`` does, by other filters of the same shape."""
        layer, (count, height, width) = self.operator.layer, self.operator.planes
        if self.operator.channels_last:
            planes = inputs.reshape(-1, height, width, count).permute(0, 3, 1, 2)
        else:
            planes = inputs.reshape(-1, count, height, width)
        if layer.pool > 1:
            planes = functional.avg_pool2d(planes, layer.pool)
        squares = filters.view(-1, count, layer.kernel, layer.kernel)
        found = functional.conv2d(planes, squares, biases, layer.stride, layer.padding)
        return found.reshape(*inputs.shape[:-1], self.out_features)

    def filter_gradients(self, source: Source, grad_currents: Array) -> tuple[Tensor, Tensor]:
        """Return the gradients of filters and biases, summed over the R rows, by events.

        ``source`` (R, in) holds the layer's inputs, ``grad_currents`` is (R, out).
        """
        count, elements = self.filters.shape
        of_filters, of_biases = np.zeros((elements, count), np.float32), np.zeros(count, np.float32)
        turned = np.empty((self.out_features // count, count), np.float32)
        _add_filter_gradients(source, grad_currents, self._readers, turned, of_filters, of_biases)
        of_filters /= self.operator.layer.pool**2
        return torch.from_numpy(np.ascontiguousarray(of_filters.T)), torch.from_numpy(of_biases)

    def extra_repr(self) -> str:
        """Return what the layer is made of."""
        return str(self.operator)


def dense_synapses(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Return a layer's weights (out, in) and biases (out,), whose memory is to be read."""
    if isinstance(linear, SharedLinear):
        return linear.dense_synapses()
    return linear.weight, linear.bias


def product(linear: nn.Linear, inputs: Tensor, *learned: Tensor) -> Tensor:
    """Return a layer's currents by ``learned_synapses``, with derivatives of any order."""
    if isinstance(linear, SharedLinear):
        return linear.convolved(inputs, *learned)
    return functional.linear(inputs, *learned)


def learned_synapses(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Return the parameters behind a layer's weights and biases: of a convolution, its filters."""
    if isinstance(linear, SharedLinear):
        return linear.filters, linear.filter_biases
    return linear.weight, linear.bias


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


class RunSettings(NamedTuple):
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
    ``LayerNeurons.run_stepped``, float32 on the CPU. Spikes and voltages equal those of
    ``run_stepped`` bit for bit, with recurrent weights up to the rounding of their sum; gradients
    agree to float32 accuracy. A second derivative (``create_graph=True``) goes through
    ``run_stepped``.
    """
    within = no_breaks(currents.shape[1]) if breaks is None else breaks
    constants = neurons.own_constants(currents.shape[2]) if neurons.learned else None
    inputs = (currents, recurrent_weight, constants, *state)
    if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs):
        kept = kept_names(neurons.text, each=bool(neurons.learned))
        settings = RunSettings(neurons, time_steps, within, kept)
        outputs: tuple[Tensor, ...] = _FusedLayer.apply(settings, *inputs)
        spikes, voltages, entered, *final = outputs
    else:
        settings = RunSettings(neurons, time_steps, within, neurons.equations.moved_names[:1])
        result = run_kernels(settings, currents, recurrent_weight, constants, state)
        spikes, voltages, entered = result.spikes, result.kept[0], result.entered
        final = list(result.final)
    # (L, S, B, N) -> S variables (L * B, N); a single decision starts from the given state
    starts = state if breaks is None else tuple(x.flatten(0, 1) for x in entered.unbind(1))
    return Run(spikes, voltages, tuple(final), starts)


class KernelResults(NamedTuple):
    """Results of the forward kernels."""

    spikes: Tensor
    """(L * T, B, N)."""
    kept: Tensor
    """(K, L * T, B, N), the K values named by ``RunSettings.keep``, the recorded variable first."""
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


def _constants(settings: RunSettings, constants: Tensor | None) -> Array:
    return settings.neurons.constants if constants is None else array_of(constants)


def run_kernels(
    settings: RunSettings,
    currents: Tensor,
    recurrent_weight: Tensor | None,
    constants: Tensor | None,
    state: State,
) -> KernelResults:
    """Run L environment steps of T time steps, no gradients; ``constants`` are (P, N) or None."""
    neurons, time_steps, breaks, keep = settings
    rounds, shape = len(breaks.starts), currents.shape[1:]
    spikes = torch.empty((rounds * time_steps, *shape))
    kept = torch.empty((len(keep), rounds * time_steps, *shape))
    final, entered = torch.stack(state), torch.empty((rounds, len(state), *shape))
    sequence_forward(
        forward_kernel(neurons.text, keep, each=bool(neurons.learned)).address,
        _constants(settings, constants),
        _NO_STRIPS if recurrent_weight is None else strips_of(array_of(recurrent_weight)),
        _flat(currents), breaks.starts.numpy(), _rest(neurons, shape[1]), _own(final),
        _own(entered), _own(kept), _own(spikes),
    )  # fmt: skip
    return KernelResults(spikes, kept, entered, final.unbind())


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
        settings: RunSettings,
        currents: Tensor,
        recurrent_weight: Tensor | None,
        constants: Tensor | None,
        *state: Tensor,
    ) -> tuple[Tensor, ...]:
        result = run_kernels(settings, currents, recurrent_weight, constants, state)
        # The spikes are only needed for the gradient of the recurrent weights.
        spikes = None if recurrent_weight is None else result.spikes
        ctx.save_for_backward(currents, recurrent_weight, constants, result.kept, spikes, *state)
        ctx.settings = settings
        ctx.recurrent = recurrent_weight is not None
        ctx.mark_non_differentiable(result.entered)
        ctx.set_materialize_grads(False)
        voltages = result.kept[0].clone() if len(settings.keep) > 1 else result.kept[0]
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
    allocate = torch.empty if len(currents) > len(ctx.settings.breaks.starts) else torch.zeros
    grad_currents = allocate(currents.shape)
    grad_state, grad_constants = _backward(ctx, grads, grad_currents, _NOTHING)
    return grad_currents, None, grad_constants, *grad_state.unbind()


def _recurrent_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    currents, weight, _, kept, spikes, *_, previous = ctx.saved_tensors
    voltages, breaks, time_steps = kept[0], ctx.settings.breaks, ctx.settings.time_steps
    starts, rounds = breaks.starts, len(breaks.starts)
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
    """Return ``grads`` with that of the final spikes, the last, added to that of all spikes.

    None takes its place, because the final spikes are the last of all spikes.
    """
    grad_spikes, *others, grad_last = grads
    if grad_last is None:
        return grads
    grad_spikes = torch.zeros_like(like) if grad_spikes is None else grad_spikes.clone()
    grad_spikes[-1] += grad_last
    return grad_spikes, *others, None


def _backward(
    ctx: Any, grads: tuple[Tensor | None, ...], grad_currents: Tensor, weight: Array
) -> tuple[Tensor, Tensor | None]:
    """Fill ``grad_currents``; return gradients of initial state and learned constants, if any."""
    _, _, constants, kept, _, *state = ctx.saved_tensors
    grad_spikes, grad_voltages, _, *grad_final = grads
    grad_state = _stacked(grad_final, state)
    settings, neurons = ctx.settings, ctx.settings.neurons
    grad_constants = None if constants is None else torch.zeros_like(constants)
    kernel = backward_kernel(
        neurons.text,
        neurons.surrogate,
        recorded=grad_voltages is not None,
        each=bool(neurons.learned),
    )
    sequence_backward(
        (
            kernel.address, _constants(settings, constants), np.float32(neurons.slope),
            _NOTHING if grad_constants is None else grad_constants.numpy(),
        ),
        weight, settings.breaks.starts.numpy(), _own(kept),
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
    settings: RunSettings = ctx.settings
    inputs = (currents, weight, constants, *state)
    neurons = settings.neurons if constants is None else settings.neurons.with_values(constants)
    run = neurons.run_stepped(currents, tuple(state), settings.time_steps, weight, settings.breaks)
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
        neuron: LayerNeurons,
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
        self.learned = nn.ModuleDict(neuron.learned)
        self.fusable = backend != "norse"
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
    def recurrent_weight(self) -> Tensor | None:
        """Recurrent weights (size, size), row i onto neuron i; None without recurrence."""
        return None if self.recurrent is None else self.recurrent.weight

    def initial_state(self, batch: int, like: Tensor) -> State:
        """Return the state at rest, variables (batch, values) of ``like``'s dtype and device."""
        state = self.neuron.initial_state(batch, self.size, like)
        return state if self.recurrent is None else (*state, like.new_zeros(batch, self.size))

    def program(self) -> NeuronLayer:
        """Return the layer as a part of a program, with copies of its numbers."""
        neuron = self.neuron
        constants = neuron.constants[:, 0].copy()
        if neuron.learned:
            constants = as_array(neuron.own_constants(self.size))
        rest = neuron.initial_state(1, self.size, self.linear.weight)
        weights, loop = self.linear.weight, self.recurrent_weight
        return NeuronLayer(
            neuron=neuron.text,
            constants=constants,
            weights=np.ascontiguousarray(as_array(weights).T),
            biases=as_array(self.linear.bias),
            recurrent=None if loop is None else np.ascontiguousarray(as_array(loop).T),
            rest=np.concatenate([as_array(x) for x in rest]),
            operator=self.linear.operator if isinstance(self.linear, SharedLinear) else "linear",
        )

    def forward(
        self, inputs: Tensor, state: State, time_steps: int, breaks: Breaks | None = None
    ) -> Run:
        """Run L environment steps of ``time_steps`` each.

        Inputs are (L * T, B, inputs), or (L, B, inputs) if held over each environment step;
        ``breaks`` reset the state, None means L = 1.

        Raises:
            ValueError: Backend ``fused`` gets other inputs than float32 on the CPU, or a trace.
        """
        return self.driven(self.currents(inputs), state, time_steps, breaks)

    def driven(
        self, currents: Tensor, state: State, time_steps: int, breaks: Breaks | None = None
    ) -> Run:
        """Run like ``forward``, by synaptic currents (L * T, B, size) or (L, B, size)."""
        weight = self.recurrent_weight
        if self.fusable and supports(currents):
            return run_fused(self.neuron, currents, state, time_steps, weight, breaks)
        if self.backend == "fused":
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
