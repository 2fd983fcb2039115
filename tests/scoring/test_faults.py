"""Faults of trained agents: weights on a grid, neurons nobody hears, time constants that differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym import load_pretrained, save_agent
from snn_gym.cli import main
from snn_gym.policies import SpikingActorCriticPolicy, SpikingDQNPolicy, SpikingSACPolicy
from snn_gym.scoring.faults import Faults, rounded, weights_of, with_faults
from tests.export.made import build, observe


def weights(policy: Any) -> list[torch.Tensor]:
    return [x.detach().clone() for x in weights_of(policy)]


@settings(deadline=None)
@given(st.integers(2, 16), st.integers(0, 2**32 - 1))
def test_rounded_weights_are_whole_numbers_of_one_scale(bits: int, seed: int) -> None:
    values = torch.from_numpy(np.random.default_rng(seed).normal(size=(5, 4)))
    found, most = rounded(values, bits), 2 ** (bits - 1) - 1
    scale = values.abs().max() / most
    levels = found / scale
    assert torch.allclose(levels, levels.round())
    assert levels.abs().max() <= most + 1e-9
    assert (found - values).abs().max() <= scale / 2 + 1e-12


def test_no_fault_changes_nothing_and_the_agent_stays_as_it_is() -> None:
    policy, seen = build(SpikingActorCriticPolicy), observe("analogue", 20)
    before = weights(policy)
    made: Any = with_faults(policy, Faults())
    assert np.array_equal(*(x.predict(seen, deterministic=True)[0] for x in (policy, made)))
    with_faults(policy, Faults(weights_bits=2, weight_noise=0.5, dead_neurons=0.5))
    assert all(torch.equal(*pair) for pair in zip(before, weights(policy), strict=True))


@pytest.mark.parametrize("kind", [SpikingActorCriticPolicy, SpikingDQNPolicy, SpikingSACPolicy])
def test_every_matrix_from_observations_to_actions_is_rounded(kind: type[Any]) -> None:
    chosen = "continuous" if kind is SpikingSACPolicy else "discrete"
    made = with_faults(build(kind, chosen=chosen), Faults(weights_bits=3))
    found = weights(made)
    assert [len(x) for x in found] == [12, 9, 2 if chosen == "continuous" else 3]
    assert all(len(x.unique()) <= 7 for x in found)


def test_dead_neurons_are_heard_by_none() -> None:
    made = with_faults(build(SpikingActorCriticPolicy), Faults(dead_neurons=1.0))
    first, *others = weights(made)
    assert first.abs().min() > 0  # observations are no neurons
    assert all(not x.any() for x in others)


def test_without_any_spike_it_acts_as_with_neurons_that_nobody_hears() -> None:
    policy, seen = build(SpikingActorCriticPolicy), torch.from_numpy(observe("analogue", 20))
    faults = Faults(dead_neurons=1.0), Faults(spike_loss=1.0)
    made: list[Any] = [with_faults(policy, x) for x in faults]
    deaf, lost = (x.watched(seen)[0] for x in made)
    assert torch.equal(deaf, lost)
    assert not torch.equal(lost, policy.watched(seen)[0])


def test_spikes_are_lost_each_for_itself() -> None:
    policy, seen = build(SpikingActorCriticPolicy), observe("analogue", 400)
    made: list[Any] = [with_faults(policy, Faults(spike_loss=0.3, seed=x)) for x in (1, 1, 2)]
    one, same, other = (x.record(seen).layers[0].spikes for x in made)
    sent = policy.record(seen).layers[0].spikes
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert (one <= sent).all()  # none is made
    count = float(sent.sum())
    assert abs(float(one.sum()) / count - 0.7) < 5 * (0.21 / count) ** 0.5


def test_an_ann_has_no_spikes_to_lose() -> None:
    with pytest.raises(ValueError, match="networks of spiking layers, and there are none"):
        with_faults(load_pretrained("ppo-mlp", "CartPole-v1"), Faults(spike_loss=0.1))


def test_time_constants_differ_and_nothing_else() -> None:
    policy = build(SpikingActorCriticPolicy, recurrent=True)
    made: Any = with_faults(policy, Faults(tau_jitter=0.2, seed=1))
    gains = [x.learned["tau_mem_ms"].value for x in made._acting_network().layers]
    assert all(x.unique().numel() == x.numel() and (x < 1).all() for x in gains)
    assert all(torch.equal(*pair) for pair in zip(weights(policy), weights(made), strict=True))
    seen = observe("analogue", 20)
    spikes = [x.record(seen).layers[0].spikes for x in (policy, made)]
    assert not torch.equal(*spikes)


def test_neurons_without_leak_have_no_time_constant_to_jitter() -> None:
    with pytest.raises(ValueError, match="neurons with a membrane time constant"):
        with_faults(build(SpikingActorCriticPolicy, neuron="iaf"), Faults(tau_jitter=0.1))


def test_the_command_evaluates_with_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(save_agent(load_pretrained("ppo-lif", "CartPole-v1"), tmp_path / "run"))
    told = []
    for words in ([], ["--dead-neurons", "1"], ["--spike-loss", "1"]):
        assert main(["evaluate", run, "--episodes", "2", *words]) == 0
        told.append(capsys.readouterr().out)
    assert "500" in told[0]
    assert all("500" not in x for x in told[1:])
