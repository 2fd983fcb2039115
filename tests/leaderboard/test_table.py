"""Tests of rows and of their table."""

import re
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snn_gym._base.storage import dump_tensors
from snn_gym.cli import main
from snn_gym.envs.registry import known_ids, load_environment_spec
from snn_gym.leaderboard import COLUMNS, SubmissionError, render_table, table_rows, write_table
from snn_gym.leaderboard.comparison import COMPARISON_COLUMNS
from snn_gym.leaderboard.evaluation import EVALUATOR_VERSION
from snn_gym.leaderboard.manifest import Scores, TrainedAgain
from snn_gym.leaderboard.pretrained import list_trained
from snn_gym.leaderboard.rendering import render_line
from snn_gym.leaderboard.results import (
    Row,
    dump_line,
    list_rows,
    parent_of,
    rows_by_weights,
    write_row,
)
from snn_gym.leaderboard.retraining import find_parent
from snn_gym.leaderboard.statistics import interquartile_mean
from snn_gym.leaderboard.table import summaries
from snn_gym.leaderboard.weights import hash_tensors
from snn_gym.program.costs import COST_COLUMNS, Costs
from snn_gym.zoo import agent_ids, load_agent_spec
from snn_gym.zoo.recipe import Parent, Recipe
from tests.leaderboard.helpers import fingerprint, line_of

COSTS = {field.name for field in fields(Costs)}
WEIGHTS = dump_tensors({"weight": torch.zeros(1)})
AGAIN = TrainedAgain(same="weights", versions={}, processor={}, date="2026-01-03T00:00:00Z")


def fixed_recipe(agent, environment):
    """Return the required recipe of an agent's rows; None for agents without retraining."""
    spec = load_agent_spec(agent) if agent in agent_ids() else None
    if spec is not None and spec.is_imported:
        return None
    known = spec is not None and environment in known_ids()
    steps = spec.budget(load_environment_spec(environment)) if spec and known else 100_000
    return Recipe(
        steps=steps, checkpoint_interval=10_000, versions={}, processor={}, numerics="portable"
    )


def make_row(agent="ppo-lif", seed=0, **changes):
    """Make a row with plausible numbers; its hash follows from agent, environment and seed."""
    environment = changes.get("environment", "CartPole-v1")
    returns = changes.pop("returns", (400.0 + seed, 500.0))
    spiking = agent in ("ppo-lif", "dqsn")
    costs = {
        "spikes_per_decision": {"hidden_1": 10.0, "hidden_2": 5.0 + seed} if spiking else {},
        "synops_per_decision": {"hidden_1": 640.0, "hidden_2": 10.0} if spiking else {},
        "macs_per_decision": {"dense_1": 256.0},
        "neuron_updates_per_decision": {"hidden_1": 128.0},
        "parameter_bytes_per_decision": {"hidden_1": 1000.0, "hidden_2": 24.0},
        "synapses": {"hidden_1": 640.0, "hidden_2": 10.0} if spiking else {},
    }
    values = {
        "format": 1,
        "agent": agent,
        "environment": environment,
        "environment_version": 1,
        "seed": seed,
        "steps": 100_000,
        "budget_class": "gradient",
        "score": Scores(
            iqm=interquartile_mean(returns), mean=float(np.mean(returns)), returns=returns
        ),
        "lengths": tuple(1 for _ in returns),
        "costs": Costs(**{**costs, **{x: changes.pop(x) for x in [*changes] if x in COSTS}}),
        "parameters": 4610,
        "seeding": "disjoint",
        "evaluator_version": EVALUATOR_VERSION,
        "weights_sha256": "0" * 64,
        "content_sha256": hash_tensors({f"{agent} {environment}": torch.tensor(seed)}),
        "packages": {"torch": "2.13.0"},
        "recipe": fixed_recipe(agent, environment),
        "trained_again": AGAIN,
        "created": "2026-01-01T00:00:00Z",
        "verified": "2026-01-02T00:00:00Z",
    }
    return Row(**{**values, **changes})


DUMPED = dump_line(make_row()).decode().partition(',"sha256"')[0] + "}"


