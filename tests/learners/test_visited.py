"""States that a policy visits, and what its teacher does in them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from snn_gym.learners.visited import Collected, Followed, Replayed
from tests.learners.shed import begun, put


def test_rollouts_are_collected_and_the_oldest_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snn_gym.learners.visited.KEPT", 100)
    model, shedding = begun(updates=2)
    visited = shedding._visited
    assert isinstance(visited, Collected)
    buffer: Any = model.rollout_buffer  # type: ignore[attr-defined]
    for value in (1.0, 2.0, 3.0):
        buffer.observations[:] = value
        visited.collect()
    kept = visited.arrays()["kept."]
    assert sorted(set(kept[:, 0].tolist())) == [2.0, 3.0]
    assert len(kept) == len(visited.arrays()["targets"]) == 100
    buffer.observations[:] = 9.0  # the next rollout is no business of what was kept
    newest, target = visited.sample(50, newest=True)
    assert set(newest.flatten().tolist()) == {3.0}  # type: ignore[union-attr]
    torch.testing.assert_close(target, shedding._teacher.watched(newest)[0])


def test_of_a_replay_buffer_the_latest_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snn_gym.learners.visited.KEPT", 10)
    model, shedding = begun("DQN")
    visited = shedding._visited
    assert isinstance(visited, Replayed)
    buffer: Any = model.replay_buffer  # type: ignore[attr-defined]
    # The position has wrapped, so that the latest ten are at both ends.
    buffer.pos, buffer.full = 4, True
    buffer.observations[:] = 0.0
    buffer.observations[:4], buffer.observations[-6:] = 1.0, 1.0
    drawn, _ = visited.sample(64)
    assert set(drawn.flatten().tolist()) == {1.0}  # type: ignore[union-attr]


def test_the_teacher_carries_a_state_of_its_own_along_what_was_played() -> None:
    _, shedding = begun("StatefulPPO")
    visited: Any = shedding._visited
    assert isinstance(visited, Followed)
    teacher: Any = shedding._teacher
    visited.collect()  # the latest rollout, which was played by final weights
    put(shedding, 0.3)  # the states that the buffer has are no more the teacher's
    batch, state = visited._batch, visited._state
    assert batch is not None
    assert state is not None
    with torch.no_grad():
        expected, after, _ = teacher.followed(batch, state)
    visited.collect()
    assert torch.equal(visited._target, expected)
    assert torch.equal(visited._state, after)
    length, count = batch.starts.shape
    part, target = visited.sample(length)  # one sequence
    assert part.starts.shape == (length, 1)
    columns = [torch.equal(target, expected[:, k]) for k in range(count)]
    assert any(columns)
    everything, targets = visited.sample(10 * length * count)
    assert everything.starts.shape == (length, count)
    assert targets.shape == expected.flatten(0, 1).shape
