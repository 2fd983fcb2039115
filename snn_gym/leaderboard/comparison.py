"""Comparisons of agents: two agents by name, ratios of costs, tests of pairs."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from snn_gym._base.names import shown_seeds
from snn_gym.envs.registry import known_ids, load_environment_spec
from snn_gym.envs.stable_baselines import EnvironmentLike, Given
from snn_gym.leaderboard.evaluation import OFFICIAL_EPISODES, Evaluation, evaluate
from snn_gym.leaderboard.manifest import LearningCurve
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.leaderboard.results import rows_by_weights
from snn_gym.leaderboard.statistics import (
    difference_interval,
    paired_interval,
    paired_p,
    permutation_p,
    probability_of_improvement,
)
from snn_gym.leaderboard.submission import curve_of_run, trained_settings
from snn_gym.leaderboard.table import (
    FEWEST_SEEDS,
    TableRow,
    cost_fields,
    count,
    mean_known,
    summarise,
)
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.program.costs import COST_COLUMNS, NOT_COUNTED, OPERATIONS, Costs, shown_cost
from snn_gym.program.prices import DEFAULT, PRICES, Price, known_price
from snn_gym.training.record import RUN_FILE, read_training
from snn_gym.zoo import AgentManifest, agent_ids, load_agent, load_agent_spec, read_manifest
from snn_gym.zoo.files import MANIFEST
from snn_gym.zoo.hub import run_folder


# ---- two agents ----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Side:
    """One agent of a comparison, over its training seeds."""

    line: TableRow
    """Line of the results table, with the given name as its agent."""
    costs: tuple[Costs, ...]
    """Costs of a decision of each seed."""
    episodes: int
    """Episodes of each seed."""
    runs: tuple[Path, ...] = ()
    """Folder of each seed's run; empty for rows."""
    arguments: tuple[tuple[str, Any], ...] = ()
    """Arguments of the environment."""
    price: Price = PRICES[DEFAULT]
    """Price that is compared before SynOps, MACs and neuron updates."""

    @property
    def name(self) -> str:
        """Agent of the zoo, or the given folder."""
        return self.line.agent

    @property
    def has_mean(self) -> bool:
        """Whether there are enough seeds for a mean; intervals and tests need `FEWEST_SEEDS`."""
        return len(self.line.seeds) >= 3

    def shown(self, values: Sequence[float | None], show: Callable[[float], str]) -> str:
        """Format the mean over seeds, or both values of two seeds; "–" for None."""
        mean = mean_known(values)
        if mean is None or self.has_mean:
            return "–" if mean is None else show(mean)
        return ", ".join("–" if value is None else show(value) for value in values)

    @property
    def compared_costs(self) -> dict[str, list[float | None]]:
        """Costs of a decision of each seed, by heading: the price, and its parts."""
        parts = {COST_COLUMNS[x].heading: [y.total(x) for y in self.costs] for x in OPERATIONS}
        return {self.price.heading: [self.price.of(x) for x in self.costs], **parts}

    def _cost(self, values: Sequence[float | None]) -> str:
        if self.line.uncounted:
            return f"{NOT_COUNTED}: {', '.join(self.line.uncounted)}"
        return self.shown(values, count)

    def cells(self) -> dict[str, str]:
        """Return the texts of a comparison by heading; learning only where a threshold is known."""
        line, few = self.line, len(self.line.seeds) < FEWEST_SEEDS
        shown = line.seed_means if few else (min(line.seed_means), max(line.seed_means))
        learning: dict[str, str] = {}
        if line.threshold is not None:
            until = f"steps until learned ({line.score(line.threshold)})"
            names = (until, "seeds that learned", "area")
            learning = dict(zip(names, line.learning_cells(), strict=True))
        return {
            "seeds": shown_seeds(line.seeds),
            "episodes of a seed": str(self.episodes),
            "mean return": line.score(line.mean) if self.has_mean else "–",
            "95 % interval": " to ".join(map(line.score, line.interval or ())) or "–",
            "IQM": "–" if few else line.score(line.iqm),
            "solved": "–" if line.solved is None else f"{line.solved} of {len(line.seeds)}",
            "return of each seed": (", " if few else " to ").join(map(line.score, shown)),
            **{f"{x} per decision": self._cost(y) for x, y in self.compared_costs.items()},
            "parameters": f"{line.parameters:,}",
            **learning,
            "training steps": line.steps_range,
        }

    @property
    def is_proven(self) -> bool:
        """Whether a second training gave a row's weights; the user's own runs are trusted."""
        return bool(self.runs or self.line.trained_again)


