"""Tables of the page, which README.md and the findings quote."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snn_gym._base.names import shown_seeds
from studies.pays.contenders import EVENTS_MARK, Contender, Field, read_fields
from studies.pays.question import Question, read_question
from studies.pays.verdicts import (
    DO_NOT_PAY,
    NOT_SIGNIFICANT,
    OPEN,
    PAY,
    Factor,
    Verdict,
    cheapest,
    factor_of,
    judge,
    keeping,
)
from studies.rows import RowName
from studies.tables import table

NONE = "–"
MAIN = "operations"
"""Price of the tables of families and of reasons."""


@dataclass(frozen=True)
class Judged:
    """The question, the agents of every task and the verdicts."""

    question: Question
    fields: Mapping[str, Field]
    verdicts: Mapping[tuple[str, str], Verdict]

    def of_task(self, task: str) -> list[Verdict]:
        """Return a task's verdicts, a price each."""
        return [self.verdicts[task, price] for price in self.question.prices]


def read_judged(name: str = "pays") -> Judged:
    """Return today's verdicts on the registered question of a name."""
    question = read_question(name=name)
    fields = read_fields(question)
    return Judged(question, fields, judge(question, fields))


def number(value: float) -> str:
    """Return a price or factor with three digits, and thousands in whole numbers."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(factor: Factor) -> str:
    """Return a factor with its interval, if it has one."""
    if math.isinf(factor.high):
        return number(factor.value)
    return f"{number(factor.value)} ({number(factor.low)} to {number(factor.high)})"


def verdict_table(judged: Judged, tasks: Sequence[str]) -> str:
    """Return the verdict of each task and price, with the factor."""
    rows = [(task, *(_cell(x) for x in judged.of_task(task))) for task in tasks]
    return table(("Task", *(f"`{price}`" for price in judged.question.prices)), rows)


def _cell(verdict: Verdict) -> str:
    words = verdict.words
    if words == OPEN and verdict.missing:
        return f"{OPEN}: {verdict.missing} rows"
    if verdict.unproven:
        return f"{OPEN}; seeds to train again: {verdict.unproven}"
    shown = f"**{words}**" if words in (PAY, DO_NOT_PAY) else words
    return shown if verdict.factor is None else f"{shown}: {times(verdict.factor)}"


def summary(judged: Judged, prices: Sequence[str]) -> str:
    """Return the number of tasks with each verdict, under prices."""
    alike = defaultdict[str, list[str]](list)
    for price in prices:
        found = Counter(judged.verdicts[task, price].words for task in judged.question.tasks)
        parts = [f"{x} on {found[x]}" for x in (PAY, DO_NOT_PAY, NOT_SIGNIFICANT, OPEN) if found[x]]
        alike[", ".join(parts)].append(f"`{price}`")
    sentences = "; ".join(f"{', '.join(names)}: {text}" for text, names in alike.items())
    return f"Of {len(judged.question.tasks)} tasks: {sentences}."


def family_table(judged: Judged, task: str) -> str:
    """Return the cheapest agent of each family that keeps the return of a task.

    Of a family without one stands the agent of the highest return, in brackets, and so does an
    agent of which fewer than two seeds were trained again.
    """
    field, others = judged.fields[task], judged.question.prices[1:]
    keepers = keeping(field, judged.question.margin)
    first = cheapest(keepers, MAIN)
    rows = []
    for family in judged.question.families:
        own = cheapest((x for x in keepers if x.family == family), MAIN)
        best = max(
            (x for x in field.contenders if x.family == family and MAIN in x.prices),
            key=lambda x: x.row.mean,
            default=None,
        )
        shown, factor = own or best, NONE
        if shown is None:
            continue
        if own is not None and first is not None:
            factor = "1" if own is first else times(factor_of(own.prices[MAIN], first.prices[MAIN]))
        cells = [
            shown.label(MAIN),
            shown.row.score(shown.row.mean),
            number(shown.price(MAIN)),
            *(price_cell(shown, price) for price in others),
        ]
        if shown is not own or shown.unproven:
            cells = [x if x == NONE else f"({x})" for x in cells]
        rows.append((family, *cells[:3], factor, *cells[3:]))
    return table(("Family", "Agent", "Return", MAIN, "times the cheapest", *others), rows)


def missing_table(missing: Sequence[RowName]) -> str:
    """Return rows that have not landed by task and agent; those of a task stand together."""
    rows = []
    for task, names in itertools.groupby(missing, key=lambda name: name.environment):
        agents = itertools.groupby(names, key=lambda name: name.agent)
        listed = (f"`{x}` {shown_seeds([name.seed for name in own])}" for x, own in agents)
        rows.append((task, ", ".join(listed)))
    return table(("Task", "Agents and seeds"), rows) if rows else "All registered rows are there."


def bracketed(contender: Contender, text: str) -> str:
    """Return a price as text, in brackets if too few seeds were trained again."""
    return f"({text})" if contender.unproven else text


def price_cell(contender: Contender | None, price: str) -> str:
    """Return a mean price, marked if it is that of event-driven execution, or a dash."""
    if contender is None or price not in contender.prices:
        return NONE
    mark = f" {EVENTS_MARK}" * (price in contender.by_events)
    return number(contender.price(price)) + mark


def reason(judged: Judged, task: str) -> str:
    """Return the reason of a task's verdict in operations, from the parts of the two prices."""
    verdict = judged.verdicts[task, MAIN]
    spiking, ann = verdict.spiking, verdict.ann
    if verdict.missing:
        return f"{verdict.missing} of the registered rows have not landed."
    if spiking is None or ann is None:
        return f"No {'spiking agent' if spiking is None else 'ANN'} is shown to keep the return."
    own, other = (bracketed(x, number(x.price(MAIN))) for x in (spiking, ann))
    updates = spiking.row.neuron_updates_per_decision
    parts = (
        f", {number(updates)} of them neuron updates"
        if updates and MAIN not in spiking.by_events
        else ""
    )
    return f"{spiking.label(MAIN)} needs {own} operations{parts}; {ann.label(MAIN)} needs {other}."


def verdict_sentence(judged: Judged, task: str) -> str:
    """Return a task's verdicts as a sentence."""
    by_words: dict[str, list[str]] = {}
    for verdict in judged.of_task(task):
        by_words.setdefault(verdict.words, []).append(f"`{verdict.price}`")
    parts = [f"{words} under {', '.join(prices)}" for words, prices in by_words.items()]
    return f"**Verdict**: {'; '.join(parts)}."
