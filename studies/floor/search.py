"""Searches of the study, and the page that shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

import snn_gym
from snn_gym.leaderboard.comparison import SIGNIFICANCE, Ratio, cost_answer
from snn_gym.leaderboard.results import Row, list_rows
from snn_gym.leaderboard.statistics import mean_interval, paired_interval, paired_p
from snn_gym.learners.students import SPIKING, Family
from snn_gym.program.prices import PRICES
from studies.floor.instructions import SEEDS, Counted, counted
from studies.floor.rate import CONTENDERS, ENV_ID, RATES, Rate, compared
from studies.floor.tasks import FLOORS, GROWTH, TASKS, Played, search
from studies.rows import LEADERBOARD, VERSION_1
from studies.runs import Planned, Runs, Study
from studies.statistics import equal_to, holm_by_name
from studies.tables import return_digits, table, wrapped

DOCS_NAME = "floors.md"
RATE_PREFIX = "rate/"
COUNTED_PREFIX = "instructions/"
_STATELESS = ("ppo-lif-tick", "ppo-lif", "ppo-mlp")
_MEMORY = ("recurrent-ppo-lif-tick", "recurrent-ppo-lsnn", "recurrent-ppo-gru")
BY_REWARD = {x: _MEMORY if x.startswith("snn/") else _STATELESS for x in FLOORS}
"""Agents that learn by reward, with one time step, with several, and without spikes."""
QUESTIONS = ("relu events", "relu held"), ("relu-8 events", "relu-8 held"), ("lif", "relu held")
"""Contenders whose operations are compared at every rate."""
FEWEST_SEEDS = 5
"""Seeds from which on there is a verdict."""
SAME = 1.25
"""Largest ratio of networks that cost the same, either way."""
_SAME = f"costs the same within {100 * (SAME - 1):.0f} %"


@dataclass(frozen=True)
class Search(Played):
    """Result of one search of one family."""

    units: int | None
    costs: dict[str, float]
    """Price of a decision by its name; empty if there is no network."""
    starts_above: int
    """Networks that kept the return before they were pruned."""
    seconds: float
    """Processor time."""

    def price(self, name: str) -> float:
        """Return the price of a decision, infinite without a network that keeps the return."""
        return self.costs[name] if self.keeps else math.inf


def plan(table: Runs) -> Iterator[Planned]:
    """Yield all searches, seed by seed, by names such as ``CartPole-v1/lif/0``.

    The instructions of what they found come with them, by ``instructions/CartPole-v1/lif/0``.
    """
    for seed in range(10):
        for name, task in TASKS.items():
            for family in (*task.families, *task.later) if seed in task.seeds else ():
                yield Planned(f"{name}/{family}/{seed}", partial(searched, name, family, seed))
        for contender, rate in product(CONTENDERS, RATES) if seed in FLOORS[ENV_ID].seeds else ():
            name = f"{RATE_PREFIX}{contender} {rate}/{seed}"
            yield Planned(name, partial(compared, contender, rate, seed))
        for env_id in FLOORS if seed in SEEDS else ():
            for cost, family in _cheapest_families(table, env_id, "operations").get(seed, ()):
                if math.isfinite(cost):
                    name = f"{COUNTED_PREFIX}{env_id}/{family}/{seed}"
                    yield Planned(name, partial(counted, env_id, family, seed))


def searched(name: str, family: Family, seed: int) -> Search:
    """Search for the smallest network of a family."""
    result = search(name, family, seed)
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
    parts = [_INTRODUCTION, _later(runs), _COUNTED, _instructions(runs)]
    parts += [_REWARD, _by_reward(runs)]
    parts += [_GROWTH, _ratios(runs), _slopes(runs), _PICTURE, _RATE, _rates(runs), _events(runs)]
    for name in TASKS:
        if made := _families(runs, name):
            parts += [f"## {name}", made]
    return {DOCS_NAME: "\n\n".join(x.strip() for x in parts) + "\n"}


def _families(runs: Runs, name: str) -> str:
    """Return a task's table of families."""
    task, digits = TASKS[name], return_digits(name.partition(" ")[0])
    networks, rows = len(task.effort.sizes) * task.effort.starts, []
    for family in (*task.families, *task.later):
        made = runs.read(Search, f"{name}/{family}/")
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
    """Return a mean with its interval; of one or two values these alone."""
    if len(values) < 3:
        return ", ".join(f"{x:.1f}" for x in values) or "–"
    low, high = mean_interval(values)
    return f"{np.mean(values):.1f} ({low:.1f} to {high:.1f})"


