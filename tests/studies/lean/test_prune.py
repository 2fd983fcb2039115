"""The arm of which synapses are pruned and spikes are not priced."""

import pytest

from snn_gym.leaderboard import evaluate
from studies.lean import runner
from studies.lean.runner import run_seed
from tests.studies.lean.made import ShortTask, shorten


def test_the_arm_prunes_within_the_bound_of_lean_and_counts_the_rest(tmp_path, monkeypatch):
    shorten(monkeypatch, updates=40)
    seen, judged = [], []

    def spy(model, env_id):
        judged.append(model)
        return evaluate(model, env_id)

    monkeypatch.setattr(runner, "evaluate", spy)
    task = ShortTask("CartPole-v1")
    run_seed(task, 1000, ("lean", "prune"), tmp_path / "r", tmp_path / "s", seen.append)
    lean, pruned = seen
    assert pruned.settings == {
        "signals": "prune", "pruning": 1.0, "widening": 1.0, "tolerance": 1.0, "updates": 40,
        "bound": lean.last_bound,
    }  # fmt: skip
    layers = list(judged[-1].policy.acting_network().layers)
    current, spiking = (float((x.linear.weight == 0).float().mean()) for x in layers)
    assert current == 0.0
    assert spiking > 0.1
    again = evaluate(judged[-1], "CartPole-v1")
    assert again.returns == pruned.returns
    assert pruned.hidden_synops == pytest.approx(sum(again.synops_per_decision.values()))
