"""The films of the galleries: trained agents of the results table at their tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from snn_gym.leaderboard.site import Documentation
from snn_gym.leaderboard.site import Film as ResultsFilm


@dataclass(frozen=True)
class Film:
    """An episode of a trained agent, the median of its seeds, on the first seed."""

    agent: str
    """Agent of the zoo."""
    environment: str
    """Id."""
    text: str
    """What one sees."""
    extra: str | None = None
    """What has to be installed for it."""
    max_steps: int | None = None
    """Decisions shown, all without."""

    @property
    def file(self) -> str:
        """Return the name of the file under docs/images."""
        return f"film-{self.agent}-{self.task}.gif"

    @property
    def task(self) -> str:
        """Return the environment's id without what says that it shows spikes."""
        return self.environment.removeprefix("snn/")

    def words(self, target: str | Path) -> list[str]:
        """Return the words after ``snn-gym`` that make the film.

        Args:
            target: File to write.
        """
        cut = [] if self.max_steps is None else ["--max-steps", str(self.max_steps)]
        return ["watch", self.agent, self.environment, "--save", str(target), *cut]


FILMS = (
    Film("ppo-lif", "LunarLander-v3", "it lands between the flags", "box2d"),
    Film("ppo-lif", "Acrobot-v1", "it swings up; the bands in the raster are its swings"),
    Film("sac-lif", "Pendulum-v1", "it swings up and stays upright"),
    Film("dqsn", "CartPole-v1", "one layer, 16 time steps in a decision; most neurons fire"),
    Film(
        "recurrent-ppo-lsnn",
        "snn/WaterMaze-v0",
        "it finds the hidden platform (green), is put elsewhere, and comes back by itself",
    ),
    Film(
        "recurrent-ppo-lsnn",
        "snn/EventTracking-v0",
        "an event camera follows a light; all that the network sees are the events",
    ),
    Film("ppo-lif", "Hopper-v5", "it hops on one leg", "mujoco", 100),
    Film("ppo-lif", "HalfCheetah-v5", "it runs on two legs", "mujoco", 100),
    Film("ppo-lif", "Walker2d-v5", "it walks on two legs", "mujoco", 100),
    Film("ppo-lif", "Ant-v5", "it walks on four legs", "mujoco", 100),
)


def documentation(folder: str, shells: Mapping[str, str]) -> Documentation:
    """Return links, films and shells of the built documentation for the results.

    Args:
        folder: Path from the results' folder to that of the documentation.
        shells: Pages without content, by path to the results' folder.
    """
    films: dict[str, list[ResultsFilm]] = {}
    for film in FILMS:
        text = f"{film.agent} on {film.task}, and the spikes of its network below: {film.text}"
        command = " ".join(["snn-gym", *film.words("film.gif")])
        # Where Sphinx puts pictures, as `shrink_films` stores them.
        address = f"_images/{Path(film.file).with_suffix('.webp')}"
        for name in (film.agent, film.environment):
            films.setdefault(name, []).append(ResultsFilm(address, text, command))
    return Documentation(folder, films, shells)


def shown(films: Iterable[Film]) -> list[str]:
    """Return the lines that show films, with the command that makes each, two folders deep."""
    lines = []
    for film in films:
        extra = f" (with the extra `{film.extra}`)" if film.extra else ""
        command = " ".join(["snn-gym", *film.words("film.gif")])
        alt = f"A film: {film.agent} on {film.task}, and the spikes of its network below"
        lines += [
            f"![{alt}](../images/{film.file})",
            "",
            f"*`{film.agent}` on `{film.environment}`: {film.text}.* `{command}`{extra}",
            "",
        ]
    return lines
