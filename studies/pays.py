"""Where spikes pay: ``python -m studies.pays`` writes docs/where-spikes-pay.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import typer

import studies.floor.search as floors
from snn_gym._base.storage import write_text_atomic
from snn_gym.leaderboard.table import FEWEST_SEEDS, TableRow, table_rows
from snn_gym.program.costs import shown_cost
from snn_gym.program.prices import PRICES
from studies.floor.tasks import FLOORS
from studies.rows import LEADERBOARD, VERSION_1
from studies.tables import table, wrapped

PAGE = Path(__file__).parents[1] / "docs" / "where-spikes-pay.md"
MAIN = "operations"
"""Price by which networks are compared."""
SHOWN = (MAIN, "cmos45")
"""Prices of agents of a given size."""
OF_VERSION_1 = "‡"
"""Mark of a line of version 1."""
_SCEPTIC = (
    wrapped(
        "## What a sceptic would try next",
        "Against the smallest networks, and what each would cost him:",
    )
    + "\n\n"
    + table(
        ("What", "Why", "Cost"),
        [
            (
                "finer pruning",
                "the tanh RNN of IntervalTiming ends at 17 to 23 operations, the pilot's at 13.2; "
                "twelve prunings for six brought one, of seed 1001, from 22.4 to 18.6",
                "all searches anew: 10 core-hours",
            ),
            (
                "more ANNs",
                "LSTM and ANNs with a memory that send changes were not searched, GRUs on the "
                "three native tasks alone",
                "for the second a form in programs; 3 core-hours a family",
            ),
            (
                "held actions",
                "two decisions for one halve the price of either kind on Pendulum",
                "none: [floors](floors.md#more-decisions-a-second) has them",
            ),
            (
                "quantised weights",
                "bytes and picojoules fall, operations do not; [with 8 bits]"
                "(floors.md#instructions-of-the-smallest) most networks keep the return, but of "
                "spiking ones none does on IntervalTiming, and two of five on CueAccumulation; "
                "fewer bits were not tried",
                "one more round in each search: 8 core-hours",
            ),
            (
                "instructions of a processor",
                "on native tasks most of them read 320 places of an observation, which a list of "
                "its spikes would spare both kinds",
                "another interface of the exported C",
            ),
            (
                "more to remember",
                "with 16 patterns three times the updates bring LIF to 0.935 of 0.95",
                "more than 7 minutes a search",
            ),
        ],
    )
    + "\n"
)


def main() -> None:
    """Write the page from the searches and rows that there are."""
    write_text_atomic(PAGE, page())
    typer.echo(f"wrote {PAGE}")


def page() -> str:
    """Return the text of the page."""
    runs = floors.STUDY.table()
    parts = [
        wrapped(
            "# Where spikes pay",
            "Does the cheapest spiking network that keeps a task's return cost less than the "
            "cheapest ANN that keeps it? The number is the ratio of their prices, with its 95 % "
            "interval over seeds; the interval decides.",
            "## The smallest networks",
            f"{floors.summary(runs)} Seeds that lack a network of either kind are counted in the "
            "cell. How they were found, each family, and growth with what is to be remembered: "
            "[floors](floors.md).",
            floors.verdicts(runs).rstrip(),
        ),
        wrapped(*_given()),
        _SCEPTIC,
        _rules(),
    ]
    return "\n".join(parts)


def smallest_ann() -> Mapping[str, float]:
    """Return the mean operations of the smallest ANNs of each task, over seeds that found one."""
    runs = floors.STUDY.table()
    found = {task: [x for _, x in floors.cheapest(runs, task, MAIN).values()] for task in FLOORS}
    return {
        task: float(np.mean([x for x in costs if math.isfinite(x)]))
        for task, costs in found.items()
    }


def _given() -> Iterator[str]:
    """Yield the section on agents of a given size."""
    lines, smallest = table_rows(LEADERBOARD), smallest_ann()
    rows = [
        _cells(line, smallest[task])
        for task in FLOORS
        for line in sorted(_priced(lines, task), key=lambda x: x.operations_per_decision or 0.0)
    ]
    yield "## Agents of a given size"
    yield (
        "Agents of the [results table](../leaderboard/README.md) learn by reward, or are made "
        "of one that did, and their size was given before. *Times* is their mean price over "
        "that of the smallest ANNs above. Most are far from the cheapest that serves, so these "
        "numbers do not say whether spikes pay; one that earns less than the others of its task "
        f"may cost little and serve nobody. {OF_VERSION_1}: rows of version 1."
    )
    head = ("Task", "Agent", "Kind", "Return", *(f"`{x}`" for x in SHOWN), "times")
    yield table(head, rows).rstrip()
    yield (
        "Version 1 compared the cheapest of its agents with each other. Spiking ones cost more on "
        "7 of 12 tasks and less on none; on 5 it could not be told. The small ANNs that led there "
        "have left the zoo, because the search finds smaller ones. That page is in "
        f"{VERSION_1}."
    )


def _priced(lines: Sequence[TableRow], task: str) -> Iterator[TableRow]:
    for line in lines:
        counted = line.budget_class == "gradient" and line.operations_per_decision
        if line.environment == task and len(line.seeds) >= FEWEST_SEEDS and counted:
            yield line


def _cells(line: TableRow, smallest: float) -> tuple[str, ...]:
    old = f" {OF_VERSION_1}" * (line.portable < len(line.seeds))
    prices = {name: PRICES[name].of(line) for name in SHOWN}
    return (
        line.environment,
        f"`{line.agent}`{old}",
        "spiking" if line.spiking else "ANN",
        line.score(line.mean),
        *("–" if x is None else shown_cost(x) for x in prices.values()),
        shown_cost((prices[MAIN] or 0.0) / smallest),
    )


def _rules() -> str:
    return wrapped(
        "## How it is judged",
        table(
            ("term", "meaning"),
            [
                (
                    "keeps the return",
                    "in 1,000 fresh episodes the mean return is within the margin of the "
                    "teacher's ([floors](floors.md))",
                ),
                (
                    "costs less, costs more",
                    "the 95 % interval of the ratio is below 1, or above it; not adjusted for the "
                    "number of ratios, as p is, by Holm",
                ),
                (
                    f"costs the same within {100 * (floors.SAME - 1):.0f} %",
                    f"the interval includes 1 and is within 1 / {floors.SAME} and {floors.SAME}",
                ),
                *((f"`{name}`, {price.unit}", price.source) for name, price in PRICES.items()),
            ],
        ).rstrip(),
        "Instructions of a processor, with weights of 8 bits: "
        "[floors](floors.md#instructions-of-the-smallest). Tasks, families, seeds, prices and "
        "tests were registered before the runs ([registered.toml](../studies/registered.toml)). "
        "`python -m studies.pays` writes this page.",
    )


if __name__ == "__main__":
    typer.run(main)
