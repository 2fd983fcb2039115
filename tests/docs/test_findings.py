"""Every figure of a finding stands on the page that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {"results/index.md": ROOT / "leaderboard" / "README.md"}
TEXT = (ROOT / "docs" / "findings.md").read_text()
FINDINGS = re.split(r"^\d+\. ", TEXT, flags=re.MULTILINE)[1:]
# Not the numbers in names: CartPole-v1, 4-bit
NUMBER = re.compile(r"(?<![\w.,-])-?\d[\d,]*(?:\.\d+)?(?![\w]|-\w)")


def numbers(text: str) -> list[str]:
    return [found.rstrip(",") for found in NUMBER.findall(text)]


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda text: text.split("**")[1][:40])
def test_the_page_behind_a_finding_has_its_figures(finding: str) -> None:
    (link,) = re.findall(r"\]\(([^)]+)\)", finding)
    page = set(numbers(PAGES.get(link, ROOT / "docs" / link).read_text()))
    stated = numbers(finding[: finding.index("](")])
    assert len(stated) > 3
    assert [number for number in stated if number not in page] == []


def test_there_are_ten() -> None:
    assert len(FINDINGS) == 10
