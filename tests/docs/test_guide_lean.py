"""Tests of docs/guide/lean.md: its figures equal the lean study."""

import re

from snn_gym.leaderboard.table import table_rows
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
    """Return the tasks of rows with or without a loss."""
    return [row["task"] for row in rows if (row["no loss"] == "yes") == no_loss]


AGAINST_OFF, _ = tables("Lean against off")


def test_tasks_with_and_without_loss():
    assert len(AGAINST_OFF) == 7
    assert len(tasks(AGAINST_OFF, True)) == 5
    assert "It loses no return on five of seven tasks; on two a loss is not excluded." in GUIDE
    assert all(float(row["factor"]) > 3 for row in AGAINST_OFF)
    assert "several times fewer" in GUIDE


def test_the_rows_of_version_2_that_shed():
    rows = {
        (row.agent, row.environment): row.operations_per_decision
        for row in table_rows(ROOT / "leaderboard")
    }
    names = ("CartPole-v1", "Acrobot-v1", "Pendulum-v1")
    ratios = [rows["ppo-lif-dynamics", x] / rows["ppo-lif", x] for x in names]
    assert max(ratios[:2]) < 0.5
    assert ratios[2] == 1.0
    assert "on CartPole-v1 and Acrobot-v1 in version 2, and none on Pendulum-v1" in GUIDE


def test_smaller_networks_need_fewer_operations():
    rows = [row for row in tables("Controls")[0] if row["control"].startswith("small")]
    fewer = {
        row["fewer than `lean`"] for row in rows if row["task"] in ("CartPole-v1", "Acrobot-v1")
    }
    assert fewer == {"10 of 10"}
    assert "than the lean 64-64 network on 10 of 10 seeds of CartPole and Acrobot" in GUIDE
