"""Write docs/where-spikes-pay.md from the rows that there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

import studies.floor.search as floors
from snn_gym._base.storage import write_text_atomic
from snn_gym.leaderboard.comparison import SAME, Comparison, cost_ratio
from snn_gym.program.costs import shown_cost
from snn_gym.program.prices import known_price
from studies.claims import JudgedPair, family_table, judge_pairs
from studies.minatar.report import RUNS, read_gate
from studies.pays.contenders import EVENTS_MARK, Field
from studies.pays.tables import (
    MAIN,
    NONE,
    Judged,
    adjusted,
    bracketed,
    claimed,
    missing_table,
    price_cell,
    read_judged,
    reason,
    summary,
    verdict_sentence,
    verdict_table,
)
from studies.pays.tables import (
    family_table as families_table,
)
from studies.pays.verdicts import keeping
from studies.runs import Runs
from studies.tables import table, wrapped

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "where-spikes-pay.md"
LEAN, LEAN_WITH_MEMORY = "ppo-lif-lean", "recurrent-ppo-lsnn-lean"
LIMITS = {
    "snn/CueAccumulation-v0": 20,
    "snn/DelayedMatchToSample-v0": 78,
    "snn/IntervalTiming-v0": 74,
    "snn/WaterMaze-v0": 890,
}
"""Registered operations of a lean agent, twice those of a pilot's rival."""
CHEAPEST_UNSHED: Mapping[str, float] = MappingProxyType(
    {
        "CartPole-v1": 334.2533831414907,
        "Acrobot-v1": 511.08080222822326,
        "MountainCar-v0": 6763.571892249234,
        "Pendulum-v1": 2918.33835,
        "LunarLander-v3": 3203.18644328585,
    }
)
"""Operations of the cheapest spiking network that sheds nothing and keeps the return, of several
sizes and time steps, as version 1.1 measured them: means over 3 to 10 seeds."""
DECISIONS_A_SECOND = 125
"""Of native tasks, whose decision has eight time steps of 1 ms."""
COSTS = ("a decision", "an episode", "a second")
ENOUGH_PAIRS = 7
_TO_COME = "None of these rows has landed."
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


def write_report() -> Path:
    """Write the page."""
    judged = read_judged()
    write_text_atomic(DOCS / PAGE, page(judged))
    return DOCS / PAGE


def _text(*parts: str) -> str:
    return wrapped(*(part.rstrip() for part in parts))


def page(judged: Judged) -> str:
    """Return the text of the page."""
    question = judged.question
    parts = [
        _head(judged),
        *(_task_section(judged, task) for task in question.tasks),
        _context(judged),
        _episodes_section(judged),
        _lean_section(judged),
        _native_section(judged),
        _distil_section(judged),
        _pixels_section(),
        _missing_section(judged),
        _SCEPTIC,
        _rules(judged),
    ]
    return "\n".join(parts)


def _head(judged: Judged) -> str:
    runs = floors.STUDY.table()
    return _text(
        "# Where spikes pay",
        "This page asks two questions on each task. Does a spiking agent keep the best return? And "
        "does the cheapest one that keeps it cost less than the cheapest ANN that keeps it? The "
        "number is the ratio of their prices, with its 95 % interval over seeds; the interval "
        "decides. It asks them twice: of the smallest networks that a search finds, and of agents "
        "as reward and a size given before make them.",
        "## The smallest networks",
        f"{floors.summary(runs)} Seeds that lack a network of either kind are counted in the "
        "cell. How they were found, each family, and growth with what is to be remembered: "
        "[floors](floors.md).",
        floors.verdicts(runs),
        "## As reward and size make them",
        "Rows of version 1. Where smaller networks were searched, these agents are 3 to 560 times "
        "as dear.",
        verdict_table(judged, judged.question.tasks),
        f"{summary(judged, judged.question.prices)} {adjusted(judged)}",
    )


def _task_section(judged: Judged, task: str) -> str:
    field = judged.fields[task]
    parts = [f"## {task}", f"{verdict_sentence(judged, task)} {reason(judged, task)}"]
    if field.contenders:
        parts += [families_table(judged, task), *_others(field)]
    if (expected := judged.question.expected.get(task)) is not None:
        parts.append(f"Expected before the rows were made: *{expected}*.")
    return _text(*parts)


