"""Agents compared: two sides, performance profiles, and which of a pair is better."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snn_gym._base.names import shown_seeds
from snn_gym.envs.registry import EnvironmentSpec, known_ids, load_environment_spec
from snn_gym.leaderboard.evaluation import OFFICIAL_EPISODES, Evaluation, evaluate
from snn_gym.leaderboard.headings import FEWEST_SEEDS, MARK, STREAMS_NOTE
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.leaderboard.results import parents
from snn_gym.leaderboard.statistics import (
    difference_interval,
    expected_shortfall,
    grand_mean_interval,
    paired_interval,
    paired_p,
    permutation_p,
    probability_of_improvement,
)
from snn_gym.leaderboard.table import TableRow, cost_fields, count, mean_known, summarise
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.program.costs import COST_COLUMNS, NOT_COUNTED, OPERATIONS, Costs
from snn_gym.zoo import agent_ids, load_agent, load_agent_spec, read_manifest
from snn_gym.zoo.files import MANIFEST

if TYPE_CHECKING:
    from snn_gym.zoo import AgentManifest


# ---- sides ---------------------------------------------------------------------------------------
COMPARED_COSTS = ("operations_per_decision", *OPERATIONS)
"""Costs that are compared, by their names in `COST_COLUMNS`."""


@dataclass(frozen=True)
class Side:
    """One agent of a comparison, over its training seeds."""

    line: TableRow
    """Line of the results table for it; its agent is the name that was given."""
    costs: tuple[Costs, ...]
    """Costs of a decision, of each seed."""
    episodes: int
    """Episodes behind the mean return of a seed."""
    runs: tuple[Path, ...] = ()
    """Folder of each seed's run; empty for rows."""
    arguments: tuple[tuple[str, Any], ...] = ()
    """Arguments of the environment."""

    @property
    def name(self) -> str:
        """Agent of the zoo, or the folder as it was given."""
        return self.line.agent

    @property
    def is_summarised(self) -> bool:
        """Whether there are the seeds that a summary takes."""
        return len(self.line.seeds) >= FEWEST_SEEDS

    def shown(self, values: Sequence[float | None], show: Callable[[float], str]) -> str:
        """Return the mean of what the seeds have as text, or, of few, what each has.

        Args:
            values: One for each seed, None for none.
            show: What makes a text of a value.
        """
        mean = mean_known(values)
        if mean is None or self.is_summarised:
            return "–" if mean is None else show(mean)
        return ", ".join("–" if value is None else show(value) for value in values)

    def _cost(self, name: str) -> str:
        if self.line.uncounted:
            return f"{NOT_COUNTED}: {', '.join(self.line.uncounted)}"
        text = self.shown([costs.total(name) for costs in self.costs], count)
        return text if self.costs_rank else self.line.cost_cell(text)

    def cells(self) -> tuple[str, ...]:
        """Return the texts beside `MEASURES`."""
        line, few = self.line, not self.is_summarised
        low_to_high = " to ".join(map(line.score, line.interval or ()))
        shown = line.seed_means if few else (min(line.seed_means), max(line.seed_means))
        return (
            shown_seeds(line.seeds),
            str(self.episodes),
            "–" if few else line.score(line.mean),
            low_to_high or "–",
            "–" if few else line.score(line.iqm),
            "–" if line.solved is None else f"{line.solved} of {len(line.seeds)}",
            (", " if few else " to ").join(map(line.score, shown)),
            *(self._cost(name) for name in COMPARED_COSTS),
            f"{line.parameters:,}",
            " to ".join(f"{steps:,}" for steps in sorted({min(line.steps), max(line.steps)})),
        )

    @property
    def costs_rank(self) -> bool:
        """Whether costs compare: a row's weights may have been made by hand, a run is one's own."""
        return bool(self.runs) or self.line.costs_rank


MEASURES = (
    "seeds",
    "episodes of a seed",
    "mean return",
    "95 % interval",
    "IQM",
    "solved",
    "return of each seed",
    *(f"{COST_COLUMNS[name].heading} per decision" for name in COMPARED_COSTS),
    "parameters",
    "training steps",
)
"""Headings of a comparison, in the order of `Side.cells`."""


