"""Figures of the findings, from today's rows.

    python -m studies.claims

Marked parts of the pages are written from the rows of the results table; the text around them is
by hand. A test says when a page is not up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

import studies.floor.search as floors
from snn_gym._base.storage import write_text_atomic
from snn_gym.leaderboard.comparison import SIGNIFICANCE, Comparison
from snn_gym.leaderboard.statistics import non_inferiority_p, paired_p, permutation_p
from snn_gym.leaderboard.table import TableRow, table_rows
from studies import efficiency
from studies.gains import report as gains
from studies.statistics import holm, p_value
from studies.tables import table, wrapped

ROOT = Path(__file__).parents[1]
PAGES = ("docs/findings.md", "docs/learning-efficiency.md", "docs/deep-networks.md")
"""Pages with marked parts."""
STOCK = (("ppo-lif", "sb3-ppo"), ("dqsn", "sb3-dqn"), ("sac-lif", "sb3-sac"))
"""Spiking agents, and unmodified Stable-Baselines3 of the same algorithm."""
MEMORY = "recurrent-ppo-lsnn"
"""Spiking agent with a memory, trained by reward."""
_END = "<!-- end -->"
_PART = re.compile(rf"(<!-- generated: ([\w-]+) -->\n).*?({_END})", re.DOTALL)
_NONE = "–"
_COUNTS = ("synops_per_decision", "macs_per_decision", "neuron_updates_per_decision")


Evidence = Mapping[tuple[str, str], TableRow]
"""Lines of the results table by agent and environment."""


@dataclass(frozen=True)
class JudgedPair:
    """One comparison of a family, with p-values before and after Holm's adjustment."""

    pair: Comparison
    """The agent and its baseline."""
    difference_p: float
    """Two-sided p-value of the difference."""
    inferiority_p: float
    """One-sided p-value of the test that the agent is not worse by the margin."""
    difference_holm: float = 1.0
    """The first, adjusted for all comparisons of the family."""
    inferiority_holm: float = 1.0
    """The second, likewise."""

    @property
    def is_not_inferior(self) -> bool:
        """Whether it is not worse by the margin, after the adjustment."""
        return self.inferiority_holm <= SIGNIFICANCE

    @property
    def verdict(self) -> str:
        """Conclusion from the adjusted p-values."""
        better = self.pair.difference > 0
        words = []
        if self.difference_holm <= SIGNIFICANCE:
            words.append("better" if better else "worse")
        if self.is_not_inferior and "better" not in words:
            words.append("by less than the margin" if words else "not inferior")
        lost = " after Holm's adjustment" * (
            min(self.difference_p, self.inferiority_p) <= SIGNIFICANCE
        )
        return ", ".join(words) or f"not significant{lost}"


def read_evidence(leaderboard: Path = ROOT / "leaderboard") -> Evidence:
    """Read the lines of the results table."""
    return {(row.agent, row.environment): row for row in table_rows(leaderboard)}


def operations(row: TableRow) -> float:
    """Return the operations of a decision: SynOps, multiply-accumulates and neuron updates."""
    return sum(getattr(row, name) or 0.0 for name in _COUNTS)


def compare(pair: Comparison) -> JudgedPair:
    """Test a comparison alone: its difference, and whether it is worse by the margin."""
    paired = bool(pair.row.origin_means)
    values, others = pair.row.seed_means, pair.others
    p = (paired_p if paired else permutation_p)(values, others)
    assert pair.margin is not None  # tasks of the suite have a reference
    return JudgedPair(pair, p, non_inferiority_p(values, others, pair.margin, paired=paired))


def family(evidence: Evidence, *names: tuple[str, str]) -> list[JudgedPair]:
    """Test agents against others on every task where both have the seeds for it."""
    pairs = [
        Comparison(row, evidence[other, env_id])
        for agent, other in names
        for (name, env_id), row in sorted(evidence.items(), key=lambda item: item[0][1])
        if name == agent and (other, env_id) in evidence
    ]
    return judge_pairs(pairs)


def judge_pairs(pairs: Sequence[Comparison]) -> list[JudgedPair]:
    """Test comparisons that have enough seeds, adjusted for their number."""
    tested = [compare(pair) for pair in pairs if pair.has_enough_seeds]
    differences = holm([x.difference_p for x in tested])
    inferiorities = holm([x.inferiority_p for x in tested])
    return [
        JudgedPair(x.pair, x.difference_p, x.inferiority_p, float(a), float(b))
        for x, a, b in zip(tested, differences, inferiorities, strict=True)
    ]


def _count(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f}"


def _cost(row: TableRow | None) -> str:
    """Return operations, and in brackets how many of them are SynOps."""
    if row is None:
        return _NONE
    return row.cost_cell(f"{operations(row):,.0f} ({_count(row.synops_per_decision)})")


def pays(_: Evidence) -> str:
    """Return the verdicts on the smallest networks."""
    runs = floors.STUDY.table()
    return wrapped(floors.summary(runs)) + "\n" + floors.verdicts(runs, ["operations"])


def stock(evidence: Evidence) -> str:
    """Return the comparisons of spiking agents with unmodified Stable-Baselines3."""
    note, tests = wrapped(stock_note(evidence)), family(evidence, *STOCK)
    return f"{note}\n{family_table(tests)}" if tests else note


