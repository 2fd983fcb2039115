"""Compiled parts of PPO: advantages of a rollout, and the gradient of the loss at the networks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from snn_gym.compilation import njit

Array = NDArray[np.float32]

OLD_VALUE, OLD_LOG_PROB, ADVANTAGE, RETURN = range(4)
"""Columns of what a rollout knows of each action."""
POLICY_LOSS, VALUE_LOSS, ENTROPY_LOSS, CLIP_FRACTION, APPROX_KL = range(5)
"""Means over a minibatch that PPO logs."""


@njit(cache=True, error_model="numpy")
def fill_advantages(
    gamma: np.float32,
    decay: np.float32,
    rewards: Array,
    values: Array,
    episode_starts: Array,
    last_values: Array,
    dones: NDArray[np.bool_],
    advantages: Array,
) -> None:
    """Fill ``advantages`` (steps, B) by generalised advantage estimation.

    Operation by operation Stable-Baselines3's ``RolloutBuffer.compute_returns_and_advantage``, so
    that the bits are the same. Schulman et al., "High-dimensional continuous control using
    generalized advantage estimation", ICLR 2016, https://arxiv.org/abs/1506.02438.

    Args:
        gamma: Discount per environment step.
        decay: The discount times lambda.
        rewards: (steps, B).
        values: (steps, B), of the observations.
        episode_starts: (steps, B), 1 where an episode starts with the observation.
        last_values: (B,), of the observations after the rollout.
        dones: (B,), whether episodes ended with the rollout.
        advantages: (steps, B), filled.
    """
    one = np.float32(1.0)
    steps, environments = rewards.shape
    for b in range(environments):
        advantage = np.float32(0.0)
        going_on = one - np.float32(dones[b])
        following = last_values[b]
        for t in range(steps - 1, -1, -1):
            error = rewards[t, b] + gamma * following * going_on - values[t, b]
            advantage = error + decay * going_on * advantage
            advantages[t, b] = advantage
            going_on = one - episode_starts[t, b]
            following = values[t, b]


@njit(cache=True, error_model="numpy")
def loss_gradients(
    rows: NDArray[np.int64],
    actions: NDArray[np.int64],
    known: Array,
    logits: Array,
    values: Array,
    coefficients: NDArray[np.float64],
    normalise: bool,
    means: NDArray[np.float64],
    grad_logits: Array,
    grad_values: Array,
) -> None:
    """Fill the gradients of PPO's loss for a minibatch of discrete actions.

    The loss is Stable-Baselines3's; sums are in float64. Schulman et al., "Proximal policy
    optimization algorithms", 2017, https://arxiv.org/abs/1707.06347.

    Args:
        rows: (n,), which of the rollout's N transitions the minibatch has.
        actions: (N,), of all of them.
        known: (N, 4), by ``OLD_VALUE`` and so on.
        logits: (n, A), of the minibatch.
        values: (n,), of the minibatch.
        coefficients: Range of the clipped ratio, of the clipped value (infinite for none), and
            weights of entropy and value loss.
        normalise: Whether the advantages are standardised within the minibatch.
        means: (5,), filled by ``POLICY_LOSS`` and so on.
        grad_logits: (n, A), filled.
        grad_values: (n,), filled.
    """
    clip, clip_value, weight_entropy, weight_value = coefficients
    count, choices = logits.shape
    mean, scale = 0.0, 1.0
    if normalise and count > 1:
        for i in range(count):
            mean += known[rows[i], ADVANTAGE]
        mean /= count
        squares = 0.0
        for i in range(count):
            squares += (known[rows[i], ADVANTAGE] - mean) ** 2
        scale = 1.0 / (math.sqrt(squares / (count - 1)) + 1e-8)
    means[:] = 0.0
    log_probs = np.empty(choices)
    for i in range(count):
        row = rows[i]
        top = -np.inf
        for k in range(choices):
            top = max(top, logits[i, k])
        total = 0.0
        for k in range(choices):
            total += math.exp(logits[i, k] - top)
        shift = top + math.log(total)
        entropy = 0.0
        for k in range(choices):
            log_probs[k] = logits[i, k] - shift
            entropy -= math.exp(log_probs[k]) * log_probs[k]
        log_ratio = log_probs[actions[row]] - known[row, OLD_LOG_PROB]
        # As a float32, so that a ratio of 1 but for rounding is 1 and within any range.
        ratio = np.float64(np.float32(math.exp(log_ratio)))
        advantage = (known[row, ADVANTAGE] - mean) * scale
        plain = advantage * ratio
        clipped = advantage * min(max(ratio, 1.0 - clip), 1.0 + clip)
        # Where the clipped one is less, the ratio is out of its range and has no gradient.
        grad_log_prob = -plain / count if plain <= clipped else 0.0
        for k in range(choices):
            probability = math.exp(log_probs[k])
            chosen = 1.0 if k == actions[row] else 0.0
            grad_logits[i, k] = grad_log_prob * (
                chosen - probability
            ) + weight_entropy / count * probability * (log_probs[k] + entropy)
        moved = values[i] - known[row, OLD_VALUE]
        kept = min(max(moved, -clip_value), clip_value)
        wrong = values[i] - known[row, RETURN]
        if abs(moved) > clip_value:
            wrong = known[row, OLD_VALUE] + kept - known[row, RETURN]
            grad_values[i] = 0.0
        else:
            grad_values[i] = weight_value * 2.0 * wrong / count
        means[POLICY_LOSS] -= min(plain, clipped)
        means[VALUE_LOSS] += wrong * wrong
        means[ENTROPY_LOSS] -= entropy
        means[CLIP_FRACTION] += 1.0 if abs(ratio - 1.0) > clip else 0.0
        means[APPROX_KL] += ratio - 1.0 - log_ratio
    means /= count
