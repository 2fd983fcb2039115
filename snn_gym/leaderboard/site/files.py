"""Files of the results site: pages of agents, with commands that train again, and all others."""

from __future__ import annotations

import gzip
import importlib.resources
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snn_gym._base.folders import make_writable
from snn_gym._base.markup import Markup, element, joined
from snn_gym._base.storage import write_bytes_atomic
from snn_gym.leaderboard.headings import COLUMN_DEFINITIONS, FAULTS_HEADING, ROOM_COLUMNS
from snn_gym.leaderboard.manifest import MAX_ROW_BYTES
from snn_gym.leaderboard.rendering import class_in_words, price_column
from snn_gym.leaderboard.results import Row, parent_of, read_below, rows_by_weights, shown_rows
from snn_gym.leaderboard.site.environments import environment, faults_shown, overview
from snn_gym.leaderboard.site.layout import (
    GENERATOR,
    INDEX_NAME,
    SCRIPT_NAME,
    STYLE_NAME,
    Cell,
    Documentation,
    Site,
    agent_page,
    definitions,
    environment_page,
    file_stem,
    folded,
    from_markdown,
    number_cell,
    plain_table,
    rows_file,
    scrolling,
    section_address,
    sortable,
    sources_of,
)
from snn_gym.leaderboard.site.learning import CURVES_TEXT, trained, twin_figure
from snn_gym.leaderboard.site.marks import (
    SITE_COSTS,
    kind,
    legend,
    remarks,
    score_scale,
    seeds_drawing,
    texts,
)
from snn_gym.leaderboard.table import (
    TableRow,
    Unranked,
    line_of,
    mean_known,
    read_pricing,
    section,
    split_rows,
    summaries,
)
from snn_gym.program.costs import COST_COLUMNS
from snn_gym.program.prices import DEFAULT, MEASURED
from snn_gym.zoo import agent_ids
from snn_gym.zoo.recipe import Recipe


# ---- commands ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Training:
    """Training of rows that differ only in their seeds."""

    agent: str
    environment: str
    recipe: Recipe | None
    """None for imported agents."""
    seeding: str
    seeds: tuple[int, ...]
    teacher: Training | None = None
    """Training of the parents of lean rows, if these have the same seeds."""

    @property
    def place(self) -> str:
        """Folder of a seed below runs/ and submissions/, with the shell's ``$seed``."""
        return f"{file_stem(self.agent)}/{file_stem(self.environment)}/$seed"

    def commands(self) -> str | None:
        """Return a shell script that trains and verifies the rows again.

        None without a recipe, and for lean rows if their teacher's training is unknown.
        """
        lines = self._lines()
        if lines is None:
            return None
        loop = f"for seed in {' '.join(map(str, self.seeds))}; do"
        return "\n".join([loop, *(f"  {line}" for line in lines), "done"])

    def _lines(self) -> list[str] | None:
        """Return the commands that train, submit and verify a seed, those of its teacher first.

        Return None without a recipe, or if the teacher has no commands.
        """
        if self.recipe is None:
            return None
        before: list[str] = []
        retrain = ""
        if self.recipe.parent is None:
            train = self._train(self.recipe)
        else:
            if self.teacher is None or (taught := self.teacher._lines()) is None:
                return None
            before, retrain = taught, " --retrain"
            train = (
                f"snn-gym lean runs/{self.teacher.place} --student {shlex.quote(self.agent)} "
                f"--steps {self.recipe.steps} --out runs/{self.place}"
            )
        submit = f"snn-gym submit runs/{self.place} --out submissions/{self.place}"
        verify = f"snn-gym verify submissions/{self.place}{retrain} --leaderboard my-leaderboard"
        return [*before, train, submit, verify]

    def _train(self, recipe: Recipe) -> str:
        names = f"{shlex.quote(self.agent)} {shlex.quote(self.environment)}"
        if recipe.checkpoint_interval is not None:
            return (
                f"snn-gym train {names} --seed $seed --steps {recipe.steps} "
                f"--checkpoint-interval {recipe.checkpoint_interval} "
                f"--seeding {self.seeding} --out runs/{self.place}"
            )
        code = (
            "import sys, snn_gym; agent, env, seed, out = sys.argv[1:]; "
            f"model = snn_gym.make_agent(agent, env, int(seed), seeding='{self.seeding}'); "
            f"snn_gym.save_agent(model.learn({recipe.steps}), out)"
        )
        return f'python -c "{code}" {names} $seed runs/{self.place}'

    def in_words(self) -> str:
        """Return a note beside the commands, or in place of them."""
        if self.recipe is None:
            return (
                "Trained elsewhere: without a recipe, no command can train it again. The agent's "
                "card describes its training."
            )
        if self.recipe.parent is not None:
            row = f"whose weights have the SHA-256 {self.recipe.parent.weights_sha256}"
            if self.teacher is not None:
                row = f"of `{self.teacher.agent}` with the same seed"
            return f"Made lean from the row {row}, within {self.recipe.steps:,} environment steps."
        versions = ", ".join(f"{name} {version}" for name, version in self.recipe.versions.items())
        return (
            f"Trained with {versions or 'unknown versions'}. Other versions or another kind of "
            "processor may give other weights."
        )

    def loading(self) -> str:
        """Return the Python call that loads the row of the first seed."""
        return (
            f"snn_gym.load_pretrained({self.agent!r}, {self.environment!r}, pick={self.seeds[0]})"
        )


