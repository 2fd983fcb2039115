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
def test_without_episode_start_no_state_is_reset(kind):
    made, seen = policy(kind), np.full((2, 3), 0.7, np.float32)
    _, state = made.predict(seen)
    _, carried = made.predict(seen, state)
    _, told = made.predict(seen, state, np.array([False, False]))
    _, first_anew = made.predict(seen, state, np.array([True, False]))
    assert np.array_equal(carried[0], told[0])
    assert np.array_equal(first_anew[0], np.stack([state[0][0], carried[0][1]]))
    assert not np.array_equal(state[0], carried[0])


def test_target_and_online_network_are_alike_and_share_the_normaliser():
    made = policy()
    assert made.q_net_target.normaliser is made.q_net.normaliser is made.normaliser
    assert made.normaliser is not None
    for one, other in zip(made.q_net.parameters(), made.q_net_target.parameters(), strict=True):
        assert one is not other
        assert torch.equal(one, other)


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


@pytest.mark.parametrize(
    ("shape", "starts", "message"),
    [
        ((2, 71), None, r"state must be one array of shape \(2, 72\) for this policy and 2 obs"),
        ((3, 72), None, r"got \[\(3, 72\)\]; pass on what predict returned, or None to start"),
        ((2, 72), [True], r"episode_start must have one entry for each of 2 observations"),
    ],
)
def test_states_that_do_not_fit_are_refused(shape, starts, message):
    episode_start = None if starts is None else np.array(starts)
    with pytest.raises(ValueError, match=message):
        policy().predict(
            np.zeros((2, 3), np.float32), (np.zeros(shape, np.float32),), episode_start
        )


def test_unknown_units_and_arguments_are_refused():
    with pytest.raises(ValueError, match="gated must be one of gru, lstm, got 'rnn'"):
        policy("gru", gated="rnn")
    with pytest.raises(ValueError, match="the policy for StatefulDQN, takes no argument critic"):
        policy(critic=1)