def find_sides(
    names: Sequence[str],
    env: EnvironmentLike | None = None,
    *,
    episodes: int = OFFICIAL_EPISODES,
    leaderboard: Path | None = None,
    cost: str = DEFAULT,
    threshold: float | None = None,
) -> tuple[Side, Side]:
    """Return two agents to compare, each by the name of a zoo agent or a folder of runs.

    A zoo agent's ranked rows are read from the leaderboard; runs are evaluated here, in ``env``
    itself if it is an object, or in their own if it is None. ``threshold`` is the running training
    return that counts as learned, in place of the task's.

    Raises:
        ValueError: There are no such rows or runs, or they do not compare.
    """
    price = known_price(cost)
    runs = {name: _read_runs(name) for name in names if not _is_agent(name)}
    if len({*names}) < 2:
        raise ValueError(f"{names[0]} is compared with itself; name two agents or folders")
    env = _environment_of(names, runs) if env is None else env
    env_id = env if isinstance(env, str) else Given(env).name
    # Both names are resolved before the first evaluation, which takes time.
    sources = [
        _of_one_kind(x, runs[x], env_id) if x in runs else _from_rows(x, env_id, leaderboard)
        for x in names
    ]
    one, two = (
        source if isinstance(source, Side) else _evaluate_runs(name, env, source, episodes)
        for name, source in zip(names, sources, strict=True)
    )
    for name, first, second in (
        ("version", one.line.environment_version, two.line.environment_version),
        ("arguments", dict(one.arguments), dict(two.arguments)),
    ):
        if first != second:
            raise ValueError(
                f"{one.name} and {two.name} do not compare: {name} of {env_id} {first} and "
                f"{second}; train both on the same"
            )
    own = one.line.threshold if threshold is None else threshold
    one, two = (replace(x, price=price, line=replace(x.line, threshold=own)) for x in (one, two))
    return one, two


def describe_difference(one: Side, two: Side) -> list[str]:
    """Describe the difference of two agents in lines, or say that one has too few seeds."""
    # Only with its own teacher is a lean agent paired.
    origin_means = one.line.origin_means if one.line.origin == two.name else ()
    pair = Comparison(replace(one.line, origin_means=origin_means), two.line)
    _, _, difference, improvement, p, bound, finding = pair.cells()
    if not pair.has_enough_seeds:
        return [
            *[f"{one.name} less {two.name}: {difference}"] * (one.has_mean and two.has_mean),
            f"too few to test: {len(one.line.seeds)} and {len(two.line.seeds)} seeds, and a test "
            f"needs {FEWEST_SEEDS} of each",
        ]
    finding = finding.replace("not significant", "the difference is not significant")
    interval = paired_interval if origin_means else difference_interval
    low, high = map(one.line.score, interval(one.line.seed_means, pair.others))
    keeps = finding.endswith(("better", "not inferior", "by less than the margin"))
    lines = [
        f"{one.name} less {two.name}: {difference}, 95 % interval {low} to {high}",
        f"probability of improvement {improvement}, p {p}: {finding}",
        f"lower one-sided 95 % bound of the difference {bound}"
        + ("" if pair.margin is None else "; in brackets the margin, an accepted loss"),
        f"{one.name} keeps the return? {'yes' if keeps else 'not shown'}",
        _costs_less(one, two),
    ]
    if one.line.budget_class != two.line.budget_class:
        lines.append(f"budget classes: {one.line.budget_class} and {two.line.budget_class}")
    return lines


