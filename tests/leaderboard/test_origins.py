"""What rows come from."""

from __future__ import annotations

from snn_gym.leaderboard.results import is_derived, origins_of, parent_agent, parent_steps
from tests.leaderboard.test_comparison import made_from
from tests.leaderboard.test_table import make_row

TEACHERS = [make_row(seed=k, weights_sha256=f"{k:064d}") for k in (1, 2)]
STUDENTS = [made_from(teacher, 0.0) for teacher in TEACHERS]
KNOWN = {row.weights_sha256: row for row in TEACHERS}


def test_a_row_that_was_made_of_another_says_so() -> None:
    assert [is_derived(row) for row in (*TEACHERS, *STUDENTS)] == [False, False, True, True]
    assert [parent_steps(row) for row in (TEACHERS[0], STUDENTS[0])] == [0, 100_000]


def test_rows_lead_to_those_they_were_made_of_if_all_are_known_and_of_one_agent() -> None:
    assert origins_of(STUDENTS[::-1], KNOWN) == tuple(TEACHERS[::-1])
    assert origins_of(TEACHERS, KNOWN) == ()
    assert origins_of(STUDENTS, {TEACHERS[0].weights_sha256: TEACHERS[0]}) == ()
    other = make_row("ppo-mlp", weights_sha256=TEACHERS[1].weights_sha256)
    assert origins_of(STUDENTS, {**KNOWN, other.weights_sha256: other}) == ()


def test_the_zoo_says_what_a_trained_agent_is_a_form_of() -> None:
    assert parent_agent(make_row("ppo-lif-dynamics")) == "ppo-lif"
    assert parent_agent(make_row("ppo-mlp")) is None
    assert parent_agent(make_row("left-the-zoo")) is None
    assert parent_agent(STUDENTS[0]) is None
