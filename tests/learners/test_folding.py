"""A shedding folds neurons that always fire, once, and takes back what costs behaviour."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from snn_gym.learners.shedding import Shedding
from tests.learners.shed import begun, copied, distance, make_shedding


def always_firing(name: str) -> tuple[Any, Tensor]:
    """A shedding whose policy's first neuron fires at every step, and what that neuron's row is."""
    _, shedding = begun(name)
    linear = shedding._policy.acting_network().layers[0].linear
    with torch.no_grad():
        linear.bias[0] = 50.0
    shedding.teacher.load_acting_state_dict(shedding._policy.acting_state_dict())
    return shedding, linear


@pytest.mark.parametrize("name", ["DQN", "QRDQN", "StatefulPPO"])
def test_neurons_that_always_fire_are_folded(name: str) -> None:
    shedding, linear = always_firing(name)
    state, cost = torch.get_rng_state(), shedding.counters.first_cost
    shedding._fold()
    assert torch.equal(torch.get_rng_state(), state)
    assert linear.bias[0] == 0
    assert not linear.weight[0].any()
    assert shedding.counters.first_cost != cost
    with torch.no_grad():
        far, _ = shedding._measure(*shedding._visited.sample(64))
    assert float(far) <= 10 * shedding.bound.bound


def test_folding_beyond_the_bound_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    shedding, _ = always_firing("DQN")
    before = copied(shedding._policy.acting_state_dict())
    measured = shedding._measure
    monkeypatch.setattr(
        shedding, "_measure", lambda *sample: (torch.tensor(1e9), measured(*sample)[1])
    )
    shedding._fold()
    assert distance(shedding._policy.acting_state_dict(), before) == 0


@pytest.mark.parametrize(("signals", "folds"), [("own", 1), ("uniform", 0), ("blind", 0)])
def test_who_is_told_its_own_spikes_folds_once(
    monkeypatch: pytest.MonkeyPatch, signals: str, folds: int
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(Shedding, "_fold", lambda shedding: calls.append(1))
    make_shedding("DQN", latest_start=0.5, updates=8, signals=signals).learn(400)
    assert len(calls) == folds
