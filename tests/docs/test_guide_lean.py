"""The guide says of lean networks what the pages of the lean study have measured."""

import re

from tests.readme import PAGES, ROOT

STUDY = "\n".join(
    page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs/lean").glob("*.md"))
)
GUIDE = " ".join(PAGES["docs/guide/lean.md"].split())
OFF, LEAN = "SynOps, off", "SynOps, lean"
ALL_OFF, ALL_LEAN = "operations, off", "operations, lean"
SYNOPS_FACTOR = "SynOps factor"


def tables(heading):
    """Return the tables under a heading of the study, each a list of rows by column."""
    section = STUDY.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = []
    for text in re.findall(r"(?:^\|.*\n)+", section + "\n", re.M):
        head, _, *body = (
            [cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines()
        )
        if len(head) > 4:  # narrower tables define columns and arms
            found.append([dict(zip(head, cells, strict=True)) for cells in body])
    return found


def median(cell):
    """Return the first number of a cell, which is the median over seeds."""
    return float(cell.split(" (")[0].replace(",", ""))


def task(row):
    """Return a task as texts name it."""
    return re.sub(r"^snn/(?=Cue)|-v\d$", "", row["task"])


def listed(names):
    """Return names as a sentence lists them."""
    *first, last = names
    return f"{', '.join(first)} and {last}"


def kept(rows, *, kept=True):
    return [task(row) for row in rows if (row["no loss"] == "yes") == kept]


AGAINST_OFF, SECOND = tables("Lean against off")
TENTH, TENTH_FROZEN = tables("A bound for the worst tenth of the states")
CONTROLS = {(task(row), row["control"].split(" (")[0]): row for row in tables("Controls")[0]}


def factor(name, control):
    return float(CONTROLS[name, control][SYNOPS_FACTOR])


def between(off, lean):
    """Return by how many times medians fall on the tasks, least and most, to one digit."""
    fewer = [median(row[off]) / median(row[lean]) for row in AGAINST_OFF]
    assert len(fewer) == 7
    return [int(float(f"{value:.1g}")) for value in (min(fewer), max(fewer))]


def test_how_many_fewer_operations():
    low, high = between(ALL_OFF, ALL_LEAN)
    synops_low, synops_high = between(OFF, LEAN)
    text = f"operations fall {low} to {high} times on seven tasks, and SynOps alone {synops_low} to"
    assert f"{text} {synops_high} times (medians)" in GUIDE


def test_a_smaller_network_needs_fewer_operations():
    fewer = {CONTROLS[name, "small"]["fewer than `lean`"] for name in ("CartPole", "Acrobot")}
    assert f"than the lean 64-64 network on {fewer.pop()} seeds of CartPole and Acrobot" in GUIDE
    assert fewer == set()


def test_what_the_front_says():
    rows = tables("The front")[0]
    ratios = [float(row["lean / off"]) for row in rows if row["lean / off"] != "–"]
    text = f"needs {min(ratios):.2f} to {max(ratios):.2f} times the operations of the cheapest one"
    assert f"{text} that sheds nothing, on four tasks" in GUIDE
    assert len(ratios) == 4
    (mountain_car,) = [row for row in rows if row["task"] == "MountainCar-v0"]
    assert mountain_car["cheapest lean"] == "–"
    (events,) = [row for row in rows if row["task"] == "snn/EventTracking-v0"]
    assert f"at {events['cheapest ANN'].split(': ')[1]} operations" in GUIDE


def test_which_tasks_lose_nothing():
    assert f"{listed(kept(AGAINST_OFF))} lose nothing beside an agent that goes on" in GUIDE
    first, second = (kept(rows, kept=False) for rows in (AGAINST_OFF, SECOND))
    assert (first, second) == (["MountainCar", "CueAccumulation"], ["MountainCar"])
    assert (
        "CueAccumulation lost a little more on its first ten seeds and not on ten others" in GUIDE
    )
    assert "MountainCar did on all of them" in GUIDE


def test_what_the_bound_for_the_worst_tenth_gives():
    factors = [row[SYNOPS_FACTOR] for row in TENTH if row["no loss"] == "yes"]
    shown = [x if float(x) < 10 else f"{float(x):.0f}" for x in factors]
    assert f"{listed(kept(TENTH))} lose nothing at {listed(shown)} times fewer SynOps" in GUIDE
    lost = kept(TENTH, kept=False)
    both = [name for name in kept(TENTH_FROZEN, kept=False) if name in lost]
    (one,) = set(lost) - set(both)
    (row,) = [row for row in TENTH if task(row) == one]
    assert (
        f"{one} ({float(row[SYNOPS_FACTOR]):.0f} times) loses nothing against the policy" in GUIDE
    )
    assert f"{listed(both)} lose against both" in GUIDE


def test_what_other_algorithms_shed():
    (rows,) = tables("Other algorithms")
    (sac,) = [row for row in rows if row["agent"] == "sac-lif"]
    fewer = f"{sac['factor']} times fewer operations ({sac[SYNOPS_FACTOR]} times fewer SynOps)"
    assert f"`sac-lif` on Pendulum needs {fewer}" in GUIDE
    (dqsn,) = [row for row in rows if row["agent"] == "dqsn"]
    off, lean = (re.search(r"\((.*) to (.*)\)", dqsn[column]) for column in (OFF, LEAN))
    fewer = f"{off[1]} to {off[2]} synaptic operations become {lean[1]} to {lean[2]} on five seeds"
    assert fewer in GUIDE
    assert dqsn["seeds"] == "5"
    assert all(row["no loss"] == "yes" for row in rows)


def test_what_the_controls_take():
    nearest = "CartPole", "Acrobot", "LunarLander-v3@second"
    blind = [f"{factor(name, 'blind'):.1f}" for name in nearest]
    assert f"CartPole, Acrobot and LunarLander ({listed(blind)} times as many" in GUIDE
    uniform = factor("snn/CartPole", "uniform")
    assert f"a layer's mean signal on snn/CartPole ({uniform:.1f})" in GUIDE
    other = [factor(name, kind) for name, kind in CONTROLS if kind == "shuffled"]
    assert (
        f"another neuron's signal takes {min(other):.0f} to {max(other):.0f} times as many" in GUIDE
    )


def test_what_a_strength_that_stays_takes():
    more = [f"{factor(name, 'fixed'):.1f}" for name in ("CartPole", "Acrobot")]
    assert f"takes {listed(more)} times as many SynOps on CartPole and Acrobot" in GUIDE
    fewer = [name for name, kind in CONTROLS if kind == "fixed" and factor(name, kind) < 1]
    low, high = (f(factor(name, "fixed") for name in fewer) for f in (min, max))
    assert set(fewer) == {"snn/CartPole", "Pendulum", "MountainCar"}
    assert f"but {low:.1f} to {high:.1f} times on snn/CartPole, Pendulum and MountainCar" in GUIDE
    lost = {CONTROLS[name, "fixed"]["seeds that lost return"] for name in fewer}
    assert f"where {lost.pop()} seeds lose return" in GUIDE
    assert lost == set()


def test_what_a_rescue_brings_back():
    now, _ = tables("Rescue")
    rows = {(row["start"], row["arm"]): row for row in now}

    def shown(start, arm="rescue", column="solved"):
        return rows[start, arm][column]

    assert f"{shown('dead')} seeds solve CartPole within 30,000 environment steps" in GUIDE
    assert {shown("dead", arm) for arm in ("off", "shuffled")} == {"0 of 10"}
    assert f"default initialisation {shown('dead-deep')} do within 50,000" in GUIDE
    pendulum, acrobot = (
        shown(start, column="as the good start") for start in ("dead-pendulum", "dead-acrobot")
    )
    count, of = pendulum.split(" of ")
    assert f"On Pendulum and Acrobot {count} and {acrobot} end within 0.1" in GUIDE
    assert acrobot.endswith(f" of {of}")
    worked, runs = map(int, shown("dead-acrobot", "good").split(" of "))
    assert f"that start itself fails on {runs - worked} of {runs}" in GUIDE
