"""First page, and pages of environments: tables, fronts and comparisons."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from snn_gym._base.markup import Markup, element, joined
from snn_gym.leaderboard.comparison import (
    COMPARISON_COLUMNS,
    COMPARISON_DEFINITIONS,
    MARGIN,
    PROFILE_COLUMNS,
    PROFILE_DEFINITIONS,
    comparisons,
    not_inferior,
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
from snn_gym.leaderboard.site.front import PANEL, front_figure, front_rows, ranks, unproven_front
from snn_gym.leaderboard.site.layout import (
    Cell,
    Site,
    anchor,
    definitions,
    folded,
    from_markdown,
    number_cell,
    plain_table,
    rows_file,
    scrolling,
    section_address,
    sortable,
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
from snn_gym.program.prices import known_price


# ---- faults --------------------------------------------------------------------------------------
def faults_shown(
    name: str, headings: Sequence[str], rows: Iterable[tuple[TableRow, Sequence[Cell]]]
) -> Iterator[Markup]:
    """Yield table and definitions of fault retention; nothing if no row has any.

    Each row comes with its first cells, which stand under ``headings``.
    """
    lines = [[*cells, *map(number_cell, row.fault_cells())] for row, cells in rows if row.faulted]
    if lines:
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
    first, *others = by_class(rows)
    card = rows[-1].card
    columns = (all_columns(rows) | SITE_COSTS).items()
    known = ("Agent", "Twin", *SHOWN, *price_column(rows))
    shown = {name: text for name, text in columns if name in known}
    parts = [
        site.card(card and f"environments/{card}", "The environment's card", up=_UP),
        site.films(rows[0].environment, up=_UP),
        site.toolbar(rows),
        *_section(site, first, sources),
        *(folded(_words(group), joined(_section(site, group, sources))) for group in others),
        definitions("Columns", shown | KIND),
        folded("Notes", joined(remarks(rows))),
    ]
    return site.page(rows[0].environment, joined(parts), up=_UP)


def by_class(rows: Sequence[TableRow]) -> list[list[TableRow]]:
    """Return the sections of rows, of the class and version with the most rows first."""
    groups: dict[tuple[object, ...], list[TableRow]] = {}
    for row in rows:
        groups.setdefault(section(row), []).append(row)
    return sorted(groups.values(), key=len, reverse=True)


def _words(rows: Sequence[TableRow]) -> str:
    return f"Version {rows[0].environment_version}, {class_in_words(rows[0].budget_class)}"


def _section(site: Site, rows: Sequence[TableRow], sources: Sequence[Row]) -> Iterator[Markup]:
    """Yield figures and tables of one version and budget class, the details folded."""
    words = _words(rows)
    yield element("h2", words, id=anchor(rows[0]))
    yield element(
        "div",
        front_figure(site, rows, words, up=_UP),
        ranking(site, rows, up=_UP),
        class_="answer",
    )
    yield element("h3", "Seeds")
    yield legend(rows[0])
    yield _seeds(site, words, rows)
    yield learning_figures(site, rows, sources, up=_UP)
    yield folded("All columns", _table(site, words, rows))
    pairs = [
        [
            *(site.agent(row.agent, row.name, up=_UP) for row in (pair.row, pair.other)),
            *pair.cells()[2:],
        ]
        for pair in comparisons(rows)
    ]
    if pairs:
        table = plain_table(f"Agents against twins and origins, {words}", COMPARISON_COLUMNS, pairs)
        meanings = definitions("Columns", COMPARISON_DEFINITIONS)
        yield folded("Against twins and origins", joined([table, meanings]))
    cells = [
        (row, [Cell(site.agent(row.agent, row.name, up=_UP)), Cell(kind(row))]) for row in rows
    ]
    faults = joined(faults_shown(f"With faults, {words}", ["Agent", "Kind"], cells))
    if faults:
        yield folded(FAULTS_HEADING, faults)


def _seeds(site: Site, words: str, rows: Sequence[TableRow]) -> Markup:
    """Return the table of drawings of seeds, means and intervals."""
    scale = score_scale(rows)
    lines = []
    for row in sorted(rows, key=lambda row: -row.mean):
        shown = texts(row, rows)
        name = Cell(site.agent(row.agent, shown["Agent"], up=_UP))
        numbers = [number_cell(shown[x]) for x in ("Mean", "95 % interval", "Seeds")]
        drawing = Cell(seeds_drawing(row, scale), row.mean)
        lines.append([name, drawing, Cell(shown["Kind"]), *numbers])
    ends = " to ".join(map(rows[0].score, (scale.low, scale.high)))
    headings = ["Agent", f"Return, {ends}", "Kind", "Mean", "95 % interval", "Seeds"]
    return sortable(f"Seeds, {words}", headings, lines)


def _table(site: Site, words: str, rows: Sequence[TableRow]) -> Markup:
    columns = all_columns(rows) | SITE_COSTS
    names = [name for name in dict.fromkeys((*SHOWN, *price_column(rows))) if name in columns]
    lines = []
    for row in rows:
        shown = texts(row, rows)
        first = [
            Cell(site.agent(row.agent, shown["Agent"], up=_UP)),
            Cell(shown["Kind"]),
            Cell(site.agent(row.twin or "", shown["Twin"], up=_UP)),
        ]
        lines.append([*first, *(number_cell(shown[name]) for name in names)])
    return sortable(f"Results, {words}", ["Agent", "Kind", "Twin", *names], lines)


# ---- ranking -------------------------------------------------------------------------------------
_UNPROVEN = "on the front, if its training were reproduced"


def ranking(site: Site, rows: Sequence[TableRow], *, up: str) -> Markup:
    """Return rows of a section as a list: not inferior to the best and cheap first.

    The style sheet orders entries by the price that is chosen.
    """
    kept, prices = not_inferior([row for row in rows if ranks(row)]), site.prices(rows)
    best = {price: front_rows(site, rows, price) for price in prices}
    unproven = {price: unproven_front(site, rows, price) for price in prices}
    orders = {price: _order(site, rows, kept, price) for price in prices}
    entries = []
    for row in sorted(rows, key=orders[prices[0]].index) if prices else rows:
        costs = [
            element("span", row.cost(site.price(row, x), decimals=0), class_=f"by {x}")
            for x in prices
        ]
        badges = [element("span", "not inferior to the best")] * (row in kept)
        badges += [
            element("span", f" · {text}" if badges else text, class_=f"by {x}")
            for text, places in (("on the front", best), (_UNPROVEN, unproven))
            for x in prices
            if row in places[x]
        ]
        parts = [
            element("span", class_="mark"),
            element("span", site.agent(row.agent, row.name, up=up)),
            element("span", row.score(row.mean)),
            element("span", *costs, class_="cost"),
            element("span", *badges, class_="badges"),
        ]
        classes = {"spiking": row.spiking, "lower": row not in kept}
        entries.append(
            element(
                "li",
                *parts,
                class_=" ".join(key for key, value in classes.items() if value) or None,
                style=";".join(f"--{x}-order:{orders[x].index(row)}" for x in prices) or None,
            )
        )
    listed = element("ol", *entries, class_="ranking")
    return scrolling(f"Ranking, {rows[0].environment}, {_words(rows)}", listed)


def _order(
    site: Site, rows: Sequence[TableRow], kept: Mapping[TableRow, float], price: str
) -> list[TableRow]:
    """Return rows that are not inferior by price, others by mean, unranked ones last."""
    costs = {row: site.price(row, price) for row in rows}
    cheap = sorted((x for x in rows if x in kept), key=lambda x: costs[x] or math.inf)
    return cheap + sorted([x for x in rows if x not in kept], key=lambda x: (not ranks(x), -x.mean))


# ---- overview ------------------------------------------------------------------------------------
_INTRODUCTION = """Which agent does a task at the least cost, and does it spike? Every point is an \
agent, and every row was run again by `snn-gym verify` before it was written. A list begins with \
the agents that are not inferior to the best (margin {:.0%} of the way from random play to \
`solved`), the cheapest first. It ends with those that do not rank.
"""
_SCORES = """Scores are *normalised*: 0 is random play, and 1 is the oracle of the environment's \
card or, without an oracle, `solved`. Below each score are the {} and the number of seeds.
"""


def overview(site: Site, rows: Sequence[TableRow], others: Sequence[Unranked] = ()) -> str:
    """Return the first page; ``others`` are the rows that do not rank."""
    parts = [element("p", from_markdown(_INTRODUCTION.format(MARGIN)))]
    if not rows:
        empty = element("p", "There are no results yet.")
        return site.page("Results", joined([*parts, empty, *_unranked(others)]))
    counts = Counter(row.budget_class for row in rows)
    groups = [[x for x in rows if x.budget_class == name] for name, _ in counts.most_common()]
    scores = []
    for group in groups:
        words = class_in_words(group[0].budget_class)
        tables = joined(_matrices(site, words, group))
        scores.append(folded(words.capitalize(), tables, unfolded=group is groups[0]))
    parts += [
        site.toolbar(rows),
        _marks(),
        *_answers(site, groups[0]),
        element("h2", "All scores", id="scores"),
        element("p", from_markdown(_SCORES.format(known_price(rows[0].priced_by).axis))),
        *scores,
        *_profiles(site, rows),
        *_unranked(others),
        definitions("Columns", KIND | price_column(rows) | SITE_COSTS),
        folded("Notes", joined(remarks(rows))),
    ]
    return site.page("Results", joined(parts))


def _marks() -> Markup:
    """Return the legend of points and entries."""
    kinds = {"spiking": "spiking", None: "ANN", "spiking hollow": "does not rank"}
    entries = [
        element("li", element("span", class_="mark"), f" {text}", class_=name)
        for name, text in kinds.items()
    ]
    return element("ul", *entries, class_="legend")


def _answers(site: Site, rows: Sequence[TableRow]) -> Iterator[Markup]:
    """Yield figure and ranking of the newest version of each task in a budget class."""
    newest = {row.environment: row.environment_version for row in rows}
    for heading, native in (("Classic control, Box2D, MuJoCo", False), ("Native tasks", True)):
        panels = []
        for name, version in newest.items():
            group = [x for x in rows if (x.environment, x.environment_version) == (name, version)]
            if group[0].is_native == native:
                title = element("a", name, href=section_address(group[0]))
                figure = front_figure(site, group, name, up="", plot=PANEL)
                parts = element("h3", title), figure, ranking(site, group, up="")
                panels.append(element("section", *parts, class_="panel"))
        if panels:
            yield element("h2", heading)
            yield element("div", *panels, class_="tasks")


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
    agents = sorted({(row.agent, row.derived) for row in rows})
    for agent, derived in sorted(agents, key=lambda key: _rank(newest, key), reverse=True):
        cells = [newest.get((agent, derived, environment)) for environment in environments]
        kinds = {kind(row) for row in cells if row is not None}
        name = site.agent(agent, marked_name(agent, derived=derived))
        lines.append([Cell(name), Cell(", ".join(sorted(kinds))), *map(_cell, cells)])
    return sortable(f"Normalised scores, {words}", ["Agent", "Kind", *environments], lines)


def _rank(
    rows: Mapping[tuple[str, bool, str], TableRow], agent: tuple[str, bool]
) -> tuple[int, float]:
    """Return the number of an agent's tasks, and its mean normalised score."""
    scores = [x.normalised for key, x in rows.items() if key[:2] == agent]
    known = [x for x in scores if x is not None]
    return len(known), sum(known) / max(1, len(known))


