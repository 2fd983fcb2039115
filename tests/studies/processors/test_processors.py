"""What the study of processors says follows from the weights that it found."""

from __future__ import annotations

from pathlib import Path

import pytest

from snn_gym.zoo.recipe import processor
from studies.files import read_run
from studies.processors.__main__ import DOCS, RESULTS, SETTINGS, Found, report, train_under
from studies.processors.trained import AGENTS, Trained, train_all

NAMES = [agent for agent, *_ in AGENTS]


def test_the_committed_page_is_that_of_the_committed_numbers() -> None:
    found = read_run(Found, RESULTS)
    assert [one.setting for one in found.trained] == list(SETTINGS)
    assert (DOCS / "processors.md").read_text(encoding="utf-8") == report(found)


def test_other_weights_are_named() -> None:
    same = dict.fromkeys(NAMES, "0" * 64)
    other = {**same, "dqsn": "1" * 64}
    page = report(Found((Trained("", {"machine": "x"}, same), Trained("A=b", {}, other))))
    assert "| `A=b` | = | = | other | = | = | = |\n" in page
    assert "Recipes say of the machine: machine x." in page


def test_weights_follow_from_the_seed_alone() -> None:
    small = (("ppo-mlp", "CartPole-v1", 600, {}),)
    assert train_all(small) == train_all(small)


@pytest.mark.slow
def test_a_library_sees_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    found = train_under("ATEN_CPU_CAPABILITY=default")
    assert found.processor == {**processor(), "torch": "DEFAULT"}
