"""Tests of reading the registered question."""

from studies.pays.question import read_question
from studies.rows import RowName

HEAD = """
[[registered]]
name = "pays"
environments = ["A-v0"]
context = []
prices = ["operations"]
margin = 0.05
[registered.families]
small = ["one", "two"]
[registered.expected]
"A-v0" = "spikes pay"
"""
ENTRY = """
[[registered]]
name = "pays"
question = "{}"
agents = {}
environments = ["A-v0"]
seeds = "{}"
measure = "rows of the {}"
"""


def written(path, replaces):
    """Write a question with two entries of rows, the second of which may replace the first."""
    first = ENTRY.format("first", '["one", "two"]', "0-1", "results table")
    second = ENTRY.format("second", '["two"]', "0", "results table") + f"replaces = {replaces}\n"
    path.write_text(HEAD + first + second + ENTRY.format("third", '["one"]', "0", "entries above"))
    return path


def test_rows_of_a_replaced_entry_are_not_needed(tmp_path):
    path = tmp_path / "registered.toml"
    every = {RowName(agent, "A-v0", seed) for agent in ("one", "two") for seed in (0, 1)}
    assert read_question(written(path, [])).needed == every
    assert read_question(written(path, ["first"])).needed == {RowName("two", "A-v0", 0)}