def cheapest(runs: Runs, name: str, price: str) -> dict[int, tuple[float, float]]:
    """Return the prices of the cheapest spiking network and ANN by each whole seed."""
    found = _cheapest_families(runs, name, price)
    return {seed: (spiking[0], ann[0]) for seed, (spiking, ann) in found.items()}


_Cheapest = tuple[float, Family]


def _cheapest_families(runs: Runs, name: str, price: str) -> dict[int, tuple[_Cheapest, _Cheapest]]:
    """Return price and family of the cheapest spiking network and ANN by each whole seed."""
    prefix = f"{name}/"
    searches = dict(zip(runs.names(prefix), runs.read(Search, prefix), strict=True))
    families, pairs = TASKS[name].families, dict[int, tuple[_Cheapest, _Cheapest]]()
    for seed in TASKS[name].seeds:
        made = {family: searches.get(f"{name}/{family}/{seed}") for family in families}
        costs = {x: y.price(price) for x, y in made.items() if y is not None}
        if len(costs) == len(families):
            spiking = min((costs[x], x) for x in families if x in SPIKING)
            pairs[seed] = spiking, min((costs[x], x) for x in families if x not in SPIKING)
    return pairs


def _verdict(pairs: Sequence[tuple[float, float]]) -> str:
    """Return one of the four phrases with its figures; under few seeds the ratios."""
    if not pairs:
        return "not searched yet"
    if len(pairs) < FEWEST_SEEDS:
        each = (f"{x / y:.2f}" if math.isfinite(x + y) else "no network" for x, y in pairs)
        return f"{', '.join(each)} (too few seeds)"
    if not np.isfinite(pairs).all():
        return cost_answer(_lacking(pairs))
    ratio = _ratio(pairs)
    if 1 / SAME <= ratio.low <= 1 <= ratio.high <= SAME:
        return f"{_SAME}: {ratio}"
    return cost_answer(ratio)


def _lacking(pairs: Sequence[tuple[float, float]]) -> str:
    """Return how many seeds found no network, and the ratio of the others."""
    missing = np.isinf(pairs).sum(axis=0).tolist()
    kinds = ("spiking network", "ANN")
    text = " and ".join(f"{x} found no {kind}" for x, kind in zip(missing, kinds, strict=True) if x)
    both = [x for x in pairs if np.isfinite(x).all()]
    others = f"; {len(both)} others: {_ratio(both)}" if len(both) > 2 else ""
    return f"of {len(pairs)} seeds {text}{others}"


