"""What the study of processors says follows from the weights that it found."""

from pathlib import Path

import pytest

from snn_gym.zoo.recipe import processor
from studies.processors.__main__ import RUNS, SETTINGS, report, train_under
from studies.processors.trained import AGENTS, Trained, train_all
from studies.runs import DOCS, Runs

NAMES = [agent for agent, *_ in AGENTS]


def test_the_committed_page_is_that_of_the_committed_numbers():
    table = Runs(RUNS)
    for machine in ("emeraldrapids", "znver5"):
        found = {one.setting for one in table.read(Trained, f"{machine}/")}
        assert found >= set(SETTINGS)
    assert (DOCS / "processors.md").read_text(encoding="utf-8") == report(table)


def test_other_weights_are_named(tmp_path):
    same = dict.fromkeys(NAMES, "0" * 64)
    table = Runs(tmp_path / "runs.jsonl")
    table.add("one/A=b", Trained("A=b", {}, {**same, "dqsn": "1" * 64}))
    table.add("one/unchanged", Trained("", {"machine": "x"}, same))
    page = report(table)
    assert "| `A=b` | = | = | other | = | = | = |\n" in page
    assert "## one\n\nRecipes record this processor as: machine x.\n" in page


def test_weights_follow_from_the_seed_alone():
    small = (("ppo-mlp", "CartPole-v1", 600, {}),)
    assert train_all(small) == train_all(small)


@pytest.mark.slow
def test_a_library_sees_the_variable(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[3])
    found = train_under("ATEN_CPU_CAPABILITY=default")
    assert found.processor == {**processor(), "torch": "DEFAULT"}
