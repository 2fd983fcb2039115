"""Tests of the command line: output, and one line with exit code 2 for invalid input."""

import json
import re
import shutil
import subprocess
import sys

import pytest

import snn_gym
from snn_gym._base.names import printable
from snn_gym.cli import main
from snn_gym.envs.registry import env_ids
from snn_gym.leaderboard import verification
from snn_gym.program.costs import COST_COLUMNS
from snn_gym.zoo import agent_ids, load_agent, load_agent_spec, read_manifest
from tests.edits import edit_json

COMMANDS = (
    "envs", "agents", "train", "lean", "distil", "evaluate", "plot", "submit", "verify", "table",
    "pretrained", "compare", "watch", "new", "smallest",
)  # fmt: skip  # fmt: skip
TRAIN = ["train", "ppo-lif", "CartPole-v1", "--steps", "300", "--no-progress"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert main([*TRAIN, "--seed", "4", "--out", str(folder)]) == 0
    return folder


def refused(capsys, *words):
    """Return the single error line of a refused command."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert err.startswith("snn-gym: ")
    assert "Traceback" not in out + err
    return err


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{snn_gym.__version__}\n"


def test_help_names_every_command(capsys):
    for words in (["--help"], []):
        assert main(words) == 0
        out = capsys.readouterr().out
        for command in COMMANDS:
            assert f" {command} " in out


@pytest.mark.parametrize("words", ["--help", "envs", "agents", "train --help", "--version"])
def test_quick_commands_load_nothing_heavy(words):
    code = (
        "import sys; from snn_gym.cli import main; code = main(sys.argv[1:]);"
        "print([name for name in ('torch', 'norse', 'stable_baselines3', 'numba', 'scipy')"
        " if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")


def test_envs_lists_every_environment_that_agents_train_on(capsys):
    assert main(["envs"]) == 0
    out = capsys.readouterr().out
    table, _, note = out.partition("\n\n")
    assert note == "snn/X-flat-vN is snn/X-vN with flat spikes, for 49 of these.\n"
    listed = [line.split()[0] for line in table.splitlines()[1:]]
    assert len(listed) == len(set(listed))
    assert set(env_ids()) <= set(listed)
    assert {env_id for name in agent_ids() for env_id in load_agent_spec(name).environments} <= set(
        listed
    )


def test_agents_lists_every_agent(capsys):
    assert main(["agents"]) == 0
    out = capsys.readouterr().out
    for name in agent_ids():
        assert f"{name}: {load_agent_spec(name).description}" in out


def test_train_writes_a_run(trained):
    manifest = read_manifest(trained)
    assert (manifest.agent, manifest.environment, manifest.seed) == ("ppo-lif", "CartPole-v1", 4)
    assert json.loads((trained / "run.json").read_text())["steps"] == 300
    assert list((trained / "tb").iterdir())


def test_evaluate_prints_the_score_and_the_costs(trained, capsys):
    assert main(["evaluate", str(trained), "--episodes", "3"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("CartPole-v1: IQM ")
    for column in COST_COLUMNS.values():
        assert f"{column.heading} per decision: " in out
    assert "SynOps per decision: hidden_1 " in out


@pytest.mark.check
def test_lean_reports_return_and_operations(trained, few_updates, capsys, tmp_path):
    capsys.readouterr()
    out = tmp_path / "small"
    options = ["--steps", "256", "--time-steps", "2", "--bound", "0.1", "--out", str(out)]
    assert main(["lean", str(trained), *options]) == 0
    before, after, folder = capsys.readouterr().out.splitlines()[-3:]
    shape = r"mean return (\d+\.\d\d), ([\d,]+) operations a decision \(.* SynOps and .* MACs\)"
    counts = []
    for name, line in (("before", before), ("after", after)):
        found = re.fullmatch(f"{name}: {shape}", line)
        assert found, line
        counts.append(int(found[2].replace(",", "")))
    assert 0 < counts[1] < counts[0]
    assert folder == f"lean agent: {out}"
    manifest = read_manifest(out)
    assert (manifest.agent, manifest.environment, manifest.seed) == ("ppo-lif", "CartPole-v1", 4)
    assert manifest.parent_sha256 == read_manifest(trained).weights_sha256
    network = load_agent(out).policy.network
    assert (network.time_steps, network.regulation.lean.bound) == (2, 0.1)


@pytest.mark.check
def test_distil_reports_teacher_and_student(trained, capsys, tmp_path):
    capsys.readouterr()
    out = tmp_path / "small"
    options = ["--steps", "256", "--set", "updates=4", "--seed", "7", "--out", str(out)]
    assert main(["distil", str(trained), "ppo-mlp", *options, "--network", "hidden_sizes=[3]"]) == 0
    far, loss, before, after, folder = capsys.readouterr().out.splitlines()[-5:]
    assert float(far.removeprefix("divergence of their behaviour: ")) > 0
    means = [float(re.search(r"mean return (\d+\.\d\d), ", line)[1]) for line in (before, after)]
    found = re.match(
        r"difference of mean returns (\S+), at least (\S+) \(one-sided 95%, 20 p", loss
    )
    assert float(found[1]) == pytest.approx(means[1] - means[0], rel=1e-3, abs=0.02)
    assert float(found[2]) <= float(found[1])
    assert folder == f"distilled agent: {out}"
    manifest = read_manifest(out)
    assert (manifest.agent, manifest.environment, manifest.seed) == ("ppo-mlp", "CartPole-v1", 7)
    assert manifest.parent_sha256 == read_manifest(trained).weights_sha256
    assert load_agent(out).policy.network.hidden_sizes == (3,)


@pytest.mark.check
def test_smallest_prints_each_family_and_saves_its_agent(trained, capsys, tmp_path):
    capsys.readouterr()
    out, effort = tmp_path / "small", []
    for change in ("starts=1", "rounds=1", "updates=40", "shares=[]", "validation_episodes=2"):
        effort += ["--set", change]
    options = ["--families", "linear,lif", "--margin", "1000", "--episodes", "3", "--out", str(out)]
    assert main(["smallest", str(trained), *options, *effort]) == 0
    linear, lif, kept, folder, picture = capsys.readouterr().out.splitlines()[-5:]
    found = re.match(r"linear: no units, mean return (\S+), (\S+) operations a decision \(", linear)
    assert float(found[2]) <= 4
    assert re.match(r"lif: [1-4] units?, mean return", lif)
    assert kept.startswith("kept from a mean return of -9")
    assert folder == f"agents, by family: {out}"
    assert picture == f"picture: {out / 'front.png'}"
    assert (out / "front.png").read_bytes().startswith(b"\x89PNG")
    again = snn_gym.evaluate(load_agent(out / "linear"), "CartPole-v1", 3)
    assert again.mean == pytest.approx(float(found[1]), abs=0.01)
    assert again.operations_per_decision == pytest.approx(float(found[2]), abs=0.01)


def test_a_folder_in_use_is_refused(trained, capsys):
    before = sorted(trained.iterdir())
    line = refused(capsys, *TRAIN, "--out", trained)
    assert "is not empty; use --resume" in line
    line = refused(capsys, *TRAIN, "--seed", "5", "--out", trained, "--resume")
    assert "holds a run with seed 4, not 5" in line
    assert sorted(trained.iterdir()) == before


def test_verify_outside_a_checkout_needs_a_leaderboard(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("snn_gym.cli.options.checkout_root", lambda: None)
    line = refused(capsys, "verify", tmp_path)
    assert "name the folder with --leaderboard" in line
    assert "--leaderboard" in refused(capsys, "table")


@pytest.mark.parametrize("command", ["train", "evaluate", "plot"])
def test_a_missing_extra_gets_one_line(command, trained, capsys, monkeypatch, tmp_path):
    for name in [
        name for name in sys.modules if name.startswith(("Box2D", "gymnasium.envs.box2d"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "Box2D", None)
    run = shutil.copytree(trained, tmp_path / "run")
    for file in ("manifest.json", "run.json"):
        edit_json(run / file, environment="LunarLander-v3")
    words = {
        "train": ["train", "ppo-lif", "LunarLander-v3", "--out", tmp_path / "new"],
        "evaluate": ["evaluate", run],
        "plot": ["plot", run, "--out", tmp_path / "new"],
    }
    assert 'pip install -e ".[box2d]"' in refused(capsys, *words[command])
    assert not (tmp_path / "new").exists()


@pytest.mark.check
def test_submit_verify_and_table(trained, capsys, monkeypatch, tmp_path):
    # A process of its own, as for the re-run; the zoo's agents are known to be small enough.
    monkeypatch.setattr(verification, "check_architecture", lambda *_: None)
    submission, board = tmp_path / "submission", tmp_path / "board"
    assert main(["submit", str(trained), "--out", str(submission)]) == 0
    # A run of 300 steps stays within the budget of 100,000.
    assert main(["verify", str(submission), "--leaderboard", str(board)]) == 0
    assert (board / "results" / "CartPole-v1.jsonl").exists()
    assert "| 300 steps, expected 100,000 |" in capsys.readouterr().out
    assert main(["table", "--leaderboard", str(board)]) == 0
    assert "ppo-lif" in capsys.readouterr().out
    assert "ppo-lif" in (board / "README.md").read_text()
    # The same weights a second time.
    assert "snn-gym: " in refused(capsys, "verify", submission, "--leaderboard", board)


def test_a_message_is_one_printable_line_of_bounded_length():
    assert printable("a\n b\x1b[2J\udcff") == "a b?[2J?"
    assert len(printable("x" * 100_000)) == 2001
