"""Run the study: ``python -m studies.processors`` trains under each setting and reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from snn_gym._base.config import Config
from snn_gym._base.storage import write_text_atomic
from snn_gym.zoo.recipe import processor
from studies.files import read_run, write_run
from studies.processors.trained import AGENTS, Trained
from studies.tables import table

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = Path(__file__).parent / "results"
"""A file for each processor, by the name that numba compiles for."""
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
(PyTorch, MKL, oneDNN, numpy, OpenBLAS, numba), or by an interpreter with other versions of
packages (`--python`); numbers in `studies/processors/results`. “=”: the same weights as the machine
gives without it, bit for bit; “other”: not.
"""
_MACHINE = """
## {name}

Recipes say of it: {processor}.

"""
_END = """
## What follows

The package takes OpenBLAS's kernels of `Haswell` on every processor that has AVX2
(`snn_gym._base.numerics`), and recipes say so. It did not when the tables above were made, and the
shell of the AMD processor happened to set that variable, so that its row compares these kernels
with themselves. Without it OpenBLAS takes those of `SkylakeX` there, and `ppo-lif` on Acrobot-v1
with seed 0 trains other weights than the row has; with it the same ones. Where numpy or torch was
imported before the package, it can choose no kernels any more: a recipe then says which were used,
and one warning says how to mend it.

On the AMD processor (znver5) AVX-512 changes nothing against AVX2; on the Intel processor
(emeraldrapids) MKL and OpenBLAS round otherwise with it. Where PyTorch has no AVX2, MKL another
code path or numba no fused multiply-add, sums are added up in another order or rounded once more,
and the first spike that flips makes another training of it. MKL chooses its code by the processor's
maker as well: one commit gave other weights of all six agents on the two processors, also where
both had `MKL_CBWR=COMPATIBLE`, with and without `ATEN_CPU_CAPABILITY=default`. Another numpy
changed nothing. The number of threads counts too on the Intel processor: two share a product in
other parts than one, and the zoo trains with one. `snn-gym verify --retrain` then compares returns,
and says so.

Whole rows do the same. Of `ppo-lif` and `ppo-mlp` on CartPole-v1, seeds 0 and 1, trained again by
`snn_gym.leaderboard.retraining` on the AMD processor, 4 of 4 had the same weights as the machine is
and under `NPY_DISABLE_CPU_FEATURES=AVX512_ICL,X86_V4`. Under `ATEN_CPU_CAPABILITY=default` all 4
had other weights and the mean return of their rows, 500, the most there is, so that they held as
`returns`. On the Intel processor `snn-gym verify --retrain --sample 6 --seed 1` trained 10 rows of
version 0.1.0 again by 0.2.0: none had the same weights, 7 held as `returns`, and 3 did not
(`ppo-lif` on snn/CartPole-v1 448.5 for 500 and on snn/CueAccumulation-v0 0.52 for 0.46, `ppo-mlp`
on Pendulum-v1 -308 for -171): there other weights of the same seed are another draw.

## Recipes of another maker

A program asks a processor for its maker and its instructions by the instruction CPUID. Linux lets a
process on an Intel processor trap it. `studies/processors/amd_cpuid.c` then answers as an AMD EPYC
(Zen 4) would, and MKL takes the code that it has for AMD:

```bash
gcc -O1 -shared -fPIC -o /tmp/amd_cpuid.so studies/processors/amd_cpuid.c
LD_PRELOAD=/tmp/amd_cpuid.so snn-gym verify --retrain --sample 5 --seed 20261128
```

That draw has 34 rows. Rows of agents that it left out were added, and rows that lean rows were made
from. On an Intel Xeon (Sapphire Rapids) 48 of these rows, all of AMD processors, were trained
again with the library:

| outcome | rows | agents |
| --- | --- | --- |
| same weights | 37 | `ppo-lif`, `ppo-mlp`, `ppo-relu`, `dqsn`, `dqn-mlp`, `qrdqn-lif`, \
`qrdqn-mlp`, `sac-lif`, `recurrent-ppo-lsnn`, `recurrent-ppo-gru`, `local-actor-critic`, \
`local-actor-critic-wide`, `synapse-agents`, `es`, `cma-es`, `random-search`, `accept-reject`, \
`win-stay` |
| other weights | 11 | `a2c-lif`, `a2c-mlp`, `sac-mlp`, `ppo-lif-dynamics` (2), `dqsn-dynamics`, \
`ppo-lif-8` (2), `ppo-lif-2-steps`, `ppo-lif-distilled`, `ppo-mlp` on Pendulum-v1 |

The code for AMD computes the square root of PyTorch (`torch.sqrt`) from `rsqrtps`, an approximate
instruction, and does not round it to the nearest number: 38,066 of 200,000 roots are off by a bit.
AMD and Intel approximate differently. Shedding and RMSprop take such roots. The policies of the zoo
have PyTorch's fused Adam, whose roots are exact. So this is the likely cause of most of the other
weights; no AMD processor was at hand to show it, and it does not explain `sac-mlp`.
"""


