"""Tests of shedding: gradient, verdicts, and times of updates."""

import math
import re
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

from snn_gym.learners.lean_rules import BoundControl, StrengthControl
from snn_gym.learners.shedding import Shedding, acting_parameters, twin_of
from snn_gym.spiking import NetworkConfig
from tests.learners import shed
from tests.learners.shed import ONCE, begun, copied, distance, earned, make_shedding, put
from tests.policies.identity import Identity, observations

EARNED = BoundControl(0.02, 9.0, reference=100.0, gained=100.0)


def explicit_loss(shedding, observations, target, strength, share):
    """``divergence / bound + strength * cost / first cost``, written out for discrete actions.

    The divergence is the mean over the decisions with the largest divergence.
    """
    policy, heat = shedding._policy, shedding.counters.temperature
    behaviour, spikes = policy.watched(observations)
    taught = torch.softmax(target / heat, 1)
    ratio = torch.log_softmax(target / heat, 1) - torch.log_softmax(behaviour / heat, 1)
    apart, _ = torch.sort((taught * ratio).sum(1), descending=True)
    count = round(share * len(behaviour))
    divergence = apart[:count].sum() / count
    cost = 0.0
    for fired, fan_out in zip(spikes, shedding._fan_outs, strict=True):
        f = fired.sum((0, 1)) / (fired.shape[0] * fired.shape[1])
        cost = cost + fan_out * 4 * (f / 2 + f * f).sum()
    return divergence / shedding.bound.bound + strength * cost / shedding.counters.first_cost


@pytest.mark.parametrize("share", [1.0, 0.25])
@pytest.mark.parametrize("name", ["PPO", "DQN", "StatefulPPO"])
def test_gradient_equals_the_explicit_loss(name, share, monkeypatch):
    _, shedding = begun(name, updates=3, worst_share=share)
    sample = shedding._visited.sample(32)
    monkeypatch.setattr(shedding._visited, "sample", lambda *_: sample)
    weights = list(shedding._weights.values())
    before = [x.detach().clone() for x in weights]
    shedding._step()
    found = [x.grad.clone() for x in weights if x.grad is not None]
    with torch.no_grad():
        for x, value in zip(weights, before, strict=True):
            x.copy_(value)
    loss = explicit_loss(shedding, *sample, shedding.strength.strength, share)
    expected = torch.autograd.grad(loss, weights, materialize_grads=True, allow_unused=True)
    assert max(float(x.abs().max()) for x in expected) > 1e-3
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def zeros_of(shedding):
    layers = shedding._policy.acting_network().layers
    return [int((layer.linear.weight == 0).sum()) for layer in layers]


@pytest.mark.parametrize("signals", ["own", "prune"])
def test_pruning_share_is_the_strength_and_follows_the_divergence(signals, monkeypatch):
    monkeypatch.setattr(shed, "SMALL", replace(shed.SMALL, hidden_sizes=(16, 8)))
    _, shedding = begun("PPO", signals=signals, pruning=2.0, updates=9, tolerance=1.0)
    size = shedding._policy.acting_network().layers[1].linear.weight.numel()
    sample = shedding._visited.sample(32)
    monkeypatch.setattr(shedding._visited, "sample", lambda *_: sample)
    # Far within the bound more is pruned at every update, and far beyond it less.
    for bound, strength, grows in ((9.0, 1.0, True), (1e-9, 6.0, False)):
        shedding.bound, shedding.strength = BoundControl(bound, 9.0), StrengthControl(strength)
        seen = []
        for _ in range(4):
            shedding._step()
            now = shedding.strength.strength
            seen.append(now)
            assert zeros_of(shedding) == [0, int(2 * now / (1 + 2 * now) * size)]
        assert seen == sorted(seen, reverse=not grows)
        assert len(set(seen)) == 4
        assert (seen[0] > strength) == grows


def as_planes(bits):
    return np.kron(bits.reshape(2, 2, 1), np.ones((3, 6), np.int8)).astype(np.int8)