def stock_note(evidence: Evidence) -> str:
    """Return a sentence on spiking agents beside unmodified Stable-Baselines3."""
    tests = family(evidence, *STOCK)
    if tests:
        kept = sum(x.is_not_inferior for x in tests)
        return (
            "Beside unmodified Stable-Baselines3 with RL Zoo's settings at the same "
            "budget, spiking agents are not inferior on "
            f"{kept} of {len(tests)} tasks."
        )
    names = ", ".join(f"`{other}`" for _, other in STOCK)
    return (
        f"Rows of unmodified Stable-Baselines3 with RL Zoo's settings ({names}) are registered and "
        "to come. Until then nothing is claimed against it."
    )


def twins(evidence: Evidence) -> str:
    """Return the comparisons of ``ppo-lif`` with its ANN twin."""
    return _family_part(family(evidence, ("ppo-lif", "ppo-mlp")))


def two_steps(evidence: Evidence) -> str:
    """Return the comparisons of agents of two time steps with their source agents."""
    return _family_part(family(evidence, ("ppo-lif-2-steps", "ppo-lif")), costs=True)


def shed(evidence: Evidence) -> str:
    """Return the comparisons of agents that shed spikes with those that shed none."""
    return _family_part(family(evidence, ("ppo-lif-dynamics", "ppo-lif")), costs=True)


def memory(evidence: Evidence) -> str:
    """Return the comparisons of spiking networks with a memory and GRUs, both by reward."""
    return _family_part(family(evidence, (MEMORY, "recurrent-ppo-gru")))


def taught(evidence: Evidence) -> str:
    """Return the comparisons of spiking networks with the GRUs that taught them."""
    return _family_part(family(evidence, ("recurrent-ppo-lsnn-distilled", "recurrent-ppo-gru")))


def _family_part(tests: Sequence[JudgedPair], *, costs: bool = False) -> str:
    """Return comparisons of one agent with another as a sentence and a table."""
    kept = sum(x.is_not_inferior for x in tests)
    differ = sum(x.difference_holm <= SIGNIFICANCE for x in tests)
    one, other = tests[0].pair.row.agent, tests[0].pair.other.agent
    sentence = (
        f"`{one}` is not inferior to `{other}` on {kept} of {len(tests)} tasks. The difference is "
        f"significant on {differ}."
    )
    return wrapped(sentence) + "\n" + family_table(tests, costs=costs)


def scripts(evidence: Evidence) -> str:
    """Return the native tasks on which a script without memory leads the spiking agents."""
    lines = [
        (row.environment, row.score(script), row.score(row.mean))
        for row, script in _led_by_scripts(evidence)
    ]
    return table(("Task", "script without memory", f"`{MEMORY}`"), lines)


def _with_memory(evidence: Evidence) -> list[TableRow]:
    rows = [row for (agent, _), row in evidence.items() if agent == MEMORY]
    return sorted(rows, key=lambda row: row.environment)


def _led_by_scripts(evidence: Evidence) -> list[tuple[TableRow, float]]:
    """Return rows of the spiking agent with a memory that a script beats, with its return."""
    scores = [
        (row, row.reference.memoryless)
        for row in _with_memory(evidence)
        if row.reference is not None
    ]
    return [(row, script) for row, script in scores if script is not None and script > row.mean]


def family_table(tests: Sequence[JudgedPair], *, costs: bool = False) -> str:
    """Return comparisons as a table, with operations if asked for."""
    several = len({x.pair.row.agent for x in tests}) > 1
    head = (
        *(("Agent", "Against") if several else ()),
        *("Task", "Seeds", "Return", "Other's return", "Lower bound (margin)"),
        *("p, not inferior", "p, difference", f"Finding (Holm of {len(tests)})"),
        *(("Operations (SynOps)", "Other's") if costs else ()),
    )
    lines = []
    for x in tests:
        row, other = x.pair.row, x.pair.other
        cells = x.pair.cells()
        lines.append(
            (
                *((row.name, other.name) if several else ()),
                row.environment,
                _seeds(row, other),
                row.score(row.mean),
                row.score(row.mean - x.pair.difference),
                cells[-2],
                *map(p_value, (x.inferiority_holm, x.difference_holm)),
                x.verdict,
                *((_cost(row), _cost(other)) if costs else ()),
            )
        )
    return table(head, lines)


def _seeds(row: TableRow, other: TableRow) -> str:
    """Return how many seeds a line has, and how many its baseline, if these are not as many."""
    counts = [str(len(x.seeds)) for x in (row, other)]
    return "; ".join(dict.fromkeys(counts))


PARTS: Mapping[str, Callable[[Evidence], str]] = {
    "pays": pays,
    "stock": stock,
    "twins": twins,
    "shed": shed,
    "two-steps": two_steps,
    "memory": memory,
    "taught": taught,
    "scripts": scripts,
    "learning": efficiency.main_part,
    "learning-dynamics": efficiency.watched_part,
    "learning-others": efficiency.other_part,
    "learning-areas": efficiency.area_part,
    "learning-summary": efficiency.summary_part,
    "adaptive-steps": lambda _: gains.adaptive_part(),
    "eps": lambda _: gains.eps_part(),
    "depth": lambda _: gains.depth_part(),
    "lander": gains.lander_part,
    "levels": lambda _: gains.levels_part(),
}
"""Function that writes each marked part."""


def written(page: str, evidence: Evidence) -> str:
    """Return a page's text with its marked parts written anew."""
    return _PART.sub(lambda found: f"{found[1]}{PARTS[found[2]](evidence)}{found[3]}", page)


def main() -> None:
    """Write the marked parts of all pages."""
    evidence = read_evidence()
    for name in PAGES:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        write_text_atomic(path, written(text, evidence))
    typer.echo(f"wrote the marked parts of {', '.join(PAGES)}")


if __name__ == "__main__":
    typer.run(main)
