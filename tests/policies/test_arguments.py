"""Tests of policy arguments from other libraries, and of algorithms that build a policy."""

import pytest
from sb3_contrib import TQC, TRPO
from stable_baselines3 import A2C, DDPG, PPO, SAC, TD3
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import nn

from snn_gym import policies
from snn_gym.learners import StatefulPPO
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from tests.policies.identity import EVERY, SMALL, Identity, make, refused

STOCK = {"PPO": PPO, "A2C": A2C, "TRPO": TRPO, "SAC": SAC, "TD3": TD3, "DDPG": DDPG, "TQC": TQC}
"""Algorithms whose ``net_arch`` names an actor and a critic."""
actor_critic = pytest.mark.parametrize("name", list(STOCK))


def critic_key(name):
    return "qf" if issubclass(EVERY[name].algorithm, OffPolicyAlgorithm) else "vf"


@pytest.mark.parametrize("name", ["PPO", "DQN", "TD3", "StatefulPPO"])
def test_net_arch_is_the_hidden_sizes(name):
    both = {"pi": [6, 5], critic_key(name): [6, 5]}
    # As in RL Zoo's files and searches, old and new.
    for arch in ([6, 5], both, [both]) if name in STOCK else ([6, 5],):
        policy = make(name, policy_kwargs={"net_arch": arch}).policy
        assert policy.network.hidden_sizes == (6, 5)
        assert policy.network.time_steps == SMALL.time_steps
        network = policy.acting_network()
        assert isinstance(network, SpikingNetwork)
        assert [layer.size for layer in network.layers] == [6, 5]


def shapes(policy):
    """Return the shapes of the weights in order, each with its part of the policy."""
    parts = {"action_net": "actor", "value_net": "critic", "policy_net": "actor"}
    found = []
    for full, parameter in policy.named_parameters():
        if full == "log_std":
            continue
        named = full.replace("mlp_extractor.value_net", "value_net")
        kind = next((part for name, part in parts.items() if name in named), None)
        if kind is None:
            kind = "critic" if "critic" in named else "actor"
        found.append((kind, tuple(parameter.shape)))
    return sorted(found)


@actor_critic
def test_actor_and_critic_sizes_equal_stock_policies(name):
    key = critic_key(name)
    archs = [{"pi": [6], key: [5, 4]}, [{"pi": [6, 7], key: [5]}], {"pi": [6], key: []}]
    if key == "vf":
        archs.append({"pi": [8]})  # a linear critic, there too
    quantiles = {"n_quantiles": 5} if name == "TQC" else {}
    for arch in archs:
        env, plain = Identity(action="Box"), arch[0] if isinstance(arch, list) else arch
        arguments = {"net_arch": plain, **quantiles}
        stock = STOCK[name]("MlpPolicy", env, policy_kwargs=arguments, device="cpu")
        twin = make(name, env, policy_kwargs={"net_arch": arch, "spiking_actor": False})
        assert shapes(twin.policy) == shapes(stock.policy)
        spiking = make(name, env, policy_kwargs={"net_arch": arch}).policy
        assert [layer.size for layer in spiking.acting_network().layers] == plain["pi"]


@pytest.mark.parametrize("name", ["TRPO", "QRDQN", "SAC"])
def test_invalid_sizes_are_refused(name):
    key = critic_key(name)
    wrong = [
        ({"width": [6]}, r"net_arch must be a list of hidden sizes.* got \{'width': \[6\]\}"),
        ([0], "must be at least 1, got 0"),
        (5, "hidden_sizes: expected a list, got 5"),
    ]
    if name not in STOCK:
        wrong.append(({"pi": [6], key: [6]}, r"must be a list of hidden sizes, such as \[64, 64\]"))
    elif key == "qf":
        wrong.append(({"pi": [6]}, r"such as dict\(pi=\[64\], qf=\[64\]\), got \{'pi': \[6\]\}"))
    else:
        wrong.append(({"pi": [6], "qf": [6]}, r"the critic's \(vf\), such as dict"))
    for arch, message in wrong:
        with refused(message):
            make(name, policy_kwargs={"net_arch": arch})
    for network in (NetworkConfig(hidden_sizes=(8,)), {"hidden_sizes": [8]}):
        with refused(
            r"net_arch \[6\] and hidden_sizes .8.* both say what the actor has; leave one"
        ):
            make(name, policy_kwargs={"net_arch": [6], "network": network})


def test_actor_can_have_a_separate_activation():
    ann = {"spiking_actor": False}
    policy = make("PPO", policy_kwargs={**ann, "actor_activation": "relu"}).policy
    again = type(policy)(**policy._get_constructor_parameters())
    for networks in (policy.mlp_extractor, again.mlp_extractor):
        kinds = [[type(x) for x in part] for part in (networks.actor, networks.critic)]
        assert kinds == [[nn.Linear, nn.ReLU], [nn.Linear, nn.Tanh]]
    for arguments, message in (
        ({"actor_activation": "relu"}, "is for an actor that neither spikes nor carries a state"),
        ({**ann, "actor_activation": "gelu"}, "must be one of tanh, relu, threshold or None, got"),
    ):
        with pytest.raises(ValueError, match=message):
            make("PPO", policy_kwargs=arguments)
    stateful = {**ann, "actor_activation": "relu"}
    with pytest.raises(ValueError, match="neither spikes nor carries a state"):
        StatefulPPO(policies.StatefulActorCriticPolicy, Identity(), policy_kwargs=stateful)
