"""C of execution by events: equal to the interpreter, spike by spike."""

import subprocess

import gymnasium as gym
import numpy as np
import pytest

from compiled import COMPILER, SANITIZERS, WARNINGS, Compiled, needs_compiler
from snn_gym.policies import SpikingActorCriticPolicy, StatefulActorCriticPolicy, program_of
from snn_gym.program import (
    Choice,
    Decoder,
    Head,
    LeakyLayer,
    NeuronLayer,
    Program,
    count_costs,
    decide,
    with_events,
)
from snn_gym.program.neurons import IAF
from snn_gym_deploy import episode_costs, to_c
from tests.made import build, scattered

NETWORKS = [
    {"neuron": ("alif", "lif_box"), "recurrent": True},
    {"neuron": "lif", "decoder": "last_voltage", "learnable": ("tau_mem_ms",), "recurrent": True},
    {"neuron": "iaf", "hidden_sizes": (20,)},
]


def trains(count):
    """Return spike trains (5, 6), of which most are silent."""
    generator = np.random.default_rng(2)
    rates = [0.2 if k % 15 < 4 else 0.0 for k in range(count)]
    return [(generator.random((5, 6)) < rate).astype(np.float32) for rate in rates]


def quiet(policy, seed):
    """Return the policy with weaker biases: of some neurons 0, of few above the threshold."""
    generator = np.random.default_rng(seed)
    for name, parameter in policy.named_parameters():
        if name.endswith("bias"):
            drawn = generator.choice([0.0, 0.0, 0.05, -0.1, 1.2], parameter.shape)
            parameter.data = parameter.new_tensor(drawn)
    return policy


@needs_compiler
@pytest.mark.parametrize("kind", [StatefulActorCriticPolicy, SpikingActorCriticPolicy])
@pytest.mark.parametrize("network", NETWORKS)
def test_c_equals_the_interpreter(network, kind, tmp_path):
    policy = quiet(scattered(build(kind, "spikes", **network)), 0)
    program = with_events(program_of(policy))
    files = to_c(policy, tmp_path, execution="events")
    compiled, state, fired = Compiled(files, program), None, 0
    for k, seen in enumerate(trains(90)):
        if k == 50:
            compiled.reset()
            state = None
        found = decide(program, seen[np.newaxis], state)
        state = found.state if program.stateful else None
        assert compiled.step(seen) == found.actions[0]
        for layer, spikes in enumerate(found.spikes, start=1):
            last = np.array(getattr(compiled.state, f"spikes_{layer}")[:])
            np.testing.assert_array_equal(last, spikes[-1, 0])
            updated = np.array(getattr(compiled.state, f"updated_{layer}")[:])
            touched = found.events.updated[layer - 1][:, 0]
            late = compiled.state.now - 5 + 1 + np.arange(5)[:, np.newaxis]
            latest = np.where(touched, late, 0).max(0)
            np.testing.assert_array_equal(updated[latest > 0], latest[latest > 0])
            assert (updated[latest == 0] <= compiled.state.now - 5).all()
            fired += spikes.sum()
    assert fired > 20
    text = files.header.read_text()
    assert f"{files.state_bytes:,} of state" in text
    clocked = to_c(policy, tmp_path / "clocked")
    assert files.state_bytes == clocked.state_bytes + 5 * sum(files.sizes) + 4


@needs_compiler
def test_the_source_has_no_undefined_behaviour(tmp_path):
    policy = quiet(build(StatefulActorCriticPolicy, "spikes", **NETWORKS[0]), 0)
    files = to_c(policy, tmp_path, execution="events")
    program = tmp_path / "agent"
    words = [str(COMPILER), *WARNINGS, *SANITIZERS, "-o", str(program)]
    subprocess.run([*words, str(files.source), str(files.program), "-lm"], check=True)
    seen = trains(40)
    lines = "\n".join(" ".join(f"{x:g}" for x in train.ravel()) for train in seen)
    ran = subprocess.run([str(program)], input=lines, capture_output=True, text=True, check=True)
    state, actions = None, []
    for train in seen:
        found = decide(with_events(program_of(policy)), train[np.newaxis], state)
        state = found.state
        actions.append(int(found.actions[0]))
    assert [int(x) for x in ran.stdout.split()] == actions


