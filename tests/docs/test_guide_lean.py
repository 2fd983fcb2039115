"""Tests of docs/guide/lean.md: its figures equal the lean study."""

import re

import pytest

from tests.readme import PAGES, ROOT

STUDY = "\n".join(
    page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs/lean").glob("*.md"))
)
GUIDE = " ".join(PAGES["docs/guide/lean.md"].split())
OFF, LEAN, FACTOR = "SynOps, off", "SynOps, lean", "SynOps factor"


def tables(heading):
    """Return the tables under a heading of the study, each as a list of row dicts."""
    section = STUDY.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    parsed = []
    for text in re.findall(r"(?:^\|.*\n)+", section + "\n", re.M):
        head, _, *body = ([x.strip() for x in line[1:-1].split("|")] for line in text.splitlines())
        if len(head) > 4:  # narrower tables define columns and arms
            parsed.append([dict(zip(head, cells, strict=True)) for cells in body])
    return parsed


def task(row):
    """Return a task by its name in the guide."""
    return re.sub(r"^snn/(?=Cue)|-v\d$", "", row["task"])


def listed(names):
    """Return names as a list within a sentence."""
    *first, last = names
    return f"{', '.join(first)} and {last}"


def tasks(rows, no_loss):
    return [task(row) for row in rows if (row["no loss"] == "yes") == no_loss]


AGAINST_OFF, SECOND = tables("Lean against off")
CONTROLS = {(task(row), row["control"].split(" (")[0]): row for row in tables("Controls")[0]}


def factor(name, control):
    return float(CONTROLS[name, control][FACTOR])


@pytest.mark.parametrize(
    ("cost", "off", "lean"),
    [("operations", "operations, off", "operations, lean"), ("SynOps", OFF, LEAN)],
)
def test_costs_fall_as_in_the_study(cost, off, lean):
    assert len(AGAINST_OFF) == 7
    medians = [
        [float(row[x].split(" (")[0].replace(",", "")) for x in (off, lean)] for row in AGAINST_OFF
    ]
    falls = [before / after for before, after in medians]
    low, high = (float(f"{value:.1g}") for value in (min(falls), max(falls)))
    assert f"| {cost} | {low:.0f} to {high:.0f} times |" in GUIDE


def test_tasks_with_and_without_loss():
    assert f"| {listed(tasks(AGAINST_OFF, True))} | yes |" in GUIDE
    assert tasks(AGAINST_OFF, False) == ["MountainCar", "CueAccumulation"]
    assert tasks(SECOND, False) == ["MountainCar"]
    assert "| MountainCar | no |" in GUIDE
    assert "| CueAccumulation | yes on twenty seeds together and on the second ten;" in GUIDE


def test_operations_of_smaller_networks_and_of_the_front():
    (fewer,) = {CONTROLS[name, "small"]["fewer than `lean`"] for name in ("CartPole", "Acrobot")}
    assert f"than the lean 64-64 network on {fewer} seeds of CartPole and Acrobot" in GUIDE
    front = {row["task"]: row for row in tables("The front")[0]}
    ratios = [float(row["lean / off"]) for row in front.values() if row["lean / off"] != "–"]
    assert len(ratios) == 4
    assert f"| four tasks | {min(ratios):.2f} to {max(ratios):.2f} times the operations" in GUIDE
    assert front["MountainCar-v0"]["cheapest lean"] == "–"
    cheapest = front["snn/EventTracking-v0"]["cheapest ANN"].split(": ")[1]
    assert f"at {cheapest} operations" in GUIDE


def test_bound_on_the_worst_tenth_of_the_states():
    rows, frozen = tables("A bound for the worst tenth of the states")
    factors = {task(row): float(row[FACTOR]) for row in rows}
    kept, lost = tasks(rows, True), tasks(rows, False)
    shown = [f"{factors[name]:.{0 if factors[name] >= 10 else 1}f}" for name in kept]
    assert f"| {listed(kept)} | {listed(shown)} times | yes |" in GUIDE
    both = [name for name in tasks(frozen, False) if name in lost]
    (rest,) = set(lost) - set(both)
    assert f"| {rest} | {factors[rest]:.0f} times | yes against the frozen policy, no" in GUIDE
    assert f"| {listed(both)} | | no |" in GUIDE


def test_operations_of_other_algorithms():
    agents = {row["agent"]: row for row in tables("Other algorithms")[0]}
    assert {row["no loss"] for row in agents.values()} == {"yes"}
    sac, dqsn = agents["sac-lif"], agents["dqsn"]
    fewer = f"{sac['factor']} times fewer operations ({sac[FACTOR]} times fewer SynOps)"
    assert f"`sac-lif` on Pendulum needs {fewer}" in GUIDE
    off, lean = (re.search(r"\((.*)\)", dqsn[column])[1] for column in (OFF, LEAN))
    assert dqsn["seeds"] == "5"
    assert f"On five seeds, {off} synaptic operations become {lean}, at" in GUIDE


def test_synops_of_the_controls():
    constant = [name for name, kind in CONTROLS if kind == "fixed" and factor(name, kind) < 1]
    assert set(constant) == {"snn/CartPole", "Pendulum", "MountainCar"}
    (lost,) = {CONTROLS[name, "fixed"]["seeds that lost return"] for name in constant}
    assert f"it loses return on {lost} seeds" in GUIDE
    factors = [factor(name, "fixed") for name in constant]
    shuffled = [factor(name, kind) for name, kind in CONTROLS if kind == "shuffled"]
    for control, names, kind in (
        ("decay of weights", ("CartPole", "Acrobot", "LunarLander-v3@second"), "blind"),
        ("constant strength of the cost", ("CartPole", "Acrobot"), "fixed"),
    ):
        times = listed([f"{factor(name, kind):.1f}" for name in names])
        assert f"| {control} | {', '.join(names)} | {times} |".replace("-v3@second", "") in GUIDE
    for row in (
        f"mean signal of a layer | snn/CartPole | {factor('snn/CartPole', 'uniform'):.1f}",
        f"signal of another neuron | all | {min(shuffled):.0f} to {max(shuffled):.0f}",
        f"snn/CartPole, Pendulum, MountainCar | {min(factors):.1f} to {max(factors):.1f}",
    ):
        assert f"| {row} |" in GUIDE


def test_seeds_recovered_by_a_rescue():
    rows = {(row["start"], row["arm"]): row for row in tables("Rescue")[0]}
    assert {rows["dead", arm]["solved"] for arm in ("off", "shuffled")} == {"0 of 10"}
    solved = [rows[start, "rescue"]["solved"] for start in ("dead", "dead-deep")]
    assert f"neurons silenced | 30,000 | {solved[0]} seeds solve it |" in GUIDE
    assert f"default initialisation | 50,000 | {solved[1]} seeds solve it |" in GUIDE
    for name in ("Pendulum", "Acrobot"):
        near = rows[f"dead-{name.lower()}", "rescue"]["as the good start"]
        assert f"| {name} | | {near} seeds come near a good start |" in GUIDE
    worked, runs = map(int, rows["dead-acrobot", "good"]["solved"].split(" of "))
    assert f"the good start itself fails on {runs - worked} of {runs} seeds" in GUIDE
