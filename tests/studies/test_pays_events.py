"""Event-driven costs of leaky integrators, by hand and over episodes of silence."""

import numpy as np
import pytest

from snn_gym.program import Choice, Head, LeakyLayer, Program, count_costs, decide
from studies.pays.events import episode_costs, event_costs, touched

NONE = np.zeros(0, np.float32)


def integrators(decay, head=((1.0,), (0.0,)), outputs=(0.0, 0.1)):
    """Return leaky integrators of two channels, of which the first reaches all by the weight 1."""
    size = len(decay)
    weights = np.array([[1.0] * size, [0.0] * size], np.float32)
    layer = LeakyLayer(weights, np.zeros(size, np.float32), np.array(decay, np.float32))
    return Program(
        inputs=2, encoder="spikes", normalisers=(), layers=(layer,), time_steps=1, decoder=None,
        head=Head(np.array(head, np.float32), np.array(outputs, np.float32)),
        choice=Choice("argmax", NONE, NONE), stateful=True,
    )  # fmt: skip


def row(*values):
    return np.array([values], np.float32)


def test_an_integrator_is_read_while_its_action_may_change():
    program, state, actions, reads = integrators([0.5]), row(0.0), [], []
    # 1, 1/2, 1/4, 1/8 and 1/16, which is below the 0.1 of the other output.
    for value in [1, 0, 0, 0, 0, 0, 0, 1]:
        reads.append(bool(touched(program, row(value, 0.0), state)[0]))
        decision = decide(program, row(value, 0.0), state)
        state = decision.state
        actions.append(int(decision.actions[0]))
    assert actions == [0, 0, 0, 0, 1, 1, 1, 0]
    assert reads == [True, True, True, True, True, False, False, True]


def test_an_integrator_costs_nothing_where_nothing_happens():
    program = integrators([0.5], outputs=(0.0, 0.0))
    state = decide(program, row(1.0, 0.0)).state
    # The second channel has no synapse that is not zero.
    for silent in (row(0.0, 0.0), row(0.0, 1.0)):
        costs = event_costs(program, silent, state)
        assert not costs.operations_per_decision
        assert not costs.total("parameter_bytes_per_decision")
        assert costs.total("spikes_per_decision") == silent.sum()
    costs = event_costs(program, row(1.0, 0.0), state)
    # 1 spike, 1 product of the head, 1 update; the integrator and the time of its last update.
    assert costs.total("synops_per_decision") == 1
    assert costs.macs_per_decision == {"readout": 1}
    assert costs.neuron_updates_per_decision == {"leaky_1": 1}
    assert costs.state_bytes_per_decision == {"leaky_1": 8}


def test_a_look_ahead_takes_a_product_of_the_head():
    program = integrators([0.5, 0.9], head=((1.0, -1.0), (0.0, 2.0)))
    found, clocked = (count(program, row(1.0, 0.0)) for count in (event_costs, count_costs))
    assert found.operations_per_decision == clocked.operations_per_decision + 3


def leaky_memory():
    """Return a leaky integrator of the cues of one side less those of the other."""
    weights = np.zeros((8, 40, 1), np.float32)
    weights[:, 0], weights[:, 10] = 1.0, -1.0
    zeros, decay = np.zeros(2, np.float32), np.array([0.999], np.float32)
    layer = LeakyLayer(weights.reshape(-1, 1), zeros[:1], decay)
    head = Head(np.array([[1.0], [-1.0]], np.float32), zeros)
    return Program(
        inputs=320, encoder="spikes", normalisers=(), layers=(layer,), time_steps=1, decoder=None,
        head=head, choice=Choice("argmax", NONE, NONE), stateful=True,
    )  # fmt: skip


def test_an_episode_of_silence_costs_a_share_of_the_clocked_one():
    found = episode_costs(leaky_memory(), "snn/CueAccumulation-silent-v0", range(2))
    assert found.mean == 1.0
    # Clocked: an update and two outputs in each decision.
    assert 0.0 < found.operations_per_decision < 0.06 * 3


def test_other_programs_are_refused():
    program = integrators([0.5])
    with pytest.raises(ValueError, match="counted of one layer of leaky integrators"):
        episode_costs(
            Program(**{**vars(program), "choice": Choice("clip", row(0, 0)[0], row(1, 1)[0])}),
            "CartPole-v1", range(1),
        )  # fmt: skip
