"""Fixtures: small agents of the zoo, saved and submitted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from snn_gym.scoring import submit
from snn_gym.scoring.manifest import MANIFEST_NAME, WEIGHTS_NAME
from snn_gym.zoo import make_agent, save_agent
from tests.scoring.helpers import SETTINGS, Template


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many hostile submissions were refused, by kind."""
    # The tests' own properties, because those reach this process also from pytest-xdist's workers.
    refused = Counter(
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == "hostile"
    )
    if refused:
        terminalreporter.section("hostile submissions refused by the check meant for them")
        for kind, count in sorted(refused.items()):
            terminalreporter.write_line(f"{count:5d}  {kind}")
        terminalreporter.write_line(f"{refused.total():5d}  in all")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a saved `ppo-lif` after a little training on CartPole-v1."""
    model = make_agent("ppo-lif", "CartPole-v1", seed=0)
    model.learn(256)
    return save_agent(model, tmp_path_factory.mktemp("run") / "ppo-lif")


@pytest.fixture(scope="session")
def template(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Give the honest submission of `run_folder` on three episodes."""
    out = submit(run_folder, tmp_path_factory.mktemp("out") / "s", seeds=SETTINGS.seeds)
    manifest = json.loads((out / MANIFEST_NAME).read_text())
    return Template(manifest, (out / WEIGHTS_NAME).read_bytes())
