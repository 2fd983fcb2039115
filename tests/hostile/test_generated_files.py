"""Texts of strangers in generated files: whatever they hold, only the text itself changes."""

import ast
import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import snn_gym
from snn_gym._base.config import from_mapping, to_mapping
from snn_gym._base.folders import checkout_root
from snn_gym._base.names import without_controls
from snn_gym.cli import main
from snn_gym.leaderboard.manifest import Manifest, SubmissionError, parse_manifest
from snn_gym.leaderboard.rendering import render_table
from snn_gym.training.record import read_training
from snn_gym.zoo import read_manifest, save_agent
from snn_gym.zoo.spec import AgentSpec
from tests.edits import edit_json
from tests.leaderboard.test_table import fill, make_row

ATTACKS = (
    "**//", '**// __asm__(".section .init_array"); /**', "*/ int stolen; /*", "*\n/ int stolen;",
    "x // \\\n int stolen;", "??/", "</title><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>', "a | b | c", "a\n| b |", "\x1b[2J\x1b]0;stolen\x07",
    "\u202egnp.exe\u2028", "$\\frac{",
)  # fmt: skip
LETTERS = st.sampled_from("*/\\\n\r\t\"'<>|`$&;#?{}()[]%\x00\x1b\x9b\u202e\u2028\ud800ab0 -_.")
TEXTS = st.text(LETTERS, max_size=60) | st.text(max_size=60)
NO_CONTROLS = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]*")


@given(text=TEXTS)
def test_no_control_is_printed(text):
    assert NO_CONTROLS.fullmatch(without_controls(text))


@pytest.fixture
def saved(tmp_path):
    return save_agent(snn_gym.make_agent("ppo-mlp", "CartPole-v1"), tmp_path / "run")


def _refused(words, capsys):
    """Run a command that ends in one line without control characters; return that line."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert NO_CONTROLS.fullmatch(said.out + said.err)
    return said.err


@pytest.mark.parametrize("name", [*ATTACKS, "", "a" * 65, "PPO-LIF", "a--b", "a-"])
def test_a_saved_agent_has_a_name_or_is_refused(name, saved, tmp_path, capsys):
    edit_json(saved / "manifest.json", agent=name)
    with pytest.raises(ValueError, match="agent must"):
        read_manifest(saved)
    words = ["watch", str(saved), "--save", str(tmp_path / "film.gif")]
    assert "agent must" in _refused(words, capsys)
    run = {"format": "snn_gym/run/1", "agent": name, "environment": "CartPole-v1", "seed": 0}
    (tmp_path / "run.json").write_text(
        json.dumps({**run, "steps": 1, "checkpoint_interval": 1, "versions": {}})
    )
    with pytest.raises(ValueError, match="agent must"):
        read_training(tmp_path)
    table = {"description": "", "algorithm": "PPO", "budget_class": "gradient", "environments": {}}
    for key in ("name", "parent", "twin"):
        with pytest.raises(ValueError, match=f"{key} must"):
            from_mapping(AgentSpec, {"name": "mine", **table, key: name}, "agent.toml")


@pytest.fixture
def described(own_names):
    for k, text in enumerate(ATTACKS):
        snn_gym.register_agent(f"mine-{k}", parent="ppo-mlp", description=text)


def test_no_description_steers_the_terminal(described, capsys):
    assert main(["agents"]) == 0
    said = capsys.readouterr().out
    assert all(f"mine-{k}: " in said for k in range(len(ATTACKS)))
    assert NO_CONTROLS.fullmatch(said)


def test_every_command_prints_through_one_function():
    """Commands print by `cli.options`, or to standard error in `cli`."""
    root = checkout_root()
    assert root is not None
    paths = sorted((root / "snn_gym" / "cli").glob("*.py"))
    assert "options.py" in [path.name for path in paths]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or path.name == "options.py":
                continue
            called = ast.unparse(node.func)
            assert called not in ("typer.echo", "typer.secho", "sys.stdout.write"), path
            to = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert called != "print" or to.get("file") == "sys.stderr", path


NAMES = st.from_regex(r"[a-z0-9]{1,9}(-[a-z0-9]{1,9}){0,3}", fullmatch=True)
IDS = st.from_regex(r"(snn/)?[A-Za-z0-9]{1,9}(-[A-Za-z0-9]{1,9}){0,2}-v[0-9]", fullmatch=True)


@settings(max_examples=15)
@given(agent=TEXTS | NAMES, environment=TEXTS | IDS)
@example(agent="**//", environment="CartPole-v1")
@example(agent="mine", environment="</title><script>-v0")
@example(agent="mine", environment="a | b-v0")
def test_names_in_a_row_make_no_cell(agent, environment, tmp_path_factory):
    try:
        row = make_row(agent, environment=environment)
    except ValueError:
        return  # no file of such names is read, as `Row` is what reads them
    tables = []
    for made in (row, make_row("mine", environment="Mine-v0")):
        board = fill(tmp_path_factory.mktemp("board"), made)
        tables.append([line.count("|") for line in render_table(board).splitlines()])
    assert tables[0] == tables[1]


@settings(max_examples=60)
@given(text=TEXTS, key=st.sampled_from(["agent", "environment", "created", "weights_sha256"]))
def test_texts_of_a_manifest_are_valid_titles(text, key):
    row = to_mapping(make_row())
    manifest = {**{name: row[name] for name in row if name in Manifest.__annotations__}, key: text}
    try:
        said = getattr(parse_manifest(json.dumps(manifest).encode()), key)
        assert said == text
        assert re.fullmatch(r"[A-Za-z0-9 _.,:;()/+=%'-]*", said)
    except SubmissionError as error:
        said = str(error)
    assert NO_CONTROLS.fullmatch(said)
    assert "\n" not in said
