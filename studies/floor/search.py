"""Searches of the study, and the page that shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

import snn_gym
from snn_gym.leaderboard.comparison import Ratio, cost_answer
from snn_gym.leaderboard.floor import Effort
from snn_gym.leaderboard.statistics import mean_interval, paired_interval, paired_p
from snn_gym.learners.students import SPIKING, Family
from snn_gym.program.prices import PRICES
from studies.runs import Planned, Runs, Study
from studies.statistics import equal_to, holm_by_name
from studies.tables import return_digits, table, wrapped

DOCS_NAME = "floors.md"
FEWEST_SEEDS = 5
"""Seeds from which on there is a verdict."""
SAME = 1.25
"""Largest ratio of networks that cost the same, either way."""
CONTROL: tuple[Family, ...] = ("linear", "relu", "threshold", "lif")
"""Families on control tasks, where an observation shows the whole state."""
MEMORY: tuple[Family, ...] = ("leaky", "rectified_leaky", "rnn", "lif", "recurrent_lif")
"""Families on tasks that need a memory."""
CLASSIC = Effort(generations=60, refined=8)
LANDER = Effort()
"""Without CMA-ES, for which Box2D is too slow."""
NATIVE = Effort(sizes=(1, 2, 3), starts=6, updates=600, validation_episodes=100)
LONGER = replace(NATIVE, sizes=(2, 3, 4))
"""For intervals, which two units hardly tell apart."""


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
    "snn/IntervalTiming-v0": Task("recurrent-ppo-gru", LONGER, MEMORY, range(10), "13.2; 9.6"),
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
    """Networks that kept the return before they were pruned."""
    seconds: float
    """Processor time."""

    @property
    def keeps(self) -> bool:
        """Whether there is a network that keeps the return in fresh episodes."""
        return self.mean_return is not None and self.mean_return >= self.least_return

    def price(self, name: str) -> float:
        """Return the price of a decision, infinite without a network that keeps the return."""
        return self.costs[name] if self.keeps else math.inf


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
    small = result.cheapest[family]
    return Search(
        result.least_return,
        None if small is None else small.evaluation.mean,
        None if small is None else sum(small.program.sizes),
        {} if small is None else _costs(small.evaluation),
        result.starts_above[family],
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


def _families(runs: Runs, env_id: str) -> str:
    """Return a task's table of families."""
    task, digits = TASKS[env_id], return_digits(env_id)
    networks, rows = len(task.effort.sizes) * task.effort.starts, []
    for family in task.families:
        made = runs.read(Search, f"{env_id}/{family}/")
        earned = [x.mean_return for x in made if x.mean_return is not None]
        costs = [x.price("operations") for x in made if x.keeps]
        if made:
            returns = sorted({f"{x:.{digits}f}" for x in earned}, key=float)
            rows.append((
                f"`{family}`",
                f"{len(earned)} of {len(made)}",
                str(len(costs)),
                _mean_of(costs),
                f"{min(costs):.1f}" if costs else "–",
                " to ".join(returns[:1] + returns[1:][-1:]) or "–",
                f"{sum(x.starts_above for x in made)} of {networks * len(made)}",
                f"{np.mean([x.seconds for x in made]):.0f}",
            ))  # fmt: skip
    head = (
        "Family", "Searches that found one", "of these keep it in 1,000 fresh episodes",
        "Operations (mean, 95 % interval)", "least", "Fresh returns",
        "Networks that keep it unpruned", "Seconds of a search",
    )  # fmt: skip
    return table(head, rows) if rows else ""


def _mean_of(values: Sequence[float]) -> str:
    """Return a mean with its interval."""
    if len(values) < 2:
        return f"{values[0]:.1f}" if values else "–"
    low, high = mean_interval(values)
    return f"{np.mean(values):.1f} ({low:.1f} to {high:.1f})"


def _cheapest(runs: Runs, env_id: str, price: str) -> list[tuple[float, float]]:
    """Return the prices of the cheapest spiking network and ANN of each whole seed."""
    searches = dict(zip(runs.names(), runs.read(Search), strict=True))
    families, pairs = TASKS[env_id].families, []
    for seed in TASKS[env_id].seeds:
        made = {family: searches.get(f"{env_id}/{family}/{seed}") for family in families}
        costs = {x: y.price(price) for x, y in made.items() if y is not None}
        if len(costs) == len(families):
            spiking = min(costs[x] for x in families if x in SPIKING)
            pairs.append((spiking, min(costs[x] for x in families if x not in SPIKING)))
    return pairs


def _verdict(pairs: Sequence[tuple[float, float]]) -> str:
    """Return one of the four phrases with its figures; under few seeds the ratios."""
    lacking = sum(not np.isfinite(x).all() for x in pairs)
    if not pairs:
        return "not searched yet"
    if len(pairs) < FEWEST_SEEDS:
        each = (f"{x / y:.2f}" if math.isfinite(x + y) else "no network" for x, y in pairs)
        return f"{', '.join(each)} (too few seeds)"
    if lacking:
        return cost_answer(f"{lacking} of {len(pairs)} seeds found no network")
    spiking, anns = np.log(pairs).T
    ends = paired_interval(spiking, anns)
    ratio = Ratio(*np.exp([np.mean(spiking - anns), *ends]).tolist())
    if 1 / SAME <= ratio.low <= 1 <= ratio.high <= SAME:
        return f"costs the same within {100 * (SAME - 1):.0f} %: {ratio}"
    return cost_answer(ratio)


def _p(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the p-value of a ratio of 1; 1 where there is no ratio."""
    if len(pairs) < FEWEST_SEEDS or not np.isfinite(pairs).all():
        return 1.0
    return paired_p(*np.log(pairs).T)


def _verdicts(runs: Runs) -> str:
    """Return the table of verdicts, with p-values where there are ratios."""
    pairs = {(x, y): _cheapest(runs, x, y) for x in TASKS for y in PRICES}
    adjusted = holm_by_name({key: _p(x) for key, x in pairs.items()})
    rows = []
    for env_id, task in TASKS.items():
        cells = (
            _verdict(pairs[env_id, x])
            + f"; {equal_to(adjusted[env_id, x])}" * (_p(pairs[env_id, x]) < 1)
            for x in PRICES
        )
        rows.append((env_id, str(len(pairs[env_id, "operations"])), *cells, task.pilot))
    head = ("Task", "Seeds", *(f"by `{x}`" for x in PRICES), "Pilot: ANN; spiking (operations)")
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
    "Only networks that keep the return in 1,000 fresh episodes count. Fifty-one earlier searches "
    "were discarded after they were seen, and the search was changed: seventeen of seed 0, whose "
    "seeds would have shared most of their environments, and 34, nearly all of seed 0, which found "
    "no LIF network on Pendulum-v1, no spiking one on IntervalTiming, and counted those that lost "
    "the return in fresh episodes. Operations of the cheapest ANN and spiking network of the 34: "
    "CartPole-v1 3.0 and 4.5, Acrobot-v1 1.0 and 3.0, Pendulum-v1 13.5 (ANN), CueAccumulation 6.4 "
    "and 8.1, DelayedMatchToSample 14.5 and 10.3 (9.2 with one that lost the return).",
)

STUDY = Study(Path(__file__).parent, plan, pages)
