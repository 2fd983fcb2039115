"""Run the study: ``python -m studies.processors`` trains under each setting and reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from snn_gym.config import Config
from snn_gym.storage import write_text_atomic
from studies.files import read_run, write_run
from studies.processors.trained import AGENTS, Trained

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = Path(__file__).parent / "results.json"
SETTINGS = (
    "",
    "ATEN_CPU_CAPABILITY=avx2",
    "ATEN_CPU_CAPABILITY=default",
    "MKL_ENABLE_INSTRUCTIONS=AVX2",
    "MKL_CBWR=COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA=AVX2",
    "NPY_DISABLE_CPU_FEATURES=AVX512_ICL,X86_V4",
    "OPENBLAS_CORETYPE=Haswell",
    "NUMBA_CPU_NAME=haswell",
    "NUMBA_CPU_NAME=generic",
)
"""Environment variables that hide instructions of the processor from one library each."""

_TEXT = """# Which processors train the same weights

Written by `python -m studies.processors`, which trains {number} agents for a moment, once as the
machine is and once for each variable that hides instructions of the processor from a library
(PyTorch, MKL, oneDNN, numpy, OpenBLAS, numba); numbers in `studies/processors/results.json`. “=”:
the same weights, bit for bit; “other”: not. Recipes say of the machine: {processor}.

"""
_END = """
On this machine AVX-512 changes nothing against AVX2. Where PyTorch has no AVX2, MKL another code
path or numba no fused multiply-add, sums are added up in another order or rounded once more, and
the first spike that flips makes another training of it. MKL chooses its code by the processor's
maker as well, which one machine cannot show: that of another maker may give other weights, as
`MKL_CBWR` does here. `snn-gym verify --retrain` then compares returns, and says so.

Whole rows do the same. Of `ppo-lif` and `ppo-mlp` on CartPole-v1, seeds 0 and 1, trained again by
`snn_gym.scoring.retraining`, 4 of 4 had the same weights as the machine is and under
`NPY_DISABLE_CPU_FEATURES=AVX512_ICL,X86_V4`. Under `ATEN_CPU_CAPABILITY=default` all 4 had other
weights and the mean return of their rows, 500, the most there is, so that they held as `returns`.
Another build of numpy or PyTorch has not been tried.
"""


@dataclass(frozen=True)
class Found(Config):
    """All that the study found."""

    trained: tuple[Trained, ...]
    """One for each setting, the machine as it is first."""


def train_under(setting: str) -> Trained:
    """Train in a process that has an environment variable.

    Args:
        setting: ``NAME=VALUE``; empty for none.
    """
    name, _, value = setting.partition("=")
    changed = {"OMP_NUM_THREADS": "1", **({name: value} if name else {})}
    done = subprocess.run(
        [sys.executable, "-m", "studies.processors.trained"],
        env={**os.environ, **changed},
        stdout=subprocess.PIPE,
        check=True,
    )
    return Trained(setting=setting, **json.loads(done.stdout))


def report(found: Found) -> str:
    """Return the page.

    Args:
        found: What the study found.
    """
    first, *others = found.trained
    agents = [agent for agent, *_ in AGENTS]
    lines = [("setting", *agents), ("---",) * (len(agents) + 1)]
    for one in others:
        same = ("=" if one.weights[x] == first.weights[x] else "other" for x in agents)
        lines.append((f"`{one.setting}`", *same))
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    processor = ", ".join(f"{name} {value}" for name, value in first.processor.items())
    return _TEXT.format(number=len(agents), processor=processor) + table + _END


def main(
    report_only: Annotated[bool, typer.Option(help="Write the report alone.")] = False,
) -> None:
    """Train under every setting, and write docs/processors.md."""
    if not report_only:
        write_run(RESULTS, Found(tuple(train_under(setting) for setting in SETTINGS)))
    write_text_atomic(DOCS / "processors.md", report(read_run(Found, RESULTS)))
    typer.echo(f"wrote {DOCS / 'processors.md'}")


if __name__ == "__main__":
    typer.run(main)