def _costs_less(one: Side, two: Side) -> str:
    """Return the question "costs less?" about the first cost of a comparison, with its answer."""
    heading, *_ = one.compared_costs
    costs = [[x or 0.0 for x in side.compared_costs[heading]] for side in (one, two)]
    claimed = [side.name for side in (one, two) if not side.is_proven]
    reason = (
        f"no second training gave weights of {' and '.join(claimed)}"
        if claimed
        else "the cost of a seed is 0 or unknown" * (min(map(min, costs)) <= 0.0)
    )
    answer = cost_answer(reason or cost_ratio(*costs))
    return f"{one.name} costs less ({heading}, ratio with 95 % interval)? {answer}"


def _is_agent(name: str) -> bool:
    """Return whether a name means an agent: one of the zoo, or no path and no existing file."""
    return name in agent_ids() or not (os.sep in name or Path(name).exists())


def _from_rows(agent: str, env_id: str, leaderboard: Path | None) -> Side:
    trained = find_trained(agent, env_id, leaderboard)
    if not trained.rows:
        trained.row()  # raises the reason
    rows = trained.ranked
    if not rows:
        seed, reason = trained.unranked[0].row.seed, trained.unranked[0].reason
        raise ValueError(
            f"no row of {agent} on {env_id} ranks; that of seed {seed} does not: {reason}; "
            "expected rows that leaderboard/RULES.md lets rank; compare runs instead"
        )
    line = summarise(rows, rows_by_weights(trained.parents))
    return Side(line, tuple(row.costs for row in rows), episodes=len(rows[0].score.returns))


def _read_runs(name: str) -> dict[Path, AgentManifest]:
    """Return the finished runs in a folder, up to two folders deep, or itself as one."""
    folder = run_folder(name)
    if not folder.is_dir():
        raise ValueError(
            f"{name} is no folder; expected two agents of the table or folders of runs"
        )
    runs: list[Path] = []
    for place in (folder, *sorted(folder.glob("*/")), *sorted(folder.glob("*/*/"))):
        # A run's folder holds other agents: its submission, and the best policy so far.
        if not {MANIFEST, RUN_FILE}.isdisjoint(os.listdir(place)) and place.parent not in runs:
            runs.append(place)
    finished = [run for run in runs if (run / MANIFEST).exists()]
    for run in runs:
        if run not in finished:
            warnings.warn(f"left out: {run} holds no finished run", stacklevel=2)
    if not finished:
        raise ValueError(f"{name} holds no finished run; expected what `snn-gym train` wrote")
    return {run: read_manifest(run) for run in finished}


def _environment_of(names: Sequence[str], runs: Mapping[str, Mapping[Path, AgentManifest]]) -> str:
    """Return the environment of the first folder of runs; refuse two agents of the table."""
    for folder in runs.values():
        return next(iter(folder.values())).environment
    raise ValueError(
        f"{names[0]} and {names[1]} are agents of the table; name an environment with --env, such "
        "as --env CartPole-v1"
    )


def _of_one_kind(
    name: str, runs: Mapping[Path, AgentManifest], env_id: str
) -> dict[Path, AgentManifest]:
    """Return runs in the order of their seeds; refuse runs that differ in more."""
    first = _kind(*next(iter(runs.items())))
    for run, manifest in runs.items():
        if manifest.environment != env_id:
            raise ValueError(
                f"{run} was trained on {manifest.environment}, not on {env_id}; name its "
                "environment with --env, or other runs"
            )
        own = _kind(run, manifest)
        for shared in {**first, **own}:
            if own.get(shared) != first.get(shared):
                raise ValueError(
                    f"{run} has {shared} {own.get(shared)!r} and another run in {name} "
                    f"{first.get(shared)!r}; put runs that differ in more than the seed apart"
                )
    seeds = [manifest.seed or 0 for manifest in runs.values()]
    if len(set(seeds)) < len(seeds):
        raise ValueError(
            f"runs in {name} have the same seed, of {sorted(seeds)}; a seed counts once"
        )
    return dict(sorted(runs.items(), key=lambda run: run[1].seed or 0))


