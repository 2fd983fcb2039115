"""Tests of the policy of gradient-free learners."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.testing import assert_allclose
from torch.testing import assert_close

from snn_gym.policies import SpikingControllerPolicy
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.bookkeeping import full_state

NETWORK = NetworkConfig(hidden_sizes=(6,), time_steps=4)
UNIT = spaces.Box(-1.0, 1.0, (3,), np.float32)


def policy(observations=UNIT, actions=None, **arguments):
    torch.manual_seed(1)
    return SpikingControllerPolicy(
        observations, actions or spaces.Discrete(3), network=NETWORK, **arguments
    )


def seen(count=50, size=3):
    return np.random.default_rng(0).normal(0, 2, (count, size)).astype(np.float32)


def test_a_discrete_action_is_the_largest_output_for_scaled_and_clipped_observations():
    made = policy()
    made.set_observation_limits([0.0, -2.0, 1.0], [2.0, 2.0, 1.5])
    scaled = (seen() - [1.0, 0.0, 1.25]) / [1.0, 2.0, 0.25]
    inputs = torch.tensor(np.clip(scaled, -1, 1), dtype=torch.float32)
    outputs = made.controller(inputs)[0]
    assert_close(made(torch.from_numpy(seen())), outputs)
    actions, state = made.predict(seen())
    assert state is None
    assert np.array_equal(actions, outputs.argmax(1))
    assert len(set(actions)) > 1
    assert np.array_equal(made.predict(seen(), deterministic=True)[0], actions)


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_values_of_a_box_are_tanh_of_the_outputs_scaled_to_its_limits(shape):
    low, high = np.array([-2.0, 0.0]).reshape(shape), np.array([2.0, 5.0]).reshape(shape)
    made = policy(actions=spaces.Box(low, high, dtype=np.float32))
    outputs = made(torch.from_numpy(seen())).numpy()
    expected = np.array([0.0, 2.5]) + np.array([2.0, 2.5]) * np.tanh(outputs)
    actions = made.predict(seen())[0]
    assert_allclose(actions, expected.reshape(-1, *shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("space", "sample", "inputs"),
    [
        (spaces.Discrete(4), np.array([2, 0]), [[0, 0, 1, 0], [1, 0, 0, 0]]),
        (spaces.MultiBinary(3), np.array([[1, 0, 1]], np.int8), [[1, 0, 1]]),
    ],
)
def test_discrete_observations_reach_the_network_as_flags(space, sample, inputs):
    made = policy(space)
    assert made.normaliser is None
    assert_close(made.network_inputs(made.obs_to_tensor(sample)[0]), torch.tensor(inputs).float())
    with pytest.raises(ValueError, match="are not scaled; leave the limits out"):
        made.set_observation_limits([0], [1])


def test_hidden_neurons_fire_from_the_start():
    recording = policy().record(seen() / 4)
    assert recording.layers[0].spikes.mean() > 0.05
    assert recording.macs_per_decision() == {"normaliser": 3, "hidden_1": 18}


@pytest.mark.parametrize(
    ("observations", "actions", "message"),
    [
        (UNIT, spaces.MultiDiscrete([2, 2]), r"chooses Discrete, Box actions.*\(PPO, A2C, TRPO\)"),
        (UNIT, spaces.MultiBinary(2), r"chooses Discrete, Box actions.*\(PPO, A2C, TRPO\)"),
        (UNIT, spaces.Box(-np.inf, 1.0, (2,)), "bounded action space.*RescaleAction"),
        (UNIT, spaces.Discrete(2, start=1), "starts at 1"),
        (spaces.MultiBinary((4, 3)), spaces.Discrete(2), "the spike train.*without snn/"),
        (
            spaces.Box(0, 255, (3, 64, 64), np.uint8), spaces.Discrete(2),
            "NatureCNN has weights of its own.*SpikingActorCriticPolicy",
        ),
    ],
)  # fmt: skip
def test_unsupported_spaces_are_refused(observations, actions, message):
    with pytest.raises(ValueError, match=message):
        policy(observations, actions)


def test_saved_weights_and_limits_are_sufficient_to_act(tmp_path):
    saved, fresh = policy(), policy()
    assert not any(parameter.requires_grad for parameter in saved.parameters())
    assert saved.parameters_to_vector().size == 6 * (3 + 1) + 3 * (6 + 1)
    saved.load_from_vector(-saved.parameters_to_vector())
    saved.set_observation_limits([-3.0] * 3, [1.0] * 3)
    saved.save(tmp_path / "policy.pt")
    loaded = SpikingControllerPolicy.load(tmp_path / "policy.pt")
    assert loaded.network == NETWORK
    assert_close(full_state(loaded), full_state(saved))
    tensors = saved.acting_state_dict()
    assert {name for name in tensors if name.startswith("scaler")} == {"scaler.mean", "scaler.std"}
    assert {name.split(".")[0] for name in tensors} == {"controller", "scaler"}
    fresh.load_acting_state_dict(tensors)
    for other in (loaded, fresh):
        assert np.array_equal(other.predict(seen())[0], saved.predict(seen())[0])
    with pytest.raises(ValueError, match=r"shape \(3,\), got \(2,\) and \(2,\)"):
        saved.set_observation_limits([0, 0], [1, 1])
