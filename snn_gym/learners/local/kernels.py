"""Compiled local rule: decision, eligibilities, traces and gradient of B samples.

One vector (P,) holds all learned numbers: the weights (D + 1, N) of each hidden layer, with the
bias as last row; the weights (1 + A, N + 1) of the readouts, with the value as row 0 and the bias
as last column; for continuous actions, the logarithms (A,) of their standard deviations. Traces
(B, P) and the optimiser's moments (P,) have the same order.

With ψ the surrogate derivative of neuron j, k the decoder's weight of time step t, and c_ij the
effect of synapse i to j on the potential since the last spike, which follows from the neuron's text
(``snn_gym.program.neuron_kernels.local_kernel``), the synapse has

    e_ij = sum over t of k(t) ψ_j(t) c_ij(t)

The first layer's input x_i is constant, so c_ij is x_i times the effect of a unit of input. The
broadcast signal of hidden neuron j is ``L_j = B_0j + sum over a of (1[a] - p_a) B_aj``; that of a
readout is its error.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym.learners.local.regulator import watch
from snn_gym.program.neuron_kernels import call

# ---- choice of actions ---------------------------------------------------------------------------
Array = NDArray[np.float32]


@njit(cache=True, error_model="numpy")
def read_out(readouts: Array, features: Array, outputs: Array) -> None:
    """Fill outputs (1 + A,), the value first, from features (N + 1,), the last of which is 1."""
    fours = features.size - features.size % 4
    for o in range(outputs.size):
        row = readouts[o]
        a = b = c = d = np.float32(0.0)  # four independent sums run in parallel
        for j in range(0, fours, 4):
            a += row[j] * features[j]
            b += row[j + 1] * features[j + 1]
            c += row[j + 2] * features[j + 2]
            d += row[j + 3] * features[j + 3]
        for j in range(fours, features.size):
            a += row[j] * features[j]
        outputs[o] = (a + b) + (c + d)


@njit(cache=True, error_model="numpy")
def choose_discrete(outputs: Array, uniform: float, errors: Array) -> int:
    """Draw an action (from 0) by the softmax of outputs 1 to A; fill errors 1, ``1[a] - p_a``."""
    highest = outputs[1:].max()
    total = np.float32(0.0)
    for a in range(1, outputs.size):
        # Relative to the highest, so that exp does not overflow.
        errors[a] = np.float32(math.exp(outputs[a] - highest))
        total += errors[a]
    chosen, below = -1, 0.0
    for a in range(1, outputs.size):
        probability = errors[a] / total
        below += probability
        if chosen < 0 and uniform < below:
            chosen = a - 1
        errors[a] = -probability
    if chosen < 0:  # rounding left the sum below 1
        chosen = outputs.size - 2
    errors[0] = np.float32(1.0)
    errors[1 + chosen] += np.float32(1.0)
    return chosen


@njit(cache=True, error_model="numpy")
def choose_gaussian(
    outputs: Array, log_std: Array, normal: NDArray[np.float64], action: Array, errors: Array,
    of_log_std: Array,
) -> None:  # fmt: skip
    """Fill ``action`` with u drawn from Gaussians, and errors with 1 and ``(u - mu) / std^2``.

    ``of_log_std`` becomes ``((u - mu) / std)^2 - 1``.
    """
    errors[0] = np.float32(1.0)
    for a in range(log_std.size):
        std, drawn = np.float32(math.exp(log_std[a])), np.float32(normal[a])
        action[a] = outputs[1 + a] + std * drawn
        errors[1 + a] = drawn / std
        of_log_std[a] = drawn * drawn - np.float32(1.0)


# ---- the rule ------------------------------------------------------------------------------------
Places = NDArray[np.int64]
RuleNumbers = tuple[int, float, float, float]


class KernelNetwork(NamedTuple):
    """Hidden layers and decoder of a network."""

    sizes: Places
    """(L + 1,): inputs, then the neurons of each layer."""
    kernels: Places
    """(L, 2): address of each layer's ``local_kernel``, and number of state variables."""
    constants: Array
    """(L, P), constants of the neurons' equations, padded with 0."""
    rest: Array
    """(L, S), state at rest, padded with 0."""
    coefficients: Array
    """(T,), the decoder's weights of the time steps."""
    slope: np.float32
    """Slope of the surrogate."""


class KernelActivity(NamedTuple):
    """Flat arrays of a decision: layer after layer, T rows of each layer's neurons."""

    spikes: Array
    recorded: Array
    """The neurons' first variable before the reset."""
    derivatives: Array
    """The surrogate's derivative."""


