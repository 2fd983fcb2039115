from __future__ import annotations

import dataclasses
import gc
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

import snn_gym

if TYPE_CHECKING:
    from pathlib import Path

    from snn_gym.envs.synapses.plasticity import PlasticityRule
    from tests.hub import Hub

# As the commands do, before numpy and torch are loaded.
with suppress(RuntimeError):
    snn_gym.portable()

# pygame opens its windows nowhere, and keeps silent, on machines without screen and sound.
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")

# Shared machines stall, so the duration of an example is no sign of an error. What 40 examples of
# a property do not show, 100 seldom do.
settings.register_profile("snn_gym", deadline=None, max_examples=40)
settings.load_profile("snn_gym")


def pytest_collection_finish() -> None:
    """Spare the collected tests, which all stay, each of the many later garbage collections."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def own_names() -> Iterator[None]:
    """Forget what a test registers: environments, agents and their parts."""
    from tests.registries import restored

    with restored():
        yield


@pytest.fixture(scope="module")
def own_neurons() -> Iterator[None]:
    """Register neurons of one's own for a file of tests."""
    from tests.program.own_neurons import registered

    with registered():
        yield


@pytest.fixture
def stepped_rules(own_names: None) -> dict[str, PlasticityRule]:
    """Give the plasticity rules without compilation; remove rules of the test afterwards."""
    from snn_gym.envs.synapses.plasticity import RULES

    RULES.update({name: dataclasses.replace(rule, compiled=False) for name, rule in RULES.items()})
    return RULES


@pytest.fixture
def few_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shed spikes in 30 updates by default; all 3,000 take a quarter minute."""
    from snn_gym.spiking.network_config import LeanParameters

    given = LeanParameters.__init__.__defaults__
    names = [field.name for field in dataclasses.fields(LeanParameters)]
    assert given is not None
    few = [30 if name == "updates" else x for name, x in zip(names, given, strict=True)]
    monkeypatch.setattr(LeanParameters.__init__, "__defaults__", tuple(few))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """Serve the hub's API on this machine, to somebody who may write."""
    constants = pytest.importorskip(
        "huggingface_hub.constants", reason="huggingface_hub, of the extra hub, is not installed"
    )
    from tests.hub import WRITER, serving

    # hf_xet has a protocol of its own for large files, beside that of Git LFS.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_TOKEN", WRITER)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many hostile submissions passed tests saw refused, by kind."""
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
