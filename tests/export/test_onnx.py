"""ONNX models in onnxruntime: the same actions as our own policies."""

import numpy as np
import pytest

from snn_gym.export import to_onnx
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
    StatefulActorCriticPolicy,
    StatefulDQNPolicy,
)
from snn_gym.program.neurons import LIFBoxParameters
from snn_gym.zoo import make_agent
from tests.export.made import RARE, RARE_STATEFUL, build, observe, scattered

pytest.importorskip("onnx")
KINDS = [
    (SpikingActorCriticPolicy, "analogue", "discrete", {}),
    (SpikingActorCriticPolicy, "analogue", "continuous", {"neuron": "lif"}),
    (SpikingActorCriticPolicy, "spikes", "discrete", {"neuron": ("iaf", "lif_box")}),
    (SpikingActorCriticPolicy, "analogue", "discrete", {"recurrent": True}),
    (SpikingDQNPolicy, "flags", "discrete", {"neuron_parameters": LIFBoxParameters(v_leak=0.2)}),
    (SpikingActorCriticPolicy, "spikes", "discrete", {"neuron": ("alif", "lif_box")}),
    (SpikingActorCriticPolicy, "flags", "discrete", {"decoder": "last_voltage"}),
    (SpikingSACPolicy, "analogue", "continuous", {}),
]
KINDS += [(SpikingActorCriticPolicy, "analogue", "discrete", network) for network in RARE]
STATEFUL = [
    (StatefulActorCriticPolicy, "analogue", {"neuron": "alif", "recurrent": True}),
    (StatefulActorCriticPolicy, "spikes", {"neuron": "lif", "decoder": "last_voltage"}),
    (StatefulDQNPolicy, "analogue", {}),
    *((StatefulActorCriticPolicy, "analogue", network) for network in RARE_STATEFUL),
]


@pytest.mark.parametrize(("kind", "seen", "chosen", "network"), KINDS)
def test_actions_equal_the_policys(kind, seen, chosen, network, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    policy = scattered(build(kind, seen, chosen, **network))
    session = runtime.InferenceSession(str(to_onnx(policy, tmp_path / "agent.onnx")))
    observations = observe(seen, 100)
    given = observations.reshape(len(observations), -1).astype(np.float32)
    action, values = session.run(["action", "values"], {"observation": given})
    expected = policy.predict(observations, deterministic=True)[0]
    # A spike may flip where its margin is within rounding.
    pair = (x.reshape(len(x), -1) for x in (action, expected))
    assert np.isclose(*pair, atol=1e-4).all(1).mean() >= 0.98
    assert values.std(0).min() > 0


@pytest.mark.parametrize(("kind", "seen", "network"), STATEFUL)
def test_a_state_goes_in_and_comes_out(kind, seen, network, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    policy = scattered(build(kind, seen, **network))
    session = runtime.InferenceSession(str(to_onnx(policy, tmp_path / "agent.onnx")))
    width = {x.name: x.shape for x in session.get_inputs()}["state"][1]
    # Both rows begin an episode at once, and the first one again later.
    state, ours = np.full((2, width), 7.0, np.float32), None
    observations, same = observe(seen, 80).reshape(40, 2, *policy.observation_space.shape), []
    for k, pair in enumerate(observations):
        starts = np.array([k in (0, 25), k == 0])
        given = {"observation": pair.reshape(2, -1).astype(np.float32)}
        given |= {"state": state, "episode_start": starts}
        action, state = session.run(["action", "next_state"], given)
        expected, ours = policy.predict(pair, ours, starts, deterministic=True)
        same.append(action == expected)
    # A spike that flips within rounding changes what follows it, until the episode's end.
    assert np.mean(same) >= 0.95
    assert state.std() > 0


def test_gated_units_are_refused(tmp_path):
    gated = make_agent("recurrent-ppo-gru", "snn/MaskedCartPole-v1")
    with pytest.raises(ValueError, match="gated units are not exported as ONNX; export them as C"):
        to_onnx(gated, tmp_path / "agent.onnx")
    assert not list(tmp_path.iterdir())