def _others(field: Field) -> list[str]:
    """Return a sentence on an agent of another family that earns more than all of them."""
    best = field.best
    first = max(field.contenders, key=lambda x: x.row.mean)
    if best is None or first.row.mean <= best.row.mean:
        return []
    spent = bracketed(first, price_cell(first, MAIN))
    return [
        f"Of another family, `{first.row.agent}` earns more: "
        f"{first.row.score(first.row.mean)} at {spent} operations."
    ]


def _context(judged: Judged) -> str:
    tasks = judged.question.context
    heading = _text(
        "## Two more silent levels",
        "These tasks are context, and count in no number above.",
        verdict_table(judged, tasks),
    )
    shown = (_task_section(judged, x) for x in tasks if judged.fields[x].contenders)
    return "\n".join([heading, *(text.replace("## ", "### ", 1) for text in shown)])


def _episodes_section(judged: Judged) -> str:
    rows = [row for field in judged.fields.values() for row in _executions(judged, field)]
    head = ("Task", "Execution", "Cheapest agent", *COSTS, "times the cheapest")
    return _text(
        "## Silence and events",
        "Operations of the cheapest agents that keep the return, clocked and event-driven. "
        "Event-driven execution updates a neuron or unit only when it receives.",
        table(head, rows) if rows else _TO_COME,
    )


def _executions(judged: Judged, field: Field) -> Iterator[tuple[str, ...]]:
    """Yield lines of a task's cheapest agents by execution, if any is event-driven."""
    keepers = keeping(field, judged.question.margin)
    known = {
        f"{kind}, {way}": [(x, found[MAIN]) for x, found in agents if MAIN in found]
        for kind, spikes in (("spiking", True), ("ANN", False))
        for way, agents in {
            "clocked": [(x, x.clocked) for x in keepers if x.row.spiking == spikes],
            "event-driven": [(x, x.driven) for x in keepers if x.row.spiking == spikes],
        }.items()
    }
    if not any(x.driven for x in keepers):
        return
    cheapest = {way: min(x, key=lambda pair: np.mean(pair[1])) for way, x in known.items() if x}
    first = min((prices for _, prices in cheapest.values()), key=np.mean)
    for way, (contender, prices) in cheapest.items():
        spent = float(np.mean(prices))
        costs = (spent, spent * contender.decisions, spent * DECISIONS_A_SECOND)
        factor = "1" if prices is first else str(cost_ratio(prices, first))
        shown = (bracketed(contender, shown_cost(x)) for x in costs)
        yield (field.task, way, f"`{contender.row.agent}`", *shown, factor)


def _taught(judged: Judged, agent: str, task: str) -> Comparison | None:
    """Return an agent's comparison with its teacher, None while rows are missing."""
    student = judged.fields[task].find(agent)
    if student is None or student.row.origin is None:
        return None
    teacher = judged.fields[task].find(student.row.origin)
    return None if teacher is None else Comparison(student.row, teacher.row)


def _tests(judged: Judged, pairs: list[tuple[str, str]]) -> list[JudgedPair]:
    found = (_taught(judged, agent, task) for agent, task in pairs)
    return judge_pairs([pair for pair in found if pair is not None])


def _lean_section(judged: Judged) -> str:
    tests = _tests(judged, [(LEAN, x) for x in judged.question.tasks if x not in LIMITS])
    rows = []
    for test in tests:
        task, spent = test.pair.row.environment, test.pair.row.operations_per_decision or 0.0
        unshed = CHEAPEST_UNSHED.get(task)
        ann = judged.verdicts[task, MAIN].ann
        rows.append(
            (
                task,
                str(len(test.pair.row.seeds)),
                test.pair.cells()[-2],
                "yes" if test.is_not_inferior else "**no**",
                claimed(test.pair.row, spent),
                *((shown_cost(unshed), f"{spent / unshed:.2f}") if unshed else (NONE, NONE)),
                NONE if ann is None else bracketed(ann, price_cell(ann, MAIN)),
            )
        )
    head = (
        *("Task", "Seeds", "Lower bound (margin)", "not inferior", f"`{LEAN}`"),
        *("nothing shed", "ratio", "cheapest ANN"),
    )
    return _text(
        "## Lean by the whole cost",
        f"`{LEAN}` sheds everything that costs operations, under a bound on the divergence from "
        "`ppo-lif`. Beside its operations stand those of the cheapest spiking network that sheds "
        "nothing and keeps the return, of several sizes and time steps. The aim is a third, on "
        "four of six tasks.",
        table(head, rows) if rows else _TO_COME,
    )