def _kind(run: Path, manifest: AgentManifest) -> dict[str, Any]:
    """Return the settings that the runs of one agent share, whatever their seeds, by name."""
    # Those that the run began with: later ones have fewer neurons, of another number in each seed.
    settings = trained_settings(manifest)
    asked = read_training(run) if (run / RUN_FILE).exists() else manifest.recipe
    kind = {
        "agent": manifest.agent,
        "algorithm": settings.algorithm,
        "environment_kwargs": manifest.environment_kwargs,
        "observation_space": manifest.observation_space,
        "action_space": manifest.action_space,
        **settings.hyperparameters,
        **settings.policy_kwargs,
        **{f"network {name}": value for name, value in settings.network.items()},
        "vec_normalize": settings.vec_normalize,
        "parent": manifest.parent_sha256 is not None,
        "steps": manifest.num_timesteps if asked is None else asked.steps,
    }
    # Nothing says how large such a network was before it shed neurons.
    if manifest.recipe is None and (settings.network.get("regulation") or {}).get("lean"):
        for name in ("network hidden_sizes", "network time_steps", "critic_hidden_sizes"):
            kind.pop(name, None)
    return kind


def _evaluate_runs(
    name: str, env: EnvironmentLike, runs: dict[Path, AgentManifest], episodes: int
) -> Side:
    manifests = tuple(runs.values())
    arguments = manifests[0].environment_kwargs
    own = None if isinstance(env, str) else env
    # Any: PyTorch types unknown attributes of a module as tensors.
    policies: list[Any] = [raw_policy(load_agent(run, own)) for run in runs]
    results = tuple(
        evaluate(x, env, episodes, env_kwargs=arguments if own is None else None) for x in policies
    )
    acting = policies[0].acting_state_dict()
    parameters = sum(x.numel() for key, x in policies[0].named_parameters() if key in acting)
    found = (curve_of_run(run, manifest.num_timesteps) for run, manifest in runs.items())
    curves = tuple(curve for curve in found if curve is not None)
    line = _run_line(name, results[0].env_id, manifests, results, parameters, curves)
    return Side(line, results, episodes, tuple(runs), tuple(arguments.items()))


def _run_line(
    name: str,
    env_id: str,
    manifests: Sequence[AgentManifest],
    results: Sequence[Evaluation],
    parameters: int,
    curves: tuple[LearningCurve, ...],
) -> TableRow:
    """Return a line of the results table for runs that are not in it."""
    first = manifests[0]
    known = env_id in known_ids() and not first.environment_kwargs
    spec = load_environment_spec(env_id) if known else None
    agent = load_agent_spec(first.agent) if first.agent in agent_ids() else None
    budget_class = "gradient" if agent is None else agent.budget_class
    budget = 0 if spec is None else spec.budget.get(budget_class, 0)
    return TableRow(
        environment=env_id,
        environment_version=1 if spec is None else spec.version,
        budget_class=budget_class,
        agent=name,
        seeds=tuple(manifest.seed or 0 for manifest in manifests),
        seed_means=tuple(result.mean for result in results),
        reference=None if spec is None else spec.reference,
        card=None if spec is None else spec.name,
        **cost_fields(results),
        parameters=parameters,
        steps=tuple(manifest.num_timesteps for manifest in manifests),
        short=any(2 * manifest.num_timesteps < budget for manifest in manifests),
        curves=curves,
        threshold=None if spec is None else spec.reference.threshold,
    )