def _ratio(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """Return the mean ratio with its interval, both by logarithms."""
    spiking, anns = np.log(pairs).T
    ends = paired_interval(spiking, anns)
    return Ratio(*np.exp([np.mean(spiking - anns), *ends]).tolist())


def _p(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the p-value of a ratio of 1; 1 where there is no ratio."""
    if len(pairs) < FEWEST_SEEDS or not np.isfinite(pairs).all():
        return 1.0
    return paired_p(*np.log(pairs).T)


def _answers(runs: Runs) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Return the pairs of prices of each task and price."""
    return {(x, y): [*cheapest(runs, x, y).values()] for x in FLOORS for y in PRICES}


def verdicts(runs: Runs, prices: Sequence[str] = tuple(PRICES)) -> str:
    """Return the table of verdicts by some prices, with p-values of all where there are ratios."""
    pairs = _answers(runs)
    adjusted = holm_by_name({key: _p(x) for key, x in pairs.items()})
    rows = []
    for env_id, task in FLOORS.items():
        cells = (
            _verdict(pairs[env_id, x])
            + f"; {equal_to(adjusted[env_id, x])}" * (_p(pairs[env_id, x]) < 1)
            for x in prices
        )
        operations = pairs[env_id, "operations"]
        means = f"{_means(operations)} (pilot {task.pilot})"
        rows.append((env_id, str(len(operations)), means, *cells))
    head = ("Task", "Seeds", "ANN; spiking (mean operations)", *(f"by `{x}`" for x in prices))
    return table(head, rows)


def _later(runs: Runs) -> str:
    """Return sentences on families that do not count in the verdicts."""
    later = ((env_id, family) for env_id, task in FLOORS.items() for family in task.later)
    lines = [_with_later(runs, env_id, family) for env_id, family in later]
    lines.append(
        "LunarLanderContinuous-v3 with the pilot's teacher, which has left the zoo, in place of "
        "`ppo-mlp`, which linear policies hardly follow: linear and LIF 6.9; 20.4; of 5 seeds 2 "
        f"found no ANN; 3 others: 2.89 (1.75 to 4.79) ({VERSION_1})."
    )
    return wrapped("Searched after the verdicts were seen, and no part of them. " + " ".join(lines))


def _with_later(runs: Runs, env_id: str, family: Family) -> str:
    """Return a sentence on what a family of ANNs changes on a task."""
    registered, prefix = cheapest(runs, env_id, "operations"), f"{env_id}/{family}/"
    found = dict(zip(runs.names(prefix), runs.read(Search, prefix), strict=True))
    own = {int(x.rpartition("/")[2]): y.price("operations") for x, y in found.items()}
    seeds = sorted(own.keys() & registered.keys())
    kept = sum(math.isfinite(own[x]) for x in seeds)
    less = sum(own[x] < registered[x][1] for x in seeds)
    pairs = [(registered[x][0], min(registered[x][1], own[x])) for x in seeds]
    return (
        f"{env_id}: `{family}` found a network on {kept} of {len(seeds)} seeds, and a cheaper one "
        f"than all other ANNs on {less}; with it, {_verdict(pairs)}."
    )


def _means(pairs: Sequence[tuple[float, float]]) -> str:
    """Return the mean prices of the cheapest ANN and spiking network, of seeds that have both."""
    both = [x for x in pairs if np.isfinite(x).all()]
    if not both:
        return "none yet"
    spiking, ann = np.mean(both, axis=0)
    return f"{ann:.1f}; {spiking:.1f}"


def summary(runs: Runs) -> str:
    """Return sentences on the tasks of each verdict by ``operations``, and on those that grow."""
    found: dict[str, list[str]] = {}
    for env_id in FLOORS:
        text = _verdict([*cheapest(runs, env_id, "operations").values()])
        known = (x for x in ("costs less", "costs more", _SAME) if text.startswith(x))
        words, told = next(known, "cannot be told yet"), env_id
        if words == "costs less":
            energy = _verdict([*cheapest(runs, env_id, "cmos45").values()])
            told += f" ({text.partition(': ')[2]} times; by `cmos45`, an energy: {energy})"
        found.setdefault(words, []).append(told)
    answers = "; ".join(f"{words} on {', '.join(tasks)}" for words, tasks in found.items())
    return (
        "The cheapest spiking network that a search finds, beside the cheapest ANN, by "
        "`operations` and not adjusted for the number of tasks: "
        f"{answers}. {_adjusted_summary(runs)} {_growth_summary(runs)}"
    )


def _adjusted_summary(runs: Runs) -> str:
    """Return a sentence on the tasks whose ratio differs from 1 after Holm's adjustment."""
    pairs = _answers(runs)
    adjusted = holm_by_name({key: _p(x) for key, x in pairs.items()})
    differ = [x for x in FLOORS if adjusted[x, "operations"] <= SIGNIFICANCE]
    above = [x for x in differ if _ratio(pairs[x, "operations"]).value > 1]
    more, less = (", ".join(x) or "no task" for x in (above, [x for x in differ if x not in above]))
    return (
        f"After Holm's adjustment for all {len(pairs)} answers, of which a third are by "
        f"`operations`, it costs more on {more} and less on {less}."
    )


def _growth_summary(runs: Runs) -> str:
    """Return a sentence on the ratios of tasks that grow."""
    pairs = grown_pairs(runs)
    adjusted = holm_by_name({key: _p(x) for key, x in pairs.items()})
    told = []
    for env_id, grown in GROWTH.items():
        names = [f"{env_id} {x}" for x in grown]
        prices = ("operations", "cmos45")
        if any(_p(pairs[name, x]) == 1 for name, x in product(names, prices)):
            continue  # too few seeds
        ratios = {
            x: ", ".join(f"{_ratio(pairs[name, x]).value:.2f}" for name in names) for x in prices
        }
        values = ", ".join(f"{adjusted[name, 'operations']:.2f}" for name in names)
        told.append(
            f"With {', '.join(map(str, grown))} patterns to remember ({env_id}) it costs "
            f"{ratios['operations']} times as much by `operations` (p = {values} by Holm), and "
            f"{ratios['cmos45']} times by `cmos45`."
        )
    return " ".join(told)


# ---- instructions --------------------------------------------------------------------------------
def _instructions(runs: Runs) -> str:
    """Return the table of instructions of a decision with weights of 8 bits."""
    lines = []
    for env_id in FLOORS:
        prefix, pairs = f"{COUNTED_PREFIX}{env_id}/", list[tuple[Counted, Counted]]()
        made = dict(zip(runs.names(prefix), runs.read(Counted, prefix), strict=True))
        for seed, cheapest in _cheapest_families(runs, env_id, "operations").items():
            both = [made.get(f"{prefix}{family}/{seed}") for _, family in cheapest]
            if both[0] is not None and both[1] is not None:
                pairs.append((both[0], both[1]))
        kept = [f"{sum(x[k].keeps for x in pairs)} of {len(pairs)}" for k in (1, 0)]
        counts = [(a.instructions, b.instructions) for a, b in pairs if a.keeps and b.keeps]
        spiking, ann = (f"{x:,.0f}" for x in np.mean(counts, axis=0)) if counts else ("–", "–")
        words = _verdict(counts) if counts or not pairs else "on no seed both keep the return"
        lines.append((env_id, "; ".join(kept), f"{ann}; {spiking}", words))
    head = (
        "Task", "Keep the return with 8 bits: ANN; spiking", "Instructions (mean): ANN; spiking",
        "Spiking costs",
    )  # fmt: skip
    return table(head, lines)


# ---- by reward -----------------------------------------------------------------------------------
def _by_reward(runs: Runs) -> str:
    """Return the table of agents that learned by reward, beside the smallest networks."""
    rows = list_rows(LEADERBOARD)
    lines = []
    for env_id, agents in BY_REWARD.items():
        pairs = [x for x in cheapest(runs, env_id, "operations").values() if np.isfinite(x).all()]
        smallest = (f"{x:.1f}" for x in np.mean(pairs, axis=0)) if pairs else ("–", "–")
        cells = (_rewarded(rows, agent, env_id) for agent in agents)
        lines.append((env_id, *cells, *smallest))
    head = (
        "Task", "One time step", "Several", "ANN twin", "Smallest spiking", "Smallest ANN",
    )  # fmt: skip
    return table(head, lines)


def _rewarded(rows: Sequence[Row], agent: str, env_id: str) -> str:
    """Return the seeds, mean return and operations of an agent's rows."""
    own = [x for x in rows if (x.agent, x.environment) == (agent, env_id)]
    if not own:
        return "–"
    returns = np.mean([x.score.mean for x in own])
    operations = np.mean([x.costs.operations_per_decision for x in own])
    return f"{returns:.{return_digits(env_id)}f} ({len(own)}); {operations:,.0f}"


def _ratios(runs: Runs) -> str:
    """Return the table of ratios of tasks that grow."""
    pairs = grown_pairs(runs)
    adjusted = holm_by_name({key: _p(x) for key, x in pairs.items()})
    rows = []
    for name in dict.fromkeys(x for x, _ in pairs):
        operations = pairs[name, "operations"]
        cells = (
            f"{_verdict(pairs[name, x])}; {equal_to(adjusted[name, x])}"
            if _p(pairs[name, x]) < 1
            else _verdict(pairs[name, x])
            for x in PRICES
        )
        rows.append((name, str(len(operations)), _means(operations), *cells))
    head = ("Task", "Seeds", "ANN; spiking (mean operations)", *(f"by `{x}`" for x in PRICES))
    return table(head, rows)


def grown_pairs(runs: Runs) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Return the prices of the cheapest networks of tasks that grow, by task and price."""
    names = [f"{x} {number}" for x, grown in GROWTH.items() for number in grown]
    return {(x, y): [*cheapest(runs, x, y).values()] for x in names for y in PRICES}


def _slopes(runs: Runs) -> str:
    """Return the sentences on whether ratios fall as networks grow."""
    found = {(x, y): _slopes_of(runs, x, y) for x in GROWTH for y in PRICES}
    tested = {key: slopes for key, slopes in found.items() if len(slopes) >= FEWEST_SEEDS}
    values = {key: paired_p(x, np.zeros(len(x))) for key, x in tested.items()}
    adjusted = holm_by_name({key: values.get(key, 1.0) for key in found})
    lines = []
    for (env_id, price), slopes in tested.items():
        low, high = mean_interval(slopes)
        lines.append(
            f"On {env_id} by `{price}` twice as much to remember multiplies the ratio by "
            f"{2 ** np.mean(slopes):.2f} ({2**low:.2f} to {2**high:.2f}; "
            f"{equal_to(adjusted[env_id, price])})."
        )
    return wrapped(" ".join(lines) or "Too few seeds have all numbers for a slope.")


def _slopes_of(runs: Runs, env_id: str, price: str) -> list[float]:
    """Return for each whole seed the slope of the logarithm of the ratio over that of the number.

    A seed on which spiking networks or ANNs keep no return somewhere has none.
    """
    numbers = GROWTH[env_id]
    found = [cheapest(runs, f"{env_id} {number}", price) for number in numbers]
    slopes = []
    for seed in set(found[0]).intersection(*found):
        pairs = np.array([x[seed] for x in found])
        if np.isfinite(pairs).all():
            spiking, anns = pairs.T
            slope = np.polyfit(np.log([*numbers]), np.log(spiking / anns), 1)[0]
            slopes.append(float(slope))
    return slopes


# ---- rates ---------------------------------------------------------------------------------------
def _rate_runs(runs: Runs, contender: str, rate: int) -> dict[int, Rate]:
    """Return the results of a contender at a rate by seed."""
    prefix = f"{RATE_PREFIX}{contender} {rate}/"
    seeds = (int(x.rpartition("/")[2]) for x in runs.names(prefix))
    return dict(zip(seeds, runs.read(Rate, prefix), strict=True))


def _rates(runs: Runs) -> str:
    """Return the table of contenders by rate."""
    rows = []
    for rate, contender in product(RATES, CONTENDERS):
        made = [*_rate_runs(runs, contender, rate).values()]
        kept = [x for x in made if x.keeps]
        costs = [x.price for x in kept]
        held = sorted({x.hold for x in kept if x.hold is not None})
        sent = sorted({x.threshold for x in kept if x.threshold is not None})
        if made:
            rows.append((
                str(rate), contender, f"{len(kept)} of {len(made)}", _mean_of(costs),
                ", ".join(map(str, held)) or "–", ", ".join(map(str, sent)) or "–",
                f"{np.mean([x.mean_return for x in kept]):.0f}" if kept else "–",
            ))  # fmt: skip
    head = (
        "Times the rate", "Contender", "Seeds that keep the return",
        "Operations in a twentieth of a second (mean, 95 % interval)", "Steps held", "Thresholds",
        "Fresh return",
    )  # fmt: skip
    return table(head, rows) if rows else "No contender has played yet."


def rate_pairs(runs: Runs) -> dict[tuple[tuple[str, str], int], list[tuple[float, float]]]:
    """Return the prices of two contenders on seeds that keep both returns, by pair and rate."""
    return {
        (pair, rate): [
            (one[seed].price, other[seed].price)
            for seed in sorted(one.keys() & other.keys())
            if one[seed].keeps and other[seed].keeps
        ]
        for pair, rate in product(QUESTIONS, RATES)
        for one, other in [(_rate_runs(runs, pair[0], rate), _rate_runs(runs, pair[1], rate))]
    }


def _events(runs: Runs) -> str:
    """Return the table of ratios, with p-values by Holm."""
    found = rate_pairs(runs)
    told = {key: len(x) > 2 for key, x in found.items()}
    adjusted = holm_by_name(
        {key: paired_p(*np.log(x).T) if told[key] else 1.0 for key, x in found.items()}
    )
    rows = [
        (
            f"{pair[0]} / {pair[1]}",
            *(
                f"{cost_answer(_ratio(found[pair, x]))}; {len(found[pair, x])} seeds; "
                f"{equal_to(adjusted[pair, x])}"
                if told[pair, x]
                else f"too few seeds ({len(found[pair, x])})"
                for x in RATES
            ),
        )
        for pair in QUESTIONS
    ]
    return table(("Operations, of seeds that have both", *(f"rate {x}" for x in RATES)), rows)


_INTRODUCTION = "# Floors: the cheapest network of each family\n\n" + wrapped(
    "Agents of the [results table](../leaderboard/README.md) are far larger than their tasks "
    "need. Here `snn_gym.smallest` searches, with the same number of networks and updates for "
    "every family, for the cheapest network that keeps a teacher's return: one hidden layer of few "
    "units, or none, whose synapses are pruned in rounds. Spiking units carry their potential from "
    "decision to decision and need one time step each.",
    "The verdicts are on [where spikes pay](where-spikes-pay.md#the-smallest-networks). Numbers "
    "are the price of the cheapest spiking network over that of the cheapest ANN of the same seed: "
    "the mean ratio with its 95 % interval by Student's t over seeds (of logarithms), and Holm's "
    "adjustment of a t-test over all answers. A stateless threshold unit is an ANN. There are more "
    "families of ANNs than of spiking networks, so ANNs had more searches. `python -m "
    "studies.floor report` writes this page from the searches of `python -m studies.floor run`. "
    "What is tested was registered before ([registered.toml](../studies/registered.toml)).",
    "Only networks that keep the return in 1,000 fresh episodes count. Fifty-one earlier searches "
    "were discarded after they were seen, and the search was changed. Seventeen of them, of seed "
    "0, shared most of their environments between seeds. The other 34, nearly all of seed 0, found "
    "no LIF network on Pendulum-v1 and no spiking one on IntervalTiming, and they counted networks "
    "that lose the return in fresh episodes. Operations of their cheapest ANN and spiking network: "
    "CartPole-v1 3.0 and 4.5, Acrobot-v1 1.0 and 3.0, Pendulum-v1 13.5 (ANN), CueAccumulation 6.4 "
    "and 8.1, DelayedMatchToSample 14.5 and 10.3 (9.2 with one that lost the return).",
)

_COUNTED = "## Instructions of the smallest\n\n" + wrapped(
    "The cheapest spiking network and the cheapest ANN by `operations`, of the first five seeds, "
    "with weights of 8 bits in fixed point: do they keep the return in the same 1,000 episodes, "
    "and how many instructions does a decision take on a Cortex-M4, as C in straight lines "
    "(`python -m studies.floor run --only instructions/`)? Ratios are of seeds on which both keep "
    "it. On native tasks most instructions read the 320 places of an observation, which both do "
    "alike. These numbers were not registered, and nothing is tested.",
)

_REWARD = "## The same by reward\n\n" + wrapped(
    "Mean return, seeds in brackets, and operations of a decision of agents that learned by reward "
    "alone, from the results table: `ppo-lif-tick` and `recurrent-ppo-lif-tick`, which decide in "
    "one time step and carry their potentials on; `ppo-lif` and `recurrent-ppo-lsnn`, with several "
    "time steps a decision; `ppo-mlp` and `recurrent-ppo-gru`. Beside them the operations of the "
    "smallest networks of the searches above, on seeds that have both.",
)

_GROWTH = "## More to remember\n\n" + wrapped(
    "Silent spiking units send nothing to their neighbours, so spiking networks might pay where "
    "there is recurrence, and more so in larger networks. Here DelayedMatchToSample has 2, 4 or 8 "
    "patterns (the number behind its id). The teacher is the right actions; a network keeps the "
    "return from 0.95 on, and an answer without memory earns 0.5. Families: rectified leaky "
    "integrators, ReLU RNN, LIF and recurrent LIF, of as many, half as many more and twice as many "
    "units as there are patterns.",
    "Fifteen searches of seed 0 were discarded after they were seen: of eleven networks that 100 "
    "validation episodes chose three lost the return in fresh ones, and with 16 patterns no family "
    "learned the task. Operations of the cheapest ANN and spiking network, kept or not: 15.0 and "
    "10.7 with 2 patterns, 33.9 and 21.0 with 4, 78.5 and 55.3 with 8. Since then 400 episodes "
    "choose, 8 patterns have twice the updates, and 16 are left out.",
)

_PICTURE = (
    "![Left: the ratio of spiking to ANN for 2, 4 and 8 patterns: about 0.8 by operations, about 1 "
    "by cmos45 and loihi. Right: operations with events over those of held actions: about 0.85 for "
    "the smallest ReLU network and 0.54 for the larger one, at every rate](images/floors.png)\n\n"
    "A point for each seed, a line through their geometric means. Left: more to remember. Right:\n"
    "more decisions a second, the next section."
)

_RATE = "## More decisions a second\n\n" + wrapped(
    "Between decisions that follow each other quickly little changes, so networks that send only "
    "changes might pay. But an action can be held, too. Here Pendulum asks for 20 decisions a "
    "second (rate 1) to 160. Contenders are the smallest ReLU and LIF networks of a seed and the "
    "zoo's `ppo-relu-8`; `held` computes everything anew every few steps; with `events` an input "
    "or unit sends its change when it exceeds a threshold (sigma-delta units; [O'Connor and "
    "Welling 2016](https://arxiv.org/abs/1611.02024)), and a comparison costs an update. Each may "
    "hold its action; the cheapest setting that keeps the return counts. Events have seven "
    "thresholds to choose from, so they have more settings than the others. Nothing is trained for "
    "a rate. Eight earlier runs of seed 0 were discarded: in 400 tuning episodes no setting of its "
    "ReLU network kept the return with a standard error to spare. Now 600 choose. "
    "The second table leaves out seeds that lack either, as registered, and has p by Holm over "
    "twelve. That three seeds are enough there was set after the runs were seen.",
)

STUDY = Study(Path(__file__).parent, plan, pages)
