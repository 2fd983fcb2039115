"""Tests of banks of small networks: equality with their programs, by hand, learning, pruning."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from snn_gym.learners.students import (
    BURN_IN,
    FAMILIES,
    REMEMBERING,
    Bank,
    Scaling,
    Windows,
    fit,
    scaling_of,
)
from snn_gym.program import CompiledProgram, count_costs, decide

DISCRETE, BOX = spaces.Discrete(3), spaces.Box(np.float32([-2, 0]), np.float32([2, 1]))
SIZES, LENGTH = (1, 2, 4), 9


def made(family, space=DISCRETE, inputs=3):
    generator = torch.Generator().manual_seed(0)
    return Bank(family, SIZES, inputs, space, generator)


def windows(bank, samples=20, starts=None, seed=1):
    generator = torch.Generator().manual_seed(seed)
    seen = torch.randn(samples, LENGTH, bank.inputs, generator=generator)
    outputs = 3 if bank.discrete else 2
    behaviour = torch.randn(samples, LENGTH, outputs, generator=generator).clamp(-1, 1)
    if starts is None:
        starts = torch.rand(samples, LENGTH, generator=generator) < 0.2
    return Windows(seen, behaviour, starts, torch.ones(starts.shape))


def played(program, seen, starts):
    """Return outputs (L, O) and actions along one sequence, by the interpreter."""
    state, outputs, actions = None, [], []
    for values, start in zip(seen, starts, strict=True):
        found = decide(program, values[np.newaxis], None if start else state)
        state = found.state
        outputs.append(found.outputs[0])
        actions.append(found.actions[0])
    return np.array(outputs), np.array(actions)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("space", [DISCRETE, BOX], ids=["discrete", "box"])
def test_programs_decide_as_the_bank(family, space):
    bank = made(family, space)
    data = windows(bank)
    bank.prune(0.7, data, torch.Generator().manual_seed(0))
    scaling = Scaling(np.float32([1, -2, 0]), np.float32([0.5, 3, 1]))
    with torch.no_grad():
        expected = bank(data)[0].numpy()
    raw = data.observations.numpy() * scaling.std + scaling.mean
    for network, size in enumerate(SIZES):
        program = bank.program(network, scaling)
        assert program.stateful == (family in REMEMBERING)
        assert all(x <= size for x in program.sizes)
        for sample in range(3):
            found, actions = played(program, raw[sample], data.starts[sample])
            ours = expected[network, sample]
            if space is BOX:  # in units of half the range around its middle
                ours = np.float32([0, 0.5]) + np.float32([2, 0.5]) * ours
                assert (actions >= space.low).all()
                assert (actions <= space.high).all()
            np.testing.assert_allclose(found, ours, rtol=1e-3, atol=1e-4)


def test_a_neuron_by_hand():
    """Its potential halves, 0.75 a decision are added, and a spike takes 1 off."""
    bank = Bank("lif", (1,), 1, spaces.Discrete(2), torch.Generator())
    with torch.no_grad():
        for name, value in {
            "weights": 0.75,
            "biases": 0.0,
            "decay_logit": 0.0,
            "read": 2.0,
        }.items():
            getattr(bank, name).fill_(value)
    seen = torch.ones(1, 4, 1)
    starts = torch.zeros(1, 4, dtype=torch.bool)
    outputs, fired = bank(Windows(seen, seen, starts, ~starts))
    # 0.75; 1.125, which fires, 0.125; 0.8125; 1.15625, which fires
    assert fired.flatten().tolist() == [0, 1, 0, 1]
    assert outputs[0, 0].tolist() == [[0, 0], [0, 2], [0, 0], [0, 2]]
    # The same from the start of an episode in the middle.
    starts = torch.tensor([[False, True, False, False]])
    assert bank(Windows(seen, seen, starts, ~starts))[1].flatten().tolist() == [0, 0, 1, 0]


def test_the_first_decisions_of_a_window_only_bring_the_state_up_to_date():
    bank = made("leaky")
    none = torch.zeros(2, LENGTH, dtype=torch.bool)
    data = windows(bank, 2, none)
    changed = replace(data, behaviour=data.behaviour.clone())
    changed.behaviour[:, :BURN_IN, 0] += 1.0
    assert torch.equal(bank.losses(data), bank.losses(changed))
    # From the start of an episode on, decisions count.
    begun = none.clone()
    begun[0, 2] = True
    one, other = (bank.losses(replace(x, starts=begun)) for x in (data, changed))
    assert not torch.allclose(one, other)


def test_decisions_are_learned_by_their_weights():
    bank = made("relu")
    data = windows(bank, 2)
    counts = torch.zeros_like(data.counts)
    counts[0, 3], counts[1, 5] = 1.0, 3.0
    alone = [
        bank.losses(Windows(*(x[[b]][:, [k]] for x in vars(data).values())))
        for b, k in ((0, 3), (1, 5))
    ]
    found = bank.losses(replace(data, counts=counts))
    assert torch.allclose(found, (alone[0] + 3 * alone[1]) / 4, rtol=1e-4)


def test_scaling_leaves_flags_and_constants():
    seen = np.float32([[0, 5, 1, 7], [1, 5, 3, 7], [1, 5, 5, 7]])
    found = scaling_of(seen)
    np.testing.assert_allclose(found.mean, [0, 5, 3, 7])
    np.testing.assert_allclose(found.std, [1, 1, np.sqrt(8 / 3), 1], rtol=1e-6)


@pytest.mark.parametrize("family", ["linear", "tanh", "rnn", "lif"])
def test_students_learn_to_act_as_a_teacher(family):
    bank = made(family)
    data = windows(bank, 200, torch.zeros(200, LENGTH, dtype=torch.bool))
    data.behaviour.zero_()
    data.behaviour[..., 1] = 4.0 * data.observations[..., 0].clamp(-1, 1)
    before = bank.losses(data).detach()
    fit(bank, data, 200, 0.05, torch.Generator().manual_seed(0))
    after = bank.losses(data).detach()
    assert float(after.min()) < 0.25 * float(before.min())


def test_pruning_keeps_what_moves_the_outputs_most():
    bank = Bank("relu", (2,), 2, spaces.Discrete(2), torch.Generator())
    with torch.no_grad():
        bank.weights.copy_(torch.tensor([[[3.0, 0.1], [0.2, 2.0]]]))
        bank.biases.fill_(1.0)
        bank.read.copy_(torch.tensor([[[2.0], [0.01]]]))
    data = windows(bank, 50)
    # One of four synapses from observations; of two onto the output, 0.67 times as many.
    bank.prune(0.34, data, torch.Generator().manual_seed(0))
    program = bank.program(0, Scaling(np.zeros(2, np.float32), np.ones(2, np.float32)))
    assert program.sizes == (1,)
    np.testing.assert_array_equal(program.layers[0].weights, [[3.0], [0.0]])
    np.testing.assert_array_equal(program.head.weights, [[0.0], [2.0]])
    costs = count_costs(program, np.ones((1, 2), np.float32))
    assert costs.operations_per_decision == 3  # a product each way, and an update


def test_fewer_loops_go_than_synapses_from_observations():
    bank = Bank("rnn", (4,), 20, DISCRETE, torch.Generator().manual_seed(0))
    data = windows(bank)
    for _ in range(3):
        bank.prune(0.5, data, torch.Generator().manual_seed(0))
    assert int(bank.receives.sum()) == 10  # 80, 40, 20
    assert int(bank.loops.sum()) == 7  # 16, 12, 9: three quarters stay each time
    assert int(bank.reads.sum()) == 3  # 8, 6, 4


@pytest.mark.parametrize("family", FAMILIES)
def test_copies_carry_the_numbers_of_one_network(family):
    bank = made(family)
    data, generator = windows(bank), torch.Generator().manual_seed(0)
    with torch.no_grad():
        bank.read.normal_(generator=generator)  # linear policies begin with zeros
    bank.prune(0.6, data, generator)
    copies, other = bank.copies(2, 3), made(family).copies(2)
    with torch.no_grad():
        assert torch.equal(copies(data)[0], bank(data)[0][[2, 2, 2]])
        numbers = copies.numbers()
        assert numbers.shape[0] == 3
        assert copies.synapses != other.synapses
        copies.load_numbers(numbers * np.array([[1.0], [0.5], [2.0]]))
        moved = copies(data)[0]
    assert torch.equal(moved[0], bank(data)[0][2])
    assert not torch.equal(moved[1], moved[0])
    np.testing.assert_allclose(copies.numbers()[2], 2 * numbers[2], rtol=1e-6)


def test_one_network_without_finite_gradients_leaves_the_others_alone():
    data, changed = windows(made("tanh"), 60), []
    for broken in (False, True):
        bank = made("tanh")
        with torch.no_grad():
            if broken:
                bank.read[1] = torch.nan
        fit(bank, data, 3, 0.01, torch.Generator().manual_seed(0))
        changed.append(bank.weights.detach())
    assert torch.equal(changed[0][[0, 2]], changed[1][[0, 2]])
    assert torch.equal(changed[1][1], made("tanh").weights[1])
    assert not torch.equal(changed[0][1], changed[1][1])


def test_constants_of_one_neuron_are_those_of_its_layer():
    bank, scaling = made("lif"), Scaling(np.zeros(3, np.float32), np.ones(3, np.float32))
    one, two = (bank.program(k, scaling) for k in (0, 1))
    assert (one.sizes, one.neurons[0].each, two.neurons[0].each) == ((1,), False, True)
    layer = one.neurons[0]
    own = replace(one, layers=(replace(layer, constants=layer.constants[:, np.newaxis]),))
    shared, each = (
        count_costs(x, np.ones((1, 3), np.float32)).total("parameter_bytes_per_decision")
        for x in (one, own)
    )
    assert each - shared == 12  # three constants
    with torch.no_grad():
        expected = bank(windows(bank))[0][0, 0].numpy()
    outputs, _ = played(one, windows(bank).observations[0].numpy(), windows(bank).starts[0])
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", ["leaky", "lif"])
def test_the_longest_memory_is_a_program_too(family):
    bank = made(family)
    with torch.no_grad():
        bank.decay_logit.fill_(50.0)
    program = bank.program(1, Scaling(np.zeros(3, np.float32), np.ones(3, np.float32)))
    assert np.isfinite(decide(program, np.ones((1, 3), np.float32)).outputs).all()


def test_all_rows_of_a_spike_train_enter_at_once():
    bank = made("recurrent_lif", inputs=4)
    scaling = Scaling(np.zeros(4, np.float32), np.ones(4, np.float32))
    program = bank.program(2, scaling, rows_per_step=5)
    trains = (np.random.default_rng(0).random((6, 5, 4)) < 0.4).astype(np.float32)
    made_of, single = decide(program, trains), bank.program(2, scaling)
    summed = decide(single, trains.sum(1))
    np.testing.assert_array_equal(made_of.outputs, summed.outputs)
    fast = CompiledProgram(program).outputs(trains.reshape(6, -1))
    np.testing.assert_allclose(fast, made_of.outputs, rtol=1e-5)
    # A spike costs its fan-out, and a row is no event of its own.
    reached = (program.layers[0].weights != 0).sum(1)
    expected = (trains.sum((0, 1)) * reached).sum() / 6
    assert count_costs(program, trains).synops_per_decision["input"] == pytest.approx(expected)