# ---- ratios of costs -----------------------------------------------------------------------------
SAME = 0.05
"""Costs are the same if their ratio is certainly within 1 / (1 + SAME) and 1 + SAME."""
LESS, SIMILAR, MORE, UNKNOWN = (
    "costs less",
    f"costs the same within {100 * SAME:g} %",
    "costs more",
    "cannot be told",
)
"""Answers to "costs less?"."""


class Ratio(NamedTuple):
    """Ratio of two agents' geometric mean costs over seeds, with its 95 % interval.

    The interval is (0, inf) if an agent has the cost of a single seed.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isinf(self.high):
            return shown_cost(self.value)
        return "{} ({} to {})".format(*map(shown_cost, self))


def cost_ratio(costs: Sequence[float], others: Sequence[float]) -> Ratio:
    """Return the ratio of the costs (seeds,) of two agents, above 0, by Welch's t of logarithms."""
    logs = np.log(costs), np.log(others)
    difference = logs[0].mean() - logs[1].mean()
    if min(map(len, logs)) < 2:
        return Ratio(float(np.exp(difference)), 0.0, math.inf)
    return Ratio(*np.exp([difference, *difference_interval(*logs)]).tolist())


def cost_answer(ratio: Ratio | str) -> str:
    """Return the answer to "costs less?", from a ratio or the reason why there is none."""
    if isinstance(ratio, str):
        return f"{UNKNOWN}, because {ratio}"
    holds = {
        LESS: ratio.high < 1.0,
        MORE: ratio.low > 1.0,
        SIMILAR: ratio.low >= 1.0 / (1.0 + SAME) and ratio.high <= 1.0 + SAME,
    }
    reaches = "the interval reaches from {1} to {2}".format(*map(shown_cost, ratio))
    return next(
        (f"{words}: {ratio}" for words, fits in holds.items() if fits), cost_answer(reaches)
    )


# ---- comparison ----------------------------------------------------------------------------------
SIGNIFICANCE = 0.05
"""Level of the test of a difference, and of the one-sided bound of a loss."""
MARGIN = 0.05
"""Accepted loss as a share of the way from random play to `solved`."""
WRONG_PERCENT = {"normal": (4, 5), "failing": (69, 50)}
"""Simulated rate of "not inferior" for agents that lose exactly the margin, 5 and 10 seeds."""

_ERROR_RATE = (
    'Agents that lose exactly the margin were called "not inferior" in {} % (5 seeds) and {} % (10 '
    "seeds) of repeats with normally distributed seeds. With failures in one of 15 seeds of the "
    "agent, and none of the other, in {} % and {} %"
).format(*WRONG_PERCENT["normal"], *WRONG_PERCENT["failing"])
COMPARISON_DEFINITIONS: dict[str, str] = {
    "Agent": "name of the agent",
    "Against": "its twin, the agent from whose rows it was made lean, or the agent on whose file "
    "its file builds; in the same environment, version and budget class",
    "Difference": "the agent's mean over seeds minus the other's",
    "Improvement": "probability that a seed of the agent exceeds a seed of the other: share of all "
    "pairs, ties counting one half. A lean agent (◊) is paired with its own rows",
    "p": "p-value of the difference, two-sided, from all ways to split the seeds between the two. "
    "For lean agents from Student's t over pairs. Not adjusted for the number of comparisons",
    "Lower bound": "lower one-sided 95 % bound of the difference by Welch's t, for lean agents by "
    f"Student's t over pairs. In brackets the margin: an accepted loss of {MARGIN:.0%} of the way "
    "from random play to `solved`",
    "Finding": f'"better" or "worse" if p is at most {SIGNIFICANCE}, else "not significant" (the '
    f'difference); "too few seeds" under {FEWEST_SEEDS} seeds. If the lower bound is above the '
    'margin, "not inferior" is added, or "by less than the margin" to "worse". ' + _ERROR_RATE,
}
COMPARISON_COLUMNS = tuple(COMPARISON_DEFINITIONS)
"""Headings of comparisons, in the order of `Comparison.cells`."""


