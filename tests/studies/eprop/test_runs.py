"""The study of e-prop: runs, costs and the page."""

import itertools
import json
from pathlib import Path
from statistics import mean
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from studies.eprop import angle
from studies.eprop import runs as module
from studies.eprop.__main__ import app
from studies.eprop.angle import Angle, Angles
from studies.eprop.cost import FORMS, LENGTHS, Cost, Costs, gradients, make_network
from studies.eprop.report import write_report
from studies.eprop.runs import ARMS, TASKS, EpropRun, TrainingLog, read_runs, run, run_missing
from studies.files import write_run

CUE = "snn/CueAccumulation-v0"
ROOT = Path(__file__).parents[3]


def test_a_run_trains_and_evaluates(monkeypatch):
    monkeypatch.setattr(module, "EVALUATION_EPISODES", 3)
    made = run(CUE, "random", 1000, steps=2304)
    assert (made.env_id, made.arm, made.seed, made.steps) == (CUE, "random", 1000, 2304)
    assert len(made.evaluation) == 3
    assert made.final == sum(made.evaluation) / 3
    assert 0 < made.update_s < made.training_s
    # Episodes are of 9 steps, and 64 play side by side for 36.
    assert [k for k, x in enumerate(made.curve) if x is not None] == [4, 9, 14, 19]


def test_a_curve_has_the_means_of_stretches():
    log = TrainingLog()
    log.ended = [(1, 1.0), (10, 0.0), (11, 0.5), (200, 1.0)]
    curve = log.curve(200)
    assert curve[:2] == (0.5, 0.5)
    assert curve[2:-1] == (None,) * 17
    assert curve[-1] == 1.0


def test_update_time_is_the_time_between_rollouts(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(module, "time", SimpleNamespace(process_time=lambda: next(clock)))
    log = TrainingLog()
    for _ in range(3):  # of one tick each, but for the first start
        log.on_rollout_start()
        log.on_rollout_end()
    log.on_training_end()
    assert log.update_s == 3


def test_stored_runs_are_skipped_and_shown_on_the_page(tmp_path, monkeypatch):
    asked = []

    def fake(env_id, arm, seed):
        asked.append((arm, seed))
        score = {"bptt": 1.0, "eprop": 0.8 if seed == 201 else 0.9, "random": 0.5}[arm]
        return EpropRun(env_id, arm, seed, 1000, 9.0, 5.0, (None, score), (score, score))

    monkeypatch.setattr(module, "run", fake)
    for seeds in ((200,), (200, 201)):
        monkeypatch.setitem(module.SEEDS, CUE, seeds)
        run_missing(CUE, ["bptt", "eprop"], tmp_path, lambda line: None)
    assert asked == [("bptt", 200), ("eprop", 200), ("bptt", 201), ("eprop", 201)]
    assert [x.seed for x in read_runs(CUE, "eprop", tmp_path)] == [200, 201]
    costs = tuple(Cost(form, length, 1.0, length) for form in FORMS for length in LENGTHS)
    write_run(tmp_path / "costs.json", Costs(costs))
    write_run(tmp_path / "angles.json", Angles((Angle(CUE, 5000, 0.456, 0.7),)))
    files = [tmp_path / f"{name}.json" for name in ("costs", "angles")]
    page = write_report(tmp_path, tmp_path, *files).read_text()
    assert f"| {CUE} | 5,000 | 0.46 | 0.70 |" in page
    (row,) = [x for x in page.splitlines() if x.startswith(f"| {ARMS['eprop'].says} |")]
    stored = (ROOT / "leaderboard/results/ppo-lif/snn__CueAccumulation-v0").glob("*.json")
    none = mean(json.loads(x.read_text())["score"]["mean"] for x in stored)
    gain = f"{(0.85 - none) / (1.0 - none):.3f}"
    assert [cell.strip() for cell in row.strip("|").split("|")][1:] == [
        "2", "0.85", "200: 0.90, 201: 0.80", "0.850", gain, "9", "5",
    ]  # fmt: skip
    assert "misses the bar: 0.850 against 0.9" in page
    assert "| no memory: `ppo-lif`" in page
    assert ARMS["random"].says not in page


def test_forward_in_time_is_the_gradient_of_eprop():
    network = make_network()
    backward, forward = (gradients(network, form, 3) for form in ("eprop", "forward"))
    for expected, found in zip(backward, forward, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
        assert expected.abs().max() > 0.1


def test_angles_are_measured_during_one_training(monkeypatch):
    monkeypatch.setattr(angle, "SHARES", (0.0, 0.5))
    monkeypatch.setitem(TASKS, CUE, 4 * 2304)
    log = angle.AngleLog(CUE)
    model = module.make_agent(module.AGENT, CUE, 1000).learn(TASKS[CUE], callback=log)
    assert [x.steps for x in log.found] == [0, 2 * 2304]
    assert model.num_timesteps == 3 * 2304 + 64  # it stops at the next step
    assert all(0.1 < x.cosine < 0.99 and 0.1 < x.norms < 2.0 for x in log.found)


def test_table_seeds_are_not_tuning_seeds():
    assert all(max(seeds) < 1000 and len(seeds) == 5 for seeds in module.SEEDS.values())


@pytest.mark.parametrize("env_id", TASKS)
def test_stored_runs_have_the_steps_of_their_task(env_id):
    kept = [made for arm in ARMS for made in read_runs(env_id, arm)]
    assert kept
    assert all(0 <= made.steps - TASKS[env_id] < 64 * 36 for made in kept)  # a rollout
    assert {made.seed for made in kept} <= set(module.SEEDS[env_id])


@pytest.mark.parametrize("option", [["--arms", "nobody"], ["--tasks", "nowhere"]])
def test_unknown_options_are_refused(option):
    answer = CliRunner().invoke(app, ["run", *option])
    assert answer.exit_code == 2
    assert "is unknown" in answer.output


@pytest.mark.parametrize("env_id", TASKS)
@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_can_be_made(arm, env_id):
    model = module.make_agent(module.AGENT, env_id, 1000, **ARMS[arm].hyperparameters)
    assert (model.credit == "bptt") == (arm == "bptt")
