"""Tests of the replay of sequences: rows, states and known ends."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.learners.sequences import SequenceReplayBuffer

SPACE = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)


def make(rows=24, n_envs=2, **arguments):
    settings = {"sequence_length": 4, "burn_in_steps": 2, "n_steps": 2, "state_size": 3}
    return SequenceReplayBuffer(
        rows * n_envs, SPACE, gym.spaces.Discrete(7), "cpu", n_envs, **{**settings, **arguments}
    )


def ends(time, env):
    """Return whether an episode is terminated and whether it is truncated at a step."""
    return time % 5 == env, time % 7 == env + 2 and time % 5 != env


def fill(buffer, steps):
    """Store steps whose numbers encode time and environment."""
    envs = np.arange(buffer.n_envs)
    starts = np.ones(buffer.n_envs, np.bool_)
    for time in range(steps):
        terminated, truncated = np.array([ends(time, env) for env in envs]).T
        states = np.stack([np.full_like(envs, time), envs, time * envs], axis=1)
        buffer.enter_step(states[:, : buffer.states.shape[2]].astype(np.float32), starts)
        obs = np.stack([np.full_like(envs, time), envs], axis=1).astype(np.float32)
        infos = [{"TimeLimit.truncated": bool(cut)} for cut in truncated]
        starts = terminated | truncated
        buffer.add(obs, obs + 1, (time + envs) % 7, time + 0.5 * envs, starts, infos)
    return buffer


def everything(buffer):
    return buffer._get_samples(np.arange(buffer.sequences * buffer.n_envs))


def check_known_numbers(buffer, samples):
    """Compare samples with the numbers of ``fill``; return the first times (B,)."""
    batch = samples.sequences
    times, envs = batch.observations.numpy().transpose(2, 0, 1).astype(int)
    first, env = times[0], envs[0]
    assert np.array_equal(times, first + np.arange(buffer.span)[:, np.newaxis])
    assert np.array_equal(envs, np.broadcast_to(env, envs.shape))
    assert np.array_equal(batch.states.numpy(), np.stack([first, env, first * env], axis=1))
    known = np.vectorize(ends)
    before = np.logical_or(*known(times - 1, envs)) | (times == 0)
    assert np.array_equal(batch.starts.numpy(), before)
    learned = times[buffer.burn_in_steps :]
    length = buffer.sequence_length
    assert np.array_equal(samples.actions.numpy()[..., 0], (learned[:length] + env) % 7)
    learned = learned[:-1]
    assert np.array_equal(samples.rewards.numpy(), learned + 0.5 * env)
    terminated, truncated = known(learned, env)
    assert np.array_equal(samples.terminated.numpy(), terminated)
    assert np.array_equal(samples.truncated.numpy(), truncated)
    return first


def test_sequences_of_a_ring_by_hand():
    # 24 rows, of which 0 to 5 were overwritten at times 24 to 29; a sequence spans 8 rows.
    buffer = fill(make(n_envs=1), 30)
    first = check_known_numbers(buffer, everything(buffer))
    assert first.tolist() == [6, 8, 10, 12, 14, 16, 18, 20, 22]
    # Time 30 overwrites row 6, and the next stored state is at row 8.
    fill_one_more = fill(make(n_envs=1), 31)
    assert check_known_numbers(fill_one_more, everything(fill_one_more))[0] == 8


@given(
    length=st.integers(1, 9),
    burn_in=st.integers(0, 9),
    n_steps=st.integers(1, 4),
    n_envs=st.integers(1, 3),
    more=st.integers(0, 20),
    steps=st.integers(0, 90),
)
def test_all_complete_sequences_are_sampled(length, burn_in, n_steps, n_envs, more, steps):
    stride = max(1, length // 2)
    span = burn_in + length + n_steps
    rows = span + 2 * stride + more
    buffer = fill(
        make(rows, n_envs, sequence_length=length, burn_in_steps=burn_in, n_steps=n_steps), steps
    )
    held = rows // stride * stride
    assert buffer.observations.shape == (held, n_envs, 2)
    oldest = max(0, steps - held)
    expected = [t for t in range(oldest, steps - span + 1) if t % held % stride == 0]
    assert buffer.sequences == len(expected)
    if expected:
        first = check_known_numbers(buffer, everything(buffer))
        assert first.tolist() == expected * n_envs
    if steps >= held:
        assert expected


def test_samples_are_reproducible_by_torchs_seed():
    buffer = fill(make(n_envs=2), 40)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        samples = buffer.sample(40)
        assert samples.actions.shape == (4, 10, 1)
        check_known_numbers(buffer, samples)
        drawn.append(samples.sequences.states)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_an_episode_start_cuts_the_last_episode():
    buffer = make(n_envs=2)
    obs, infos = np.zeros((2, 2), np.float32), [{}, {}]
    # As at a reset of the environments, which no step announces.
    for starts, dones in (([1, 1], [0, 1]), ([1, 1], [0, 0]), ([0, 0], [0, 0])):
        buffer.enter_step(np.zeros((2, 3), np.float32), np.array(starts, np.bool_))
        buffer.add(obs, obs, np.zeros(2), np.zeros(2), np.array(dones), infos)
    assert buffer.timeouts[:3].tolist() == [[1, 0], [0, 0], [0, 0]]


def test_sampling_before_a_whole_sequence_is_refused():
    with pytest.raises(ValueError, match="holds 7 of the 8 environment steps of a sequence"):
        fill(make(), 7).sample(4)


def test_a_buffer_without_room_for_a_sequence_is_refused():
    # 8 rows of a sequence, and up to one before the next stored state.
    message = (
        "buffer_size must be at least 20 to hold a sequence of 8 environment steps of 2 "
        "environments, got 18; enlarge it or shorten the sequences"
    )
    with pytest.raises(ValueError, match=message):
        make(9)
    assert fill(make(10), 30).sequences == 2
    assert fill(make(10), 31).sequences == 1
