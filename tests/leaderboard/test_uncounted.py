"""Tests of uncounted features extractors: totals are not numbers."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from torch import nn

from snn_gym.cli.options import print_evaluation
from snn_gym.leaderboard import evaluate
from snn_gym.policies import SpikingActorCriticPolicy, SpikingDQNPolicy, SpikingSACPolicy
from snn_gym.program.costs import COST_COLUMNS

IMAGE = spaces.Box(0, 255, (1, 40, 40), np.uint8)
VALUES = spaces.Box(-1.0, 1.0, (3,), np.float32)


class _Shown(gym.Env[Any, Any]):
    """Show samples of a space for three steps."""

    def __init__(self, shows, action=None):
        self.observation_space = shows
        self.action_space = spaces.Discrete(2) if action is None else action

    def reset(self, *, seed=None, options=None):
        self.observation_space.seed(seed)
        self._steps = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        self._steps += 1
        return self.observation_space.sample(), 1.0, self._steps == 3, False, {}


gym.register("Pixels-v0", entry_point=_Shown, kwargs={"shows": IMAGE})
gym.register("Values-v0", entry_point=_Shown, kwargs={"shows": VALUES})
gym.register(
    "ContinuousValues-v0",
    entry_point=_Shown,
    kwargs={"shows": VALUES, "action": spaces.Box(-1.0, 1.0, (1,), np.float32)},
)


class Weighted(BaseFeaturesExtractor):
    """A linear layer whose outputs are divided by their sum, which is not counted."""

    def __init__(self, space):
        super().__init__(space, 5)
        self.layer = nn.Linear(3, 5)

    def forward(self, observations):
        return self.layer(observations).softmax(1)


class Squares(FlattenExtractor):
    """Arithmetic without parameters, by a subclass of a counted module."""

    def forward(self, observations):
        return super().forward(observations).square()


@pytest.mark.parametrize(
    ("env_id", "extractor", "name", "algorithm"),
    [
        ("Values-v0", Weighted, "Weighted", PPO),
        ("Values-v0", Weighted, "Weighted", DQN),
        ("ContinuousValues-v0", Weighted, "Weighted", SAC),
        ("Values-v0", Squares, "Squares", PPO),
    ],
)
def test_an_extractor_is_not_counted(env_id, extractor, name, algorithm, capsys):
    policies = {PPO: SpikingActorCriticPolicy, DQN: SpikingDQNPolicy, SAC: SpikingSACPolicy}
    kwargs = {"network": {"hidden_sizes": [4], "time_steps": 2}}
    kwargs["features_extractor_class"] = extractor
    options = {} if algorithm is PPO else {"buffer_size": 10}
    model = algorithm(policies[algorithm], env_id, policy_kwargs=kwargs, **options)
    result = evaluate(model, env_id, episodes=2)
    assert result.uncounted == (name,)
    assert [result.total(cost) for cost in COST_COLUMNS] == [None] * len(COST_COLUMNS)
    assert result.macs_per_decision["hidden_1"] > 0  # counted layers keep their costs
    assert result.in_words() == f"operations not counted ({name})"
    print_evaluation(result)
    _, said = capsys.readouterr().out.splitlines()
    assert said == f"  costs of a decision: not counted, for {name} is not"


@pytest.mark.parametrize("with_image", [False, True])
def test_a_dict_is_counted(with_image):
    parts = {"seen": VALUES, "choice": spaces.Discrete(3)}
    if with_image:
        parts["image"] = IMAGE
    env = _Shown(spaces.Dict(parts))
    network = {"hidden_sizes": [4], "time_steps": 2}
    model = PPO(SpikingActorCriticPolicy, env, policy_kwargs={"network": network})
    seen = {key: np.stack([space.sample()]) for key, space in env.observation_space.items()}
    costs = model.policy.record(seen).costs
    assert costs.uncounted == ()
    assert ("extractor" in costs.macs_per_decision) == with_image
    assert costs.macs_per_decision["normaliser"] == 3
    if not with_image:
        # Three values and the one of the one-hot that is not zero.
        assert costs.macs_per_decision["hidden_1"] == 4 * 4


def test_a_policy_that_does_not_record_is_not_counted():
    result = evaluate(PPO("MlpPolicy", "Values-v0"), "Values-v0", episodes=1)
    assert result.uncounted == ("ActorCriticPolicy",)
    assert result.operations_per_decision is None
