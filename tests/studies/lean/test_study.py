"""Tests of the study's plan, runner and report, on trainings of a moment."""

import dataclasses

import pytest
import torch

from snn_gym._base.numerics import one_thread
from snn_gym.leaderboard import evaluate
from snn_gym.learners import lean
from snn_gym.training import train
from snn_gym.zoo import load_agent, make_agent
from studies.lean import plan, runner
from studies.lean.outcome import Outcome, outcome_path, read_outcome, write_outcome
from studies.lean.plan import ARMS, LEAN, TASKS, settings_of
from studies.lean.rescue import STARTS, spoil
from tests.studies.lean.made import ShortTask, made_outcome, report_text, shorten

_TASK = ShortTask("CartPole-v1", seeds=2)
_SHORT = {"updates": 40, "latest_start": 0.75}  # a rollout is an eighth of the training


@pytest.fixture(autouse=True)
def _few_updates(monkeypatch):
    shorten(monkeypatch, **_SHORT)


def _outcome(arm, seed, mean, synops):
    counted = {"input": 7.0, "hidden_1": synops}
    return made_outcome(arm, seed, mean, synops=counted, neuron_updates=100.0)


def test_arms_end_as_planned_and_off_equals_the_zoos_training(tmp_path):
    seen = []
    runner.run_seed(
        _TASK, 1000, ("off", "lean", "uniform"), tmp_path / "r", tmp_path / "s", seen.append
    )
    assert [x.arm for x in seen] == ["off", "lean", "uniform"]
    off, shed, uniform = seen
    run = train("ppo-lif", "CartPole-v1", out=tmp_path / "run", seed=1000, steps=2048,
                checkpoint_interval=512, tensorboard=False)  # fmt: skip
    assert evaluate(load_agent(run.folder), "CartPole-v1").returns == off.returns
    assert off.steps == 2048
    assert off.frozen_mean is uniform.frozen_mean is None
    assert shed.frozen_mean is not None
    assert 8.0 < shed.frozen_mean < 500.0
    # An arm begins no later than its share, from a checkpoint before.
    assert shed.begun_at is not None
    assert shed.branched_at <= shed.begun_at * 2048
    assert uniform.settings == {
        "pruning": 0.0, "signals": "uniform", "widening": 1.0, "tolerance": 1.0, **_SHORT,
        "bound": shed.last_bound,
    }  # fmt: skip
    # A file that exists is passed over.
    runner.run_seed(_TASK, 1000, ("off", "lean"), tmp_path / "r", tmp_path / "s", seen.append)
    assert len(seen) == 3


def test_an_arm_equals_its_training_from_the_start(tmp_path):
    seen = []
    runner.run_seed(_TASK, 1000, ("lean",), tmp_path / "r", tmp_path / "s", seen.append)
    regulation = {"lean": {**_SHORT, "pruning": 0.0, "largest_rise": None}}
    whole = make_agent("ppo-lif", "CartPole-v1", 1000, network={"regulation": regulation})
    log = runner.EpisodeLog()
    segments = runner.partial(runner.SegmentCallback, tmp_path / "c", tmp_path / "e")
    with one_thread():  # as run_seed: two threads share a product in other parts, and round it so
        runner.learn_in_segments(whole, _TASK, 1000, segments, log)
        again = runner.judge(runner.Trained(whole), _TASK, LEAN, 1000, {})
    assert again.returns == seen[0].returns
    assert again.synops == seen[0].synops


def test_agents_of_other_algorithms_have_separate_names(tmp_path):
    task, seen = ShortTask("CartPole-v1", "dqsn", variant="dqsn", budget=1536), []
    runner.run_seed(task, 1000, ("off", "lean"), tmp_path / "r", tmp_path / "s", seen.append)
    off, shed = seen
    assert (off.arm, shed.arm, shed.agent) == ("dqsn-off", "dqsn-lean", "dqsn")
    assert shed.begun_at is not None
    assert 0 < shed.branched_at < shed.begun_at * task.steps
    row = "| dqsn | 2 | 9 (9 to 9) | 9 (9 to 9) | 0.0 (-22.7) | yes |"
    for seed in (100, 101):
        for arm in ("dqsn-off", "dqsn-lean"):
            write_outcome(tmp_path / "r2", _outcome(arm, seed, 9.0, 100.0))
    assert row in report_text(tmp_path / "r2", tmp_path)
    assert plan.OTHER_AGENTS["sac-lif"].steps == 20_000


def test_unknown_arms_and_missing_bounds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="arm 'lena' is unknown; arms: off, lean"):
        runner.run_seed(_TASK, 0, ("lena",), tmp_path, tmp_path, print)
    with pytest.raises(ValueError, match="takes the last bound of 'lean'"):
        settings_of("shuffled", None)
    assert settings_of("off", None) is None
    with pytest.raises(ValueError, match="'fixed' takes a strength that was chosen, got none"):
        settings_of("fixed", 0.02)
    assert settings_of("synops-500", None) == {"max_synops": 500.0, **_SHORT}