@dataclass(frozen=True)
class Comparison:
    """Comparison of an agent with its twin or origin."""

    row: TableRow
    other: TableRow
    """Line of the twin or origin."""

    @property
    def others(self) -> tuple[float, ...]:
        """Compared mean returns: of a lean agent's own parents, or of the other agent."""
        return self.row.origin_means or self.other.seed_means

    @property
    def difference(self) -> float:
        """Mean over seeds minus that of `others`, in the task's reward units."""
        return self.row.mean - float(np.mean(self.others))

    @property
    def has_enough_seeds(self) -> bool:
        """Whether both have enough seeds for a finding."""
        return min(len(self.row.seeds), len(self.others)) >= FEWEST_SEEDS

    @property
    def improvement(self) -> float:
        """Probability that a seed of the agent exceeds a seed of the other, or its own parent."""
        one, two = np.array(self.row.seed_means), np.array(self.others)
        if self.row.origin_means:
            one, two = one[:, np.newaxis], two[:, np.newaxis]
        return float(probability_of_improvement(one, two).mean())

    @property
    def margin(self) -> float | None:
        """Accepted loss in the task's reward units; None without a reference."""
        return None if self.row.reference is None else self.row.reference.loss(MARGIN)

    def cells(self) -> tuple[str, ...]:
        """Return the texts under `COMPARISON_COLUMNS`."""
        return (
            self.row.name,
            self.other.agent,
            self.row.score(self.difference),
            f"{self.improvement:.2f}",
            *(self._tests() if self.has_enough_seeds else ("–", "–", "too few seeds")),
        )

    def _tests(self) -> tuple[str, str, str]:
        """Return the p-value, the lower bound with the margin, and the finding, as texts."""
        paired = bool(self.row.origin_means)
        test, interval = (
            (paired_p, paired_interval) if paired else (permutation_p, difference_interval)
        )
        p = test(self.row.seed_means, self.others)
        bound, _ = interval(self.row.seed_means, self.others, 1 - 2 * SIGNIFICANCE)
        shown = self.row.score(bound)
        finding = "not significant"
        if p <= SIGNIFICANCE:
            finding = "better" if self.difference > 0 else "worse"
        if self.margin is not None:
            shown += f" ({self.row.score(-self.margin)})"
            if finding != "better" and bound >= -self.margin:
                finding += ", by less than the margin" if finding == "worse" else ", not inferior"
        return f"{p:.3f}" if p >= 0.0005 else "< 0.001", shown, finding


def describe_loss(
    student: Evaluation, teacher: Evaluation, arguments: Mapping[str, Any] | None = None
) -> str:
    """Return whether a student is inferior to its teacher, in episodes with the same seeds.

    The margin is that of the table; there is none outside of the registered environments, nor
    with ``arguments`` of an environment.
    """
    pairs = student.returns, teacher.returns
    bound, _ = paired_interval(*pairs, 1 - 2 * SIGNIFICANCE)
    words = (
        f"difference of mean returns {student.mean - teacher.mean:.4g}, at least {bound:.4g} "
        f"(one-sided {1 - SIGNIFICANCE:.0%}, {len(student.seeds)} paired episodes)"
    )
    if student.env_id not in known_ids() or arguments:
        return words
    margin = load_environment_spec(student.env_id).reference.loss(MARGIN)
    finding = "not inferior" if bound >= -margin else "maybe inferior"
    return f"{words}: {finding} (margin {margin:.4g})"


def comparisons(rows: Sequence[TableRow]) -> Iterator[Comparison]:
    """Yield each pair of agent and twin or origin in a section once, the upper line first."""
    by_agent = {row.agent: row for row in rows if not row.derived}
    seen = set()
    for row in rows:
        for name in dict.fromkeys((row.twin, row.origin)):
            other = by_agent.get(name or "")
            if other is not None and (other.agent, other.derived, row.agent) not in seen:
                seen.add((row.agent, row.derived, other.agent))
                yield Comparison(row, other)
