"""Make the film of README.md: a trained agent of the results table, made lean, at its task.

    python docs/draw_film.py

The lean agent stays in runs/film, from where an earlier one must have been removed; all takes two
minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import snn_gym
from snn_gym.cli import main

TARGET = Path(__file__).resolve().parent / "images" / "watch-cartpole.gif"
RUN = Path("runs") / "film"

if __name__ == "__main__":
    snn_gym.save_agent(snn_gym.load_pretrained("ppo-lif", "CartPole-v1"), RUN / "trained")
    shedding = ["--time-steps", "4", "--bound", "0.02", "--steps", "80000"]
    lean = ["lean", str(RUN / "trained"), "--out", str(RUN / "lean"), *shedding]
    sys.exit(main(lean) or main(["watch", str(RUN / "lean"), "--save", str(TARGET)]))
