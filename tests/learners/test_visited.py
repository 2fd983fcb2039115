"""Tests of the states that a policy visits, and of its teacher's behaviour in them."""

import torch

from snn_gym.learners.visited import SequenceStates
from snn_gym.policies.stateful import SequenceBatch
from tests.learners.shed import begun, put


def rolled_out(visited):
    """Return the rollout in the buffer in the order of play."""
    buffer = visited._buffer
    torch_of = buffer.to_torch
    return SequenceBatch(
        torch_of(buffer.observations),
        torch_of(buffer.states[buffer.burn_in_steps]),
        torch_of(buffer.episode_starts).bool(),
    )


def test_teacher_carries_a_separate_state_along_rollouts():
    _, shedding = begun("StatefulPPO")
    visited, teacher = shedding._visited, shedding.teacher
    assert isinstance(visited, SequenceStates)
    visited.collect()  # the latest rollout, which was played by final weights
    put(shedding, 0.3)  # the states that the buffer has are no more the teacher's
    batch, state = rolled_out(visited), visited._state
    with torch.no_grad():
        expected, after, _ = teacher.followed(batch, state)
    visited.collect()
    assert torch.equal(visited._state, after)
    length, count = batch.starts.shape
    part, target = visited.sample(length, newest=True)  # one sequence
    assert part.starts.shape == (length, 1)
    columns = [torch.equal(target, expected[:, k]) for k in range(count)]
    assert any(columns)
    everything, targets = visited.sample(10 * length * count, newest=True)
    assert everything.starts.shape == (length, count)
    assert targets.shape == expected.flatten(0, 1).shape
