"""The lean study, on trainings of a moment and on outcomes made by hand."""

import dataclasses
from functools import cache

import pytest

from snn_gym._base.numerics import one_thread
from snn_gym.zoo import make_agent
from studies.lean import runner
from studies.lean.outcome import Outcome
from studies.lean.report import pages
from studies.lean.tasks import LEAN, TASKS, Task
from studies.runs import Runs

TASK = TASKS[0]
SHORT = {"updates": 40, "latest_start": 0.75}  # a rollout is an eighth of the training


@dataclasses.dataclass(frozen=True)
class ShortTask(Task):
    """A task whose budget is a few rollouts."""

    @property
    def steps(self):
        return 2048


def outcome(arm, seed, mean=500.0, **changes):
    """Return an outcome of 100 SynOps of hidden spikes, 10 MACs and 90 updates of neurons."""
    made = Outcome(
        task="CartPole-v1", arm=arm, seed=seed, agent="ppo-lif", steps=1, branched_at=0,
        settings={}, begun_at=0.5, last_bound=0.02, mean=mean,
        synops={"input": 7.0, "hidden_1": 100.0}, macs=10.0, neuron_updates=90.0, seconds=1.0,
        version="0",
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def page(tmp_path, *outcomes):
    table = Runs(tmp_path / "runs.jsonl")
    for x in outcomes:
        table.add(f"{x.task}/{x.arm}/{x.seed}", x)
    return pages(table)["lean-study.md"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a function that trains an arm of a short task, each once."""
    folder = tmp_path_factory.mktemp("lean")
    task = ShortTask("CartPole-v1", lean={"pruning": 0.0, **SHORT})
    table = Runs(folder / "runs.jsonl")

    @cache
    def train(arm):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runner, "CHECKPOINT_INTERVAL", 512)
            made = runner.train(table, task, arm, 1000, folder / "scratch")
        table.add(task.run_name(arm, 1000), made)
        return made

    train.task = task
    return train


def test_arms_branch_from_off_and_controls_have_the_bound_of_lean(trained):
    off, shed, prune = (trained(arm) for arm in ("off", "lean", "prune"))
    assert (off.steps, off.arm, off.frozen_mean) == (2048, "off", None)
    assert shed.frozen_mean is not None
    assert 8.0 < shed.frozen_mean < 500.0
    # An arm begins no later than its share, from a checkpoint before.
    assert 0 < shed.branched_at <= shed.begun_at * 2048
    assert prune.settings == {
        "pruning": 1.0, "signals": "prune", "widening": 1.0, "tolerance": 1.0, **SHORT,
        "bound": shed.last_bound,
    }  # fmt: skip
    with pytest.raises(ValueError, match="arm 'uniform' needs the package of commit"):
        trained("uniform")


def test_an_arm_equals_its_training_from_the_start(trained, tmp_path, monkeypatch):
    shed = trained("lean")
    monkeypatch.setattr(runner, "CHECKPOINT_INTERVAL", 512)
    regulation = {"lean": {**SHORT, "pruning": 0.0, "largest_rise": None}}
    whole = make_agent("ppo-lif", "CartPole-v1", 1000, network={"regulation": regulation})
    segments = runner.partial(runner.SegmentCallback, tmp_path / "c", tmp_path / "e")
    with one_thread():  # two threads share a product in other parts, and round it so
        runner._learn_in_segments(whole, trained.task, 1000, segments, runner.EpisodeLog())
        again = runner.judge(runner.Trained(whole), trained.task, LEAN, 1000)
    assert (again.mean, again.synops) == (shed.mean, shed.synops)


def test_small_is_taught_the_frozen_policy_in_the_remaining_steps(trained):
    shed, small = trained("lean"), trained("small")
    assert (small.begun_at, small.last_bound) == (shed.begun_at, shed.last_bound)
    frozen_at = round(shed.begun_at * 2048)
    assert small.steps >= frozen_at
    assert small.network.get("hidden_sizes", [8, 8]) in ([8, 8], [16, 16], [32, 32])