def trainings(rows: Sequence[Row], sources: Sequence[Row]) -> list[Training]:
    """Return a training for each group of rows that differ in seeds; ``sources`` have teachers."""
    teachers = rows_by_weights(sources)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(repr(_group_key(row, _teacher(row, teachers))), []).append(row)
    return [
        replace(
            _training(group[0], _teacher(group[0], teachers)),
            seeds=tuple(sorted(row.seed for row in group)),
        )
        for group in groups.values()
    ]


def _teacher(row: Row, rows: Mapping[str, Row]) -> Row | None:
    """Return the parent of a row in ``rows``, if it has the same seed, else None."""
    parent = parent_of(row, rows)
    return parent if parent is not None and parent.seed == row.seed else None


def _group_key(row: Row, teacher: Row | None) -> tuple[object, ...]:
    recipe = row.recipe
    if recipe is None:
        return (row.seeding,)
    parent = recipe.parent if teacher is None else (teacher.agent, *_group_key(teacher, None))
    # Without the processor, which changes no command.
    fields = recipe.steps, recipe.checkpoint_interval, sorted(recipe.versions.items())
    return (row.seeding, *fields, parent)


def _training(row: Row, teacher: Row | None) -> Training:
    before = None if teacher is None else _training(teacher, None)
    return Training(row.agent, row.environment, row.recipe, row.seeding, (row.seed,), before)


# ---- agents --------------------------------------------------------------------------------------
SHOWN = (
    "Seeds",
    "Mean",
    "95 % interval",
    "Solved",
    "Normalised",
    *(column.heading for column in COST_COLUMNS.values()),
    *SITE_COSTS,
    "Parameters",
    *ROOM_COLUMNS,
    "Steps",
    "Trained again",
)
"""Columns of numbers."""
ROW_COLUMNS = (
    "Seed",
    "Mean return",
    "Steps",
    "Played again",
    "Trained again",
    "Weights' SHA-256",
)
"""Headings of the table of an agent's rows."""
_SECTION_COLUMNS = ("Environment", "Class")
_UP = "../"


