"""Tests of training on a terminal, with operations counted at every rollout."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from snn_gym.learners import GradientFreeAlgorithm
from snn_gym.training import train
from snn_gym.zoo import agent_ids, load_agent_spec
from snn_gym.zoo.algorithms import ALGORITHMS, algorithm_class
from tests.terminal import terminal
from tests.training.test_progress import LINE

STEPS = 64
ON_POLICY = {"n_envs": 2, "n_steps": 16, "batch_size": 16, "n_epochs": 1, "sequence_length": 8,
             "bptt_steps": None, "burn_in_steps": 0}  # fmt: skip
OFF_POLICY = {"n_envs": 2, "learning_starts": 8, "buffer_size": 400, "batch_size": 16,
              "train_freq": 8, "gradient_steps": 1, "sequence_length": 8,
              "burn_in_steps": 2}  # fmt: skip
EPISODES = {"n_envs": 2, "pairs": 1, "candidates": 1, "population_size": 4, "probe_episodes": 1}
"""Settings under which two updates are soon made, of whoever has them."""


def few_steps(algorithm):
    """Return the short settings that an algorithm supports."""
    names = {field.name for field in dataclasses.fields(ALGORITHMS[algorithm].settings)}
    if "buffer_size" in names:
        small: dict[str, Any] = OFF_POLICY
    else:
        small = ON_POLICY if "n_steps" in names else EPISODES
    return {name: value for name, value in small.items() if name in names}


def written_over(text):
    """Return the successive contents of the progress line, without earlier warnings."""
    found = [part.removesuffix("\x1b[K") for part in text.split("\r")]
    return [line for line in found if " steps | " in line]


SPECS = [spec for spec in map(load_agent_spec, agent_ids()) if not spec.is_imported]
AGENTS = {(spec.algorithm, spec.acts_in_spikes): spec.name for spec in SPECS}
"""An agent for each algorithm, with and without spikes."""


@pytest.mark.usefixtures("few_updates")
@pytest.mark.parametrize("agent", AGENTS.values())
def test_every_algorithm_trains_on_a_terminal(agent, tmp_path, monkeypatch):
    spec = load_agent_spec(agent)
    with terminal() as screen:
        monkeypatch.setattr(sys, "stderr", screen.file)
        run = train(
            agent,
            next(iter(spec.environments)),
            out=tmp_path / "run",
            steps=STEPS,
            hyperparameters=few_steps(spec.algorithm),
            tensorboard=False,
            progress_bar=True,
            progress_interval_s=0.0,
        )
        monkeypatch.undo()
        lines = written_over(screen.close())
    assert run.steps >= STEPS
    shown = [LINE.fullmatch(line) for line in lines]
    assert lines
    assert all(shown)
    counted = {line[5] for line in shown if line}
    is_judged = issubclass(algorithm_class(spec.algorithm), GradientFreeAlgorithm)
    assert counted <= ({None} if is_judged else {"operations"})


def test_the_command_trains_on_a_terminal(tmp_path):
    program = "import sys; from snn_gym.cli import main; sys.exit(main(sys.argv[1:]))"
    settings = few_steps("StatefulPPO")
    changes = [f"--set={name}={value}" for name, value in settings.items()]
    with terminal() as screen:
        process = subprocess.run(
            [
                sys.executable, "-c", program, "train", "recurrent-ppo-lsnn",
                "snn/CueAccumulation-v0", "--steps", str(STEPS), "--out", str(tmp_path / "run"),
                "--progress-interval", "0", *changes,
            ],
            stdout=subprocess.PIPE, stderr=screen.file, text=True, check=False,
        )  # fmt: skip
        shown = screen.close()
    assert process.returncode == 0, shown
    assert f"trained {STEPS} steps" in process.stdout
    lines = [LINE.fullmatch(line) for line in written_over(shown)]
    assert lines
    assert {line[5] for line in lines if line} == {"operations"}
