"""Run the study: ``python -m studies.processors`` trains under each setting and reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from snn_gym._base.storage import write_text_atomic
from snn_gym.zoo.recipe import processor
from studies.processors.trained import AGENTS, Trained
from studies.runs import DOCS, Runs
from studies.tables import table

RUNS = Path(__file__).parent / "runs.jsonl"
"""Table of the weights, by the processor's name that numba compiles for, and setting."""
UNCHANGED = "unchanged"
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

Written by `python -m studies.processors` from the numbers in `studies/processors/runs.jsonl`. The
study trains {number} agents for a moment, first without any change. Then it trains them once for
each environment variable that hides instructions of the processor from one library (PyTorch, MKL,
oneDNN, numpy, OpenBLAS, numba). With `--python` it trains them by an interpreter that has other
versions of packages.

- “=”: the same weights as without the change, bit for bit.
- “other”: different weights.
"""
_MACHINE = """
## {name}

Recipes record this processor as: {processor}.

"""
_END = """
## Conclusions

**OpenBLAS.** The package takes OpenBLAS's `Haswell` kernels on every processor that has AVX2
(`snn_gym._base.numerics`), and recipes record this. It did not yet do so when the tables above were
made. The shell of the AMD processor happened to set that variable, so its row compares these
kernels with themselves. Without the variable OpenBLAS takes its `SkylakeX` kernels on that
processor, and `ppo-lif` on Acrobot-v1 with seed 0 trains other weights than the row has. With the
variable it trains the same weights. The package cannot choose kernels if numpy or torch was
imported before it. The recipe then names the kernels that were used, and one warning names the fix.

**Instructions.** On the AMD processor (znver5) AVX-512 gives the same weights as AVX2. On the Intel
processor (emeraldrapids) MKL and OpenBLAS round differently with AVX-512. Sums are added in another
order, or rounded once more, where PyTorch has no AVX2, MKL takes another code path or numba has no
fused multiply-add. The first spike that flips then changes the rest of the training.

**Maker.** MKL also chooses its code by the processor's maker. One commit gave other weights of all
six agents on the two processors. This held with `MKL_CBWR=COMPATIBLE` on both, with and without
`ATEN_CPU_CAPABILITY=default`.

**Versions and threads.** Another version of numpy changed nothing. On the Intel processor the
number of threads matters: two threads divide a product differently from one. The zoo trains with
one thread.

If weights differ, `snn-gym verify --retrain` compares returns, and reports that it did.

## Whole rows

On the AMD processor `snn_gym.leaderboard.retraining` trained four rows again: `ppo-lif` and
`ppo-mlp` on CartPole-v1, seeds 0 and 1.

| setting | same weights | mean return |
| --- | --- | --- |
| no change | 4 of 4 | same as the rows |
| `NPY_DISABLE_CPU_FEATURES=AVX512_ICL,X86_V4` | 4 of 4 | same as the rows |
| `ATEN_CPU_CAPABILITY=default` | 0 of 4 | 500 as in the rows, the maximum: verified by \
`returns` |

On the Intel processor `snn-gym verify --retrain --sample 6 --seed 1` by version 0.2.0 trained 10
rows of version 0.1.0 again. None had the same weights, and 7 were verified by `returns`. The other
3 had other returns, because different weights of the same seed are another random draw:

| agent | environment | return of the row | return again |
| --- | --- | --- | --- |
| `ppo-lif` | snn/CartPole-v1 | 500 | 448.5 |
| `ppo-lif` | snn/CueAccumulation-v0 | 0.46 | 0.52 |
| `ppo-mlp` | Pendulum-v1 | -171 | -308 |

## Recipes of another maker

A program reads the processor's maker and instructions by the instruction CPUID. On an Intel
processor Linux lets a process trap this instruction. `tools/amd_cpuid.c` then answers
like an AMD EPYC (Zen 4), and MKL takes its code for AMD:

