"""Many spiking networks of one architecture at once, forward only: for learners without gradients.

A network is a flat vector of all its weights and biases; a bias counts as the synapse of a unit
that is always on. Outputs equal those of ``SpikingNetwork`` up to the rounding of sums.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym.program.neuron_kernels import forward_kernel, surrogate_kernel
from snn_gym.spiking.assembly import configured_neuron
from snn_gym.spiking.decoders import make_decoder
from snn_gym.spiking.layer_kernels import forward, surrogate_derivative
from snn_gym.spiking.layer_neurons import Array, LayerNeurons
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.network_config import NetworkConfig

_LINEAR_DECODERS = ("mean_rate", "last_voltage")


@dataclass(frozen=True)
class SynapseTable:
    """Position of each synapse of a network; arrays (W,)."""

    layer: NDArray[np.int64]
    """Layer of the driven neuron; hidden layers count from 0, the head is last."""
    pre: NDArray[np.int64]
    """Index of the sending neuron or input; for a bias, the count of senders."""
    post: NDArray[np.int64]
    """Index of the driven neuron or output."""
    fan_in: NDArray[np.int64]
    """Synapses onto the same neuron, biases included."""
    fan_out: NDArray[np.int64]
    """Synapses from the same neuron."""
    is_bias: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number W of synapses."""
        return self.layer.size


@dataclass(frozen=True)
class Activity:
    """Activity of the networks of a population on a batch of L samples."""

    inputs: Array
    """(L, D) float32, input of the first layer at every time step."""
    voltages: tuple[Array, ...]
    """(L, T, N) float32 of every hidden layer, before the reset."""
    spikes: tuple[Array, ...]
    """(L, T, N) float32, 0 or 1, of every hidden layer."""
    features: Array
    """(L, N) float32, decoded activity of the last hidden layer."""
    outputs: Array
    """(L, O) float32, outputs of the head."""


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def population_layer(
    kernel: int, constants: Array, rest: Array, weights: Array, biases: Array,
    owners: NDArray[np.int64], signal: Array, voltages: Array, spikes: Array, room: Array,
) -> None:  # fmt: skip
    """Run one layer of many networks from rest, each sample by the weights of its owner.

    ``weights`` (P, D, N) and ``biases`` (P, N) belong to P networks, ``owners`` (L,) names the
    network of each sample, ``signal`` (L, K, D) is the input (K = T, or 1 for a constant), ``rest``
    (S, 1). Fills ``voltages`` and ``spikes`` (L, T, N); ``room`` (K + S, N) is scratch.
    """
    steps, size = signal.shape[1], weights.shape[2]
    currents, state = room[:steps], room[steps:]
    for sample in range(owners.size):
        owner = owners[sample]
        for k in range(steps):
            for n in range(size):
                currents[k, n] = biases[owner, n]
            for d in range(weights.shape[1]):  # networks are small: no search for spikes
                x = signal[sample, k, d]
                if x != np.float32(0.0):
                    for n in range(size):
                        currents[k, n] += weights[owner, d, n] * x
        for s in range(rest.shape[0]):
            for n in range(size):
                state[s, n] = rest[s, 0]
        forward(kernel, constants, currents, state, voltages[sample : sample + 1], spikes[sample])


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def population_readout(
    coefficients: Array, weights: Array, biases: Array, owners: NDArray[np.int64], spikes: Array,
    features: Array, outputs: Array,
) -> None:  # fmt: skip
    """Decode spikes (L, T, N) by coefficients (T,) to ``features`` (L, N) and ``outputs`` (L, O).

    ``weights`` (P, O, N) and ``biases`` (P, O) are heads, ``owners`` (L,) names that of each
    sample.
    """
    for sample in range(owners.size):
        owner = owners[sample]
        for n in range(features.shape[1]):
            features[sample, n] = np.float32(0.0)
        for t in range(coefficients.size):
            for n in range(features.shape[1]):
                features[sample, n] += coefficients[t] * spikes[sample, t, n]
        for o in range(biases.shape[1]):
            total = biases[owner, o]
            for n in range(features.shape[1]):
                total += weights[owner, o, n] * features[sample, n]
            outputs[sample, o] = total


