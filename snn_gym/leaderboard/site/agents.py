"""The page of an agent: its results with all costs, commands that train it again, its rows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from snn_gym.leaderboard.headings import COLUMN_DEFINITIONS, ROOM_COLUMNS
from snn_gym.leaderboard.rendering import class_in_words
from snn_gym.leaderboard.results import Row
from snn_gym.leaderboard.site.elements import (
    Cell,
    Markup,
    definitions,
    element,
    from_markdown,
    joined,
    number_cell,
    plain_table,
    scrolling,
    sortable,
)
from snn_gym.leaderboard.site.environments import faults_shown
from snn_gym.leaderboard.site.layout import Site, file_stem, row_file, section_address, sources_of
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
from snn_gym.leaderboard.table import TableRow, section
from snn_gym.program.costs import COST_COLUMNS
from snn_gym.zoo import agent_ids
from snn_gym.zoo.recipe import Recipe


# ---- commands ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Training:
    """How rows that differ in their seeds alone were trained."""

    agent: str
    """Name of the agent."""
    environment: str
    """Gymnasium id."""
    recipe: Recipe | None
    """By what; None for agents that were trained elsewhere."""
    seeding: str
    """How their environments were seeded."""
    seeds: tuple[int, ...]
    """Their seeds."""
    teacher: Training | None = None
    """How the rows of the same seeds were trained that these were made lean from, if they were."""

    @property
    def place(self) -> str:
        """Folder of a seed, among runs and among submissions."""
        return f"{file_stem(self.agent)}/{file_stem(self.environment)}/$seed"

    def commands(self) -> str | None:
        """Return what a shell runs to train and verify them again; None where nothing does."""
        lines = self._lines()
        if lines is None:
            return None
        loop = f"for seed in {' '.join(map(str, self.seeds))}; do"
        return "\n".join([loop, *(f"  {line}" for line in lines), "done"])

    def _lines(self) -> list[str] | None:
        """Return the commands of one seed, those of its teacher before them."""
        if self.recipe is None:
            return None
        before, verify = list[str](), f"snn-gym verify submissions/{self.place}"
        if self.recipe.parent is None:
            train = self._train(self.recipe)
        else:
            if self.teacher is None or (taught := self.teacher._lines()) is None:
                return None
            before, verify = taught, f"{verify} --retrain"
            train = (
                f"snn-gym lean runs/{self.teacher.place} --student {shlex.quote(self.agent)} "
                f"--steps {self.recipe.steps} --out runs/{self.place}"
            )
        submit = f"snn-gym submit runs/{self.place} --out submissions/{self.place}"
        return [*before, train, submit, f"{verify} --leaderboard my-leaderboard"]

    def _train(self, recipe: Recipe) -> str:
        if recipe.checkpoint_interval is None:
            return self._in_python(recipe, f"runs/{self.place}")
        return (
            f"snn-gym train {shlex.quote(self.agent)} {shlex.quote(self.environment)} "
            f"--seed $seed --steps {recipe.steps} "
            f"--checkpoint-interval {recipe.checkpoint_interval} "
            f"--seeding {self.seeding} --out runs/{self.place}"
        )

    def _in_python(self, recipe: Recipe, folder: str) -> str:
        code = (
            "import sys, snn_gym; agent, env, seed, out = sys.argv[1:]; "
            f"model = snn_gym.make_agent(agent, env, int(seed), seeding='{self.seeding}'); "
            f"snn_gym.save_agent(model.learn({recipe.steps}), out)"
        )
        names = f"{shlex.quote(self.agent)} {shlex.quote(self.environment)}"
        return f'python -c "{code}" {names} $seed {folder}'

    def in_words(self) -> str:
        """Return what has to be said beside the commands, or in their place."""
        if self.recipe is None:
            return (
                "Trained elsewhere: there is no recipe, so that nobody can train it again by a "
                "command. The agent's card says who trained it and how."
            )
        if self.recipe.parent is not None:
            named = f"whose weights have the SHA-256 {self.recipe.parent.weights_sha256}"
            if self.teacher is not None:
                named = f"of `{self.teacher.agent}` with the same seed"
            return (
                f"Made lean from the row {named}, within {self.recipe.steps:,} environment steps."
            )
        versions = ", ".join(f"{name} {version}" for name, version in self.recipe.versions.items())
        return (
            f"Trained under {versions or 'versions that are not known'}. Under others, or on a "
            "processor of another kind, weights may be others."
        )

    def loading(self) -> str:
        """Return the line of Python that loads the first of them."""
        return (
            f"snn_gym.load_pretrained({self.agent!r}, {self.environment!r}, pick={self.seeds[0]})"
        )


def trainings(rows: Sequence[Row], sources: Sequence[Row]) -> list[Training]:
    """Return how rows were trained, those together that differ in their seeds alone.

    Args:
        rows: Of one agent on one environment.
        sources: Stored rows, those that these were made lean from among them.
    """
    teachers = {row.weights_sha256: row for row in sources}
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(repr(_alike(row, _teacher(row, teachers))), []).append(row)
    return [
        replace(
            _training(alike[0], _teacher(alike[0], teachers)),
            seeds=tuple(sorted(row.seed for row in alike)),
        )
        for alike in found.values()
    ]


def _teacher(row: Row, rows: Mapping[str, Row]) -> Row | None:
    """Return what a row was made lean from, if that is stored and has the same seed."""
    if row.recipe is None or row.recipe.parent is None:
        return None
    found = rows.get(row.recipe.parent.weights_sha256)
    return found if found is not None and found.seed == row.seed else None


def _alike(row: Row, teacher: Row | None) -> tuple[object, ...]:
    """Return what is the same in rows that differ in their seeds alone."""
    recipe = row.recipe
    if recipe is None:
        return (row.seeding,)
    parent = recipe.parent if teacher is None else (teacher.agent, *_alike(teacher, None))
    # The processor of a recipe changes no command.
    fields = recipe.steps, recipe.checkpoint_interval, sorted(recipe.versions.items())
    return (row.seeding, *fields, parent)


def _training(row: Row, teacher: Row | None) -> Training:
    known = None if teacher is None else _training(teacher, None)
    return Training(row.agent, row.environment, row.recipe, row.seeding, (row.seed,), known)


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
    "Row",
)
"""Headings of the table of an agent's rows in an environment."""
_NAMED = ("Environment", "Class")
_UP = "../"


