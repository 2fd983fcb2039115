"""Tests of ``lean`` for every algorithm: learn, then shed spikes with the same behaviour."""

import pkgutil
import re

import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, DQN, PPO, SAC

from snn_gym import learners
from snn_gym.learners import RandomSearch, StatefulPPO, lean
from snn_gym.learners.lean_algorithm import LeanAlgorithm, stock
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.spiking.network_config import LeanParameters
from tests.learners.shed import NAMES, make_shedding, quick, shed, steps_of, synops
from tests.policies.identity import EVERY, SMALL, Identity, observations, refused, score

pytestmark = pytest.mark.check

SHORT = {"latest_start": 0.3, "updates": 12, "batch_size": 16}


def assert_same(model, other):
    state = full_state(other.policy)
    for key, x in full_state(model.policy).items():
        assert torch.equal(x, state[key]), key


def choices(policy, seen):
    return policy.predict(seen, deterministic=True)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_shedding_halves_synops_and_keeps_behaviour(name):
    found = shed(name)
    shedding, action = found.shedding, EVERY[name].actions[0]
    assert found.calls == found.model.num_timesteps >= steps_of(name)
    assert shedding.counters.updates == quick(name)["updates"]
    seen = observations("analogue", 300, seed=9)
    before, after = synops(shedding.teacher, seen), synops(found.model.policy, seen)
    assert 0 < after <= before / 2
    taught, done = choices(shedding.teacher, seen), choices(found.model.policy, seen)
    if action == "Box":
        # In units of half the range; the bound is 0.02 of the squared distance.
        assert float(np.square(taught - done).sum(1).mean()) < 0.06
    else:
        assert np.mean(taught == done) > 0.95
    assert score(found.model, "analogue", action, episodes=3) > 0.9
    assert shedding.bound.bound <= 0.03  # no widening, but a loss may have halved it
    assert shedding.strength.smoothed < 1.5 * 0.03
    # Some other networks may be silenced without coming near the bound.
    if name in ("PPO", "A2C", "DQN", "SAC"):
        assert found.farthest > 0.5 * 0.03


