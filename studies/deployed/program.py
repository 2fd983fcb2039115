"""Compiled programs of exported agents: one that acts, one that takes its time."""

from __future__ import annotations

import subprocess
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym_deploy import CFiles

COMPILE = ("cc", "-std=c99", "-O3", "-march=native", "-Wall", "-Wextra", "-Werror")
_CLOCK = """\
#include <stdio.h>
#include <time.h>

#include "agent.h"

static agent_state state;
static float observations[{count}][AGENT_INPUTS];

int main(void) {{
    agent_action action;
    double best = 1e9;
    if (fread(observations, sizeof observations[0], {count}, stdin) != {count}) {{
        return 2;
    }}
    agent_reset(&state);
    for (int round = 0; round < {rounds}; round++) {{
        const clock_t begin = clock();
        for (int k = 0; k < 20 * {count}; k++) {{
            agent_step(&state, observations[k % {count}], &action);
        }}
        const double spent = (double)(clock() - begin) / CLOCKS_PER_SEC / (20 * {count});
        best = spent < best ? spent : best;
    }}
    printf("%.9g\\n", best);
    return 0;
}}
"""
_ROUNDS = 15


class Player:
    """A policy that is a running program: it writes observations to it and reads actions."""

    def __init__(self, files: CFiles) -> None:
        program = files.source.with_name("play")
        subprocess.run([*COMPILE, "-o", program, files.source, files.program, "-lm"], check=True)
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Player:
        """Return itself; the program ends with the context."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the program."""
        self._process.communicate()

    def predict(self, observations: NDArray[Any], *_: Any, **__: Any) -> tuple[NDArray[Any], None]:
        """Return actions (B,) for observations (B, D), as Stable-Baselines3 does."""
        given, answers = self._process.stdin, self._process.stdout
        assert given is not None  # as asked for
        assert answers is not None
        for row in observations:
            given.write(" ".join(f"{x:.9g}" for x in row) + "\n")
        given.flush()
        return np.array([int(answers.readline()) for _ in observations]), None


def seconds_per_decision(files: CFiles, observations: NDArray[np.float32]) -> float:
    """Return the CPU time of a decision (s), the least of several rounds.

    Args:
        files: C files.
        observations: States that the agent visits (B, D).
    """
    source = files.source.with_name("clock.c")
    source.write_text(_CLOCK.format(count=len(observations), rounds=_ROUNDS), encoding="utf-8")
    program = source.with_suffix("")
    subprocess.run([*COMPILE, "-o", program, source, files.source, "-lm"], check=True)
    given = observations.astype(np.float32).tobytes()
    return float(subprocess.run([program], input=given, stdout=subprocess.PIPE, check=True).stdout)
