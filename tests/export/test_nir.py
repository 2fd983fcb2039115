"""NIR graphs against our networks: spikes by explicit Euler steps of the graph's own equations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from snn_gym.export import to_nir
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
    StatefulActorCriticPolicy,
)
from tests.export.host import choose, seen_by_the_graph
from tests.export.made import build, observe


class Euler:
    """A reader of graphs of affine maps and neurons in a chain, with loops: their equations."""

    def __init__(self, graph: nir.NIRGraph, dt_s: float) -> None:
        self.nodes, self.edges, self.dt_s = graph.nodes, graph.edges, dt_s
        self.state = {
            name: {key: np.zeros(node.v_threshold.shape) for key in ("v", "i", "z")}
            for name, node in self.nodes.items()
            if isinstance(node, nir.LIF | nir.CubaLIF)
        }

    def step(self, seen: NDArray[Any]) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Return what arrives at the output and the spikes of one time step."""
        name, signal, fired = "input", seen.astype(np.float64), {}
        while name != "output":
            (name,) = [b for a, b in self.edges if a == name and not b.startswith("recurrent")]
            node = self.nodes[name]
            if isinstance(node, nir.Affine):
                signal = node.weight @ signal + node.bias
            elif name in self.state:
                looped = self.nodes.get(name.replace("neurons", "recurrent"))
                if looped is not None:
                    signal = signal + looped.weight @ self.state[name]["z"]
                signal = fired[name] = self._neurons(node, self.state[name], signal)
        return signal, fired

    def _neurons(self, node: Any, state: dict[str, Any], x: NDArray[Any]) -> NDArray[Any]:
        tau = node.tau if isinstance(node, nir.LIF) else node.tau_mem
        if isinstance(node, nir.CubaLIF):
            state["i"] = state["i"] + self.dt_s / node.tau_syn * (node.w_in * x - state["i"])
            x = state["i"]
        v = state["v"] + self.dt_s / tau * ((node.v_leak - state["v"]) + node.r * x)
        state["z"] = (v > node.v_threshold).astype(np.float64)
        state["v"] = np.where(state["z"] > 0, node.v_reset, v)
        return np.array(state["z"])


KINDS: list[tuple[type[Any], str, str, dict[str, Any]]] = [
    (SpikingActorCriticPolicy, "analogue", "discrete", {}),
    (SpikingActorCriticPolicy, "analogue", "continuous", {"neuron": "lif"}),
    (SpikingActorCriticPolicy, "spikes", "discrete", {"neuron": ("lif", "lif_box")}),
    (SpikingActorCriticPolicy, "analogue", "continuous", {"decoder": "population"}),
    (SpikingActorCriticPolicy, "analogue", "discrete", {"recurrent": True}),
    (StatefulActorCriticPolicy, "analogue", "discrete", {"recurrent": True, "neuron": "lif"}),
    (SpikingDQNPolicy, "flags", "discrete", {}),
    (SpikingSACPolicy, "analogue", "continuous", {}),
]


@pytest.mark.parametrize(("kind", "seen", "chosen", "network"), KINDS)
def test_the_equations_of_the_graph_give_our_spikes_and_actions(
    kind: type[Any], seen: str, chosen: str, network: dict[str, Any], tmp_path: Path
) -> None:
    policy = build(kind, seen, chosen, **network)
    files = to_nir(policy, tmp_path / "agent.nir")
    host = json.loads(files.host.read_text(encoding="utf-8"))
    graph, state, fired = nir.read(files.graph), None, 0
    reader = Euler(graph, host["dt_s"])
    for observation in observe(seen, 25):
        inputs, steps = seen_by_the_graph(observation, host), host["time_steps"]
        if host["state"] == "reset":
            reader = Euler(graph, host["dt_s"])
        outputs, spikes = zip(*(reader.step(x) for x in inputs), strict=True)
        assert len(inputs) == steps
        layers = policy.record(observation[np.newaxis], state).layers
        for layer, name in zip(_hidden(layers), reader.state, strict=True):
            ours = layer.spikes[:, 0].numpy()
            assert np.array_equal(ours, np.stack([x[name] for x in spikes]))
            fired += int(ours.sum())
        if host["state"] == "carried":
            action, state = policy.predict(observation[np.newaxis], state, deterministic=True)
        else:
            action, _ = policy.predict(observation[np.newaxis], deterministic=True)
        taken = choose(np.mean(outputs, axis=0), host["action"])
        np.testing.assert_allclose(taken, action[0], rtol=1e-4, atol=1e-5)
    assert fired > 100


def _hidden(layers: Any) -> list[Any]:
    return [layer for layer in layers if layer.name != "input"]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"neuron": "iaf"}, "train with neuron 'lif_box'"),
        ({"neuron": "alif"}, "'alif' has no node in NIR"),
        ({"decoder": "last_voltage"}, "train with 'mean_rate'"),
        ({"neuron_parameters": {"v_reset": -0.5}}, "v_reset=-0.5 are not exported"),
        ({"encoder": "rate"}, "encoder 'rate' is not exported"),
    ],
)
def test_what_importers_do_not_agree_on_is_refused(
    network: dict[str, Any], message: str, tmp_path: Path
) -> None:
    if "neuron_parameters" in network:
        from snn_gym.spiking import NetworkConfig

        parsed = NetworkConfig.from_dict(network)
        network = {"neuron_parameters": parsed.neuron_parameters}
    with pytest.raises(ValueError, match=message):
        to_nir(build(SpikingActorCriticPolicy, **network), tmp_path / "agent.nir")
    assert not list(tmp_path.iterdir())


def test_an_ann_is_refused(tmp_path: Path) -> None:
    from stable_baselines3.common.utils import ConstantSchedule

    from tests.export.made import CHOSEN, SEEN

    torch.manual_seed(0)
    policy = SpikingActorCriticPolicy(
        SEEN["analogue"], CHOSEN["discrete"], ConstantSchedule(0.1), spiking_actor=False
    )
    with pytest.raises(ValueError, match="export it as C"):
        to_nir(policy, tmp_path / "agent.nir")
