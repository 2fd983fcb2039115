"""Modules of other libraries as networks of ours: equal spikes, costs and actions."""

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO, SAC, TD3
from torch import nn

import snn_gym
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
    SpikingTD3Policy,
)
from snn_gym.spiking import ModuleConfig, ModuleNetwork
from snn_gym.spiking.execution import spikes_of
from snn_gym.zoo import from_module, network_from_module
from tests.policies.identity import refused
from tests.spiking.made_modules import LIBRARIES, firing, plain

INPUTS = 1.5 * torch.randn(400, 4, generator=torch.Generator().manual_seed(1))


def chain(make, inputs=4):
    """Return two layers of neurons and a linear map at the end."""
    return firing(nn.Sequential(
        nn.Linear(inputs, 32), make(32), nn.Linear(32, 6), make(6), nn.Linear(6, 3)
    ), 3.0)  # fmt: skip


def snntorch(**arguments):
    def make(size):
        leaky = pytest.importorskip("snntorch").Leaky
        given = {key: x(size) if callable(x) else x for key, x in arguments.items()}
        return leaky(**{"beta": 0.8, "init_hidden": True, **given})

    return lambda: chain(make)


def spikingjelly(name, **arguments):
    def make(_):
        return getattr(pytest.importorskip("spikingjelly.activation_based.neuron"), name)(
            **arguments
        )

    return lambda: chain(make)


def norse(name):
    def make():
        import norse.torch

        cells = [getattr(norse.torch, name)() for _ in range(2)]
        first, _, second, _, last = chain(lambda _: nn.Identity())
        return norse.torch.SequentialState(first, cells[0], second, cells[1], last)

    return make


class Recurrent(nn.Module):
    """A layer of snnTorch with a loop, which runs its time steps by itself."""

    def __init__(self):
        super().__init__()
        rleaky = pytest.importorskip("snntorch").RLeaky
        self.first, self.hidden = nn.Linear(4, 16), rleaky(0.7, linear_features=16)
        self.last = nn.Linear(16, 3)

    def forward(self, x):
        spikes, potentials = self.hidden.reset_mem()
        outputs = []
        for _ in range(8):
            spikes, potentials = self.hidden(self.first(x), spikes, potentials)
            outputs.append(self.last(spikes))
        return torch.stack(outputs)


class Tutorial(nn.Module):
    """Two layers as snnTorch's tutorials write them, whose membranes are kept in ``forward``."""

    def __init__(self, returned="spikes"):
        super().__init__()
        leaky = pytest.importorskip("snntorch").Leaky
        self.fc1, self.lif1 = nn.Linear(4, 32), leaky(beta=0.8)
        self.fc2, self.lif2 = nn.Linear(32, 6), leaky(beta=0.8)
        self.returned = returned

    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for _ in range(8):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        if self.returned == "spikes":
            return torch.stack(spikes), torch.stack(membranes)
        return torch.stack(membranes) if self.returned == "membranes" else sum(spikes)


class Membranes(nn.Module):
    """A time step of two layers, whose states are arguments and results."""

    def __init__(self):
        super().__init__()
        from norse.torch import LIFBoxCell

        self.fc1, self.lif1 = nn.Linear(4, 32), LIFBoxCell()
        self.fc2, self.lif2 = nn.Linear(32, 6), LIFBoxCell()

    def forward(self, x, one=None, two=None):
        spikes, one = self.lif1(self.fc1(x), one)
        spikes, two = self.lif2(self.fc2(spikes), two)
        return spikes, one, two


class Sums(Membranes):
    """The same layers, whose spikes are added up."""

    def forward(self, x):
        total, states = 0.0, ()
        for _ in range(8):
            spikes, *states = super().forward(x, *states)
            total = total + spikes
        return total


def thresholds(size):
    return 0.5 + torch.rand(size, generator=torch.Generator().manual_seed(size))


NEURONS = {
    "Leaky": (snntorch(), "lif_soft", {"tau_mem_ms": 5.0, "v_fall": 1.25}),
    "Leaky, zero": (snntorch(reset_mechanism="zero"), "lif_box", {"tau_mem_ms": 5.0}),
    "Leaky, zero at once": (
        snntorch(reset_mechanism="zero", reset_delay=False), "lif_box", {"tau_mem_ms": 5.0}
    ),
    "Leaky, thresholds": (snntorch(threshold=thresholds), "lif_soft", {"v_fall": 1.25}),
    "Leaky without leak": (snntorch(beta=1.0), "iaf_soft", {"v_start": 0.0}),
    "RLeaky": (lambda: firing(Recurrent(), 2.0), "lif_soft", {"tau_mem_ms": 3.333333}),
    "LIFNode": (spikingjelly("LIFNode"), "lif_box", {"tau_mem_ms": 2.0}),
    "LIFNode, whole inputs": (
        spikingjelly("LIFNode", tau=3.0, decay_input=False), "lif_box", {"tau_mem_ms": 3.0}
    ),
    "LIFNode, soft": (spikingjelly("LIFNode", v_reset=None), "lif_soft", {"v_fall": 1.0}),
    "LIFNode, below 0": (
        spikingjelly("LIFNode", v_reset=-0.5), "lif_box", {"v_reset": -0.5, "v_leak": -0.5}
    ),
    "LIFNode, multi-step": (spikingjelly("LIFNode", step_mode="m"), "lif_box", {}),
    "ParametricLIFNode": (spikingjelly("ParametricLIFNode"), "lif_box", {"tau_mem_ms": 2.0}),
    "IFNode": (spikingjelly("IFNode"), "iaf", {"v_threshold": 1.0}),
    "IFNode, soft": (spikingjelly("IFNode", v_reset=None), "iaf_soft", {"v_start": 0.0}),
    "LIFBoxCell": (norse("LIFBoxCell"), "lif_box", {"tau_mem_ms": 10.0}),
    "LIFCell": (norse("LIFCell"), "lif", {"tau_mem_ms": 10.0, "tau_syn_ms": 5.0}),
    "IAFCell": (norse("IAFCell"), "iaf", {"v_threshold": 1.0}),
    "membranes in forward": (lambda: firing(Tutorial()), "lif_soft", {"v_fall": 1.25}),
    "membranes as arguments": (lambda: firing(Membranes(), 6.0), "lif_box", {"tau_mem_ms": 10.0}),
}  # fmt: skip


