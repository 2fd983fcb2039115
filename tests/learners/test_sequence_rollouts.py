"""Tests of the rollout buffer of sequences."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.learners.sequences import SequenceRolloutBuffer


def filled(rollouts=1, *, steps=6, envs=2, length=3, burn_in=0, seed=0):
    """Return a buffer after rollouts whose numbers encode step, environment and rollout."""
    buffer = SequenceRolloutBuffer(
        steps,
        spaces.Box(-1e6, 1e6, (2,)),
        spaces.Discrete(100_000),
        "cpu",
        n_envs=envs,
        state_size=3,
        sequence_length=length,
        burn_in_steps=burn_in,
    )
    generator = np.random.default_rng(seed)
    starts = generator.random((rollouts * steps, envs)) < 0.3
    starts[0] = True
    for step in range(rollouts * steps):
        if step % steps == 0:
            buffer.reset()
        number = 10.0 * step + np.arange(envs)
        buffer.add_with_state(
            np.stack([number, -number], axis=1),
            number.astype(np.int64),
            number + 0.5,
            starts[step],
            torch.as_tensor(number + 0.25)[:, None],
            torch.as_tensor(number + 0.125),
            torch.as_tensor(np.repeat(number[:, None], 3, axis=1)),
        )
    buffer.compute_returns_and_advantage(torch.zeros(envs), np.zeros(envs, np.bool_))
    return buffer, starts


@settings(max_examples=20, deadline=None)
@given(length=st.sampled_from([1, 2, 3, 6]), envs=st.integers(1, 4), count=st.integers(1, 5))
def test_steps_are_yielded_once(length, envs, count):
    buffer, starts = filled(envs=envs, length=length)
    seen = []
    for batch in buffer.get(count * length):
        sequences = batch.observations
        steps, number = sequences.starts.shape
        assert steps == length
        assert number <= count
        # (L * n,) -> (L, n)
        numbers = batch.actions.view(length, number)
        assert torch.equal(sequences.observations[..., 0], numbers)
        assert torch.equal(sequences.observations[..., 1], -numbers)
        assert torch.equal(sequences.states[:, 0], numbers[0])
        assert torch.equal(batch.old_values.view(length, number), numbers + 0.25)
        assert torch.equal(batch.old_log_prob.view(length, number), numbers + 0.125)
        assert torch.equal(batch.returns, batch.advantages + batch.old_values)
        rows, columns = numbers.long() // 10, numbers.long() % 10
        assert torch.equal(sequences.starts, torch.as_tensor(starts)[rows, columns])
        assert torch.equal(rows, rows[:1] + torch.arange(length)[:, None])
        assert (rows[0] % length == 0).all()
        assert (columns == columns[:1]).all()
        seen += numbers.flatten().tolist()
    assert sorted(seen) == sorted(10.0 * s + e for s in range(6) for e in range(envs))


def test_burn_in_can_come_from_the_previous_rollout():
    buffer, starts = filled(2, steps=6, length=3, burn_in=2)
    for batch in buffer.get(3):
        sequences = batch.observations
        first = int(batch.actions[0, 0]) // 10  # counts over both rollouts: 6 or 9
        env = int(batch.actions[0, 0]) % 10
        numbers = 10.0 * (first - 2 + torch.arange(5)) + env
        assert torch.equal(sequences.observations[:, 0, 0], numbers)
        assert sequences.states[0, 0] == numbers[0]
        assert sequences.starts[:, 0].tolist() == starts[first - 2 : first + 3, env].tolist()
        assert sequences.burn_in_steps == 2


def test_the_first_rollout_has_an_empty_burn_in():
    buffer, _ = filled(1, burn_in=2)
    for batch in buffer.get(3):
        if int(batch.actions[0, 0]) < 10:  # begins the rollout
            assert batch.observations.starts[:3].all()
            assert not batch.observations.observations[:2].any()


def test_advantages_equal_stable_baselines3():
    buffer, starts = filled(steps=4, envs=1, length=2)
    gamma, lam = buffer.gamma, buffer.gae_lambda
    following, advantage = 0.0, 0.0
    for step in (3, 2, 1, 0):
        going_on = 1.0 if step == 3 else 1.0 - starts[step + 1, 0]
        delta = (10 * step + 0.5) + gamma * following * going_on - (10 * step + 0.25)
        advantage = delta + gamma * lam * going_on * advantage
        assert buffer.advantages[step, 0] == pytest.approx(advantage, rel=1e-5)
        following = 10 * step + 0.25