def _native_section(judged: Judged) -> str:
    tests = _tests(judged, [(LEAN_WITH_MEMORY, x) for x in judged.question.tasks if x in LIMITS])
    rows = []
    for test in tests:
        row, limit = test.pair.row, LIMITS[test.pair.row.environment]
        spent = row.operations_per_decision or 0.0
        good = "yes" if test.is_not_inferior and spent <= limit else "**no**"
        score, bound = row.score(row.mean), test.pair.cells()[-2]
        cell = claimed(row, spent)
        rows.append((row.environment, score, bound, cell, str(limit), good))
    head = ("Task", "Return", "Lower bound (margin)", "operations", "at most", "cheap enough")
    return _text(
        "## Lean agents with memory",
        f"`{LEAN_WITH_MEMORY}` on the lowest levels, beside its unshed teacher. It is cheap enough "
        "if it needs at most twice the operations of the rival that a pilot found.",
        table(head, rows) if rows else _TO_COME,
        "These tasks send spikes in 8 time steps for a decision, and an agent keeps those steps. "
        "So one neuron alone costs 8 updates, where a leaky integrator costs one.",
    )


def _distil_section(judged: Judged) -> str:
    tests = _tests(judged, list(judged.question.pairs))
    kept, total = sum(x.is_not_inferior for x in tests), len(judged.question.pairs)
    return _text(
        "## Ten students and their teachers",
        f"`snn_gym.distil` made each student from the row of its teacher with the same seed. Of "
        f"{total} registered pairs {len(tests)} have their rows, and {kept} are not inferior after "
        f"Holm's adjustment; the aim is {ENOUGH_PAIRS}.",
        family_table(tests, costs=True) if tests else _TO_COME,
    )


def _pixels_section() -> str:
    return _text(
        "## Pixels",
        "Does MinAtar's Breakout, as our agents play it, need more than a small network? "
        f"{read_gate(Runs(RUNS)).finding} So no game has rows of five seeds "
        "([MinAtar](minatar.md)).",
    )


def _missing_section(judged: Judged) -> str:
    missing = [name for field in judged.fields.values() for name in field.missing]
    return _text("## Rows that have not landed", missing_table(missing))


def _rules(judged: Judged) -> str:
    return _text(
        "## How it is judged",
        "Tasks, agents, seeds, prices, margin and tests were registered before the rows were made "
        "([registered.toml](../studies/registered.toml)).",
        table(
            ("term", "meaning"),
            [
                (
                    "keeps the return",
                    "lower end of the one-sided 95 % interval of the difference from the best "
                    "agent of the families, within 5 % of the range from random play to `solved`",
                ),
                (
                    "costs less, costs more",
                    "the 95 % interval of the ratio is below 1, or above it; by Welch's t of "
                    "logarithms, not adjusted for the number of ratios",
                ),
                (
                    f"costs the same within {100 * SAME:g} %",
                    f"the interval is within 1 / {1 + SAME:g} and {1 + SAME:g}",
                ),
                (
                    "the registered test",
                    "its p-value is the larger of two: that of the ratio, and that of the cheaper "
                    "agent's non-inferiority. So a ratio far from 1 may be not significant",
                ),
                ("spikes pay, do not pay", "in what was expected: they cost less, cost more"),
                *(
                    (f"`{name}`, {known_price(name).unit}", known_price(name).source)
                    for name in judged.question.prices
                ),
                (
                    "in brackets",
                    "no agent of the family is shown to keep the return, and this one has the "
                    "highest; or fewer than two seeds of the agent were trained again",
                ),
                (
                    "price",
                    "mean over the seeds whose training again gave the same weights; without such "
                    "a seed over all, in brackets. A verdict is open if fewer than two seeds of an "
                    "agent in it were trained again, since hand-made weights cost next to nothing",
                ),
                (
                    EVENTS_MARK,
                    "event-driven execution, where it is cheaper than the clocked one; spiking "
                    "agents and ANNs both may have it",
                ),
            ],
        ),
        "`python -m studies.pays report` writes this page from the rows of the "
        "[results](results/index.md).",
    )