def find_sides(
    names: tuple[str, str],
    env_id: str,
    *,
    episodes: int = OFFICIAL_EPISODES,
    leaderboard: Path | None = None,
) -> tuple[Side, Side]:
    """Find both sides of a comparison.

    Args:
        names: Of each an agent of the zoo, for its rows, or a folder: that of a run, or one that
            holds runs of different seeds.
        env_id: Gymnasium id of the environment.
        episodes: Episodes with public seeds that each run plays now.
        leaderboard: Folder of the results table; None as for ``load_pretrained``.

    Raises:
        ValueError: There are no such rows or runs, or they do not compare.
    """
    if names[0] == names[1]:
        raise ValueError(f"{names[0]} is compared with itself; name two agents or folders")
    # All are looked up before the first is played, which takes time.
    found = [_of_rows(x, env_id, leaderboard) if _is_agent(x) else _runs(x, env_id) for x in names]
    one, two = (
        side if isinstance(side, Side) else _played(name, env_id, side, episodes)
        for name, side in zip(names, found, strict=True)
    )
    for what, of_one, of_two in (
        ("version", one.line.environment_version, two.line.environment_version),
        ("arguments", dict(one.arguments), dict(two.arguments)),
    ):
        if of_one != of_two:
            raise ValueError(
                f"{one.name} and {two.name} do not compare: {what} of {env_id} {of_one} and "
                f"{of_two}; train both on the same"
            )
    return one, two


def describe_difference(one: Side, two: Side) -> list[str]:
    """Return what is known of the difference of two sides, as lines of text.

    Args:
        one: One side.
        two: The other.
    """
    pair = Comparison(one.line, two.line)
    unheard = [
        f"spikes of {side.name} reach no output: in a ranking it is no spiking agent"
        for side in (one, two)
        if side.line.unheard
    ]
    if not pair.has_enough_seeds:
        few = f"fewer than {FEWEST_SEEDS} seeds are listed and not summarised or compared"
        return [few, *unheard]
    _, _, difference, improvement, p, bound, finding = pair.cells()
    low, high = difference_interval(one.line.seed_means, two.line.seed_means)
    score = one.line.score
    lines = [
        *unheard,
        f"{one.name} less {two.name}: {difference}, 95 % interval {score(low)} to {score(high)}",
        f"probability of improvement {improvement}, p {p}: {finding}",
        f"lower one-sided 95 % bound of the difference {bound}"
        + ("" if pair.margin is None else "; in brackets the loss that is none"),
    ]
    if not (one.costs_rank and two.costs_rank):
        lines.append("costs in brackets do not rank: no seed of that line was trained again")
    if one.line.budget_class != two.line.budget_class:
        lines.append(f"budget classes: {one.line.budget_class} and {two.line.budget_class}")
    return [*lines, STREAMS_NOTE.strip()] if MARK in p else lines


def _is_agent(what: str) -> bool:
    """Return whether a name is an agent's rather than a folder's; ./NAME is always a folder's."""
    return what in agent_ids() or not (os.sep in what or Path(what).exists())


def _of_rows(agent: str, env_id: str, leaderboard: Path | None) -> Side:
    found = find_trained(agent, env_id, leaderboard)
    if not found.rows:
        found.row()  # says why
    rows = found.ranked
    if not rows:
        seed, reason = found.unranked[0].row.seed, found.unranked[0].reason
        raise ValueError(
            f"no row of {agent} on {env_id} ranks, that of seed {seed} for its recipe: {reason}; "
            "expected rows of the recipe that the rules fix; compare runs instead"
        )
    line = summarise(rows, parents(found.parents))
    return Side(line, tuple(row.costs for row in rows), episodes=len(rows[0].score.returns))


