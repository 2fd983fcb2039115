"""Tests of the deploy tutorial, without its training: C program and SpikingJelly."""

import contextlib
import io
import re

import pytest

from compiled import needs_compiler
from snn_gym import load_pretrained, save_agent
from tests.docs.scripts import DOCS, load_script

TRAINING = re.compile(r"^snn-gym train .* --out runs/pole$", re.MULTILINE)


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """Run the page with a stored agent; return the printed episode lengths by player."""
    folder = tmp_path_factory.mktemp("deploy")
    page, trainings = TRAINING.subn("", (DOCS / "tutorials/deploy.md").read_text("utf-8"))
    assert trainings == 1
    save_agent(load_pretrained("ppo-lif", "CartPole-v1"), folder / "runs" / "pole")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        load_script("run_tutorials").run(page, folder)
    assert (folder / "deploy-pole.png").stat().st_size > 0
    return dict(re.findall(r"^steps by (.+): +(\[.+\])$", printed.getvalue(), re.MULTILINE))


@needs_compiler
def test_the_c_program_keeps_the_pole_up(steps):
    assert steps["the C program"] == steps["the agent"] == str([500] * 5)


@needs_compiler
def test_spikingjelly_plays_like_the_agent(steps):
    pytest.importorskip("spikingjelly")
    assert steps["SpikingJelly"] == steps["the agent"]
