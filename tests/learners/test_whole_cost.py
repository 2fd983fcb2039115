"""Tests of algorithms that shed by the whole cost, and end with smaller networks."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from snn_gym.learners.shedding import load_acting
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.policies.shrinking import needed_neurons, smaller_arguments, take_over
from snn_gym.program import compact
from tests.learners import shed
from tests.learners.shed import make_shedding, steps_of
from tests.marked import slow
from tests.policies.identity import EVERY, observations

DEEP = replace(shed.SMALL, hidden_sizes=(16, 12))
WHOLE = {
    "cost": "operations", "updates": 60, "latest_start": 0.5, "largest_rise": None,
    "tolerance": 1.0, "bound": 0.5, "max_bound": 1.0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _deep(monkeypatch):
    monkeypatch.setattr(shed, "SMALL", DEEP)


def pruned(policy, seed=0):
    """Set the outgoing synapses of some neurons of each layer to zero."""
    rng = np.random.default_rng(seed)
    network = policy.acting_network()
    head = network.any_head(policy.readout())
    with torch.no_grad():
        for layer, reader in zip(
            network.layers, [*(x.linear for x in network.layers[1:]), head], strict=True
        ):
            gone = torch.from_numpy(rng.random(layer.size) < 0.5)
            reader.weight[:, gone] = 0.0
            if layer.recurrent is not None:
                layer.recurrent.weight[:, gone] = 0.0
    return policy


def arrays_of(program):
    parts = [program.head.weights, program.head.biases]
    for layer in program.layers:
        parts += [layer.weights, layer.biases, layer.rest, layer.constants]
        parts += [] if layer.recurrent is None else [layer.recurrent]
    return parts


@pytest.mark.parametrize("name", ["PPO", "DQN", "SAC", "TD3", "StatefulPPO"])
def test_a_smaller_policy_has_the_compacted_program_and_the_same_critic(name):
    model = make_shedding(name)
    whole = pruned(model.policy)
    places = needed_neurons(whole)
    arguments = {**whole._get_constructor_parameters(), **smaller_arguments(whole, places)}
    small = type(whole)(**arguments)
    take_over(small, whole, places)
    expected = compact(whole.program())
    assert [x.size for x in expected.layers] == list(small.network.hidden_sizes) < [16, 12]
    for ours, theirs in zip(arrays_of(small.program()), arrays_of(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    critics = {n: x for n, x in whole.state_dict().items() if "critic" in n or "value_net" in n}
    for tensor_name, tensor in critics.items():
        torch.testing.assert_close(small.state_dict()[tensor_name], tensor, rtol=0, atol=0)
    # Targets, where there are any, are cut alike.
    targets = [n for n in small.state_dict() if "q_net_target" in n]
    for target in targets:
        own = small.state_dict()[target]
        assert own.shape == small.state_dict()[target.replace("_target", "", 1)].shape


def test_populations_of_outputs_stay_whole(monkeypatch):
    monkeypatch.setattr(shed, "SMALL", replace(DEEP, decoder="population", decoder_parameters=None))
    whole = make_shedding("PPO").policy
    with torch.no_grad():
        whole.acting_network().layers[1].linear.weight[:, 5:] = 0.0
    places = needed_neurons(whole)
    sizes = [layer.size for layer in whole.acting_network().layers]
    assert [len(x) for x in places] == [5, *sizes[1:]]
    arguments = {**whole._get_constructor_parameters(), **smaller_arguments(whole, places)}
    small = type(whole)(**arguments)
    take_over(small, whole, places)
    seen = observations("analogue", 50)
    with torch.no_grad():
        ours, theirs = (x.get_distribution(x.obs_to_tensor(seen)[0]) for x in (small, whole))
    torch.testing.assert_close(ours.distribution.logits, theirs.distribution.logits)


@pytest.mark.check
@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("PPO", 256),
        *(slow(x, steps_of(x)) for x in ("PPO", "DQN", "SAC", "StatefulPPO")),
    ],
)
def test_training_ends_with_a_smaller_agent_that_learns_on(name, steps):
    model = make_shedding(name, **WHOLE)
    model.learn(steps)
    assert model.shedding is None
    sizes = model.policy.network.hidden_sizes
    assert sum(sizes) < 28
    assert [x.size for x in compact(model.policy.program()).layers] == list(sizes)
    model.learn(min(steps, EVERY[name].steps or 64))  # of its own, then shed again
    assert all(a <= b for a, b in zip(model.policy.network.hidden_sizes, sizes, strict=True))


def test_a_network_of_constant_behaviour_sheds_its_time_steps_and_a_fast_one_keeps_them():
    def steps_left(bound):
        model = make_shedding("PPO", **{**WHOLE, "updates": 100, "batch_size": 16, "bound": bound})
        return model.learn(256).policy.network.time_steps

    assert steps_left(50.0) == 1  # any behaviour will do
    assert steps_left(1e-9) == 4


def test_weights_for_spike_trains_load_whatever_the_configured_time_steps():
    env = gym.make("snn/CartPole-v1", time_steps=16)
    given, taken = (
        PPO(SpikingActorCriticPolicy, env, n_steps=8, batch_size=8, seed=seed, device="cpu").policy
        for seed in (0, 1)
    )
    load_acting(taken, given.acting_state_dict())
    for name, tensor in taken.acting_state_dict().items():
        torch.testing.assert_close(tensor, given.acting_state_dict()[name], rtol=0, atol=0)
