"""What the study of exported agents says follows from its numbers; its programs act."""

import shutil

import numpy as np
import pytest

from snn_gym import load_pretrained
from snn_gym_deploy import to_c
from studies.deployed.__main__ import Deployed, Results, report
from studies.deployed.program import Player, seconds_per_decision


def test_cells_are_medians_with_the_smallest_and_the_largest():
    bytes_and_times = [(10, 3e-7), (30, 1e-7), (20, 2e-7)]
    found = tuple(
        Deployed("a", "float", seed, (2, 3), size, 500.0, 499.5, seconds)
        for seed, (size, seconds) in enumerate(bytes_and_times)
    )
    line = (
        "| a | float | 3 | 5 (5 to 5) | 20 (10 to 30) | 500.0 (500.0 to 500.0) | "
        "499.5 (499.5 to 499.5) | 0.20 (0.10 to 0.30) |\n"
    )
    assert line in report(Results({"machine": "x"}, found))


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler, cc, is installed")
def test_a_program_acts_as_the_agent_and_takes_time(tmp_path):
    model = load_pretrained("ppo-lif", "CartPole-v1")
    files = to_c(model, tmp_path)
    observations = np.random.default_rng(0).uniform(-0.2, 0.2, (20, 4)).astype(np.float32)
    with Player(files) as player:
        actions, _ = player.predict(observations)
    assert actions.tolist() == model.predict(observations, deterministic=True)[0].tolist()
    assert 0.0 < seconds_per_decision(files, observations) < 1.0