def agent(
    site: Site, rows: Sequence[TableRow], table: Sequence[TableRow], sources: Sequence[Row]
) -> str:
    """Return an agent's page from its lines ``rows``, all lines of the table, and stored rows."""
    name = rows[0].agent
    section_cells = [_section_cells(row) for row in rows]
    columns = tuple(dict.fromkeys((*SHOWN, *price_column(rows))))
    lines: list[list[Cell]] = []
    sections: list[Markup] = []
    for row, cells in zip(rows, section_cells, strict=True):
        others = [other for other in table if section(other) == section(row)]
        shown = texts(row, others)
        lines.append([*cells, *(number_cell(shown[column]) for column in columns)])
        sections += _section(site, row, others, sources)
    faulted = zip(rows, section_cells, strict=True)
    faults = joined(faults_shown(f"{name} with faults", _SECTION_COLUMNS, faulted))
    defined = COLUMN_DEFINITIONS | ROOM_COLUMNS | SITE_COSTS | price_column(rows)
    curves = element("p", element("strong", "Learning curves."), f" {CURVES_TEXT}")
    parts = [
        *_about(site, rows),
        element("h2", "Results and costs", id="results"),
        site.toolbar(()),
        sortable(f"Results of {name}", [*_SECTION_COLUMNS, *columns], lines),
        *[folded(FAULTS_HEADING, faults)] * bool(faults),
        *sections,
        *[curves] * any(trained(row, sources) for row in rows),
        definitions("Columns", {column: defined[column] for column in columns}),
        folded("Notes", joined(remarks(rows))),
    ]
    return site.page(name, joined(parts), up=_UP)


def _section_cells(row: TableRow) -> list[Cell]:
    link = element("a", row.environment, href=section_address(row, up=_UP))
    return [Cell(link), Cell(class_in_words(row.budget_class))]


def _about(site: Site, rows: Sequence[TableRow]) -> Iterator[Markup]:
    name, twin = rows[0].agent, next((row.twin for row in rows if row.twin), None)
    kinds = " and ".join(sorted({kind(row) for row in rows}))
    compared = (
        "" if twin is None else joined([", to compare with ", site.agent(twin, twin, up=_UP)])
    )
    yield element("p", joined([f"Kind: {kinds}", compared, "."]))
    if name in agent_ids():
        words = "The agent's card: its network and hyper-parameters"
        yield site.card(f"agents/{file_stem(name)}", words, up=_UP)
    yield site.films(name, up=_UP)


def _section(
    site: Site, row: TableRow, others: Sequence[TableRow], sources: Sequence[Row]
) -> Iterator[Markup]:
    """Yield the parts for one line of the table; ``others`` may hold its twin."""
    words = f"{row.environment}, {class_in_words(row.budget_class)}"
    yield element("h2", words)
    yield legend(row)
    yield scrolling(f"Seeds, {words}", seeds_drawing(row, score_scale([row])))
    yield twin_figure(site, row, others, sources, up=_UP)
    own = sources_of(row, sources)
    yield plain_table(f"Rows, {words}", ROW_COLUMNS, map(_row_cells, own))
    file = _UP + rows_file(row.agent, row.environment)
    yield element("p", element("a", "These rows as JSON, compressed", href=file, download=True))
    yield element("h3", "Train and verify it again")
    for training in trainings(own, sources):
        commands = training.commands()
        if commands is not None:
            yield element("pre", element("code", commands), tabindex=0)
        yield element("p", from_markdown(training.in_words()))
        yield element("p", "To load it: ", element("code", training.loading()))


def _row_cells(source: Row) -> list[str]:
    again = source.trained_again
    same = "–" if again is None else f"same {again.same}, {again.date[:10]}"
    return [
        str(source.seed),
        f"{source.score.mean:.6g}",
        f"{source.steps:,}",
        source.verified[:10],
        same,
        element("code", source.weights_sha256[:16]),
    ]


# ---- files ---------------------------------------------------------------------------------------
_HEAD_BYTES = 1024


