"""What the study of processors says follows from the weights that it found."""

from pathlib import Path

import pytest

from snn_gym.zoo.recipe import processor
from studies.processors import __main__ as study
from studies.processors.__main__ import DOCS, SETTINGS, Results, report, train_under
from studies.processors.trained import AGENTS, Trained, train_all

NAMES = [agent for agent, *_ in AGENTS]


def test_the_committed_page_is_that_of_the_committed_numbers():
    machines = study.read_machines()
    assert set(machines) == {"emeraldrapids", "znver5"}
    for found in machines.values():
        assert [one.setting for one in found.trained][: len(SETTINGS)] == list(SETTINGS)
    assert (DOCS / "processors.md").read_text(encoding="utf-8") == report(machines)


def test_other_weights_are_named():
    same = dict.fromkeys(NAMES, "0" * 64)
    other = {**same, "dqsn": "1" * 64}
    found = Results((Trained("", {"machine": "x"}, same), Trained("A=b", {}, other)))
    page = report({"one": found})
    assert "| `A=b` | = | = | other | = | = | = |\n" in page
    assert "## one\n\nRecipes record this processor as: machine x.\n" in page


def test_a_build_is_named_by_the_versions_that_differ(monkeypatch):
    same = dict.fromkeys(NAMES, "0" * 64)
    versions = {"numpy": "2.4.6", "torch": "2.13.0"}

    def train(setting, python=None):
        other = versions if python is None else {**versions, "numpy": "2.3.5"}
        return Trained(setting, {}, same, other)

    monkeypatch.setattr(study, "train_under", train)
    found = Results((Trained("", {}, same),))
    once = study.add_build(found, Path("python"))
    assert [one.setting for one in once.trained] == ["", "numpy 2.3.5"]
    assert study.add_build(once, Path("python")) == once


def test_a_build_is_not_compared_with_another_machine(monkeypatch):
    other = Trained("", {}, dict.fromkeys(NAMES, "1" * 64))
    monkeypatch.setattr(study, "train_under", lambda *_: other)
    found = Results((Trained("", {}, dict.fromkeys(NAMES, "0" * 64)),))
    with pytest.raises(ValueError, match="train under all settings first"):
        study.add_build(found, Path("python"))


def test_weights_follow_from_the_seed_alone():
    small = (("ppo-mlp", "CartPole-v1", 600, {}),)
    assert train_all(small) == train_all(small)


@pytest.mark.slow
def test_a_library_sees_the_variable(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[3])
    found = train_under("ATEN_CPU_CAPABILITY=default")
    assert found.processor == {**processor(), "torch": "DEFAULT"}