def fill(board, *rows):
    for row in rows:
        write_row(board, row, WEIGHTS)
    return board


def test_rows_are_never_replaced(tmp_path):
    fill(tmp_path, make_row())
    with pytest.raises(SubmissionError, match="exists already"):
        write_row(tmp_path, make_row(steps=5), WEIGHTS)
    same = make_row().content_sha256
    with pytest.raises(SubmissionError, match="same weights"):
        write_row(tmp_path, make_row(seed=9, content_sha256=same), WEIGHTS)
    assert list_rows(tmp_path) == (make_row(),)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{}", "expected numbers as a text"),
        (DUMPED.replace('"format":1,', ""), "missing key format"),
        ("not JSON}", "not plain JSON"),
        ("", "is not as it was verified"),
        (DUMPED.replace("CartPole", "Acrobot"), "expected it in its own file"),
        (DUMPED.replace('"steps"', '"stepz"'), "unknown|required"),
        (DUMPED.replace('"seed":0', '"seed":1'), "is repeated or in the wrong place"),
    ],
)
def test_a_damaged_line_is_set_aside_and_refused_by_writers(text, match, tmp_path):
    board = fill(tmp_path, make_row(seed=1))
    path = board / "results" / "CartPole-v1.jsonl"
    path.write_text(path.read_text() + (line_of(text) if text else "{}\n"))
    before = fingerprint(board)
    for write in (list_rows, lambda board: fill(board, make_row(seed=5))):
        with pytest.raises(SubmissionError, match=match) as caught:
            write(board)
        assert f"{board}: results/CartPole-v1.jsonl, line 2" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert fingerprint(board) == before
    with pytest.warns(UserWarning, match=match) as warned:
        (row,) = table_rows(board)  # is set aside, and the others are shown
    assert row.seeds == (1,)
    assert "set aside: results/CartPole-v1.jsonl, line 2" in str(warned[0].message)


def test_a_row_that_was_edited_is_set_aside(tmp_path, capsys):
    board = fill(tmp_path, make_row(seed=0), make_row(seed=1))
    path = board / "results" / "CartPole-v1.jsonl"
    path.write_text(path.read_text().replace('"steps":100000', '"steps":5', 1))
    assert main(["table", "--leaderboard", str(board)]) == 0
    said = capsys.readouterr()
    assert said.out == (board / "README.md").read_text() + "\n"
    assert "\n| ppo-lif | 1 |" in said.out
    (line,) = said.err.splitlines()
    assert line.startswith("snn-gym: set aside: results/CartPole-v1.jsonl, line 1 is not as it was")


def test_the_table_by_hand(tmp_path):
    board = fill(
        tmp_path,
        make_row("ppo-mlp", seed=0, returns=(500.0, 500.0)),
        make_row("ppo-lif", seed=1, returns=(4.0, 8.0), steps=100_096),
        make_row("ppo-lif", seed=0, returns=(0.0, 6.0)),
        make_row("dqsn", seed=2),
        make_row("ppo-lif", seed=0, environment="snn/CartPole-v1"),
        make_row("ppo-lif", seed=0, environment="Acrobot-v1", returns=(-80.0, -90.0)),
    )
    rows = table_rows(board)
    assert [(row.environment, row.agent) for row in rows] == [
        ("Acrobot-v1", "ppo-lif"),
        ("CartPole-v1", "dqsn"),
        ("CartPole-v1", "ppo-lif"),
        ("CartPole-v1", "ppo-mlp"),
        ("snn/CartPole-v1", "ppo-lif"),
    ]
    lif = rows[2]
    assert lif.seeds == (0, 1)
    assert lif.seed_means == (3.0, 6.0)
    assert lif.mean == lif.iqm == 4.5  # of two seeds the middle half is both
    assert lif.interval is None
    # Random play earns 21.65 and 475 solves: (4.5 - 21.65) / (475 - 21.65) is -0.038.
    assert (lif.spikes_per_decision, lif.synops_per_decision) == (15.5, 650.0)
    assert lif.cells() == (
        *("ppo-lif", "ppo-mlp", "2", "4.5", "–", "4.5", "0 of 2", "3.0"),
        *("-0.04", "3.0, 6.0"),
        *("1,034.0", "650.0", "256.0", "128.0", "15.5", "–", "1,024.0", "–", "1.000"),
        *("4,610", "–", "–", "–", "100,000 to 100,096", "portable, 2 of 2"),
    )
    assert rows[3].cells()[4:8] == ("–", "500.0", "1 of 1", "500.0")
    assert rows[3].cells()[8:14] == ("1.06", "500.0", "384.0", "–", "256.0", "128.0")
    assert (rows[3].cells()[14], rows[3].cells()[18]) == ("–", "–")
    text = render_table(board)
    assert text.index("## Acrobot-v1") < text.index("## CartPole-v1") < text.index("## snn/")
    shown = "| ppo-lif | 2 | 4.5 | – | 0 of 2 | 1,034.0 | – | 100,000 to 100,096 | portable, 2 of 2"
    assert f"\n{shown} |\n" in text.partition("## CartPole-v1")[2].partition("## snn/")[0]
    assert "\n| ppo-lif | ppo-mlp | -495.5 | 0.00 | – | – | too few seeds |\n" in text


