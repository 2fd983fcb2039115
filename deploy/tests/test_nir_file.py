"""Damaged and hostile files: refused in one line, with bounded memory and no other files read."""

import io
import itertools
import os
import resource
import signal

import h5py
import nir
import numpy as np
import pytest

from snn_gym_deploy import nir_file
from snn_gym_deploy.nir_file import Graph, read_graph
from snn_gym_deploy.nir_graph import chain_of, read_host
from tests.hostile import mutations


def graph(**changed):
    ones, zeros = np.ones(3), np.zeros(3)
    nodes = {
        "input": nir.Input(np.array([2])),
        "affine": nir.Affine(np.ones((3, 2)), ones),
        "neurons": nir.LIF(tau=2e-4 * ones, r=ones, v_leak=zeros, v_threshold=ones, v_reset=zeros),
        "head": nir.Affine(np.ones((2, 3)), np.zeros(2)),
        "output": nir.Output(np.array([2])),
        **changed,
    }
    names = ["input", "affine", "neurons", "head", "output"]
    return nir.NIRGraph(nodes, list(itertools.pairwise(names)), type_check=False)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "agent.nir"
    nir.write(path, graph())
    return path


def refused(opened):
    """Return the error of the reader, run in this process."""
    with pytest.raises(ValueError, match=r".") as caught:
        nir_file._graph(opened)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_graph_is_read_as_it_was_written(file):
    found = read_graph(file)
    assert {name: node.kind for name, node in found.nodes.items()} == {
        "input": "Input", "affine": "Affine", "neurons": "LIF", "head": "Affine", "output": "Output"
    }  # fmt: skip
    assert found.nodes["neurons"].arrays["tau"].tolist() == [2e-4] * 3
    assert len(chain_of(found).layers) == 1


NAN = nir.Affine(np.full((3, 2), np.nan), np.ones(3))
LEAKY = nir.LI(np.ones(3), np.ones(3), np.zeros(3))


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda path: path.write_text("no graph"), "agent.nir can't be read as a NIR graph"),
    (lambda path: os.truncate(path, 3000), "agent.nir can't be read as a NIR graph"),
    (lambda path: nir.write(path, graph(affine=NAN)), "weight of node 'affine' has values .* NaN"),
    (lambda path: nir.write(path, graph(neurons=LEAKY)), "'neurons' is a 'LI', which no network"),
])  # fmt: skip
def test_a_spoiled_file_is_refused_in_one_line(file, spoil, message):
    spoil(file)
    with pytest.raises(ValueError, match=message) as caught:
        read_graph(file)
    assert "\n" not in str(caught.value)


def test_a_file_is_read_in_bounded_memory(file):
    with h5py.File(file, "a") as opened:
        del opened["node/nodes/affine/weight"]
        zeros = {"shape": (1 << 30,), "dtype": "f8", "compression": "gzip", "chunks": (1 << 20,)}
        opened["node/nodes/affine"].create_dataset("weight", **zeros)
        assert "shape (1073741824,)" in refused(opened)


@pytest.mark.slow
def test_a_small_data_set_in_a_huge_chunk_is_refused(file):
    with h5py.File(file, "a") as opened:
        group = opened["node/nodes/affine"]
        del group["bias"]
        huge = {"chunks": (1 << 28,), "maxshape": (None,), "compression": "gzip"}
        group.create_dataset("bias", shape=(3,), dtype="f8", fillvalue=1.0, **huge)
        group["bias"][:] = 1.0
    assert file.stat().st_size < 1 << 24
    with pytest.raises(ValueError, match=r"agent\.nir") as caught:
        read_graph(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["pipe", "link", "device"])
def test_graph_and_host_are_regular_files(kind, file, tmp_path):
    path = tmp_path / "other.nir"
    {
        "pipe": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to(file),
        "device": lambda: path.symlink_to("/dev/zero"),
    }[kind]()
    for read in (read_graph, read_host):
        with pytest.raises(ValueError, match=r"other\.nir is a"):
            read(path)


def test_links_to_other_files_are_not_read(file, tmp_path):
    (tmp_path / "secret").write_bytes(b"\0" * 48)
    with h5py.File(file, "a") as opened:
        group = opened["node/nodes/affine"]
        del group["bias"]
        group["bias"] = h5py.ExternalLink("other.nir", "/bias")
        assert "is a link to another place" in refused(opened)
        del group["bias"]
        outside = [(str(tmp_path / "secret"), 0, 24)]
        group.create_dataset("bias", shape=(3,), dtype="f8", external=outside)
        assert "lies in another file" in refused(opened)
        del group["bias"]
        layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
        layout[:] = h5py.VirtualSource("other.nir", "bias", shape=(3,))
        group.create_virtual_dataset("bias", layout)
        assert "lies in another file" in refused(opened)


def _read_apart(data):
    """Read in a fork with little time, as changed bytes may keep HDF5 busy; return how it ended."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
        try:
            with h5py.File(io.BytesIO(data), "r") as opened:
                nodes = nir_file._graph(opened).nodes.values()
            os._exit(
                0 if all(np.isfinite(x).all() for n in nodes for x in n.arrays.values()) else 2
            )
        except (ValueError, OSError, RuntimeError, KeyError, TypeError, OverflowError):
            os._exit(1)  # all of which end the reader's process, and are one line then
        finally:
            os._exit(3)
    return os.waitpid(child, 0)[1]


def test_changed_bytes_give_finite_numbers_or_a_refusal(file):
    generator, data, ended = np.random.default_rng(0), file.read_bytes(), set[int]()
    for k in range(20):
        change = (mutations.flip, mutations.flip_many, mutations.cut, mutations.swap)[k % 4]
        ended.add(_read_apart(change(data, generator)))
    assert {0, 1 << 8} <= ended <= {0, 1 << 8, signal.SIGXCPU}


def edges_of(*names):
    return tuple(itertools.pairwise(names))


@pytest.mark.parametrize(("edges", "message"), [
    (edges_of("input", "affine", "neurons", "affine"), "circle or a branch leads to 'affine'"),
    (edges_of("input", "affine", "head", "output"), "the graph has no neurons|not on the way"),
    (edges_of("input", "affine", "neurons", "output"), "'output' takes 2 values; expected 3"),
    (edges_of("input", "neurons", "head", "output"), "'head' takes 3 values; expected 2"),
    (edges_of("input", "affine", "nowhere"), "names no node: 'nowhere'"),
    (edges_of("input", "affine", "input", "affine"), "is there 2 times"),
    ((), "'input' leads to 0 nodes"),
    (edges_of("input", "affine", "affine", "neurons"), "leads to 2 nodes|circle"),
    ((*edges_of("input", "affine", "neurons", "head", "output"), ("neurons", "neurons")),
     "a circle or a branch leads to 'neurons'"),
    ((*edges_of("input", "affine", "neurons", "output"),
      *edges_of("neurons", "head", "neurons")), "loop 'head' takes 2 values; expected 3"),
])  # fmt: skip
def test_graphs_that_are_no_chain_are_refused(file, edges, message):
    with h5py.File(file, "r") as opened:
        found = nir_file._graph(opened)
    with pytest.raises(ValueError, match=message) as caught:
        chain_of(Graph(found.nodes, edges))
    assert "\n" not in str(caught.value)