def test_a_variant_of_a_task_has_its_lean_settings(tmp_path):
    task = ShortTask("CartPole-v1", variant="tenth", lean={"worst_share": 0.5, **_SHORT})
    seen = list[Outcome]()
    arms = ("off", "lean", "uniform")
    runner.run_seed(task, 1000, arms, tmp_path / "r", tmp_path / "s", seen.append)
    off, shed, control = seen
    assert [x.arm for x in seen] == ["tenth-off", "tenth-lean", "tenth-uniform"]
    assert off.settings == {}
    assert shed.settings == {"worst_share": 0.5, **_SHORT}
    # Arms have the settings of the variant, but for their own.
    assert control.settings.items() >= {"worst_share": 0.5, "bound": shed.last_bound}.items()
    for seed in (130, 131):
        for arm in ("tenth-off", "tenth-lean"):
            outcome = made_outcome(arm, seed, 9.0 + seed, frozen_mean=10.0 + seed)
            write_outcome(tmp_path / "made", outcome)
    text = report_text(tmp_path / "made", tmp_path)
    section = text[text.index("worst tenth") : text.index("## Other algorithms")]
    row = "| CartPole-v1 | 2 | {} | 140 (139 to 140) | {} (-22.7) | yes |"
    assert row.format("140 (139 to 140)", "0.0") in section
    assert row.format("140 (140 to 141)", "-1.0") in section
    assert list(plan.TENTH_TASKS) == [f"{env_id}@tenth" for env_id in TASKS]


def test_every_arm_is_valid_settings():
    for arm in ARMS:
        settings = settings_of(arm, 0.02, 0.7)
        if settings is not None:
            model = make_agent("ppo-lif", "CartPole-v1", network={"regulation": {"lean": settings}})
            assert isinstance(model, lean(type(model)))


def test_margins_are_shares_of_the_range_to_solved():
    assert TASKS["CartPole-v1"].allowed_loss == pytest.approx(0.05 * (475.0 - 21.65))
    assert TASKS["Pendulum-v1"].allowed_loss == pytest.approx(0.02 * (-150.0 + 1203.32))
    assert TASKS["CartPole-v1"].seed_range() == range(120, 130)
    assert TASKS["LunarLander-v3"].seed_range() == range(111, 116)


def test_outcomes_are_read_as_written_and_operations_leave_input_out(tmp_path):
    outcome = _outcome("lean", 100, 500.0, 90.0)
    assert read_outcome(write_outcome(tmp_path, outcome)) == outcome
    assert outcome.hidden_synops == 90.0
    assert outcome.operations == 200.0
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match="delete it and run again"):
        read_outcome(tmp_path / "x.json")


def test_the_report_names_bounds_factors_and_the_closest_control(tmp_path):
    for seed in (100, 101):
        for arm, mean, synops in (
            ("off", 500.0, 8000.0), ("lean", 500.0, 100.0), ("shuffled", 500.0, 4000.0),
            ("uniform", 300.0, 50.0),
        ):  # fmt: skip
            write_outcome(tmp_path / "r", _outcome(arm, seed, mean, synops))
    text = report_text(tmp_path / "r", tmp_path)
    assert "| CartPole-v1 | 2 | 500 (500 to 500) | 500 (500 to 500) | 0.0 (-22.7) | yes |" in text
    synops = "8,000 (8,000 to 8,000) | 100 (100 to 100) | 80.0"
    assert f"| 8,110 | 210 | 38.6 | {synops} |" in text
    # uniform lost return, so it counts with the spikes of off; both signs of 2 seeds: p = 1/4
    row = "| CartPole-v1 | {} | 0.250 | 0.500 | 2 |"
    shuffled = "shuffled | 4,110 | 0 of 2 | 4,000 (4,000 to 4,000) | 40.00 | 0 of 2"
    uniform = "uniform | 160 | 2 of 2 | 50 (50 to 50) | 80.00 | 2 of 2"
    assert row.format(shuffled) in text
    assert row.format(uniform) in text
    assert text.index("| shuffled |") < text.index("| uniform |")
    assert outcome_path(tmp_path / "r", "CartPole-v1", "off", 100).exists()


def test_the_report_separates_missed_learning_from_shedding(tmp_path):
    for seed, frozen in ((100, 290.0), (101, 310.0)):
        write_outcome(tmp_path / "r", _outcome("off", seed, 500.0, 8000.0))
        lean = dataclasses.replace(_outcome("lean", seed, 300.0, 80.0), frozen_mean=frozen)
        write_outcome(tmp_path / "r", lean)
    text = report_text(tmp_path / "r", tmp_path)
    assert "| CartPole-v1 | 2 | 500 (500 to 500) | 300 (300 to 300) | -200.0 (-22.7) |" in text
    # Differences 10 and -10: standard error 10, t of one degree of freedom 6.314.
    row = "| CartPole-v1 | 2 | 300 (290 to 310) | 300 (300 to 300) | -63.1 (-22.7) | **no** |"
    assert row in text


def test_a_spoilt_start_has_its_biases_and_a_kick_restores_the_mean():
    model = make_agent("ppo-lif", "CartPole-v1", 0)
    layers = list(model.policy.mlp_extractor.actor.layers)
    weights = [layer.linear.weight.clone() for layer in layers]
    means = [layer.linear.bias.mean().item() for layer in layers]
    spoil(layers, STARTS["dead"], 0, kick=False)
    for layer, weight in zip(layers, weights, strict=True):
        assert torch.equal(layer.linear.weight, weight * 0.5)
        assert set(layer.linear.bias.tolist()) == {-1.0, 3.0}
    spoil(layers, STARTS["dead"], 0, kick=True)
    spoilt = [layer.linear.bias.mean().item() for layer in layers]
    assert spoilt != pytest.approx(means)  # the means of the spoilt layers were put back
