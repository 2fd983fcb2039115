"""What README.md and the guide say of lean networks is what docs/lean-study.md has measured."""

import re

import pytest

from snn_gym.scoring.table import table_rows
from tests.readme import PAGES, ROOT

STUDY = (ROOT / "docs" / "lean-study.md").read_text(encoding="utf-8")
README, GUIDE = (" ".join(PAGES[page].split()) for page in ("README.md", "docs/guide/lean.md"))
OFF, LEAN = "SynOps, off", "SynOps, lean"


def tables(heading):
    """Return the tables under a heading of the study, each a list of rows by column."""
    section = STUDY.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = []
    for text in re.findall(r"(?:^\|.*\n)+", section + "\n", re.M):
        head, _, *body = (
            [cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines()
        )
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
    return float(CONTROLS[name, control]["factor"])


@pytest.mark.parametrize("text", [README, GUIDE], ids=["README", "guide"])
def test_how_many_fewer_operations(text):
    fewer = [median(row[OFF]) / median(row[LEAN]) for row in AGAINST_OFF]
    assert len(fewer) == 7
    # To one digit: the medians are of few seeds.
    low, high = (int(float(f"{value:.1g}")) for value in (min(fewer), max(fewer)))
    assert f"on seven tasks {low} to {high} times fewer synaptic operations (medians)" in text


def test_which_tasks_lose_nothing():
    assert f"{listed(kept(AGAINST_OFF))} lose nothing beside an agent that goes on" in GUIDE
    first, second = (kept(rows, kept=False) for rows in (AGAINST_OFF, SECOND))
    assert (first, second) == (["MountainCar", "CueAccumulation"], ["MountainCar"])
    assert (
        "CueAccumulation lost a little more on its first ten seeds and not on ten others" in GUIDE
    )
    assert "MountainCar did on all of them" in GUIDE


def test_what_the_bound_for_the_worst_tenth_gives():
    factors = [row["factor"] for row in TENTH if row["no loss"] == "yes"]
    shown = [x if float(x) < 10 else f"{float(x):.0f}" for x in factors]
    assert f"{listed(kept(TENTH))} lose nothing at {listed(shown)} times fewer operations" in GUIDE
    lost = kept(TENTH, kept=False)
    both = [name for name in kept(TENTH_FROZEN, kept=False) if name in lost]
    (one,) = set(lost) - set(both)
    (row,) = [row for row in TENTH if task(row) == one]
    assert f"{one} ({float(row['factor']):.0f} times) loses nothing against the policy" in GUIDE
    assert f"{listed(both)} lose against both" in GUIDE


def test_what_other_algorithms_shed():
    (rows,) = tables("Other algorithms")
    found = {row["agent"]: row["factor"] for row in rows}
    assert f"`sac-lif` on Pendulum needs {found['sac-lif']} times fewer operations" in GUIDE
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
    assert f"takes {listed(more)} times as many operations on CartPole and Acrobot" in GUIDE
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


def test_what_lean_agents_have_in_the_results():
    rows = {(row.agent, row.environment): row for row in table_rows(ROOT / "leaderboard")}

    def shown(agent):
        found = [rows[agent, env_id] for env_id in ("CartPole-v1", "Acrobot-v1")]
        return [f"{x.mean:.1f}" for x in found], [f"{x.synops_per_decision:,.0f}" for x in found]

    means, synops = shown("ppo-lif-dynamics")
    text = "`ppo-lif-dynamics` has {} on CartPole at {} of them and {} on Acrobot at {}, where"
    assert text.format(means[0], synops[0], means[1], synops[1]) in README
    means, synops = shown("ppo-lif")
    assert f"where `ppo-lif` spends {' and '.join(synops)} for {' and '.join(means)}." in README
    two, eight = (rows[agent, "LunarLander-v3"] for agent in ("ppo-lif-2-steps", "ppo-lif"))
    ours, theirs = (f"{x.synops_per_decision:,.0f}" for x in (two, eight))
    text = f"`ppo-lif-2-steps` has {two.mean:.1f} on LunarLander at {ours}, where `ppo-lif` spends"
    assert f"{text} {theirs} for {eight.mean:.1f}." in README
