"""What the page of graphs says follows from its numbers."""

from studies.deployed.graphs import Graphed, Results, report


def test_outcomes_are_counted_by_agent_and_reason():
    outcomes = ["equal", "equal", "different", "'x' has no node; train with 'y'"]
    found = Results(tuple(Graphed("a", "E-v0", k, x) for k, x in enumerate(outcomes)))
    page = report(found)
    counted = "**2 of 4 agents are equal after the import, 1 are different, and 1 are refused by"
    assert counted in " ".join(page.split())
    assert "| a | 1 | refused: 'x' has no node |" in page