def _runs(what: str, env_id: str) -> dict[Path, AgentManifest]:
    """Return the runs in a folder by seed, with their manifests."""
    folder = Path(what)
    if not folder.is_dir():
        raise ValueError(f"{what} is no folder; expected an agent's name or a folder of runs")
    inside = [folder] if (folder / MANIFEST).exists() else sorted(folder.iterdir())
    runs = {run: read_manifest(run) for run in inside if (run / MANIFEST).exists()}
    for run in inside:
        if run not in runs and run.is_dir():
            warnings.warn(f"left out: {run} holds no finished run", stacklevel=2)
    if not runs:
        raise ValueError(f"{what} holds no finished run; expected what `snn-gym train` wrote")
    first = next(iter(runs.values()))
    for run, manifest in runs.items():
        if manifest.environment != env_id:
            raise ValueError(
                f"{run} was trained on {manifest.environment}, not on {env_id}; name its "
                "environment with --env, or other runs"
            )
        for name in ("agent", "environment_kwargs"):
            if getattr(manifest, name) != getattr(first, name):
                raise ValueError(
                    f"{run} has {name} {getattr(manifest, name)!r} and another run in {what} "
                    f"{getattr(first, name)!r}; put runs that differ in more than the seed apart"
                )
    seeds = [manifest.seed or 0 for manifest in runs.values()]
    if len(set(seeds)) < len(seeds):
        raise ValueError(
            f"runs in {what} have the same seed, of {sorted(seeds)}; a seed counts once"
        )
    return dict(sorted(runs.items(), key=lambda run: run[1].seed or 0))


def _played(what: str, env_id: str, runs: dict[Path, AgentManifest], episodes: int) -> Side:
    manifests = tuple(runs.values())
    arguments = manifests[0].environment_kwargs
    # Any: PyTorch types the attributes of a module that it does not know as tensors.
    policies: list[Any] = [raw_policy(load_agent(run)) for run in runs]
    results = [evaluate(x, env_id, episodes, env_kwargs=arguments) for x in policies]
    acting = policies[0].acting_state_dict()
    parameters = sum(
        value.numel() for name, value in policies[0].named_parameters() if name in acting
    )
    return Side(
        _line(what, env_id, manifests, results, parameters),
        tuple(results),
        episodes,
        tuple(runs),
        tuple(arguments.items()),
    )


def _line(
    what: str,
    env_id: str,
    manifests: Sequence[AgentManifest],
    results: Sequence[Evaluation],
    parameters: int,
) -> TableRow:
    first = manifests[0]
    spec: EnvironmentSpec | None = None
    if env_id in known_ids() and not first.environment_kwargs:
        spec = load_environment_spec(env_id)
    agent = load_agent_spec(first.agent) if first.agent in agent_ids() else None
    budget_class = "gradient" if agent is None else agent.budget_class
    budget = 0 if spec is None else spec.budget.get(budget_class, 0)
    return TableRow(
        environment=env_id,
        environment_version=1 if spec is None else spec.version,
        budget_class=budget_class,
        agent=what,
        twin=None,
        origin=None,
        origin_means=(),
        seeds=tuple(manifest.seed or 0 for manifest in manifests),
        seed_means=tuple(result.mean for result in results),
        worst_episodes=expected_shortfall([result.returns for result in results]),
        reference=None if spec is None else spec.reference,
        card=None if spec is None else spec.name,
        **cost_fields(results),
        parameters=parameters,
        steps=tuple(manifest.num_timesteps for manifest in manifests),
        shared_streams=any(manifest.seeding == "consecutive" for manifest in manifests),
        short=any(2 * manifest.num_timesteps < budget for manifest in manifests),
        trained_again=0,
        parents_trained_again=0,
        hidden_means=(),
        hidden_flagged=0,
        faulted=0,
        kept=(),
        derived=False,
    )


# ---- profiles ------------------------------------------------------------------------------------
# Performance profiles: how often an agent reaches a score, over several environments.
#
# As in Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
# NeurIPS 2021, https://arxiv.org/abs/2108.13264, section 4.2, with seeds as the unit.
LEVELS = (0.25, 0.5, 0.75, 0.9, 1.0)
"""Normalised scores at which a profile is shown."""
FEWEST_ENVIRONMENTS = 2
"""Environments that a profile takes."""

