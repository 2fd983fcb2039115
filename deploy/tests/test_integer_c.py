"""Fixed-point C against the integer program that it prints: potentials, outputs and actions."""

from dataclasses import replace

import numpy as np
import pytest

from compiled import Compiled, needs_compiler
from snn_gym import load_pretrained
from snn_gym.policies import SpikingActorCriticPolicy, StatefulActorCriticPolicy, program_of
from snn_gym.program import compact, decide
from snn_gym.zoo import make_agent
from snn_gym_deploy import Visits, to_c, to_integer, visit
from snn_gym_deploy.visits import observations_of
from tests.made import build, build_ann, observe
from tests.policies.firing import made_to_fire
from tests.program.own_neurons import registered

STRAIGHT = {"straight_line": True}
QUIET, LOUD = (1.0, 1.7), (0.1, 0.1)
RECURRENT = {"recurrent": True}
OWN = {"learnable": ("tau_mem", "v_fall")}
TOGETHER = {"rows_per_step": 2, **RECURRENT, **OWN}
FILTERS = {
    "convolutions": [
        {"filters": 2, "kernel": 2, "stride": 2},
        {"filters": 4, "kernel": 2, "padding": 1, "pool": 2},
    ],
    "hidden_sizes": (5,),
}


def with_own_constants(program):
    """Return a program whose neurons differ in their constants."""
    layers = []
    for layer in program.layers:
        shares = np.linspace(0.7, 1.0, layer.size, dtype=np.float32)
        layers.append(replace(layer, constants=layer.constants.reshape(-1, layer.size) * shares))
    return replace(program, layers=tuple(layers))


def same(program, visits, observations, folder, **form):
    """Return whether C and the integer program act alike, and have the same potentials, each."""
    files = to_c(program, folder, visits=visits, fixed_point=True, **form)
    compiled = Compiled(files, program, fixed=True)
    integer = to_integer(program, visits.peaks, visits.inputs)
    state, alike = None, []
    for observation in observations:
        made = integer.decide(observation[np.newaxis], state)
        state = made.state if program.stateful else None
        action = compiled.step(observation.reshape(-1))
        alike.append(np.allclose(action, made.actions[0], rtol=0.0, atol=1e-6))
        if program.spiking and not form:
            layers = zip(made.state, program.neurons, strict=True)
            parts = [x[: len(x) - (layer.recurrent is None), 0] for x, layer in layers]
            alike[-1] &= np.array_equal(compiled.neurons(), np.concatenate([*map(np.ravel, parts)]))
    return np.array(alike)


@needs_compiler
@pytest.mark.parametrize(("kind", "seen", "chosen", "network", "peaks", "form"), [
    (SpikingActorCriticPolicy, "analogue", "continuous", {"neuron": "resonator"}, LOUD, STRAIGHT),
    (SpikingActorCriticPolicy, "spikes", "discrete", {"decoder": "last_voltage"}, QUIET, {}),
    (StatefulActorCriticPolicy, "analogue", "discrete", {"neuron": "iaf_soft", **RECURRENT},
     QUIET, STRAIGHT),
    (StatefulActorCriticPolicy, "analogue", "discrete", {"neuron": "lif_soft", **RECURRENT},
     LOUD, {}),
    (StatefulActorCriticPolicy, "spikes", "discrete", {"neuron": "alif", **RECURRENT}, LOUD, {}),
    (StatefulActorCriticPolicy, "ten rows", "discrete", {"neuron": "lif_soft", **TOGETHER}, QUIET,
     {}),
    (StatefulActorCriticPolicy, "ten rows", "discrete", {"neuron": "lif_soft", **TOGETHER}, QUIET,
     STRAIGHT),
    (StatefulActorCriticPolicy, "analogue", "discrete", {"neuron": "lif_soft", **OWN}, QUIET,
     STRAIGHT),
])  # fmt: skip
def test_neurons_equal_the_integer_program(kind, seen, chosen, network, peaks, form, tmp_path):
    with registered():  # peaks of 0.1 are so small that all numbers saturate
        policy = build(kind, seen, chosen, hidden_sizes=(7, 5), **network)
        program = program_of(policy)
        program = with_own_constants(program) if "learnable" in network else program
        assert same(program, Visits((), peaks), observe(seen, 60), tmp_path, **form).all()


def peaks_of(program, observations):
    """Return the largest state of each layer in float."""
    peaks, state = [], None
    for observation in observations if program.stateful else ():
        made = decide(program, observation[np.newaxis], state)
        state = made.state
        peaks.append([np.abs(x).max() for x in made.layers])
    return Visits((), tuple(np.max(peaks, axis=0).tolist()) if peaks else ())


UNITS = {
    "tanh": {},
    "linear": {"network": {"hidden_sizes": ()}},
    "int2": {"bits": 2},
    "int4-relu": {"bits": 4, "actor_activation": "relu"},
    "threshold": {"actor_activation": "threshold"},
    **{
        x: {"kind": StatefulActorCriticPolicy, "gated": x}
        for x in ("gru", "lstm", "rnn", "leaky", "rectified_leaky")
    },
}


def small(seen="analogue", **arguments):
    return program_of(build_ann(seen, **{"network": {"hidden_sizes": (5, 4)}, **arguments}))


