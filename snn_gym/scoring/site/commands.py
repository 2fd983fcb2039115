"""The commands that train rows again and verify what comes of it, from their recipes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

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

    def commands(self) -> str | None:
        """Return what a shell runs to train and verify them again; None where nothing does."""
        if self.recipe is None or self.recipe.parent is not None:
            return None
        agent, environment = shlex.quote(self.agent), shlex.quote(self.environment)
        place = f"{file_stem(self.agent)}/{file_stem(self.environment)}/$seed"
        if self.recipe.checkpoint_interval is None:
            train = self._in_python(f"runs/{place}")
        else:
            train = (
                f"snn-gym train {agent} {environment} --seed $seed --steps {self.recipe.steps} "
                f"--checkpoint-interval {self.recipe.checkpoint_interval} "
                f"--seeding {self.seeding} --out runs/{place}"
            )
        lines = [
            f"for seed in {' '.join(map(str, self.seeds))}; do",
            f"  {train}",
            f"  snn-gym submit runs/{place} --out submissions/{place}",
            f"  snn-gym verify submissions/{place} --leaderboard my-leaderboard",
            "done",
        ]
        return "\n".join(lines)

    def _in_python(self, folder: str) -> str:
        assert self.recipe is not None
        code = (
            "import sys, snn_gym; agent, env, seed, out = sys.argv[1:]; "
            f"model = snn_gym.make_agent(agent, env, int(seed), seeding='{self.seeding}'); "
            f"snn_gym.save_agent(model.learn({self.recipe.steps}), out)"
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
            return (
                "Made lean from the row whose weights have the SHA-256 "
                f"{self.recipe.parent.weights_sha256}, within {self.recipe.steps:,} environment "
                f"steps, with the seeds {', '.join(map(str, self.seeds))}; `snn-gym verify "
                "--retrain` makes it lean again."
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


def trainings(rows: Sequence[Row]) -> list[Training]:
    """Return how rows were trained, those together that differ in their seeds alone.

    Args:
        rows: Of one agent on one environment.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        recipe = row.recipe
        # The processor of a recipe changes no command.
        fields = () if recipe is None else (recipe.steps, recipe.checkpoint_interval)
        said = () if recipe is None else (recipe.parent, sorted(recipe.versions.items()))
        found.setdefault(repr((row.seeding, fields, said)), []).append(row)
    return [
        Training(
            agent=alike[0].agent,
            environment=alike[0].environment,
            recipe=alike[0].recipe,
            seeding=alike[0].seeding,
            seeds=tuple(sorted(row.seed for row in alike)),
        )
        for alike in found.values()
    ]
