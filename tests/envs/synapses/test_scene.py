"""Tests of pictures of networks in training."""

import gymnasium as gym
import numpy as np
import pytest

from snn_gym.envs.rendering import ACCENT, FAINT, INK, PAPER
from snn_gym.envs.synapses.environments import draw_scene, weight_matrices
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.population import Population
from tests.envs.variants import PLASTICITY


def test_weight_matrices_have_one_row_per_neuron():
    population = Population(NetworkConfig(hidden_sizes=(2,), time_steps=3), 3, 2)
    weights = np.arange(14, dtype=np.float32)  # as the parameters lie: weights, then biases
    hidden, head = weight_matrices(weights, population.synapses)
    assert hidden.tolist() == [[0, 1, 2, 6], [3, 4, 5, 7]]
    assert head.tolist() == [[8, 9, 12], [10, 11, 13]]


def test_colours_are_full_at_the_limit():
    matrix = np.array([[2.0, -2.0], [0.0, 99.0]], np.float32)
    picture = draw_scene([matrix], 2.0, [1.0])
    assert (picture.shape, picture.dtype) == ((256, 256, 3), np.uint8)
    corners = [tuple(picture[row, column]) for row in (20, 160) for column in (20, 230)]
    assert corners == [ACCENT, INK, PAPER, ACCENT]
    column = [tuple(picture[row, 20]) for row in (11, 12, 91, 92)]
    assert column == [PAPER, ACCENT, ACCENT, PAPER]  # 160 pixels of matrix below the margin
    assert [tuple(picture[row, 230]) for row in (171, 172)] == [ACCENT, PAPER]


def test_scores_run_from_the_lowest_to_the_highest():
    rising = draw_scene([np.zeros((1, 1))], 1.0, [0.0, 5.0, 10.0])[188:244]
    ink = (rising == INK).all(axis=2)
    assert ink[-1, 12:16].any()
    assert ink[0, 240:245].any()
    assert not ink[0, 12:100].any()
    two = draw_scene([np.zeros((1, 1))], 1.0, [0.0, 10.0])[188:244]
    assert (two == INK).all(axis=2)[0, 240:245].any()
    alone = draw_scene([np.zeros((1, 1))], 1.0, [3.0])[188:244]
    assert (alone[:, 12:244] == FAINT).all()


@pytest.mark.parametrize("env_id", PLASTICITY[-2:])
def test_single_and_batched_environments_render(env_id):
    env = gym.make(env_id, render_mode="rgb_array", probe_size=1)
    batch = gym.make_vec(env_id, 2, render_mode="rgb_array", probe_size=1)
    for each in (env, batch):
        each.reset(seed=0)
        each.action_space.seed(0)
    pictures = []
    for _ in range(3):
        pictures.append([env.render(), *batch.render()])
        actions = batch.action_space.sample()
        env.step(actions[0])
        batch.step(actions)
    for alone, first, second in pictures:
        assert (alone.shape, alone.dtype) == ((256, 256, 3), np.uint8)
        assert np.array_equal(alone, first)
        assert not np.array_equal(first, second)
    assert not np.array_equal(pictures[0][0], pictures[1][0])
