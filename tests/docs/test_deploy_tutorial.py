"""From an agent to a C program and to SpikingJelly by the tutorial, but for its training."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from snn_gym import load_pretrained, save_agent
from tests.docs.scripts import DOCS, load_pages
from tests.export.made import needs_compiler

TRAINING = re.compile(r"^snn-gym train .* --out runs/pole$", re.MULTILINE)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the page prints of its episodes, with a stored agent in place of the trained one."""
    folder: Path = tmp_path_factory.mktemp("deploy")
    page = (DOCS / "tutorials" / "deploy.md").read_text(encoding="utf-8")
    page, trainings = TRAINING.subn("", page)
    assert trainings == 1
    save_agent(load_pretrained("ppo-lif", "CartPole-v1"), folder / "runs" / "pole")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        load_pages("tutorials").run(page, folder)
    assert (folder / "deploy-pole.png").stat().st_size > 0
    return dict(re.findall(r"^steps by (.+): +(\[.+\])$", printed.getvalue(), re.MULTILINE))


@needs_compiler
def test_the_c_program_keeps_the_pole_up(told: dict[str, str]) -> None:
    assert told["the C program"] == told["the agent"] == str([500] * 5)


@needs_compiler
def test_spikingjelly_plays_as_the_agent_does(told: dict[str, str]) -> None:
    pytest.importorskip("spikingjelly")
    assert told["SpikingJelly"] == told["the agent"]