def test_weights_of_filters_are_shed_at_all_places():
    planes = gym.spaces.MultiBinary((2, 6, 6))
    env = gym.wrappers.TransformObservation(Identity("flags"), as_planes, planes)
    network = NetworkConfig(
        hidden_sizes=(8,), time_steps=4, regulation={"lean": {**shed.QUICK, **ONCE}},
        convolutions=({"filters": 3}, {"filters": 2, "kernel": 2}),
    )  # fmt: skip
    model = make_shedding("PPO", env=env, policy_kwargs={"network": network}).learn(192)
    shedding, policy = model.shedding, model.policy
    assert shedding.counters.updates == 1
    # 18 neurons read 12 of the 48 before them, and are read by 8, which are read by 4 outputs.
    assert shedding._fan_outs == [18 * 12 / 48, 8, 4]
    filters = [x.linear.filters for x in policy.acting_network().layers[:2]]
    assert bool((filters[0] != 0).all())  # of a constant input
    assert 0 < int((filters[1] == 0).sum()) < filters[1].numel()
    seen = shedding._visited.sample(32)[0]
    counted = policy.record(seen).costs.synops_per_decision
    assert shedding._cost(policy.watched(seen)[1])[1] == pytest.approx(sum(counted.values()))


def test_teacher_acts_like_the_original_and_is_not_trained():
    model, _ = begun()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    twin = twin_of(model.policy)
    assert torch.equal(torch.rand(3), expected)  # nothing was drawn
    seen, _ = model.policy.obs_to_tensor(observations("analogue", 16))
    policy = model.policy
    ours, theirs = policy.watched(seen)[0], twin.watched(seen)[0]
    assert torch.equal(ours, theirs)
    with torch.no_grad():
        for x in acting_parameters(policy).values():
            x.add_(1.0)
    assert torch.equal(twin.watched(seen)[0], theirs)


def weight(shedding):
    return float(next(iter(shedding._weights.values())).flatten()[0].detach())


def test_good_weights_are_restored_after_two_losses(monkeypatch):
    _, shedding = begun(episodes=2, widening=1.5)
    monkeypatch.setattr(shedding, "_is_unsettled", lambda: False)
    shedding.bound, shedding.strength = EARNED, StrengthControl(5.0)
    put(shedding, 0.25)
    earned(shedding, [100.0, 100.0])
    shedding._judge(0.5)  # kept: these weights are good
    assert shedding.bound.bound == pytest.approx(0.03)
    assert shedding.episodes.returns == []
    put(shedding, 0.5)
    earned(shedding, [10.0, 10.0])
    shedding._judge(0.5)  # lost: half of the bound, the weights stay
    assert (shedding.bound.bound, weight(shedding)) == (pytest.approx(0.015), 0.5)
    assert shedding.strength.strength == 5.0
    earned(shedding, [10.0, 10.0])
    shedding._judge(0.5)  # lost again: back
    assert (shedding.bound.bound, weight(shedding)) == (pytest.approx(0.0075), 0.25)
    # As text, because from Python 3.13 on no two dataclasses with a NaN are equal.
    assert repr(shedding.strength) == repr(StrengthControl(shedding._parameters.first_strength))
    assert not shedding._optimiser.state


@pytest.mark.parametrize(
    ("cost", "returns", "left"),
    [
        ("operations", [75.0, 75.0, 115.0, 115.0], 0.5),
        ("operations", [75.0, 75.0, 105.0, 105.0], 0.25),
        ("synops", [75.0, 75.0, 115.0, 115.0], 0.25),
    ],
)
def test_weights_whose_mean_return_is_kept_are_good_by_the_whole_cost(cost, returns, left):
    model, _ = begun(episodes=4, cost=cost, tolerance=0.05)
    shedding = model._begin_shedding(0.5)
    shedding._visited.collect()
    shedding.bound = EARNED
    shedding.strength = StrengthControl(1.0, smoothed=0.01)  # within the bound
    put(shedding, 0.25)
    shedding._good = copied(shedding._policy.acting_state_dict())
    put(shedding, 0.5)
    earned(shedding, returns)
    shedding._judge(0.5)  # the mean is unclear, for the returns vary
    earned(shedding, [0.0] * 4)
    put(shedding, 1.0)
    shedding.finish()
    assert weight(shedding) == left


def test_unclear_verdicts_wait_for_new_episodes():
    _, shedding = begun(episodes=4)
    shedding.bound = EARNED
    earned(shedding, [80.0, 80.0, 100.0, 100.0])
    shedding._judge(0.5)
    assert shedding.episodes.returns == [80.0, 80.0, 100.0, 100.0]
    assert shedding.bound == EARNED
    earned(shedding, [0.0] * 20 + [100.0] * 300)
    shedding._judge(0.5)  # the zeros are older than three hundred episodes
    assert shedding.bound.losses == 0
    assert shedding.episodes.returns == []


