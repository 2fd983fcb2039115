"""A rule of plasticity along the time steps of decisions: how eligible each synapse has become."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.spiking.population import Population, surrogate_window
from snn_gym.synapses.plasticity import Nothing, PlasticityRule, Seen, State

Array = NDArray[np.float32]

# Synapses of decisions that are followed at once: their numbers stay in the processor's caches.
_AT_ONCE = 1 << 15


def eligibilities(
    rule: PlasticityRule, population: Population, weights: Array, inputs: Array
) -> list[Array]:
    """Return how eligible a network's synapses were in M decisions, which are made once more.

    Args:
        rule: What hidden synapses follow.
        population: Architecture of the network.
        weights: (W,) float32.
        inputs: (M, D) float32, what the network decided on.

    Returns:
        Of each hidden layer (M, D + 1, N), biases last, the sum over time steps with the decoder's
        weights; of the outputs (M, N + 1), the decoded activity that they read, then 1.

    Raises:
        ValueError: The rule gave what is no number.
    """
    layers = population.arrange(weights[np.newaxis])
    activity = population.run(layers, np.zeros(len(inputs), np.int64), inputs)
    signal = np.repeat(inputs[:, np.newaxis], population.config.time_steps, axis=1)
    found = []
    for (weight, bias), voltages, spikes in zip(
        layers[:-1], activity.voltages, activity.spikes, strict=True
    ):
        windows = surrogate_window(population, voltages)
        above = (_by_time(part)[:, :, np.newaxis] for part in (spikes, voltages, windows))
        seen = (_by_time(_with_ones(signal))[..., np.newaxis], *above)
        found.append(_follow(rule, population, np.concatenate([weight[0], bias]), seen))
        signal = spikes
    return [*found, _with_ones(activity.features)]


def _by_time(values: Array) -> NDArray[np.float64]:
    """Return values (M, T, N) as (T, M, N), float64."""
    return np.ascontiguousarray(values.swapaxes(0, 1), np.float64)


def _with_ones(values: Array) -> Array:
    """Return values (..., D) with the 1 of the unit that is always on, (..., D + 1)."""
    return np.concatenate([values, np.ones((*values.shape[:-1], 1), np.float32)], axis=-1)


def _follow(
    rule: PlasticityRule,
    population: Population,
    weights: Array,
    seen: tuple[NDArray[np.float64], ...],
) -> Array:
    """Return eligibilities (M, D + 1, N) of a layer with weights (D + 1, N).

    ``seen`` is pre (T, M, D + 1, 1), then post, potential and window, each (T, M, 1, N). As
    ``LocalActorCritic`` follows a rule, but on what has happened already, and for many decisions at
    once, which numpy does as fast as compiled code.
    """
    steps, decisions = seen[0].shape[:2]
    gain = np.full((1, 1), population.neuron.numbers.get("mem_gain", 1.0), np.float64)
    own, constants = weights.astype(np.float64), rule.constants or Nothing()
    found = np.empty((decisions, *weights.shape), np.float32)
    count = max(1, _AT_ONCE // weights.size)
    for start in range(0, decisions, count):
        part = slice(start, start + count)
        total = np.zeros(found[part].shape)
        state: State = tuple(np.zeros_like(total) for _ in rule.state)
        for t in range(steps):
            pre, post, potential, window = (values[t, part] for values in seen)
            now = Seen(pre, post, potential, window, own, gain)
            state, eligible = rule.step(now, state, constants)
            total += population.coefficients[t] * eligible
        found[part] = total
    if not np.isfinite(found).all():
        raise ValueError(
            f"the rule of plasticity {rule.step!r} gave eligibilities that are not finite; bound "
            "them in its function"
        )
    return found
