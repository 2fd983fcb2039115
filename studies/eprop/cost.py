"""Time and memory of three ways to the gradient of a sequence, by its length.

``bptt`` and ``eprop`` go backward through the stored sequence. ``forward`` computes the gradient of
``eprop`` by eligibility traces, and reads each input once. The network and the inputs' shape are
those of the agent on CueAccumulation. Each measurement has a separate process, because the peak
memory of a process counts from its start.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from snn_gym._base.config import Config
from snn_gym._base.numerics import one_thread
from snn_gym.spiking import EligibilityTraces, SpikingNetwork
from snn_gym.zoo import build_policy
from studies.eprop.training import AGENT, TASKS
from studies.runs import Planned

BATCH = 16
"""Sequences at once."""
LENGTHS = (32, 128, 512, 2048)
"""Environment steps of a sequence."""
FORMS = {
    "bptt": "back-propagation through time",
    "eprop": "e-prop, backward",
    "forward": "e-prop, forward in time",
}
"""Label of each form in the table."""
_RATE = 0.05
"""Spikes of an input channel in a time step."""
_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in a unit of the peak that the system tells."""


@dataclass(frozen=True)
class Cost(Config):
    """Cost of one gradient."""

    form: str
    """Key of ``FORMS``."""
    length: int
    """Environment steps of the sequence."""
    peak_mib: float
    """Peak memory of the process beyond that of a gradient of one step (MiB)."""
    step_us: float
    """Processor time of an environment step of one sequence (µs)."""


def make_network() -> SpikingNetwork:
    """Return the agent's actor on CueAccumulation, with fresh weights."""
    torch.manual_seed(0)
    env_id = next(iter(TASKS))
    policy: Any = build_policy(AGENT, env_id)
    actor: SpikingNetwork = policy.mlp_extractor.actor
    return actor


def draw_inputs(network: SpikingNetwork, length: int) -> Iterator[Tensor]:
    """Give the spikes (BATCH, T, D) of each environment step, always the same."""
    shape = (BATCH, network.config.time_steps, network.input_size)
    generator = torch.Generator().manual_seed(1)
    for _ in range(length):
        yield (torch.rand(shape, generator=generator) < _RATE).float()


def gradients(network: SpikingNetwork, form: str, length: int) -> list[Tensor]:
    """Return the gradients of the layer's synapses for the sum of a sequence's outputs."""
    layer: Any = network.layers[0]
    if form == "forward":
        traces = EligibilityTraces(layer, network.decoder, BATCH)
        nobody, signals = torch.zeros(BATCH, dtype=torch.bool), torch.ones(BATCH, layer.size)
        for spikes in draw_inputs(network, length):
            traces.step(spikes.transpose(0, 1), nobody)
            traces.learn(signals)
        return list(traces.gradients())
    inputs = torch.stack(list(draw_inputs(network, length)))
    starts = torch.zeros(length, BATCH, dtype=torch.bool)
    outputs, _ = network.sequence(inputs, None, starts, recurrent_gradient=form == "bptt")
    wanted = [layer.linear.weight, layer.linear.bias, layer.recurrent.weight]
    return list(torch.autograd.grad(outputs.sum(), wanted))


def measure(form: str, length: int) -> Cost:
    """Measure one gradient, in a process that has made none before."""
    with one_thread():
        network = make_network()
        gradients(network, form, 1)  # compiles the kernels
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began_s = time.process_time()
        gradients(network, form, length)
        taken_s = time.process_time() - began_s
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_mib = (after - before) * _UNIT / 2**20
    return Cost(form, length, peak_mib, 1e6 * taken_s / (length * BATCH))


def measure_apart(form: str, length: int) -> Cost:
    """Measure one gradient in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (form, length))


def cost_runs() -> Iterator[Planned]:
    """Yield the measurements of all forms and lengths."""
    for form in FORMS:
        for length in LENGTHS:
            yield Planned(f"costs/{form}/{length}", partial(measure_apart, form, length))
