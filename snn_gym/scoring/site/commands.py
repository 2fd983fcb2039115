"""The commands that train rows again and verify what comes of it, from their recipes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from snn_gym.scoring.results import Row
from snn_gym.scoring.site.layout import file_stem
from snn_gym.zoo.recipe import Recipe


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
