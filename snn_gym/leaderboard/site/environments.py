"""First page, and pages of environments: tables, fronts and comparisons."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from snn_gym._base.markup import Markup, element, joined
from snn_gym.leaderboard.comparison import (
    COMPARISON_COLUMNS,
    COMPARISON_DEFINITIONS,
    PROFILE_COLUMNS,
    PROFILE_DEFINITIONS,
    comparisons,
    profiles,
)
from snn_gym.leaderboard.headings import (
    FAULT_COLUMNS,
    FAULTS_HEADING,
    RETENTION_TEXT,
    ROOM_COLUMNS,
    UNRANKED_COLUMNS,
    UNRANKED_HEADING,
    UNRANKED_TEXT,
)
from snn_gym.leaderboard.rendering import (
    PROFILES_TEXT,
    all_columns,
    class_in_words,
    price_column,
)
from snn_gym.leaderboard.results import Row
from snn_gym.leaderboard.site.elements import (
    Cell,
    definitions,
    from_markdown,
    number_cell,
    plain_table,
    sortable,
)
from snn_gym.leaderboard.site.front import front_figure
from snn_gym.leaderboard.site.layout import (
    Site,
    anchor,
    environment_page,
    row_file,
    section_address,
)
from snn_gym.leaderboard.site.learning import learning_figures
from snn_gym.leaderboard.site.marks import (
    KIND,
    SITE_COSTS,
    kind,
    legend,
    remarks,
    score_scale,
    seeds_drawing,
    seeds_in_words,
    texts,
)
from snn_gym.leaderboard.table import TableRow, Unranked, marked_name, section
from snn_gym.program.prices import DEFAULT, known_price


# ---- faults --------------------------------------------------------------------------------------
def faults_shown(
    name: str, headings: Sequence[str], rows: Iterable[tuple[TableRow, Sequence[Cell]]]
) -> Iterator[Markup]:
    """Yield heading, table and definitions of fault retention; nothing if no row has any.

    Each row comes with its first cells, which stand under ``headings``.
    """
    lines = [[*cells, *map(number_cell, row.fault_cells())] for row, cells in rows if row.faulted]
    if lines:
        yield element("h3", FAULTS_HEADING)
        yield element("p", from_markdown(RETENTION_TEXT))
        yield sortable(name, [*headings, *FAULT_COLUMNS], lines)
        yield definitions("Columns", FAULT_COLUMNS)


# ---- environments --------------------------------------------------------------------------------
SHOWN = (
    "Seeds",
    "Mean",
    "95 % interval",
    "Operations",
    "Solved",
    "Normalised",
    "Twin's mean",
    "IQM",
    "Worst seed",
    "Worst 5 %",
    "Coverage",
    "Spikes",
    "SynOps",
    "MACs",
    "Energy (nJ)",
    "Regime",
    "Parameters",
    *ROOM_COLUMNS,
    "Steps",
    "Trained again",
    "Hidden seeds",
)
"""Columns of numbers, if a table has them."""
_UP = "../"


def environment(site: Site, rows: Sequence[TableRow], sources: Sequence[Row]) -> str:
    """Return the page of an environment, whose table lines are ``rows``."""
    parts = list(_card(site, rows[-1]))
    for _, group in itertools.groupby(rows, key=section):
        parts += _section(site, list(group), sources)
    columns = (all_columns(rows) | SITE_COSTS).items()
    known = ("Agent", "Twin", *SHOWN, *price_column(rows))
    shown = {name: text for name, text in columns if name in known}
    parts += [*remarks(rows), definitions("Columns", shown | KIND)]
    return site.page(rows[0].environment, joined(parts), up=_UP)


def _card(site: Site, row: TableRow) -> Iterator[Markup]:
    address = None if row.card is None else site.card(f"environments/{row.card}", up=_UP)
    if address is not None:
        yield element("p", element("a", "The environment's card", href=address))


def _section(site: Site, rows: Sequence[TableRow], sources: Sequence[Row]) -> Iterator[Markup]:
    """Yield tables and figures of one version and budget class."""
    words = f"Version {rows[0].environment_version}, {class_in_words(rows[0].budget_class)}"
    yield element("h2", words, id=anchor(rows[0]))
    yield legend(rows[0])
    yield _table(site, words, rows)
    yield front_figure(rows, words, up=_UP)
    yield learning_figures(site, rows, sources, up=_UP)
    pairs = [
        [
            *(site.agent(row.agent, row.name, up=_UP) for row in (pair.row, pair.other)),
            *pair.cells()[2:],
        ]
        for pair in comparisons(rows)
    ]
    if pairs:
        yield element("h3", "Against twins and origins")
        yield plain_table(f"Agents against twins and origins, {words}", COMPARISON_COLUMNS, pairs)
        yield definitions("Columns", COMPARISON_DEFINITIONS)
    cells = [
        (row, [Cell(site.agent(row.agent, row.name, up=_UP)), Cell(kind(row))]) for row in rows
    ]
    yield from faults_shown(f"With faults, {words}", ["Agent", "Kind"], cells)


def _table(site: Site, words: str, rows: Sequence[TableRow]) -> Markup:
    scale = score_scale(rows)
    columns = all_columns(rows) | SITE_COSTS
    names = [name for name in dict.fromkeys((*SHOWN, *price_column(rows))) if name in columns]
    lines = []
    for row in rows:
        shown = texts(row, rows)
        first = [
            Cell(site.agent(row.agent, shown["Agent"], up=_UP)),
            Cell(seeds_drawing(row, scale), row.mean),
            Cell(shown["Kind"]),
            Cell(site.agent(row.twin or "", shown["Twin"], up=_UP)),
        ]
        lines.append([*first, *(number_cell(shown[name]) for name in names)])
    ends = " to ".join(map(rows[0].score, (scale.low, scale.high)))
    return sortable(
        f"Results, {words}", ["Agent", f"Return, {ends}", "Kind", "Twin", *names], lines
    )


# ---- overview ------------------------------------------------------------------------------------
_INTRODUCTION = """Every row was run again by `snn-gym verify` before it was written. Scores are \
*normalised*: 0 is random play, and 1 is the oracle of the environment's card or, without an \
oracle, `solved`. Below each score are the {} and the number of seeds. A \
score links to its environment, with drawings of seeds, intervals and reference scores. A name \
links to the agent, with its costs and the commands that train it again.
"""


def overview(site: Site, rows: Sequence[TableRow], others: Sequence[Unranked] = ()) -> str:
    """Return the first page; ``others`` are the rows that do not rank."""
    axis = known_price(rows[0].priced_by if rows else DEFAULT).axis
    parts = [element("p", from_markdown(_INTRODUCTION.format(axis)))]
    if not rows:
        empty = element("p", "There are no results yet.")
        return site.page("Results", joined([*parts, empty, *_unranked(others)]))
    counts = Counter(row.budget_class for row in rows)
    by_class = sorted(rows, key=lambda row: (-counts[row.budget_class], row.budget_class))
    for budget_class, group in itertools.groupby(by_class, key=lambda row: row.budget_class):
        words = class_in_words(budget_class)
        heading = words[0].upper() + words[1:]
        parts += [element("h2", heading, id=budget_class), *_matrices(site, words, list(group))]
    parts += [*_environments(rows), *_profiles(site, rows), *_unranked(others), *remarks(rows)]
    parts += [definitions("Columns", KIND | price_column(rows) | SITE_COSTS)]
    return site.page("Results", joined(parts))


def _matrices(site: Site, words: str, rows: Sequence[TableRow]) -> Iterator[Markup]:
    """Yield tables of a class, for native and other tasks apart, because their agents differ."""
    kinds = {"native tasks": True, "other tasks": False}
    groups = {name: [x for x in rows if x.is_native == native] for name, native in kinds.items()}
    for name, group in groups.items():
        if group:
            if all(groups.values()):
                yield element("h3", name[0].upper() + name[1:])
            yield _matrix(site, f"{words}, {name}", group)


def _matrix(site: Site, words: str, rows: Sequence[TableRow]) -> Markup:
    """Return the table of rows, with the newest version of each environment."""
    environments = sorted({row.environment for row in rows})
    newest = {
        (row.agent, row.derived, row.environment): row
        for row in sorted(rows, key=lambda row: row.environment_version)
    }
    lines = []
    for agent, derived in sorted({(row.agent, row.derived) for row in rows}):
        cells = [newest.get((agent, derived, environment)) for environment in environments]
        kinds = {kind(row) for row in cells if row is not None}
        name = site.agent(agent, marked_name(agent, derived=derived))
        lines.append([Cell(name), Cell(", ".join(sorted(kinds))), *map(_cell, cells)])
    return sortable(f"Normalised scores, {words}", ["Agent", "Kind", *environments], lines)


def _cell(row: TableRow | None) -> Cell:
    if row is None:
        return Cell("–")
    score = "not comparable"
    if row.normalised is not None:
        score = f"{round(row.normalised, 2) + 0.0:.2f}"  # no -0.00
    cost = row.cost(row.price, decimals=0)
    below = seeds_in_words(row) if cost == "–" else f"{cost}; {seeds_in_words(row)}"
    link = element("a", score, href=section_address(row))
    return Cell(joined([link, " ", element("small", below)]), row.normalised)


def _environments(rows: Sequence[TableRow]) -> Iterator[Markup]:
    yield element("h2", "Environments", id="environments")
    links = [
        element("li", element("a", name, href=environment_page(name)))
        for name in sorted({row.environment for row in rows})
    ]
    yield element("ul", *links, class_="columns")


def _unranked(others: Sequence[Unranked]) -> Iterator[Markup]:
    """Yield the rows that do not rank, with reasons and files."""
    if not others:
        return
    yield element("h2", UNRANKED_HEADING, id="other-recipes")
    yield element("p", from_markdown(UNRANKED_TEXT))
    lines = []
    for other in others:
        row, cells = other.row, list(other.cells())
        file = row_file(row.agent, row.environment, row.seed)
        lines.append([*cells[:3], element("a", cells[3], href=file, download=True), *cells[4:]])
    yield plain_table(UNRANKED_HEADING, list(UNRANKED_COLUMNS), lines)


def _profiles(site: Site, rows: Sequence[TableRow]) -> Iterator[Markup]:
    lines = [
        [site.agent(agent, agent), site.agent(twin, twin), *others]
        for agent, twin, *others in (profile.cells() for profile in profiles(rows))
    ]
    if not lines:
        return
    heading, _, text = PROFILES_TEXT.partition("\n\n")
    yield element("h2", heading.removeprefix("## "), id="profiles")
    yield element("p", from_markdown(text))
    yield plain_table("Performance profiles", PROFILE_COLUMNS, lines)
    yield definitions("Columns", PROFILE_DEFINITIONS)
