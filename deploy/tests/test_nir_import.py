"""Imported graphs: ours come back bit for bit, others follow their equations."""

import dataclasses
import itertools
import json

import gymnasium as gym
import msgspec
import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from euler import Euler
from snn_gym import load_agent, load_pretrained, make_agent, save_agent
from snn_gym.policies import SpikingActorCriticPolicy, StatefulActorCriticPolicy, program_of
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym_deploy import from_nir, network_from_nir, to_nir
from snn_gym_deploy.nir_file import FIELDS, Graph, Node
from snn_gym_deploy.nir_graph import Action, Host, Observation, Standardised, chain_of, read_host
from snn_gym_deploy.nir_import import NIRNetwork, load_weights, neurons_of
from tests.made import build

DT_S = 1e-4


def same_numbers(one, other):
    """Return whether two agents are exported alike, bit for bit."""
    left, right = (dataclasses.asdict(program_of(x)) for x in (one, other))
    return torch.utils._pytree.tree_map(_bytes, left) == torch.utils._pytree.tree_map(_bytes, right)


def _bytes(value):
    return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize(
    ("make", "agent", "env_id"),
    [(make_agent, "ppo-lif", "snn/CartPole-v1"), (load_pretrained, "sac-lif", "Pendulum-v1")],
)
def test_an_agent_comes_back_bit_for_bit(make, agent, env_id, tmp_path):
    stored = make(agent, env_id)
    back = from_nir(to_nir(stored, tmp_path / "agent.nir").graph, env_id)
    assert same_numbers(stored, back)
    env = gym.make(env_id)
    observations = np.stack([env.observation_space.sample() for _ in range(20)])
    actions = [x.predict(observations, deterministic=True)[0] for x in (stored, back)]
    assert np.array_equal(*actions)


@pytest.mark.parametrize("network", [
    {"neuron": "lif", "neuron_parameters": {"tau_mem_ms": 3.3, "tau_syn_ms": 7.0}},
    {"neuron": ("lif", "lif_box"), "time_steps": 3},
    {"recurrent": True, "neuron_parameters": {"tau_mem_ms": 12.34567}},
])  # fmt: skip
def test_networks_come_back_bit_for_bit(network, tmp_path):
    config = NetworkConfig.from_dict({"hidden_sizes": (12, 9), "time_steps": 5, **network})
    given = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    for kind in (SpikingActorCriticPolicy, StatefulActorCriticPolicy):
        policy = build(kind, **given)
        files = to_nir(policy, tmp_path / "agent.nir")
        back = network_from_nir(files.graph)
        assert back.config.layer_neurons == config.layer_neurons
        pairs = zip(back.layers, policy.acting_network().layers, strict=True)
        for ours, theirs in ((x.state_dict(), y.state_dict()) for x, y in pairs):
            assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
        assert torch.equal(back.head.weight, policy.action_net.weight)


@pytest.mark.parametrize("convolutions", [
    [{"filters": 3, "kernel": 2, "padding": 1}, {"filters": 4, "kernel": 2, "pool": 2}],
    [{"filters": 2, "stride": 2}],
])  # fmt: skip
def test_convolutions_come_back_as_dense_layers(convolutions, tmp_path):
    policy = build(SpikingActorCriticPolicy, "planes", convolutions=convolutions)
    back = network_from_nir(to_nir(policy, tmp_path / "agent.nir").graph)
    pairs = zip(back.layers, policy.acting_network().layers, strict=True)
    for ours, theirs in pairs:
        assert torch.equal(ours.linear.weight, theirs.linear.weight)
        assert torch.equal(ours.linear.bias, theirs.linear.bias)


@pytest.mark.parametrize(("change", "message"), [
    ({"groups": 2}, r"'convolution_1' has weights \(3, 2, 2, 2\) for planes \(2, 5, 5\); expected"),
    ({"dilation": (2, 2)}, "no dilation and no groups"),
    ({"stride": (1, 2)}, "with one stride and padding"),
])  # fmt: skip
def test_other_convolutions_are_refused(change, message, tmp_path):
    policy = build(SpikingActorCriticPolicy, "planes", convolutions=[{"filters": 3, "kernel": 2}])
    file = to_nir(policy, tmp_path / "agent.nir").graph
    graph = nir.read(file)
    for name, value in change.items():
        setattr(graph.nodes["convolution_1"], name, value)
    nir.write(file, graph)
    with pytest.raises(ValueError, match=message):
        network_from_nir(file)


def test_an_imported_agent_goes_on_learning_and_is_saved(tmp_path):
    graph = to_nir(load_pretrained("ppo-lif", "CartPole-v1"), tmp_path / "agent.nir").graph
    model = from_nir(graph, "CartPole-v1")
    before = program_of(model)
    model.learn(512)
    assert not np.array_equal(program_of(model).head.weights, before.head.weights)
    assert same_numbers(load_agent(save_agent(model, tmp_path / "saved")), model)


