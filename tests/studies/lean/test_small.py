"""Tests of the smallest student that keeps the bound."""

from types import SimpleNamespace

import pytest
import torch

from snn_gym.spiking.regulation.lean import BoundControl, StrengthControl
from snn_gym.zoo import make_lean
from studies.lean import runner, small
from studies.lean.outcome import write_outcome
from studies.lean.runner import run_seed
from studies.lean.small import smallest_student
from tests.studies.lean.made import ShortTask, made_outcome, report_text, shorten

_TASK = ShortTask("CartPole-v1")
_SHORT = {"updates": 20, "latest_start": 0.75}  # a rollout is an eighth of the training


@pytest.fixture(autouse=True)
def _few_updates(monkeypatch):
    shorten(monkeypatch, **_SHORT)


@pytest.mark.parametrize(("divergences", "taken", "taught"), [
    ({8: 0.02, 16: 0.01, 32: 0.0}, 8, [8]),
    ({8: 0.05, 16: 0.03, 32: 0.0}, 16, [8, 16]),
    ({8: 0.5, 16: 0.4, 32: 0.031}, None, [8, 16, 32]),
])  # fmt: skip
def test_the_first_of_the_smallest_within_the_bound_is_taken(
    divergences, taken, taught, monkeypatch
):
    tried = []

    def fake(trained, steps, *, network, **settings):
        assert (trained, steps, settings) == ("trained", 77, {"bound": 0.03, "updates": 5})
        width, other = network["hidden_sizes"]
        assert width == other
        tried.append(width)
        strength, bound = StrengthControl(0.0, divergences[width]), BoundControl(0.03, 0.05)
        return SimpleNamespace(
            width=width, shedding=SimpleNamespace(strength=strength, bound=bound)
        )

    monkeypatch.setattr(small, "make_lean", fake)
    found = smallest_student("trained", 77, {"bound": 0.03, "updates": 5})
    assert (None if found is None else found.width) == taken
    assert tried == taught


def watch(monkeypatch, *, fits):
    """Keep what is taught and judged, and let every student fit or none."""
    seen = SimpleNamespace(frozen=[], taught=[], judged=[], students=[])

    def copy(policy):
        return {name: x.clone() for name, x in policy.acting_state_dict().items()}

    def judge(trained, task, arm, *args):
        seen.judged.append(trained.model)
        if arm == "lean":
            seen.frozen.append(copy(trained.model.shedding.teacher))
        return whole_judge(trained, task, arm, *args)

    def teach(trained, steps, **options):
        seen.taught.append((copy(trained.policy), steps, trained.num_timesteps))
        student = make_lean(trained, steps, **options)
        assert student.shedding is not None
        assert student.shedding.strength.strength == 0.0
        assert student.shedding.counters.updates == 20
        student.shedding.strength = StrengthControl(0.0, 0.0 if fits else 99.0)
        seen.students.append(student)
        return student

    whole_judge = runner.judge
    monkeypatch.setattr(runner, "judge", judge)
    monkeypatch.setattr(small, "make_lean", teach)
    return seen


def test_the_student_learns_from_the_frozen_policy_in_the_remaining_steps(tmp_path, monkeypatch):
    seen, outcomes = watch(monkeypatch, fits=True), []
    folders = tmp_path / "r", tmp_path / "s"
    run_seed(_TASK, 1000, ("lean", "small"), *folders, outcomes.append)
    lean, found = outcomes
    frozen_at = round(lean.begun_at * _TASK.steps)
    (frozen,), ((taught, steps, at),) = seen.frozen, seen.taught
    assert (steps, at) == (_TASK.steps - frozen_at, frozen_at)
    assert frozen.keys() == taught.keys()
    for name, x in frozen.items():
        assert torch.equal(x, taught[name]), name
    assert seen.judged[-1] is seen.students[0]
    assert found.network == {"hidden_sizes": [8, 8]}
    assert found.steps == frozen_at + seen.students[0].num_timesteps
    assert (found.begun_at, found.last_bound) == (lean.begun_at, lean.last_bound)
    assert found.settings == {
        "pruning": 0.0, "first_strength": 0.0, "control_rate": 0.0, "widening": 1.0,
        "tolerance": 1.0, **_SHORT, "bound": lean.last_bound,
    }  # fmt: skip
    assert found.arm == "small"
    assert list((tmp_path / "r").glob("*/small/1000.json"))
    assert not list((tmp_path / "s").glob("**/small.safetensors"))


def test_the_frozen_network_is_used_if_no_student_fits(tmp_path, monkeypatch):
    seen, outcomes = watch(monkeypatch, fits=False), []
    run_seed(_TASK, 1000, ("lean", "small"), tmp_path / "r", tmp_path / "s", outcomes.append)
    lean, found = outcomes
    assert len(seen.taught) == 3
    judged = seen.judged[-1].policy.acting_state_dict()
    assert all(torch.equal(x, judged[name]) for name, x in seen.frozen[0].items())
    assert (found.network, found.steps) == ({}, round(lean.begun_at * _TASK.steps))
    assert (found.begun_at, found.last_bound) == (lean.begun_at, lean.last_bound)


def test_lean_comes_first(tmp_path):
    with pytest.raises(ValueError, match="arm 'small' takes the last bound of 'lean': run that"):
        run_seed(_TASK, 1000, ("small",), tmp_path / "r", tmp_path / "s", print)


def test_the_report_names_the_sizes_of_the_students(tmp_path):
    for seed in (110, 111, 112):
        for arm in ("off", "lean", "small"):
            network = {"hidden_sizes": [8, 8]} if arm == "small" and seed != 111 else {}
            write_outcome(tmp_path / "r", made_outcome(arm, seed, 500.0, network=network))
    text = report_text(tmp_path / "r", tmp_path)
    line = "| CartPole-v1 | small (2 × 8-8, 1 × whole) | 200 | 0 of 3 | 100 (100 to 100) | 1.00 |"
    assert line in text
