"""Tests of oscillators: their scores equal the cards."""

import re

import numpy as np
import pytest

from references.oscillators import EPISODES, OSCILLATORS, Oscillator, play
from snn_gym._base.folders import content_path

FEW = 3


def test_actions_by_hand():
    oscillator = Oscillator(0.5, (0.5, 2.0), (0.0, np.pi / 2), (0.25, -0.5))
    # A quarter of the period of 2 s: sines of pi/2 and pi.
    assert oscillator.act(0.5) == pytest.approx([0.75, -0.5])
    assert oscillator.act(0.0) == pytest.approx([0.25, 1.0])
    assert oscillator.act(0.0).dtype == np.float32


@pytest.mark.parametrize("env_id", OSCILLATORS)
def test_oscillator_scores_equal_the_card(env_id):
    card = (content_path("envs") / f"{env_id}.md").read_text(encoding="utf-8")
    found = re.search(r"earns ([\d.,]+) \(standard error ([\d.]+)\) in 100 episodes", card)
    mean, error = (float(text.replace(",", "")) for text in found.groups())
    spread = error * np.sqrt(EPISODES / FEW)
    assert np.mean(play(env_id, FEW)) == pytest.approx(mean, abs=4 * spread)