```bash
gcc -O1 -shared -fPIC -o /tmp/amd_cpuid.so tools/amd_cpuid.c
LD_PRELOAD=/tmp/amd_cpuid.so snn-gym verify --retrain --sample 5 --seed 20261128
```

That draw has 34 rows. We added rows of the agents that the draw left out, and the rows from which
lean rows were made. An Intel Xeon (Sapphire Rapids) trained 48 of these rows again with the
library; all 48 came from AMD processors:

| outcome | rows | agents |
| --- | --- | --- |
| same weights | 37 | `ppo-lif`, `ppo-mlp`, `ppo-relu`, `dqsn`, `dqn-mlp`, `qrdqn-lif`, \
`qrdqn-mlp`, `sac-lif`, `recurrent-ppo-lsnn`, `recurrent-ppo-gru`, `local-actor-critic`, \
`local-actor-critic-wide`, `synapse-agents`, `es`, `cma-es`, `random-search`, `accept-reject`, \
`win-stay` |
| other weights | 11 | `a2c-lif`, `a2c-mlp`, `sac-mlp`, `ppo-lif-dynamics` (2), `dqsn-dynamics`, \
`ppo-lif-8` (2), `ppo-lif-2-steps`, `ppo-lif-distilled`, `ppo-mlp` on Pendulum-v1 |

The likely cause of most of the other weights is the square root (`torch.sqrt`). MKL's code for AMD
computes it from `rsqrtps`, an approximate instruction, and does not round it to the nearest number:
38,066 of 200,000 roots are off by one bit. AMD and Intel approximate differently. Shedding and
RMSprop take such roots; the zoo's policies use PyTorch's fused Adam, whose roots are exact. We had
no AMD processor to confirm this cause, and it does not explain `sac-mlp`.
"""


def train_under(setting: str, python: Path | None = None) -> Trained:
    """Train in a process that has an environment variable."""
    name, _, value = setting.partition("=")
    changed = {"OMP_NUM_THREADS": "1", **({name: value} if name else {})}
    done = subprocess.run(
        [str(python or sys.executable), "-m", "studies.processors.trained"],
        env={**os.environ, **changed},
        stdout=subprocess.PIPE,
        check=True,
    )
    return Trained(setting=setting, **json.loads(done.stdout))


def train_by(python: Path, table: Runs, machine: str) -> Trained:
    """Train by an interpreter with other versions of packages."""
    first, other = train_under(""), train_under("", python)
    (unchanged,) = table.read(Trained, f"{machine}/{UNCHANGED}")
    if first.weights != unchanged.weights:
        raise ValueError(
            "this machine trains other weights than the study's: train under all settings first"
        )
    versions = set(other.versions.items() - first.versions.items())
    if not versions:
        raise ValueError(f"{python} has the same versions of all packages: nothing to compare")
    return replace(other, setting=", ".join(f"{name} {x}" for name, x in sorted(versions)))


def report(table: Runs) -> str:
    """Return the page."""
    machines = dict.fromkeys(name.split("/")[0] for name in table.names())
    sections = (_machine(name, table.read(Trained, f"{name}/")) for name in machines)
    return "".join((_TEXT.format(number=len(AGENTS)), *sections, _END))


def _machine(name: str, trained: list[Trained]) -> str:
    places = {setting: place for place, setting in enumerate(SETTINGS)}
    first, *others = sorted(trained, key=lambda one: places.get(one.setting, len(places)))
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
    table, machine = Runs(RUNS), processor()["numba"]
    if python is not None:
        made = train_by(python, table, machine)
        table.add(f"{machine}/{made.setting}", made)
    elif not report_only:
        for setting in SETTINGS:
            table.add(f"{machine}/{setting or UNCHANGED}", train_under(setting))
    write_text_atomic(DOCS / "processors.md", report(Runs(RUNS)))
    typer.echo(f"wrote {DOCS / 'processors.md'}")


if __name__ == "__main__":
    typer.run(main)