class Population:
    """Spiking networks of one architecture that differ in their weights.

    Args:
        config: Configuration with the encoder ``constant``, feed-forward layers of one neuron,
            decoder ``mean_rate`` or ``last_voltage``, and nothing ``learnable``.
        input_size: Values D of an observation.
        output_size: Outputs O of the head.

    Raises:
        ValueError: The configuration has a part that a population can't run.
    """

    def __init__(self, config: NetworkConfig, input_size: int, output_size: int) -> None:
        self.neuron = _checked(config)
        self.config = config
        self.sizes = (input_size, *config.hidden_sizes, output_size)
        """Inputs, neurons of each hidden layer, outputs."""
        self.synapses = _synapses(self.sizes)
        decoder = make_decoder(config.decoder_parameters, config.dt_ms, config.time_steps)
        self.coefficients: Array = decoder.coefficients[0].numpy().copy()
        """(T,) float32, weights of the time steps in the decoded activity."""

    @property
    def parameter_count(self) -> int:
        """Number W of weights and biases of one network."""
        return len(self.synapses)

    @property
    def rheobase(self) -> float:
        """Least constant current that fires a resting neuron within a decision; inf if none."""
        return self.neuron.rheobase(self.config.time_steps)

    def flatten(self, network: SpikingNetwork) -> Array:
        """Return the parameters (W,), float32, of a network of this configuration and size."""
        self._check_network(network)
        parts = [parameter.detach().cpu().reshape(-1) for parameter in network.parameters()]
        return torch.cat(parts).numpy().astype(np.float32)

    def arrange(self, weights: Array) -> list[tuple[Array, Array]]:
        """Split flat weights (P, W) of P networks into (weights, biases) of each layer.

        A hidden layer's weights are (P, D, N), the head's (P, O, N); biases are (P, N).
        """
        if weights.ndim != 2 or weights.shape[1] != self.parameter_count:
            raise ValueError(
                f"weights must have shape (networks, {self.parameter_count}), got {weights.shape}"
            )
        layers, start = [], 0
        for index, (fan_in, size) in enumerate(pairwise(self.sizes)):
            middle, end = start + size * fan_in, start + size * (fan_in + 1)
            weight = weights[:, start:middle].reshape(-1, size, fan_in)
            if index < len(self.sizes) - 2:
                weight = weight.transpose(0, 2, 1)  # (P, D, N): neurons side by side
            pair = weight, weights[:, middle:end]
            weight, bias = (np.ascontiguousarray(x, dtype=np.float32) for x in pair)
            layers.append((weight, bias))
            start = end
        return layers

    def run(
        self, layers: list[tuple[Array, Array]], owners: NDArray[np.int64], inputs: Array
    ) -> Activity:
        """Run each sample of ``inputs`` (L, D) from rest, sample k through network ``owners[k]``.

        ``layers`` are weights from ``arrange``, ``owners`` (L,) are int64.
        """
        neuron, rest = self.neuron, self.neuron.rest32
        kernel = forward_kernel(neuron.text, neuron.equations.moved_names[:1])
        count, steps = owners.size, self.config.time_steps
        signal = inputs.reshape(count, 1, self.sizes[0])
        all_voltages, all_spikes = [], []
        for weight, bias in layers[:-1]:
            shape = (count, steps, weight.shape[2])
            voltages, spikes = np.empty(shape, np.float32), np.empty(shape, np.float32)
            room = np.empty((signal.shape[1] + len(rest), weight.shape[2]), np.float32)
            population_layer(
                kernel.address, neuron.constants, rest, weight, bias, owners, signal,
                voltages, spikes, room,
            )  # fmt: skip
            all_voltages.append(voltages)
            all_spikes.append(spikes)
            signal = spikes
        features = np.empty((count, self.sizes[-2]), np.float32)
        outputs = np.empty((count, self.sizes[-1]), np.float32)
        population_readout(self.coefficients, *layers[-1], owners, signal, features, outputs)
        return Activity(inputs, tuple(all_voltages), tuple(all_spikes), features, outputs)

    def outputs(self, weights: Array, inputs: Array) -> Array:
        """Return the outputs (P, E, O) of networks (P, W) on E samples each (P, E, D), float32."""
        networks, samples = inputs.shape[:2]
        owners = np.repeat(np.arange(networks), samples)
        flat = np.ascontiguousarray(inputs, np.float32).reshape(networks * samples, -1)
        activity = self.run(self.arrange(weights), owners, flat)
        return activity.outputs.reshape(networks, samples, -1)

    def _check_network(self, network: SpikingNetwork) -> None:
        have = (network.input_size, *network.config.hidden_sizes, network.output_size)
        if have != self.sizes or network.config != self.config:
            raise ValueError(
                f"the network has layers {have} and the population {self.sizes}; build both from "
                "the same NetworkConfig and sizes"
            )