@pytest.mark.parametrize(("make", "neuron", "parameters"), NEURONS.values(), ids=NEURONS)
def test_a_converted_network_has_the_spikes_of_the_module(make, neuron, parameters):
    module = make()
    converted, original = network_from_module(module, 4), ModuleNetwork(ModuleConfig(module), 4)
    assert converted.config.neuron == neuron
    own = converted.config.neuron_parameters
    assert {key: getattr(own, key) for key in parameters} == parameters
    runs = []
    with torch.no_grad():
        outputs = [x(INPUTS, observer=runs.append)[0] for x in (original, converted)]
    mine, theirs = (torch.cat([x.flatten(1) for x in spikes_of([run])], 1) for run in runs)
    assert mine.mean() > 0.02
    # At a threshold, rounding decides.
    assert float((mine != theirs).double().mean()) < 1e-3
    close = torch.isclose(*outputs, atol=1e-5).all(1)
    assert close.double().mean() > 0.98


def lifting(name, kind, env_id, library, **arguments):
    values = 4 if env_id == "CartPole-v1" else 3
    module = nn.Sequential(firing(LIBRARIES[library](values)), firing(nn.Linear(6, 5)))
    return kind(name, env_id, seed=0, policy_kwargs={"network": module}, **arguments)


@pytest.mark.parametrize("library", ["snntorch", "spikingjelly"])
@pytest.mark.parametrize(
    ("policy", "kind", "env_id", "arguments"),
    [
        (SpikingActorCriticPolicy, PPO, "CartPole-v1", {"n_steps": 32, "batch_size": 16}),
        (SpikingDQNPolicy, DQN, "CartPole-v1", {"learning_starts": 16}),
        (SpikingSACPolicy, SAC, "Pendulum-v1", {"learning_starts": 16}),
        (SpikingTD3Policy, TD3, "Pendulum-v1", {"learning_starts": 16}),
    ],
)
def test_a_converted_model_acts_and_costs_the_same_and_is_data(
    policy, kind, env_id, arguments, library, tmp_path
):
    model = lifting(policy, kind, env_id, library, **arguments)
    model.learn(32)
    made = from_module(model)
    shape = (200, *model.observation_space.shape)
    seen = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    mine, theirs = (x.predict(seen, deterministic=True)[0] for x in (model, made))
    assert np.isclose(mine, theirs, atol=1e-5).all(axis=tuple(range(1, mine.ndim))).mean() > 0.98
    costs = [x.policy.record(seen).costs for x in (model, made)]
    for name in ("synops", "macs", "neuron_updates", "spikes", "messages", "parameter_bytes"):
        one, other = (getattr(x, f"{name}_per_decision") for x in costs)
        assert one == pytest.approx(other, rel=1e-3), name
    back = snn_gym.load_agent(snn_gym.save_agent(made, tmp_path / "agent"))
    assert np.array_equal(back.predict(seen, deterministic=True)[0], theirs)
    made.learn(32)


def test_the_critic_comes_along():
    model = PPO(SpikingActorCriticPolicy, "CartPole-v1", seed=0, n_steps=32, batch_size=32,
                policy_kwargs={"network": norse("LIFBoxCell")()})  # fmt: skip
    model.learn(32)
    made, seen = from_module(model), torch.randn(7, 4)
    assert torch.equal(made.policy.predict_values(seen), model.policy.predict_values(seen))
    assert made.num_timesteps == 32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (plain, "Plain has no form here.*register_neuron.*model.save"),
        (snntorch(reset_delay=False), "Leaky with reset_delay=False has no form"),
        (snntorch(reset_mechanism="none"), "does more than its linear maps and neurons"),
        (snntorch(beta=lambda n: torch.linspace(0.5, 0.9, n)), "decay differs between neurons"),
        (spikingjelly("IFNode", v_reset=-0.5), "of a layer's spikes are others"),
        (lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU()), "no neurons that fire"),
        (lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), firing(plain())), "ReLU '1'"),
        (lambda: Tutorial("membranes"), "by the output of its forward .* write an nn.Sequential"),
        (lambda: Tutorial("sums"), "by the output of its forward .* write an nn.Sequential"),
        (Sums, "by the output of its forward .*; return the last part's values of each time step"),
    ],
)
def test_what_has_no_form_here_is_refused_in_a_line(make, message):
    with refused(message):
        network_from_module(firing(make()), 4)


def test_models_without_a_module_are_refused():
    with refused("PPO is not converted; expected a model on environments"):
        from_module(PPO(SpikingActorCriticPolicy, "CartPole-v1"))
