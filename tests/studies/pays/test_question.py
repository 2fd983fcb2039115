"""Tests of reading the registered question."""

from studies.pays.question import read_question
from studies.rows import RowName

ENTRIES = """
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

[[registered]]
name = "pays"
question = "first"
agents = ["one", "two"]
environments = ["A-v0"]
seeds = "0-1"
measure = "rows of the results table"

[[registered]]
name = "pays"
question = "second"
agents = ["two"]
environments = ["A-v0"]
seeds = "0"
measure = "rows of the results table"
replaces = ["first"]

[[registered]]
name = "pays"
question = "third"
agents = ["one"]
environments = ["A-v0"]
seeds = "0"
measure = "rows of the entries above"
"""


def test_rows_of_a_replaced_entry_are_not_needed(tmp_path):
    path = tmp_path / "registered.toml"
    path.write_text(ENTRIES.replace('["first"]', "[]"))
    every = {RowName(agent, "A-v0", seed) for agent in ("one", "two") for seed in (0, 1)}
    assert read_question(path).needed == every
    path.write_text(ENTRIES)
    assert read_question(path).needed == {RowName("two", "A-v0", 0)}
