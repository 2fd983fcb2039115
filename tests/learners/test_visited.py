"""Tests of the states that a policy visits, and of its teacher's behaviour in them."""

import numpy as np
import torch

from snn_gym.learners.visited import ReplayStates, RolloutStates, SequenceStates
from snn_gym.policies.stateful import SequenceBatch
from tests.learners.shed import begun, put


def test_rollouts_are_collected_and_the_oldest_forgotten(monkeypatch):
    monkeypatch.setattr("snn_gym.learners.visited.CAPACITY", 100)
    model, shedding = begun(updates=2)
    visited = shedding._visited
    assert isinstance(visited, RolloutStates)
    buffer = model.rollout_buffer
    for value in (1.0, 2.0, 3.0):
        buffer.observations[:] = value
        visited.collect()
    kept = visited.arrays()["kept."]
    assert sorted(set(kept[:, 0].tolist())) == [2.0, 3.0]
    assert len(kept) == len(visited.arrays()["targets"]) == 100
    buffer.observations[:] = 9.0  # the next rollout does not change stored states
    newest, target = visited.sample(50, newest=True)
    assert set(newest.flatten().tolist()) == {3.0}
    torch.testing.assert_close(target, shedding.teacher.watched(newest)[0])


def replayed():
    """Return a model that sheds, the states it visits, and its replay buffer."""
    model, shedding = begun("DQN")
    assert isinstance(shedding._visited, ReplayStates)
    return model, shedding._visited, model.replay_buffer


def test_the_latest_observations_of_a_replay_buffer_are_drawn(monkeypatch):
    monkeypatch.setattr("snn_gym.learners.visited.CAPACITY", 10)
    _, visited, buffer = replayed()
    # The position has wrapped, so that the latest ten are at both ends.
    buffer.pos, buffer.full = 4, True
    buffer.observations[:] = 0.0
    buffer.observations[:4], buffer.observations[-6:] = 1.0, 1.0
    drawn, _ = visited.sample(64)
    assert set(drawn.flatten().tolist()) == {1.0}


def test_observations_before_the_shedding_are_not_drawn(monkeypatch):
    monkeypatch.setattr("snn_gym.learners.visited.FEWEST_RECENT", 2)
    model, visited, buffer = replayed()
    buffer.pos, buffer.full = 8, True
    for played, kept in ((6, 6), (0, 2)):  # steps since it was made, and what is drawn from
        visited.load({"since": np.array(model.num_timesteps - played * buffer.n_envs)})
        buffer.observations[:] = 0.0
        buffer.observations[8 - kept : 8] = np.arange(1, kept + 1).reshape(-1, 1, 1)
        drawn, _ = visited.sample(256)
        assert set(drawn.flatten().tolist()) == set(range(1, kept + 1))
    assert visited.arrays() == {"since": model.num_timesteps}


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


def test_sequences_of_earlier_rollouts_are_stored_with_the_teachers_behaviour(monkeypatch):
    _, shedding = begun("StatefulPPO")
    visited = shedding._visited
    assert isinstance(visited, SequenceStates)
    buffer = visited._buffer
    length, count = rolled_out(visited).starts.shape
    monkeypatch.setattr("snn_gym.learners.visited.CAPACITY", 2 * count * length)
    visited.load({})
    for value in (1.0, 2.0, 3.0):
        buffer.observations[:] = value
        visited.collect()
    kept = visited.arrays()
    assert kept["observations."].shape[:2] == (2 * count, length)
    assert sorted(set(kept["observations."].flatten().tolist())) == [2.0, 3.0]
    newest, _ = visited.sample(10 * count * length, newest=True)
    assert set(newest.observations.flatten().tolist()) == {3.0}
    assert newest.starts.shape == (length, count)
    # Drawn in any order, each sequence comes with its own state, starts and target.
    drawn, targets = visited.sample(10 * count * length)
    rows = [
        [x.flatten().tolist() for x in (kept["targets"][k], kept["states"][k])]
        for k in range(2 * count)
    ]
    for k in range(2 * count):
        target = targets.view(length, 2 * count, -1)[:, k].flatten().tolist()
        assert [target, drawn.states[k].tolist()] in rows
