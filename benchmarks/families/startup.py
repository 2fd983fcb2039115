"""Start of a process: the command line's help, and an agent's first decision."""

from __future__ import annotations

import os
import subprocess
import sys

import snn_gym
from benchmarks.agents import default_agent
from benchmarks.measurement import Effort, Experiment, Measurement, Readings, measured
from benchmarks.timing import Run, race

HELP, IMPORTS, FIRST = "snn-gym --help", "import torch, stable_baselines3", "first decision"
_BEYOND = "first decision, beyond the imports"
_HELP_CODE = "import sys; from snn_gym.cli import main; sys.exit(main(['--help']))"
_FIRST_CODE = """
import torch, stable_baselines3
import numpy, snn_gym
snn_gym.load_agent({folder!r}).predict(numpy.zeros(4, numpy.float32), deterministic=True)
"""
# Leaving Python, which frees all that was loaded, comes after the decision.
_AT_ONCE = "\nimport os; os._exit(0)"
_NAME = "start-up"


def _process(code: str) -> Run:
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # If Python cannot cache the compiled checkout, it compiles at every start.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return lambda: subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def _run(effort: Effort) -> Readings:
    folder = effort.scratch / "default-64"
    if not folder.exists():
        snn_gym.save_agent(default_agent(64, effort.scratch).model, folder)
    contenders = {
        HELP: _process(_HELP_CODE),
        IMPORTS: _process(IMPORTS + _AT_ONCE),
        FIRST: _process(_FIRST_CODE.format(folder=str(folder)) + _AT_ONCE),
    }
    samples = race(contenders, 0.0, 1 if effort.quick else 7)
    beyond = tuple(a - b for a, b in zip(samples[FIRST], samples[IMPORTS], strict=True))
    kept = "compiled code and files were in their caches"
    note = f"Whole processes, `{HELP}` with its exit and the others without; {kept}."
    return Readings(samples, {HELP: samples[HELP], _BEYOND: beyond}, notes=(note,))


EXPERIMENTS = (Experiment(_NAME, "Start of a process", _run),)
MEASUREMENTS = (
    Measurement("start-up-help", _NAME, f"`{HELP}`", "", "s", measured(HELP), 0.5, at_least=False),
    Measurement(
        "start-up-first",
        _NAME,
        "first decision of a process, loading the agent",
        f"beyond `{IMPORTS}`",
        "s",
        measured(_BEYOND),
        0.5,
        0.2,
        at_least=False,
    ),
)
