"""Modules of four libraries, which fire for standardised observations."""

import pytest
import torch
from torch import nn


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).float()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (1.0 + 5.0 * x.abs()) ** 2


class Plain(nn.Module):
    """A neuron that halves its potential, adds its input and is reset to 0 above 1."""

    def __init__(self):
        super().__init__()
        self.v = 0.0

    def reset(self):
        self.v = 0.0

    def forward(self, x):
        moved = 0.5 * self.v + x
        spikes = Spike.apply(moved - 1.0)
        self.v = moved * (1.0 - spikes)
        return spikes


def plain(inputs=4, outputs=6):
    return nn.Sequential(nn.Linear(inputs, 16), Plain(), nn.Linear(16, outputs), Plain())


def norse(inputs=4, outputs=6):
    from norse.torch import LIFBoxCell, LIFCell, SequentialState

    return SequentialState(nn.Linear(inputs, 16), LIFCell(), nn.Linear(16, outputs), LIFBoxCell())


def snntorch(inputs=4, outputs=6):
    leaky = pytest.importorskip("snntorch").Leaky
    hidden, last = (leaky(0.8, init_hidden=True) for _ in range(2))
    return nn.Sequential(nn.Linear(inputs, 16), hidden, nn.Linear(16, outputs), last)


def spikingjelly(inputs=4, outputs=6):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    return nn.Sequential(
        nn.Linear(inputs, 16), neuron.LIFNode(), nn.Linear(16, outputs), neuron.IFNode()
    )


LIBRARIES = {"plain": plain, "norse": norse, "snntorch": snntorch, "spikingjelly": spikingjelly}


def firing(module, gain=4.0):
    """Scale the weights of linear maps, so that neurons fire; return the module."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Linear):
                drawn = torch.randn(part.weight.shape, generator=generator)
                part.weight.copy_(gain * drawn / part.in_features**0.5)
                part.bias.copy_(0.3 * torch.rand(part.bias.shape, generator=generator))
    return module