def test_uncounted_modules_have_no_total_cost(tmp_path):
    board = fill(tmp_path, make_row(), make_row(seed=1, uncounted=("NatureCNN",)))
    (line,) = table_rows(board)
    shown = dict(zip(COLUMNS, line.cells(), strict=True))
    assert {shown[column.heading] for column in COST_COLUMNS.values()} == {"not counted"}
    assert line.operations_per_decision is None
    assert "*not counted*: a module between observation and action" in render_table(board)


def test_spikes_without_an_output_make_no_spiking_agent(tmp_path):
    into_nothing = {"synapses": {"hidden_1": 640.0, "hidden_2": 0.0}}
    board = fill(tmp_path, make_row("ppo-lif", **into_nothing), make_row("ppo-mlp"))
    lif, mlp = table_rows(board)
    assert [lif.spiking, mlp.spiking] == [False, False]


def test_seeds_count_once(tmp_path):
    returns = ((500.0, 500.0), (500.0, 0.0), (480.0, 470.0), (475.0, 475.0), (400.0, 500.0))
    seeds = (make_row(seed=seed, returns=each) for seed, each in enumerate(returns))
    (row,) = table_rows(fill(tmp_path, *seeds))
    assert row.seed_means == (500.0, 250.0, 475.0, 475.0, 450.0)
    assert (row.mean, row.solved) == (430.0, 3)
    assert row.iqm == pytest.approx(1400.0 / 3)  # without 250 and 500
    # Deviations 70, -180, 45, 45, 20: variance 41750 / 4, of the mean a fifth of it; t(0.975, 4) =
    # 2.77644511. The upper bound, 556.9, is above what can be earned.
    low, high = row.interval or (0.0, 0.0)
    assert low == pytest.approx(430.0 - 2.77644511 * np.sqrt(41750 / 20))
    assert high == 500.0
    shown = ("430.0", "303.1 to 500.0", "466.7", "3 of 5", "250.0", "0.90")
    assert row.cells()[3:9] == shown


@pytest.mark.parametrize("same", [None, "returns"])
def test_hand_written_rows_change_nothing(same, tmp_path):
    """Four rows of 4.8 SynOps took `ppo-lif` on CartPole-v1 from 10,868 operations to 8,131."""
    honest = [make_row(seed=seed) for seed in range(5)]
    (before,) = summaries(honest)
    recipe = replace(honest[0].recipe, versions={"torch": "9.9"})
    again = same and replace(AGAIN, same=same)
    free = {"macs_per_decision": {}, "neuron_updates_per_decision": {}, "recipe": recipe}
    written = [
        make_row(seed=seed, synops_per_decision={"x": 4.8}, trained_again=again, **free)
        for seed in range(90, 94)
    ]
    board = fill(tmp_path, *honest, *written)
    assert table_rows(board) == (before,)
    assert render_table(board).count("| no second training gave its weights |") == 4


