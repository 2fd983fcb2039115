"""Tests of faults of trained agents: noise, rounded weights, dead neurons, jitter."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.utils import ConstantSchedule

from snn_gym import load_pretrained
from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard import evaluate
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingControllerPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
    StatefulActorCriticPolicy,
)
from snn_gym.policies.frozen import FrozenPolicy
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.program import count_costs, decide
from snn_gym.spiking import NetworkConfig
from studies.faults.damage import (
    AbsentPartError,
    Faults,
    kept,
    rounded,
    with_faults,
)
from tests.made import CHOSEN, SEEN, build, observe
from tests.policies.firing import made_to_fire

KINDS = [
    SpikingActorCriticPolicy,
    SpikingControllerPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
    StatefulActorCriticPolicy,
]


def weights(policy):
    program = policy.program if isinstance(policy, FrozenPolicy) else policy.program()
    found = []
    for layer in program.layers:
        found.append(layer.weights.T)
        looped = getattr(layer, "recurrent", None)
        found += [] if looped is None else [looped.T]
    return [*found, program.head.weights]


def faulty(policy, **faults):
    return with_faults(policy, Faults(**faults))


def ann(kind, **arguments):
    torch.manual_seed(0)
    seen, chosen = SEEN["analogue"], CHOSEN["discrete"]
    arguments = {"network": NetworkConfig(hidden_sizes=(12, 9)), **arguments}
    made = kind(seen, chosen, ConstantSchedule(0.1), spiking_actor=False, **arguments)
    return made_to_fire(made)


@settings(deadline=None)
@given(st.integers(2, 16), st.integers(0, 2**32 - 1))
def test_rounded_weights_are_multiples_of_one_scale(bits, seed):
    values = np.random.default_rng(seed).normal(size=(5, 4))
    found, most = rounded(values, bits), 2 ** (bits - 1) - 1
    scale = abs(values).max() / most
    levels = found / scale
    np.testing.assert_allclose(levels, levels.round(), atol=1e-9)
    assert abs(levels).max() <= most + 1e-9
    assert abs(found - values).max() <= scale / 2 + 1e-12
    assert not rounded(0 * values, bits).any()


def test_with_faults_does_not_change_the_original_agent():
    policy, seen = build(SpikingActorCriticPolicy), observe("analogue", 20)
    before = weights(policy)
    made = with_faults(policy, Faults())
    assert np.array_equal(*(x.predict(seen, deterministic=True)[0] for x in (policy, made)))
    with_faults(policy, Faults(weights_bits=2, weight_noise=0.5, dead_neurons=0.5))
    assert all(np.array_equal(*pair) for pair in zip(before, weights(policy), strict=True))


@pytest.mark.parametrize("kind", [SpikingActorCriticPolicy, SpikingDQNPolicy, SpikingSACPolicy])
def test_every_matrix_from_observations_to_actions_is_rounded(kind):
    chosen = "continuous" if kind is SpikingSACPolicy else "discrete"
    made = with_faults(build(kind, chosen=chosen), Faults(weights_bits=3))
    found = weights(made)
    assert [len(x) for x in found] == [12, 9, 2 if chosen == "continuous" else 3]
    assert all(len(np.unique(x)) <= 7 for x in found)


def test_dead_neurons_have_no_effect():
    made = with_faults(build(SpikingActorCriticPolicy), Faults(dead_neurons=1.0))
    first, *others = weights(made)
    assert abs(first).min() > 0  # observations are no neurons
    assert all(not x.any() for x in others)


@pytest.mark.parametrize("carries_state", [False, True])
@pytest.mark.parametrize("spiking", [False, True])
def test_readout_of_dead_neurons_is_the_bias(spiking, carries_state):
    kind = StatefulActorCriticPolicy if carries_state else SpikingActorCriticPolicy
    policy = build(kind, recurrent=carries_state) if spiking else ann(kind)
    policy.action_net.bias.data.copy_(torch.tensor([0.5, 2.0, -1.0]))
    made, seen = with_faults(policy, Faults(dead_neurons=1.0)), observe("analogue", 20)
    said, unsaid = (decide(x, seen).outputs for x in (policy.program(), made.program))
    assert len(np.unique(said, axis=0)) > 1
    np.testing.assert_array_equal(unsaid, np.tile(np.float32([0.5, 2.0, -1.0]), (20, 1)))
    assert made.predict(seen)[0].tolist() == [1] * 20


@pytest.mark.parametrize("spiking", [False, True])
def test_dead_neurons_have_no_effect_on_their_own_layer(spiking):
    kind = StatefulActorCriticPolicy
    policy = build(kind, recurrent=True) if spiking else ann(kind)
    made = with_faults(policy, Faults(dead_neurons=0.5, seed=1))
    first, own_1, second, own_2, head = ((x != 0).any(0) for x in weights(made))
    assert first.all()
    for own, above in ((own_1, second), (own_2, head)):
        assert np.array_equal(own, above)
        assert 0 < own.sum() < len(own)


@pytest.mark.parametrize("hidden_sizes", [(), (12, 9)])
def test_matrices_of_an_ann_are_rounded(hidden_sizes):
    policy = ann(SpikingActorCriticPolicy, network=NetworkConfig(hidden_sizes=hidden_sizes))
    found = weights(with_faults(policy, Faults(weights_bits=3, dead_neurons=0.1)))
    assert [len(x) for x in found] == [*hidden_sizes, 3]
    assert all(len(np.unique(x)) <= 7 for x in found)


@pytest.mark.parametrize(("gated", "gates"), [("gru", 3), ("lstm", 4), ("rnn", 1)])
def test_every_matrix_of_a_gated_network_is_rounded(gated, gates):
    policy = ann(StatefulActorCriticPolicy, gated=gated)
    found = weights(with_faults(policy, Faults(weights_bits=3)))
    shapes = [(12 * gates, 3), (12 * gates, 12), (9 * gates, 12), (9 * gates, 9), (3, 9)]
    assert [tuple(x.shape) for x in found] == shapes
    assert all(len(np.unique(x)) <= 7 for x in found)


def test_losing_all_spikes_equals_dead_neurons():
    policy, seen = build(SpikingActorCriticPolicy), observe("analogue", 20)
    deaf, lost = (with_faults(policy, Faults(**{x: 1.0})) for x in ("dead_neurons", "spike_loss"))
    one, other = (x.record(seen).output for x in (deaf, lost))
    assert torch.equal(one, other)
    assert len(np.unique(decide(policy.program(), seen).outputs, axis=0)) > 1


def test_spikes_are_lost_independently():
    policy, seen = build(SpikingActorCriticPolicy), observe("analogue", 400)
    one, same, other = (
        faulty(policy, spike_loss=0.3, seed=x).record(seen).costs for x in (1, 1, 2)
    )
    assert one == same
    assert one != other
    sent = count_costs(policy.program(), seen).spikes_per_decision["hidden_1"]
    lost = 1 - one.spikes_per_decision["hidden_1"] / sent
    assert abs(lost - 0.3) < 5 * (0.21 / (400 * sent)) ** 0.5


def test_recurrent_spikes_are_not_lost():
    policy, seen = build(StatefulActorCriticPolicy, recurrent=True), observe("analogue", 30)
    made = with_faults(policy, Faults(spike_loss=1.0))
    whole, state = made.predict(seen)
    again, after = policy.predict(seen, deterministic=True)
    del whole, again
    # Of the first layer, which hears nobody else, the state is what it is without the fault.
    first = slice(0, 2 * 12)
    np.testing.assert_allclose(state[0][:, first], after[0][:, first], rtol=1e-5, atol=1e-6)
    assert state[0][:, 12:24].any()  # spikes that came back


@pytest.mark.parametrize("kind", KINDS)
def test_noise_has_the_given_standard_deviation(kind):
    policy = build(kind, chosen="continuous" if kind is SpikingSACPolicy else "discrete")
    program = policy.program()
    seen = np.tile(program.normalisers[0].mean, (2000, 1))  # which is 0 to the network
    one, same, other = (
        faulty(policy, observation_noise=0.2, seed=seed).entered(seen) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    # Of n draws, the mean has the standard error s / sqrt(n), the deviation s / sqrt(2 n).
    assert abs(one.mean(0)).max() < 5 * 0.2 / 2000**0.5
    assert abs(one.std(0) - 0.2).max() < 5 * 0.2 / 4000**0.5


@pytest.mark.parametrize("kind", KINDS)
def test_noise_changes_actions_and_zero_noise_does_not(kind):
    policy = build(kind, chosen="continuous" if kind is SpikingSACPolicy else "discrete")
    seen = observe("analogue", 50)
    acted = [faulty(policy, observation_noise=x).predict(seen)[0] for x in (0.0, 2.0, 2.0)]
    expected = policy.predict(seen, deterministic=True)[0]
    np.testing.assert_allclose(acted[0], expected, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(acted[0], acted[1])
    assert np.array_equal(acted[1], acted[2])


def test_noise_is_clipped_with_the_observation():
    policy = build(SpikingActorCriticPolicy)
    noisy = faulty(policy, observation_noise=1e6).entered(np.zeros((50, 3), np.float32))
    assert np.array_equal(abs(noisy), np.full((50, 3), policy.normaliser.clip))


def test_noise_has_the_unit_of_a_vec_normalize():
    model = load_pretrained("sb3-ppo", "MountainCar-v0")
    statistics = raw_policy(model).scaling.statistics[""]
    made = with_faults(model, Faults(observation_noise=0.2))
    noisy = made.entered(np.tile(statistics.mean, (2000, 1)))
    assert abs(noisy.std(0) - 0.2).max() < 5 * 0.2 / 4000**0.5


def test_policies_without_a_program_have_no_faults():
    space = spaces.Dict({"lamps": spaces.MultiBinary(4), "place": SEEN["analogue"]})
    policy = SpikingActorCriticPolicy(space, CHOSEN["discrete"], ConstantSchedule(0.1))
    with pytest.raises(ValueError, match="are not exported; train on a Box or MultiBinary space"):
        with_faults(policy, Faults(observation_noise=0.5))


@pytest.mark.parametrize("seen", ["spikes", "flags", "analogue"])
def test_observations_without_a_normaliser_have_no_noise(seen):
    policy = SpikingActorCriticPolicy(
        SEEN[seen], CHOSEN["discrete"], ConstantSchedule(0.1), normalise_observations=False
    )
    with pytest.raises(AbsentPartError, match="a normaliser standardises, and there are none"):
        with_faults(policy, Faults(observation_noise=0.1))


def test_an_ann_has_no_spikes_to_lose():
    with pytest.raises(ValueError, match="networks of spiking layers, and there are none"):
        with_faults(load_pretrained("ppo-mlp", "CartPole-v1"), Faults(spike_loss=0.1))


def test_jitter_changes_only_time_constants():
    policy = build(SpikingActorCriticPolicy, recurrent=True)
    before, made = policy.program(), with_faults(policy, Faults(tau_jitter=0.2, seed=1)).program
    for one, other in zip(before.neurons, made.neurons, strict=True):
        gains, *others = other.constants
        assert len(np.unique(gains)) == len(gains)
        assert (gains < 1).all()
        assert all((x == y).all() for x, y in zip(others, one.constants[1:], strict=True))
    pairs = zip(weights(policy), weights(with_faults(policy, Faults())), strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)
    seen = observe("analogue", 20)
    spikes = [decide(x, seen).spikes[0] for x in (before, made)]
    assert not np.array_equal(*spikes)


@pytest.mark.parametrize(("agent", "env_id"), [
    ("sb3-ppo", "CartPole-v1"), ("sb3-ppo", "MountainCar-v0"), ("recurrent-ppo-gru",
    "snn/IntervalTiming-v0"), ("ppo-lif", "Acrobot-v1"), ("local-actor-critic", "CartPole-v1"),
])  # fmt: skip
def test_stored_agents_with_zero_faults_act_unchanged(agent, env_id):
    model = load_pretrained(agent, env_id)
    whole, made = (
        evaluate(x, env_id, seeds=range(3)) for x in (model, with_faults(model, Faults()))
    )
    np.testing.assert_allclose(made.returns, whole.returns, rtol=0.02)
    assert made.operations_per_decision == pytest.approx(whole.operations_per_decision, rel=0.02)


def test_neurons_without_leak_have_no_time_constant_to_jitter():
    with pytest.raises(ValueError, match="neurons with a membrane time constant"):
        with_faults(build(SpikingActorCriticPolicy, neuron="iaf"), Faults(tau_jitter=0.1))


def test_what_is_kept_by_hand():
    # Random play earns 21.65, and a tenth of the way to 475 ends at 66.985.
    reference = load_environment_spec("CartPole-v1").reference
    assert kept(reference, 321.65, 321.65) == 1.0
    assert kept(reference, 21.65, 321.65) == 0.0
    assert kept(reference, 171.65, 321.65) == pytest.approx(0.5)
    assert kept(reference, 66.98, 66.98) is None
    assert kept(reference, 66.99, 66.99) == 1.0
