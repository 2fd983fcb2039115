"""Tests of the choice of a fixed strength."""

import itertools
import json

import pytest

from studies.lean import fixed
from studies.lean.fixed import best_strength, choose_strength
from studies.lean.outcome import read_outcome, write_outcome
from studies.lean.plan import REPORTED, STRENGTHS, TASKS, TRIED, chosen_strength, settings_of
from studies.lean.runner import run_seed
from tests.studies.lean.made import ShortTask, made_outcome, report_text, shorten

_TASK = TASKS["CartPole-v1"]


def outcomes(*means_and_synops):
    return [
        made_outcome("x", 1002 + k, mean, synops={"hidden_1": synops, "input": 9.0})
        for k, (mean, synops) in enumerate(means_and_synops)
    ]


def test_the_best_strength_saves_most_without_a_loss_of_mean_return():
    off = outcomes((500.0, 8000.0), (500.0, 8000.0))
    loss = _TASK.allowed_loss
    tried = {
        0.3: outcomes((500.0, 900.0), (500.0, 900.0)),
        # One seed lost twice what is allowed, their mean no more than that.
        0.7: outcomes((500.0, 100.0), (500.0 - 2 * loss, 4000.0)),
        1.7: outcomes((500.0, 700.0), (500.0, 700.0)),
        4.0: outcomes((500.0, 10.0), (499.0 - 2 * loss, 10.0)),
    }
    assert best_strength(_TASK, off, tried) == 0.7  # the geometric mean of 100 and 4,000 is 632
    del tried[0.7]
    assert best_strength(_TASK, off, tried) == 1.7
    del tried[1.7]
    assert best_strength(_TASK, off, tried) == 0.3


def test_the_highest_return_decides_if_all_strengths_lose():
    tried = {1.7: outcomes((90.0, 10.0)), 4.0: outcomes((100.0, 20.0)), 10.0: outcomes((9.0, 1.0))}
    assert best_strength(_TASK, outcomes((500.0, 8000.0)), tried) == 4.0


def test_all_strengths_are_tried_on_separate_seeds_and_the_choice_is_stored(tmp_path, monkeypatch):
    ran = []

    def fake(task, seed, arms, results, scratch, report):
        for arm in arms:
            ran.append((seed, arm))
            synops = {"hidden_1": 1000.0 / TRIED.get(arm, 0.1)}
            mean = 400.0 if arm in ("fixed-10", "fixed-25", "fixed-60") else 500.0
            write_outcome(results, made_outcome(arm, seed, mean, synops=synops))

    monkeypatch.setattr(fixed, "run_seed", fake)
    choices = tmp_path / "fixed.json"
    choices.write_text('{"Acrobot-v1": 0.7}')
    assert choose_strength(_TASK, tmp_path / "t", tmp_path / "s", print, choices) == 4.0
    assert {seed for seed, _ in ran} == {1002, 1003, 1004}
    assert [arm for seed, arm in ran if seed == 1003] == ["off", "lean", *TRIED]
    assert json.loads(choices.read_text()) == {"Acrobot-v1": 0.7, "CartPole-v1": 4.0}
    assert chosen_strength(_TASK, choices) == 4.0


def test_strengths_are_evenly_spaced_and_constant():
    ratios = [b / a for a, b in itertools.pairwise(STRENGTHS)]
    assert max(ratios) / min(ratios) < 1.1
    assert (len(STRENGTHS), STRENGTHS[0], STRENGTHS[-1]) == (5, 1.7, 60.0)
    for arm, strength in TRIED.items():
        assert arm not in REPORTED
        expected = {"control_rate": 0.0, "first_strength": strength, "bound": 0.04}
        assert settings_of(arm, 0.04) == {**expected, "widening": 1.0, "tolerance": 1.0}
        assert settings_of("fixed", 0.04, strength) == settings_of(arm, 0.04)
    assert "fixed" in REPORTED


@pytest.mark.parametrize("content", [None, "{}", '{"CartPole-v1": 2.0}'])
def test_without_a_choice_the_arm_is_refused_before_anything_is_trained(
    content, tmp_path, monkeypatch
):
    choices = tmp_path / "fixed.json"
    if content is not None:
        choices.write_text(content)
    command = "`python -m studies.lean choose --task CartPole-v1`"
    with pytest.raises(ValueError, match=command) as caught:
        chosen_strength(_TASK, choices)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(
        "studies.lean.runner.chosen_strength", lambda _: chosen_strength(_TASK, choices)
    )
    with pytest.raises(ValueError, match=command):
        run_seed(_TASK, 0, ("off", "fixed"), tmp_path / "r", tmp_path / "s", print)
    assert not (tmp_path / "s").exists()


def test_an_arm_of_fixed_strength_is_trained_at_it(tmp_path, monkeypatch):
    shorten(monkeypatch, updates=20)
    monkeypatch.setattr("studies.lean.runner.chosen_strength", lambda _: 4.0)
    seen = []
    task, folders = ShortTask("CartPole-v1"), (tmp_path / "r", tmp_path / "s")
    run_seed(task, 1000, ("lean", "fixed", "fixed-4"), *folders, seen.append)
    lean, chosen, tried = seen
    assert (lean.arm, chosen.arm, tried.arm) == ("lean", "fixed", "fixed-4")
    assert chosen.settings == {
        "pruning": 0.0, "control_rate": 0.0, "first_strength": 4.0, "widening": 1.0,
        "tolerance": 1.0, "updates": 20, "bound": lean.last_bound,
    }  # fmt: skip
    assert (chosen.returns, chosen.synops) == (tried.returns, tried.synops)
    assert chosen.synops != lean.synops
    path = next((tmp_path / "r").glob("*/fixed/1000.json"))
    assert read_outcome(path) == chosen


def test_the_report_names_the_chosen_strength(tmp_path):
    for seed in (110, 111):
        for arm in ("off", "lean", "fixed"):
            settings = {"first_strength": 1.7} if arm == "fixed" else {}
            write_outcome(tmp_path / "r", made_outcome(arm, seed, 500.0, settings=settings))
    text = report_text(tmp_path / "r", tmp_path)
    line = "| CartPole-v1 | fixed (1.7) | 200 | 0 of 2 | 100 (100 to 100) | 1.00 | 0 of 2 | 1.000 |"
    assert line in text
    assert "seeds 1002 to 1004 of the task" in " ".join(text.split())
