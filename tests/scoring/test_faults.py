"""Faults of trained agents: noise, weights on a grid, neurons nobody hears, other constants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.utils import ConstantSchedule

from snn_gym import load_pretrained, save_agent
from snn_gym.cli import main
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingControllerPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
    StatefulActorCriticPolicy,
)
from snn_gym.scoring.faults import AbsentPartError, Faults, rounded, weights_of, with_faults
from snn_gym.spiking import NetworkConfig
from tests.export.made import CHOSEN, SEEN, build, observe
from tests.policies.firing import made_to_fire

KINDS = [
    SpikingActorCriticPolicy,
    SpikingControllerPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
    StatefulActorCriticPolicy,
]


def weights(policy: Any) -> list[torch.Tensor]:
    return [x.detach().clone() for x in weights_of(policy)]


def faulty(policy: Any, **faults: Any) -> Any:
    """Return a policy with faults, whose own parts types do not know."""
    return with_faults(policy, Faults(**faults))


def ann(kind: type[Any], **arguments: Any) -> Any:
    """Return a twin, with 12 and 9 units."""
    torch.manual_seed(0)
    seen, chosen = SEEN["analogue"], CHOSEN["discrete"]
    arguments = {"network": NetworkConfig(hidden_sizes=(12, 9)), **arguments}
    made = kind(seen, chosen, ConstantSchedule(0.1), spiking_actor=False, **arguments)
    return made_to_fire(made)


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


@pytest.mark.parametrize("carries_state", [False, True])
@pytest.mark.parametrize("spiking", [False, True])
def test_where_all_neurons_are_dead_the_readout_is_its_bias(
    spiking: bool, carries_state: bool
) -> None:
    kind = StatefulActorCriticPolicy if carries_state else SpikingActorCriticPolicy
    policy = build(kind, recurrent=carries_state) if spiking else ann(kind)
    policy.action_net.bias.data.copy_(torch.tensor([0.5, 2.0, -1.0]))
    made: Any = with_faults(policy, Faults(dead_neurons=1.0))
    seen = observe("analogue", 20)
    said, unsaid = (x.action_net(x.record(seen).output) for x in (policy, made))
    assert len(said.unique(dim=0)) > 1
    assert torch.equal(unsaid, made.action_net.bias.expand(20, 3))
    assert made.predict(seen, deterministic=True)[0].tolist() == [1] * 20


@pytest.mark.parametrize("spiking", [False, True])
def test_a_dead_neuron_is_heard_by_its_own_layer_neither(spiking: bool) -> None:
    kind = StatefulActorCriticPolicy
    policy = build(kind, recurrent=True) if spiking else ann(kind)
    made = with_faults(policy, Faults(dead_neurons=0.5, seed=1))
    first, own_1, second, own_2, head = ((x != 0).any(0) for x in weights(made))
    assert first.all()
    for own, above in ((own_1, second), (own_2, head)):
        assert torch.equal(own, above)
        assert 0 < own.sum() < len(own)


@pytest.mark.parametrize(("gated", "gates"), [("gru", 3), ("lstm", 4)])
def test_every_matrix_of_a_gated_network_is_rounded(gated: str, gates: int) -> None:
    policy = ann(StatefulActorCriticPolicy, gated=gated)
    found = weights(with_faults(policy, Faults(weights_bits=3)))
    shapes = [(12 * gates, 3), (12 * gates, 12), (9 * gates, 12), (9 * gates, 9), (3, 9)]
    assert [tuple(x.shape) for x in found] == shapes
    assert all(len(x.unique()) <= 7 for x in found)


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


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_as_large_as_it_is_said_to_be(kind: type[Any]) -> None:
    policy = build(kind, chosen="continuous" if kind is SpikingSACPolicy else "discrete")
    seen = policy.normaliser.mean.repeat(2000, 1)  # which is 0 to the network
    one, same, other = (
        faulty(policy, observation_noise=0.2, seed=seed).network_inputs(seen) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    # Of n draws, the mean has the standard error s / sqrt(n), the deviation s / sqrt(2 n).
    assert one.mean(0).abs().max() < 5 * 0.2 / 2000**0.5
    assert (one.std(0) - 0.2).abs().max() < 5 * 0.2 / 4000**0.5
    assert not policy.network_inputs(seen).any()  # the agent stays as it is


@pytest.mark.parametrize("kind", KINDS)
def test_noise_reaches_actions_and_none_leaves_them(kind: type[Any]) -> None:
    policy = build(kind, chosen="continuous" if kind is SpikingSACPolicy else "discrete")
    seen = observe("analogue", 50)
    acted = [
        with_faults(policy, Faults(observation_noise=x)).predict(seen, deterministic=True)[0]
        for x in (0.0, 2.0, 2.0)
    ]
    assert np.array_equal(acted[0], policy.predict(seen, deterministic=True)[0])
    assert not np.array_equal(acted[0], acted[1])
    assert np.array_equal(acted[1], acted[2])


def test_noise_is_clipped_with_the_observation() -> None:
    policy = build(SpikingActorCriticPolicy)
    made: Any = with_faults(policy, Faults(observation_noise=1e6))
    noisy = made.network_inputs(torch.zeros(50, 3))
    assert torch.equal(noisy.abs(), torch.full((50, 3), policy.normaliser.clip))


def test_flags_beside_values_get_no_noise() -> None:
    space = spaces.Dict({"lamps": spaces.MultiBinary(4), "place": SEEN["analogue"]})
    policy = SpikingActorCriticPolicy(space, CHOSEN["discrete"], ConstantSchedule(0.1))
    made: Any = with_faults(policy, Faults(observation_noise=0.5))
    seen = {"lamps": torch.ones(9, 4), "place": torch.zeros(9, 3)}
    inputs = made.network_inputs(seen)
    assert torch.equal(inputs[:, :4], torch.ones(9, 4))
    assert (inputs[:, 4:] != 0).all()


@pytest.mark.parametrize("seen", ["spikes", "flags", "analogue"])
def test_what_no_normaliser_standardises_has_no_unit_for_noise(seen: str) -> None:
    policy = SpikingActorCriticPolicy(
        SEEN[seen], CHOSEN["discrete"], ConstantSchedule(0.1), normalise_observations=False
    )
    with pytest.raises(AbsentPartError, match="a normaliser standardises, and there are none"):
        with_faults(policy, Faults(observation_noise=0.1))


def test_an_ann_has_no_spikes_to_lose() -> None:
    with pytest.raises(ValueError, match="networks of spiking layers, and there are none"):
        with_faults(load_pretrained("ppo-mlp", "CartPole-v1"), Faults(spike_loss=0.1))


def test_time_constants_differ_and_nothing_else() -> None:
    policy = build(SpikingActorCriticPolicy, recurrent=True)
    made: Any = with_faults(policy, Faults(tau_jitter=0.2, seed=1))
    gains = [x.learned["tau_mem_ms"].value for x in made.acting_network().layers]
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
    for words in ([], ["--dead-neurons", "1"], ["--spike-loss", "1"], ["--observation-noise", "9"]):
        assert main(["evaluate", run, "--episodes", "2", *words]) == 0
        told.append(capsys.readouterr().out)
    assert "500" in told[0]
    assert all("500" not in x for x in told[1:])
