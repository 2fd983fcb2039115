"""Tests of comparisons and origins of agents, by hand."""

import pytest

from snn_gym.leaderboard import table_rows
from snn_gym.leaderboard.comparison import comparisons
from snn_gym.leaderboard.results import is_derived, origins_of, parent_agent, parent_steps
from snn_gym.zoo.recipe import Parent, Recipe
from tests.leaderboard.test_table import fill, make_row

HIGH = (410.0, 420.0, 430.0, 440.0, 450.0)
NONE = "not significant"
LOW = (310.0, 320.0, 330.0, 340.0, 350.0)


def compared(board, agent, twin):
    for name, means in (("ppo-lif", agent), ("ppo-mlp", twin)):
        fill(board, *(make_row(name, seed, returns=(x, x)) for seed, x in enumerate(means)))
    (found,) = comparisons(table_rows(board))
    assert (found.row.agent, found.other.agent) == ("ppo-lif", "ppo-mlp")
    return found


@pytest.mark.parametrize(
    ("agent", "twin", "cells"),
    [
        # Two of 252 splits are as far apart. The means' variances are 50 and 50, the difference's
        # standard error 10, t(0.95, 8) = 1.8595; the loss that is none is 0.05 * 453.35.
        (HIGH, LOW, ("100.0", "1.00", "0.008", "81.4 (-22.7)", "better")),
        (LOW, HIGH, ("-100.0", "0.00", "0.008", "-118.6 (-22.7)", "worse")),
        # Equal agents whose seeds spread so little that a loss of 22.7 is excluded.
        (HIGH, HIGH, ("0.0", "0.50", "1.000", "-18.6 (-22.7)", f"{NONE}, not inferior")),
        # And more: variances 200 and 50, 250² / (200² / 4 + 50² / 4) = 5.88 degrees of freedom,
        # t(0.95, 5.88) = 1.949 times 15.81.
        (
            (390.0, 410.0, 430.0, 450.0, 470.0),
            HIGH,
            ("0.0", "0.50", "1.000", "-30.8 (-22.7)", NONE),
        ),
        # Significantly worse, but within the margin.
        (
            (480.0, 481.0, 482.0, 483.0, 484.0),
            (490.0, 491.0, 492.0, 493.0, 494.0),
            ("-10.0", "0.00", "0.008", "-11.9 (-22.7)", "worse, by less than the margin"),
        ),
        (HIGH, HIGH[:4], ("5.0", "0.60", "–", "–", "too few seeds")),
    ],
)
def test_conclusions_by_hand(agent, twin, cells, tmp_path):
    assert compared(tmp_path, agent, twin).cells()[2:] == cells


def test_removed_tasks_have_no_margin(tmp_path):
    for agent in ("ppo-lif", "ppo-mlp"):
        rows = (make_row(agent, seed, environment="snn/Gone-v0") for seed in range(5))
        fill(tmp_path, *rows)
    (found,) = comparisons(table_rows(tmp_path))
    assert found.margin is None  # the standard error is 0.5, t(0.95, 8) = 1.8595
    assert found.cells()[4:] == ("1.000", "-0.9", NONE)


def test_an_agent_is_compared_with_its_twin_and_its_origin(tmp_path):
    rows = [make_row(agent) for agent in ("ppo-lif-dynamics", "ppo-lif", "ppo-mlp", "ppo-relu-8")]
    pairs = {(x.row.agent, x.other.agent) for x in comparisons(table_rows(fill(tmp_path, *rows)))}
    assert pairs == {
        ("ppo-lif", "ppo-mlp"),
        ("ppo-lif-dynamics", "ppo-mlp"),
        ("ppo-lif-dynamics", "ppo-lif"),
        ("ppo-relu-8", "ppo-lif"),
        ("ppo-relu-8", "ppo-mlp"),
    }


def made_from(teacher, gained):
    """Return the row of a lean agent."""
    parent = Parent(weights_sha256=teacher.weights_sha256, steps=teacher.steps)
    recipe = Recipe(
        steps=20_000, checkpoint_interval=None, versions={}, processor={}, parent=parent
    )
    means = (teacher.score.mean + gained,) * 2
    return make_row("ppo-lif-dynamics", teacher.seed, returns=means, recipe=recipe)


def test_lean_agents_are_compared_with_their_parents(tmp_path):
    teachers = [
        make_row(seed=k, returns=(100.0 * k,) * 2, weights_sha256=f"{k:064d}") for k in range(6)
    ]
    students = [made_from(x, y) for x, y in zip(teachers[1:], (1, 2, 3, 2, 2), strict=True)]
    (found,) = comparisons(table_rows(fill(tmp_path, *teachers, *students)))
    # The standard deviation of the five is 1 / sqrt(2), t(0.95, 4) = 2.1318; P(|t| > x) with 4
    # degrees of freedom is 1 - x (x^2 + 6) / (x^2 + 4)^1.5, and x is 6.3246.
    assert found.cells() == (
        *("ppo-lif-dynamics ◊", "ppo-lif", "2.0", "1.00"),
        *("0.003", "1.3 (-22.7)", "better"),
    )


def test_only_twins_are_compared_and_each_pair_once(tmp_path):
    rows = [make_row(agent) for agent in ("dqn-mlp", "ppo-lif", "ppo-mlp", "recurrent-ppo-gru")]
    table = table_rows(fill(tmp_path, *rows))
    assert [(x.row.agent, x.other.agent) for x in comparisons(table)] == [("ppo-lif", "ppo-mlp")]


TEACHERS = [make_row(seed=k, weights_sha256=f"{k:064d}") for k in (1, 2)]
STUDENTS = [made_from(teacher, 0.0) for teacher in TEACHERS]
KNOWN = {row.weights_sha256: row for row in TEACHERS}


def test_lean_rows_have_the_steps_of_their_parents():
    assert [is_derived(row) for row in (*TEACHERS, *STUDENTS)] == [False, False, True, True]
    assert [parent_steps(row) for row in (TEACHERS[0], STUDENTS[0])] == [0, 100_000]


def test_origins_must_be_known_and_of_the_same_agent():
    assert origins_of(STUDENTS[::-1], KNOWN) == tuple(TEACHERS[::-1])
    assert origins_of(TEACHERS, KNOWN) == ()
    assert origins_of(STUDENTS, {TEACHERS[0].weights_sha256: TEACHERS[0]}) == ()
    other = make_row("ppo-mlp", weights_sha256=TEACHERS[1].weights_sha256)
    assert origins_of(STUDENTS, {**KNOWN, other.weights_sha256: other}) == ()


def test_trained_agents_have_the_parent_from_the_zoo():
    assert parent_agent(make_row("ppo-lif-dynamics")) == "ppo-lif"
    assert parent_agent(make_row("ppo-mlp")) is None
    assert parent_agent(make_row("left-the-zoo")) is None
    assert parent_agent(STUDENTS[0]) is None