def test_rows_of_version_1_rank_by_their_recipe_and_say_what_was_trained_again(tmp_path):
    native = replace(fixed_recipe("ppo-lif", "CartPole-v1"), numerics="native")
    rows = [
        make_row(seed=0),
        make_row(seed=1, recipe=native),
        make_row(seed=2, recipe=native, trained_again=None),
    ]
    for own, shown in (
        (rows, "1 portable, 2 of 3"),
        (rows[:1], "portable, 1 of 1"),
        (rows[2:], "native, 0 of 1"),
    ):
        (line,) = summaries(own)
        assert line.cells()[-1] == shown
    assert table_rows(fill(tmp_path, *rows)) == summaries(rows)


def test_a_game_of_long_episodes_has_its_own_interval(tmp_path):
    game, recipe = "snn/MinAtar-Breakout-v0", fixed_recipe("ppo-conv", "snn/MinAtar-Breakout-v0")
    rows = [
        make_row("ppo-conv", seed, environment=game, recipe=replace(recipe, checkpoint_interval=x))
        for seed, x in enumerate((640_000, 10_000))
    ]
    (line,) = table_rows(fill(tmp_path, *rows))
    assert line.seeds == (0,)
    assert "checkpoint interval 10,000, expected 640,000" in render_table(tmp_path)


OTHER_RECIPES = {
    "interval": ({"checkpoint_interval": 7}, "checkpoint interval 7, expected 10,000"),
    "no interval": ({"checkpoint_interval": None}, "checkpoint interval none, expected 10,000"),
    "fewer steps": ({"steps": 99_999}, "99,999 steps, expected 100,000"),
    "more steps": ({"steps": 100_001}, "100,001 steps, expected 100,000"),
}


@pytest.mark.parametrize(("changes", "reason"), OTHER_RECIPES.values(), ids=list(OTHER_RECIPES))
def test_a_row_of_another_recipe_does_not_rank(changes, reason, tmp_path):
    recipe = fixed_recipe("ppo-lif", "CartPole-v1")
    other = make_row(seed=1, recipe=replace(recipe, **changes))
    board = fill(tmp_path, make_row(seed=0, returns=(9.0, 9.0)), other)
    (row,) = table_rows(board)
    assert (row.seeds, row.mean) == ((0,), 9.0)
    text = render_table(board)
    assert f"| CartPole-v1 | gradient | ppo-lif | 1 | 450.5 | {reason} |" in text
    assert text.index("## Rows that do not rank") < text.index(reason)
    (trained,) = list_trained("ppo-lif", leaderboard=board)
    assert [trained.row(pick).seed for pick in ("median", "best", 1)] == [0, 0, 1]
    assert reason in render_line(board, other)


def test_every_reason_why_no_row_ranks_is_named(tmp_path):
    parent = make_row(weights_sha256="1" * 64)
    lean = lean_of(parent)
    unknown = Parent(weights_sha256="9" * 64, steps=100_000)
    for number, (row, reason) in enumerate(
        (
            (make_row(seed=5, seeding="consecutive"), "consecutive seeding, expected disjoint"),
            (make_row(seed=5, recipe=None), "no recipe"),
            (replace(lean, recipe=replace(lean.recipe, steps=20_001)), "20,001 steps, expected 20"),
            (
                replace(lean, recipe=replace(lean.recipe, checkpoint_interval=10_000)),
                "checkpoint interval 10,000, expected none",
            ),
            (
                replace(lean, recipe=replace(lean.recipe, parent=unknown)),
                "no row that it was made from",
            ),
        )
    ):
        board = fill(tmp_path / str(number), parent, row)
        assert [(line.agent, line.seeds) for line in table_rows(board)] == [("ppo-lif", (0,))]
        assert f"| {reason}" in render_table(board)


def test_a_plan_fixes_other_steps_before_the_runs(tmp_path):
    (tmp_path / "plan.toml").write_text(
        '[[groups]]\nagents = ["ppo-lif"]\nenvironments = ["CartPole-v1"]\nseeds = "0-4"\n'
        "steps = 50_000\n"
    )
    recipe = replace(fixed_recipe("ppo-lif", "CartPole-v1"), steps=50_000)
    (row,) = table_rows(fill(tmp_path, make_row(seed=0, recipe=recipe), make_row(seed=1)))
    assert row.seeds == (0,)
    assert "| 100,000 steps, expected 50,000 |" in render_table(tmp_path)


