"""Tests of MinAtar's games: an episode by hand, forms of observations, settings, scores."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from references.minatar import EPISODES, returns_of
from snn_gym._base.spaces import FlatSpikes
from snn_gym.envs.minatar.base import draw_planes, pick
from snn_gym.envs.minatar.breakout import Breakout
from snn_gym.envs.registry import load_environment_spec
from tests.envs.variants import GAMES, every_game

NEVER = {"sticky_action_probability": 0.0}
STAY, LEFT, RIGHT = range(3)


def place(plane):
    """Return row and column of the only 1 of a plane."""
    ((row, column),) = np.argwhere(plane)
    return int(row), int(column)


def test_an_episode_of_breakout_by_hand():
    """From the left border the ball falls six rows; the paddle, left where it is, misses it."""
    game = Breakout(1, **NEVER)
    game.started(np.array([[0.49]]))
    seen = []
    for step in range(6):
        planes, reward, ended, _, _ = game.advance(np.array([STAY]))
        seen.append((place(planes[0, 1]), place(planes[0, 2]), place(planes[0, 0])))
        assert (float(reward[0]), bool(ended[0])) == (0.0, step == 5)
        assert planes[0, 3].sum() == 30
    ball = [(4, 1), (5, 2), (6, 3), (7, 4), (8, 5), (9, 6)]
    assert [x[0] for x in seen] == ball
    assert [x[1] for x in seen] == [(3, 0), *ball[:-1]]
    assert {x[2] for x in seen} == {(9, 4)}


def test_a_brick_of_breakout_by_hand():
    """With the paddle at column 5 the ball comes back from there and breaks a brick of row 3."""
    game = Breakout(1, **NEVER)
    game.started(np.array([[0.0]]))
    rewards, ended = [], False
    while not any(rewards):
        planes, reward, ended, _, _ = game.advance(np.array([STAY if rewards else RIGHT]))
        rewards.append(float(reward[0]))
        assert not ended[0]
    # Down to (8, 5), reflected to (8, 6), up to (5, 9) and (4, 9) at the border; then row 3,
    # column 8 has a brick.
    assert rewards == [0.0] * 10 + [1.0]
    assert place(planes[0, 1]) == (4, 8)
    assert np.argwhere(planes[0, 3, 1:4] == 0).tolist() == [[2, 8]]


@every_game
def test_forms_of_the_observation_show_the_same(env_id):
    planes, boxes, flat = (
        gym.make_vec(env_id, 3, **x) for x in ({}, {"box": True}, {"flatten": True})
    )
    assert isinstance(boxes.single_observation_space, gym.spaces.Box)
    assert isinstance(flat.single_observation_space, FlatSpikes)
    rng = np.random.default_rng(0)
    seen = [x.reset(seed=5)[0] for x in (planes, boxes, flat)]
    for _ in range(50):
        assert (seen[0].dtype, seen[1].dtype) == (np.int8, np.float32)
        assert np.array_equal(seen[0], seen[1])
        assert np.array_equal(seen[0].reshape(3, -1), seen[2])
        actions = rng.integers(planes.single_action_space.n, size=3)
        seen = [x.step(actions)[0] for x in (planes, boxes, flat)]


@every_game
def test_the_next_episode_goes_on_with_other_numbers(env_id):
    env = gym.make(env_id)
    rng = np.random.default_rng(0)
    actions = rng.integers(env.action_space.n, size=300).tolist()
    sets = []
    for first in (4, 4):
        episodes = []
        for seed in (first, *[None] * 7):
            env.reset(seed=seed)
            steps = map(env.step, actions)
            # Until an episode ends, so that none is stepped beyond.
            seen = (x[0].tobytes() for x in itertools.takewhile(lambda x: not x[2], steps))
            episodes.append(tuple(seen))
        sets.append(episodes)
    assert sets[0] == sets[1]
    assert len(set(sets[0])) > 4


def test_two_forms_at_once_are_refused():
    with pytest.raises(ValueError, match="flatten and box name two forms"):
        Breakout(1, flatten=True, box=True)


def test_a_wrong_setting_is_refused():
    with pytest.raises(ValueError, match=r"sticky_action_probability .* 1[.]5"):
        gym.make(GAMES[0], sticky_action_probability=1.5)


@every_game
def test_an_action_that_always_sticks_is_to_do_nothing(env_id):
    game = gym.make_vec(env_id, 4, sticky_action_probability=1.0)
    still = gym.make_vec(env_id, 4, sticky_action_probability=1.0)
    game.reset(seed=2)
    still.reset(seed=2)
    rng = np.random.default_rng(1)
    for _ in range(30):
        actions = rng.integers(game.single_action_space.n, size=4)
        assert np.array_equal(game.step(actions)[0], still.step(np.zeros(4, np.int64))[0])


@settings(deadline=None)
@given(word=st.integers(0, 2**32 - 1), options=st.integers(1, 10))
def test_a_pick_is_the_share_of_the_word(word, options):
    assert pick(np.uint32(word), options) == int(word / 2**32 * options)


@every_game
def test_pictures_have_the_package_s_colours(env_id):
    seaborn = pytest.importorskip("seaborn", reason="the extra minatar is not installed")
    game = gym.make_vec(env_id, 1)
    game.reset(seed=0)
    planes, *_ = game.step(np.array([1]))
    kinds = planes.shape[1]
    palette = np.array([(0.0, 0.0, 0.0), *seaborn.color_palette("cubehelix", kinds)])
    top = (planes[0] * np.arange(1, kinds + 1)[:, np.newaxis, np.newaxis]).max(0)
    image = draw_planes(planes[0])
    assert image.shape == (250, 250, 3)
    assert np.abs(image[12::25, 12::25] - 255 * palette[top]).max() <= 1


@every_game
@pytest.mark.parametrize("kind", ["random", pytest.param("scripted", marks=pytest.mark.slow)])
def test_scores_are_reproduced_by_other_episodes(env_id, kind):
    reference, few = load_environment_spec(env_id).reference, 40
    returns = returns_of(env_id, kind, few, seed=10_000)
    spread = np.hypot(returns.std(ddof=1) / few**0.5, returns.std(ddof=1) / EPISODES[kind] ** 0.5)
    assert getattr(reference, kind) == pytest.approx(returns.mean(), abs=4 * spread + 0.05)


@pytest.mark.slow
@every_game
def test_the_oracle_s_score_is_that_of_the_stated_episodes(env_id):
    returns = returns_of(env_id, "oracle", EPISODES["oracle"])
    assert returns.mean() == pytest.approx(load_environment_spec(env_id).reference.oracle, abs=0.01)


@every_game
def test_scores_are_in_order(env_id):
    reference = load_environment_spec(env_id).reference
    assert reference.random < reference.scripted <= reference.maximum
    assert reference.random < reference.solved < reference.oracle <= reference.maximum