def _cell(row: TableRow | None) -> Cell:
    if row is None:
        return Cell("–")
    score = (
        "not comparable"
        if row.normalised is None
        else f"{round(row.normalised, 2) + 0.0:.2f}"  # no -0.00
    )
    cost = row.cost(row.price, decimals=0)
    below = seeds_in_words(row) if cost == "–" else f"{cost}; {seeds_in_words(row)}"
    link = element("a", score, href=section_address(row))
    return Cell(joined([link, " ", element("small", below)]), row.normalised)


def _unranked(others: Sequence[Unranked]) -> Iterator[Markup]:
    """Yield the rows that do not rank, with reasons and files."""
    if not others:
        return
    lines = []
    for other in others:
        row, cells = other.row, list(other.cells())
        file = rows_file(row.agent, row.environment)
        lines.append([*cells[:3], element("a", cells[3], href=file, download=True), *cells[4:]])
    table = plain_table(UNRANKED_HEADING, list(UNRANKED_COLUMNS), lines)
    text = element("p", from_markdown(UNRANKED_TEXT))
    yield folded(UNRANKED_HEADING, joined([text, table]))


def _profiles(site: Site, rows: Sequence[TableRow]) -> Iterator[Markup]:
    lines = [
        [site.agent(agent, agent), site.agent(twin, twin), *others]
        for agent, twin, *others in (profile.cells() for profile in profiles(rows))
    ]
    if not lines:
        return
    heading, _, text = PROFILES_TEXT.partition("\n\n")
    parts = [
        element("p", from_markdown(text)),
        plain_table("Performance profiles", PROFILE_COLUMNS, lines),
        definitions("Columns", PROFILE_DEFINITIONS),
    ]
    yield folded(heading.removeprefix("## "), joined(parts))
