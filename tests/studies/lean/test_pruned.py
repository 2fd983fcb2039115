"""Tests of the costs of networks of which synapses were pruned."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snn_gym.scoring import evaluate
from snn_gym.spiking.regulation.shedding import prune
from snn_gym.zoo import make_agent
from studies.lean import plan, runner
from studies.lean.outcome import Outcome
from studies.lean.pruned import PrunedCounting
from studies.lean.runner import run_seed
from tests.studies.lean.made import ShortTask

_RATE = {"encoder": "rate"}


def by_hand(policy: Any, recording: Any) -> dict[str, float]:
    """Return the synaptic operations of a decision, counted spike by spike."""
    layers = list(policy._acting_network().layers)
    records = list(recording.layers)
    first = len(records) - len(layers)
    readout = records[-1].fan_out
    if layers[-1].recurrent is not None:
        readout -= layers[-1].size
    found = {}
    for k, record in enumerate(records):
        into = [layers[k - first + 1].linear.weight] if k + 1 < len(records) else []
        if k >= first and layers[k - first].recurrent is not None:
            into.append(layers[k - first].recurrent.weight)
        count = 0
        for _, _, sender in np.argwhere(record.spikes.detach().numpy() == 1):
            count += sum(int((weight[:, sender] != 0).sum()) for weight in into)
            count += readout if k + 1 == len(records) else 0
        found[record.name] = count / record.spikes.shape[1]
    return found


@pytest.mark.parametrize(
    ("agent", "env_id", "network", "names"),
    [
        ("ppo-lif", "CartPole-v1", {}, ["hidden_1", "hidden_2"]),
        ("ppo-lif", "CartPole-v1", _RATE, ["input", "hidden_1", "hidden_2"]),
        ("ppo-lif", "snn/CartPole-v1", {}, ["input", "hidden_1", "hidden_2"]),
        ("recurrent-ppo-lsnn", "snn/CueAccumulation-v0", {}, ["input", "hidden_1", "hidden_2"]),
    ],
)
def test_a_spike_costs_the_synapses_that_are_left(
    agent: str, env_id: str, network: dict[str, Any], names: list[str]
) -> None:
    network = {**network, "hidden_sizes": [7, 5]}
    model = make_agent(agent, env_id, 0, network=network)
    policy: Any = model.policy
    shown = np.stack([model.observation_space.sample() for _ in range(6)])
    counting, costs = PrunedCounting(policy), []
    for strength in (0.0, 1.5, 9.0):
        prune(policy._acting_network().layers, strength)
        policy.reseed_noise(3)
        whole = policy.record(shown)
        counting.reseed_noise(3)
        found = counting.record(shown)
        assert torch.equal(found.output, whole.output)
        expected = by_hand(policy, whole)
        assert list(found.costs.synops_per_decision) == names == list(expected)
        assert found.costs.synops_per_decision == pytest.approx(expected)
        assert found.costs.spikes_per_decision == whole.costs.spikes_per_decision
        costs.append(sum(whole.costs.synops_per_decision.values()) - sum(expected.values()))
    # With all synapses it is what the package counts, and it is not with fewer.
    assert costs[0] == pytest.approx(0.0)
    assert costs[1] > 1


def test_the_arm_is_played_as_it_is_and_counted_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = {arm: x if x is None else {**x, "updates": 40} for arm, x in plan.ARMS.items()}
    for module in (plan, runner):
        monkeypatch.setattr(module, "ARMS", arms)
    monkeypatch.setattr(runner, "CHECKPOINT_INTERVAL", 512)
    seen: list[Outcome] = []
    judged: list[Any] = []

    def spy(policy: Any, env_id: str) -> Any:
        judged.append(policy)
        return evaluate(policy, env_id)

    monkeypatch.setattr(runner, "evaluate", spy)
    task = ShortTask("CartPole-v1")
    run_seed(task, 1000, ("lean", "prune"), tmp_path / "r", tmp_path / "s", seen.append)
    lean, pruned = seen
    assert pruned.settings == {
        "signals": "prune", "widening": 1.0, "tolerance": 1.0, "updates": 40,
        "bound": lean.last_bound,
    }  # fmt: skip
    policy = judged[-1]._policy
    plain = evaluate(policy, "CartPole-v1")
    assert plain.returns == pruned.returns
    zeros = [float((x.linear.weight == 0).float().mean()) for x in policy._acting_network().layers]
    assert min(zeros) > 0.1
    assert pruned.hidden_synops < sum(plain.synops_per_decision.values())