@dataclass(frozen=True)
class Found(Config):
    """All that the study found."""

    trained: tuple[Trained, ...]
    """One for each setting, the machine as it is first."""


def train_under(setting: str, python: Path | None = None) -> Trained:
    """Train in a process that has an environment variable.

    Args:
        setting: ``NAME=VALUE``; empty for none.
        python: Interpreter; None for this one.
    """
    name, _, value = setting.partition("=")
    changed = {"OMP_NUM_THREADS": "1", **({name: value} if name else {})}
    done = subprocess.run(
        [str(python or sys.executable), "-m", "studies.processors.trained"],
        env={**os.environ, **changed},
        stdout=subprocess.PIPE,
        check=True,
    )
    return Trained(setting=setting, **json.loads(done.stdout))


def add_build(found: Found, python: Path) -> Found:
    """Train by an interpreter with other versions of packages.

    Args:
        found: What the study found so far.
        python: The interpreter.

    Raises:
        ValueError: This machine trains other weights than the study's, so that nothing would be
            learned of the packages, or the versions are the same.
    """
    first, other = train_under(""), train_under("", python)
    if first.weights != found.trained[0].weights:
        raise ValueError(
            "this machine trains other weights than the study's: train under all settings first"
        )
    versions = set(other.versions.items() - first.versions.items())
    if not versions:
        raise ValueError(f"{python} has the same versions of all packages: nothing to compare")
    label = ", ".join(f"{name} {version}" for name, version in sorted(versions))
    kept = tuple(one for one in found.trained if one.setting != label)
    return Found((*kept, replace(other, setting=label)))


def report(machines: Mapping[str, Found]) -> str:
    """Return the page.

    Args:
        machines: What the study found, by the machine's name.
    """
    text = _TEXT.format(number=len(AGENTS))
    return text + "".join(_machine(*item) for item in machines.items()) + _END


def read_machines() -> dict[str, Found]:
    """Return what the study found on each machine, by its name."""
    return {path.stem: read_run(Found, path) for path in sorted(RESULTS.glob("*.json"))}


def _machine(name: str, found: Found) -> str:
    first, *others = found.trained
    agents = [agent for agent, *_ in AGENTS]
    rows = []
    for one in others:
        same = ("=" if one.weights[x] == first.weights[x] else "other" for x in agents)
        rows.append((f"`{one.setting}`", *same))
    processor = ", ".join(f"{key} {value}" for key, value in first.processor.items())
    return _MACHINE.format(name=name, processor=processor) + table(("setting", *agents), rows)


def main(
    report_only: Annotated[bool, typer.Option(help="Write the report alone.")] = False,
    python: Annotated[
        Path | None, typer.Option(help="Interpreter with other packages; trains by it alone.")
    ] = None,
) -> None:
    """Train under every setting, and write docs/processors.md."""
    own = RESULTS / f"{processor()['numba']}.json"
    if python is not None:
        write_run(own, add_build(read_run(Found, own), python))
    elif not report_only:
        write_run(own, Found(tuple(train_under(setting) for setting in SETTINGS)))
    write_text_atomic(DOCS / "processors.md", report(read_machines()))
    typer.echo(f"wrote {DOCS / 'processors.md'}")


if __name__ == "__main__":
    typer.run(main)