PROFILE_DEFINITIONS: dict[str, str] = {
    "Agent": "the agent",
    "Against": "its twin, whose line is over the same environments",
    "Environments": f"those in which both have at least {FEWEST_SEEDS} seeds; at least "
    f"{FEWEST_ENVIRONMENTS}",
    "Seeds": "training runs of the agent in them",
    "At least 0.25, 0.5, …": "share of seeds whose normalised mean return is at least that, as a "
    "mean over environments, which count alike; in brackets its 95 % interval by Student's t over "
    "seeds with Welch's degrees of freedom, cut off at 0 and 1. Where all seeds of an "
    "environment agree it knows nothing of rare failures; where they do in each, it has no width",
}
PROFILE_COLUMNS = (
    *tuple(PROFILE_DEFINITIONS)[:-1],
    *(f"At least {level:g}" for level in LEVELS),
)
"""Headings of profiles, in the order of `Profile.cells`."""


@dataclass(frozen=True)
class Profile:
    """An agent over several environments."""

    rows: tuple[TableRow, ...]
    """The agent in each of them, all with reference scores."""

    @property
    def agent(self) -> str:
        """Name of the agent."""
        return self.rows[0].agent

    def share(self, level: float) -> tuple[float, float, float]:
        """Return which share of seeds is at a level or above, and its interval.

        Args:
            level: Normalised score: random play has 0, the reference 1.
        """
        reached = [
            np.array([row.reference.normalise(mean) >= level for mean in row.seed_means], float)
            for row in self.rows
            if row.reference is not None
        ]
        low, high = grand_mean_interval(reached)
        share = float(np.mean([group.mean() for group in reached]))
        return share, max(low, 0.0), min(high, 1.0)

    def cells(self) -> tuple[str, ...]:
        """Return the texts under `PROFILE_COLUMNS`."""
        mark = f" {MARK}" if any(row.shared_streams for row in self.rows) else ""
        return (
            self.agent,
            self.rows[0].twin or "–",
            ", ".join(row.environment for row in self.rows),
            str(sum(len(row.seeds) for row in self.rows)),
            *("{:.2f} ({:.2f} to {:.2f})".format(*self.share(level)) + mark for level in LEVELS),
        )


def profiles(rows: Sequence[TableRow]) -> Iterator[Profile]:
    """Yield the profile of each agent and, directly after it, of its twin.

    Args:
        rows: Of a whole table, the spiking one of a pair above its twin.
    """
    enough = {
        (row.agent, row.environment): row
        for row in rows
        if row.reference is not None
        and len(row.seeds) >= FEWEST_SEEDS
        and not (row.derived or row.unheard)
    }
    pairs = dict.fromkeys((row.agent, row.twin) for row in rows if row.twin is not None)
    shown: set[str] = set()
    for agent, twin in pairs:
        common = [name for one, name in enough if one == agent and (twin, name) in enough]
        if len(common) >= FEWEST_ENVIRONMENTS and agent not in shown:
            for one in (agent, twin):
                yield Profile(tuple(enough[one, name] for name in common))
            shown |= {agent, twin}


# ---- comparison ----------------------------------------------------------------------------------
SIGNIFICANCE = 0.05
"""Of the test of a difference, and of the one-sided bound of a loss."""
MARGIN = 0.05
"""Share of the way from random play to `solved` whose loss is no loss."""
WRONG_PERCENT = {"normal": (4, 5), "failing": (69, 50)}
"""How often "not inferior" was said of agents that lose just the margin, of 5 and of 10 seeds.

As `python -m studies.intervals` measured it for docs/intervals.md.
"""

