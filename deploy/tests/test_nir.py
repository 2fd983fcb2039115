"""NIR graphs against our networks: spikes by explicit Euler steps of the graph's own equations."""

import json

import nir
import numpy as np
import pytest
from stable_baselines3.common.utils import ConstantSchedule

from euler import Euler
from host import choose, seen_by_the_graph
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
    StatefulActorCriticPolicy,
)
from snn_gym.program import NEURONS, LIFBox, LIFBoxParameters, Neuron, equations
from snn_gym_deploy import to_nir
from snn_gym_deploy.nir_graph import matched
from tests.made import CHOSEN, SEEN, build, observe

KINDS = [
    (SpikingActorCriticPolicy, "analogue", "discrete", {}),
    (SpikingActorCriticPolicy, "analogue", "continuous", {"neuron": "lif"}),
    (SpikingActorCriticPolicy, "spikes", "discrete", {"neuron": ("lif", "lif_box")}),
    (SpikingActorCriticPolicy, "analogue", "continuous", {"decoder": "population"}),
    (SpikingActorCriticPolicy, "analogue", "discrete", {"recurrent": True}),
    (StatefulActorCriticPolicy, "analogue", "discrete", {"recurrent": True, "neuron": "lif"}),
    (SpikingDQNPolicy, "flags", "discrete", {}),
    (
        SpikingActorCriticPolicy, "planes", "discrete",
        {"convolutions": [{"filters": 3, "kernel": 2, "padding": 1},
                          {"filters": 4, "kernel": 2, "pool": 2}]},
    ),
    (
        SpikingActorCriticPolicy, "planes", "discrete",
        {"convolutions": [{"filters": 3, "stride": 2}], "hidden_sizes": ()},
    ),
    (
        SpikingActorCriticPolicy, "planes, channels last", "discrete",
        {"convolutions": [{"filters": 3}, {"filters": 2}]},
    ),
    (SpikingSACPolicy, "analogue", "continuous", {}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "seen", "chosen", "network"), KINDS)
def test_the_equations_of_the_graph_give_our_spikes_and_actions(
    kind, seen, chosen, network, tmp_path
):
    policy = build(kind, seen, chosen, **network)
    files = to_nir(policy, tmp_path / "agent.nir")
    host = json.loads(files.host.read_text(encoding="utf-8"))
    graph, state, fired = nir.read(files.graph), None, 0
    reader = Euler(graph, host["dt_s"])
    for observation in observe(seen, 25):
        inputs, steps = seen_by_the_graph(observation, host), host["time_steps"]
        if host["state"] == "reset":
            reader, state = Euler(graph, host["dt_s"]), None
        outputs, spikes = zip(*(reader.step(x) for x in inputs), strict=True)
        assert len(inputs) == steps
        layers = policy.record(observation[np.newaxis], state).layers
        hidden = [layer for layer in layers if layer.name != "input"]
        for layer, name in zip(hidden, reader.state, strict=True):
            ours = layer.spikes[:, 0].numpy()
            assert np.array_equal(ours, np.stack([x[name] for x in spikes]))
            fired += int(ours.sum())
        action, state = policy.predict(observation[np.newaxis], state, deterministic=True)
        taken = choose(np.mean(outputs, axis=0), host["action"])
        np.testing.assert_allclose(taken, action[0], rtol=1e-4, atol=1e-5)
    assert fired > 100


@pytest.mark.parametrize(("kind", "options", "message"), [
    (SpikingActorCriticPolicy, {"network": {"neuron": "iaf"}}, "train with neuron 'lif_box'"),
    (SpikingActorCriticPolicy, {"network": {"neuron": "alif"}}, "'alif' has no node in NIR"),
    (SpikingActorCriticPolicy, {"network": {"decoder": "last_voltage"}}, "train with 'mean_rate'"),
    (SpikingActorCriticPolicy, {"network": {"neuron_parameters": {"v_reset": -0.5}}},
     "v_reset=-0.5 are not exported"),
    (SpikingActorCriticPolicy, {"network": {"encoder": "rate"}}, "'rate' is not exported"),
    (SpikingActorCriticPolicy, {"spiking_actor": False}, "export it as C"),
    (SpikingSACPolicy, {"use_sde": True}, "train without use_sde"),
])  # fmt: skip
def test_parts_that_importers_disagree_on_are_refused(kind, options, message, tmp_path):
    policy = kind(SEEN["analogue"], CHOSEN["continuous"], ConstantSchedule(0.1), **options)
    with pytest.raises(ValueError, match=message):
        to_nir(policy, tmp_path / "agent.nir")
    assert not list(tmp_path.iterdir())


def test_equal_equations_are_found_under_other_names():
    class Renamed(Neuron):
        Parameters = LIFBoxParameters
        state = ("u",)

        @staticmethod
        def constants(parameters, dt_ms):
            return {"share": 0.5, "top": 1.0, "bottom": 0.0, "ground": 0.0}

        @staticmethod
        def rest(p):
            return (p.ground,)

        @staticmethod
        def integrate(p, s, x):
            return (s.u + p.share * ((x + p.ground) - s.u),)

        @staticmethod
        def margin(p, s):
            return s.u - p.top

        @staticmethod
        def after(p, s, z):
            return ((1.0 - z) * s.u + z * p.bottom,)

    found = matched(equations(Renamed), equations(LIFBox))
    assert found == {
        "mem_gain": "share", "v_threshold": "top", "v_reset": "bottom", "v_leak": "ground",
    }  # fmt: skip

    class Elsewhere(Renamed):
        @staticmethod
        def rest(p):
            return (0.5,)

    assert matched(equations(Elsewhere), equations(LIFBox)) is None
    for a in NEURONS.values():
        for b in NEURONS.values():
            assert (matched(equations(a), equations(b)) is not None) == (a is b)