def _numbers(draw, count, low, high):
    values = st.floats(low, high, width=32)
    return np.array(draw(st.lists(values, min_size=count, max_size=count)), np.float32)


@st.composite
def layers(draw):
    """Give a layer of any kind of neuron, as other frameworks may write it."""
    size = draw(st.integers(1, 4))
    tau = np.full(size, draw(st.floats(1.5, 20.0)) * DT_S)
    r, threshold = _numbers(draw, size, 0.5, 8.0), _numbers(draw, size, 0.25, 2.0)
    rest = np.zeros(size, np.float32)
    kind = draw(st.sampled_from(["LIF", "same", "CubaLIF", "IF"]))
    if kind == "IF":
        node = nir.IF(r=r / DT_S, v_threshold=threshold, v_reset=rest)
    elif kind == "CubaLIF":
        node = nir.CubaLIF(
            tau_syn=0.7 * tau + DT_S, tau_mem=tau, r=r, v_leak=rest, v_threshold=threshold,
            v_reset=rest, w_in=_numbers(draw, size, 0.5, 9.0),
        )  # fmt: skip
    elif kind == "LIF":
        node = nir.LIF(tau=tau, r=r, v_leak=rest, v_threshold=threshold, v_reset=rest)
    else:  # which rests elsewhere
        node = nir.LIF(
            tau=tau, r=r, v_leak=rest + 0.125, v_threshold=rest + 1.0, v_reset=rest - 0.5
        )
    return size, node, draw(st.booleans()), draw(st.integers(0, 2**32 - 1))


def _graph(made, inputs):
    nodes = {"input": nir.Input(np.array([inputs]))}
    edges, source, width = [], "input", inputs
    for k, (size, neurons, looped, seed) in enumerate(made, start=1):
        generator = np.random.default_rng(seed)
        weights = generator.normal(0.0, 2.0, (size, width)).astype(np.float32)
        nodes[f"affine_{k}"] = nir.Affine(weights, np.ones(size, np.float32))
        nodes[f"neurons_{k}"] = neurons
        edges += [(source, f"affine_{k}"), (f"affine_{k}", f"neurons_{k}")]
        if looped:
            nodes[f"recurrent_{k}"] = nir.Linear(generator.normal(0.0, 1.0, (size, size)))
            edges += [(f"neurons_{k}", f"recurrent_{k}"), (f"recurrent_{k}", f"neurons_{k}")]
        source, width = f"neurons_{k}", size
    nodes["one"] = nir.Linear(np.random.default_rng(1).normal(size=(3, width)))
    nodes["two"] = nir.Affine(np.random.default_rng(2).normal(size=(2, 3)), np.array([0.1, -0.2]))
    nodes["output"] = nir.Output(np.array([2]))
    return nir.NIRGraph(nodes, [*edges, (source, "one"), ("one", "two"), ("two", "output")])


def as_read(graph):
    """Return a graph as the reader gives it."""
    nodes = {}
    for name, node in graph.nodes.items():
        values = node.to_dict()
        fields = [key for key in FIELDS[values["type"]] if key in values]
        arrays = {key: np.asarray(values[key], np.float64) for key in fields}
        nodes[name] = Node(values["type"], arrays)
    return Graph(nodes, tuple(graph.edges))


def host(inputs, steps, **observation):
    return Host(
        format="snn_gym.host/1", dt_s=DT_S, time_steps=steps, state="reset", output="mean",
        observation=Observation(
            values=inputs, form="held", **{"standardised": None, **observation}
        ),
        action=Action(choice="argmax", low=(), high=()),
    )  # fmt: skip


def imported(graph, described):
    chain = chain_of(graph)
    neurons = tuple(neurons_of(x.neurons, x.name, len(x.biases), DT_S) for x in chain.layers)
    found = NIRNetwork(chain, neurons, described)
    config = NetworkConfig(**found.settings)
    network = SpikingNetwork(config, chain.inputs, len(chain.head_biases)).double()
    load_weights(found, network, network.head)
    return network


