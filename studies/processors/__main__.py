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

Written by `python -m studies.processors` from the numbers in `studies/processors/results`. The
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

On the AMD processor `snn_gym.leaderboard.verification` trained four rows again: `ppo-lif` and
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


@dataclass(frozen=True)
class Results(Config):
    """Weights of all settings on one machine."""

    trained: tuple[Trained, ...]
    """One for each setting, the machine as it is first."""


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


def add_build(results: Results, python: Path) -> Results:
    """Train by an interpreter with other versions of packages."""
    first, other = train_under(""), train_under("", python)
    if first.weights != results.trained[0].weights:
        raise ValueError(
            "this machine trains other weights than the study's: train under all settings first"
        )
    versions = set(other.versions.items() - first.versions.items())
    if not versions:
        raise ValueError(f"{python} has the same versions of all packages: nothing to compare")
    label = ", ".join(f"{name} {version}" for name, version in sorted(versions))
    kept = tuple(one for one in results.trained if one.setting != label)
    return Results((*kept, replace(other, setting=label)))


def report(machines: Mapping[str, Results]) -> str:
    """Return the page."""
    text = _TEXT.format(number=len(AGENTS))
    return text + "".join(_machine(*item) for item in machines.items()) + _END


def read_machines() -> dict[str, Results]:
    """Return the results of each machine by its name."""
    return {path.stem: read_run(Results, path) for path in sorted(RESULTS.glob("*.json"))}


def _machine(name: str, results: Results) -> str:
    first, *others = results.trained
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
        write_run(own, add_build(read_run(Results, own), python))
    elif not report_only:
        write_run(own, Results(tuple(train_under(setting) for setting in SETTINGS)))
    write_text_atomic(DOCS / "processors.md", report(read_machines()))
    typer.echo(f"wrote {DOCS / 'processors.md'}")


if __name__ == "__main__":
    typer.run(main)
