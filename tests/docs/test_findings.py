"""Tests of findings: figures and counts equal the results."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {"../leaderboard/README.md": ROOT / "leaderboard" / "README.md"}
TEXT = (ROOT / "docs" / "findings.md").read_text()
INTRODUCTION, *FINDINGS = re.split(r"^## \d+\. ", TEXT, flags=re.MULTILINE)
TITLES = [text.split("\n")[0] for text in FINDINGS]
# Without the numbers in names: CartPole-v1, 4-bit
NUMBER = re.compile(r"(?<![\w.,-])-?\d[\d,]*(?:\.\d+)?(?![\w]|-\w)")
GENERATED = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)


def numbers(text):
    return [number.rstrip(",") for number in NUMBER.findall(text)]


@pytest.mark.parametrize("finding", FINDINGS, ids=TITLES)
def test_linked_pages_have_the_figures_of_a_finding(finding):
    by_hand = GENERATED.sub("", finding)
    links = re.findall(r"\]\(([^)#:]+)\)", by_hand)
    assert links
    pages = [PAGES.get(link, ROOT / "docs" / link).read_text() for link in links]
    known = set(numbers(" ".join(pages).replace("−", "-")))
    stated = numbers(re.sub(r"\]\([^)]+\)|Holm of \d+|\d+ tests", "", by_hand))
    assert len(stated) >= 2 or "<!-- generated" in finding
    assert [number for number in stated if number not in known] == []


@pytest.mark.parametrize("finding", FINDINGS, ids=TITLES)
def test_sentences_have_at_most_35_words(finding):
    text = re.sub(r"^(\||#|<!--).*$", "", finding.split("\n", 1)[1], flags=re.MULTILINE)
    for sentence in re.split(r"(?<=[.:])\s+", re.sub(r"\]\([^)]+\)", "]", text)):
        assert len(sentence.split()) <= 35, sentence


@pytest.mark.parametrize("finding", FINDINGS, ids=TITLES)
def test_a_finding_has_a_table(finding):
    assert "\n| --- |" in finding


def test_the_introduction_explains_the_adjustment_of_p_values():
    assert "adjusted for all n tests" in " ".join(INTRODUCTION.split())
    assert len(FINDINGS) == 12
