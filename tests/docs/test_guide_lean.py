"""Tests of docs/guide/lean.md: its figures equal the lean study."""

import re

import pytest

from tests.readme import PAGES, ROOT

STUDY = (ROOT / "docs/lean-study.md").read_text(encoding="utf-8")
GUIDE = " ".join(PAGES["docs/guide/lean.md"].split())


def tables(heading):
    """Return the tables under a heading of the study, each as a list of row dicts."""
    section = STUDY.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    parsed = []
    for text in re.findall(r"(?:^\|.*\n)+", section + "\n", re.M):
        head, _, *body = ([x.strip() for x in line[1:-1].split("|")] for line in text.splitlines())
        if len(head) > 4:  # narrower tables define columns
            parsed.append([dict(zip(head, cells, strict=True)) for cells in body])
    return parsed


def tasks(rows, no_loss):
    """Return the tasks of rows with or without a loss, by their names in the guide."""
    found = [row["task"] for row in rows if (row["no loss"] == "yes") == no_loss]
    return {re.sub(r"^snn/(?=Cue)|-v\d$", "", name) for name in found}


AGAINST_OFF, SECOND = tables("Lean against off")


@pytest.mark.parametrize("cost", ["operations", "SynOps"])
def test_costs_fall_as_in_the_study(cost):
    assert len(AGAINST_OFF) == 7
    before, after = (
        [float(row[f"{cost}, {arm}"].split(" (")[0].replace(",", "")) for row in AGAINST_OFF]
        for arm in ("off", "lean")
    )
    falls = [one / other for one, other in zip(before, after, strict=True)]
    low, high = (float(f"{value:.1g}") for value in (min(falls), max(falls)))
    assert f"| {cost} | {low:.0f} to {high:.0f} times |" in GUIDE


def test_tasks_with_and_without_loss():
    (shown,) = re.findall(r"\| (CartPole, [^|]+) \| yes \|", GUIDE)
    assert set(re.split(r", | and ", shown)) == tasks(AGAINST_OFF, True)
    assert tasks(AGAINST_OFF, False) == {"MountainCar", "CueAccumulation"}
    assert tasks(SECOND, False) == {"MountainCar"}
    assert "| MountainCar | no |" in GUIDE


def test_smaller_networks_need_fewer_operations():
    rows = [row for row in tables("Controls")[0] if row["control"].startswith("small")]
    fewer = {
        row["fewer than `lean`"] for row in rows if row["task"] in ("CartPole-v1", "Acrobot-v1")
    }
    assert fewer == {"10 of 10"}
    assert "than the lean 64-64 network on 10 of 10 seeds of CartPole and Acrobot" in GUIDE
