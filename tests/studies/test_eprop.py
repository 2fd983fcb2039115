"""The study of e-prop: trainings, gradients, and the page."""

import pytest

from snn_gym.zoo import make_agent
from studies.eprop import angle, training
from studies.eprop.report import pages
from studies.eprop.training import AGENT, ARMS, TASKS, EpropRun
from studies.runs import Runs

CUE = "snn/CueAccumulation-v0"


def test_a_training_takes_its_steps_and_is_evaluated(monkeypatch):
    monkeypatch.setattr(training, "EVALUATION_EPISODES", 3)
    made = training.train(CUE, "eprop", 1000, steps=2304)
    assert (made.env_id, made.arm, made.seed, made.steps) == (CUE, "eprop", 1000, 2304)
    assert 0.0 <= made.final <= 1.0
    assert 0 < made.update_s < made.training_s


def test_the_page_compares_returns_and_gains_over_no_memory(tmp_path):
    table = Runs(tmp_path / "runs.jsonl")
    finals = {("bptt", 200): 1.0, ("bptt", 201): 1.0, ("eprop", 200): 0.9, ("eprop", 201): 0.8}
    for (arm, seed), final in finals.items():
        run = EpropRun(CUE, arm, seed, 1000, 9.0, 5.0, final)
        table.add(f"{CUE}/{arm}/{seed}", run)
    table.add(f"angles/{CUE}/0", angle.Angle(CUE, 5000, 0.456, 0.7))
    page = pages(table)["eprop-study.md"]
    assert f"| {CUE} | 5,000 | 0.46 | 0.70 |" in page
    (row,) = [x for x in page.splitlines() if x.startswith(f"| {ARMS['eprop'].says} |")]
    gain = f"{(0.85 - 0.476) / (1.0 - 0.476):.3f}"  # without a memory 0.476
    assert [cell.strip() for cell in row.strip("|").split("|")][1:] == [
        "2", "0.85", "200: 0.90, 201: 0.80", "0.850", gain, "9", "5",
    ]  # fmt: skip
    assert "misses the bar: 0.850 against 0.9" in page


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_angles_are_measured_after_a_share_of_the_training(share, monkeypatch):
    monkeypatch.setitem(TASKS, CUE, 4 * 2304)
    found = angle.measure(CUE, share)
    assert found.steps == share * 4 * 2304
    assert 0.1 < found.cosine < 0.99
    assert 0.1 < found.norms < 2.0


@pytest.mark.parametrize(("arm", "env_id"), [*zip(ARMS, TASKS, strict=True)])
def test_an_arm_has_its_kind_of_credit(arm, env_id):
    model = make_agent(AGENT, env_id, 1000, **ARMS[arm].hyperparameters)
    assert (model.credit == "bptt") == (arm == "bptt")
