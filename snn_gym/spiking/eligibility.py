"""e-prop forward in time: gradients of a recurrent layer by eligibility traces.

``SpikingNetwork.sequence`` with ``recurrent_gradient=False`` gives the same gradients backward,
from the stored time steps of the whole sequence. Here memory does not grow with the sequence: S + Q
numbers per sample and synapse, for S state variables of a neuron and Q of the decoder.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from snn_gym._base.compilation import njit
from snn_gym.program.neuron_kernels import call, trace_kernel, traced_names
from snn_gym.spiking.decoders import Decoder
from snn_gym.spiking.layer_neurons import Array, no_breaks
from snn_gym.spiking.spiking_layer import KernelResults, RunSettings, SpikingLayer, run_kernels


# ---- kernels -------------------------------------------------------------------------------------
# A trace is the derivative of a neuron's state by a synapse's weight: one number for each state
# variable, synapse and sample. Its update follows from the neuron's text
# (``snn_gym.program.neuron.trace``). The derivative of the spike is the trace of the margin times
# the surrogate's derivative there, with recurrent spikes taken as given (Bellec et al. 2020,
# https://doi.org/10.1038/s41467-020-17236-y, the local derivative of equation 1; their eligibility
# vectors leave out the reset).
@njit(cache=True, error_model="numpy")
def follow(
    kernel: int, constants: Array, slope: np.float32, coefficients: Array, sources: Array,
    kept: Array, traces: Array, gathered: Array,
) -> None:  # fmt: skip
    """Advance the traces of a layer through the T time steps of a decision.

    Args:
        kernel: Address of the neuron's ``trace_kernel``.
        constants: (P, 1) of the neurons.
        slope: Slope of the surrogate gradient.
        coefficients: (Q, T), the weights with which a decoder sums spikes.
        sources: (T, B, C), inputs of the C synapses of every neuron: 1 for a bias, the previous
            spikes for recurrent synapses.
        kept: (B, N, K, T), stored values that the kernel reads.
        traces: (B, N, S, C), updated in place.
        gathered: (Q, B, N, C), filled with coefficients times the spikes' traces, summed
            over time.
    """
    steps, batch, channels = sources.shape
    margins = np.empty((steps, channels), dtype=np.float32)
    derivatives = np.empty(steps, dtype=np.float32)
    gathered[:] = np.float32(0.0)
    for b in range(batch):
        for n in range(kept.shape[1]):
            call(
                kernel, constants, slope, (sources, b * channels), batch * channels, kept[b, n],
                steps, traces[b, n], margins, derivatives, steps, channels, 1, channels,
            )  # fmt: skip
            for q in range(len(coefficients)):
                total = gathered[q, b, n]
                for t in range(steps):
                    share = coefficients[q, t] * derivatives[t]
                    for c in range(channels):
                        total[c] += share * margins[t, c]


@njit(cache=True, error_model="numpy")
def add_products(signal: Array, traces: Array, gradient: Array) -> None:
    """Add ``signal`` (B, N) times ``traces`` (B, N, C), summed over B, to ``gradient`` (N, C)."""
    for b in range(signal.shape[0]):
        for n in range(signal.shape[1]):
            strength, row, total = signal[b, n], traces[b, n], gradient[n]
            for c in range(row.size):
                total[c] += strength * row[c]


# ---- traces and gradients ------------------------------------------------------------------------
class LayerGradients(NamedTuple):
    """Gradients of a recurrent layer's synapses."""

    weight: Tensor
    """(N, D), of the input's synapses."""
    bias: Tensor
    """(N,)."""
    recurrent_weight: Tensor
    """(N, N), row i of the synapses onto neuron i."""


