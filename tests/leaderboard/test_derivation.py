"""Tests of lean rows: retrained from their parent, or refused."""

import dataclasses
import json
import shutil

import pytest

from snn_gym._base.folders import content_path
from snn_gym.leaderboard import (
    SubmissionError,
    check_board,
    render_table,
    retrain_rows,
    submit,
    table_rows,
    verify,
)
from snn_gym.leaderboard.batches import join_seeds
from snn_gym.leaderboard.comparison import comparisons
from snn_gym.leaderboard.plan import PlannedRun
from snn_gym.leaderboard.pretrained import load_pretrained
from snn_gym.leaderboard.results import (
    batch_of,
    dump_line,
    list_rows,
    replace_row,
    verified_weights,
)
from snn_gym.sweeps import train_and_submit
from snn_gym.training import train
from snn_gym.zoo import (
    distil,
    load_agent,
    load_agent_spec,
    make_agent,
    make_lean,
    read_manifest,
    save_agent,
    spec,
)
from tests.leaderboard.helpers import SETTINGS, fingerprint, row_file
from tests.leaderboard.test_retraining import read
from tests.marked import slow

pytestmark = [pytest.mark.usefixtures("in_process"), pytest.mark.check]

STEPS, UPDATES = 256, 20
PAIRS = [
    ("ppo-lif", "ppo-lif-dynamics", 512),
    ("dqsn", "ppo-linear", 600),  # another algorithm, and no spikes
]


