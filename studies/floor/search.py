"""Searches of the study, and the page that shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import stats

import snn_gym
from snn_gym.leaderboard.floor import Effort
from snn_gym.learners.students import Family
from snn_gym.program.prices import PRICES
from studies.runs import Planned, Runs, Study
from studies.statistics import equal_to, holm
from studies.tables import return_digits, table, wrapped

DOCS_NAME = "floors.md"
FEWEST_SEEDS = 5
"""Seeds from which on there is a verdict."""
SPIKING: tuple[Family, ...] = ("lif", "recurrent_lif")
CONTROL: tuple[Family, ...] = ("linear", "relu", "threshold", "lif")
"""Families on control tasks, where an observation shows the whole state."""
MEMORY: tuple[Family, ...] = ("leaky", "rectified_leaky", "rnn", "lif", "recurrent_lif")
"""Families on tasks that need a memory."""
CLASSIC = Effort(generations=30, refined=4)
LANDER = Effort()
"""Without CMA-ES, for which Box2D is too slow."""
NATIVE = Effort(sizes=(1, 2, 3), starts=6, updates=600, validation_episodes=100)


@dataclass(frozen=True)
class Task:
    """A task, its teacher, and what is searched."""

    teacher: str
    effort: Effort
    families: tuple[Family, ...]
    seeds: range
    pilot: str
    """Cheapest ANN and spiking network of the pilot, some of them the best of several."""


TASKS: Mapping[str, Task] = {
    "CartPole-v1": Task("ppo-mlp", CLASSIC, CONTROL, range(5), "2.0; 3.5"),
    "Acrobot-v1": Task("ppo-mlp", CLASSIC, CONTROL, range(5), "1.0; 3.5"),
    "Pendulum-v1": Task("sb3-sac", CLASSIC, CONTROL, range(5), "7.7; 7.5"),
    "snn/CueAccumulation-v0": Task("recurrent-ppo-gru", NATIVE, MEMORY, range(10), "8.9; 8.4"),
    "snn/DelayedMatchToSample-v0": Task(
        "recurrent-ppo-gru", NATIVE, MEMORY, range(10), "10.9; 9.2"
    ),
    "snn/IntervalTiming-v0": Task("recurrent-ppo-gru", NATIVE, MEMORY, range(10), "13.2; 9.6"),
    "LunarLander-v3": Task("ppo-mlp", LANDER, CONTROL, range(5), "10.4; 15.3"),
    "LunarLanderContinuous-v3": Task("ppo-mlp", LANDER, CONTROL, range(5), "6.0; 15.5"),
}


@dataclass(frozen=True)
class Search:
    """Result of one search of one family."""

    least_return: float
    mean_return: float | None
    """In 1,000 fresh episodes; None if no network kept the return in validation."""
    units: int | None
    costs: dict[str, float]
    """Price of a decision by its name; empty if there is no network."""
    starts_above: int
    """Networks that kept the return before they were pruned, of ``networks``."""
    networks: int
    seconds: float
    """Processor time."""

    @property
    def operations(self) -> float:
        """Operations of a decision, infinite if there is no network."""
        return self.costs.get("operations", math.inf)


def plan(table: Runs) -> Iterator[Planned]:
    """Yield all searches, seed by seed, by names such as ``CartPole-v1/lif/0``."""
    del table
    for seed in range(10):
        for env_id, task in TASKS.items():
            for family in task.families if seed in task.seeds else ():
                search = partial(searched, env_id, family, seed)
                yield Planned(f"{env_id}/{family}/{seed}", search)


def searched(env_id: str, family: Family, seed: int) -> Search:
    """Search for the smallest network of a family."""
    task = TASKS[env_id]
    teacher = snn_gym.load_pretrained(task.teacher, env_id)
    result = snn_gym.smallest(teacher, [family], effort=task.effort, seed=seed)
    small, networks = result.cheapest[family], len(task.effort.sizes) * task.effort.starts
    return Search(
        result.least_return,
        None if small is None else small.evaluation.mean,
        None if small is None else sum(small.program.sizes),
        {} if small is None else _costs(small.evaluation),
        result.starts_above[family],
        networks,
        round(result.seconds[family], 1),
    )


def _costs(evaluation: snn_gym.Evaluation) -> dict[str, float]:
    prices = {name: price.of(evaluation) for name, price in PRICES.items()}
    return {name: round(x, 4) for name, x in prices.items() if x is not None}


# ---- page ----------------------------------------------------------------------------------------
def pages(runs: Runs) -> Mapping[str, str]:
    """Return the page of the study."""
    parts = [_INTRODUCTION, _verdicts(runs)]
    for env_id in TASKS:
        if made := _families(runs, env_id):
            parts += [f"## {env_id}", made]
    return {DOCS_NAME: "\n\n".join(x.strip() for x in parts) + "\n"}


def _read(runs: Runs, env_id: str, family: Family) -> list[Search]:
    return runs.read(Search, f"{env_id}/{family}/")


def _families(runs: Runs, env_id: str) -> str:
    """Return a task's table of families."""
    rows = []
    digits = return_digits(env_id)
    for family in TASKS[env_id].families:
        made = _read(runs, env_id, family)
        if not made:
            continue
        found = [x for x in made if x.mean_return is not None]
        kept = sum(x.mean_return >= x.least_return for x in found if x.mean_return is not None)
        earned = [x.mean_return for x in found if x.mean_return is not None]
        starts, networks = (sum(getattr(x, n) for x in made) for n in ("starts_above", "networks"))
        rows.append((
            f"`{family}`",
            f"{len(found)} of {len(made)}",
            f"{kept}",
            _mean_of([x.operations for x in found]),
            "–" if not found else f"{min(x.operations for x in found):.1f}",
            "–" if not found else " to ".join(
                sorted({f"{min(earned):.{digits}f}", f"{max(earned):.{digits}f}"}, key=float)
            ),
            f"{starts} of {networks}",
            f"{np.mean([x.seconds for x in made]):.0f}",
        ))  # fmt: skip
    head = (
        "Family", "Searches that found one", "of these keep it in 1,000 fresh episodes",
        "Operations (mean, 95 % interval)", "least", "Fresh returns",
        "Networks that keep it unpruned", "Seconds of a search",
    )  # fmt: skip
    return table(head, rows) if rows else ""


