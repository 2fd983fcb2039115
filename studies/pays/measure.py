"""Numbers that rows do not have: instructions of exported C, and prices of event-driven execution.

Both go into CSV files, a line for each row, and a row that has its line is passed over.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from snn_gym import load_pretrained
from snn_gym._base.storage import write_text_atomic
from snn_gym.leaderboard.evaluation import OFFICIAL_EPISODES, evaluation_seeds
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.program.prices import PRICES
from snn_gym_deploy.instructions import Target, count_instructions
from studies.pays.contenders import Contender
from studies.pays.events import episode_costs
from studies.pays.tables import Judged
from studies.pays.verdicts import keeping
from studies.rows import RowName

EVENT_TASKS = ("-silent-v", "snn/Recall-")
"""Parts of the ids of tasks on which agents are also executed by events."""


def keepers(judged: Judged) -> Iterator[Contender]:
    """Yield the agents that keep the return of their task, task by task."""
    for field in judged.fields.values():
        yield from keeping(field, judged.question.margin)


def count_rows(judged: Judged, path: Path, target: Target) -> Iterator[str]:
    """Count the instructions of the rows of agents that keep the return."""
    names = {
        (digest, target): RowName(x.row.agent, x.row.environment, seed)
        for x in keepers(judged)
        for digest, seed in zip(x.digests, x.row.seeds, strict=True)
    }

    def measure(key: tuple[str, ...]) -> list[float]:
        agent, environment, seed = names[key[0], target]
        model = load_pretrained(agent, environment, seed)
        return [count_instructions(model, environment, target).per_decision]

    return fill(path, ("weights_sha256", "target", "instructions"), names, measure)


def play_by_events(judged: Judged, path: Path) -> Iterator[str]:
    """Evaluate event-driven executions of agents on silent levels, for the prices of a decision."""
    names = [
        (x.row.agent, x.row.environment, str(seed))
        for x in keepers(judged)
        if any(part in x.row.environment for part in EVENT_TASKS)
        for seed in x.row.seeds
    ]
    return fill(path, (*RowName._fields, *PRICES), names, event_prices)


def event_prices(key: tuple[str, ...]) -> list[float]:
    """Return the prices of a row's decision in event-driven execution."""
    agent, environment, seed = key
    policy = raw_policy(load_pretrained(agent, environment, int(seed)), environment)
    seeds = evaluation_seeds(OFFICIAL_EPISODES)
    played = episode_costs(policy.program(), environment, seeds)
    return [price.of(played) or 0.0 for price in PRICES.values()]


def fill(
    path: Path,
    columns: Sequence[str],
    keys: Iterable[tuple[str, ...]],
    measure: Callable[[tuple[str, ...]], Sequence[float]],
) -> Iterator[str]:
    """Add a line to a CSV file for each key that has none, and yield a message for each.

    A key that cannot be measured has no line and is tried again next time.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    _, *lines = csv.reader(text.splitlines() or [",".join(columns)])
    keys = list(keys)
    known = {tuple(line[: len(keys[0])]) for line in lines} if keys else set()
    for key in keys:
        if key in known:
            continue
        try:
            numbers = measure(key)
        except ValueError as error:
            yield f"{' '.join(key)}: left out, {error}"
            continue
        lines.append([*key, *(f"{x:.9g}" for x in numbers)])
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows([columns, *sorted(lines)])
        write_text_atomic(path, written.getvalue())
        yield f"{' '.join(key)}: {', '.join(lines[-1][len(key) :])}"