def write_site(
    leaderboard: str | Path,
    folder: str | Path,
    *,
    documentation: Documentation | None = None,
    cost: str = DEFAULT,
) -> Path:
    """Write a leaderboard as a site of static pages; equal rows give equal files.

    Pages work from a file address and from any static host, without requests to other hosts.

    Args:
        leaderboard: Existing folder of the leaderboard.
        folder: Folder to write: absent, empty, or with an earlier site, whose pages are replaced.
        documentation: Built documentation that contains the site, for links to its cards; None for
            a separate site.
        cost: Name of the price of fronts and first columns.

    Returns:
        Path of the first page.

    Raises:
        ValueError: The leaderboard is missing, the folder holds other files or cannot be written,
            or as in ``table_rows``.
    """
    leaderboard, folder = Path(leaderboard), Path(folder)
    if not leaderboard.is_dir():
        raise ValueError(f"{leaderboard} is no folder; expected a leaderboard; verify a row first")
    sources = shown_rows(leaderboard)
    ranked, others = split_rows(leaderboard, sources)
    rows = summaries(ranked, sources, read_pricing(leaderboard, cost))
    measured = measured_prices(leaderboard, ranked)
    site = Site(frozenset(row.agent for row in rows), documentation, measured, cost)
    pages = site_pages(rows, sources, site, others)
    files = {name: text.encode() for name, text in pages.items()}
    together: dict[str, list[Any]] = {}
    for row in sources:
        content = json.loads(read_below(leaderboard, row.place, MAX_ROW_BYTES))
        together.setdefault(rows_file(row.agent, row.environment), []).append(content)
    for name, contents in together.items():
        text = json.dumps(contents, separators=(",", ":")).encode()
        # Compressed together, rows take a tenth of the room. Equal rows give equal files.
        files[name] = gzip.compress(text, mtime=0)
    make_writable(folder)
    if any(folder.iterdir()) and not _is_page(folder / INDEX_NAME):
        raise ValueError(
            f"{folder} is not empty and holds no site that `snn-gym table` wrote; name another "
            "folder"
        )
    _remove_others(folder, files)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomic(path, data)
    return folder / INDEX_NAME


def site_pages(
    rows: Sequence[TableRow],
    sources: Sequence[Row],
    site: Site | None = None,
    others: Sequence[Unranked] = (),
) -> dict[str, str]:
    """Return the text of every page, style sheet and script by path below the site's folder.

    ``rows`` are the table's lines, ``sources`` all stored rows, ``others`` those that do not rank.
    """
    site = site or Site(frozenset(row.agent for row in rows))
    package = importlib.resources.files(__package__)
    texts = {name: (package / name).read_text("utf-8") for name in (STYLE_NAME, SCRIPT_NAME)}
    texts[INDEX_NAME] = overview(site, rows, others)
    for name in sorted({row.environment for row in rows}):
        own = [row for row in rows if row.environment == name]
        texts[environment_page(name)] = environment(site, own, sources)
    for name in sorted(site.agents):
        own = [row for row in rows if row.agent == name]
        texts[agent_page(name)] = agent(site, own, rows, sources)
    return texts


def measured_prices(leaderboard: Path, rows: Sequence[Row]) -> dict[tuple[object, ...], float]:
    """Return means of measured prices, by the price's name and the key of a line of the table."""
    groups: dict[tuple[object, ...], list[float | None]] = {}
    for name in MEASURED:
        pricing = read_pricing(leaderboard, name)
        for row in rows:
            values = groups.setdefault((name, *line_of(row)), [])
            values.append(pricing.measured.get(row.weights_sha256))
    means = {key: mean_known(values) for key, values in groups.items()}
    return {key: mean for key, mean in means.items() if mean is not None}


def _remove_others(folder: Path, names: Iterable[str]) -> None:
    """Remove pages and rows of an earlier site that are not written again."""
    expected = {folder / name for name in names}
    for path in (*folder.rglob("*.html"), *folder.glob("rows/*/*/*.json*")):
        if path not in expected and (path.suffix in (".json", ".gz") or _is_page(path)):
            path.unlink()


def _is_page(path: Path) -> bool:
    """Return whether a path is a file that begins as every page of a site."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return GENERATOR.encode() in file.read(_HEAD_BYTES)
