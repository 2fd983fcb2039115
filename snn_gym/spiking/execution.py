"""Runs of a network's layers: over sequences of environment steps, or in one compiled call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snn_gym.program.encoders import NOTHING_SEEN
from snn_gym.program.neuron_kernels import backward_kernel, forward_kernel, kept_names
from snn_gym.spiking.event_kernels import empty_strips, event_room
from snn_gym.spiking.layer_kernels import SCRATCH, layer_backward, network_forward, spread
from snn_gym.spiking.layer_neurons import Array, Breaks, Run, State
from snn_gym.spiking.regulation import Regulation
from snn_gym.spiking.spiking_layer import (
    SharedLinear,
    SpikingLayer,
    array_of,
    dense_synapses,
    differentiable_gradients,
    gradients_of_learned,
    learned_synapses,
    product,
    supports,
)


# ---- sequences -----------------------------------------------------------------------------------
# A sequence gives the results of stepping. Its L environment steps are one run of ``L * T`` time
# steps in each layer: one product for the inputs, one compiled call for the neurons. The gradient
# goes back through all environment steps to the last start of an episode.
#
# Encoders see environment steps as samples, ``(T, L * B, channels)``, and layers see time,
# ``(L * T, B, channels)``.
class NetworkRun(NamedTuple):
    """A pass through the layers of a network: one decision, or L environment steps."""

    signal: Tensor
    """(T, L * B, channels) or (1, L * B, channels), input of the first layer."""
    layers: list[Run]


Observer = Callable[[NetworkRun], None]
"""Called with each pass through the layers of a network."""


def spikes_of(runs: Iterable[NetworkRun]) -> list[Tensor]:
    """Return the spikes of all layers, each (L * T, B, N), of passes of L environment steps."""
    return [layer.spikes for run in runs for layer in run.layers]


def make_breaks(inputs: Tensor, starts: Tensor, recurrent_gradient: bool = True) -> Breaks:
    """Return the breaks of a sequence of ``inputs`` (L, B, ...) with resets at ``starts`` (L, B).

    Raises:
        ValueError: L is 0, or ``starts`` has a wrong shape or dtype.
    """
    if inputs.shape[0] == 0:
        raise ValueError(
            f"a sequence needs at least one environment step, got inputs {tuple(inputs.shape)}; "
            "leave empty sequences out"
        )
    if starts.shape != inputs.shape[:2] or starts.dtype != torch.bool:
        raise ValueError(
            f"starts must have shape {tuple(inputs.shape[:2])} and dtype torch.bool, got "
            f"{tuple(starts.shape)} and {starts.dtype}; give one truth value for each environment "
            "step and sample"
        )
    return Breaks(starts.contiguous(), recurrent_gradient)


def in_order(signal: Tensor, rounds: int) -> Tensor:
    """Transpose a signal (K, L * B, channels) of L environment steps to (L * K, B, channels).

    K is the number of time steps T, or 1 if all of them have the same input.
    """
    steps, samples, channels = signal.shape
    parted = signal.reshape(steps, rounds, samples // rounds, channels)
    return parted.transpose(0, 1).reshape(rounds * steps, -1, channels)


def next_noise(noise_state: Tensor, shape: tuple[int, int, int], rounds: int) -> Tensor:
    """Draw the encoder's uniform noise (T, L * B, channels) of L environment steps.

    ``noise_state`` (2,) int64 holds seed and position; it is saved with the network, which so
    continues its noise. ``shape`` is (T, B, channels) of one environment step.
    """
    noise = []
    for _ in range(rounds):
        seed, position = noise_state.tolist()
        generator = torch.Generator().manual_seed((seed << 32) ^ position)
        noise_state[1] += 1
        noise.append(torch.rand(shape, generator=generator))
    return torch.cat(noise, dim=1)


def seen_before(intensity: Tensor, carried: Tensor | None, breaks: Breaks | None) -> Tensor:
    """Return the intensity (L * B, D) that each environment step is compared with.

    ``carried`` (B, D) is the intensity before the first one, None or negative where there was none.
    Then, and where an episode starts, the result is the intensity itself.
    """
    batch = len(intensity) if breaks is None else breaks.starts.shape[1]
    if carried is None:
        carried = torch.full_like(intensity[:batch], NOTHING_SEEN)
    before = torch.cat([carried, intensity[: len(intensity) - batch]])
    nothing = before < 0
    if breaks is not None:
        nothing = nothing | breaks.starts.reshape(-1, 1)
    return torch.where(nothing, intensity, before)


def run_layers(
    layers: Sequence[SpikingLayer],
    regulation: Regulation | None,
    signal: Tensor,
    states: Sequence[State],
    time_steps: int,
    breaks: Breaks | None,
) -> list[Run]:
    """Run layers, each on the spikes of the layer before.

    ``regulation``, if given, measures each run and penalises its spikes in the backward pass.
    """
    runs: list[Run] = []
    for k, (layer, state) in enumerate(zip(layers, states, strict=True)):
        run: Run = layer(signal, state, time_steps, breaks)
        if regulation is not None:
            run = run._replace(spikes=regulation.watch(k, layer, run))
        signal = run.spikes
        runs.append(run)
    return runs


def join_state(layers: Sequence[Tensor], readout: Tensor, intensity: Tensor | None) -> Tensor:
    """Return the flat state (B, state_size) of layers, readout (S, B, N) and intensity (B, D)."""
    parts = [*layers, *readout.unbind()]
    if intensity is not None:
        parts.append(intensity)
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


# ---- compiled decisions --------------------------------------------------------------------------
# One compiled call from the encoder's signal to the decoder's sums, for one decision of compiled
# neurons. The kernels do the arithmetic of the general path, hence give the same spikes,
# without recordings, regulation or sequences. With gradients, the layers must be feed-forward: the
# forward pass stores 4 bytes per neuron and time step for the potential (as many for an adaptive
# threshold), and one byte for the spike.
_CHUNK_ROWS = 256
"""Samples times time steps that are computed together: enough to make the calls between layers
cheap, few enough for their currents and spikes to stay in a core's cache."""
_SPARE = 2
"""Buffers of forward passes that are kept for reuse: a loss lives until it is assigned anew."""
_KEPT_BYTES = 2**25
"""Larger buffers of a pass go back to the system."""
_NO_SPIKES = np.empty(0, dtype=np.uint8)
_NO_NUMBERS = np.empty(0, dtype=np.float32)
_NO_WEIGHT = np.empty((0, 0), dtype=np.float32)


