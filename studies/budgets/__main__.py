"""Train on short budgets and write the page: ``python -m studies.budgets run``, then ``report``.

A training whose line stands in ``runs.csv`` is passed over, so that a run that was stopped goes on.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from scipy import stats

import snn_gym
from snn_gym._base.names import parse_seeds
from snn_gym._base.storage import write_text_atomic
from snn_gym.learners.lean_algorithm import LeanAlgorithm
from studies.budgets import tasks
from studies.tables import table

SEEDS = "80-99"
"""Seeds of the registration by which today's rule is judged; lower ones are of earlier rules."""
LONG = "CartPole-v1"
"""Task of long episodes, whose five runs were made by ``snn-gym train``."""
RUNS = Path(__file__).parent / "runs.csv"
DOCS = Path(__file__).parents[2] / "docs"
EPISODES = 100
MARGIN = 0.05
"""Loss of return that counts, in units of the range from random play to ``ppo-lif``."""
SHARES = 0.2, 0.5, 1.0

Agent = Literal["ppo-lif", "ppo-lif-dynamics", "ppo-lif-dynamics, rules of 1.0.0"]
PLAIN: Agent = "ppo-lif"
WATCHED: Agent = "ppo-lif-dynamics"
BEFORE: Agent = "ppo-lif-dynamics, rules of 1.0.0"


@dataclass(frozen=True)
class Run:
    """One training and the evaluation of its final policy."""

    task: str
    agent: Agent
    steps: int
    seed: int
    mean_return: float
    operations: float
    """Of a decision."""
    divergence: float | None
    """From the frozen policy (nat); None where nothing was shed."""
    outcome: str
    """Line in which the agent says what it shed and why."""


def planned(seeds: Sequence[int]) -> Iterator[tuple[str, Agent, int, int]]:
    """Yield task, agent, steps and seed of every training, all of a seed together."""
    for seed in seeds:
        for task, budget in tasks.BUDGETS.items():
            for share in SHARES:
                for agent in (PLAIN, WATCHED):
                    yield task, agent, round(share * budget), seed
            yield task, BEFORE, budget, seed


def trained(task: str, agent: Agent, steps: int, seed: int) -> Run:
    """Train an agent and evaluate it."""
    # Without ``largest_rise`` it sheds at nine tenths of any training, measured or not.
    lean = {"regulation": {"lean": {"largest_rise": None}}} if agent == BEFORE else None
    name = WATCHED if agent == BEFORE else agent
    model = snn_gym.make_agent(name, task, seed=seed, network=lean).learn(steps)
    found = snn_gym.evaluate(model, task, episodes=EPISODES)
    assert found.operations_per_decision is not None  # of our own policies
    shed = isinstance(model, LeanAlgorithm) and model.shedding is not None
    divergence = model.divergence if isinstance(model, LeanAlgorithm) and shed else None
    outcome = model.outcome if isinstance(model, LeanAlgorithm) else ""
    costs = found.operations_per_decision
    return Run(task, agent, steps, seed, found.mean, costs, divergence, outcome)


def read() -> list[Run]:
    """Read all trainings that were made."""
    if not RUNS.exists():
        return []
    with RUNS.open(encoding="utf-8", newline="") as file:
        return [_run(row) for row in csv.DictReader(file)]


def _run(row: dict[str, Any]) -> Run:
    numbers = {"steps": int, "seed": int, "mean_return": float, "operations": float}
    values = {name: numbers[name](x) if name in numbers else x for name, x in row.items()}
    return Run(**{**values, "divergence": float(row["divergence"]) if row["divergence"] else None})


def random_return(task: str) -> float:
    """Return the mean return of random play."""
    env = snn_gym.make_vec_env(task, n_envs=1, seed=0)
    env.action_space.seed(0)
    env.reset()
    total, ended = 0.0, 0
    while ended < EPISODES:
        _, rewards, dones, _ = env.step(np.array([env.action_space.sample()]))
        total, ended = total + float(rewards[0]), ended + int(dones[0])
    return total / EPISODES