@pytest.mark.parametrize(
    ("returns", "comes_back"),
    [([0.0] * 2, True), ([100.0] * 2, False), ([0.0], False), ([], False)],
)
def test_worse_final_weights_are_reverted(returns, comes_back):
    _, shedding = begun(episodes=2)
    good = copied(shedding._policy.acting_state_dict())
    shedding._good, shedding.bound = good, EARNED
    earned(shedding, returns)
    put(shedding, 0.5)
    shedding.finish()
    assert (weight(shedding) != 0.5) == comes_back


def measured(bound, **settings):
    """Return a model and a shedding of it whose final weights have to be measured."""
    model, _ = begun(**settings)
    parameters = replace(model.lean_parameters, largest_rise=0.2)
    return model, Shedding(model, parameters, bound, 0.5)


@pytest.mark.parametrize(
    ("returns", "bound", "why"),
    [
        ([100.0] * 10, 1e9, None),
        ([100.0] * 5, 1e9, None),  # five equal returns leave no doubt
        ([100.0] * 4, 1e9, "fewer than 10 episodes measured the final ones"),
        ([50.0, 150.0] * 4, 1e9, "fewer than 10 episodes measured the final ones"),
        ([0.0] * 9, 1e9, "fewer than 10 episodes measured the final ones"),  # no loss of nine
        ([0.0] * 10, 1e9, "the final ones lost return"),
        ([100.0] * 10, 1e-12, r"the final ones were [\d.e-]+ nat from the frozen ones"),
    ],
)
def test_final_weights_stay_only_if_measured_and_within_the_bound(returns, bound, why):
    _, shedding = measured(replace(EARNED, bound=bound), episodes=10)
    shedding._visited.collect()
    start = weight(shedding)
    earned(shedding, returns)
    put(shedding, 0.5)
    report = shedding.finish()
    assert weight(shedding) == (0.5 if why is None else start)
    back = f"went back to weights that kept the return, because {why}"
    assert re.match("shed: " if why is None else back, report)
    assert shedding.divergence <= bound


def test_final_weights_that_kept_the_return_beyond_the_bound_are_repaired():
    _, shedding = measured(EARNED, episodes=10)
    shedding._visited.collect()
    put(shedding, 0.1)
    bound = 0.8 * shedding._look(1024)[0]
    shedding.bound = replace(EARNED, bound=bound)
    earned(shedding, [100.0] * 10)
    assert shedding.finish().startswith("shed: ")
    assert 0 < shedding.divergence <= bound


@pytest.mark.parametrize(("returns", "refused"), [([0.0] * 10, True), ([100.0] * 10, False)])
def test_learning_goes_on_where_the_policy_was_frozen_in_a_bad_moment(returns, refused):
    model, shedding = measured(EARNED)
    model.shedding = shedding
    earned(shedding, returns)
    model.train()
    assert (model.shedding is None) == refused
    assert (shedding.counters.updates == 0) == refused


@pytest.mark.parametrize(("largest_rise", "repairs"), [(0.2, True), (None, False)])
def test_the_last_quarter_of_the_updates_repairs_without_regrowth(
    largest_rise, repairs, monkeypatch
):
    monkeypatch.setattr(shed, "SMALL", replace(shed.SMALL, hidden_sizes=(16, 8)))
    model, _ = begun(updates=8, pruning=2.0)
    parameters = replace(model.lean_parameters, largest_rise=largest_rise)
    shedding = Shedding(model, parameters, BoundControl(1000.0, 1000.0), 0.5)
    shedding._visited.collect()
    shedding.counters.first_cost = 1.0
    seen = []
    for _ in range(8):
        shedding._step()
        weights = [x for x in shedding._weights.values() if x.dim() > 1]
        zero = [(x == 0).nonzero().tolist() for x in weights]
        seen.append((shedding.strength.strength, zero))
    assert any(seen[5][1])
    assert (seen[5] == seen[6] == seen[7]) == repairs


@pytest.mark.parametrize(("progress", "bound"), [(0.5, 0.3), (0.999, 0.03)])
def test_unreachable_bounds_are_raised_unless_they_settle(progress, bound):
    _, shedding = begun(max_bound=0.05, widening=1.5)
    shedding.bound = BoundControl(0.03, 0.05, reference=100.0, gained=100.0)
    shedding.strength = StrengthControl(0.01, 0.1, stuck=3000)
    shedding._judge(progress)
    assert shedding.bound.bound == pytest.approx(bound)
    assert (shedding.strength.strength == 0.01) == (bound == 0.03)


def test_given_teachers_are_not_measured():
    model = make_shedding("PPO", latest_start=0.5, updates=8)
    model.teacher = model.policy
    model.learn(640)
    assert math.isnan(model.shedding.bound.reference)
    assert model.shedding.counters.begun_at == pytest.approx(0.1)
    assert model.shedding.counters.updates == 8