def _checked(config: NetworkConfig) -> LayerNeurons:
    """Return the neuron of a configuration; raise ValueError if a population can't run it."""
    for name, allowed in (
        ("encoder", ("constant",)),
        ("recurrent", (False,)),
        ("decoder", _LINEAR_DECODERS),
        ("learnable", ((),)),
        ("convolutions", ((),)),
    ):
        if getattr(config, name) not in allowed:
            raise ValueError(
                f"a population of networks can't run {name}={getattr(config, name)!r}; use "
                f"{name}={' or '.join(map(repr, allowed))}"
            )
    if len(set(config.layer_neurons)) > 1:
        raise ValueError(
            f"a population of networks can't run neuron={config.neuron!r} of layers that differ; "
            "use one neuron for all layers"
        )
    return configured_neuron(config)


def _synapses(sizes: tuple[int, ...]) -> SynapseTable:
    columns: list[tuple[NDArray[np.int64], ...]] = []
    for layer, (fan_in, size) in enumerate(pairwise(sizes)):
        # weights (size, fan_in) row by row, then the biases
        post = np.concatenate([np.repeat(np.arange(size), fan_in), np.arange(size)])
        pre = np.concatenate([np.tile(np.arange(fan_in), size), np.full(size, fan_in)])
        numbers = (np.full(post.size, x) for x in (layer, fan_in + 1, size, fan_in))
        columns.append((pre, post, *numbers))
    pre, post, layers, fan_in_, fan_out, inputs = map(np.concatenate, zip(*columns, strict=True))
    return SynapseTable(layers, pre, post, fan_in_, fan_out, pre == inputs)


def start_weights(
    population: Population, rng: np.random.Generator, networks: int, head_scale: float = 0.1
) -> Array:
    """Return random weights (P, W), float32, under which hidden neurons fire from the start.

    Biases of a hidden layer are uniform over [0, 2 I], with I the rheobase. Its weights are normal,
    with currents that spread by I for inputs of mean square 1 (the rule of ``assembly.initialise``,
    without its orthogonality). The head is normal with standard deviation ``head_scale / sqrt(N)``.
    """
    table, current = population.synapses, population.rheobase
    fan_in = table.fan_in - 1.0
    head = table.layer == len(population.sizes) - 2
    spread = np.where(head, head_scale, current) / np.sqrt(fan_in)
    weights = spread * rng.standard_normal((networks, len(table)))
    biases = 2.0 * current * rng.random((networks, len(table)))
    weights = np.where(table.is_bias & ~head, biases, weights)
    return weights.astype(np.float32)


def surrogate_window(population: Population, voltages: Array) -> Array:
    """Return ψ, the surrogate gradient at ``voltages`` over its maximum, same shape, in [0, 1].

    Voltages are compared with the threshold at rest; ValueError for a neuron without one.
    """
    neuron = population.neuron
    if neuron.v_threshold is None:
        raise ValueError(
            f"neuron {population.config.neuron!r} compares its potential with no threshold, so "
            "that there is no window; use one whose margin is a potential less a threshold"
        )
    threshold = np.float32(neuron.v_threshold)
    distances = np.append(voltages, threshold).astype(np.float32, copy=False) - threshold
    derivative = np.empty_like(distances)
    kernel = surrogate_kernel(neuron.surrogate).address
    surrogate_derivative(kernel, np.float32(neuron.slope), distances, derivative)
    # Each derivative is greatest at the threshold, the last entry.
    result: Array = (derivative[:-1] / derivative[-1]).reshape(voltages.shape)
    return result


def finite_or_raise(weights: Array, owner: str) -> None:
    """Raise ValueError, which names ``owner``, if a weight is infinite or NaN."""
    if not np.isfinite(weights).all():
        bad = int(np.size(weights) - np.isfinite(weights).sum())
        raise ValueError(
            f"{owner}: {bad} of {np.size(weights)} weights are not finite; lower the step size or "
            f"set a weight limit below {math.inf}"
        )
