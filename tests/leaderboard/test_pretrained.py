"""Tests of stored agents of the results table, loaded by name."""

import numpy as np
import pytest
import torch

import snn_gym
from snn_gym._base.storage import parse_tensors
from snn_gym.leaderboard import SubmissionError, evaluate, submit
from snn_gym.leaderboard.pretrained import TrainedAgent, find_trained, list_trained, load_pretrained
from snn_gym.leaderboard.results import batch_of, verified_weights, write_row
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.spiking.assembly import todays_names
from snn_gym.zoo import save_agent
from tests.leaderboard.helpers import BOARD, covering, row_file
from tests.leaderboard.test_table import fill, make_row

pytestmark = pytest.mark.check

TRAINED = list_trained()


@pytest.mark.parametrize("trained", covering(TRAINED), ids=lambda x: f"{x.agent}-{x.environment}")
def test_stored_agents_load_the_weights_of_their_median_seed(trained):
    model = load_pretrained(trained.agent, trained.environment)
    means = sorted((row.score.mean, row.seed) for row in trained.rows)
    mean, seed = means[(len(means) - 1) // 2]
    assert (model.seed, model.num_timesteps) == (seed, trained.row(seed).steps)
    assert trained.row().score.mean == mean
    data = verified_weights(BOARD, trained.row())
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


def test_the_target_network_has_the_loaded_weights():
    policy = load_pretrained("dqsn", "CartPole-v1").policy
    (name,) = [x for x, _ in policy.named_children() if hasattr(policy, f"{x}_target")]
    online, target = getattr(policy, name), getattr(policy, f"{name}_target")
    assert list(online.parameters())
    for one, other in zip(online.parameters(), target.parameters(), strict=True):
        assert torch.equal(one, other)


def small_board(folder):
    """Copy seeds 0 and 1 of ppo-lif on CartPole."""
    for seed in (0, 1):
        row = find_trained("ppo-lif", "CartPole-v1").row(seed)
        write_row(folder, row, verified_weights(BOARD, row))
    return folder


@pytest.mark.filterwarnings("ignore:set aside")  # of the other line
def test_changed_files_are_refused(tmp_path):
    board = small_board(tmp_path)
    model = load_pretrained("ppo-lif", "CartPole-v1", 1, leaderboard=board)
    assert model.seed == 1
    path = batch_of(board, find_trained("ppo-lif", "CartPole-v1").row(1))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"1\.safetensors has weights of seed 1 with the SHA-256"):
        load_pretrained("ppo-lif", "CartPole-v1", 1, leaderboard=board)
    row_file(board).write_text(row_file(board).read_text().replace("500.0", "499.0", 1))
    with (
        pytest.warns(UserWarning, match=r"set aside: .*line 1 is not as it was verified"),
        pytest.raises(ValueError, match=r"pick is 0; expected .* one of the seeds 1$"),
    ):
        load_pretrained("ppo-lif", "CartPole-v1", 0, leaderboard=board)
