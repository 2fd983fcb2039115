"""Verilog against the integer program that it prints, by Icarus Verilog and yosys."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from snn_gym import load_pretrained
from snn_gym.policies import SpikingActorCriticPolicy, StatefulActorCriticPolicy, program_of
from snn_gym_deploy import Visits, seen_and_noisy, to_verilog, visit
from snn_gym_deploy.verilog_circuit import Circuit
from test_integer_c import FILTERS, peaks_of, with_own_constants
from tests.made import build, build_ann, observe, one_neuron
from tests.program.own_neurons import registered

needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="not installed: iverilog"
)
needs_yosys = pytest.mark.skipif(shutil.which("yosys") is None, reason="not installed: yosys")
SHAPES = ["serial", "parallel"]


def simulated(files):
    """Return what the testbench prints."""
    folder, test = files.source.parent, "test"
    sources = [files.testbench.name, files.source.name]
    subprocess.run(["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-o", test, *sources],
                   cwd=folder, check=True, capture_output=True)  # fmt: skip
    return subprocess.run(
        [f"./{test}"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def passes(program, observations, folder, peaks=(), shape="serial", **options):
    inputs = np.abs(observations.reshape(len(observations), -1).astype(float)).max(0)
    if observations.ndim > 2 or not program.held:
        inputs = ()
    visits = Visits((), tuple(peaks), inputs=tuple(inputs))
    files = to_verilog(program, folder, observations, visits=visits, shape=shape, **options)
    shown = simulated(files)
    assert f"PASS: {len(observations)} decisions" in shown, shown
    return int(re.search(r"most (\d+)", shown).group(1))


@needs_icarus
@pytest.mark.parametrize(("kind", "seen", "chosen", "network", "shape", "peaks"), [
    (*made, *(("serial", (1.0, 1.7)), ("parallel", (0.1, 0.1)))[k % 2]) for k, made in enumerate([
    (SpikingActorCriticPolicy, "analogue", "continuous", {"neuron": "resonator"}),
    (SpikingActorCriticPolicy, "analogue", "discrete", {"neuron": ("alif", "lif_box")}),
    (SpikingActorCriticPolicy, "spikes", "discrete", {"decoder": "last_voltage"}),
    (SpikingActorCriticPolicy, "spikes", "continuous", {"hidden_sizes": (9,), "time_steps": 1}),
    (StatefulActorCriticPolicy, "analogue", "discrete", {"neuron": "iaf_soft", "recurrent": True}),
    (StatefulActorCriticPolicy, "analogue", "continuous", {"neuron": "lif_soft", "time_steps": 1}),
    (StatefulActorCriticPolicy, "spikes", "discrete", {"neuron": "alif", "recurrent": True}),
    ])
])  # fmt: skip
def test_neurons_act_as_the_integer_program(kind, seen, chosen, network, peaks, shape, tmp_path):
    with registered():  # peaks of 0.1 are so small that all numbers saturate
        policy = build(kind, seen, chosen, **{"hidden_sizes": (7, 5), **network})
        program = program_of(policy)
        passes(program, observe(seen, 120), tmp_path, peaks[: len(program.layers)], shape)


UNITS = {
    "tanh": {}, "relu": {"actor_activation": "relu"}, "continuous": {"chosen": "continuous"},
    "linear": {"network": {"hidden_sizes": ()}}, "int2": {"bits": 2},
    "int4-relu": {"bits": 4, "actor_activation": "relu"},
    "leaky": {"kind": StatefulActorCriticPolicy, "gated": "leaky"}, "spikes": {"seen": "flags"},
}  # fmt: skip


@needs_icarus
@pytest.mark.parametrize(
    ("shape", "arguments"), [(SHAPES[k % 2], x) for k, x in enumerate(UNITS.values())]
)
def test_units_act_as_the_integer_program(arguments, shape, tmp_path):
    seen = arguments.get("seen", "analogue")
    program = program_of(build_ann(**{"network": {"hidden_sizes": (5, 4)}, **arguments}))
    observations = observe(seen, 120)
    passes(program, observations, tmp_path, peaks_of(program, observations).peaks, shape)


@needs_icarus
@pytest.mark.parametrize("shape", SHAPES)
def test_convolutions_act_as_the_integer_program(shape, tmp_path):
    seen = "planes, channels last"
    program = program_of(build(SpikingActorCriticPolicy, seen, **FILTERS))
    observations = observe(seen, 20).reshape(20, -1).astype(np.float32)
    passes(program, observations, tmp_path, (1.0, 1.5, 2.0), shape)


@needs_icarus
def test_cycles_of_one_neuron_by_hand(tmp_path):
    observations = np.linspace(-6.0, 6.0, 50, dtype=np.float32)[:, np.newaxis]
    serial, parallel = (passes(one_neuron(), observations, tmp_path / x, (1.0,), x) for x in SHAPES)
    # One number comes in, 16 bits of it, its current, four time steps, their sum and the choice.
    assert parallel == 1 + 16 + 1 + 4 + 1 + 2
    # A number comes in, and starts; synapses of the current, four steps and outputs, each time step
    # but the last with a pause of 5, and 8 cycles behind a pass; the choice and `done`.
    assert serial == 2 + (1 + 8) + (4 + 3 * 5 + 8) + (4 + 8) + 3


@needs_icarus
def test_a_wrong_decision_fails(tmp_path):
    observations = np.linspace(-6.0, 6.0, 50, dtype=np.float32)[:, np.newaxis]
    files = to_verilog(one_neuron(), tmp_path, observations, visits=Visits((), (1.0,)))
    expected = tmp_path / "agent_expected.hex"
    lines = expected.read_text().split()
    assert len(set(lines)) == 2
    lines[7] = "1" if lines[7] == "0" else "0"
    expected.write_text("\n".join(lines))
    shown = simulated(files)
    assert f"decision 7: {1 - int(lines[7])}, expected {lines[7]}" in shown
    assert "FAIL: 1 of 50 decisions" in shown


@needs_icarus
@pytest.mark.parametrize("shape", SHAPES)
def test_a_trained_agent_acts_on_what_it_sees_and_on_noise(shape, tmp_path):
    model = load_pretrained("ppo-lif-lean", "CartPole-v1")
    visits, observations = (visit(model, "CartPole-v1", 2), seen_and_noisy(model, "CartPole-v1"))
    assert observations.shape == (200, 4)
    files = to_verilog(model, tmp_path, observations, visits=visits, shape=shape)
    assert files.decisions == 200
    assert "PASS: 200 decisions" in simulated(files)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("verilator") is None, reason="not installed: verilator")
@pytest.mark.parametrize("shape", SHAPES)
def test_verilator_agrees(shape, tmp_path):
    policy = build(StatefulActorCriticPolicy, "analogue", hidden_sizes=(7, 5), recurrent=True)
    observations, visits = observe("analogue", 120), Visits((), (1.0, 1.7))
    files = to_verilog(policy, tmp_path, observations, visits=visits, shape=shape)
    words = ["verilator", "--binary", "-Wno-fatal", "--top-module", "agent_tb"]
    sources = [files.testbench.name, files.source.name]
    subprocess.run([*words, *sources], cwd=tmp_path, check=True, capture_output=True)
    made = subprocess.run(["obj_dir/Vagent_tb"], cwd=tmp_path, check=True, capture_output=True)
    assert b"PASS: 120 decisions" in made.stdout


@needs_yosys
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("arguments", [{}, {"kind": StatefulActorCriticPolicy, "gated": "leaky"}])
def test_it_is_synthesised_without_a_warning(shape, arguments, tmp_path):
    program = program_of(build_ann(network={"hidden_sizes": (3, 2)}, **arguments))
    visits, observations = Visits((), (1.0, 1.0)), observe("analogue", 2)
    files = to_verilog(program, tmp_path, observations, visits=visits, shape=shape)
    script = f"read_verilog {files.source}; synth -top agent; check -assert"
    done = subprocess.run(
        ["yosys", "-e", ".*", "-q", "-p", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "Agent"}, "name 'Agent' must be at most 32 lower-case letters"),
        ({"name": "wire"}, "no keyword of Verilog; such as 'agent'"),
        ({"visits": None}, r"pass visits=visit\(model, env_id\)"),
    ],
)
def test_bad_arguments_are_refused_with_a_fix(options, message, tmp_path):
    arguments = {"visits": Visits((), (1.0,)), **options}
    with pytest.raises(ValueError, match=message):
        to_verilog(one_neuron(), tmp_path, np.zeros((1, 1), np.float32), **arguments)
    assert not any(tmp_path.iterdir())


def test_no_observations_are_refused(tmp_path):
    with pytest.raises(ValueError, match="the testbench needs observations, got none"):
        to_verilog(one_neuron(), tmp_path, np.zeros((0, 1), np.float32), visits=Visits((), (1.0,)))


@pytest.mark.parametrize(("value", "nearest"), [(40_000, 32_767), (-40_000, -32_768), (5, 5)])
def test_constants_saturate_without_a_wire(value, nearest):
    circuit = Circuit("n")
    assert circuit.saturated(circuit.number(value)) == circuit.number(nearest)
    assert circuit.lines == []


LACKING = {
    r"gated units \(gru\)": build_ann(kind=StatefulActorCriticPolicy, gated="gru"),
    "threshold units": build_ann(actor_activation="threshold"),
    "rectified_leaky units": build_ann(kind=StatefulActorCriticPolicy, gated="rectified_leaky"),
    "neurons with constants of their own": build(SpikingActorCriticPolicy, learnable=("tau_mem",)),
    "rows of a spike train that enter together": build(
        SpikingActorCriticPolicy, "ten rows", rows_per_step=2
    ),
}


@pytest.mark.parametrize("part", LACKING)
def test_parts_without_a_form_in_verilog_are_named(part, tmp_path):
    seen = "ten rows" if part.startswith("rows") else "analogue"
    program, visits = program_of(LACKING[part]), Visits((), (1.0, 1.0))
    program = with_own_constants(program) if "own" in part else program
    with pytest.raises(ValueError, match=f"{part} are not written in Verilog; train spiking"):
        to_verilog(program, tmp_path, observe(seen, 1), visits=visits)


def test_large_agents_are_refused_the_parallel_form(tmp_path):
    large = program_of(build_ann(network={"hidden_sizes": (100, 100)}))
    with pytest.raises(
        ValueError, match=r"at most 10,000 synapses, .* has 10,\d{3}; use the serial"
    ):
        to_verilog(large, tmp_path, observe("analogue", 1), shape="parallel")