class EligibilityTraces:
    """A recurrent layer that learns by e-prop while it decides step by step.

    Call ``step`` at every environment step, then ``learn`` with the learning signals: the
    derivative of the loss by the decoded values, through the readout's weights (symmetric feedback)
    or others. ``gradients()`` are those of a loss that sums over decisions, with recurrent spikes
    taken as given.

    Args:
        layer: A recurrent layer of compiled neurons, such as ``network.layers[0]`` of a network of
            one layer. Its weights must not change between a ``step`` and its ``learn``.
        decoder: Linear decoder, such as ``network.decoder``.
        batch: Samples B.

    Raises:
        ValueError: The layer is not recurrent, its neurons are not compiled or have learned
            constants, or the decoder takes a maximum.
    """

    def __init__(self, layer: SpikingLayer, decoder: Decoder, batch: int) -> None:
        fixed = layer.fusable and not layer.learned
        if layer.recurrent is None or not fixed or decoder.takes_maximum:
            raise ValueError(
                "eligibility traces are of a recurrent layer of compiled neurons under a linear "
                f"decoder, got recurrent={layer.recurrent is not None}, compiled={fixed}, "
                f"maximum={decoder.takes_maximum}; use another neuron or decoder, or "
                "SpikingNetwork.sequence"
            )
        self._layer, self._decoder, self._neuron = layer, decoder, layer.neuron
        self._channels = layer.linear.in_features
        synapses, size = self._channels + 1 + layer.size, layer.size
        like = layer.linear.weight.detach()
        self._rest = layer.initial_state(batch, like)
        self._state = self._rest
        self._read = like.new_zeros(decoder.state_variables, batch, size)
        variables, sums = len(self._neuron.state_names), len(decoder.coefficients)
        self._traces: Array = np.zeros((batch, size, variables, synapses), np.float32)
        self._gathered: Array = np.zeros((sums, batch, size, synapses), np.float32)
        self._carried: Array = np.zeros(
            (decoder.state_variables, batch, size, synapses), np.float32
        )
        self._gradient: Array = np.zeros((size, synapses), np.float32)

    def step(self, signal: Tensor, starts: Tensor) -> Tensor:
        """Run one environment step from the last state, at first the state at rest; update traces.

        Args:
            signal: Input of the layer, (T, B, D), or (1, B, D) for a constant input; float32.
            starts: (B,) bool: an episode starts there, so that state and traces are reset first.

        Returns:
            Decoded values (B, N).
        """
        self._reset(starts)
        steps = self._decoder.coefficients.shape[1]
        decoded: Tensor
        with torch.no_grad():
            settings = RunSettings(
                self._neuron, steps, no_breaks(signal.shape[1]), traced_names(self._neuron.text)
            )
            currents, weight = self._layer.currents(signal), self._layer.recurrent_weight
            run = run_kernels(settings, currents, weight, None, self._state)
            decoded, self._read = self._decoder(run.spikes, self._read)
        self._follow(self._sources(signal, run.spikes), run)
        self._state = run.final
        return decoded

    def learn(self, signals: Tensor) -> None:
        """Add the gradients of the last ``step`` to those that ``gradients`` returns.

        Args:
            signals: Learning signals (B, N), the derivative of the loss by the result of ``step``.
        """
        # The value is the first of the decoder's sums.
        add_products(signals.detach().contiguous().numpy(), self._gathered[0], self._gradient)

    def gradients(self) -> LayerGradients:
        """Return the gradients summed by ``learn`` since the last call, and reset them to zero."""
        found = torch.from_numpy(self._gradient.copy())
        self._gradient[:] = 0.0
        ends = [self._channels, 1, self._layer.size]
        weight, bias, recurrent = found.split(ends, dim=1)  # type: ignore[no-untyped-call]
        return LayerGradients(weight, bias[:, 0], recurrent)

    def _reset(self, starts: Tensor) -> None:
        if not starts.any():
            return
        column = starts.unsqueeze(1)
        pairs = zip(self._rest, self._state, strict=True)
        self._state = tuple(torch.where(column, rest, carried) for rest, carried in pairs)
        self._read = self._read.masked_fill(column, 0.0)
        started = starts.numpy()
        self._traces[started] = 0.0
        self._carried[:, started] = 0.0

    def _sources(self, signal: Tensor, spikes: Tensor) -> Array:
        """Return the inputs of all synapses at every time step, (T, B, D + 1 + N)."""
        steps, batch, size = spikes.shape
        sources = np.empty((steps, batch, self._channels + 1 + size), np.float32)
        sources[..., : self._channels] = signal.numpy()
        sources[..., self._channels] = 1.0
        sources[0, :, -size:] = self._state[-1].numpy()
        sources[1:, :, -size:] = spikes[:-1].numpy()
        return sources

    def _follow(self, sources: Array, run: KernelResults) -> None:
        neuron, coefficients = self._neuron, self._decoder.coefficients.numpy()
        # (K, T, B, N) -> (B, N, K, T): a neuron's numbers side by side
        kept = np.ascontiguousarray(run.kept.permute(2, 3, 0, 1).numpy())
        follow(
            trace_kernel(neuron.text, neuron.surrogate).address, neuron.constants,
            np.float32(neuron.slope), coefficients, sources, kept, self._traces, self._gathered,
        )  # fmt: skip
        variables = self._decoder.state_variables
        if variables:
            # Traces of earlier decisions that the decoder's state carries over
            transition = self._decoder.transition.numpy()
            for q, s in np.ndindex(transition.shape):
                self._gathered[q] += transition[q, s] * self._carried[s]
            self._carried[:] = self._gathered[-variables:]
