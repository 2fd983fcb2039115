"""Frozen agents against the agents that they were made of."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import PPO

from snn_gym.policies import SpikingActorCriticPolicy, StatefulActorCriticPolicy, freeze
from snn_gym.program.builtin_neurons import ALIF, IAF, LIFBox
from snn_gym.program.compiled import quiet_current
from tests.made import SEEN, build, observe, spiking


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    steps=st.integers(2, 9),
    neuron=st.sampled_from(["lif_box", "lif", "iaf", "alif"]),
    bias=st.floats(-3.0, 1.0),
    seen=st.sampled_from(sorted(SEEN)),
)
def test_networks_with_silent_neurons_are_frozen(sizes, steps, neuron, bias, seen):
    steps = 5 if seen == "spikes" else steps
    network = {"hidden_sizes": tuple(sizes), "neuron": neuron, "time_steps": steps}
    policy = build(SpikingActorCriticPolicy, seen, **network)
    with torch.no_grad():
        for layer in policy.acting_network().layers:
            layer.linear.bias += bias
    observations = observe(seen, 20)
    expected = policy.predict(observations, deterministic=True)[0]
    actions = freeze(policy).predict(observations)[0]
    np.testing.assert_allclose(actions, expected, rtol=1e-5, atol=1e-5)


def test_the_quiet_current_is_the_largest_without_a_spike():
    def layer(neuron):
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


def test_wrong_calls_and_other_policies_are_refused():
    frozen = freeze(build(SpikingActorCriticPolicy))
    with pytest.raises(ValueError, match=r"shape \(2, 4\), expected \(3,\) or a batch"):
        frozen.predict(np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match="pass deterministic=True"):
        frozen.predict(np.zeros(3, np.float32), deterministic=False)
    stateful = freeze(build(StatefulActorCriticPolicy))
    with pytest.raises(ValueError, match=r"state has the shape \(2, 3\), expected \(1, "):
        stateful.predict(np.zeros((1, 3), np.float32), (np.zeros((2, 3), np.float32),))
    with pytest.raises(ValueError, match="only policies of snn_gym are exported, got ActorCritic"):
        freeze(PPO("MlpPolicy", "CartPole-v1"))