@needs_compiler
@pytest.mark.parametrize("arguments", UNITS.values(), ids=UNITS)
def test_units_equal_the_integer_program(arguments, tmp_path):
    program, observations = small(**arguments), observe("analogue", 100)
    visits = peaks_of(program, observations)
    for k, form in enumerate(({}, STRAIGHT)):
        assert same(program, visits, observations, tmp_path / str(k), **form).all()


@pytest.mark.parametrize("arguments", UNITS.values(), ids=UNITS)
def test_outputs_are_near_those_in_float(arguments):
    program, observations = small(**arguments), observe("analogue", 100)
    integer = to_integer(program, peaks_of(program, observations).peaks)
    first = integer.decide(observations), decide(program, observations)
    # A second decision, on the state of the first one; a third would magnify differences.
    states = [x.state if program.stateful else None for x in first]
    made = integer.decide(observations[::-1], states[0])
    expected = decide(program, observations[::-1], states[1]).outputs
    # Weights have 8 bits: seven, and a sign.
    error = np.abs(made.outputs * integer.output_unit - expected)
    assert error.mean() < 0.02 * np.abs(expected).max()


@needs_compiler
@pytest.mark.parametrize("together", [1, 10])
def test_an_observation_of_spikes_enters_an_ann(together, tmp_path):
    seen = "spikes" if together == 1 else "ten rows"
    network = {"hidden_sizes": (5,), "rows_per_step": together}
    program = small(seen, kind=StatefulActorCriticPolicy, gated="gru", network=network)
    observations = observe(seen, 60)
    visits = peaks_of(program, observations)
    for k, form in enumerate(({}, STRAIGHT)):
        assert same(program, visits, observations, tmp_path / str(k), **form).all()


@needs_compiler
@pytest.mark.parametrize("spikes", [True, False], ids=["spiking", "ANN"])
def test_convolutions_equal_the_integer_program(spikes, tmp_path):
    seen = "planes, channels last"
    spiking = build(SpikingActorCriticPolicy, seen, **FILTERS)
    program = program_of(spiking if spikes else build_ann(seen, network=FILTERS))
    observations = observe(seen, 60).reshape(60, -1).astype(np.float32)
    visits = Visits((), (1.0, 1.5, 2.0), inputs=(1.0,) * program.inputs)
    for k, form in enumerate(({}, STRAIGHT)):
        assert same(program, visits, observations, tmp_path / str(k), **form).all()


def test_a_large_agent_is_refused_straight_lines(tmp_path):
    program = load_pretrained("ppo-lif", "CartPole-v1").policy.program()
    with pytest.raises(ValueError, match=r"at most 2,000 synapses, and the agent has 4,\d{3}"):
        to_c(program, tmp_path, visits=Visits((), (1.0, 1.0)), fixed_point=True, **STRAIGHT)
    with pytest.raises(ValueError, match="is a form of fixed point; set fixed_point, too"):
        to_c(program, tmp_path, **STRAIGHT)


# ---- ten agents ----------------------------------------------------------------------------------
CUE = "snn/CueAccumulation-v0"
STORED = {
    "spiking": ("ppo-lif", "CartPole-v1"), "lean": ("ppo-lif-2-steps", "Acrobot-v1"),
    "recurrent": ("recurrent-ppo-lsnn", CUE), "spiking, continuous": ("sac-lif", "Pendulum-v1"),
    "tanh": ("ppo-mlp", "Acrobot-v1"), "relu": ("dqn-mlp", "CartPole-v1"),
    "gru": ("recurrent-ppo-gru", CUE),
}  # fmt: skip
UNTRAINED = {
    "linear": ("ppo-linear", "LunarLander-v3"),
    "int8": ("ppo-mlp-int8", "CartPole-v1"),
    "leaky": ("recurrent-ppo-leaky-small", CUE),
}
FAST = ("linear",)


def model_of(name):
    if name in STORED:
        return load_pretrained(*STORED[name]), STORED[name][1]
    model = make_agent(*UNTRAINED[name])
    made_to_fire(model.policy)
    return model, UNTRAINED[name][1]


def agree(name, folder):
    model, env_id = model_of(name)
    visits = visit(model, env_id, 2)
    program, seen = program_of(model), list[np.ndarray]()
    if name == "lean":
        program = compact(program, visits.fired)
    while sum(map(len, seen)) < 1000:
        seeds = range(len(seen), len(seen) + 1)
        seen.append(observations_of(model.policy, env_id, seeds).astype(np.float32))
    visited = np.concatenate(seen)[:1000].reshape(1000, *seen[0].shape[1:])
    noise = np.random.default_rng(0).normal(0.0, 2.0, visited.shape)
    noisy = (
        np.clip(np.rint(visited + noise), 0, 1)
        if program.spike_input
        else (visited + noise * visited.std(0))
    )
    observations = np.concatenate([visited, noisy]).astype(np.float32)
    alike = same(program, visits, observations, folder)
    assert len(alike) == 2000
    assert alike.all()
    integer = to_integer(program, visits.peaks, visits.inputs)
    return program, integer, visited


@needs_compiler
@pytest.mark.parametrize("name", FAST)
def test_integer_programs_equal_c_on_2000_observations(name, tmp_path):
    agree(name, tmp_path)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", [x for x in (*STORED, *UNTRAINED) if x not in FAST])
def test_more_integer_programs_equal_c_on_2000_observations(name, tmp_path):
    agree(name, tmp_path)