@settings(max_examples=10, deadline=None)
@given(st.lists(layers(), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_other_graphs_follow_their_equations(made, seed):
    graph, steps = _graph(made, inputs=3), 12
    network, reader = imported(as_read(graph), host(3, steps)), Euler(graph, DT_S)
    values = np.random.default_rng(seed).normal(0.0, 1.0, 3)
    outputs, spikes = zip(*(reader.step(values) for _ in range(steps)), strict=True)
    recording = network.record(torch.from_numpy(values[np.newaxis]))
    for layer, name in zip(recording.layers, reader.state, strict=True):
        ours, theirs = layer.spikes[:, 0].detach().numpy(), np.stack([x[name] for x in spikes])
        if not np.array_equal(ours, theirs):  # which only a margin within rounding allows
            first = np.argwhere(ours != theirs)[0]
            margin = layer.voltages[first[0], 0, first[1]] - layer.thresholds
            assert abs(float(margin)) < 1e-4
            return
    np.testing.assert_allclose(recording.output[0].detach().numpy(), np.mean(outputs, 0), atol=1e-5)


def test_standardisation_without_limit_goes_into_the_weights():
    neurons = nir.LIF(
        tau=np.full(2, 2e-4), r=np.ones(2), v_leak=np.zeros(2), v_threshold=np.ones(2),
        v_reset=np.zeros(2),
    )  # fmt: skip
    graph = as_read(_graph([(2, neurons, False, 0)], inputs=2))
    scale = Standardised(mean=(1.0, -2.0), std=(0.5, 4.0), clip=None)
    plain, folded = imported(graph, host(2, 6)), imported(graph, host(2, 6, standardised=scale))
    seen = torch.tensor([[2.5, 3.0], [-1.0, 0.0]], dtype=torch.float64)
    standardised = (seen - torch.tensor(scale.mean)) / torch.tensor(scale.std)
    assert torch.allclose(folded(seen)[0], plain(standardised)[0])


def rewrite_host(files, scale, **changed):
    """Change the file of a graph's host, and the standardisation in it."""
    described = {**json.loads(files.host.read_text()), **changed}
    described["observation"]["standardised"].update(scale)
    files.host.write_text(json.dumps(described))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Give the files of an agent with three values, and the text of the host's file."""
    path = tmp_path_factory.mktemp("written") / "agent.nir"
    files = to_nir(build(SpikingActorCriticPolicy), path)
    return files, files.host.read_text()


@pytest.fixture
def files(written):
    written[0].host.write_text(written[1])
    return written[0]


@pytest.mark.parametrize(("changed", "env_id", "message"), [
    ({}, "Acrobot-v1", "takes 4 values, gives 2 .* takes 6 values, gives 3"),
    ({"state": "carried"}, "CartPole-v1", "state that is carried; this policy .* reset"),
    ({"dt_s": 0.0}, "CartPole-v1", r"Expected `float` > 0.0 - at `\$.dt_s`"),
    ({"time_steps": 10**9}, "CartPole-v1", r"Expected `int` <= 10000 - at `\$.time_steps`"),
    ({"more": 1}, "CartPole-v1", "unknown field `more`; expected the file that `snn-gym export"),
])  # fmt: skip
def test_graphs_that_do_not_fit_are_refused_in_one_line(changed, env_id, message, tmp_path):
    files = to_nir(load_pretrained("ppo-lif", "CartPole-v1"), tmp_path / "agent.nir")
    rewrite_host(files, {}, **changed)
    agent = "ppo-lif" if "state" in changed else None
    with pytest.raises(ValueError, match=message) as caught:
        from_nir(files.graph, env_id, agent=agent)
    assert "\n" not in str(caught.value)


EXTREMES = (1e-40, 1e308)


@pytest.mark.parametrize(
    "field",
    ["std", *(pytest.param(x, marks=pytest.mark.slow) for x in ("mean", "clip", "dt_s", "low"))],
)
def test_numbers_of_a_host_fit_32_bit_floats_or_are_refused(field, files, recwarn):
    described = json.loads(files.host.read_text())
    standardised = described["observation"]["standardised"]
    place = {"dt_s": described, "low": described["action"]}.get(field, standardised)
    for value, clip in itertools.product(EXTREMES, (5.0, None)):
        standardised.update(clip=clip)
        before = place[field]
        place[field] = [value] * 3 if field in ("mean", "std", "low") else value
        files.host.write_text(json.dumps(described))
        place[field] = before
        problem = ""
        try:
            network = network_from_nir(files.graph)
        except ValueError as error:
            problem = str(error)
        else:
            assert all(torch.isfinite(x).all() for x in network.state_dict().values())
        assert "\n" not in problem
    assert not recwarn.list


@pytest.mark.parametrize(("scale", "message"), [
    ({"std": [5e-324] * 3}, r"Expected `float` >= 1e-37 - at `\$.*standardised.std\[0\]`"),
    ({"std": [1e39] * 3}, r"Expected `float` <= 1e\+38 - at `\$.*standardised.std\[0\]`"),
    ({"mean": []}, "has 0 numbers in mean and 3 in std; expected 3 in each"),
    ({"mean": [1e38] * 3, "std": [1e-37] * 3, "clip": None},
     "are too large for 32-bit floats; scale them down"),
])  # fmt: skip
def test_scales_that_do_not_fit_are_refused(scale, message, files):
    rewrite_host(files, scale)
    with pytest.raises(ValueError, match=message):
        network_from_nir(files.graph)


def test_the_hosts_file_describes_the_host(files):
    described = json.loads(files.host.read_text())
    assert json.loads(msgspec.json.encode(read_host(files.host))) == described
