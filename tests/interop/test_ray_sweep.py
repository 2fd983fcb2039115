"""Sweeps on a real Ray cluster of two nodes, one of which is killed."""

import threading
import time

import pytest

from snn_gym._base.storage import load_tensors
from snn_gym.leaderboard import check_board
from snn_gym.leaderboard.results import list_rows
from snn_gym.sweeps import Job, missing
from snn_gym.sweeps.runs import sweep_on_cluster
from snn_gym.training import train
from snn_gym.zoo.files import WEIGHTS

ray = pytest.importorskip("ray", reason="ray is not installed")

pytestmark = pytest.mark.slow
JOBS = [Job("ppo-mlp", "CartPole-v1", seed, 30_000) for seed in (0, 1, 2)]


@pytest.fixture
def cluster():
    """Give a cluster whose head carries out nothing and whose two nodes have a core each."""
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 80_000_000}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
    made.nodes = [made.add_node(num_cpus=1, **memory) for _ in range(2)]
    yield made
    made.shutdown()


def test_a_run_of_a_killed_node_goes_on_elsewhere_and_every_row_comes_once(cluster, tmp_path):
    board, runs = tmp_path / "board", tmp_path / "runs"
    killed = []

    def kill_a_node_that_has_a_checkpoint():
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            begun = [job for job in JOBS if list(job.folder(runs).glob("checkpoint*"))]
            if len(begun) >= 2:  # one on each node
                cluster.remove_node(cluster.nodes[0], allow_graceful=False)
                killed.append(time.monotonic())
                return
            time.sleep(0.2)

    killer = threading.Thread(target=kill_a_node_that_has_a_checkpoint)
    killer.start()
    ended = list(sweep_on_cluster(JOBS, board, runs, address=cluster.address))
    killer.join()
    assert killed
    assert [one.problem for one in ended] == [None] * 3
    assert sorted(row.seed for row in list_rows(board)) == [0, 1, 2]
    assert missing(JOBS, board) == []
    assert check_board(board) == ()
    for job in JOBS:
        alone = tmp_path / str(job.seed)
        train(job.agent, job.environment, out=alone, seed=job.seed, steps=job.steps)
        by_hand, _ = load_tensors(alone / WEIGHTS, max_bytes=1 << 20)
        of_sweep, _ = load_tensors(job.folder(runs) / WEIGHTS, max_bytes=1 << 20)
        assert all((of_sweep[name] == x).all() for name, x in by_hand.items())


def test_a_run_that_cannot_be_is_named(cluster, tmp_path):
    runs = tmp_path / "runs"
    folder = JOBS[0].folder(runs)
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    (one,) = sweep_on_cluster(JOBS[:1], tmp_path / "board", runs, address=cluster.address)
    assert one.row is None
    assert "holds no training run" in str(one.problem)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "auto", "127.0.0.1:port"])
def test_no_cluster_is_one_line(address, tmp_path):
    with pytest.raises(ValueError, match=f"no Ray cluster answers at {address} ") as caught:
        next(sweep_on_cluster(JOBS, tmp_path, tmp_path, address=address))
    assert "\n" not in str(caught.value)
