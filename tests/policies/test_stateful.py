"""Tests of ``predict`` with a state, as in Stable-Baselines3."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.utils import ConstantSchedule

from snn_gym.policies import StatefulActorCriticPolicy
from snn_gym.spiking import NetworkConfig

BOX = gym.spaces.Box(-1.0, 1.0, (3,))
ALIF = NetworkConfig((10, 8), 4, neuron="alif", recurrent=True)
KINDS = {"alif": {"network": ALIF}, "gru": {"network": ALIF, "spiking_actor": False}}
SIZES = {"alif": 4 * (10 + 8), "gru": 10 + 8}
every_kind = pytest.mark.parametrize("kind", KINDS)


def policy(kind="alif", observations=BOX, actions=None, **others):
    torch.manual_seed(0)
    actions = gym.spaces.Discrete(2) if actions is None else actions
    arguments = {**KINDS[kind], **others}
    made = StatefulActorCriticPolicy(observations, actions, ConstantSchedule(0.1), **arguments)
    made.train(False)
    return made


def seen(steps=5, batch=3):
    return np.random.default_rng(0).uniform(-1, 1, (steps, batch, 3)).astype(np.float32)


@every_kind
def test_states_are_one_flat_array_per_observation(kind):
    _, state = policy(kind).predict(seen()[0])
    assert [part.shape for part in state] == [(3, SIZES[kind])]
    assert state[0].dtype == np.float32


@every_kind
def test_observations_of_a_batch_have_separate_states(kind):
    made, steps = policy(kind, actions=gym.spaces.Box(-1.0, 1.0, (2,))), seen()
    together, state = [], None
    for batch in steps:
        actions, state = made.predict(batch, state, deterministic=True)
        together.append(actions)
    for index in range(3):
        own = None
        for batch, actions in zip(steps, together, strict=True):
            alone, own = made.predict(batch[index], own, deterministic=True)
            assert alone.shape == (2,)
            np.testing.assert_allclose(alone, actions[index], atol=1e-6)


@every_kind
def test_states_matter_until_an_episode_starts(kind):
    made, steps = policy(kind), seen()
    _, state = made.predict(steps[0])
    _, fresh = made.predict(steps[1])
    _, carried = made.predict(steps[1], state)
    assert not np.array_equal(carried[0], fresh[0])
    starts = np.array([True, False, True])
    _, mixed = made.predict(steps[1], state, starts)
    expected = np.where(starts[:, None], fresh[0], carried[0])
    np.testing.assert_allclose(mixed[0], expected, atol=1e-6)
    _, nowhere = made.predict(steps[1], state, np.zeros(3, np.bool_))
    assert np.array_equal(nowhere[0], carried[0])  # as without episode_start
    _, everywhere = made.predict(steps[1], state, np.ones(3, np.bool_))
    np.testing.assert_allclose(everywhere[0], fresh[0], atol=1e-6)


@every_kind
def test_invalid_states_and_starts_are_refused(kind):
    made, steps = policy(kind), seen()
    _, state = made.predict(steps[0])
    size = SIZES[kind]
    wrong = {
        "two observations": ((state[0][:2],), rf"got \[\(2, {size}\)\]"),
        "one number short": ((state[0][:, 1:],), rf"got \[\(3, {size - 1}\)\]"),
        "two arrays": ((state[0], state[0]), rf"shape \(3, {size}\) for this policy"),
    }
    for given, message in wrong.values():
        with pytest.raises(ValueError, match=message):
            made.predict(steps[1], given)
    with pytest.raises(ValueError, match="one entry for each of 3 observations"):
        made.predict(steps[1], state, np.zeros(2, np.bool_))


@every_kind
def test_recording_shows_the_decision_that_the_state_leads_to(kind):
    made, steps = policy(kind), seen()
    _, state = made.predict(steps[0])
    rested, carried = made.record(steps[1]), made.record(steps[1], state)
    assert not torch.equal(rested.output, carried.output)
    assert carried.output.shape == (3, 8)
    assert len(carried.layers) == (2 if kind == "alif" else 0)
    with pytest.raises(ValueError, match="state must be one array"):
        made.record(steps[1], (state[0][:, 1:],))


def test_spike_trains_reach_spiking_and_gated_units():
    spikes = gym.spaces.MultiBinary((6, 5))
    for kind in KINDS:
        made = policy(kind, spikes)
        _, state = made.predict(np.stack([spikes.sample() for _ in range(4)]))
        assert state[0].shape == (4, SIZES[kind])
    assert policy("alif", spikes).mlp_extractor.actor.config.time_steps == 6
    assert policy("gru", spikes).mlp_extractor.actor.layers[0].input_size == 30


def test_unknown_units_and_arguments_are_refused():
    with pytest.raises(ValueError, match=r"gated must be of gru, lstm, rnn, .*, got 'mgu'"):
        policy("gru", gated="mgu")
    for gated, message in (
        (("leaky", "relu"), "gated names 2 layers and hidden_sizes 1; give one kind for each"),
        ("relu", "gated units of an agent must carry a state in at least one layer, got relu"),
    ):
        with pytest.raises(ValueError, match=message):
            policy("gru", gated=gated, network={"hidden_sizes": [8]})
    with pytest.raises(ValueError, match="the policy for StatefulPPO, takes no argument critic"):
        policy(critic=1)
