"""Tests of shedding without exploration, for every algorithm."""

from typing import Any

import numpy as np
import pytest

from tests.learners.shed import make_shedding
from tests.marked import checked
from tests.policies.identity import Identity


class Recorded(Identity):
    """Identity task that records observations and actions."""

    def __init__(self, action):
        super().__init__(action=action)
        self.shown: list[Any] = []
        self.done: list[Any] = []

    def _next(self):
        self.shown.append(super()._next())
        return self.shown[-1]

    def step(self, action):
        if len(self.shown) > len(self.done) + 1:
            del self.shown[-2]  # the last observation of an episode is followed by a reset
        self.done.append(np.array(action))
        return super().step(action)


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("PPO", "Box"), ("PPO", "Discrete"), ("A2C", "MultiBinary"), ("SAC", "Box"),
        checked("TD3", "Box"), checked("DDPG", "Box"), ("DQN", "Discrete"), ("QRDQN", "Discrete"),
    ],
)  # fmt: skip
def test_the_best_actions_are_played_while_shedding(name, action):
    env = Recorded(action)
    model = make_shedding(name, env=env, latest_start=0.5, updates=8).learn(240)
    last = range(len(env.done) - 20, len(env.done))  # of the final weights
    best, _ = model.predict(np.stack([env.shown[k] for k in last]), deterministic=True)
    played = np.stack([env.done[k] for k in last])
    # A normaliser may have seen more since.
    assert float(np.abs(best - played).max()) < 0.05
    early = range(60, 80)
    before = np.stack([env.done[k] for k in early])
    best, _ = model.predict(np.stack([env.shown[k] for k in early]), deterministic=True)
    assert float(np.abs(best - before).mean()) > 0.05  # noise, and what was not learned yet
    assert "forward" not in vars(model.policy)