def lean_of(parent, **changes):
    """Return the row of a lean agent with the required recipe."""
    named = Parent(weights_sha256=parent.weights_sha256, steps=parent.steps)
    recipe = Recipe(
        steps=parent.steps // 5, checkpoint_interval=None, versions={}, processor={}, parent=named,
        numerics="portable",
    )  # fmt: skip
    return make_row("ppo-lif-2-steps", parent.seed, **{"recipe": recipe, **changes})


@pytest.mark.parametrize("numerics", ["portable", "native"])
@pytest.mark.parametrize("same", [None, "returns", "weights"])
def test_lean_rows_rank_only_with_their_parent(same, numerics, tmp_path):
    """Otherwise a hand-written teacher would give a row that ranks."""
    recipe = replace(fixed_recipe("ppo-lif", "CartPole-v1"), numerics=numerics)
    again = same and replace(AGAIN, same=same)
    parent = make_row(trained_again=again, weights_sha256="1" * 64, recipe=recipe)
    board = fill(tmp_path, parent, lean_of(parent))
    lines = [line.name for line in table_rows(board)]
    if same == "weights":
        assert lines == ["ppo-lif", "ppo-lif-2-steps ◊"]
    else:
        assert lines == ["ppo-lif"] * (numerics == "native")
        reasons = {
            "native": "no second training gave its weights and its parent's",
            "portable": "its parent: no second training gave its weights",
        }
        assert f"| {reasons[numerics]} |" in render_table(board)


def test_a_lean_row_that_shed_nothing_has_the_weights_of_its_parent_alone(tmp_path):
    parent = make_row(weights_sha256="1" * 64)
    same = {"weights_sha256": "1" * 64, "content_sha256": parent.content_sha256}
    lean = lean_of(parent, **same)
    fill(tmp_path, parent, lean)
    assert parent_of(lean, rows_by_weights([parent, lean])) == parent
    assert find_parent(tmp_path, lean) == parent
    other = lean_of(make_row(weights_sha256="2" * 64), environment="Acrobot-v1", **same)
    with pytest.raises(SubmissionError, match="same weights"):
        write_row(tmp_path, other, WEIGHTS)


def test_an_agent_that_shed_nothing_has_a_row_beside_the_agent_it_builds_on(tmp_path):
    plain = make_row(weights_sha256="1" * 64)
    same = {"weights_sha256": "1" * 64, "content_sha256": plain.content_sha256}
    board = fill(tmp_path, plain, make_row("ppo-lif-dynamics", **same))
    assert [line.agent for line in table_rows(board)] == ["ppo-lif", "ppo-lif-dynamics"]
    known = rows_by_weights(list_rows(board))
    assert parent_of(lean_of(plain), known) == plain
    with pytest.raises(SubmissionError, match="same weights"):
        fill(board, make_row("ppo-lif-dynamics", 1, **same))


def test_lean_rows_of_other_seeds_or_of_unranked_parents_do_not_rank(tmp_path):
    recipe = fixed_recipe("ppo-lif", "CartPole-v1")
    own = make_row(weights_sha256="1" * 64)
    chosen = make_row(
        seed=1, weights_sha256="2" * 64, recipe=replace(recipe, checkpoint_interval=7)
    )
    again = replace(lean_of(own), seed=5, content_sha256="5" * 64)
    fill(tmp_path, own, chosen, again, lean_of(chosen))
    assert [row.agent for row in table_rows(tmp_path)] == ["ppo-lif"]
    text = render_table(tmp_path)
    assert "| made from seed 0, expected 5 |" in text
    assert "| its parent: checkpoint interval 7, expected 10,000 |" in text


