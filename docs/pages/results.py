"""Pages of results: an overview, and for each environment figures, tables and comparisons.

Texts and tables are those of leaderboard/README.md, which `snn-gym table` writes; figures and the
table of all columns come from the same rows.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pages.copied import relinked, sources
from pages.markdown import dropdown, sortable, table
from snn_gym.leaderboard import COLUMNS, TableRow, table_rows
from snn_gym.leaderboard.results import Row, list_rows
from snn_gym.leaderboard.table import FEWEST_SEEDS, REFERENCES, line_of, references, section
from snn_gym.plots.style import GREY, style

Section = tuple[str, int, str]
"""Environment, its version and the budget class."""
SPIKING, ANN = "#D55E00", "#0072B2"
_HEADING = re.compile(r"^## (\S+), version (\d+) of the environment, (.+)$")
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
_OVERVIEW = """Each page below shows return against cost and the learning curves of one task.
Returns are means over seeds, of agents with at least {}.
[Words](../guide/words.md) explains the terms. Few agents here are the cheapest that serve:
[where spikes pay](../where-spikes-pay.md) has the smallest networks of both kinds.
"""
_CAPTION = (
    "*Return against operations of a decision: a small dot is a seed, a large mark the mean. "
    "Circles spike, squares do not. The line is the front: no agent that costs as little earns "
    "more; hollow marks are never on it. Learning curves: training returns, means over the seeds "
    "whose number the legend states; dashed lines are ANNs.*"
)
_WARM = ("#D55E00", "#E69F00", "#8C3A00", "#CC79A7", "#B8A100")
_COLD = ("#0072B2", "#56B4E9", "#00466E", "#009E73", "#7A7A7A")
_CURVE_POINTS = 200
_PANEL_INCHES = 3.6


def page_of(environment: str) -> str:
    """Return the path of an environment's results on the site."""
    return f"results/{environment.replace('/', '-')}.md"


def links_to(environments: Iterable[str]) -> str:
    """Return links to the results of some environments, from another folder of the site."""
    return ", ".join(f"[{name}](../{page_of(name)})" for name in environments)


def result_pages(root: Path, site: Path) -> dict[str, str]:
    """Return the text of each page by its path on the site, and draw the figures.

    Args:
        root: The repository.
        site: Folder of the site's source, for the figures.
    """
    place = "leaderboard/README.md"
    text = relinked((root / place).read_text(encoding="utf-8"), place, sources(root))
    head, *parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    rows = table_rows(root / "leaderboard")
    by_section = {key: list(lines) for key, lines in itertools.groupby(rows, key=section)}
    curves = _curves(list_rows(root / "leaderboard"))
    bodies, others = dict[str, list[tuple[int, str]]](), list[str]()
    (site / "results").mkdir(exist_ok=True)
    for part in parts:
        heading, _, body = part.partition("\n")
        found = _HEADING.match(heading)
        if found is None:
            others.append(part)
            continue
        environment, version, words = found.groups()
        key = next(x for x in by_section if x[:2] == (environment, int(version)) and x[2] in words)
        lines = by_section[key]
        shown = _section(
            f"Version {version} of the environment, {words}", body, lines, curves, site
        )
        bodies.setdefault(environment, []).append((-len(lines), shown))
    pages = {
        page_of(name): _environment_page(name, by_section, [text for _, text in sorted(found)])
        for name, found in bodies.items()
    }
    overview = _overview(by_section)
    pages["results/index.md"] = "\n".join([head, overview, *map(_sortable_tables, others)])
    return pages


def _environment_page(
    name: str, by_section: Mapping[Section, Sequence[TableRow]], bodies: Sequence[str]
) -> str:
    """Return the page of an environment, the section of the most agents first."""
    card = next(x.card for lines in by_section.values() for x in lines if x.environment == name)
    task = f"[The task](../environments/{card}.md). " if card else ""
    head = f"# Results on {name}\n\n{task}[Columns and marks](index.md#columns).\n"
    return "\n".join([head, *bodies])


def _section(
    heading: str,
    body: str,
    lines: Sequence[TableRow],
    curves: Mapping[object, Sequence[Row]],
    site: Path,
) -> str:
    """Return one version and budget class: reference scores, figure, tables, all columns."""
    reference, *tables = _TABLE.split(body)
    first, *rest = _TABLE.findall(body)
    name = f"{page_of(lines[0].environment).removesuffix('.md')}-{lines[0].budget_class}"
    figure = draw_section(lines, curves)
    shown = []
    if figure is not None:
        figure.savefig(site / f"{name}.png")
        alt = f"Return against cost, and learning curves, on {lines[0].environment}"
        shown = [f"![{alt}](../{name}.png)", "", _CAPTION, ""]
    parts = [
        f"## {heading}",
        "",
        reference.strip(),
        "",
        *shown,
        sortable(_with_kinds(first, lines)),
    ]
    if rest:
        parts.append(dropdown("Against twins and origins", sortable(rest[0])))
    every = sortable(table(COLUMNS, [line.cells() for line in lines]))
    return "\n".join([*parts, dropdown("All columns", every), *filter(str.strip, tables[1:])])


def _with_kinds(markdown: str, lines: Sequence[TableRow]) -> str:
    """Return the table of a section with linked agents, and whether each spikes."""
    head, rule, *rows = markdown.splitlines()
    texts = [head.replace("| Agent |", "| Agent | Kind |", 1), f"| --- {rule}"]
    for text, line in zip(rows, lines, strict=True):
        kind = "spiking" if line.spiking else "ANN"
        texts.append(text.replace(f"| {line.name} |", f"| {_link(line)} | {kind} |", 1))
    return "\n".join(texts)


