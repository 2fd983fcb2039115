"""Tests of the parts of a network in a policy: learning and initialisation."""

import numpy as np
import pytest
import torch
from torch import nn

from snn_gym.spiking import NetworkConfig, PopulationHead, SpikingNetwork
from tests.policies.identity import CASES, Identity, make, observations

NEURONS = ["lif_box", "lif", "iaf", "alif"]
ENCODERS = ["constant", "rate", "latency", "population", "learnable_population"]
DECODERS = ["mean_rate", "last_voltage", "max_voltage", "population"]
# Steps to the first update, and little more.
STEPS = {"PPO": 32, "DQN": 18, "SAC": 17}
ARGUMENTS = {"PPO": {"n_steps": 32, "n_epochs": 2}, "DQN": {"learning_starts": 16},
             "SAC": {"learning_starts": 16}}  # fmt: skip


def updated(name, network, **policy_kwargs):
    """Train for one update and check that every weight of the acting network has changed."""
    model = make(
        name, Identity("analogue", CASES[name].actions[0]), **ARGUMENTS[name],
        policy_kwargs={"network": network, **policy_kwargs},
    )  # fmt: skip
    before = {k: v.clone() for k, v in model.policy.acting_network().named_parameters()}
    model.learn(STEPS[name])
    acting = model.policy.acting_network()
    assert isinstance(acting, SpikingNetwork)
    for key, value in acting.named_parameters():
        assert torch.isfinite(value).all(), key
        assert not torch.equal(value, before[key]), key
    return model


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("neuron", NEURONS)
def test_an_update_reaches_every_part(name, neuron):
    # Over the neurons, every encoder meets every decoder.
    first = NEURONS.index(neuron)
    for k, encoder in enumerate(ENCODERS):
        decoder = DECODERS[(first + k) % len(DECODERS)]
        recurrent = (first + k) % 2 == 0
        updated(
            name,
            NetworkConfig(
                (8,), neuron=neuron, encoder=encoder, decoder=decoder, recurrent=recurrent
            ),
        )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("critic", [False, True])
def test_populations_have_separate_heads(name, critic):
    network = NetworkConfig(
        (8,), 4, decoder="population", decoder_parameters={"neurons_per_output": 3}
    )
    kwargs = {} if name in ("DQN", "QRDQN") else {"spiking_critic": critic}
    model = make(name, policy_kwargs={"network": network, **kwargs})
    outputs = {"DQN": 4, "QRDQN": 40, "SAC": 2, "TQC": 2, "TD3": 2, "DDPG": 2}.get(name, 4)
    critics = {"TQC": [5, 5], "SAC": [1, 1], "TD3": [1, 1], "DDPG": [1]}.get(name, [1])
    # Targets, of all networks that have them.
    copies = {"DQN": 2, "QRDQN": 2, "TD3": 2, "DDPG": 2}.get(name, 1)
    twins = 2 if name in ("SAC", "TQC", "TD3", "DDPG") else 1
    expected = [outputs] * copies + (
        critics * twins if "spiking_critic" in kwargs and critic else []
    )
    heads = [x for x in model.policy.modules() if isinstance(x, PopulationHead)]
    assert sorted(head.out_features for head in heads) == sorted(expected)
    assert all(head.in_features == 3 * head.out_features for head in heads)
    model.learn(96)
    recording = model.policy.record(observations("analogue", 2))
    assert [layer.spikes.shape[-1] for layer in recording.layers] == [8, 3 * outputs]
    # Each neuron of a population speaks to one output.
    assert recording.layers[-1].fan_out == 1
    optimised = {id(p) for o in optimisers(model) for g in o.param_groups for p in g["params"]}
    online = [
        head
        for key, head in model.policy.named_modules()
        if isinstance(head, PopulationHead) and "target" not in key
    ]
    assert online
    assert all(id(x) in optimised for head in online for x in head.parameters())


def optimisers(model):
    if hasattr(model.policy, "optimizer"):
        return [model.policy.optimizer]
    return [model.policy.actor.optimizer, model.policy.critic.optimizer]


@pytest.mark.parametrize("recurrent", [False, True])
def test_spiking_layers_keep_their_own_initialisation(recurrent):
    network = NetworkConfig((8, 8), 4, recurrent=recurrent)
    (with_init, without) = (
        make("PPO", policy_kwargs={"network": network, "ortho_init": ortho_init}).policy
        for ortho_init in (True, False)
    )
    ours, own = (p.mlp_extractor.actor.state_dict() for p in (with_init, without))
    assert any("recurrent" in name for name in own) == recurrent
    assert all(torch.equal(ours[name], own[name]) for name in own)
    # The parts that do not spike are initialised as Stable-Baselines3 says.
    critic = with_init.mlp_extractor.critic
    assert all(not x.bias.any() for x in critic.modules() if isinstance(x, nn.Linear))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("spiking", [False, True])
def test_spiking_flags_select_spiking_networks(name, spiking):
    if name in ("DQN", "QRDQN"):
        choices = [{"spiking": spiking}]
    else:
        choices = [{"spiking_actor": spiking, "spiking_critic": c} for c in (False, True)]
    for flags in choices:
        policy = make(name, policy_kwargs=flags).policy
        recording = policy.record(np.full((5, 3), 0.5, np.float32))
        assert [layer.name for layer in recording.layers] == (["hidden_1"] if spiking else [])
        macs = recording.macs_per_decision()
        assert macs["hidden_1" if spiking else "dense_1"] == 3.0 * 32
        acting = policy.acting_network()
        others = [x for x in policy.modules() if isinstance(x, SpikingNetwork) and x is not acting]
        targets = name in ("TD3", "DDPG", "DQN", "QRDQN") and spiking
        assert bool(others) == (flags.get("spiking_critic", False) or targets)