def test_the_plan_fixes_the_teacher_and_the_steps_of_lean_rows(tmp_path):
    (tmp_path / "plan.toml").write_text(
        '[[groups]]\nagents = ["ppo-lif-2-steps"]\nenvironments = ["CartPole-v1"]\nseeds = "0-4"\n'
        'teacher = "ppo-lif"\n'
    )
    good = make_row(weights_sha256="1" * 64, steps=100_096)
    other = make_row("ppo-lif-dynamics", 1, weights_sha256="2" * 64)
    lean = lean_of(good)
    fill(tmp_path, good, other, replace(lean, recipe=replace(lean.recipe, steps=20_000)))
    fill(tmp_path, lean_of(other))
    lines = {row.name: row.seeds for row in table_rows(tmp_path)}
    assert lines["ppo-lif-2-steps ◊"] == (0,)
    assert "| made from ppo-lif-dynamics, expected ppo-lif |" in render_table(tmp_path)


def test_runs_of_less_than_half_of_the_budget_are_marked(tmp_path):
    # The budget is 100,000 steps.
    half = fill(tmp_path / "half", make_row(seed=0, steps=50_000))
    assert table_rows(half)[0].cells()[-2] == "50,000"
    assert "‡" not in render_table(half)
    less = fill(tmp_path / "less", make_row(seed=0, steps=49_999), make_row(seed=1))
    assert table_rows(less)[0].cells()[-2] == "49,999 to 100,000 ‡"
    assert render_table(less).count("‡") == 2  # with the note


def test_scores_are_normalised_from_random_play_to_the_reference(tmp_path):
    # Random play has 0.4875, the oracle 1: the mean 0.74375 is half of the way.
    task = "snn/CueAccumulation-v0"
    board = fill(
        tmp_path,
        make_row("ppo-lif", seed=0, environment=task, returns=(0.4875, 1.0)),
        make_row("ppo-lif", seed=0, environment="snn/Gone-v0"),
        make_row("ppo-mlp", seed=0, environment=task, environment_version=99),
    )
    now, gone, changed = sorted(table_rows(board), key=lambda row: row.normalised is None)
    assert now.normalised == pytest.approx(0.5)
    shown = ("0.744", "–", "0.744", "0 of 1", "0.744", "0.50")
    assert now.cells()[3:9] == shown
    for row in (gone, changed):
        assert row.normalised is row.solved is None
        assert (row.cells()[6], row.cells()[8]) == ("–", "–")


def test_sections_name_the_reference_scores_of_their_task(tmp_path):
    # Of the card: no memory earns 0.5, the ideal observer 1.
    task = "snn/CueAccumulation-v0"
    board = fill(
        tmp_path,
        make_row("recurrent-ppo-lsnn", seed=0, environment=task, returns=(0.5, 1.0)),
        make_row("recurrent-ppo-gru", seed=0, environment=task, returns=(0.75, 1.0)),
        make_row("recurrent-ppo-gru", seed=1, environment=task, returns=(1.0, 1.0)),
        make_row("ppo-lif", seed=0, environment=task, returns=(0.4875, 1.0)),
        make_row("ppo-lif", seed=0, environment="CartPole-v1"),
    )
    sentences = re.findall(r"^\[Reference scores\]\((.*)\), (.*)$", render_table(board), re.M)
    assert sentences == [
        (
            "../envs/CartPole-v1.md#reference-scores",
            "random play: 21.6, solved from here on: 475.0.",
        ),
        (
            "../envs/CueAccumulation-v0.md#reference-scores",
            "random play: 0.487, best without memory: 0.500, solved from here on: 0.900, "
            "oracle: 1.000.",
        ),
    ]


def test_input_spikes_do_not_make_an_ann_a_spiking_agent(tmp_path):
    given = {"spikes_per_decision": {"input": 9.0}, "environment": "snn/CartPole-v1"}
    both = {
        "spikes_per_decision": {"input": 9.0, "hidden_1": 1.0},
        "synapses": {"input": 9.0, "hidden_1": 4.0},
    }
    board = fill(
        tmp_path,
        make_row("recurrent-ppo-gru", **given),
        make_row("recurrent-ppo-lsnn", **(given | both)),
    )
    assert [row.agent for row in table_rows(board)] == ["recurrent-ppo-lsnn", "recurrent-ppo-gru"]


