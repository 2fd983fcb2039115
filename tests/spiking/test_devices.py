"""Tests of networks, policies and learners on other devices than the CPU.

Kernels serve the CPU; elsewhere layers run step by step as operations of PyTorch. ``meta``, the
device without numbers, shows everywhere that shapes and devices fit together; where there is a GPU,
what it computes is compared with the kernels.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace

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
        ("iaf", False, "population"),
        ("alif", True, "mean_rate"),
    ]
]


def build(config):
    torch.manual_seed(0)
    return SpikingNetwork(config, 3, 2), torch.randn(20, 3)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.neuron)
def test_decisions_stay_on_their_device(config):
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
def test_gpu_equals_the_kernels(config):
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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_gives_one_line(tmp_path):
    message = "device 'cuda' is not available here, so the CPU is used"
    with pytest.warns(UserWarning, match=message) as caught:
        model = snn_gym.make_agent("ppo-lif", "CartPole-v1", device="cuda")
    assert model.policy.device.type == "cpu"
    assert caught[0].filename == __file__
    snn_gym.save_agent(model, tmp_path / "saved")
    with pytest.warns(UserWarning, match=message) as caught:
        snn_gym.load_agent(tmp_path / "saved", device="cuda")
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snn_gym.load_agent(tmp_path / "saved", device="auto")
        snn_gym.load_agent(tmp_path / "saved", device="cpu")
    with pytest.raises(ValueError, match="device 'gpu' is unknown to PyTorch; use cpu, cuda, cuda"):
        snn_gym.load_agent(tmp_path / "saved", device="gpu")


def test_kernels_are_refused_on_other_devices():
    network, x = build(replace(CONFIGS[0], backend="fused"))
    with pytest.raises(ValueError, match="backend 'fused' runs float32 on the CPU"):
        network.to("meta")(x.to("meta"))