@pytest.fixture(autouse=True, scope="module")
def _quick_agents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo") / "agents"
    shutil.copytree(content_path("agents"), folder)
    for _, student, _ in PAIRS:
        with (folder / student / "agent.toml").open("a") as file:
            # The file's last table is [network.regulation.lean].
            file.write(f"\nupdates = {UPDATES}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spec, "content_path", lambda _: folder)
        load_agent_spec.cache_clear()
        yield
    load_agent_spec.cache_clear()


def make_pair(agent, student, steps, root):
    """Return the submissions of a trained agent and of a lean agent made from it."""
    trained = make_agent(agent, "CartPole-v1", seed=0)
    trained.learn(steps)
    found = []
    for name, model in (
        ("trained", trained),
        ("lean", distil(trained, student, STEPS)),  # by the settings of the file
    ):
        save_agent(model, root / name)
        # The recipe survives saving and loading.
        assert read_manifest(save_agent(load_agent(root / name), root / f"{name}-again")).recipe
        found.append(read(submit(root / f"{name}-again", seeds=SETTINGS.seeds)))
    return found[0], found[1]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return make_pair(*PAIRS[0], tmp_path_factory.mktemp("pair"))


@pytest.fixture
def board(pair, tmp_path):
    verify(pair[0].write(tmp_path / "parent"), tmp_path / "board", SETTINGS)
    return tmp_path / "board"


@pytest.mark.parametrize("names", [PAIRS[0], slow(PAIRS[1])], ids=lambda names: names[1])
def test_lean_rows_are_retrained_from_their_parent(names, tmp_path):
    parent, lean = make_pair(*names, tmp_path)
    board = tmp_path / "board"
    verify(parent.write(tmp_path / "p"), board, SETTINGS)
    recipe = lean.manifest["recipe"]
    assert recipe["steps"] == STEPS
    digest, steps = parent.manifest["weights_sha256"], parent.manifest["steps"]
    assert recipe["parent"] == {"weights_sha256": digest, "steps": steps}
    verify(lean.write(tmp_path / "l"), board, SETTINGS, retrain=True)
    (row,) = (row for row in list_rows(board) if row.agent == names[1])
    assert row.trained_again.same == "weights"
    assert check_board(board) == ()


def test_sweep_gives_the_same_lean_row(pair, board, tmp_path):
    job = PlannedRun("ppo-lif-dynamics", "CartPole-v1", 0, STEPS, teacher="ppo-lif")
    manifest = read(train_and_submit(job, tmp_path / "runs", board)).manifest
    for key in ("weights_sha256", "recipe", "steps", "seed"):
        assert manifest[key] == pair[1].manifest[key]
    with pytest.raises(SubmissionError, match="verify it with --retrain"):
        verify(pair[1].write(tmp_path / "l"), board, SETTINGS)
    other = dataclasses.replace(job, seed=1)
    with pytest.raises(ValueError, match=r"CartPole-v1: pick is 1; expected .* one of the seeds 0"):
        train_and_submit(other, tmp_path / "runs", board)


def test_runs_that_go_on_are_refused(pair, board, tmp_path):
    """By `submit`, from the run and from the table, and in a forged manifest by `verify`."""
    parent = load_pretrained("ppo-lif", "CartPole-v1", leaderboard=board)
    train("ppo-lif", "CartPole-v1", out=tmp_path / "run", seed=6, steps=256, parent=parent)
    with pytest.raises(SubmissionError, match="goes on from another agent's weights") as caught:
        submit(tmp_path / "run", seeds=SETTINGS.seeds)
    assert caught.value.code == "parent"
    recipe = {**pair[1].manifest["recipe"], "start_sha256": "0" * 64, "checkpoint_interval": 9}
    forged = pair[1].with_manifest(recipe=recipe).write(tmp_path / "s")
    with pytest.raises(SubmissionError, match="goes on from another agent's weights"):
        verify(forged, board, SETTINGS, retrain=True)


def noisy(lean, parent):
    """Return the noisy weights of the parent as a false lean submission."""

    def disturb(tensors):
        for name, tensor in parent.tensors().items():
            if not name.endswith("neuron_constants"):
                tensors[name].copy_(tensor * (1 + 1e-6))

    other = lean.with_tensors(disturb)
    return other.with_manifest(score=parent.manifest["score"])


def of_parent(**changes):
    def change(lean, _):
        recipe = lean.manifest["recipe"]
        parent = {**recipe["parent"], **changes}
        return lean.with_manifest(recipe={**recipe, "parent": parent})

    return change


def from_the_start(lean, _):
    return lean.with_manifest(recipe={**lean.manifest["recipe"], "parent": None})


CLAIMS = {
    "another parent": (of_parent(weights_sha256="0" * 64), "parent"),
    "a parent of other steps": (of_parent(steps=7), "parent"),
    "a copy of the parent": (noisy, "retrain-mismatch"),
    "another seed": (lambda lean, _: lean.with_manifest(seed=1), "parent"),
    "no parent": (from_the_start, "retrain-mismatch"),
}


@pytest.mark.parametrize(("claim", "code"), CLAIMS.values(), ids=list(CLAIMS))
def test_lean_weights_that_retraining_does_not_reproduce_are_refused(
    claim, code, pair, board, tmp_path
):
    before = fingerprint(board)
    folder = claim(pair[1], pair[0]).write(tmp_path / "s")
    with pytest.raises(SubmissionError) as caught:
        verify(folder, board, SETTINGS, retrain=True)
    assert caught.value.code == code, str(caught.value)
    assert fingerprint(board) == before


PLAN = """
[[groups]]
agents = ["ppo-lif"]
environments = ["CartPole-v1"]
seeds = "0"
steps = 512

[[groups]]
agents = ["ppo-lif-dynamics"]
environments = ["CartPole-v1"]
seeds = "0"
steps = 256
teacher = "ppo-lif"
"""


def test_lean_rows_are_separate_and_count_the_steps_of_both_trainings(pair, tmp_path):
    board = tmp_path / "board"
    board.mkdir()
    (board / "plan.toml").write_text(PLAN)
    parent = verify(pair[0].write(tmp_path / "parent"), board, SETTINGS, retrain=True)
    recipe = dataclasses.replace(parent.recipe, checkpoint_interval=10_000)  # as `train` has it
    replace_row(board, parent, recipe=recipe)
    verify(pair[1].write(tmp_path / "l"), board, SETTINGS, retrain=True)
    by_agent = {row.agent: row for row in table_rows(board)}
    row = by_agent["ppo-lif-dynamics"]
    assert row.derived
    assert row.twin is None
    assert [(x.row.name, x.other.name) for x in comparisons(tuple(by_agent.values()))] == [
        ("ppo-lif-dynamics ◊", "ppo-lif")
    ]
    own = json.loads((tmp_path / "l" / "manifest.json").read_text())["steps"]
    assert row.steps == (512 + own,)
    assert row.cells()[0] == "ppo-lif-dynamics ◊"
    text = render_table(board)
    assert "\n◊ Made lean from the rows of another training" in text
    assert not by_agent["ppo-lif"].derived


def test_missing_parents_are_detected(pair, board, tmp_path):
    verify(pair[1].write(tmp_path / "l"), board, SETTINGS, retrain=True)
    path = row_file(board)
    path.write_text(path.read_text().splitlines(keepends=True)[1])
    shutil.rmtree(board / "weights" / "ppo-lif")
    (problem,) = check_board(board)
    assert "ppo-lif-dynamics on CartPole-v1 with seed 0: " in problem
    assert "which no row has" in problem


def test_lean_rows_rank_only_with_a_retrained_teacher(tmp_path):
    """Otherwise an untrained teacher would give rows that rank."""
    board = tmp_path / "board"
    board.mkdir()
    (board / "plan.toml").write_text(PLAN)
    train("ppo-lif", "CartPole-v1", out=tmp_path / "p", seed=0, steps=512)
    verify(submit(tmp_path / "p", seeds=SETTINGS.seeds), board, SETTINGS)
    lean = make_lean(load_agent(tmp_path / "p"), STEPS, student=PAIRS[0][1], updates=UPDATES)
    made = submit(save_agent(lean, tmp_path / "l"), seeds=SETTINGS.seeds)
    verify(made, board, SETTINGS, retrain=True)

    def lines():
        return {row.agent: row.trained_again for row in table_rows(board)}

    assert lines() == {}
    (again,) = retrain_rows(board, missing=True)
    assert again.problem is None
    assert lines() == {"ppo-lif": 1, "ppo-lif-dynamics": 1}


def test_one_training_counts_as_one_seed(pair, board, tmp_path):
    """Otherwise one parent could give any number of seeds."""
    other = pair[1].with_manifest(seed=1)
    with pytest.raises(SubmissionError, match="its seed is 1 and that of its parent") as caught:
        verify(other.write(tmp_path / "o"), board, SETTINGS, retrain=True)
    assert caught.value.code == "parent"
    row = verify(pair[1].write(tmp_path / "l"), board, SETTINGS, retrain=True)
    path, batch = row_file(board), batch_of(board, row)
    line = dump_line(dataclasses.replace(row, seed=1))
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0] + line + b"\n")
    weights = join_seeds({1: verified_weights(board, row)})
    batch.rename(batch.with_name("1.safetensors")).write_bytes(weights)
    (problem,) = check_board(board)
    assert "ppo-lif-dynamics on CartPole-v1 with seed 1: its seed is 1" in problem
