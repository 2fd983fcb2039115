"""Episodes of programs by events: costs by the interpreter, decision by decision."""

import gymnasium as gym
import numpy as np
import pytest

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
from studies.pays.events import episode_costs


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
