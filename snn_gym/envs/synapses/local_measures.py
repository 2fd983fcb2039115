"""Local measures of the activity around each synapse, and its eligibility by a rule.

Each synapse has six measures, from its own activity or from signals broadcast to all:

- ``pre_rate``: mean activity of the presynaptic unit: spikes per time step; of an input the mean
  absolute value; of the bias 1. In [0, 1].
- ``post_rate``: spikes per time step of the postsynaptic neuron; of an output the share of
  decisions that it won. In [0, 1].
- ``coincidence``: mean of pre times post over the decisions. In [-1, 1].
- ``window``: mean surrogate ψ of the postsynaptic neuron, its nearness to the threshold; of an
  output 4 p (1 - p). In [0, 1].
- ``drive``: the synapse's share of ``|w| pre`` among all synapses of the neuron. In [0, 1].
- ``eligibility``: covariance of pre with advantage times post's factor, divided by its root mean
  square over the layer, and tanh of that. In [-1, 1]; of a bias 0, as its pre never varies.

The factor of an output is ``1[chosen] - p``. That of a hidden neuron is ``ψ signal`` with the
learning signal ``Σ_k w_kj (1[chosen k] - p_k)``: symmetric e-prop (Bellec et al. 2020, Nature
Communications 11:3625, https://doi.org/10.1038/s41467-020-17236-y). The membrane filter is
dropped, as inputs are constant within a decision; the choice gates the signal as in
feedback-modulated TD-STDP (Chung and Kozma 2020, https://arxiv.org/abs/2008.13044). p is the
softmax of the outputs. Covariance in place of the mean product is Sejnowski's rule (1977, J. Math.
Biology 4:303, https://doi.org/10.1007/BF00275079): rates are never negative, so the mean product is
similar for all synapses of a neuron, and following it only shifts the neuron. The advantage is the
discounted return after a decision, standardised over all decisions of the network; unlike a TD
error with a learned critic it needs no state between rollouts.

A rule of plasticity adds a seventh measure, ``rule_eligibility``, with the rule's eligibility in
place of ψ times pre: its covariance with advantage times the learning signal, in [-1, 1] as above.
That of a hidden bias is not 0, as its eligibility varies. An output's synapse, which follows no
rule, has the decoded activity that the output reads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snn_gym.envs import rollout
from snn_gym.envs.synapses.plasticity import (
    LOCAL_MEASURES,
    NoConstants,
    PlasticityRule,
    Seen,
    State,
)
from snn_gym.spiking.population import Activity, Population, surrogate_window

# ---- eligibility ---------------------------------------------------------------------------------
Array = NDArray[np.float32]

# Synapses times decisions that are computed at once, so that numbers stay in the caches.
_AT_ONCE = 1 << 15


def eligibilities(
    rule: PlasticityRule, population: Population, weights: Array, inputs: Array
) -> list[Array]:
    """Return a rule's eligibilities of a network's synapses in M decisions on inputs (M, D).

    For each hidden layer (M, D + 1, N), biases last, summed over time steps with the decoder's
    weights; for the outputs (M, N + 1), the decoded activity that they read, then 1. ``weights`` is
    (W,). A rule with a result that is not finite raises ValueError.
    """
    layers = population.arrange(weights[np.newaxis])
    activity = population.run(layers, np.zeros(len(inputs), np.int64), inputs)
    signal = np.repeat(inputs[:, np.newaxis], population.config.time_steps, axis=1)
    by_layer = []
    for (weight, bias), voltages, spikes in zip(
        layers[:-1], activity.voltages, activity.spikes, strict=True
    ):
        windows = surrogate_window(population, voltages)
        by_neuron = (_by_time(part)[:, :, np.newaxis] for part in (spikes, voltages, windows))
        seen = (_by_time(_with_ones(signal))[..., np.newaxis], *by_neuron)
        by_layer.append(_follow(rule, population, np.concatenate([weight[0], bias]), seen))
        signal = spikes
    return [*by_layer, _with_ones(activity.features)]


def _by_time(values: Array) -> NDArray[np.float64]:
    """Return values (M, T, N) as (T, M, N), float64."""
    return np.ascontiguousarray(values.swapaxes(0, 1), np.float64)


def _with_ones(values: Array) -> Array:
    """Append the bias unit's 1 to values (..., D)."""
    return np.concatenate([values, np.ones((*values.shape[:-1], 1), np.float32)], axis=-1)


