"""Tests of the reference scores of native tasks and their scripted policies."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

from references import RandomActions, fixed_kind, play, scripted_policy
from snn_gym.envs.registry import load_environment_spec
from tests.envs.variants import NATIVE, NATIVE_BASES, every_native_id

pytestmark = pytest.mark.check

SCRIPTED = [
    (name, kind)
    for name in NATIVE
    for kind in ("memoryless", "rate_only", "oracle")
    if getattr(load_environment_spec(name).reference, kind) is not None
]
every_scripted_score = pytest.mark.parametrize(("env_id", "kind"), SCRIPTED)
every_base = pytest.mark.parametrize("base_id", NATIVE_BASES)

# Minimum number of episodes of the stated scores.
STATED_EPISODES = 2000
STEPS = 10_000


def few_episodes(env_id, least=30):
    """Return the number of episodes for a fast test."""
    limit = load_environment_spec(env_id).max_episode_steps
    return int(np.clip(STEPS // limit, least, STATED_EPISODES))


def assert_reproduced(stated, returns, stated_episodes=STATED_EPISODES):
    """Assert that a stated mean equals that of other episodes within four standard errors."""
    error = np.std(returns, ddof=1) * np.sqrt(1 / len(returns) + 1 / stated_episodes)
    # half of the last of three stated digits
    assert np.mean(returns) == pytest.approx(stated, abs=4 * error + 5e-4 * max(1, abs(stated)))


@every_scripted_score
def test_scripted_scores_are_reproduced_by_other_episodes(env_id, kind):
    stated = getattr(load_environment_spec(env_id).reference, kind)
    task = gym.make_vec(env_id, few_episodes(env_id))
    assert_reproduced(stated, play(task, scripted_policy(task, kind), seed=100_000))


@pytest.mark.slow
@every_native_id
def test_random_scores_equal_the_stated_episodes(env_id):
    reference = load_environment_spec(env_id).reference
    task = gym.make_vec(env_id, reference.random_episodes)
    returns = play(task, RandomActions(task), seed=0)
    error = np.std(returns, ddof=1) / np.sqrt(len(returns))
    digits = 5e-4 * max(1, abs(reference.random))
    assert np.mean(returns) == pytest.approx(reference.random, abs=digits)
    assert error == pytest.approx(reference.random_standard_error, rel=0.02, abs=5e-5)


@pytest.mark.slow
@every_scripted_score
def test_scripted_scores_equal_many_episodes(env_id, kind):
    reference = load_environment_spec(env_id).reference
    task = gym.make_vec(env_id, reference.random_episodes)
    returns = play(task, scripted_policy(task, kind), seed=0)
    assert_reproduced(getattr(reference, kind), returns, len(returns))


@every_native_id
def test_scores_are_ordered(env_id):
    reference = load_environment_spec(env_id).reference
    assert reference.random < reference.solved <= reference.maximum
    assert reference.oracle is not None
    assert reference.solved < reference.oracle <= reference.maximum
    assert reference.random_standard_error > 0
    assert reference.random_episodes >= 1000
    for bound in (reference.memoryless, reference.rate_only):
        if bound is not None:
            assert bound <= reference.oracle
            # Random actions need neither memory nor timing: the best such policy is no worse.
            assert bound > reference.random - 4 * reference.random_standard_error


# Tasks that memory is needed for, by their cards.
REMEMBERED = {
    f"snn/{name}-v0"
    for name in ("CueAccumulation", "DelayedMatchToSample", "IntervalTiming", "Recall", "WaterMaze")
}


@every_base
def test_policies_without_the_claimed_ability_solve_no_level(base_id):
    spec = load_environment_spec(base_id)
    references = [load_environment_spec(name).reference for name in spec.registers]
    memoryless = spec.reference.memoryless
    claims_memory = memoryless is not None and memoryless < spec.reference.solved
    assert claims_memory or base_id not in REMEMBERED
    for reference in references:
        bounds = [reference.rate_only, reference.memoryless if claims_memory else None]
        for bound in bounds:
            assert bound is None or bound < reference.solved


@every_base
def test_levels_are_named_and_differ(base_id):
    registers = load_environment_spec(base_id).registers
    stem = base_id.removesuffix("-v0")
    ordered = (base_id, f"{stem}-medium-v0", f"{stem}-hard-v0")
    assert registers in (ordered, (*ordered, f"{stem}-silent-v0"))
    arguments = [load_environment_spec(name).task.arguments for name in registers]
    assert all(one != other for one, other in itertools.combinations(arguments, 2))


@every_base
def test_fixed_agents_score_less_on_harder_levels(base_id):
    shares = []
    for name in load_environment_spec(base_id).registers[:3]:
        task = gym.make_vec(name, few_episodes(name, 100))
        returns = play(task, scripted_policy(task, fixed_kind(task)), seed=200_000)
        # Levels of other lengths compare by share of the maximum.
        maximum = load_environment_spec(name).reference.maximum
        shares.append((returns.mean() / maximum, returns.std() / maximum / len(returns) ** 0.5))
    means, errors = zip(*shares, strict=True)
    assert list(means) == sorted(means, reverse=True)
    assert means[2] < means[0] - 4 * errors[2]


def test_a_scripted_policy_must_exist():
    task = gym.make_vec("snn/Recall-v0", 1)
    with pytest.raises(ValueError, match=r"has no scripted policy 'perfect'; it has: .*oracle"):
        scripted_policy(task, "perfect")


def test_play_counts_the_first_episode_of_each_environment():
    task = gym.make_vec("snn/CueAccumulation-hard-v0", 50)
    _, infos = task.reset(seed=4)
    majority, longest = infos["majority"], infos["go_step"].max()
    steps = []

    class Left(RandomActions):
        def act(self, spikes, starts):
            steps.append(starts.copy())
            return np.zeros(50, np.int64)

    returns = play(task, Left(task), seed=4)
    assert np.array_equal(returns, majority == 0)
    assert len(steps) == longest + 1
    assert steps[0].all()
    assert not steps[1].any()


def test_random_actions_equal_single_spaces():
    task = gym.make_vec("snn/CueAccumulation-v0", 3)
    policy = RandomActions(task, seed=7)
    spaces = [gym.spaces.Discrete(2, seed=7 + index) for index in range(3)]
    for _ in range(20):
        expected = [space.sample() for space in spaces]
        assert policy.act(np.zeros((3, 8, 40), np.int8), np.ones(3, bool)).tolist() == expected
