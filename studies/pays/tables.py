"""Tables of the page, which README.md and the findings quote."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from snn_gym._base.names import shown_seeds
from snn_gym.leaderboard.comparison import LESS, MORE, SIGNIFICANCE, SIMILAR, UNKNOWN, cost_ratio
from snn_gym.leaderboard.table import TableRow
from snn_gym.program.costs import shown_cost
from studies.pays.contenders import EVENTS_MARK, Contender, Field, read_fields
from studies.pays.question import Question, read_question
from studies.pays.verdicts import Verdict, cheapest, judge, keeping
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


def keeps(judged: Judged, task: str) -> str:
    """Return the answer to "keeps the return?" for the spiking agents of a task."""
    kept = keeping(judged.fields[task], judged.question.margin)
    return "yes" if any(x.row.spiking for x in kept) else "not shown"


def verdict_table(judged: Judged, tasks: Sequence[str]) -> str:
    """Return the answers for each task and price, with the ratio."""
    rows = [(task, keeps(judged, task), *map(_cell, judged.of_task(task))) for task in tasks]
    heads = (f"costs less, by `{price}`?" for price in judged.question.prices)
    return table(("Task", "keeps the return?", *heads), rows)


def _cell(verdict: Verdict) -> str:
    shown = f"**{verdict.kind}**" if verdict.kind in (LESS, MORE) else verdict.kind
    return verdict.costs.replace(verdict.kind, shown)


def summary(judged: Judged, prices: Sequence[str]) -> str:
    """Return the number of tasks with each answer, under prices."""
    tasks = judged.question.tasks
    alike = defaultdict[str, list[str]](list)
    for price in prices:
        found = Counter(judged.verdicts[task, price].kind for task in tasks)
        parts = [f"{x} on {found[x]}" for x in (LESS, SIMILAR, MORE, UNKNOWN) if found[x]]
        alike[", ".join(parts)].append(f"`{price}`")
    answers = (f"By {', '.join(names)}: {text}." for text, names in alike.items())
    kept = sum(keeps(judged, task) == "yes" for task in tasks)
    return (
        f"A spiking agent keeps the return on {kept} of {len(tasks)} tasks. Does it cost less? "
        f"{' '.join(answers)}"
    )


def adjusted(judged: Judged) -> str:
    """Return the outcome of the registered test, which asks both questions at once."""
    rated = [x for x in judged.verdicts.values() if x.ratio and x.task in judged.question.tasks]
    lost = ", ".join(dict.fromkeys(x.task for x in rated if x.adjusted > SIGNIFICANCE))
    return (
        "The registered test asks both questions by one p-value, adjusted by Holm for all "
        f"{len(judged.question.tasks) * len(judged.question.prices)} answers. By it "
        f"{sum(x.adjusted <= SIGNIFICANCE for x in rated)} of {len(rated)} ratios are significant"
        f"{f'; those on {lost} are not' if lost else ''}."
    )


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
            prices = own.prices[MAIN], first.prices[MAIN]
            factor = "1" if own is first else str(cost_ratio(*prices))
        cells = [
            shown.label(MAIN),
            shown.row.score(shown.row.mean),
            shown_cost(shown.price(MAIN)),
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


def trained_again(lines: Iterable[TableRow]) -> str:
    """Return a sentence on how many rows of some lines a second training confirmed."""
    known = [(len(x.seeds), x.trained_again) for x in lines]
    seeds, proven = (sum(column) for column in zip((0, 0), *known, strict=True))
    return f"A second training gave the same weights for {proven} of these {seeds} rows."


def claimed(row: TableRow, spent: float) -> str:
    """Return the operations of a line as text, in brackets if no seed was trained again."""
    return shown_cost(spent) if row.trained_again else f"({shown_cost(spent)})"


def price_cell(contender: Contender | None, price: str) -> str:
    """Return a mean price, marked if it is that of event-driven execution, or a dash."""
    if contender is None or price not in contender.prices:
        return NONE
    mark = f" {EVENTS_MARK}" * (price in contender.by_events)
    return shown_cost(contender.price(price)) + mark


def reason(judged: Judged, task: str) -> str:
    """Return the two prices behind a task's answer in operations; nothing without both."""
    verdict = judged.verdicts[task, MAIN]
    spiking, ann = verdict.spiking, verdict.ann
    if verdict.missing or spiking is None or ann is None:
        return ""
    own, other = (bracketed(x, shown_cost(x.price(MAIN))) for x in (spiking, ann))
    updates = spiking.row.neuron_updates_per_decision
    parts = (
        f", {shown_cost(updates)} of them neuron updates"
        if updates and MAIN not in spiking.by_events
        else ""
    )
    return f"{spiking.label(MAIN)} needs {own} operations{parts}; {ann.label(MAIN)} needs {other}."


def verdict_sentence(judged: Judged, task: str) -> str:
    """Return the answers for a task as sentences."""
    by_words: dict[str, list[str]] = {}
    for verdict in judged.of_task(task):
        by_words.setdefault(verdict.words, []).append(f"`{verdict.price}`")
    answers = (f"By {', '.join(prices)}: {words}." for words, prices in by_words.items())
    return (
        f"**Keeps the return?** {keeps(judged, task).capitalize()}. "
        f"**Costs less?** {' '.join(answers)}"
    )