def test_tables_have_few_and_defined_columns(tmp_path):
    rows = [
        make_row(agent, seed, environment=env)
        for agent in ("ppo-lif", "ppo-mlp")
        for env in ("CartPole-v1", "Acrobot-v1")
        for seed in range(5)
    ]
    text = render_table(fill(tmp_path, *rows, make_row("dqsn", recipe=None)))
    tables, _, definitions = text.partition("## Columns")
    headings = re.findall(r"^\| (.*) \|\n\| ---", tables, re.M)
    assert len(headings) == 5  # results and comparisons of two tasks, unranked
    columns = (
        "Agent | Seeds | Mean | 95 % interval | Solved | Operations | Steps until learned | Steps"
    )
    assert headings[0] == f"{columns} | Trained again"
    assert max(line.count("|") for line in headings) < 9
    for heading in (*headings[0].split(" | "), *COMPARISON_COLUMNS):
        assert f"\n| {heading} | " in definitions


def test_rows_of_another_evaluator_are_not_shown(tmp_path):
    board = fill(tmp_path, make_row(seed=0), make_row(seed=1, evaluator_version=1))
    with pytest.raises(ValueError, match=r"seed 1 is of evaluator version 1; .* verify --again"):
        render_table(board)


@pytest.mark.parametrize(
    ("version", "steps", "marked"), [(6, 10_001, True), (6, 10_000, False), (7, 10_001, False)]
)
def test_costs_of_a_part_of_the_episodes_are_marked(tmp_path, version, steps, marked):
    # Two episodes; of more than 20,000 decisions version 6 counted those of one.
    older = make_row(seed=1, evaluator_version=version, lengths=(10_000, steps))
    board = fill(tmp_path, make_row(), older)
    (line,) = (x for x in render_table(board).splitlines() if x.startswith("| ppo-lif |"))
    assert line.split(" | ")[5] == "1,034.0" + " °" * marked
    assert ("\n° Version 6 of the evaluator" in render_table(board)) == marked


def test_rows_of_different_evaluations_are_not_pooled(tmp_path):
    board = fill(tmp_path, make_row(seed=0), make_row(seed=1, returns=(1.0, 2.0, 3.0)))
    with pytest.raises(ValueError, match="different numbers of episodes"):
        table_rows(board)


def test_the_written_table_depends_on_the_rows_only(tmp_path):
    rows = [make_row(seed=seed) for seed in range(5)] + [make_row("ppo-mlp", seed=7)]
    first = write_table(fill(tmp_path / "a", *rows))
    second = write_table(fill(tmp_path / "b", *reversed(rows)))
    assert first.name == "README.md"
    assert first.read_bytes() == second.read_bytes()
    assert write_table(tmp_path / "a").read_bytes() == second.read_bytes()


def test_missing_leaderboards_have_no_rows_and_no_table(tmp_path):
    assert table_rows(tmp_path / "none") == ()
    with pytest.raises(ValueError, match="expected a leaderboard"):
        write_table(tmp_path / "none")


def test_a_foreign_readme_is_not_replaced(tmp_path):
    board = fill(tmp_path, make_row())
    write_table(board)
    write_table(board)  # its own one it may
    (board / "README.md").write_text("# Results\n\nof my thesis\n")
    with pytest.raises(ValueError, match=r"README.md was not written by `snn-gym table`, which"):
        write_table(board)
    assert (board / "README.md").read_text() == "# Results\n\nof my thesis\n"


@given(
    values=st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=6),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_hash_depends_on_values_names_shapes_and_types(values, dtype):
    tensor = torch.tensor(values, dtype=dtype)
    plain = hash_tensors({"a": tensor, "b": tensor[:1]})
    assert hash_tensors({"b": tensor[:1], "a": tensor.clone()}) == plain
    assert hash_tensors({"a": torch.where(tensor == 0, -tensor, tensor), "b": tensor[:1]}) == plain
    assert hash_tensors({"a": tensor + 1, "b": tensor[:1]}) != plain
    assert hash_tensors({"a": tensor[None], "b": tensor[:1]}) != plain
    assert hash_tensors({"c": tensor, "b": tensor[:1]}) != plain
    assert hash_tensors({"a": tensor.to(torch.float16), "b": tensor[:1]}) != plain