# ---- report --------------------------------------------------------------------------------------
_PAGE = """# Short budgets: what shedding costs when learning was short

[`ppo-lif-dynamics`](../agents/ppo-lif-dynamics/README.md) learns first and sheds spikes afterwards.
In version 1.0.0 it shed at nine tenths of any budget, and with few rollouts it lost the whole
return. Now it sheds only if the return has settled, and keeps only weights that episodes measured.
This page compares it with `ppo-lif` on three small tasks outside of the zoo
([tasks.py](../studies/budgets/tasks.py)), at a fifth, a half and all of their budget. Question,
seeds, margin and rule were registered before the trainings, in
[registered.toml](../studies/registered.toml).

The return is the mean of {episodes} episodes of the final policy. The lower bound is that of the
paired difference, one-sided at 95 % (Student's t over seeds). The margin is 5 % of the range from
random play to `ppo-lif` at the same budget. Seeds are the registered 20 (80 to 99). Seeds 80 to 93
and the first trainings of 94 ran on AMD processors, the others on an Intel one, both agents of a
pair always on the same. Where nothing is shed and no neuron is rescued, both agents have the same
weights.

At all nine budgets `ppo-lif-dynamics` is not inferior. It costs more than by the rules of 1.0.0,
and more than the registered 1.2 times as much, on all three tasks. On Docking it sheds nothing. The
rules of 1.0.0 shed on all 20 seeds, went back on 14 of them, and have a lower mean return. On Tanks
two of 20 agents shed nothing and two went back, while the others cost as much as by the rules of
1.0.0. On Catching all 20 agents shed, but less than by the rules of 1.0.0.

{returns}
## Operations at the full budget

"Rules of 1.0.0" is the same agent with `largest_rise` of None, which sheds in any case.

{costs}
## Lines that the agent printed

{lines}
## Long episodes: CartPole-v1

An episode of CartPole-v1 has 500 steps, so that often only eight end while the final weights are
measured. The third rule at first asked for ten, and `make demo` shed and went back. Now five are
enough if they show that the return is kept. Five registered seeds (26 to 30), 100,000 steps,
portable numerics (`snn-gym train ppo-lif-dynamics CartPole-v1 --seeds 26-30`):

{long}
The mean of operations is 1.04 times that of the ten rows by the rules of 1.0.0 (1,381), within the
bar of 1.2. By the third rule (seeds 21 to 25) it was 3.8 times: one of five agents went back
because it was beyond the bound by 0.001 nat, and one because no episode measured its final
weights, which can still happen.

## Earlier rules

Cells are the mean difference to `ppo-lif`, its lower bound and, in brackets, the margin. Operations
are those of the rule divided by those of the rules of 1.0.0. Misses are in bold. The draft of the
third rule was measured by code that was not kept.

| Rule | Seeds | Task | A fifth | A half | All | Operations |
| --- | --- | --- | --- | --- | --- | --- |
| First | 18 to 20 | Docking | 0.0, 0.0 (-1.5) | -0.3, -2.2 (-4.4) | **-4.1, -8.1 (-6.2)** | 0.99 |
| | | Tanks | 0.0, -0.1 (-0.8) | -0.2, -0.3 (-1.0) | 0.0, -0.2 (-1.1) | **3.36** |
| | | Catching | **0.0, -0.3 (-0.1)** | **-0.3, -0.8 (-0.5)** | 0.0, 0.0 (-0.5) | 1.00 |
| Second | 8 to 10 | Docking | 0.0, 0.0 (0.2) | 0.9, -1.3 (-4.4) | **-9.1, -12.7 (-5.9)** | 1.02 |
| | | Tanks | 0.0, -0.1 (-0.8) | **-0.9, -1.7 (-1.0)** | -0.2, -0.4 (-1.1) | **2.82** |
| | | Catching | **-0.2, -0.7 (-0.1)** | **-1.3, -3.5 (-0.5)** | 0.0, 0.0 (-0.5) | **1.31** |
| Draft | 20 | Docking | 0.0, 0.0 (-0.9) | -0.1, -1.9 (-4.3) | **-4.5, -8.2 (-5.8)** | 0.66 |
| | | Tanks | 0.0, 0.0 (-0.8) | -0.5, -1.0 (-1.0) | -0.2, -0.3 (-1.1) | **1.83** |
| | | Catching | **0.2, -0.1 (-0.05)** | 0.3, -0.1 (-0.5) | 0.0, -0.1 (-0.5) | 1.05 |
| Third | 6 to 8 | Docking | 0.0, 0.0 (-1.3) | 0.0, 0.0 (-4.9) | 0.0, 0.0 (-6.1) | 1.14 |
| | | Tanks | 0.0, 0.0 (-0.8) | 0.0, 0.0 (-1.0) | -0.1, -0.2 (-1.1) | **2.29** |
| | | Catching | 0.0, 0.0 (-0.1) | 0.0, 0.0 (-0.5) | 0.0, 0.0 (-0.5) | **2.35** |

The first rule aimed at the whole bound until the last update, so that final weights were often
beyond it in new states. The second aimed at six tenths of it. Eight unlucky episodes were enough to
take everything back, and sums in another order made two trainings of one seed differ. By the third,
final weights that earned as much as before went back for a hair of divergence in new states, one of
six times on Tanks and on Catching.

```bash
python -m studies.budgets run
python -m studies.budgets report
```
"""