def beside_acting(model, state):
    """Return the policy's state without the acting network and DQN's target network."""
    policy = model.policy
    acting = policy.acting_state_dict()
    return {
        name: x
        for name, x in state.items()
        if name not in acting
        and not (isinstance(model, DQN) and "net_target" in name)
        # counts of observations, which go on
        and not name.endswith((".count", ".total", ".total_of_squares", ".due"))
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PPO", "SAC", "StatefulPPO"])
def test_the_algorithm_stops_learning_while_shedding(name):
    found = shed(name)
    before = beside_acting(found.model, found.frozen)
    assert any("critic" in key or "value_net" in key for key in before)
    after = full_state(found.model.policy)
    for key, x in before.items():
        assert torch.equal(x, after[key]), key
    assert any(not torch.equal(x, found.frozen[key]) for key, x in after.items())


# One of each kind: with rollouts, values, a replay buffer, and a carried state.
@pytest.mark.parametrize("name", ["PPO", "DQN", "SAC", "StatefulPPO"])
def test_shedding_is_reproducible_and_saved_in_zip_files(name, tmp_path):
    model, same = (make_shedding(name, **SHORT).learn(160) for _ in range(2))
    assert model.shedding.counters.updates == 12
    assert_same(model, same)
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model", env=Identity(action=EVERY[name].actions[0]))
    assert_same(model, loaded)
    assert isinstance(loaded, LeanAlgorithm)
    assert loaded.lean_parameters == model.lean_parameters
    assert loaded.shedding is None
    loaded.learn(160)
    assert loaded.shedding is not None
    # The algorithm without lean reads it as well.
    plain = EVERY[name].algorithm.load(tmp_path / "model", device="cpu")
    assert not isinstance(plain, LeanAlgorithm)
    seen = observations("analogue", 16)
    assert np.array_equal(choices(plain, seen), choices(model, seen))


@pytest.mark.parametrize("name", ["PPO", "DQN", "StatefulPPO"])
def test_second_learn_call_trains_before_shedding(name):
    model = make_shedding(name, **SHORT).learn(160)
    first = model.shedding
    begun = []
    model.learn(160, callback=lambda *_: begun.append(model.shedding is not None) or True)
    assert begun[0] is False
    assert begun[-1] is True
    assert model.shedding is not first


@pytest.mark.parametrize("action", ["MultiDiscrete", "MultiBinary", "Box"])
def test_all_action_spaces_are_supported(action):
    model = make_shedding("PPO", action, **SHORT).learn(160)
    assert model.shedding.counters.updates == 12


@pytest.mark.parametrize(
    ("name", "view"),
    [("PPO", "Dict"), ("DQN", "spikes"), ("StatefulPPO", "spikes")],
)
def test_all_observation_spaces_are_supported(name, view):
    model = make_shedding(name, env=Identity(view), **SHORT).learn(160)
    assert model.shedding.counters.updates == 12


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PPO", "DQN", "TD3"])
def test_synops_stay_below_their_limit(name):
    found = shed(name, max_synops=40.0)
    seen = observations("analogue", 300, seed=9)
    assert synops(found.shedding.teacher, seen) > 60
    assert 0 < synops(found.model.policy, seen) <= 40


@pytest.mark.slow
def test_the_end_of_learning_is_found_before_the_latest_start():
    model = make_shedding("PPO", **{**SHORT, "latest_start": 0.95, "patience": 0.1})
    model.learn(4000)
    assert 0.4 <= model.shedding.counters.begun_at < 0.9
    # It had learned: what the frozen policy earned is of 10.
    assert model.shedding.bound.reference > 8
    assert 3 < model.shedding.bound.gained < 8


@pytest.mark.slow
def test_bound_widens_while_returns_hold():
    model = make_shedding("PPO", widening=1.5, episodes=5, tolerance=0.5).learn(1800)
    assert model.shedding.bound.bound > 0.02


class Endless(Identity):
    """Environment without an end."""

    def step(self, action):
        observation, reward, _, _, info = super().step(action)
        return observation, reward, False, False, info


class Worthless(Identity):
    """Environment with constant rewards."""

    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, 1.0, *rest


MEASURED = {"largest_rise": 0.2, "latest_start": 0.9}


@pytest.mark.parametrize(
    ("steps", "env", "why"),
    [
        (320, Identity, "the return had not settled before the last rollouts, of which shedding"),
        *(
            pytest.param(1920, env, why, marks=pytest.mark.slow)
            for env, why in (
                (Endless, "no training episode ended, so that the return is unknown"),
                (Worthless, "the return had not settled before the last rollouts"),
            )
        ),
    ],
)
def test_nothing_is_shed_where_the_return_is_not_known_to_have_settled(steps, env, why):
    # In 320 or 1920 steps of rollouts of 64, one or three are left after the latest start.
    measured = {**MEASURED, "latest_start": 0.8 if steps == 320 else 0.9}
    model = make_shedding("PPO", env=env(), **measured).learn(steps)
    case = EVERY["PPO"]
    plain = case.algorithm(
        case.policy, env(), seed=0, device="cpu", policy_kwargs={"network": SMALL},
        **{"gamma": 0.0, **case.arguments},
    ).learn(steps)  # fmt: skip
    assert model.outcome.startswith(f"shed nothing: {why}")
    assert model.shedding is None
    assert_same(model, plain)


@pytest.mark.slow
def test_what_is_shed_is_measured_and_within_the_bound():
    model = make_shedding("PPO", **MEASURED).learn(3200)
    words = re.fullmatch(
        r"(shed): ([\d,]+) synaptic operations a decision, of ([\d,]+); "
        r"(\d+) episodes of the final weights earned ([\d.]+), of the frozen ones ([\d.]+); "
        r"divergence ([\d.e-]+) nat, at most ([\d.]+)",
        model.outcome,
    )
    assert words is not None, model.outcome
    left, frozen, episodes, earned, reference, far, bound = (
        float(word.replace(",", "")) for word in words.groups()[1:]
    )
    assert left < frozen / 2
    assert episodes >= 10
    assert earned == pytest.approx(reference, abs=1.0)
    assert far <= bound == 0.03
    assert model.divergence == pytest.approx(far, rel=0.05)


@pytest.mark.parametrize(
    ("name", "env"), [("PPO", Endless), ("DQN", Worthless), ("StatefulPPO", Worthless)]
)
def test_bound_is_constant_without_a_return_signal(name, env):
    model = make_shedding(name, env=env(), **{**SHORT, "episodes": 2}).learn(320)
    assert model.shedding.counters.begun_at >= 0.3  # not found before
    assert model.shedding.counters.updates == 12
    bound = model.shedding.bound
    assert bound.bound == 0.03
    if env is Endless:
        assert np.isnan(bound.reference)
    else:
        assert (bound.reference, bound.error, bound.gained) == (10.0, 0.0, 0.0)


def test_shedding_is_logged():
    logged = make_shedding("PPO", **SHORT).learn(160).logger.name_to_value
    shown = {name for name in logged if name.startswith("lean/")}
    assert shown == {"lean/synops", "lean/divergence", "lean/bound", "lean/strength"}


def test_missing_settings_use_the_defaults():
    model = lean(PPO)(SpikingActorCriticPolicy, Identity(), device="cpu")
    assert model.lean_parameters == LeanParameters()


def test_lean_of_a_lean_class_is_the_same_class():
    for algorithm in (PPO, DQN, SAC, StatefulPPO):
        made = lean(algorithm)
        assert lean(algorithm) is made
        assert lean(made) is made
        assert stock(made) is algorithm
        assert stock(algorithm) is algorithm
        assert issubclass(made, algorithm)
        assert made.__name__ == f"Lean{algorithm.__name__}"


@pytest.mark.parametrize(
    ("algorithm", "who"),
    [(PPO, "ActorCriticPolicy"), (A2C, "ActorCriticPolicy"), (DQN, "DQNPolicy")],
)
def test_policies_without_an_acting_network_are_refused(algorithm, who):
    with refused(f"^{who} has no acting network that could shed anything; use a policy of snn_gym"):
        lean(algorithm)("MlpPolicy", Identity(), device="cpu")


def test_anns_are_refused_settings_that_need_spikes():
    with refused("acts without spikes, and max_synops needs spikes; leave it out"):
        make_shedding("DQN", policy_kwargs={"spiking": False}, max_synops=9.0)


def test_learners_without_gradients_are_refused():
    with pytest.raises(ValueError, match=r"^RandomSearch learns without gradients, which lean nee"):
        lean(RandomSearch)


def test_no_module_hides_a_public_name():
    modules = {module.name for module in pkgutil.iter_modules(learners.__path__)}
    assert not modules & set(learners.__all__)
