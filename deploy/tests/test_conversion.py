"""Converted ANNs: spikes count the units' activations, and agents act about the same."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym import evaluate, load_pretrained
from snn_gym.learners import PPO
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.program.builtin_neurons import NEURONS, SoftIAFParameters
from snn_gym.spiking.layer_neurons import LayerNeurons
from snn_gym_deploy import convert
from snn_gym_deploy.conversion import _visited


@settings(max_examples=50, deadline=None)
@given(current=st.floats(-2.0, 2.0), threshold=st.floats(0.25, 3.0), steps=st.integers(1, 40))
def test_spikes_of_a_constant_current_are_its_rounded_activation(current, threshold, steps):
    parameters = SoftIAFParameters(v_threshold=threshold, v_start=threshold / 2)
    neuron = LayerNeurons(NEURONS["iaf_soft"], parameters, 1.0, "superspike", 5.0)
    like = torch.zeros(1, 1, dtype=torch.float64)
    run = neuron.run_stepped(
        torch.full((1, 1, 1), current, dtype=torch.float64), neuron.initial_state(1, 1, like), steps
    )
    # floor(T x / theta + 1/2), none below 0 and one a step at most
    exact = steps * current / threshold + 0.5
    if abs(exact - round(exact)) > 1e-6:
        assert run.spikes.sum() == min(max(np.floor(exact), 0), steps)


@pytest.fixture(scope="module")
def ann():
    return load_pretrained("dqn-mlp", "CartPole-v1")


def test_outputs_approach_those_of_the_ann_with_more_time_steps(ann):
    seen = _visited(ann.policy, "CartPole-v1", 200, None)[:300]  # within the thresholds
    values = ann.policy.record(seen).output
    apart = []
    for steps in (4, 32, 256):
        made = convert(ann, "CartPole-v1", steps, decisions=200)
        apart.append(float((made.record(seen).output - values).abs().mean()))
    assert apart[0] > 2 * apart[1] > 4 * apart[2]
    assert apart[2] < 0.01 * float(values.abs().mean())


def test_an_agent_of_continuous_actions_is_converted_and_plays():
    stored = load_pretrained("sac-mlp", "Pendulum-v1")
    made = convert(stored, "Pendulum-v1", 16, decisions=200)
    ours, theirs = (evaluate(x, "Pendulum-v1", 5) for x in (made, stored))
    assert abs(ours.mean - theirs.mean) < 30.0
    assert ours.total("synops_per_decision") > 0


def test_a_rectified_actor_beside_another_critic_is_converted():
    kwargs = {"spiking_actor": False, "actor_activation": "relu"}
    model = PPO(SpikingActorCriticPolicy, "CartPole-v1", policy_kwargs=kwargs, seed=0)
    model.learn(2048)
    made = convert(model, "CartPole-v1", 64, decisions=200)
    seen = _visited(model.policy, "CartPole-v1", 50, None)
    values, theirs = (x.behaviour(x.record(seen).output).detach() for x in (made, model.policy))
    assert float((values - theirs).abs().mean()) < 0.02 * float(theirs.abs().mean())


def test_a_convolution_is_converted_to_dense_layers():
    kwargs = {
        "spiking_actor": False,
        "actor_activation": "relu",
        "network": {"convolutions": [{"filters": 2}], "hidden_sizes": [16]},
    }
    settings = {"n_steps": 128, "seed": 0, "policy_kwargs": kwargs}
    model = PPO(SpikingActorCriticPolicy, "snn/MinAtar-Breakout-v0", **settings).learn(512)
    made = convert(model, "snn/MinAtar-Breakout-v0", 256, decisions=200)
    seen = _visited(model.policy, "snn/MinAtar-Breakout-v0", 50, None)
    values, theirs = (x.behaviour(x.record(seen).output).detach() for x in (made, model.policy))
    assert made.network.hidden_sizes == (128, 16)
    assert float((values - theirs).abs().mean()) < 0.02 * float(theirs.abs().mean())


def test_networks_other_than_rectified_anns_are_refused():
    for agent in ("ppo-mlp", "ppo-lif"):
        with pytest.raises(ValueError, match="only ANNs of ReLU units are converted"):
            convert(load_pretrained(agent, "CartPole-v1"), "CartPole-v1")
