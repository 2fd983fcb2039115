"""The lean study, on trainings of a moment and on outcomes made by hand."""

import dataclasses
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snn_gym._base.numerics import one_thread
from snn_gym.learners import lean
from snn_gym.learners.lean_rules import BoundControl, StrengthControl
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.zoo import make_agent
from studies.lean import runner
from studies.lean.controls import CONTROLS, decay_cost, neurons_of, shuffled_orders
from studies.lean.outcome import Outcome
from studies.lean.report import pages, time_cell
from studies.lean.rescue import STARTS, spoil
from studies.lean.tasks import CONTROLS as ALL_CONTROLS
from studies.lean.tasks import LEAN, SPIKES, STRENGTHS, TASKS, Task, settings_of
from studies.runs import Runs
from tests.learners.shed import begun, distance
from tests.policies.identity import observations

TASK = TASKS[0]
SHORT = {"updates": 40, "latest_start": 0.75}  # a rollout is an eighth of the training


@dataclasses.dataclass(frozen=True)
class ShortTask(Task):
    """A task whose budget is a few rollouts."""

    @property
    def steps(self):
        return 2048


def outcome(arm, seed, mean=500.0, **changes):
    """Return an outcome of 100 SynOps of hidden spikes, 10 MACs and 90 updates of neurons."""
    made = Outcome(
        task="CartPole-v1", arm=arm, seed=seed, agent="ppo-lif", steps=1, branched_at=0,
        settings={}, begun_at=0.5, last_bound=0.02, mean=mean,
        synops={"input": 7.0, "hidden_1": 100.0}, macs=10.0, neuron_updates=90.0, seconds=1.0,
        version="0",
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def page(tmp_path, *outcomes):
    table = Runs(tmp_path / "runs.jsonl")
    for x in outcomes:
        table.add(f"{x.task}/{x.arm}/{x.seed}", x)
    return pages(table)["lean-study.md"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a function that trains an arm of a short task, each once."""
    folder = tmp_path_factory.mktemp("lean")
    task = ShortTask("CartPole-v1", lean={"pruning": 0.0, **SHORT})
    table = Runs(folder / "runs.jsonl")

    @cache
    def train(arm):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runner, "CHECKPOINT_INTERVAL", 512)
            with one_thread():  # two share a product in other parts, and round it so
                made = runner.train(table, task, arm, 1000, folder / "scratch")
        table.add(task.run_name(arm, 1000), made)
        return made

    train.task = task
    return train


def test_arms_branch_from_off_and_controls_have_the_bound_of_lean(trained):
    off, shed, prune = (trained(arm) for arm in ("off", "lean", "prune"))
    assert (off.steps, off.arm, off.frozen_mean) == (2048, "off", None)
    assert shed.frozen_mean is not None
    assert 8.0 < shed.frozen_mean < 500.0
    # An arm begins no later than its share, from a checkpoint before.
    assert 0 < shed.branched_at <= shed.begun_at * 2048
    assert prune.settings == {
        "pruning": 1.0, "signals": "prune", "widening": 1.0, "tolerance": 1.0, **SHORT,
        "bound": shed.last_bound,
    }  # fmt: skip
    assert trained("uniform").settings == {**prune.settings, "pruning": 0.0, "signals": "uniform"}


def test_an_arm_equals_its_training_from_the_start(trained, tmp_path, monkeypatch):
    shed = trained("lean")
    monkeypatch.setattr(runner, "CHECKPOINT_INTERVAL", 512)
    regulation = {"lean": {**SHORT, "pruning": 0.0, "largest_rise": None}}
    segments = runner.partial(runner.SegmentCallback, tmp_path / "c", tmp_path / "e")
    with one_thread():
        whole = make_agent("ppo-lif", "CartPole-v1", 1000, network={"regulation": regulation})
        runner._learn_in_segments(whole, trained.task, 1000, segments, runner.EpisodeLog())
        again = runner.judge(runner.Trained(whole), trained.task, LEAN, 1000)
    assert (again.mean, again.synops) == (shed.mean, shed.synops)


def test_small_is_taught_the_frozen_policy_in_the_remaining_steps(trained):
    shed, small = trained("lean"), trained("small")
    assert (small.begun_at, small.last_bound) == (shed.begun_at, shed.last_bound)
    frozen_at = round(shed.begun_at * 2048)
    assert small.steps >= frozen_at
    assert small.network.get("hidden_sizes", [8, 8]) in ([8, 8], [16, 16], [32, 32])


@pytest.mark.parametrize(("divergences", "taken", "taught"), [
    ({8: 0.02, 16: 0.01, 32: 0.0}, 8, [8]),
    ({8: 0.05, 16: 0.03, 32: 0.0}, 16, [8, 16]),
    ({8: 0.5, 16: 0.4, 32: 0.031}, None, [8, 16, 32]),
])  # fmt: skip
def test_the_first_of_the_smallest_within_the_bound_is_taken(
    divergences, taken, taught, monkeypatch
):
    tried = []

    def fake(trained, steps, *, network, **settings):
        width, _ = network["hidden_sizes"]
        tried.append(width)
        strength, bound = StrengthControl(0.0, divergences[width]), BoundControl(0.03, 0.05)
        shedding = SimpleNamespace(strength=strength, bound=bound)
        return SimpleNamespace(width=width, shedding=shedding)

    monkeypatch.setattr(runner, "make_lean", fake)
    found = runner.smallest_student("trained", 77, {"bound": 0.03})
    assert (None if found is None else found.width, tried) == (taken, taught)


@pytest.mark.parametrize("arm", [LEAN, SPIKES, *ALL_CONTROLS])
def test_every_arm_is_valid_settings(arm):
    settings = settings_of(arm, TASK, 0.02)
    given = {name: x for name, x in settings.items() if x not in CONTROLS}
    model = make_agent("ppo-lif", "CartPole-v1", network={"regulation": {"lean": given}})
    assert isinstance(model, lean(type(model)))


ROWS = torch.tensor([[1.0, 2.0], [3.0, 4.0], [8.0, 0.0]])
ORDER = torch.tensor([1, 2, 0])


@pytest.mark.parametrize(("arm", "weights", "biases"), [
    ("shuffled", [[3.0, 4.0], [8.0, 0.0], [1.0, 2.0]], [3.0, 8.0, 1.0]),
    ("uniform", [[4.0, 2.0]] * 3, [4.0] * 3),
    ("scale", [[0.0, 0.0]] * 3, [4.0] * 3),
    ("blind", ROWS.tolist(), [1.0, 3.0, 8.0]),
])  # fmt: skip
def test_rows_of_gradients_are_redirected_by_hand(arm, weights, biases):
    control = CONTROLS[arm].__new__(CONTROLS[arm])
    assert control.redirected(ROWS, ORDER).tolist() == weights
    assert control.redirected(ROWS[:, 0], ORDER).tolist() == biases


@pytest.mark.parametrize("arm", CONTROLS)
def test_a_control_changes_only_cost_gradients_of_neuron_rows(arm):
    model, own = begun("PPO")
    control = CONTROLS[arm](model, own._parameters, own.bound, 0.5, own.teacher)
    seen, _ = own._policy.obs_to_tensor(observations("analogue", 32))

    def gradients(shedding, far_weight, cost_weight):
        behaviour, spikes = shedding._policy.watched(seen)
        cost, synops = shedding._cost(spikes)
        assert synops > 0
        shedding._set_gradients(far_weight * behaviour.square().mean(), cost_weight * cost)
        return {name: x.grad.clone() for name, x in shedding._weights.items()}

    assert distance(gradients(own, 1.0, 0.0), gradients(control, 1.0, 0.0)) < 1e-7
    expected, found = gradients(own, 0.0, 1.0), gradients(control, 0.0, 1.0)
    assert control.orders.keys() < expected.keys() == found.keys()
    if arm == "blind":  # decay is the gradient of half the squares, of neuron rows alone
        rows = {name: own._weights[name].detach() for name in control.orders}
        expected = {name: torch.zeros_like(x) for name, x in expected.items()} | rows
    for name, order in control.orders.items():
        expected[name] = control.redirected(expected[name], order)
    assert distance(expected, found) < 1e-6


@given(st.dictionaries(st.text(max_size=3), st.integers(2, 40), max_size=5), st.integers(0, 999))
def test_shuffled_orders_move_every_neuron(sizes, seed):
    orders = shuffled_orders(sizes, seed)
    assert orders.keys() == sizes.keys()
    for name, order in orders.items():
        assert sorted(order.tolist()) == list(range(sizes[name]))
        assert not bool((order == torch.arange(sizes[name])).any())
    # Weights and biases of a neuron go together.
    for name, order in orders.items():
        for other, size in sizes.items():
            if size == sizes[name]:
                assert torch.equal(order, orders[other])


def test_neuron_rows_of_parameters():
    network = SpikingNetwork(NetworkConfig((6, 5), 4, recurrent=True), 3, 2)
    named = dict(network.named_parameters())
    found = neurons_of(named, list(network.layers))
    assert set(found.values()) == {6, 5}
    # Input weights, recurrent weights and biases of both layers; nothing of the head.
    rest = {name for name in named if name not in found}
    assert rest
    assert all(name.startswith(("head", "decoder")) for name in rest), rest
    filters = NetworkConfig((3,), 2, convolutions=({"filters": 2, "kernel": 2},), planes=(1, 4, 4))
    network = SpikingNetwork(filters, 16, 2)
    found = neurons_of(dict(network.named_parameters()), list(network.layers))
    assert {n for name, n in found.items() if "filter" in name} == {2}


def test_the_decay_cost_is_half_the_sum_of_squares():
    assert float(decay_cost([torch.tensor([[1.0, -2.0]]), torch.tensor([3.0])])) == 7.0


def test_controls_need_a_bound_and_margins_are_shares_of_the_range_to_solved():
    with pytest.raises(ValueError, match="takes the last bound of 'lean'"):
        settings_of("shuffled", TASK, None)
    assert settings_of("fixed", TASK, 0.02)["first_strength"] == STRENGTHS["CartPole-v1"]
    assert TASK.allowed_loss == pytest.approx(0.05 * (475.0 - 21.65))
    assert TASKS[1].allowed_loss == pytest.approx(0.02 * (-150.0 + 1203.32))


def test_input_spikes_count_where_synapses_are_shed_too(tmp_path):
    def of(arm, seed, mean, synops):
        return outcome(f"synapses-{arm}", seed, mean, task="snn/CartPole-v1", synops=synops)

    made = [of("prune", 150, 1.0, {"hidden_1": 1.0})]  # a seed alone has no row
    for seed, shed in ((150, 10.0), (151, 40.0)):
        made.append(of("off", seed, 500.0, {"input": 300.0, "hidden_1": 100.0}))
        made.append(of("lean", seed, 499.0, {"input": 0.0, "hidden_1": shed}))
    text = page(tmp_path, *made)
    (row,) = [x for x in text.splitlines() if x.startswith("| snn/CartPole-v1 | lean |")]
    # Factors: the roots of 500 / 110 times 500 / 140, and of 40 times 10.
    assert row.endswith(
        "| -1.0 (-22.7) | yes | 500 | 125 | 4.0 | 400 (400 to 400) | 25 (10 to 40) | 20.0 |"
    )
    assert "| snn/CartPole-v1 | prune |" not in text


def test_the_time_of_a_branch_includes_its_trunk():
    off = [outcome("off", seed, seconds=40.0) for seed in range(3)]
    branched = [(9.0, 90_000), (24.0, 50_000), (1.0, 90_000)]  # of 100,000 steps
    shed = [
        outcome("lean", seed, seconds=seconds, branched_at=steps)
        for seed, (seconds, steps) in enumerate(branched)
    ]
    # (9 + 36) / 40, (24 + 20) / 40, (1 + 36) / 40
    assert time_cell(list(zip(shed, off, strict=True)), TASK) == "1.10 (1.12)"
    # Of an off that was itself trained from a checkpoint not all of the time is known.
    late = [dataclasses.replace(x, branched_at=100) for x in off]
    assert time_cell(list(zip(shed, late, strict=True)), TASK) == ""


def test_a_spoilt_start_has_its_weights_and_biases():
    model = make_agent("ppo-lif", "CartPole-v1", 0)
    layers = list(model.policy.mlp_extractor.actor.layers)
    weights = [layer.linear.weight.clone() for layer in layers]
    spoil(layers, STARTS["dead"], 0)
    for layer, weight in zip(layers, weights, strict=True):
        assert torch.equal(layer.linear.weight, weight * 0.5)
        assert set(layer.linear.bias.tolist()) == {-1.0, 3.0}