# Smaller traces become 0, for subnormal numbers take ten times as long.
TINY = np.float32(1e-30)

NO_FEEDBACK, RANDOM_FEEDBACK, SYMMETRIC_FEEDBACK, ONLY_BROADCAST = range(4)


@njit(cache=True, error_model="numpy")
def activity_of(network: KernelNetwork) -> KernelActivity:
    """Return arrays, not filled, that hold the activity of a network."""
    count = (network.sizes.size - 1) * network.coefficients.size * network.sizes.max()
    return KernelActivity(
        np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    )


@njit(cache=True, error_model="numpy")
def _run_layer(
    network: KernelNetwork, layer: int, weights: Array, sources: Array, local: Array,
    activity: KernelActivity, at: int,
) -> None:  # fmt: skip
    """Run a layer on ``sources`` (T, R) from rest, over the T time steps of a decision.

    Fill ``activity`` from place ``at`` on, and ``local`` (R, N) with eligibilities. The last source
    is always 1. The first layer has constant sources (1, R); one trace, of an input of 1, serves
    all synapses of a neuron, and ``local`` is (1, N).
    """
    zero, (steps, size) = np.float32(0.0), (network.coefficients.size, weights.shape[1])
    channels, given = weights.shape[0] - 1, sources.shape[0]
    # The address of compiled code: numba calls no function that is chosen at run time.
    kernel, variables = network.kernels[layer, 0], network.kernels[layer, 1]
    currents, state = np.empty((given, size), np.float32), np.empty((variables, size), np.float32)
    for t in range(given):
        for j in range(size):
            currents[t, j] = weights[channels, j]
        for i in range(channels):
            x = sources[t, i]
            # Most inputs are spikes that did not come.
            if x != zero:
                for j in range(size):
                    currents[t, j] += x * weights[i, j]
    for s in range(variables):
        state[s, :] = network.rest[layer, s]
    inputs = local.shape[0]
    # A constant input shares one trace.
    seen = np.ones((steps, 1), np.float32) if layer == 0 else sources
    traces = np.zeros((variables * inputs, size), np.float32)
    left = np.empty((2 * variables + 2, size), np.float32)
    local[:] = zero
    call(
        kernel, (network.constants, layer * network.constants.shape[1]), network.slope,
        network.coefficients, currents, 1 if given > 1 else 0, state, seen, inputs, local,
        (activity.spikes, at), (activity.recorded, at), (activity.derivatives, at), traces, left,
        steps, size, 1, size,
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _held_layer(
    network: KernelNetwork, weights: Array, x: Array, activity: KernelActivity, local: Array
) -> None:
    """Run the first layer on constant input ``x`` (D,); fill eligibilities (D + 1, N)."""
    held = np.empty((1, x.size + 1), np.float32)
    for i in range(x.size):
        held[0, i] = x[i]
    held[0, x.size] = np.float32(1.0)
    # The bias has input 1, so its row is the trace of a unit of input.
    gate = local[x.size : x.size + 1]
    _run_layer(network, 0, weights, held, gate, activity, 0)
    for i in range(x.size):
        value, row = x[i], local[i]
        for j in range(row.size):
            row[j] = gate[0, j] * value


@njit(cache=True, error_model="numpy")
def run_layers(
    network: KernelNetwork,
    theta: Array,
    x: Array,
    activity: KernelActivity,
    local: Array,
    features: Array,
) -> int:
    """Run all hidden layers from rest on ``x`` (D,); return where readouts begin in ``theta``.

    Fill ``activity``, hidden eligibilities in ``local`` (P,), and decoded ``features`` (N + 1,).
    """
    zero, one, sizes = np.float32(0.0), np.float32(1.0), network.sizes
    start, at, steps = 0, 0, network.coefficients.size
    before = activity.spikes[:0].reshape(0, 0)
    for layer in range(sizes.size - 1):
        inputs, size = sizes[layer], sizes[layer + 1]
        end = start + (inputs + 1) * size
        weights = theta[start:end].reshape(inputs + 1, size)
        part = local[start:end].reshape(inputs + 1, size)
        if layer == 0:
            _held_layer(network, weights, x, activity, part)
        else:
            sources = np.ones((steps, inputs + 1), np.float32)
            sources[:, :inputs] = before
            _run_layer(network, layer, weights, sources, part, activity, at)
        before = activity.spikes[at : at + steps * size].reshape(steps, size)
        start, at = end, at + steps * size
    last = sizes[-1]
    features[:last] = zero
    # The unit of the readouts' bias.
    features[last] = one
    for t in range(steps):
        row, weight = before[t], network.coefficients[t]
        for j in range(last):
            features[j] += weight * row[j]
    return start


@njit(cache=True, error_model="numpy")
def apply_signals(
    readouts_at: int, sizes: Places, feedback: int, back: Array, theta: Array, errors: Array,
    features: Array, local: Array, signal: Array,
) -> None:  # fmt: skip
    """Multiply hidden eligibilities ``local`` (P,) by their neurons' signals; fill the readouts'.

    Without feedback, hidden ones become 0; with the broadcast alone, they stay. ``back`` (1 + A,
    all hidden neurons) are the fixed weights of random feedback. Symmetric feedback goes down layer
    by layer: a lower neuron's signal is the sum of its targets' signals times their gates, over the
    synapses between.
    """
    width = features.size
    _at_readouts(errors, features, local[readouts_at:])
    if feedback == NO_FEEDBACK:
        local[:readouts_at] = np.float32(0.0)
    if feedback in (NO_FEEDBACK, ONLY_BROADCAST):
        return
    end, neurons = readouts_at, back.shape[1]
    for layer in range(sizes.size - 2, -1, -1):
        inputs, size = sizes[layer], sizes[layer + 1]
        start = end - (inputs + 1) * size
        # Random feedback has a column for each hidden neuron, the lowest layer first.
        neurons -= size
        if feedback == RANDOM_FEEDBACK:
            _broadcast(errors, back, neurons, signal[:size])
        elif layer == sizes.size - 2:
            rows = errors.size
            readouts = theta[end : end + rows * width].reshape(rows, width)
            _broadcast(errors, readouts, 0, signal[:size])
        else:
            above = sizes[layer + 2]
            stop = end + (size + 1) * above
            between = theta[end : stop - above].reshape(size, above)
            _send_down(between, local[stop - above : stop], signal)
        part = local[start:end].reshape(inputs + 1, size)
        for i in range(inputs + 1):
            for j in range(size):
                part[i, j] *= signal[j]
        end = start


@njit(cache=True, error_model="numpy")
def _at_readouts(errors: Array, features: Array, local: Array) -> None:
    """Fill eligibilities (O * N,) of readouts with errors (O,) times features (N,)."""
    for o in range(errors.size):
        error, first = errors[o], o * features.size
        for j in range(features.size):
            local[first + j] = error * features[j]


@njit(cache=True, error_model="numpy")
def _broadcast(errors: Array, weights: Array, first: int, signal: Array) -> None:
    """Overwrite ``signal`` (N,) by errors (O,) times N columns of ``weights`` (O, M).

    The columns are those from ``first`` on, one for each neuron.
    """
    signal[:] = np.float32(0.0)
    for o in range(errors.size):
        error = errors[o]
        for j in range(signal.size):
            signal[j] += error * weights[o, first + j]


@njit(cache=True, error_model="numpy")
def _send_down(between: Array, gated: Array, signal: Array) -> None:
    """Fill the signals (N,) of neurons with weights (N, M) times gated signals (M,) above."""
    for i in range(between.shape[0]):
        signal[i] = np.float32(0.0)
        for j in range(gated.size):
            signal[i] += between[i, j] * gated[j]


@njit(cache=True, error_model="numpy")
def update_traces(
    delta: np.float32, decay: np.float32, eligible: Array, trace: Array, gradient: Array
) -> None:
    """Add ``delta * trace`` (P,) to the gradient; then set trace ``decay * trace + eligible``."""
    for p in range(trace.size):
        gradient[p] += delta * trace[p]
        new = decay * trace[p] + eligible[p]
        trace[p] = new if abs(new) > TINY else np.float32(0.0)


@njit(cache=True, error_model="numpy")
def scale(limits: Array, observation: Array, x: Array) -> None:
    """Fill ``x`` (D,) with the clipped ``(observation - limits[0]) / limits[1]``."""
    for i in range(x.size):
        scaled = (observation[i] - limits[0, i]) / limits[1, i]
        x[i] = min(max(scaled, -limits[2, i]), limits[2, i])


@njit(cache=True, error_model="numpy")
def decide(
    b: int, at: int, sizes: Places, rule: RuleNumbers, learned: tuple[Array, Array],
    memory: tuple[Array, Array, NDArray[np.bool_]],
    outcome: tuple[Array, NDArray[np.bool_], Array],
    choice: tuple[NDArray[np.float64], Places, Array], results: tuple[Array, Array],
    scratch: tuple[Array, Array, Array, Array, Array],
) -> None:  # fmt: skip
    """Do the part of ``learn_and_act`` after the layers for sample b; readouts begin ``at``.

    ``scratch`` are features (N + 1,) and eligibilities (P,) of ``run_layers``, the latter changed;
    then room for outputs, their errors, and the signals of a layer.
    """
    (theta, back), (traces, values, started) = learned, memory
    rewards, ended, values_after = outcome
    (noise, chosen, drawn), (gradient, td_errors) = choice, results
    features, local, outputs, errors, signal = scratch
    feedback, gamma, decay = rule[0], np.float32(rule[1]), np.float32(rule[2])
    zero, reward_scale = np.float32(0.0), np.float32(rule[3])
    stop = at + outputs.size * features.size
    read_out(theta[at:stop].reshape(outputs.size, features.size), features, outputs)
    if drawn.shape[1]:
        choose_gaussian(outputs, theta[stop:], noise[b], drawn[b], errors, local[stop:])
    else:
        chosen[b] = choose_discrete(outputs, noise[b, 0], errors)
    apply_signals(at, sizes, feedback, back, theta, errors, features, local, signal)
    # The present value closes the TD error of the last step.
    after = values_after[b] if ended[b] else outputs[0]
    error = reward_scale * rewards[b] + gamma * after - values[b] if started[b] else zero
    # An end, or no decision before, empties the trace.
    goes_on = started[b] and not ended[b]
    update_traces(error, decay if goes_on else zero, local, traces[b], gradient)
    td_errors[b], values[b], started[b] = error, outputs[0], True


@njit(cache=True, error_model="numpy")
def learn_and_act(
    network: KernelNetwork, rule: RuleNumbers, limits: Array, learned: tuple[Array, Array],
    memory: tuple[Array, Array, NDArray[np.bool_]], observations: Array,
    outcome: tuple[Array, NDArray[np.bool_], Array],
    choice: tuple[NDArray[np.float64], Places, Array], results: tuple[Array, Array],
    watched: tuple[Array, Array],
) -> None:  # fmt: skip
    """Compute TD errors and gradient of the outcome of B actions, and choose the next.

    The TD error of sample b is ``scale rewards + gamma V' - values``, where V' is the present
    value, or ``values_after`` if the episode ended; 0 at a first decision. It multiplies the trace
    of the decisions before the present one, which then enters the trace.

    Args:
        network: The hidden layers.
        rule: Feedback, gamma, gamma * lambda, scale of rewards.
        limits: As in ``scale``.
        learned: Learned numbers (P,), and the weights of random feedback.
        memory: Traces (B, P), values (B,) of the last decisions, and whether there were any;
            updated.
        observations: (B, D).
        outcome: Rewards, ends and the values after them, each (B,).
        choice: Noise; then the actions (B,) and (B, A), the latter for continuous ones; filled.
        results: Sum (P,) of the samples' gradients, and TD errors (B,); filled.
        watched: As in ``regulator.watch``.
    """
    sizes, steps = network.sizes, network.coefficients.size
    (theta, back), gradient = learned, results[0]
    widest, outputs_count = sizes.max(), back.shape[0]
    activity = activity_of(network)
    local, features = np.empty_like(theta), np.empty(sizes[-1] + 1, np.float32)
    outputs, errors = np.empty(outputs_count, np.float32), np.empty(outputs_count, np.float32)
    signal, x = np.empty(widest, np.float32), np.empty(sizes[0], np.float32)
    gradient[:] = np.float32(0.0)
    for b in range(observations.shape[0]):
        scale(limits, observations[b], x)
        at = run_layers(network, theta, x, activity, local, features)
        watch(sizes, steps, activity.spikes, local, watched)
        decide(
            b, at, sizes, rule, learned, memory, outcome, choice, results,
            (features, local, outputs, errors, signal),
        )  # fmt: skip


@njit(cache=True, error_model="numpy")
def values_of(
    network: KernelNetwork, limits: Array, theta: Array, observations: Array, values: Array
) -> None:
    """Fill the values (B,) of observations (B, D)."""
    sizes, activity = network.sizes, activity_of(network)
    local, features = np.empty_like(theta), np.empty(sizes[-1] + 1, np.float32)
    x = np.empty(sizes[0], np.float32)
    for b in range(observations.shape[0]):
        scale(limits, observations[b], x)
        at = run_layers(network, theta, x, activity, local, features)
        readout = theta[at : at + features.size].reshape(1, features.size)
        read_out(readout, features, values[b : b + 1])