_WRONG = (
    "Of agents that lose just that it was said in {} % (5 seeds of each) and {} % (10) of repeats "
    "where seeds are normal, in {} % and {} % where one in 15 of the agent's seeds fails and none "
    "of the other's ([all cases](../docs/intervals.md))"
).format(*WRONG_PERCENT["normal"], *WRONG_PERCENT["failing"])
COMPARISON_DEFINITIONS: dict[str, str] = {
    "Agent": "the agent",
    "Against": "its twin, or what it is a form of: the agent from whose rows it was made lean, or "
    "whose file its own builds on; in the same environment, version and budget class",
    "Difference": "the agent's mean over seeds less the other's",
    "Improvement": "probability that a seed of the agent is above one of the other: share of all "
    "pairs, ties counting one half; of one made lean from rows (◊), each with the row that it was "
    "made from",
    "p": "of the difference, two-sided: all ways to split the seeds between the two are counted; "
    "of one made lean from rows that of Student's t over its pairs; not adjusted for the number of "
    "comparisons",
    "Lower bound": "lower one-sided 95 % bound of the difference by Welch's t, of one made lean "
    "from rows by Student's t over its pairs; in brackets the "
    f"loss that is none, {MARGIN:.0%} of the way from random play to `solved`",
    "Finding": f'"better" or "worse" if p is at most {SIGNIFICANCE}, else "no difference shown"; '
    "nothing if one of the two has "
    f'fewer than {FEWEST_SEEDS} seeds. "not inferior", of what is worse "by less than the margin", '
    f"if the lower bound is above the loss that is none. {_WRONG}",
}
COMPARISON_COLUMNS = tuple(COMPARISON_DEFINITIONS)
"""Headings of comparisons, in the order of `Comparison.cells`."""


@dataclass(frozen=True)
class Comparison:
    """An agent against its twin, or against the one that it is a form of."""

    row: TableRow
    """The agent."""
    other: TableRow
    """Its twin or origin."""

    @property
    def others(self) -> tuple[float, ...]:
        """Mean returns that the agent's are compared with: of rows made lean those of their own."""
        return self.row.origin_means or self.other.seed_means

    @property
    def difference(self) -> float:
        """The agent's mean over seeds less the other's, in the task's reward units."""
        return self.row.mean - float(np.mean(self.others))

    @property
    def has_enough_seeds(self) -> bool:
        """Whether both have the seeds that a finding takes."""
        return min(len(self.row.seeds), len(self.others)) >= FEWEST_SEEDS

    @property
    def improvement(self) -> float:
        """Probability that a seed of the agent is above one of the other."""
        one, two = np.array(self.row.seed_means), np.array(self.others)
        if self.row.origin_means:
            one, two = one[:, np.newaxis], two[:, np.newaxis]
        return float(probability_of_improvement(one, two).mean())

    @property
    def margin(self) -> float | None:
        """Loss that is none, in the task's reward units; None without a reference."""
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
        """Return p, the lower bound and the finding."""
        paired = bool(self.row.origin_means)
        test, interval = (
            (paired_p, paired_interval) if paired else (permutation_p, difference_interval)
        )
        p = test(self.row.seed_means, self.others)
        bound, _ = interval(self.row.seed_means, self.others, 1 - 2 * SIGNIFICANCE)
        shown = self.row.score(bound)
        finding = "no difference shown"
        if p <= SIGNIFICANCE:
            finding = "better" if self.difference > 0 else "worse"
        if self.margin is not None:
            shown += f" ({self.row.score(-self.margin)})"
            if finding != "better" and bound >= -self.margin:
                finding += ", by less than the margin" if finding == "worse" else ", not inferior"
        mark = f" {MARK}" if self.row.shared_streams or self.other.shared_streams else ""
        return (f"{p:.3f}" if p >= 0.0005 else "< 0.001") + mark, shown, finding


def comparisons(rows: Sequence[TableRow]) -> Iterator[Comparison]:
    """Yield each pair of agent and twin, and of agent and origin, once, the upper one first.

    Args:
        rows: Of one environment, version and budget class.
    """
    by_agent = {row.agent: row for row in rows if not row.derived}
    seen = set()
    for row in rows:
        for name in dict.fromkeys((row.twin, row.origin)):
            other = by_agent.get(name or "")
            if other is not None and (other.agent, other.derived, row.agent) not in seen:
                seen.add((row.agent, row.derived, other.agent))
                yield Comparison(row, other)