def of_cues(**parts):
    """Return a program for snn/CueAccumulation-silent-v0 that carries a state."""
    none = np.zeros(0, np.float32)
    rest = {"encoder": "spikes", "normalisers": (), "choice": Choice("argmax", none, none)}
    return Program(**rest, **parts, stateful=True)


def spiking_memory():
    """Return two neurons without leak: each counts its side's cues less the other's.

    A cue of the task's end drives both to the threshold, and the first to fire inhibits the other.
    """
    weights = np.zeros((40, 2), np.float32)
    weights[0], weights[10], weights[20] = (0.01, -0.01), (-0.01, 0.01), (0.5, 0.5)
    loop = np.array([[0.0, -9.0], [-9.0, 0.0]], np.float32)
    constants, zeros = np.array([1.0, 0.0], np.float32), np.zeros((1, 2), np.float32)
    layer = NeuronLayer(IAF, constants, weights, zeros[0], loop, zeros)
    decoder = Decoder(np.full((1, 8), 1 / 8, np.float32), np.zeros((1, 0), np.float32))
    head = Head(np.eye(2, dtype=np.float32), zeros[0])
    return of_cues(inputs=40, layers=(layer,), time_steps=8, decoder=decoder, head=head)


def leaky_memory():
    """Return a leaky integrator of the cues of one side less those of the other."""
    weights = np.zeros((8, 40, 1), np.float32)
    weights[:, 0], weights[:, 10] = 1.0, -1.0
    zeros, decay = np.zeros(2, np.float32), np.array([0.999], np.float32)
    layer = LeakyLayer(weights.reshape(-1, 1), zeros[:1], decay)
    head = Head(np.array([[1.0], [-1.0]], np.float32), zeros)
    return of_cues(inputs=320, layers=(layer,), time_steps=1, decoder=None, head=head)


@pytest.mark.parametrize(("memory", "share"), [(spiking_memory, 0.03), (leaky_memory, 0.06)])
def test_an_episode_of_silence_costs_what_its_events_cost(memory, share):
    env_id, seeds = "snn/CueAccumulation-silent-v0", range(5)
    program = with_events(memory())
    clocked = episode_costs(memory(), env_id, seeds)
    found = episode_costs(program, env_id, seeds)
    assert (found.returns, found.lengths) == (clocked.returns, clocked.lengths)
    assert found.mean == 1.0
    assert found.synops_per_decision == clocked.synops_per_decision
    assert found.spikes_per_decision == clocked.spikes_per_decision
    assert found.operations_per_decision < share * clocked.operations_per_decision
    # The same episodes, decision by decision.
    env, operations = gym.make(env_id), 0.0
    for seed in seeds:
        observation, done, state = env.reset(seed=seed)[0], False, None
        while not done:
            seen = observation[np.newaxis]
            operations += count_costs(program, seen, state).operations_per_decision
            decision = decide(program, seen, state)
            observation, _, terminated, truncated, _ = env.step(decision.actions[0])
            done, state = terminated or truncated, decision.state
    assert found.operations_per_decision == pytest.approx(operations / sum(found.lengths))


def test_forms_that_events_do_not_have_are_refused(tmp_path):
    policy = build(StatefulActorCriticPolicy)
    with pytest.raises(ValueError, match="train on spikes, or leave 'events' out"):
        to_c(policy, tmp_path, execution="events")
    with pytest.raises(ValueError, match="for spiking agents, in float; leave it out"):
        to_c(policy, tmp_path, execution="events", fixed_point=True)
