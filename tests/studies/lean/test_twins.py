"""Tests of the ANN twins: their training, and what the report says of them."""

import pytest

from snn_gym.leaderboard import evaluate
from snn_gym.training import train
from snn_gym.zoo import load_agent
from studies.lean import runner
from studies.lean.outcome import outcome_path, read_outcome
from studies.lean.plan import TASKS, Task
from studies.lean.report_twins import twin_section
from studies.lean.twins import run_twin, twin_of
from tests.studies.lean.made import ShortTask, cells_of, made_outcome


def _found(task, **arms):
    return {(task, arm): {x.seed: x for x in outcomes} for arm, outcomes in arms.items()}


def test_a_twin_is_trained_as_the_zoo_trains_it_and_once(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "CHECKPOINT_INTERVAL", 512)
    seen = []
    for _ in range(2):
        run_twin(ShortTask("CartPole-v1"), 1000, tmp_path / "r", tmp_path / "s", seen.append)
    assert len(seen) == 1
    run = train("ppo-mlp", "CartPole-v1", out=tmp_path / "run", seed=1000, steps=2048,
                checkpoint_interval=512, tensorboard=False)  # fmt: skip
    expected = evaluate(load_agent(run.folder), "CartPole-v1")
    twin = read_outcome(outcome_path(tmp_path / "r", "CartPole-v1", "twin", 1000))
    assert (twin.agent, twin.arm, twin.steps) == ("ppo-mlp", "twin", 2048)
    assert twin.returns == expected.returns
    # 4 inputs, two layers of 64, 2 outputs; a unit is updated once, and nothing spikes.
    assert twin.macs == 4 * 64 + 64 * 64 + 64 * 2
    assert twin.operations == twin.macs + 128


def test_the_twin_is_the_one_that_the_zoo_names():
    assert {twin_of(task) for task in TASKS.values()} == {"ppo-mlp", "recurrent-ppo-gru"}
    with pytest.raises(ValueError, match="'random-search' has no twin"):
        twin_of(Task("CartPole-v1", "random-search"))


def test_medians_their_ratio_and_the_bound_stand_in_the_table():
    twin = {"synops": {}, "macs": 300.0, "neuron_updates": 100.0}
    found = _found(
        "CartPole-v1",
        lean=[made_outcome("lean", seed, 490.0) for seed in (100, 101, 102)],
        twin=[made_outcome("twin", seed, 500.0, **twin) for seed in (100, 101, 103)],
    )
    cells = cells_of(twin_section(found), "CartPole-v1")
    assert (cells["twin"], cells["seeds"]) == ("ppo-mlp", "2")
    assert cells["operations, lean"] == "200 (200 to 200)"
    assert cells["operations, twin"] == "400 (400 to 400)"
    assert cells["ratio"] == "0.50"
    assert cells["lower bound"] == "-10.0 (-22.7)"
    assert cells["not inferior"] == "yes"
    assert cells["SynOps of the input"] == ""


def test_a_lost_return_and_spikes_of_the_input_are_said():
    task = "snn/CartPole-v1"
    shown = {"lean": {"input": 64.0, "hidden_1": 5.0}, "twin": {"input": 128.0}}
    found = _found(
        task,
        **{
            arm: [made_outcome(arm, seed, mean, task=task, synops=synops) for seed in (100, 101)]
            for (arm, synops), mean in zip(shown.items(), (400.0, 500.0), strict=True)
        },
    )
    cells = cells_of(twin_section(found), task)
    assert cells["not inferior"] == "**no**"
    assert cells["SynOps of the input"] == "64 / 128"
    assert cells["operations, lean"] == "105 (105 to 105)"


def test_one_seed_is_no_row():
    found = _found("CartPole-v1", lean=[made_outcome("lean", 100, 1.0)],
                   twin=[made_outcome("twin", 100, 1.0)])  # fmt: skip
    assert "CartPole-v1" not in twin_section(found)
