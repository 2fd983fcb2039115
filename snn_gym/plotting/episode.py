"""Play episodes, and record what a network does over their consecutive decisions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from snn_gym.policies.protocols import Acting, RecordedPolicy
from snn_gym.spiking import Recording

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """One layer over consecutive decisions."""

    name: str
    spikes: FloatArray
    """(decisions * T, N), 0 or 1."""
    voltages: FloatArray | None
    """(decisions * T, N) before the reset; None of the input."""
    thresholds: FloatArray | None
    """(decisions * T, N); None where there is none to tell."""


@dataclass(frozen=True, eq=False)
class EpisodeTrace:
    """A network over consecutive decisions of one episode."""

    layers: tuple[LayerTrace, ...]
    """Spiking layers, input side first."""
    dt_ms: float
    """Length of a time step (ms)."""
    time_steps: int
    """Time steps of a decision, T."""
    decisions: int
    """Decisions recorded."""
    stateful: bool = False
    """Whether a decision goes on from the state that the one before left, or starts from rest."""

    @property
    def decision_ms(self) -> float:
        """Length of a decision (ms)."""
        return self.time_steps * self.dt_ms

    @property
    def times_ms(self) -> FloatArray:
        """Middle of every time step (ms), (decisions * T,)."""
        return (np.arange(self.decisions * self.time_steps, dtype=np.float64) + 0.5) * self.dt_ms


@dataclass(frozen=True, eq=False)
class Decision:
    """A decision of an episode, and what came of it."""

    index: int
    """Which one of its episode, from 1."""
    recording: Recording | None
    """What the network did; None of a policy that cannot say."""
    action: Any
    """What the environment was given."""
    reward: float
    """In the task's reward units."""
    episode_return: float
    """Undiscounted sum of the rewards so far, this one included."""
    over: bool
    """Whether the episode ended with it."""


def play_episode(policy: Acting, env: gym.Env[Any, Any], seed: int) -> Iterator[Decision]:
    """Play an episode deterministically, one decision each time the next is asked for.

    Between two decisions the environment is as the former left it, ready to be drawn.

    Args:
        policy: Policy of Stable-Baselines3's interface. Of ours, a noisy encoder's noise restarts
            with the seed, as in an evaluation.
        env: Environment, which is left open.
        seed: Seed of the episode.

    Yields:
        Its decisions, the last one with ``over``.
    """
    if hasattr(policy, "reseed_noise"):
        policy.reseed_noise(seed)
    observation, _ = env.reset(seed=seed)
    state, total = None, np.float64(0)
    for index in itertools.count(1):
        # Before the decision: recording leaves the noise where it is, and deciding then draws it.
        recording = policy.record(observation, state) if hasattr(policy, "record") else None
        action, state = policy.predict(observation, state, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(action)
        total += np.float64(reward)
        over = bool(terminated or truncated)
        yield Decision(index, recording, action, float(reward), float(total), over)
        if over:
            return


def record_episode(
    policy: RecordedPolicy, env: gym.Env[Any, Any], seed: int, max_decisions: int
) -> EpisodeTrace:
    """Play an episode deterministically and record its first decisions.

    Args:
        policy: Policy of ``snn_gym.policies`` that spikes; a noisy encoder's noise restarts with
            the seed, as in an evaluation.
        env: Environment, which is closed afterwards.
        seed: Seed of the episode.
        max_decisions: Decisions to record; fewer if the episode is shorter.

    Raises:
        ValueError: The policy does not spike.
    """
    decisions = itertools.islice(play_episode(policy, env, seed), max_decisions)
    recordings = [x.recording for x in decisions if x.recording is not None]
    env.close()
    return join(recordings, stateful=policy.carries_state)


def join(recordings: Sequence[Recording], *, stateful: bool = False) -> EpisodeTrace:
    """Join recordings of single decisions in time.

    Args:
        recordings: One of each decision, of a batch of one.
        stateful: Whether each decision went on from the state of the one before.

    Raises:
        ValueError: The network does not spike.
    """
    if not recordings or not recordings[0].layers:
        raise ValueError("the policy does not spike, so there are no spikes to draw")
    first = recordings[0]
    layers = tuple(
        _join_layer([recording.layers[k] for recording in recordings])
        for k in range(len(first.layers))
    )
    time_steps = first.layers[0].spikes.shape[0]
    return EpisodeTrace(layers, first.dt_ms, time_steps, len(recordings), stateful)


def _join_layer(parts: Sequence[Any]) -> LayerTrace:
    # (T, 1, N) of each decision -> (decisions * T, N)
    spikes = np.concatenate([_array(part.spikes) for part in parts])
    voltages = thresholds = None
    if parts[0].voltages is not None:
        voltages = np.concatenate([_array(part.voltages) for part in parts])
    if isinstance(parts[0].v_threshold, Tensor):
        thresholds = np.concatenate([_array(part.v_threshold) for part in parts])
    elif parts[0].v_threshold is not None:
        thresholds = np.full_like(spikes, parts[0].v_threshold)
    return LayerTrace(parts[0].name, spikes, voltages, thresholds)


def _array(tensor: Tensor) -> FloatArray:
    array: FloatArray = tensor.detach().cpu().numpy()[:, 0].astype(np.float64)
    return array
