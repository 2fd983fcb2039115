"""Arguments that other libraries give a policy, and who may build it."""

from __future__ import annotations

from typing import Any

import pytest
import sb3_contrib
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import nn

from snn_gym import policies
from snn_gym.learners import StatefulDQN, StatefulPPO
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from tests.policies.identity import CASES, SMALL, Identity, make
from tests.policies.matrix import ERROR

ALGORITHMS: dict[str, Any] = {
    **{name: case.algorithm for name, case in CASES.items()},
    "StatefulPPO": StatefulPPO,
    "StatefulDQN": StatefulDQN,
}
POLICIES: dict[str, Any] = {
    name: getattr(policies, name) for name in [*policies.__all__, *policies.CONTRIB]
}
algorithms = pytest.mark.parametrize("name", list(CASES))


def critic_key(name: str) -> str:
    return "qf" if issubclass(CASES[name].algorithm, OffPolicyAlgorithm) else "vf"


@algorithms
def test_net_arch_is_the_hidden_sizes(name: str) -> None:
    both = {"pi": [6, 5], critic_key(name): [6, 5]}
    # As in RL Zoo's files and searches, old and new.
    for arch in ([6, 5], both, [both], {"pi": [6, 5]}):
        policy = make(name, policy_kwargs={"net_arch": arch}).policy
        assert policy.network.hidden_sizes == (6, 5)
        assert policy.network.time_steps == SMALL.time_steps
        network = policy._acting_network()
        assert isinstance(network, SpikingNetwork)
        assert [layer.size for layer in network.layers] == [6, 5]


@algorithms
def test_sizes_that_no_spiking_policy_has_are_refused(name: str, record_property: Any) -> None:
    different = {"pi": [6], critic_key(name): [5]}
    for arch, message in (
        (different, r"net_arch must be hidden sizes of both actor and critic.*'pi': \[6\]"),
        ({"width": [6]}, r"net_arch must be hidden sizes .* got \{'width': \[6\]\}; give one list"),
        ([], "hidden_sizes must name at least one layer"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            make(name, policy_kwargs={"net_arch": arch})
        assert "\n" not in str(caught.value)
        record_property(ERROR, f"net_arch {arch}|{caught.value}")


@algorithms
def test_a_network_may_be_a_mapping(name: str) -> None:
    network = {"hidden_sizes": [6], "neuron": "lif", "neuron_parameters": {"tau_mem_ms": 7.0}}
    model = make(name, policy_kwargs={"network": network})
    assert model.policy.network == NetworkConfig.from_dict(network)
    with pytest.raises(ValueError, match="neurone"):
        make(name, policy_kwargs={"network": {"neurone": "lif"}})
    with pytest.raises(ValueError, match=r"network must be a NetworkConfig or a mapping .* got 5"):
        make(name, policy_kwargs={"network": 5})


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithm_with_anothers_policy_is_told_its_own(name: str, record_property: Any) -> None:
    discrete = name in ("DQN", "QRDQN", "StatefulDQN")
    env = Identity(action="Discrete" if discrete else "Box")
    (own,) = (policy for policy, kind in POLICIES.items() if name in kind.algorithms)
    assert type(ALGORITHMS[name](POLICIES[own], env).policy) is POLICIES[own]
    for policy, kind in POLICIES.items():
        if policy == own:
            continue
        with pytest.raises(ValueError, match=f"{name} needs {own}, got {policy}, which") as caught:
            ALGORITHMS[name](kind, env)
        assert "\n" not in str(caught.value)
    record_property(ERROR, f"{name} with another's policy|{caught.value}")


@pytest.mark.parametrize(
    ("algorithm", "substitute"),
    [
        ("CrossQ", "SAC with SpikingSACPolicy or TQC with SpikingTQCPolicy"),
        ("MaskablePPO", "PPO with SpikingActorCriticPolicy, which masks no actions"),
        ("RecurrentPPO", "snn_gym.learners.StatefulPPO with StatefulActorCriticPolicy"),
    ],
)
def test_an_algorithm_without_a_spiking_policy_names_the_substitute(
    algorithm: str, substitute: str
) -> None:
    kind = getattr(sb3_contrib, algorithm)
    env = Identity(action="Box" if algorithm == "CrossQ" else "Discrete")
    mine = type("Mine", (kind,), {})
    for policy in POLICIES.values():
        for made in (kind, mine):
            with pytest.raises(ValueError, match=f"^{algorithm} has no spiking policy, got") as got:
                made(policy, env)
            assert str(got.value).endswith(f"{policy.__name__}; use {substitute}")
            assert "\n" not in str(got.value)


def test_a_subclass_of_an_algorithm_takes_the_same_policy() -> None:
    class Mine(CASES["DQN"].algorithm):  # type: ignore[misc]
        pass

    assert Mine(policies.SpikingDQNPolicy, Identity()).policy
    with pytest.raises(ValueError, match="DQN needs SpikingDQNPolicy"):
        Mine(policies.SpikingActorCriticPolicy, Identity())


def test_an_actor_may_have_an_activation_of_its_own(record_property: Any) -> None:
    ann = {"spiking_actor": False}
    policy = make("PPO", policy_kwargs={**ann, "actor_activation": "relu"}).policy
    again = type(policy)(**policy._get_constructor_parameters())
    for networks in (policy.mlp_extractor, again.mlp_extractor):
        kinds = [[type(x) for x in part] for part in (networks.actor, networks.critic)]
        assert kinds == [[nn.Linear, nn.ReLU], [nn.Linear, nn.Tanh]]
    for arguments, message in (
        ({"actor_activation": "relu"}, "is for an actor that neither spikes nor carries a state"),
        ({**ann, "actor_activation": "gelu"}, "must be one of tanh, relu or None, got 'gelu'"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            make("PPO", policy_kwargs=arguments)
        record_property(ERROR, f"actor_activation {arguments}|{caught.value}")
    stateful = {**ann, "actor_activation": "relu"}
    with pytest.raises(ValueError, match="neither spikes nor carries a state"):
        StatefulPPO(policies.StatefulActorCriticPolicy, Identity(), policy_kwargs=stateful)
