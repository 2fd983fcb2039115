"""Tests of findings: figures and counts equal the results."""

import re
from functools import cache
from pathlib import Path

import pytest

from studies.claims import family, read_evidence

ROOT = Path(__file__).parents[2]
PAGES = {"results/index.md": ROOT / "leaderboard" / "README.md"}
TEXT = (ROOT / "docs" / "findings.md").read_text()
INTRODUCTION, *FINDINGS = re.split(r"^## \d+\. ", TEXT, flags=re.MULTILINE)
TITLES = [text.split("\n")[0] for text in FINDINGS]
# Without the numbers in names: CartPole-v1, 4-bit
NUMBER = re.compile(r"(?<![\w.,-])-?\d[\d,]*(?:\.\d+)?(?![\w]|-\w)")
GENERATED = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


evidence = cache(read_evidence)


@cache
def comparisons(agent, other):
    return family(evidence(), (agent, other))


def numbers(text):
    return [number.rstrip(",") for number in NUMBER.findall(text)]


def title(words):
    """Return the title of the finding that has the given words."""
    (match,) = [title for title in TITLES if words in title]
    return match


@pytest.mark.parametrize("finding", FINDINGS, ids=TITLES)
def test_linked_pages_have_the_figures_of_a_finding(finding):
    by_hand = GENERATED.sub("", finding)
    links = re.findall(r"\]\(([^)#:]+)\)", by_hand)
    assert links
    pages = [PAGES.get(link, ROOT / "docs" / link).read_text() for link in links]
    known = set(numbers(" ".join(pages).replace("−", "-")))
    stated = numbers(re.sub(r"\]\([^)]+\)|Holm of \d+|\d+ tests", "", by_hand))
    assert len(stated) > 3 or "<!-- generated" in finding
    assert [number for number in stated if number not in known] == []


@pytest.mark.parametrize(
    ("words", "agent", "other"),
    [
        ("Two time steps", "ppo-lif-2-steps", "ppo-lif"),
        ("ANN twin", "ppo-lif", "ppo-mlp"),
        ("Taught by GRUs", "recurrent-ppo-lsnn-distilled", "recurrent-ppo-gru"),
    ],
)
def test_a_title_counts_the_tasks_without_inferiority(words, agent, other):
    tests = comparisons(agent, other)
    count = sum(test.is_not_inferior for test in tests)
    assert f"{WORDS[count]} of {WORDS[len(tests)]}" in title(words)


def test_a_title_counts_the_tasks_beyond_the_margin():
    tests = comparisons("recurrent-ppo-lsnn", "recurrent-ppo-gru")
    behind = [x.pair for x in tests if x.pair.difference < -(x.pair.margin or 0.0)]
    assert f"{WORDS[len(behind)]} of {WORDS[len(tests)]}" in title("By reward")
    text = FINDINGS[TITLES.index(title("By reward"))].split("With five seeds")[0]
    assert {pair.row.environment for pair in behind} == set(re.findall(r"snn/\w+-v\d", text))
    assert all(x.difference_holm > 0.05 for x in tests)


def test_the_difference_from_the_twin_is_never_significant():
    assert all(test.difference_holm > 0.05 for test in comparisons("ppo-lif", "ppo-mlp"))
    assert "No difference is significant after Holm's adjustment" in TEXT


def test_the_introduction_explains_the_adjustment_of_p_values():
    assert "adjusted for all n tests" in " ".join(INTRODUCTION.split())
    assert len(FINDINGS) == 13