def test_within_max_synops_returns_are_not_followed():
    _, shedding = begun(episodes=2, max_synops=50.0)
    shedding.bound = EARNED
    earned(shedding, [0.0, 0.0])
    put(shedding, 0.5)
    shedding._judge(0.5)
    shedding.finish()
    assert shedding.bound == EARNED
    assert weight(shedding) == 0.5


@pytest.mark.parametrize("name", ["PPO", "DQN", "SAC", "StatefulPPO"])
def test_arrays_restore_a_shedding(name):
    _, shedding = begun(name, updates=4, episodes=2)
    earned(shedding, [1.0, 2.0])
    arrays = {key: np.array(x) for key, x in shedding.arrays().items()}
    other_model = make_shedding(name, **{**ONCE, "updates": 4, "episodes": 2}, seed=1)
    other = Shedding(other_model, other_model.lean_parameters, BoundControl(9.0, 9.0), 0.1)
    other.load(arrays)
    again = other.arrays()
    assert again.keys() == arrays.keys()
    for key, x in arrays.items():
        assert np.array_equal(x, again[key], equal_nan=True), key
    assert (other.counters, other.bound) == (shedding.counters, shedding.bound)
    taught = (x.teacher.acting_state_dict() for x in (shedding, other))
    assert distance(*taught) == 0
    assert other._fan_outs == shedding._fan_outs


def test_pruned_synapses_stay_absent_after_a_resume(monkeypatch):
    monkeypatch.setattr(shed, "SMALL", replace(shed.SMALL, hidden_sizes=(16, 8)))
    model, shedding = measured(BoundControl(1000.0, 1000.0), updates=8, pruning=2.0)
    shedding._visited.collect()
    shedding.counters.first_cost = 1.0
    for _ in range(7):
        shedding._step()
    resumed = Shedding(model, shedding._parameters, shedding.bound, 0.0)  # of the same weights
    resumed.load({key: np.array(x) for key, x in shedding.arrays().items()})
    assert shedding._absent_weights
    for name, absent in shedding._absent_weights.items():
        assert torch.equal(absent, resumed._absent_weights[name])


def test_non_finite_networks_are_refused():
    _, shedding = begun()
    put(shedding, math.nan)
    with pytest.raises(ValueError, match=r"sheds spikes measured nan; lower its learning_rate"):
        shedding._step()


def test_updates_are_spread_over_the_remaining_training():
    model = make_shedding("PPO", latest_start=0.5, updates=40)
    seen = []

    def watch(*_):
        if model.shedding is not None:
            seen.append((model._progress(), model.shedding.counters.updates))
        return True

    model.learn(640, callback=watch)
    begun_at = model.shedding.counters.begun_at
    for progress, updates in seen:
        # Made before a rollout of a tenth of the training are those due at its end.
        shares = ((x - begun_at) / (1 - begun_at) for x in (progress, progress + 0.1))
        due, soon = (40 * (share - 0.2) / 0.65 for share in shares)
        # The rollout in which the first fifth ends is the frozen policy's to its end.
        began = (progress - 0.1 - begun_at) / (1 - begun_at) > 0.2
        assert (min(40.0, due) - 1 if began else 0) <= updates <= max(0.0, soon) + 1
    assert model.shedding.counters.updates == 40
    assert model.shedding._optimiser.param_groups[0]["lr"] == pytest.approx(
        0.01 + 39 / 40 * (0.001 - 0.01)
    )


def always_firing(name):
    """Return a shedding with a neuron that fires at every time step, and the first layer."""
    _, shedding = begun(name)
    linear = shedding._policy.acting_network().layers[0].linear
    with torch.no_grad():
        linear.bias[0] = 50.0
    shedding.teacher.load_acting_state_dict(shedding._policy.acting_state_dict())
    return shedding, linear


@pytest.mark.parametrize("name", ["DQN", "QRDQN", "SAC", "StatefulPPO"])
def test_neurons_that_always_fire_are_folded(name):
    shedding, linear = always_firing(name)
    state, cost = torch.get_rng_state(), shedding.counters.first_cost
    shedding._fold()
    assert torch.equal(torch.get_rng_state(), state)
    assert linear.bias[0] == 0
    assert not linear.weight[0].any()
    assert shedding.counters.first_cost != cost
    with torch.no_grad():
        far, _ = shedding._measure(*shedding._visited.sample(64))
    assert float(far) <= 10 * shedding.bound.bound
