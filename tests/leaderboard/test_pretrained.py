"""Tests of stored agents of the results table, loaded by name."""

import os
import pickle
import shutil

import numpy as np
import pytest
import torch

import snn_gym
from snn_gym._base.storage import parse_tensors, read_regular_file
from snn_gym.leaderboard import SubmissionError, evaluate, submit
from snn_gym.leaderboard.manifest import MAX_WEIGHTS_BYTES
from snn_gym.leaderboard.pretrained import TrainedAgent, find_trained, list_trained, load_pretrained
from snn_gym.leaderboard.results import DIGESTS_NAME, row_path, write_row
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.spiking.assembly import todays_names
from snn_gym.zoo import save_agent
from tests.leaderboard.helpers import BOARD, forge_chain
from tests.leaderboard.test_table import fill, make_row

TRAINED = list_trained()


def stored(agent, env_id, seed, board=BOARD):
    return row_path(board, agent, env_id, seed).with_suffix(".safetensors")


@pytest.mark.parametrize("trained", TRAINED, ids=lambda x: f"{x.agent}-{x.environment}")
def test_stored_agents_load_the_weights_of_their_median_seed(trained):
    model = load_pretrained(trained.agent, trained.environment)
    means = sorted((row.score.mean, row.seed) for row in trained.rows)
    mean, seed = means[(len(means) - 1) // 2]
    assert (model.seed, model.num_timesteps) == (seed, trained.row(seed).steps)
    assert trained.row().score.mean == mean
    data = read_regular_file(
        stored(trained.agent, trained.environment, seed), max_bytes=MAX_WEIGHTS_BYTES
    )
    expected = todays_names(parse_tensors(data, where="stored")[0])
    acting = raw_policy(model).acting_state_dict()  # with the statistics of a VecNormalize
    assert acting.keys() == expected.keys()
    assert all(torch.equal(acting[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("agent", "env_id", "pick"),
    [
        ("ppo-lif", "CartPole-v1", "best"),
        ("dqn-mlp", "CartPole-v1", 3),
        ("recurrent-ppo-lsnn", "snn/CueAccumulation-v0", "median"),
        ("sb3-ppo", "MountainCar-v0", "median"),
    ],
)
def test_loaded_agents_reproduce_the_verified_returns(agent, env_id, pick):
    row = find_trained(agent, env_id).row(pick)
    result = evaluate(snn_gym.load_pretrained(agent, env_id, pick), env_id, episodes=100)
    # Sums in another order than on the machine of the row may tip a few decisions.
    same = np.isclose(result.returns, row.score.returns, rtol=1e-3)
    assert same.mean() >= 0.95
    assert result.mean == pytest.approx(row.score.mean, rel=0.02)


def test_picks_by_hand():
    means = {0: 30.0, 1: 10.0, 2: 40.0, 5: 20.0, 7: 40.0, 8: 10.0}
    rows = tuple(make_row(seed=seed, returns=(mean,)) for seed, mean in means.items())
    trained = TrainedAgent("ppo-lif", "CartPole-v1", rows)
    assert trained.row().seed == 5  # 10, 10, 20, | 30, 40, 40
    assert trained.row("best").seed == 2
    assert trained.row(8).seed == 8
    for pick in (3, True, "worst"):
        with pytest.raises(ValueError, match=r"expected 'median', 'best' or .* 0, 1, 2, 5, 7, 8$"):
            trained.row(pick)


def test_unknown_names_are_refused_with_a_suggestion(tmp_path):
    with pytest.raises(ValueError, match="'ppo-lfi'; did you mean 'ppo-lif'"):
        load_pretrained("ppo-lfi", "CartPole-v1")
    with pytest.raises(ValueError, match="ppo-lif for 'CartPole-v9'; did you mean 'CartPole-v1'"):
        load_pretrained("ppo-lif", "CartPole-v9")
    board = fill(tmp_path / "board", make_row("ppo-mlp"))
    with pytest.raises(ValueError, match=r"no ppo-lif in .* `snn-gym train ppo-lif CartPole-v1`"):
        load_pretrained("ppo-lif", "CartPole-v1", leaderboard=board)
    with pytest.raises(ValueError, match="the results table is empty"):
        load_pretrained("ppo-lif", "CartPole-v1", leaderboard=tmp_path / "nowhere")


def test_a_loaded_agent_learns_on_but_cannot_be_submitted(tmp_path):
    model = load_pretrained("ppo-lif", "CartPole-v1")
    for name in ("as it was", "trained on"):
        run = save_agent(model, tmp_path / name)
        with pytest.raises(SubmissionError, match="nobody can train the weights"):
            submit(run)
        before = model.policy.state_dict()["action_net.weight"].clone()
        model.learn(600)  # the first of several updates: its rate falls to 0 at the last
        assert not torch.equal(before, model.policy.state_dict()["action_net.weight"])


@pytest.mark.parametrize("agent", ["dqsn", "qrdqn-lif"])
def test_the_target_network_has_the_loaded_weights(agent):
    policy = load_pretrained(agent, "CartPole-v1").policy
    (name,) = [x for x, _ in policy.named_children() if hasattr(policy, f"{x}_target")]
    online, target = getattr(policy, name), getattr(policy, f"{name}_target")
    assert list(online.parameters())
    for one, other in zip(online.parameters(), target.parameters(), strict=True):
        assert torch.equal(one, other)


def small_board(folder):
    """Copy seeds 0 and 1 of ppo-lif on CartPole, with a chain of their own."""
    for seed in (0, 1):
        source = stored("ppo-lif", "CartPole-v1", seed)
        target = stored("ppo-lif", "CartPole-v1", seed, folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".json", ".safetensors"):
            shutil.copy(source.with_suffix(suffix), target.with_suffix(suffix))
    forge_chain(folder)
    return folder


@pytest.mark.filterwarnings("ignore:set aside")  # of the other file
def test_changed_files_are_refused(tmp_path):
    board = small_board(tmp_path)
    assert load_pretrained("ppo-lif", "CartPole-v1", 1, leaderboard=board).seed == 1
    path = stored("ppo-lif", "CartPole-v1", 1, board)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with (
        pytest.warns(UserWarning, match=r"set aside: .*1\.safetensors has the SHA-256"),
        pytest.raises(ValueError, match=r"pick is 1; expected .* one of the seeds 0$"),
    ):
        load_pretrained("ppo-lif", "CartPole-v1", 1, leaderboard=board)
    row = stored("ppo-lif", "CartPole-v1", 0, board).with_suffix(".json")
    row.write_text(row.read_text().replace("500.0", "499.0"))
    with (
        pytest.warns(UserWarning, match=r"set aside: .*0\.json has the SHA-256"),
        pytest.raises(ValueError, match="no row is as it was verified"),
    ):
        load_pretrained("ppo-lif", "CartPole-v1", leaderboard=board)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_weights_is_not_run(tmp_path):
    made = tmp_path / "made"
    board = tmp_path / "board"
    write_row(board, make_row(), pickle.dumps(Payload(made)))
    with pytest.raises(SubmissionError):
        load_pretrained("ppo-lif", "CartPole-v1", leaderboard=board)
    assert not made.exists()


def test_rows_that_a_wheel_lacks_are_in_a_checkout(tmp_path, monkeypatch):
    board = small_board(tmp_path)
    for suffix in (".json", ".safetensors"):
        stored("ppo-lif", "CartPole-v1", 1, board).with_suffix(suffix).unlink()
    with (
        pytest.warns(UserWarning, match="set aside"),
        pytest.raises(ValueError, match=r"one of the seeds 0$"),
    ):
        load_pretrained("ppo-lif", "CartPole-v1", 1, leaderboard=board)  # a table with a hole
    home = "snn_gym.leaderboard.pretrained"
    monkeypatch.setattr(f"{home}.content_path", lambda folder: board)
    with pytest.warns(UserWarning, match="set aside"):
        assert list_trained()[0].elsewhere == ()  # nor does a checkout's own lack any
    monkeypatch.setattr(f"{home}.checkout_root", lambda: None)
    assert load_pretrained("ppo-lif", "CartPole-v1").seed == 0
    assert load_pretrained("ppo-lif", "CartPole-v1", 0).seed == 0
    for pick, asked in ((1, "seed 1"), ("best", "best")):
        with pytest.raises(ValueError, match=f"{asked}, is not in this .* 2 seeds; a checkout of"):
            load_pretrained("ppo-lif", "CartPole-v1", pick)
    with pytest.raises(ValueError, match="pick is 2; expected"):
        load_pretrained("ppo-lif", "CartPole-v1", 2)


def test_a_broken_chain_is_refused(tmp_path):
    board = small_board(tmp_path)
    (board / DIGESTS_NAME).write_text("nothing\n")
    with pytest.raises(SubmissionError, match="line 1 of digests"):
        load_pretrained("ppo-lif", "CartPole-v1", leaderboard=board)
