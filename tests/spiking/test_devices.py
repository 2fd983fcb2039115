"""Networks, policies and learners on another device than the CPU.

Kernels serve the CPU; elsewhere layers run step by step as operations of PyTorch. ``meta``, the
device without numbers, shows everywhere that shapes and devices fit together; where there is a GPU,
what it computes is compared with the kernels.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

import snn_gym
from snn_gym.spiking import NetworkConfig, SpikingNetwork

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
CONFIGS = [
    NetworkConfig((12, 9), 7, neuron=neuron, recurrent=recurrent, decoder=decoder)
    for neuron, recurrent, decoder in [
        ("lif_box", False, "mean_rate"),
        ("lif", False, "last_voltage"),
        ("iaf", False, "max_voltage"),
        ("alif", True, "mean_rate"),
    ]
]


def build(config: NetworkConfig) -> tuple[SpikingNetwork, torch.Tensor]:
    torch.manual_seed(0)
    return SpikingNetwork(config, 3, 2), torch.randn(20, 3)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.neuron)
def test_a_decision_stays_on_its_device(config: NetworkConfig) -> None:
    network, x = build(config)
    network, x = network.to("meta"), x.to("meta")
    output, state = network(x)
    again, _ = network(x, state)
    again.sum().backward()
    found = [output, state, again, *(p.grad for p in network.parameters())]
    assert {tensor.device.type for tensor in found if tensor is not None} == {"meta"}
    assert output.shape == (20, 2)


@NEEDS_CUDA
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.neuron)
def test_a_gpu_gives_the_numbers_of_the_kernels(config: NetworkConfig) -> None:
    network, x = build(config)
    there = copy.deepcopy(network).to("cuda")
    found = []
    for one, inputs in ((network, x), (there, x.cuda())):
        state = one.rest_state(len(inputs))
        outputs = []
        for _ in range(3):
            output, state = one(inputs, state)
            outputs.append(output)
        gradients = torch.autograd.grad(outputs[-1].square().sum(), list(one.parameters()))
        found.append([*(x.detach().cpu() for x in outputs), *(x.cpu() for x in gradients)])
    # A margin within rounding may turn one spike of some 10,000 and what follows from it.
    for ours, theirs in zip(*found, strict=True):
        close = torch.isclose(ours, theirs, rtol=1e-3, atol=1e-4)
        assert close.float().mean() > 0.99


@NEEDS_CUDA
@pytest.mark.parametrize(
    ("agent", "env_id"), [("ppo-lif", "CartPole-v1"), ("sac-lif", "Pendulum-v1")]
)
def test_an_agent_learns_and_acts_on_a_gpu(agent: str, env_id: str) -> None:
    model = snn_gym.make_agent(agent, env_id, seed=0, device="cuda").learn(512)
    assert model.policy.device.type == "cuda"
    assert all(bool(torch.isfinite(x).all()) for x in model.policy.parameters())
    observations = np.stack([model.observation_space.sample() for _ in range(8)])
    there = model.predict(observations, deterministic=True)[0]
    model.policy.to("cpu")
    here = model.predict(observations, deterministic=True)[0]
    np.testing.assert_allclose(there, here, rtol=1e-3, atol=1e-3)


def test_kernels_are_not_asked_for_elsewhere() -> None:
    network, x = build(replace(CONFIGS[0], backend="fused"))
    with pytest.raises(ValueError, match="backend 'fused' runs float32 on the CPU"):
        network.to("meta")(x.to("meta"))
