"""Tests of the parts of a network in a policy: learning and initialisation."""

import numpy as np
import pytest
import torch
from torch import nn

from snn_gym.spiking import NetworkConfig, SpikingNetwork
from tests.policies.identity import CASES, Identity, make

NEURONS = ["lif_box", "lif", "iaf", "alif"]
ENCODERS = ["constant", "rate", "latency", "population", "learnable_population"]
DECODERS = ["mean_rate", "last_voltage", "population"]
# Steps to the first update, and little more.
STEPS = {"PPO": 32, "DQN": 18, "SAC": 17}
ARGUMENTS = {"PPO": {"n_steps": 32, "n_epochs": 1}, "DQN": {"learning_starts": 16},
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


@pytest.mark.parametrize(
    ("name", "neuron"), [("PPO", "lif_box"), ("DQN", "lif"), ("SAC", "iaf"), ("PPO", "alif")]
)
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


@pytest.mark.parametrize("name", ["PPO", "QRDQN", "TQC", "TD3"])
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