class StoredValues(NamedTuple):
    """Values that the forward pass stores for the backward pass, a flat array for each layer."""

    numbers: tuple[Array, ...]
    """(K * T * B * N,), the values of ``kept_names`` at each time step."""
    spikes: tuple[NDArray[np.uint8], ...]
    """(T * B * N,), 0 or 1; empty for the last layer."""


class CompiledLayers:
    """The layers and the decoder of a PyTorch network, which run in one compiled call.

    The call reads the network's present weights and stores what a backward pass needs.
    ``program/compiled.py`` acts without PyTorch, on copies of the weights. ``coefficients`` (Q, T)
    are the decoder's.
    """

    def __init__(self, layers: Sequence[SpikingLayer], coefficients: Tensor) -> None:
        self._layers = list(layers)
        self._neurons = [layer.neuron for layer in layers]
        self._coefficients: Array = coefficients.numpy().copy()
        self._kept = [kept_names(neuron.text) for neuron in self._neurons]
        # Stored, because a module is slow to look up its children.
        self._linears = [layer.linear for layer in layers]
        self._looped = [layer.recurrent for layer in layers if layer.recurrent is not None]
        self._steps = int(coefficients.shape[1])
        self._sizes = [layer.size for layer in layers]
        like = layers[0].linear.weight.detach().cpu().float()
        rest = [x for layer in layers for x in layer.initial_state(1, like)]
        self._rest: Array = torch.cat(rest, dim=1).numpy()
        ends = list(accumulate([0, *(len(x.state_names) * x.size for x in layers)]))
        self._variables = list(pairwise(ends))  # places in the flat state
        chunk = max(1, _CHUNK_ROWS // self._steps)
        self._chunk = chunk
        widths = [*self._sizes, *(linear.in_features for linear in self._linears)]
        rows = SCRATCH + 1 + max(len(neuron.state_names) for neuron in self._neurons)
        scratch = np.empty((rows, self._steps * chunk * max(self._sizes)), np.float32)
        self._room = scratch, event_room(max(widths))
        self._nothing = StoredValues((_NO_NUMBERS,) * len(layers), (_NO_SPIKES,) * len(layers))
        self._tables: dict[bool, NDArray[np.int64]] = {}
        self._scratch: dict[str, Array] = {}
        self._spare: list[tuple[int, StoredValues]] = []
        self._places: tuple[int, ...] = ()
        self._read: tuple[tuple[Array, ...], ...] = ()
        self._shared = [x for x in self._linears if isinstance(x, SharedLinear)]
        self._changes: list[int] = []  # of shared weights, when they were read last

    def __getstate__(self) -> dict[str, Any]:
        """Leave out views of tensors and addresses, which a copy must make anew."""
        empty: dict[str, Any] = {
            "_changes": [],
            "_places": (),
            "_read": (),
            "_scratch": {},
            "_spare": [],
            "_tables": {},
        }
        return {**self.__dict__, **empty}

    def serves(self, inputs: Tensor) -> bool:
        """Return whether the kernels support this input.

        It must be float32 on the CPU, not in a trace, and without gradients if a layer is
        recurrent.
        """
        return supports(inputs) and not (self._looped and torch.is_grad_enabled())

    def decoded(self, signal: Tensor, states: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run the layers for one decision.

        Args:
            signal: (T, B, D), or (1, B, D) for a constant input; float32.
            states: Flat state of the network, of which the layers' (B, F) comes first; None for
                rest.

        Returns:
            Sums of the last layer's spikes, (Q, B, N), and the final flat state of the layers.
        """
        if states is None:
            entered = torch.from_numpy(self._rest).expand(signal.shape[1], -1)
        else:
            entered = states[:, : self._rest.shape[1]]
        if torch.is_grad_enabled():
            weights = [x for linear in self._linears for x in learned_synapses(linear)]
            result: tuple[Tensor, Tensor] = _Decoded.apply(self, signal, entered, *weights)
            return result
        final = entered.clone(memory_format=torch.contiguous_format)
        return torch.from_numpy(self.run(array_of(signal), final.numpy())), final

    def run(self, signal: Array, states: Array, kept: StoredValues | None = None) -> Array:
        """Run a decision and return the sums of spikes (Q, B, N).

        ``states`` (B, F) are updated in place, and ``kept``, if given, is filled.
        """
        batch = signal.shape[1]
        decoded = np.empty((len(self._coefficients), batch, self._sizes[-1]), np.float32)
        numbers, spikes = kept or self._nothing
        network_forward(
            self._table(keep=kept is not None), self._arrays(), self._coefficients, signal,
            states, numbers, spikes, decoded, min(self._chunk, batch), self._room,
        )  # fmt: skip
        return decoded

    def _table(self, *, keep: bool) -> NDArray[np.int64]:
        """Return kernel address, number of state variables and of stored values of each layer."""
        if keep not in self._tables:
            kept = self._kept if keep else [()] * len(self._neurons)
            self._tables[keep] = np.array([
                (forward_kernel(neuron.text, names).address, len(neuron.state_names), len(names))
                for neuron, names in zip(self._neurons, kept, strict=True)
            ], np.int64)  # fmt: skip
        return self._tables[keep]

    def _arrays(self) -> tuple[tuple[Array, ...], ...]:
        """Return the arrays that the kernels read, anew if a parameter's memory has moved."""
        synapses = [dense_synapses(linear) for linear in self._linears]
        tensors = [*chain.from_iterable(synapses), *[linear.weight for linear in self._looped]]
        places = tuple([x.data_ptr() for x in tensors])
        if places != self._places:
            loops = [layer.recurrent_weight for layer in self._layers]
            self._read = (
                tuple(neuron.constants for neuron in self._neurons),
                tuple(array_of(bias) for _, bias in synapses),
                *_with_strips([array_of(weight) for weight, _ in synapses]),
                *_with_strips([_NO_WEIGHT if w is None else array_of(w) for w in loops]),
            )
            # ``array_of`` copies a tensor that is not contiguous: read it again every time.
            self._places = places if all(x.is_contiguous() for x in tensors) else ()
            self._changes = []
        if not self._shared:
            return self._read
        changes = [x.changes for x in self._shared]
        known, self._changes = self._changes == changes, changes
        if not known:
            return self._read
        # Shared weights are large, and tell themselves that they have not changed.
        constants, biases, weights, *others = self._read
        pairs = zip(self._linears, weights, strict=True)
        own = tuple(w[:0] if isinstance(x, SharedLinear) else w for x, w in pairs)
        return constants, biases, own, *others

    def room(self, batch: int) -> StoredValues:
        """Return buffers for the values that the backward pass needs, reused if possible."""
        for place, (rows, kept) in enumerate(self._spare):
            if rows == batch:
                del self._spare[place]
                return kept
        sizes = [self._steps * batch * size for size in self._sizes]
        spikes = [np.empty(size, np.uint8) for size in sizes[:-1]]
        counts = [len(names) * size for names, size in zip(self._kept, sizes, strict=True)]
        return StoredValues(tuple(np.empty(x, np.float32) for x in counts), (*spikes, _NO_SPIKES))

    def take_back(self, batch: int, kept: StoredValues) -> None:
        """Keep the latest two buffers up to 32 MiB each for reuse: fresh memory costs time."""
        if sum(x.nbytes for x in kept.numbers) <= _KEPT_BYTES:
            self._spare = [*self._spare, (batch, kept)][-_SPARE:]

    def gradients(
        self, kept: StoredValues, inputs: Sequence[Tensor], grad_decoded: Tensor, grad_final: Tensor
    ) -> list[Tensor | None]:
        """Return the gradients of ``inputs``: signal, states, each layer's learned synapses.

        That of the signal is None if it requires none.
        """
        signal = inputs[0]
        batch, chunk = signal.shape[1], min(self._chunk, signal.shape[1])
        upstream = self._borrow("spikes", self._steps * batch * self._sizes[-1])
        spread(self._coefficients, array_of(grad_decoded), chunk, upstream)
        grad_states = array_of(grad_final).copy()
        grads: list[Tensor | None] = []
        for k in range(len(self._sizes) - 1, -1, -1):
            neuron, linear, size = self._neurons[k], self._linears[k], self._sizes[k]
            channels = linear.in_features
            held = k == 0 and len(signal) == 1
            currents = self._borrow("currents", batch * size * (1 if held else self._steps))
            if held or self._steps == 1:  # to which the kernel adds
                currents[:] = 0.0
            kernel = backward_kernel(neuron.text, neuron.surrogate)
            layer_backward(
                (kernel.address, neuron.constants, np.float32(neuron.slope), _NO_WEIGHT),
                (size, len(neuron.state_names), len(self._kept[k])), self._variables[k][0],
                kept.numbers[k], upstream, chunk, grad_states, currents,
            )  # fmt: skip
            source = kept.spikes[k - 1] if k else array_of(_in_chunks(signal, chunk))
            rows = currents.reshape(-1, size)
            grads += reversed(gradients_of_learned(linear, source.reshape(-1, channels), rows))
            if k or signal.requires_grad:
                upstream = self._borrow("spikes", len(rows) * channels)
                out = upstream.reshape(-1, channels)
                np.matmul(rows, array_of(dense_synapses(linear)[0]), out=out)
        grads.append(torch.from_numpy(grad_states))
        grads.append(_in_time(out, signal, chunk) if signal.requires_grad else None)
        return grads[::-1]

    def _borrow(self, name: str, size: int) -> Array:
        """Return ``size`` numbers of scratch memory; calls with the same ``name`` share it."""
        array = self._scratch.get(name)
        if array is None or len(array) < size:
            array = np.empty(size, np.float32)
            if array.nbytes <= _KEPT_BYTES:
                self._scratch[name] = array
        return array[:size]

    def stepped(self, signal: Tensor, states: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the results of ``decoded`` by operations of PyTorch, for second derivatives."""
        final: list[Tensor] = []
        for k, (layer, neuron) in enumerate(zip(self._layers, self._neurons, strict=True)):
            currents = product(layer.linear, signal, *weights[2 * k : 2 * k + 2])
            own = states[:, slice(*self._variables[k])].split(layer.size, dim=1)  # type: ignore[no-untyped-call]
            run = neuron.run_stepped(currents, own, self._steps)
            signal = run.spikes
            final += run.final
        coefficients = torch.from_numpy(self._coefficients)
        return torch.einsum("qt,tbn->qbn", coefficients, signal), torch.cat(final, 1)


class _Loan:
    """Buffers that are taken back for reuse once the graph that uses them is freed."""

    def __init__(self, compiled: CompiledLayers, batch: int) -> None:
        self.kept = compiled.room(batch)
        self._compiled, self._batch = compiled, batch

    def __del__(self) -> None:
        self._compiled.take_back(self._batch, self.kept)


class _Decoded(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, compiled: CompiledLayers, signal: Tensor, states: Tensor, *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.compiled, ctx.loan = compiled, _Loan(compiled, signal.shape[1])
        ctx.save_for_backward(signal, states, *weights)
        final = states.clone(memory_format=torch.contiguous_format)
        decoded = compiled.run(array_of(signal), final.numpy(), ctx.loan.kept)
        return torch.from_numpy(decoded), final

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return None, *ctx.compiled.gradients(ctx.loan.kept, inputs, *grads)
        # As in ``_FusedLayer``: second derivatives need operations of PyTorch.
        return None, *differentiable_gradients(ctx.compiled.stepped(*inputs), grads, inputs)


def _with_strips(weights: list[Array]) -> tuple[tuple[Array, ...], ...]:
    """Return weights (N, D), arrays of NaN for their last seen values, and strips of zeros."""
    return (
        tuple(weights),
        tuple(np.full_like(weight, np.nan) for weight in weights),
        tuple(empty_strips(weight.shape[1], weight.shape[0]) for weight in weights),
    )


def _in_chunks(signal: Tensor, chunk: int) -> Tensor:
    """Return a signal (K, B, D) as rows (K * B, D), in the order of the kernel's chunks."""
    if len(signal) == 1:
        return signal[0]
    return torch.cat([part.reshape(-1, signal.shape[2]) for part in torch.split(signal, chunk, 1)])


def _in_time(rows: Array, signal: Tensor, chunk: int) -> Tensor:
    """Invert ``_in_chunks``: return rows in the order and shape of ``signal``."""
    parts = torch.split(torch.from_numpy(rows), len(signal) * chunk)
    return torch.cat([part.view(len(signal), -1, signal.shape[2]) for part in parts], 1)