def _follow(
    rule: PlasticityRule,
    population: Population,
    weights: Array,
    seen: tuple[NDArray[np.float64], ...],
) -> Array:
    """Return eligibilities (M, D + 1, N) of a layer with weights (D + 1, N).

    ``seen`` is pre (T, M, D + 1, 1), then post, potential and window, each (T, M, 1, N). Like
    ``LocalActorCritic``, but on recorded activity and for many decisions at once, where numpy is as
    fast as compiled code.
    """
    steps, decisions = seen[0].shape[:2]
    gain = np.full((1, 1), population.neuron.numbers.get("mem_gain", 1.0), np.float64)
    own, constants = weights.astype(np.float64), rule.constants or NoConstants()
    eligibility = np.empty((decisions, *weights.shape), np.float32)
    count = max(1, _AT_ONCE // weights.size)
    for start in range(0, decisions, count):
        part = slice(start, start + count)
        total = np.zeros(eligibility[part].shape)
        state: State = tuple(np.zeros_like(total) for _ in rule.state)
        for t in range(steps):
            pre, post, potential, window = (values[t, part] for values in seen)
            now = Seen(pre, post, potential, window, own, gain)
            state, eligible = rule.step(now, state, constants)
            total += population.coefficients[t] * eligible
        eligibility[part] = total
    if not np.isfinite(eligibility).all():
        raise ValueError(
            f"the rule of plasticity {rule.step!r} gave eligibilities that are not finite; bound "
            "them in its function"
        )
    return eligibility


# ---- local dynamics ------------------------------------------------------------------------------
class LocalDynamics:
    """Observer of a rollout (``play(observer=...)``) that measures every synapse.

    ``weights`` (P, W) are those of the rollout, with ``episodes`` of each network. ``discount`` γ,
    per decision, is that of the returns behind the advantages. With a rule, its eligibility is
    measured too.
    """

    def __init__(
        self,
        population: Population,
        weights: Array,
        episodes: int,
        discount: float = 0.95,
        rule: PlasticityRule | None = None,
    ) -> None:
        self._population = population
        self._weights = weights
        self._episodes = episodes
        self._discount = discount
        self._rule = rule
        self._lanes: list[NDArray[np.int64]] = []
        self._samples: list[_Samples] = []
        self._rewards: list[NDArray[np.float64]] = []
        self._ends: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = []
        self._over = np.zeros(len(weights) * episodes, np.bool_)

    def step(self, seen: rollout.LaneStep) -> None:
        """Store one step of the lanes whose episodes have not ended before."""
        runs = ~self._over[seen.lanes]
        self._lanes.append(seen.lanes[runs])
        self._samples.append(_reduced(self._population, seen.activity, seen.actions, runs))
        self._rewards.append(seen.rewards[runs])
        self._ends.append((seen.terminated[runs], seen.truncated[runs]))
        self._over[seen.lanes] |= seen.terminated | seen.truncated

    def per_synapse(self) -> Array:
        """Return the measures (P, W, K), float32 in [-1, 1]; K is 6, or 7 with a rule."""
        advantages = self._advantages()
        owners = np.concatenate(self._lanes) // self._episodes
        samples = _Samples(*map(_joined, zip(*self._samples, strict=True)))
        return _measure(self._population, self._weights, owners, samples, advantages, self._rule)

    def _advantages(self) -> NDArray[np.float64]:
        """Return discounted returns-to-go (M,) of all decisions, standardised by network."""
        networks, owners = len(self._weights), np.concatenate(self._lanes) // self._episodes
        counts = np.maximum(np.bincount(owners, minlength=networks), 1)
        means = np.bincount(owners, np.concatenate(self._rewards), networks) / counts
        # A truncated episode is taken to continue with the mean reward.
        endless = np.repeat(means, self._episodes) / (1.0 - self._discount)
        tail = np.zeros(self._over.size)
        returns: list[NDArray[np.float64]] = []
        steps = zip(self._lanes, self._rewards, self._ends, strict=True)
        for lanes, rewards, (terminated, truncated) in reversed(list(steps)):
            after = np.where(terminated, 0.0, np.where(truncated, endless[lanes], tail[lanes]))
            tail[lanes] = rewards + self._discount * after
            returns.append(tail[lanes])
        return standardised(np.concatenate(returns[::-1]), owners, networks)


def standardised(
    values: NDArray[np.float64], owners: NDArray[np.int64], networks: int
) -> NDArray[np.float64]:
    """Return z-scores of values (M,) within their network, ``owners`` (M,); 0 if constant."""
    counts = np.maximum(np.bincount(owners, minlength=networks), 1)
    means = np.bincount(owners, values, networks) / counts
    centred = values - means[owners]
    spreads = np.sqrt(np.bincount(owners, np.square(centred), networks) / counts)
    # A spread that is only a rounding error counts as none.
    usable = spreads > 1e-9 * (1.0 + np.abs(means))
    scaled: NDArray[np.float64] = np.where(
        usable[owners], centred / np.where(usable, spreads, 1.0)[owners], 0.0
    )
    return scaled


def local_measures(
    population: Population,
    weights: Array,
    owners: NDArray[np.int64],
    activity: Activity,
    actions: NDArray[Any],
    advantages: NDArray[np.float64],
    rule: PlasticityRule | None = None,
) -> Array:
    """Measure every synapse on M decisions; return (P, W, K), float32 in [-1, 1].

    K is 6, or 7 with a rule. ``owners`` (M,) are the networks of the decisions. ``actions`` are
    choices or right labels (M,), or (M, O) of a Box in [-1, 1]. ``advantages`` are (M,).
    """
    samples = _reduced(population, activity, actions, np.ones(owners.size, np.bool_))
    return _measure(population, weights, owners, samples, advantages, rule)


class _Samples(NamedTuple):
    """M decisions, reduced to rates."""

    pre: list[Array]  # (M, fan-in) of each layer, without the bias
    post: list[Array]  # (M, neurons) of each layer
    window: list[Array]  # (M, neurons) of each layer
    score: Array  # (M, O)


def _joined(parts: tuple[Any, ...]) -> Any:
    """Concatenate one part of many steps: arrays, or lists of arrays layer by layer."""
    if isinstance(parts[0], list):
        return [np.concatenate(layer) for layer in zip(*parts, strict=True)]
    return np.concatenate(parts)


def _reduced(
    population: Population, activity: Activity, actions: NDArray[Any], mask: NDArray[np.bool_]
) -> _Samples:
    rates = [spikes[mask].mean(axis=1) for spikes in activity.spikes]
    windows = [surrogate_window(population, v[mask]).mean(axis=1) for v in activity.voltages]
    outputs = activity.outputs[mask]
    score, chosen, near = _output_scores(outputs, actions[mask])
    pre = [activity.inputs[mask], *rates]
    return _Samples(pre, [*rates, chosen], [*windows, near], score)


def _output_scores(outputs: Array, actions: NDArray[Any]) -> tuple[Array, Array, Array]:
    """Return factors, rates and windows (M, O) of outputs, as the module's docstring has them."""
    if actions.ndim == 2:  # a Box: the action is its own score
        action: Array = np.tanh(outputs)
        slope: Array = np.float32(1.0) - np.square(action)
        return action, np.abs(action), slope
    exponent: Array = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    p: Array = exponent / exponent.sum(axis=1, keepdims=True)
    chosen: Array = np.zeros_like(p)
    chosen[np.arange(len(p)), actions] = 1.0
    switch: Array = np.float32(4.0) * p * (np.float32(1.0) - p)
    return chosen - p, chosen, switch


def _measure(
    population: Population,
    weights: Array,
    owners: NDArray[np.int64],
    samples: _Samples,
    advantages: NDArray[np.float64],
    rule: PlasticityRule | None,
) -> Array:
    count = len(LOCAL_MEASURES) + (rule is not None)
    measured = np.empty((len(weights), population.parameter_count, count), np.float32)
    layers = population.arrange(weights)
    for network in range(len(weights)):
        is_own = owners == network
        own = _Samples(*(_picked(part, is_own) for part in samples))
        eligible = None
        if rule is not None:
            eligible = eligibilities(rule, population, weights[network], own.pre[0])
        start = 0
        for index, block in enumerate(
            _network_measures(
                [(weight[network], bias[network]) for weight, bias in layers],
                own,
                advantages[is_own],
                eligible,
            )
        ):
            post, pre = population.sizes[index + 1], population.sizes[index]
            # (K, post, pre + 1): weights row by row, then biases, as the flat vector has them
            flat = [block[:, :, :pre].reshape(len(block), -1), block[:, :, pre]]
            end = start + post * (pre + 1)
            measured[network, start:end] = np.concatenate(flat, axis=1).T
            start = end
    return measured


def _picked(part: Any, mask: NDArray[np.bool_]) -> Any:
    return [array[mask] for array in part] if isinstance(part, list) else part[mask]


def _network_measures(
    layers: list[tuple[Array, Array]],
    samples: _Samples,
    advantages: NDArray[np.float64],
    eligible: list[Array] | None,
) -> list[Array]:
    """Return the measures (K, post, pre + 1) of each layer of one network."""
    pres, posts, windows, score = samples
    last = len(layers) - 1
    blocks: list[Array] = []
    signal = score
    for index in range(last, -1, -1):
        weight, bias = layers[index]
        by_post = weight if index == last else weight.T  # (post, pre)
        factor = signal if index == last else signal * windows[index]
        pre = np.concatenate([pres[index], np.ones((len(advantages), 1), np.float32)], axis=1)
        block = _layer_measures(
            by_post, bias, pre, posts[index], windows[index], factor, advantages
        )
        if eligible is not None:
            measure = _rule_eligibility(signal, eligible[index], advantages)
            block = np.concatenate([block, measure[np.newaxis]])
        blocks.append(block)
        signal = np.asarray(factor @ by_post, np.float32)  # (M, pre), for the layer before
    return blocks[::-1]


def _covariance(factor: NDArray[np.floating], pre: Array) -> NDArray[np.floating]:
    """Return covariances (post, pre + 1) over M decisions of (M, post) and (M, pre + 1).

    ``pre`` may also be (M, pre + 1, post), with values for every synapse. All are 0 if M is 0.
    """
    if not len(pre):
        return np.zeros((factor.shape[1], pre.shape[1]))
    centred = pre - pre.mean(axis=0)
    product: NDArray[np.floating] = (
        factor.T @ centred if pre.ndim == 2 else np.einsum("mj,mij->ji", factor, centred)
    )
    return product / len(pre)


def _squashed(gradient: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return tanh of values (post, pre + 1) over their root mean square; 0 if all are 0."""
    size = float(np.sqrt(np.square(gradient).mean()))
    return np.tanh(gradient / size) if size > 0 else np.zeros(gradient.shape)


def _rule_eligibility(
    signal: NDArray[np.floating], eligible: Array, advantages: NDArray[np.float64]
) -> Array:
    """Return the seventh measure (post, pre + 1) of a layer from learning signals (M, post).

    ``eligible`` is (M, pre + 1, post) for hidden synapses, (M, pre + 1) for those of outputs.
    """
    # Minus the first, so that a constant is exactly 0 and no rounding error becomes a measure.
    varied = eligible - eligible[:1]
    return _squashed(_covariance(signal * advantages[:, np.newaxis], varied)).astype(np.float32)


def _layer_measures(
    weight: Array,
    bias: Array,
    pre: Array,
    post: Array,
    window: Array,
    factor: Array,
    advantages: NDArray[np.float64],
) -> Array:
    """Return the measures (K, post, pre + 1) of a layer from M decisions.

    ``weight`` is (post, pre), ``bias`` (post,); ``pre`` (M, pre + 1) ends with the bias's 1;
    ``post``, ``window`` (nearness to threshold) and ``factor`` (multiplies pre in the eligibility)
    are (M, post).
    """
    count = max(len(advantages), 1)
    shape = (post.shape[1], pre.shape[1])
    pre_rate = np.abs(pre).mean(axis=0) if len(advantages) else np.zeros(shape[1])
    drive = np.abs(np.concatenate([weight, bias[:, np.newaxis]], axis=1)) * pre_rate
    total = drive.sum(axis=1, keepdims=True)
    gradient = _covariance(factor * advantages[:, np.newaxis], pre)
    return np.stack(
        [
            np.broadcast_to(pre_rate, shape),
            np.broadcast_to(post.sum(axis=0)[:, np.newaxis] / count, shape),
            post.T @ pre / count,
            np.broadcast_to(window.sum(axis=0)[:, np.newaxis] / count, shape),
            drive / np.where(total > 0, total, 1.0),
            _squashed(gradient),
        ]
    ).astype(np.float32)
