"""Tests of near copies: equal behaviour has distance 0, unrelated networks are far apart."""

import json
from dataclasses import replace
from functools import cache
from itertools import chain, pairwise, repeat

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.leaderboard import SubmissionError, submit, verify
from snn_gym.leaderboard import weights as copies
from snn_gym.leaderboard.manifest import MANIFEST_NAME, WEIGHTS_NAME
from snn_gym.leaderboard.weights import (
    NEAR,
    Layer,
    Network,
    check_is_no_copy,
    distance,
    read_network,
    trained_tensors,
)
from snn_gym.policies.units import Quantiser
from snn_gym.zoo import agent_ids, build_policy, load_agent_spec, make_agent, save_agent
from tests.leaderboard.helpers import SETTINGS, Template, fingerprint
from tests.leaderboard.random_networks import random_network
from tests.leaderboard.rewritten import (
    chained,
    noisy,
    permuted,
    rescaled,
    restated,
    sharpened,
    shifted,
    turned,
    ulps,
)

ENV = "CartPole-v1"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give a function that makes submissions of barely trained agents."""

    @cache
    def make(agent, seed):
        folder = tmp_path_factory.mktemp(agent)
        # Learning rates of so short a training end at 0, so that weights stay as they start.
        run = save_agent(make_agent(agent, ENV, seed=seed).learn(1), folder / "run")
        out = submit(run, folder / "s", seeds=SETTINGS.seeds)
        manifest = json.loads((out / MANIFEST_NAME).read_text())
        return Template(manifest, (out / WEIGHTS_NAME).read_bytes())

    return make


def written(tensors, agent, rewriting):
    network = rewriting(read_network(tensors, agent, ENV), np.random.default_rng(0))
    arrays = [x for layer in network.layers for x in (layer.inward, layer.biases[:, 0])]
    names = trained_tensors(tensors, agent, ENV)
    statistics = {".mean": network.mean, ".std": network.std}
    for name in tensors:
        for ending, array in statistics.items():
            if name.endswith(ending) and array is not None:
                tensors[name] = torch.tensor(array, dtype=torch.float32)
    for name, array in zip(names, arrays, strict=True):
        tensors[name] = torch.tensor(array, dtype=torch.float32)


def test_a_distance_worked_by_hand():
    """Equal hidden layers; readouts (3, 4) and (4, 3) are (0.6, 0.8) and (0.8, 0.6) at norm 1.

    They differ by sqrt(0.08), over sqrt(1 + 1) that is 0.2, and the mean with 0 is 0.1. Moved
    scales would give 0.2 in the hidden layer, too, so that the least is 0.1.
    """
    hidden = Layer(np.eye(2), np.zeros((2, 1)))
    one, other = (
        Network((hidden, Layer(np.array([readout]), np.zeros((1, 1)))))
        for readout in ([3.0, 4.0], [4.0, 3.0])
    )
    assert distance(one, other) == pytest.approx(0.1)
    assert distance(one, one) == 0.0


@pytest.mark.parametrize(
    ("kind", "rewriting"),
    [
        ("tanh", chained(permuted, turned, shifted, sharpened, restated)),
        ("relu", chained(permuted, rescaled, shifted, sharpened, restated)),
        ("recurrent", chained(permuted, shifted, sharpened, restated)),
        ("gru", chained(permuted, shifted, sharpened, restated)),
        ("tanh", ulps),
    ],
)
@given(seed=st.integers(0, 10**6), sizes=st.tuples(*[st.integers(2, 9)] * 3))
@settings(max_examples=25, deadline=None)
def test_networks_with_equal_behaviour_have_distance_0(kind, rewriting, seed, sizes):
    rng = np.random.default_rng(seed)
    network = random_network(rng, kind, *sizes)
    assert distance(network, rewriting(network, rng)) < 1e-6
    assert distance(rewriting(network, rng), network) < 1e-6


@given(seed=st.integers(0, 10**6), kind=st.sampled_from(["tanh", "recurrent", "gru"]))
@settings(max_examples=25, deadline=None)
def test_unrelated_networks_are_far_apart(seed, kind):
    rng = np.random.default_rng(seed)
    one, other = (random_network(rng, kind, 8, 64, 4) for _ in range(2))
    assert 2 * NEAR < distance(one, other) <= 2**0.5


def test_filters_in_another_order_are_a_copy():
    """A filter of a convolution stands at many places of the layer above, side by side."""
    rng = np.random.default_rng(0)
    filters, places = 4, 9
    shapes = ((filters, 18), (6, filters * places), (3, 6))
    layers = [Layer(rng.normal(size=x), rng.normal(size=(x[0], 1))) for x in shapes]
    order = np.array([2, 0, 3, 1])
    first, second, readout = layers
    moved = second.inward.reshape(6, filters, places)[:, order].reshape(6, -1)
    other = Network(
        (Layer(first.inward[order], first.biases[order]), Layer(moved, second.biases), readout)
    )
    assert distance(Network(tuple(layers)), other) == pytest.approx(0.0, abs=1e-12)


def test_distance_of_noisy_weights_is_proportional_to_the_noise():
    """Of weights w and w + e, with |e| = s |w|, the distance is s / sqrt(2 + s^2)."""
    rng = np.random.default_rng(0)
    network = random_network(rng, "tanh", 16, 128, 64)
    for size in (1e-3, 1e-2, 1e-1):
        found = distance(network, noisy(size)(network, rng))
        assert found == pytest.approx(size / 2**0.5, rel=0.1)


def test_networks_of_other_forms_have_no_distance():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="expected equal ones"):
        distance(random_network(rng, "tanh", 3, 4, 2), random_network(rng, "tanh", 3, 5, 2))


@pytest.mark.parametrize(
    ("agent", "rewriting"),
    [
        pytest.param(agent, rewriting, id=f"{agent}-{name}")
        for agent, name, rewriting in (
            ("ppo-lif", "ulps", ulps),
            ("ppo-lif", "order", permuted),
            ("ppo-lif", "shift", shifted),
            ("ppo-lif", "statistics", restated),
            ("ppo-lif", "noise", noisy(1e-2)),
            ("ppo-mlp", "signs", turned),
            ("ppo-mlp", "all", chained(noisy(1e-2), permuted, turned, shifted, restated)),
            ("dqn-mlp", "scales", rescaled),
        )
    ],
)
def test_a_copy_is_refused(agent, rewriting, made, tmp_path, in_process):
    board, template = tmp_path / "board", made(agent, 0)
    verify(template.write(tmp_path / "s"), board, SETTINGS)
    before = fingerprint(board)
    copy = template.with_tensors(lambda t: written(t, agent, rewriting)).with_manifest(seed=7)
    assert copy.weights != template.weights
    with pytest.raises(SubmissionError, match=f"{agent} on {ENV} with seed 0") as caught:
        verify(copy.write(tmp_path / "copy"), board, SETTINGS)
    assert caught.value.code == "near-copy"
    assert "\n" not in str(caught.value)
    assert fingerprint(board) == before


def test_another_seed_is_no_copy(made, tmp_path, in_process):
    """Also of agents as they start, whose orthogonal weights have equal singular values."""
    one, other = (read_network(made("ppo-mlp", x).tensors(), "ppo-mlp", ENV) for x in (0, 1))
    singular_values = (np.linalg.svd(x.layers[1].inward, compute_uv=False) for x in (one, other))
    np.testing.assert_allclose(*singular_values, rtol=1e-5)
    for seed in (0, 1):
        folder = made("ppo-mlp", seed).write(tmp_path / f"s{seed}")
        assert verify(folder, tmp_path / "board", SETTINGS).is_file()


def test_a_copy_under_another_agents_name_is_found(template, tmp_path, in_process, monkeypatch):
    board = tmp_path / "board"
    verify(template.write(tmp_path / "s"), board, SETTINGS)
    with pytest.raises(SubmissionError, match="near-copy"):
        check_is_no_copy(board, "a2c-lif", ENV, template.tensors())
    # The architecture of an agent outside the zoo is unknown.
    monkeypatch.setattr(copies, "agent_ids", tuple)
    check_is_no_copy(board, "a2c-lif", ENV, template.tensors())


def test_rows_without_weights_are_named(template, tmp_path, in_process):
    board = tmp_path / "board"
    row = verify(template.write(tmp_path / "s"), board, SETTINGS)
    row.with_suffix(".safetensors").unlink()
    with pytest.raises(SubmissionError, match=r"0\.safetensors.*audit") as caught:
        check_is_no_copy(board, "ppo-lif", ENV, template.tensors())
    assert caught.value.code == "row-weights"


@pytest.mark.parametrize("agent", agent_ids())
def test_every_agents_tensors_are_a_chain_of_layers(agent):
    environment = next(iter(load_agent_spec(agent).environments))
    policy = build_policy(agent, environment)
    tensors = policy.acting_state_dict()
    network = read_network(tensors, agent, environment)
    # A filter of a convolution has a neuron at every position.
    images = policy.network.convolutions
    config = replace(policy.network, planes=policy.observation_space.shape) if images else None
    shapes = config.shapes[1:] if config else ()
    positions = chain((rows * columns for _, rows, columns in shapes), repeat(1))
    for (layer, after), places in zip(pairwise(network.layers), positions, strict=False):
        assert layer.units * places == after.inward.shape[1]
    # A receptive field sees one value, and an output of a population its own neurons.
    sparse = policy.network.decoder == "population"
    inward = [x.inward[x.inward != 0] if sparse else x.inward for x in network.layers]
    read = inward + [x.biases for x in network.layers]
    # Of a leaky integrator the matrix has its own decay alone.
    read += [x[x != 0] for y in network.layers if (x := y.recurrent) is not None]
    trained = trained_tensors(tensors, agent, environment).values()
    assert sum(x.size for x in read) == sum(x.numel() for x in trained)
    assert distance(network, network) < 1e-6


def test_weights_that_round_to_equal_numbers_are_copies():
    agent, other = "ppo-mlp-int2", build_policy("ppo-mlp-int2", ENV).acting_state_dict()
    tensors = build_policy(agent, ENV).acting_state_dict()
    rounded = {
        name: Quantiser(2)(x) if name.endswith(".original") else x for name, x in tensors.items()
    }
    network = read_network(tensors, agent, ENV)
    assert distance(network, read_network(rounded, agent, ENV)) < 1e-6
    assert distance(network, read_network(other, agent, ENV)) > NEAR


def test_leaky_integrators_in_another_order_are_copies():
    agent, task = "recurrent-ppo-leaky-small", "snn/DelayedMatchToSample-v0"
    tensors = build_policy(agent, task).acting_state_dict()
    moved = dict(tensors)
    for name, x in tensors.items():
        if "actor.layers.0" in name:
            moved[name] = x.flip(0) * (1 if name.endswith("decay_logit") else -1)
        elif name == "action_net.weight":
            moved[name] = -x.flip(1)
    assert any(not torch.equal(x, moved[name]) for name, x in tensors.items())
    one, other = (read_network(x, agent, task) for x in (tensors, moved))
    assert distance(one, other) < 1e-6


def test_networks_with_zero_outputs_are_equal():
    hidden = Layer(np.eye(2), np.zeros((2, 1)))
    idle = Network((hidden, Layer(np.zeros((2, 2)), np.zeros((2, 1)))))
    assert distance(idle, replace(idle)) == 0.0


@pytest.mark.parametrize("space", ["image", "Dict"])
def test_agents_that_see_images_have_a_distance(space):
    """Of agents whose actor has a features extractor of its own."""
    image = gym.spaces.Box(0, 255, (36, 36, 3), np.uint8)
    parts = gym.spaces.Dict({"image": image, "vector": gym.spaces.Box(-1.0, 1.0, (3,))})

    class Seeing(gym.Env):
        observation_space = parts if space == "Dict" else image
        action_space = gym.spaces.Box(-1.0, 1.0, (2,))

    name = f"test_copies/Seeing{space}-v0"
    gym.register(name, Seeing)
    tensors = []
    for seed in (0, 1):
        with pytest.warns(UserWarning, match="was not tuned"):
            model = make_agent("sac-lif", name, seed=seed, buffer_size=10)
        tensors.append(model.policy.acting_state_dict())
    one, other = (read_network(x, "sac-lif", name) for x in tensors)
    assert distance(one, one) == 0
    assert distance(one, other) > NEAR
