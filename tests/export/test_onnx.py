"""ONNX models in onnxruntime: the same actions as our own policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snn_gym.export import to_onnx
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
    StatefulActorCriticPolicy,
)
from tests.export.made import build, observe

pytest.importorskip("onnx")
KINDS: list[tuple[type[Any], str, str, dict[str, Any]]] = [
    (SpikingActorCriticPolicy, "analogue", "discrete", {}),
    (SpikingActorCriticPolicy, "analogue", "continuous", {"neuron": "lif"}),
    (SpikingActorCriticPolicy, "spikes", "discrete", {"neuron": ("iaf", "lif_box")}),
    (SpikingActorCriticPolicy, "analogue", "discrete", {"recurrent": True}),
    (SpikingDQNPolicy, "flags", "discrete", {"neuron_parameters": {"v_leak": 0.2}}),
    (SpikingSACPolicy, "analogue", "continuous", {}),
]


@pytest.mark.parametrize(("kind", "seen", "chosen", "network"), KINDS)
def test_actions_are_those_of_the_policy(
    kind: type[Any], seen: str, chosen: str, network: dict[str, Any], tmp_path: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    if "neuron_parameters" in network:
        from snn_gym.spiking.neurons.parameters import LIFBoxParameters

        network = {"neuron_parameters": LIFBoxParameters(**network["neuron_parameters"])}
    policy = build(kind, seen, chosen, **network)
    session = runtime.InferenceSession(str(to_onnx(policy, tmp_path / "agent.onnx")))
    observations = observe(seen, 100)
    given = observations.reshape(len(observations), -1).astype(np.float32)
    action, values = session.run(["action", "values"], {"observation": given})
    expected = policy.predict(observations, deterministic=True)[0]
    # A spike may flip where its margin is within rounding.
    pair = (x.reshape(len(x), -1) for x in (action, expected))
    assert np.isclose(*pair, atol=1e-4).all(1).mean() >= 0.98
    assert values.std(0).min() > 0


@pytest.mark.parametrize(
    ("kind", "network", "message"),
    [
        (StatefulActorCriticPolicy, {}, "agents with a state are not exported as ONNX"),
        (SpikingActorCriticPolicy, {"neuron": "alif"}, "'alif' is not exported as ONNX"),
        (SpikingActorCriticPolicy, {"decoder": "last_voltage"}, "train with 'mean_rate'"),
    ],
)
def test_what_has_no_such_form_is_refused(
    kind: type[Any], network: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        to_onnx(build(kind, **network), tmp_path / "agent.onnx")
    assert not list(tmp_path.iterdir())
