"""Modules of users as networks of policies: they learn, are recorded, counted and kept."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, DQN, PPO, SAC
from torch import nn

import snn_gym
from snn_gym.learners import StatefulPPO
from snn_gym.plots.frames import record_episode
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingControllerPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
)
from snn_gym.spiking import ModuleConfig, ModuleNetwork
from snn_gym.training import DynamicsCallback
from tests.policies.identity import refused
from tests.spiking.made_modules import LIBRARIES, firing, plain

CASES = {
    "PPO": (PPO, SpikingActorCriticPolicy, "CartPole-v1", {"n_steps": 16, "batch_size": 8}, 16),
    "DQN": (DQN, SpikingDQNPolicy, "CartPole-v1", {"learning_starts": 16}, 20),
    "SAC": (SAC, SpikingSACPolicy, "Pendulum-v1", {"learning_starts": 16}, 20),
}


def made(name, network, **policy_kwargs):
    kind, policy, env_id, arguments, steps = CASES[name]
    kwargs = {"network": network, **policy_kwargs}
    model = kind(policy, env_id, seed=0, policy_kwargs=kwargs, **arguments)
    return model, steps


def observations(model):
    shape = (20, *model.observation_space.shape)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("library", LIBRARIES)
def test_updates_reach_every_weight_from_the_users_on(library, name):
    values = {"PPO": 4, "DQN": 4, "SAC": 3}[name]
    module = firing(LIBRARIES[library](values))
    model, steps = made(name, module)
    acting = model.policy.acting_network()
    assert isinstance(acting, ModuleNetwork)
    weights = dict(acting.module.named_parameters())
    for key, value in module.named_parameters():
        assert torch.equal(value, weights[key]), key
    model.learn(steps)
    for key, value in module.named_parameters():
        assert torch.isfinite(weights[key]).all()
        assert not torch.equal(value, weights[key]), key


def test_a_critic_that_spikes_is_a_copy_of_its_own():
    model, steps = made("PPO", firing(plain()), spiking_critic=True)
    networks = model.policy.mlp_extractor
    model.learn(steps)
    assert isinstance(networks.critic, ModuleNetwork)
    assert not torch.equal(networks.actor.module[0].weight, networks.critic.module[0].weight)


class PopulationCoded(nn.Module):
    """An actor of nested modules with hidden state: snntorch/issues/340 of jeshraghian."""

    def __init__(self, leaky, values=4, neurons=5):
        super().__init__()
        self.register_buffer("centres", torch.linspace(-2.0, 2.0, neurons))
        self.encoder = nn.Sequential(leaky(0.9, init_hidden=True))
        self.layers = nn.Sequential(
            nn.Linear(values * neurons, 16), leaky(0.9, init_hidden=True),
            nn.Linear(16, 8), leaky(0.9, init_hidden=True),
        )  # fmt: skip

    def forward(self, x):
        active = torch.exp(-2.0 * (x.unsqueeze(-1) - self.centres).square()).flatten(1)
        return self.layers(self.encoder(active))


def test_a_population_coded_actor_of_snntorch_lives_through_minibatches():
    leaky = pytest.importorskip("snntorch").Leaky
    actor, seen = firing(PopulationCoded(leaky)), torch.randn(8, 4)
    actor(seen).sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        actor(seen).sum().backward()
    model, _ = made("PPO", actor)
    model.learn(32)  # two rollouts of 10 epochs of 2 minibatches
    recording = model.policy.record(observations(model))
    assert [x.spikes.shape for x in recording.layers] == [(8, 20, n) for n in (20, 16, 8)]
    assert recording.costs.uncounted == ("PopulationCoded",)


def test_a_policy_of_a_module_is_evaluated_recorded_and_logged(tmp_path):
    model, steps = made("PPO", ModuleConfig(firing(plain()), time_steps=5))
    model.learn(steps, callback=DynamicsCallback(16, tmp_path, probe_size=8))
    assert "hidden_2,rate_hz" in (tmp_path / "dynamics.csv").read_text()
    assert len(snn_gym.evaluate(model, "CartPole-v1", episodes=2).returns) == 2
    trace = record_episode(model.policy, gym.make("CartPole-v1"), 0, 6)
    assert trace is not None


@pytest.mark.parametrize("library", LIBRARIES)
def test_stable_baselines_keeps_the_model(library, tmp_path):
    model, steps = made("PPO", firing(LIBRARIES[library]()))
    model.learn(steps)
    model.save(tmp_path / "model.zip")
    loaded = PPO.load(tmp_path / "model.zip")
    seen = observations(model)
    mine, theirs = (x.predict(seen, deterministic=True)[0] for x in (model, loaded))
    assert np.array_equal(mine, theirs)


def test_save_agent_names_the_ways_to_keep_a_module(tmp_path):
    model, _ = made("DQN", plain)
    with refused(r"Sequential is code .*from_module.*register_neuron.*model\.save"):
        snn_gym.save_agent(model, tmp_path / "agent")
    with refused("from_module"):
        model.policy.program()


def test_policies_that_cannot_use_a_module_say_so():
    with refused("this StatefulActorCriticPolicy carries a state"):
        StatefulPPO("StatefulActorCriticPolicy", "CartPole-v1", policy_kwargs={"network": plain()})
    with refused("this SpikingActorCriticPolicy has none"):
        made("PPO", plain(), spiking_actor=False)
    with refused("network must be a NetworkConfig"):
        SpikingControllerPolicy(
            gym.spaces.Box(-1, 1, (4,)), gym.spaces.Discrete(2), network=plain()
        )
    with refused("network must be a NetworkConfig"):
        A2C(SpikingActorCriticPolicy, "CartPole-v1", policy_kwargs={"network": 3})