def _mean_of(values: Sequence[float]) -> str:
    """Return a mean with its interval by Student's t."""
    if not values:
        return "–"
    mean = float(np.mean(values))
    if len(values) == 1:
        return f"{mean:.1f}"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return f"{mean:.1f} ({mean - half:.1f} to {mean + half:.1f})"


def _log_ratios(runs: Runs, env_id: str, price: str) -> list[float]:
    """Return for each whole seed the logarithm of the cheapest spiking to the cheapest ANN."""
    families, ratios = TASKS[env_id].families, []
    for seed in TASKS[env_id].seeds:
        made = {x: _read(runs, env_id, x) for x in families}
        names = [f"{env_id}/{x}/{seed}" for x in families]
        if not all(name in runs for name in names):
            continue
        costs = {
            x: made[x][runs.names(f"{env_id}/{x}/").index(name)].costs.get(price, math.inf)
            for x, name in zip(families, names, strict=True)
        }
        spiking = min(costs[x] for x in families if x in SPIKING)
        ann = min(costs[x] for x in families if x not in SPIKING)
        ratios.append(math.log(spiking / ann) if math.isfinite(spiking + ann) else math.inf)
    return ratios


def _verdict(ratios: Sequence[float], p: float) -> str:
    """Return one of the four phrases with its figures."""
    if not ratios:
        return "not searched yet"
    if len(ratios) < FEWEST_SEEDS:
        each = ", ".join(f"{math.exp(x):.2f}" if math.isfinite(x) else "no network" for x in ratios)
        return f"{each} (too few seeds)"
    if not np.isfinite(ratios).all():
        missing = int(np.sum(~np.isfinite(ratios)))
        return f"cannot be told, because {missing} of {len(ratios)} seeds found no network"
    mean, error = np.mean(ratios), stats.sem(ratios)
    half = stats.t.ppf(0.975, len(ratios) - 1) * error
    low, middle, high = (math.exp(x) for x in (mean - half, mean, mean + half))
    words = "costs more" if low > 1 else "costs less" if high < 1 else None
    if words is None:
        same = max(high, 1 / low)
        if same > 1.25:
            words = f"cannot be told, because the interval reaches from {low:.2f} to {high:.2f}"
        else:
            words = f"costs the same within {same:.2f}"
    return f"{words}: {middle:.2f} ({low:.2f} to {high:.2f}), {equal_to(p)} by Holm"


def _verdicts(runs: Runs) -> str:
    """Return the table of verdicts, and the sentence of its test."""
    rows, prices = [], tuple(PRICES)
    ratios = {(e, x): _log_ratios(runs, e, x) for e in TASKS for x in prices}
    tested = {
        key: float(stats.ttest_1samp(x, 0.0).pvalue)
        for key, x in ratios.items()
        if len(x) >= FEWEST_SEEDS and np.isfinite(x).all() and np.std(x) > 0
    }
    ones = [1.0] * (len(ratios) - len(tested))
    adjusted = dict(zip(tested, holm([*tested.values(), *ones]), strict=False))
    for env_id, task in TASKS.items():
        cells = [_verdict(ratios[env_id, x], adjusted.get((env_id, x), 1.0)) for x in prices]
        rows.append((env_id, str(len(ratios[env_id, prices[0]])), *cells, task.pilot))
    head = ("Task", "Seeds", *(f"by `{x}`" for x in prices), "Pilot: ANN; spiking (operations)")
    return table(head, rows)


_INTRODUCTION = "# Floors: the cheapest network of each family\n\n" + wrapped(
    "The contenders of [where spikes pay](where-spikes-pay.md) are far larger than their tasks "
    "need. Here `snn_gym.smallest` searches, with the same number of networks and updates for "
    "every family, for the cheapest network that keeps a teacher's return: one hidden layer of few "
    "units, or none, whose synapses are pruned in rounds. Spiking units carry their potential from "
    "decision to decision and need one time step each.",
    "Numbers are the price of the cheapest spiking network over that of the cheapest ANN of the "
    "same seed: the mean ratio with its 95 % interval by Student's t over seeds (of logarithms), "
    "and Holm's adjustment of a t-test over all answers. A stateless threshold unit is an ANN. "
    "There are more families of ANNs than of spiking networks, so ANNs had more searches. Searches "
    "go on. Written by `python -m studies.floor report` from the searches of `python -m "
    "studies.floor run`; what is tested was registered before (studies/registered.toml).",
)

STUDY = Study(Path(__file__).parent, plan, pages)
