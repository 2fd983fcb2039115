"""The Q-network that carries its state."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.utils import ConstantSchedule

from snn_gym.policies import StatefulDQNPolicy
from snn_gym.spiking import NetworkConfig

BOX = gym.spaces.Box(-1.0, 1.0, (3,))
TRAINS = gym.spaces.MultiBinary((5, 6))
NETWORK = NetworkConfig((10, 8), 4, neuron="alif", recurrent=True)
KINDS = {"alif": {}, "gru": {"spiking": False}, "lstm": {"spiking": False, "gated": "lstm"}}
# An ALIF neuron has voltage, current, adaptation and its last spike.
SIZES = {"alif": 4 * 18, "gru": 18, "lstm": 2 * 18}
every_kind = pytest.mark.parametrize("kind", KINDS)


def policy(kind="alif", observations=BOX, **arguments):
    torch.manual_seed(0)
    return StatefulDQNPolicy(
        observations,
        gym.spaces.Discrete(4),
        ConstantSchedule(0.1),
        **{"network": NETWORK, **KINDS[kind], **arguments},
    )


@every_kind
@pytest.mark.parametrize("space", [BOX, TRAINS])
def test_the_best_action_is_chosen_and_the_state_goes_on(kind, space):
    made = policy(kind, space)
    space.seed(0)
    state, values_state = None, made.rest_state(3)
    assert values_state.shape == (3, SIZES[kind])
    for _ in range(4):
        seen = np.stack([space.sample() for _ in range(3)])
        actions, state = made.predict(seen, state)
        with torch.no_grad():
            values, values_state = made.q_net(made.obs_to_tensor(seen)[0], values_state)
        assert values.shape == (3, 4)
        assert np.array_equal(actions, values.argmax(dim=1))
        assert np.array_equal(state[0], values_state)


@every_kind
def test_a_saved_policy_acts_the_same(kind, tmp_path):
    made = policy(kind)
    made.save(tmp_path / "policy")
    loaded = StatefulDQNPolicy.load(tmp_path / "policy")
    assert (loaded.gated, loaded.spiking) == (made.gated, made.spiking)
    seen = np.random.default_rng(0).uniform(-1, 1, (5, 3)).astype(np.float32)
    one, other = made.predict(seen), loaded.predict(seen)
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1][0], other[1][0])


def test_unknown_units_and_arguments_are_refused():
    with pytest.raises(ValueError, match="gated must be one of gru, lstm, got 'rnn'"):
        policy("gru", gated="rnn")
    with pytest.raises(ValueError, match="the policy for StatefulDQN, takes no argument critic"):
        policy(critic=1)
