"""Explicit Euler steps of a NIR graph's own equations, in float64: the oracle of graphs."""

import nir
import numpy as np
import torch
from torch.nn import functional


class Euler:
    """Simulator of graphs of affine maps and neurons in a chain, with loops."""

    def __init__(self, graph, dt_s):
        self.nodes, self.edges, self.dt_s = graph.nodes, graph.edges, dt_s
        self.state = {
            name: {"v": getattr(node, "v_leak", node.v_reset).astype(np.float64), **_zeros(node)}
            for name, node in self.nodes.items()
            if isinstance(node, nir.LIF | nir.CubaLIF | nir.IF)
        }

    def step(self, seen):
        """Return the outputs and the spikes of one time step."""
        planes = self.nodes["input"].input_type["input"]
        name, signal, fired = "input", seen.astype(np.float64).reshape(planes), {}
        while name != "output":
            (name,) = [b for a, b in self.edges if a == name and not b.startswith("recurrent")]
            node = self.nodes[name]
            if isinstance(node, nir.Affine | nir.Linear):
                signal = node.weight @ signal + getattr(node, "bias", 0.0)
            elif isinstance(node, nir.AvgPool2d):
                side = tuple(map(int, node.kernel_size))
                signal = functional.avg_pool2d(torch.from_numpy(signal), side).numpy()
            elif isinstance(node, nir.Conv2d):
                signal = _convolved(node, signal)
            elif isinstance(node, nir.Flatten):
                signal = signal.ravel()
            elif name in self.state:
                looped = self.nodes.get(name.replace("neurons", "recurrent"))
                if looped is not None:
                    signal = signal + looped.weight @ self.state[name]["z"]
                signal = self._neurons(node, self.state[name], signal)
                fired[name] = signal.ravel()
        return signal, fired

    def _neurons(self, node, state, x):
        if isinstance(node, nir.CubaLIF):
            state["i"] = state["i"] + self.dt_s / node.tau_syn * (node.w_in * x - state["i"])
            x = state["i"]
        if isinstance(node, nir.IF):
            v = state["v"] + self.dt_s * node.r * x
        else:
            tau = node.tau if isinstance(node, nir.LIF) else node.tau_mem
            v = state["v"] + self.dt_s / tau * ((node.v_leak - state["v"]) + node.r * x)
        state["z"] = (v > node.v_threshold).astype(np.float64)
        state["v"] = np.where(state["z"] > 0, node.v_reset, v)
        return np.array(state["z"])


def _convolved(node, signal):
    arrays = (torch.from_numpy(np.asarray(x, np.float64)) for x in (signal, node.weight, node.bias))
    stride, padding = (tuple(map(int, x)) for x in (node.stride, node.padding))
    return functional.conv2d(*arrays, stride=stride, padding=padding).numpy()


def _zeros(node):
    return {key: np.zeros(node.v_threshold.shape) for key in ("i", "z")}