def lower_bound(differences: NDArray[np.float64]) -> float:
    """Return the one-sided 95 % lower bound of the mean (Student's t)."""
    count = len(differences)
    error = float(differences.std(ddof=1)) / np.sqrt(count)
    return float(differences.mean() - stats.t.ppf(0.95, count - 1) * error)


def _paired(runs: Sequence[Run], task: str, steps: int, one: Agent, two: Agent) -> Any:
    by_agent = [
        {run.seed: run for run in runs if (run.task, run.steps, run.agent) == (task, steps, agent)}
        for agent in (one, two)
    ]
    shared = sorted(by_agent[0].keys() & by_agent[1].keys())
    return [[runs[seed] for seed in shared] for runs in by_agent]


def _returns(runs: Sequence[Run]) -> str:
    rows = []
    for task, budget in tasks.BUDGETS.items():
        random = random_return(task)
        for share in SHARES:
            plain, watched = _paired(runs, task, round(share * budget), PLAIN, WATCHED)
            if len(plain) < 2:
                continue
            means = [np.array([run.mean_return for run in x]) for x in (plain, watched)]
            bound, margin = lower_bound(means[1] - means[0]), MARGIN * (means[0].mean() - random)
            shed = sum(run.divergence is not None and run.divergence > 0 for run in watched)
            equal = int((means[0] == means[1]).sum())
            kept = "yes" if bound >= -max(0.0, margin) else "**no**"
            rows.append(
                (
                    task, f"{round(share * budget):,}", str(len(plain)), f"{random:.2f}",
                    *(f"{x.mean():.2f}" for x in means), f"{(means[1] - means[0]).mean():.3f}",
                    f"{bound:.3f}", f"{-margin:.3f}", kept, str(shed), str(equal),
                )
            )  # fmt: skip
    headings = (
        "Task", "Steps", "Seeds", "Random play", "`ppo-lif`", "`ppo-lif-dynamics`", "Difference",
        "Lower bound", "Margin", "Not inferior", "Seeds that shed", "Seeds of equal return",
    )  # fmt: skip
    return table(headings, rows)


def _costs(runs: Sequence[Run]) -> str:
    rows = []
    for task, budget in tasks.BUDGETS.items():
        before, now = _paired(runs, task, budget, BEFORE, WATCHED)
        if not now:
            continue
        costs = [np.array([run.operations for run in x]) for x in (before, now)]
        earned = [np.mean([run.mean_return for run in x]) for x in (before, now)]
        cells = [f"{x:,.0f}" for values in costs for x in (values.mean(), np.median(values))]
        ratio = f"{costs[1].mean() / costs[0].mean():.2f}"
        rows.append((task, str(len(now)), *cells, ratio, *(f"{x:.2f}" for x in earned)))
    headings = (
        "Task", "Seeds", "Rules of 1.0.0, mean", "Median", "Now, mean", "Median", "Ratio of means",
        "Return, rules of 1.0.0", "Return now",
    )  # fmt: skip
    return table(headings, rows)


def _long(runs: Sequence[Run]) -> str:
    rows = [
        (str(run.seed), f"{run.mean_return:.1f}", f"{run.operations:,.0f}", run.outcome)
        for run in runs
        if run.task == LONG
    ]
    return table(("Seed", "Return", "Operations", "Line of the agent"), rows)


def _lines(runs: Sequence[Run], seed: int) -> str:
    rows = [
        (run.task, f"{run.steps:,}", run.outcome)
        for run in sorted(runs, key=lambda run: (run.task, run.steps))
        if run.agent == WATCHED and run.seed == seed
    ]
    return table(("Task", "Steps", f"Line of seed {seed}"), rows)


# ---- commands ------------------------------------------------------------------------------------
app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.command()
def run(
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0-9.")] = SEEDS,
) -> None:
    """Make the trainings that are missing."""
    torch.set_num_threads(1)
    done = {(run.task, run.agent, run.steps, run.seed) for run in read()}
    names = [field.name for field in fields(Run)]
    for plan in planned(parse_seeds(seeds) or ()):
        if plan in done:
            continue
        made = trained(*plan)
        with RUNS.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names, lineterminator="\n")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(asdict(made))
        typer.echo(
            f"{made.task} {made.agent} {made.steps:,} seed {made.seed}: {made.mean_return:.2f}"
        )


@app.command()
def report() -> None:
    """Write ``docs/short-budgets.md``."""
    judged = parse_seeds(SEEDS) or ()
    runs = [run for run in read() if run.seed in judged]
    shown_line = min((run.seed for run in runs), default=0)
    page = _PAGE.format(
        episodes=EPISODES,
        returns=_returns(runs),
        costs=_costs(runs),
        lines=_lines(runs, shown_line),
        long=_long(read()),
    )
    write_text_atomic(DOCS / "short-budgets.md", page)


if __name__ == "__main__":
    app()
