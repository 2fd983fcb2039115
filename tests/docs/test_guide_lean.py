"""Figures of docs/guide/lean.md are those of docs/lean-study.md."""

import re

from tests.readme import PAGES, ROOT

STUDY = (ROOT / "docs" / "lean-study.md").read_text(encoding="utf-8")
LINES = PAGES["docs/guide/lean.md"].splitlines()
GUIDE = " ".join(" ".join(LINES).split())
OFF, LEAN, FACTOR = "SynOps, off", "SynOps, lean", "SynOps factor"


def tables(heading):
    """Return the tables under a heading of the study, each a list of rows by column."""
    section = STUDY.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    parsed = []
    for text in re.findall(r"(?:^\|.*\n)+", section + "\n", re.M):
        head, _, *body = (
            [cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines()
        )
        parsed.append([dict(zip(head, cells, strict=True)) for cells in body])
    return parsed


def task(row):
    """Return a task by its name in the guide."""
    return re.sub(r"^snn/(?=Cue)|-v\d$", "", row["task"])


def listed(names):
    """Return names as a sentence lists them."""
    *first, last = names
    return f"{', '.join(first)} and {last}"


def tasks(rows, no_loss):
    return [task(row) for row in rows if (row["no loss"] == "yes") == no_loss]


AGAINST_OFF, SECOND = tables("Lean against off")
TENTH, TENTH_FROZEN = tables("A bound for the worst tenth of the states")
CONTROLS = {(task(row), row["control"].split(" (")[0]): row for row in tables("Controls")[0]}


def factor(name, control):
    return float(CONTROLS[name, control][FACTOR])


def test_operations_and_synops_fall_as_in_the_study():
    def median(cell):
        return float(cell.split(" (")[0].replace(",", ""))

    assert len(AGAINST_OFF) == 7
    for cost, off, lean in (
        ("operations", "operations, off", "operations, lean"),
        ("SynOps", OFF, LEAN),
    ):
        falls = [median(row[off]) / median(row[lean]) for row in AGAINST_OFF]
        low, high = (float(f"{value:.1g}") for value in (min(falls), max(falls)))
        assert f"| {cost} | {low:.0f} to {high:.0f} times |" in LINES


def test_a_smaller_network_needs_fewer_operations():
    fewer = {CONTROLS[name, "small"]["fewer than `lean`"] for name in ("CartPole", "Acrobot")}
    assert len(fewer) == 1
    assert f"than the lean 64-64 network on {fewer.pop()} seeds of CartPole and Acrobot" in GUIDE


def test_operations_of_the_front():
    rows = tables("The front")[0]
    ratios = [float(row["lean / off"]) for row in rows if row["lean / off"] != "–"]
    assert len(ratios) == 4
    assert f"| four tasks | {min(ratios):.2f} to {max(ratios):.2f} times the operations" in GUIDE
    cells = {row["task"]: row for row in rows}
    assert cells["MountainCar-v0"]["cheapest lean"] == "–"
    cheapest = cells["snn/EventTracking-v0"]["cheapest ANN"].split(": ")[1]
    assert f"at {cheapest} operations" in GUIDE


def test_tasks_with_and_without_loss():
    assert f"| {listed(tasks(AGAINST_OFF, True))} | yes |" in LINES
    assert tasks(AGAINST_OFF, False) == ["MountainCar", "CueAccumulation"]
    assert tasks(SECOND, False) == ["MountainCar"]
    assert "| MountainCar | no |" in LINES
    assert "| CueAccumulation | yes on twenty seeds together and on the second ten;" in GUIDE


def test_bound_on_the_worst_tenth_of_the_states():
    factors = {task(row): float(row[FACTOR]) for row in TENTH}
    kept, lost = tasks(TENTH, True), tasks(TENTH, False)
    shown = [f"{factors[name]:.{0 if factors[name] >= 10 else 1}f}" for name in kept]
    assert f"| {listed(kept)} | {listed(shown)} times | yes |" in LINES
    both = [name for name in tasks(TENTH_FROZEN, False) if name in lost]
    (rest,) = set(lost) - set(both)
    assert f"| {rest} | {factors[rest]:.0f} times | yes against the frozen policy, no" in GUIDE
    assert f"| {listed(both)} | | no |" in LINES


def test_operations_of_other_algorithms():
    (rows,) = tables("Other algorithms")
    assert all(row["no loss"] == "yes" for row in rows)
    agents = {row["agent"]: row for row in rows}
    sac, dqsn = agents["sac-lif"], agents["dqsn"]
    fewer = f"{sac['factor']} times fewer operations ({sac[FACTOR]} times fewer SynOps)"
    assert f"`sac-lif` on Pendulum needs {fewer}" in GUIDE
    off, lean = (re.search(r"\((.*)\)", dqsn[column])[1] for column in (OFF, LEAN))
    assert dqsn["seeds"] == "5"
    assert f"On five seeds, {off} synaptic operations become {lean}, at" in GUIDE


def test_synops_of_the_controls():
    def factors(control, *names):
        return listed([f"{factor(name, control):.1f}" for name in names])

    nearest = factors("blind", "CartPole", "Acrobot", "LunarLander-v3@second")
    assert f"| decay of weights | CartPole, Acrobot, LunarLander | {nearest} |" in LINES
    mean = f"{factor('snn/CartPole', 'uniform'):.1f}"
    assert f"| mean signal of a layer | snn/CartPole | {mean} |" in LINES
    shuffled = [factor(name, kind) for name, kind in CONTROLS if kind == "shuffled"]
    row = f"| signal of another neuron | all | {min(shuffled):.0f} to {max(shuffled):.0f} |"
    assert row in LINES
    constant = "| constant strength of the cost |"
    assert f"{constant} CartPole, Acrobot | {factors('fixed', 'CartPole', 'Acrobot')} |" in LINES
    fewer = [name for name, kind in CONTROLS if kind == "fixed" and factor(name, kind) < 1]
    assert set(fewer) == {"snn/CartPole", "Pendulum", "MountainCar"}
    low, high = (f(factor(name, "fixed") for name in fewer) for f in (min, max))
    names = "snn/CartPole, Pendulum, MountainCar"
    assert f"{constant} {names} | {low:.1f} to {high:.1f} |" in LINES
    (lost,) = {CONTROLS[name, "fixed"]["seeds that lost return"] for name in fewer}
    assert f"it loses return on {lost} seeds" in GUIDE


def test_seeds_that_a_rescue_brings_back():
    rows = {(row["start"], row["arm"]): row for row in tables("Rescue")[0]}

    def rescued(start, column="solved"):
        return rows[start, "rescue"][column]

    assert {rows["dead", arm]["solved"] for arm in ("off", "shuffled")} == {"0 of 10"}
    assert f"neurons silenced | 30,000 | {rescued('dead')} seeds solve it |" in GUIDE
    assert f"default initialisation | 50,000 | {rescued('dead-deep')} seeds solve it |" in GUIDE
    for name in ("Pendulum", "Acrobot"):
        near = rescued(f"dead-{name.lower()}", "as the good start")
        assert f"| {name} | | {near} seeds come near a good start |" in LINES
    worked, runs = map(int, rows["dead-acrobot", "good"]["solved"].split(" of "))
    assert f"the good start itself fails on {runs - worked} of {runs} seeds" in GUIDE
