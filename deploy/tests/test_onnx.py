"""ONNX models in onnxruntime: the same actions as our own policies."""

import numpy as np
import pytest

from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
    StatefulActorCriticPolicy,
)
from snn_gym.program import decide
from snn_gym.program.builtin_neurons import NEURONS, LIFBoxParameters
from snn_gym.program.interpreter import rest_state
from snn_gym.spiking import Neuron, register_neuron
from snn_gym_deploy import to_onnx
from tests.made import DENSE, RARE, RARE_STATEFUL, build, build_ann, observe, scattered

KINDS = [
    (SpikingActorCriticPolicy, "analogue", "discrete", {}),
    (SpikingActorCriticPolicy, "analogue", "continuous", {"neuron": "lif"}),
    (SpikingActorCriticPolicy, "spikes", "discrete", {"neuron": ("iaf", "lif_box")}),
    (SpikingActorCriticPolicy, "ten rows", "discrete", {"rows_per_step": 2}),
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
    (StatefulActorCriticPolicy, "analogue", {}),
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


@pytest.mark.parametrize("arguments", DENSE.values(), ids=DENSE)
def test_anns_decide_alike(arguments, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    policy, observations = build_ann(**arguments), observe("analogue", 100)
    session = runtime.InferenceSession(str(to_onnx(policy, tmp_path / "agent.onnx")))
    values = session.run(["values"], {"observation": observations})[0]
    expected = decide(policy.program(), observations).outputs
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4)
    assert values.std(0).min() > 0


@pytest.mark.parametrize("gates", [
    "gru", "lstm", "rnn", "leaky", ("rectified_leaky", "rnn_relu"), ("threshold", "gru"),
])  # fmt: skip
def test_units_of_an_ann_carry_their_state(gates, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    policy = build_ann(kind=StatefulActorCriticPolicy, gated=gates)
    session = runtime.InferenceSession(str(to_onnx(policy, tmp_path / "agent.onnx")))
    program, state = policy.program(), rest_state(policy.program(), 4)
    ours, starts = state, np.zeros(4, np.bool_)
    for observations in observe("analogue", 80).reshape(20, 4, 3):
        given = {"observation": observations, "state": state, "episode_start": starts}
        values, state = session.run(["values", "next_state"], given)
        made = decide(program, observations, ours)
        ours = made.state
        np.testing.assert_allclose(values, made.outputs, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(state, ours, rtol=1e-4, atol=1e-4)
    assert ours.std() > 0


class Forgetting(Neuron):
    """A neuron with constants in place of its potential and trace, and a clock without input."""

    Parameters = LIFBoxParameters
    state = ("v", "trace", "clock")

    @staticmethod
    def integrate(p, s, x):
        return x + 0.5 * s.trace + 0.1 * s.clock, p.v_threshold, s.clock + p.v_threshold

    @staticmethod
    def after(p, s, z):
        return p.v_reset, s.trace, s.clock


@pytest.mark.parametrize("recurrent", [False, True])
def test_states_that_are_constants_have_a_row_for_each_sample(recurrent, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    register_neuron("constant", Forgetting)
    try:
        network = {"neuron": "constant", "recurrent": recurrent, "time_steps": 3}
        for kind in (SpikingActorCriticPolicy, StatefulActorCriticPolicy):
            policy = build(kind, **network)
            session = runtime.InferenceSession(str(to_onnx(policy, tmp_path / "agent.onnx")))
            program, observations = policy.program(), observe("analogue", 4)
            before = rest_state(program, 4)
            given = {"observation": observations}
            if program.stateful:
                given |= {"state": before, "episode_start": np.zeros(4, np.bool_)}
            found = session.run(["values", "next_state"][: 1 + program.stateful], given)
            made = decide(program, observations, before if program.stateful else None)
            np.testing.assert_allclose(found[0], made.outputs, rtol=1e-4, atol=1e-4)
            if program.stateful:
                np.testing.assert_allclose(found[1], made.state, rtol=1e-4, atol=1e-4)
    finally:
        del NEURONS["constant"]
