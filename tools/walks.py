"""Files of the package that an operation passes through.

    python -m tools.walks

Each operation runs once before it is measured, so that imports and compilations do not count. A
compiled function counts like any other.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

import snn_gym
from snn_gym.leaderboard.submission import submit
from snn_gym.leaderboard.verification import verify

PACKAGE = Path(snn_gym.__file__).parent
STEPS_BEFORE = 3


class Walk:
    """Files in which functions are called, in the order of the calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Note the calls meanwhile."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def begin(self) -> None:
        """Note calls from now on."""
        sys.setprofile(self._note)

    def end(self) -> None:
        """Note no more calls."""
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.is_relative_to(PACKAGE):
            self.calls.append(file.relative_to(PACKAGE).as_posix())

    @property
    def files(self) -> list[str]:
        """Files, each once."""
        return sorted(set(self.calls))


class _Step(BaseCallback):
    """Follows one rollout and one update in the middle of a training."""

    def __init__(self, walk: Walk) -> None:
        super().__init__()
        self._walk, self._rollouts = walk, 0

    def _on_rollout_start(self) -> None:
        self._rollouts += 1
        if self._rollouts == STEPS_BEFORE:
            self._walk.begin()
        elif self._rollouts == STEPS_BEFORE + 1:
            self._walk.end()

    def _on_step(self) -> bool:
        return self._rollouts <= STEPS_BEFORE


def _of(run: Callable[[], object]) -> Walk:
    for _ in range(STEPS_BEFORE):
        run()
    walk = Walk()
    with walk.followed():
        run()
    return walk


def _to_a_spike() -> Walk:
    def run() -> None:
        env = gym.make("snn/CartPole-v1")
        env.reset(seed=0)
        env.step(env.action_space.sample())

    return _of(run)


def _predict() -> Walk:
    model = snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=0)
    seen = np.zeros(4, np.float32)
    return _of(lambda: model.predict(seen, deterministic=True))


def _ppo_step() -> Walk:
    model, walk = snn_gym.make_agent("ppo-lif-dynamics", "CartPole-v1", seed=0), Walk()
    steps = model.n_steps * model.n_envs  # type: ignore[attr-defined]
    model.learn(100 * steps, callback=_Step(walk))
    return walk


def _submit() -> Walk:
    walk = Walk()
    with tempfile.TemporaryDirectory() as folder:
        run, board = Path(folder) / "run", Path(folder) / "board"
        snn_gym.save_agent(snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=0).learn(256), run)
        with walk.followed():
            verify(submit(run), board)
    return walk


WALKS: dict[str, Callable[[], Walk]] = {
    "gym.make to a spike": _to_a_spike,
    "predict": _predict,
    "a PPO step of ppo-lif-dynamics": _ppo_step,
    "submit to the table": _submit,
}


def main() -> None:
    """Print the figures of every walk."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", action="store_true", help="list the files of each walk, too")
    options = parser.parse_args()
    for name, take in WALKS.items():
        walk = take()
        print(f"{name:<32}{len(walk.files):>4} files")
        for file in walk.files if options.files else ():
            print(f"    {file}")


if __name__ == "__main__":
    main()