def agent(
    site: Site, rows: Sequence[TableRow], table: Sequence[TableRow], sources: Sequence[Row]
) -> str:
    """Return the page of an agent.

    Args:
        site: What the page has to know of the others.
        rows: All of the agent, at least one, in the table's order.
        table: The whole results table.
        sources: The stored rows behind ``table``.
    """
    name = rows[0].agent
    parts = [*_about(site, rows), element("h2", "Results and costs", id="results")]
    lines, named = [], [_named(row) for row in rows]
    for row, cells in zip(rows, named, strict=True):
        shown = texts(row, [other for other in table if section(other) == section(row)])
        lines.append([*cells, *(number_cell(shown[column]) for column in SHOWN)])
    parts += [sortable(f"Results of {name}", [*_NAMED, *SHOWN], lines)]
    parts += faults_shown(f"{name} with faults", _NAMED, zip(rows, named, strict=True))
    for row in rows:
        others = [other for other in table if section(other) == section(row)]
        parts += _section(site, row, others, sources)
    defined = COLUMN_DEFINITIONS | ROOM_COLUMNS | SITE_COSTS
    meanings = {column: defined[column] for column in SHOWN}
    if any(trained(row, sources) for row in rows):
        parts.append(element("p", element("strong", "Learning curves."), f" {CURVES_TEXT}"))
    parts += [*remarks(rows), definitions("What the columns mean", meanings)]
    return site.page(name, joined(parts), up=_UP)


def _named(row: TableRow) -> list[Cell]:
    """Return the cells under `_NAMED`."""
    link = element("a", row.environment, href=section_address(row, up=_UP))
    return [Cell(link), Cell(class_in_words(row.budget_class))]


def _about(site: Site, rows: Sequence[TableRow]) -> Iterator[Markup]:
    name, twin = rows[0].agent, next((row.twin for row in rows if row.twin), None)
    kinds = " and ".join(sorted({kind(row) for row in rows}))
    known = "" if twin is None else joined([", to compare with ", site.agent(twin, twin, up=_UP)])
    yield element("p", joined([f"Kind: {kinds}", known, "."]))
    address = site.card(f"agents/{file_stem(name)}", up=_UP)
    if address is not None and name in agent_ids():
        words = "The agent's card: its network and hyper-parameters"
        yield element("p", element("a", words, href=address))
    yield site.films(name, up=_UP)


def _section(
    site: Site, row: TableRow, others: Sequence[TableRow], sources: Sequence[Row]
) -> Iterator[Markup]:
    """Yield what an agent's page has of one line of the table, of the others its twin's curves."""
    words = f"{row.environment}, {class_in_words(row.budget_class)}"
    yield element("h2", words)
    yield legend(row)
    yield scrolling(f"Seeds, {words}", seeds_drawing(row, score_scale([row])))
    yield twin_figure(site, row, others, sources, up=_UP)
    own = sources_of(row, sources)
    lines = [_row_cells(source) for source in own]
    yield plain_table(f"Rows, {words}", ROW_COLUMNS, lines)
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
    file = row_file(source.agent, source.environment, source.seed)
    return [
        str(source.seed),
        f"{source.score.mean:.6g}",
        f"{source.steps:,}",
        source.verified[:10],
        same,
        element("code", source.weights_sha256[:16]),
        element("a", f"{source.seed}.json", href=_UP + file, download=True),
    ]
