"""Jobs with scores that can be computed by hand."""

import numpy as np

from snn_gym.envs.synapses.jobs import Job, Judgement
from snn_gym.spiking.network_config import NetworkConfig

SMALL = NetworkConfig(hidden_sizes=(1,), time_steps=2)
"""With one input and one output: 4 synapses."""


class Distance(Job):
    """Job of approaching the number of the probe: the score is minus the summed distance."""

    name = "Distance"
    input_size = 1
    output_size = 1
    step_size = 0.5
    probe_size = 1
    network = SMALL

    def __init__(self, targets=(3,)):
        self.targets = targets
        self.judged = []

    def draw_probe(self, rng, size):
        return rng.choice(self.targets, size)

    def judge(self, population, weights, probe, *, measure=False):
        probes = np.broadcast_to(probe, (len(weights), probe.shape[-1]))
        self.judged.append((weights.copy(), probes.copy()))
        scores = -np.abs(weights - probes[:, :1]).sum(axis=1).astype(np.float64)
        return Judgement(scores, np.full(len(weights), 10))


class Broken(Distance):
    """Job with non-finite scores."""

    name = "Broken"

    def judge(self, population, weights, probe, *, measure=False):
        return Judgement(np.full(len(weights), np.nan), np.ones(len(weights), np.int64))
