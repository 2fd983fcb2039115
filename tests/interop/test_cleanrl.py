"""CleanRL's ppo.py and dqn.py on a spiking task in its flat form.

The files are those of the wheel of cleanrl 1.2.0. All that is changed stands in
``cleanrl-1.2.0.patch``: Gymnasium's names for what was OpenAI Gym's, and for the observations and
infos that end an episode.
"""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.interop.programs import run, unpack_wheel

PATCH = Path(__file__).parent / "cleanrl-1.2.0.patch"
TASK = "snn_gym:snn/CartPole-flat-v1"


@pytest.fixture(scope="module")
def cleanrl(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cleanrl")
    unpack_wheel("cleanrl==1.2.0", folder)
    subprocess.run(["git", "apply", str(PATCH)], cwd=folder, check=True)
    return folder / "cleanrl"


@pytest.mark.slow
@pytest.mark.parametrize(("program", "options"), [
    ("ppo.py", ("--total-timesteps", "40000", "--learning-rate", "1e-3")),
    ("dqn.py", ("--total-timesteps", "20000", "--learning-starts", "1000")),
])  # fmt: skip
def test_cleanrl_learns_a_spiking_task(cleanrl, tmp_path, program, options):
    printed = run(tmp_path, str(cleanrl / program), "--env-id", TASK, *options)
    returns = [float(found) for found in re.findall(r"episodic_return=([\d.]+)", printed)]
    assert np.mean(returns[:20]) < 40  # random play: 22
    assert np.mean(returns[-20:]) > 80
