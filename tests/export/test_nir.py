"""NIR graphs against our networks: spikes by explicit Euler steps of the graph's own equations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

from snn_gym.export import to_nir
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
    StatefulActorCriticPolicy,
)
from tests.export.euler import Euler
from tests.export.host import choose, seen_by_the_graph
from tests.export.made import build, observe

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


def test_a_mean_that_is_clipped_before_it_is_squashed_is_refused(tmp_path: Path) -> None:
    from stable_baselines3.common.utils import ConstantSchedule

    from tests.export.made import CHOSEN, SEEN

    schedule = ConstantSchedule(0.1)
    policy = SpikingSACPolicy(SEEN["analogue"], CHOSEN["continuous"], schedule, use_sde=True)
    with pytest.raises(ValueError, match="train without use_sde"):
        to_nir(policy, tmp_path / "agent.nir")