def _sortable_tables(part: str) -> str:
    """Return a part of the Markdown whose tables, but for definitions, can be sorted."""
    return _TABLE.sub(
        lambda found: found[0] if found[0].startswith("| column |") else sortable(found[0]), part
    )


# ---- overview ------------------------------------------------------------------------------------
def _overview(by_section: Mapping[Section, Sequence[TableRow]]) -> str:
    """Return the table of tasks with the best agents."""
    cells = []
    for (environment, _, budget_class), rows in by_section.items():
        if budget_class != "gradient":
            continue
        link = f"[{environment}]({page_of(environment).removeprefix('results/')})"
        cells.append((link, *(_best(rows, x) for x in (True, False))))
    listed = sortable(table(("Task", "Best spiking agent", "Best ANN"), cells))
    return f"## Tasks\n\n{_OVERVIEW.format(FEWEST_SEEDS)}\n{listed}"


def _best(rows: Sequence[TableRow], spiking: bool) -> str:
    """Return the agent of the highest mean over enough seeds, with the mean."""
    own = [x for x in rows if x.spiking == spiking and len(x.seeds) >= FEWEST_SEEDS]
    best = max(own, key=lambda row: row.mean, default=None)
    return "–" if best is None else f"{_link(best)} {best.score(best.mean)}"


def _link(row: TableRow) -> str:
    return f"[{row.name}](../agents/{row.agent}.md)"


def ranks(row: TableRow) -> bool:
    """Return whether a row may be on the front: enough seeds, of which one was trained again."""
    return row.trained_again > 0 and len(row.seeds) >= FEWEST_SEEDS


# ---- figures -------------------------------------------------------------------------------------
def _curves(rows: Iterable[Row]) -> dict[object, list[Row]]:
    """Return the rows with a learning curve by the line of the table that they belong to."""
    found: dict[object, list[Row]] = {}
    for row in rows:
        if row.learning_curve is not None:
            found.setdefault(line_of(row), []).append(row)
    return found


def draw_section(
    lines: Sequence[TableRow], curves: Mapping[object, Sequence[Row]]
) -> Figure | None:
    """Return the figure of a section, None if no two lines have a cost and none has a curve.

    Args:
        lines: Lines of the table with one environment, version and budget class.
        curves: Rows by `line_of`.
    """
    priced = [line for line in lines if line.operations_per_decision]
    trained = {x: rows for x in lines if (rows := curves.get((*section(x), x.agent, x.derived)))}
    drawn = [draw for draw, has in ((draw_front, len(priced) > 1), (draw_curves, trained)) if has]
    if not drawn:
        return None
    height = _PANEL_INCHES * len(drawn)
    with style():
        figure = Figure(figsize=(9.0, height), dpi=110)
        room = {"bottom": 0.5 / height, "top": 1 - 0.15 / height}
        figure.subplots_adjust(left=0.08, right=0.72, hspace=0.25, **room)
        panels = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
        for axes, draw in zip(panels, drawn, strict=True):
            _draw_references(axes, lines[0])
            if draw is draw_front:
                draw_front(axes, priced)
            else:
                draw_curves(axes, trained)
    return figure


def _draw_references(axes: Axes, line: TableRow) -> None:
    for key, score in references(line.reference).items():
        axes.axhline(score, color=GREY, linewidth=0.7, linestyle=":")
        axes.annotate(
            REFERENCES[key], (1.0, score), xycoords=("axes fraction", "data"),
            fontsize=7, color=GREY, va="bottom", ha="right",
        )  # fmt: skip


def front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the Pareto front of (price, score), from the lowest price to the highest."""
    best: list[tuple[float, float]] = []
    for price, score in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or score > best[-1][1]:
            best.append((price, score))
    return best


def draw_front(axes: Axes, lines: Sequence[TableRow]) -> None:
    """Draw return against cost: seeds, means, and the front with the names of its agents."""
    for line in lines:
        colour, marker = (SPIKING, "o") if line.spiking else (ANN, "s")
        cost = line.operations_per_decision or math.nan
        seeds = [cost] * len(line.seeds)
        axes.plot(seeds, line.seed_means, ".", color=colour, alpha=0.35, markersize=3)
        fill = colour if ranks(line) else "white"
        axes.plot(cost, line.mean, marker, color=colour, markerfacecolor=fill, markersize=6)
    best = {(x.operations_per_decision or 0.0, x.mean): x for x in lines if ranks(x)}
    steps = front(best)
    if steps:
        axes.step(*zip(*steps, strict=True), where="post", color="black", linewidth=1, zorder=0)
    for level, place in enumerate(steps):
        shift = (4, -11 if level % 2 else 5)
        axes.annotate(best[place].name, place, shift, textcoords="offset points", fontsize=8)
    axes.set(xscale="log", xlabel="operations of a decision", ylabel="mean return")


def draw_curves(axes: Axes, trained: Mapping[TableRow, Sequence[Row]]) -> None:
    """Draw the mean training return over environment steps of each agent with curves."""
    colours = {True: itertools.cycle(_WARM), False: itertools.cycle(_COLD)}
    for line, rows in trained.items():
        curves = [curve for row in rows if (curve := row.learning_curve) is not None]
        start, end = max(x.steps[0] for x in curves), min(x.steps[-1] for x in curves)
        steps = np.linspace(start, end, _CURVE_POINTS)
        returns = np.mean([np.interp(steps, x.steps, x.returns) for x in curves], axis=0)
        dash, spiking = ("-", True) if line.spiking else ("--", False)
        label = f"{line.name} ({len(curves)})"
        axes.plot(steps / 1000, returns, dash, color=next(colours[spiking]), label=label)
    axes.set(xlabel="environment steps (thousands)", ylabel="mean return of training episodes")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
