"""Every figure of a finding stands on the pages that it names, and its words say today's counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from studies.claims import Evidence, JudgedPair, family, read_evidence

ROOT = Path(__file__).parents[2]
PAGES = {"results/index.md": ROOT / "leaderboard" / "README.md"}
TEXT = (ROOT / "docs" / "findings.md").read_text()
INTRODUCTION, *FINDINGS = re.split(r"^## \d+\. ", TEXT, flags=re.MULTILINE)
TITLES = [text.split("\n")[0] for text in FINDINGS]
# Not the numbers in names: CartPole-v1, 4-bit
NUMBER = re.compile(r"(?<![\w.,-])-?\d[\d,]*(?:\.\d+)?(?![\w]|-\w)")
GENERATED = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return read_evidence()


def numbers(text: str) -> list[str]:
    return [found.rstrip(",") for found in NUMBER.findall(text)]


@pytest.mark.parametrize("finding", FINDINGS, ids=TITLES)
def test_the_pages_behind_a_finding_have_its_figures(finding: str) -> None:
    by_hand = GENERATED.sub("", finding)
    links = re.findall(r"\]\(([^)#:]+)\)", by_hand)
    assert links
    pages = [PAGES.get(link, ROOT / "docs" / link).read_text() for link in links]
    known = set(numbers(" ".join(pages).replace("−", "-")))
    stated = numbers(re.sub(r"\]\([^)]+\)|Holm of \d+|\d+ tests", "", by_hand))
    assert len(stated) > 3 or "<!-- generated" in finding
    assert [number for number in stated if number not in known] == []


def finding(words: str) -> str:
    """Return the title of the finding that has some words."""
    (found,) = [title for title in TITLES if words in title]
    return found


def of(count: int, tests: Sequence[JudgedPair]) -> str:
    return f"{WORDS[count]} of {WORDS[len(tests)]}"


@pytest.mark.parametrize(
    ("words", "agent", "other"),
    [
        ("Two time steps", "ppo-lif-2-steps", "ppo-lif"),
        ("ANN twin", "ppo-lif", "ppo-mlp"),
        ("Taught by GRUs", "recurrent-ppo-lsnn-distilled", "recurrent-ppo-gru"),
    ],
)
def test_on_how_many_tasks_an_agent_is_not_inferior(
    words: str, agent: str, other: str, evidence: Evidence
) -> None:
    tests = family(evidence, (agent, other))
    assert of(sum(x.is_not_inferior for x in tests), tests) in finding(words)


def test_on_how_many_tasks_spiking_networks_are_behind_by_more_than_the_margin(
    evidence: Evidence,
) -> None:
    tests = family(evidence, ("recurrent-ppo-lsnn", "recurrent-ppo-gru"))
    behind = [x.pair for x in tests if x.pair.difference < -(x.pair.margin or 0.0)]
    assert of(len(behind), tests) in finding("By reward")
    text = FINDINGS[TITLES.index(finding("By reward"))].split("With five seeds")[0]
    assert {pair.row.environment for pair in behind} == set(re.findall(r"snn/\w+-v\d", text))
    assert all(x.difference_holm > 0.05 for x in tests)


def test_the_difference_from_the_twin_is_never_significant(evidence: Evidence) -> None:
    tests = family(evidence, ("ppo-lif", "ppo-mlp"))
    assert all(x.difference_holm > 0.05 for x in tests)
    assert "No difference is significant after Holm's adjustment" in TEXT


def test_the_introduction_says_how_p_values_are_adjusted() -> None:
    assert "adjusted for all n tests" in " ".join(INTRODUCTION.split())
    assert len(FINDINGS) == 13
