"""Tests of uncounted features extractors: totals are not numbers."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from torch import nn

import snn_gym
from snn_gym.cli import main
from snn_gym.cli.printing import print_evaluation
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


class Projection(BaseFeaturesExtractor):
    """A linear layer."""

    def __init__(self, space):
        super().__init__(space, 5)
        self.layer = nn.Linear(3, 5)

    def forward(self, observations):
        return self.layer(observations)


class Memory(BaseFeaturesExtractor):
    """A recurrent cell."""

    def __init__(self, space):
        super().__init__(space, 4)
        self.cell = nn.GRUCell(3, 4)

    def forward(self, observations):
        return self.cell(observations)


class Squares(FlattenExtractor):
    """Arithmetic without parameters, by a subclass of a counted module."""

    def forward(self, observations):
        return super().forward(observations).square()


@pytest.mark.parametrize(
    ("env_id", "extractor", "name", "algorithm"),
    [
        ("Pixels-v0", None, "NatureCNN", PPO),
        ("Values-v0", Projection, "Projection", PPO),
        ("Values-v0", Projection, "Projection", DQN),
        ("ContinuousValues-v0", Projection, "Projection", SAC),
        ("Values-v0", Memory, "Memory", PPO),
        ("Values-v0", Squares, "Squares", PPO),
    ],
)
def test_an_extractor_is_not_counted(env_id, extractor, name, algorithm, capsys):
    policies = {PPO: SpikingActorCriticPolicy, DQN: SpikingDQNPolicy, SAC: SpikingSACPolicy}
    kwargs = {"network": {"hidden_sizes": [4], "time_steps": 2}}
    if extractor is not None:
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


def test_spikes_without_an_output_are_reported(capsys):
    kwargs = {"network": {"hidden_sizes": [4], "time_steps": 2}}
    model = PPO(SpikingActorCriticPolicy, "Values-v0", policy_kwargs=kwargs)
    print_evaluation(evaluate(model, "Values-v0", episodes=1))
    assert "reach no output" not in capsys.readouterr().out
    model.policy.action_net.weight.data.zero_()
    print_evaluation(evaluate(model, "Values-v0", episodes=1))
    assert "its spikes reach no output: in a ranking it is no spiking" in capsys.readouterr().out


@pytest.mark.parametrize("with_image", [False, True])
def test_a_dict_is_counted_if_all_its_parts_are_flattened(with_image):
    parts = {"seen": VALUES, "choice": spaces.Discrete(3)}
    if with_image:
        parts["image"] = IMAGE
    env = _Shown(spaces.Dict(parts))
    network = {"hidden_sizes": [4], "time_steps": 2}
    model = PPO(SpikingActorCriticPolicy, env, policy_kwargs={"network": network})
    seen = {key: np.stack([space.sample()]) for key, space in env.observation_space.items()}
    costs = model.policy.record(seen).costs
    assert costs.uncounted == (("NatureCNN",) if with_image else ())
    assert (costs.operations_per_decision is None) == with_image
    if not with_image:
        # Three values and the one of the one-hot that is not zero.
        assert costs.macs_per_decision == {"hidden_1": 4 * 4}


def test_a_policy_that_does_not_record_is_not_counted():
    result = evaluate(PPO("MlpPolicy", "Values-v0"), "Values-v0", episodes=1)
    assert result.uncounted == ("ActorCriticPolicy",)
    assert result.operations_per_decision is None


def test_commands_report_uncounted_modules(tmp_path, capsys):
    torch.manual_seed(0)
    for agent in ("ppo-lif", "ppo-mlp"):
        model = snn_gym.make_agent(agent, "Pixels-v0", seed=0)
        snn_gym.save_agent(model, tmp_path / agent)
    assert main(["evaluate", str(tmp_path / "ppo-mlp"), "--episodes", "2"]) == 0
    assert "costs of a decision: not counted, for NatureCNN is not" in capsys.readouterr().out
    folders = [str(tmp_path / agent) for agent in ("ppo-lif", "ppo-mlp")]
    assert main(["compare", *folders, "--env", "Pixels-v0", "--episodes", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for heading in ("Operations", "SynOps", "MACs", "Neuron updates"):
        (line,) = (line for line in lines if line.startswith(f"{heading} per decision"))
        assert line.count("not counted: NatureCNN") == 2
