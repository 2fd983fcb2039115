"""Tests of oscillators: their scores equal those of the descriptions."""

import re

import numpy as np
import pytest

from references.oscillators import OSCILLATORS, SEEDS, Oscillator, decoded, play
from snn_gym._base.folders import content_path
from snn_gym.envs.registry import load_environment_spec

FEW = 3


def test_actions_by_hand():
    oscillator = Oscillator(0.5, (0.5, 2.0), (0.0, np.pi / 2), (0.25, -0.5))
    # A quarter of the period of 2 s: sines of pi/2 and pi.
    assert oscillator.act(0.5) == pytest.approx([0.75, -0.5])
    assert oscillator.act(0.0) == pytest.approx([0.25, 1.0])
    assert oscillator.act(0.0).dtype == np.float32


def test_a_point_of_the_search_by_hand():
    point = np.array([np.log(1.5), 0.1, 0.2, 0.5, 1.0, -0.3, 0.4])
    assert decoded(point) == Oscillator(3.0, (0.1, 0.2), (1.0, 2.0), (-0.3, 0.4))


def test_play_ends_where_the_body_falls():
    """Ones throw the hopper over at once: a constant action of full torque falls in few steps."""
    still = Oscillator(1.0, (0.0,) * 3, (0.0,) * 3, (0.0,) * 3)
    thrown = Oscillator(1.0, (0.0,) * 3, (0.0,) * 3, (1.0,) * 3)
    # A reward of 1 for each step on its legs: bounded by the steps until the fall.
    assert play("Hopper-v5", thrown, [0])[0] < play("Hopper-v5", still, [0])[0] < 1000


@pytest.mark.parametrize("env_id", OSCILLATORS)
def test_scores_are_reproduced_and_equal_the_card(env_id):
    card = (content_path("envs") / f"{env_id}.md").read_text(encoding="utf-8")
    found = re.search(r"earns ([\d.,]+) \(standard error ([\d.]+)\) in 100 episodes", card)
    mean, error = (float(text.replace(",", "")) for text in found.groups())
    assert load_environment_spec(env_id).reference.open_loop == mean
    spread = error * np.sqrt(len(SEEDS) / FEW)
    few = play(env_id, OSCILLATORS[env_id], SEEDS[:FEW])
    assert np.mean(few) == pytest.approx(mean, abs=4 * spread)
