"""Frozen agents against the agents that they were made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import PPO
from stable_baselines3.common.utils import ConstantSchedule

from snn_gym.export import freeze
from snn_gym.policies import SpikingActorCriticPolicy, StatefulActorCriticPolicy
from snn_gym.program import NeuronLayer
from snn_gym.program.compiled import quiet_current
from snn_gym.program.neurons import ALIF, IAF, LIFBox
from tests.export.made import CHOSEN, SEEN, STATELESS, build, observe, spiking
from tests.policies.firing import made_to_fire


def check(policy: Any, observations: Any) -> Any:
    """Assert that a frozen policy acts as its origin does; return the actions."""
    expected = policy.predict(observations, deterministic=True)[0]
    found = freeze(policy).predict(observations)[0]
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    return found


@pytest.mark.parametrize(("kind", "seen", "chosen", "network"), [
    *STATELESS, (SpikingActorCriticPolicy, "analogue", "discrete", {"recurrent": True}),
])  # fmt: skip
def test_actions_equal_the_agents(
    kind: type[Any], seen: str, chosen: str, network: dict[str, Any]
) -> None:
    policy, observations = build(kind, seen, chosen, **network), observe(seen, 60)
    found = check(policy, observations)
    rows = observations.reshape(len(observations), -1).astype(np.float32)
    assert len(np.unique(freeze(policy).outputs(rows), axis=0)) > 10
    for row in range(3):
        one = freeze(policy).predict(observations[row])[0]
        assert np.shape(one) == CHOSEN[chosen].shape
        np.testing.assert_array_equal(one, found[row])


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    steps=st.integers(2, 9),
    neuron=st.sampled_from(["lif_box", "lif", "iaf", "alif"]),
    bias=st.floats(-3.0, 1.0),
    seen=st.sampled_from(sorted(SEEN)),
)
def test_networks_with_silent_neurons_are_frozen(
    sizes: list[int], steps: int, neuron: str, bias: float, seen: str
) -> None:
    steps = 5 if seen == "spikes" else steps
    network = {"hidden_sizes": tuple(sizes), "neuron": neuron, "time_steps": steps}
    policy = build(SpikingActorCriticPolicy, seen, **network)
    with torch.no_grad():
        for layer in policy.acting_network().layers:
            layer.linear.bias += bias
    check(policy, observe(seen, 20))


@pytest.mark.parametrize("activation", [torch.nn.Tanh, torch.nn.ReLU])
def test_anns_are_frozen(activation: type[torch.nn.Module]) -> None:
    torch.manual_seed(0)
    policy = SpikingActorCriticPolicy(
        SEEN["analogue"], CHOSEN["continuous"], ConstantSchedule(0.1),
        network={"hidden_sizes": [30, 7]}, spiking_actor=False, spiking_critic=False,
        activation_fn=activation,
    )  # fmt: skip
    found = check(made_to_fire(policy), observe("analogue", 40))
    assert len(np.unique(found)) > 40


def test_the_quiet_current_is_the_largest_without_a_spike() -> None:
    def layer(neuron: str) -> NeuronLayer:
        return spiking(build(SpikingActorCriticPolicy, neuron=neuron)).layers[0]

    box = layer("lif_box")
    assert box.neuron is LIFBox
    gain, threshold = box.numbers["mem_gain"], box.numbers["v_threshold"]
    # v(T) = (1 - (1 - gain)^T) x from rest at 0
    assert quiet_current(box, 5) == pytest.approx(threshold / (1 - (1 - gain) ** 5), rel=1e-4)
    assert quiet_current(box, 1) == pytest.approx(threshold / gain, rel=1e-4)
    summing = layer("iaf")
    assert summing.neuron is IAF
    fires_at = summing.numbers["v_threshold"] / 4
    assert quiet_current(summing, 4) == pytest.approx(fires_at, rel=1e-4)
    adaptive = layer("alif")
    assert adaptive.neuron is ALIF
    assert quiet_current(adaptive, 1) == pytest.approx(1e6, rel=1e-4)  # arrives a step later
    box.constants[0] = 1.5  # its gain overshoots: less may fire where more does not
    assert quiet_current(box, 5) == -np.inf


def test_a_state_is_carried_and_reset() -> None:
    policy = build(StatefulActorCriticPolicy, recurrent=True)
    frozen, short, long = freeze(policy), None, None
    rng = np.random.default_rng(0)
    for observations in observe("analogue", 80).reshape(8, 10, -1):
        starts = rng.random(10) < 0.3
        actions, short = frozen.predict(observations, short, starts)
        expected, long = policy.predict(observations, long, starts, deterministic=True)
        np.testing.assert_array_equal(actions, expected)
        assert short is not None
        assert long is not None
        np.testing.assert_array_equal(short[0], long[0])
    with pytest.raises(ValueError, match=r"state has the shape \(2, 3\), expected \(10, "):
        frozen.predict(observations, (np.zeros((2, 3), np.float32),))


def test_wrong_calls_and_other_policies_are_refused() -> None:
    frozen = freeze(build(SpikingActorCriticPolicy))
    with pytest.raises(ValueError, match=r"shape \(2, 4\), expected \(3,\) or a batch"):
        frozen.predict(np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match="pass deterministic=True"):
        frozen.predict(np.zeros(3, np.float32), deterministic=False)
    with pytest.raises(ValueError, match="only policies of snn_gym are exported, got ActorCritic"):
        freeze(PPO("MlpPolicy", "CartPole-v1"))
