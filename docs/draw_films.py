"""Make the films of README.md and of the galleries: trained agents of the results table at work.

    python docs/draw_films.py          # all of them
    python docs/draw_films.py README   # that of README.md: the agent is made lean first
    python docs/draw_films.py dqsn     # some, by a part of the name

The lean agent stays in runs/film, from where an earlier one must have been removed; it takes two
minutes, each other film less than one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pages.films import FILMS

import snn_gym
from snn_gym.cli import main

IMAGES = Path(__file__).resolve().parent / "images"
RUN = Path("runs") / "film"


def lean_film() -> int:
    """Make the film of README.md; return the exit code of the command that failed, or 0."""
    snn_gym.save_agent(snn_gym.load_pretrained("ppo-lif", "CartPole-v1"), RUN / "trained")
    shedding = ["--time-steps", "4", "--bound", "0.02", "--steps", "80000"]
    lean = ["lean", str(RUN / "trained"), "--out", str(RUN / "lean"), *shedding]
    target = str(IMAGES / "watch-cartpole.gif")
    return main(lean) or main(["watch", str(RUN / "lean"), "--save", target])


def draw(parts: list[str]) -> int:
    """Make the films whose names have one of the parts, all without parts; return an exit code."""
    code = lean_film() if not parts or "README" in parts else 0
    for film in FILMS:
        if not parts or any(part in film.file for part in parts):
            code = code or main(film.words(IMAGES / film.file))
    return code


if __name__ == "__main__":
    sys.exit(draw(sys.argv[1:]))
