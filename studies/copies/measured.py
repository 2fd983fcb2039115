"""Distances between independent trainings, and between copies and their originals."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snn_gym._base.storage import load_tensors
from snn_gym.leaderboard.evaluation import evaluate, evaluation_seeds
from snn_gym.leaderboard.manifest import MAX_WEIGHTS_BYTES, SubmissionError
from snn_gym.leaderboard.results import Row, list_rows
from snn_gym.leaderboard.weights import (
    NEAR,
    Network,
    check_is_no_copy,
    distance,
    read_network,
    stored_tensors,
    trained_tensors,
)
from snn_gym.zoo import build_policy
from studies.copies.rewritten import attacks, noisy
from studies.copies.trained import (
    AGENT,
    BRANCH_SEEDS,
    BRANCH_TENTHS,
    ENVIRONMENT,
    FURTHER_UPDATES,
    PAIRED_AGENT,
    SHORT_AGENTS,
    SHORT_SEEDS,
    SHORT_UPDATES,
    TRUNK_SEEDS,
)

Tensors = Mapping[str, torch.Tensor]

SEED = 0
"""Of the copies' random numbers."""
PLAYED = (
    ("ppo-lif", "CartPole-v1"),
    ("ppo-mlp", "Acrobot-v1"),
    ("dqn-mlp", "CartPole-v1"),
    ("sac-lif", "Pendulum-v1"),
    ("ppo-lif", "LunarLander-v3"),
)
"""Agents and environments whose row of seed 0 is played with noise."""
PLAYED_NOISES = (1e-2, 1e-1, 3e-1)
PLAYED_EPISODES = 20


@dataclass(frozen=True)
class Distances:
    """Summary of some distances."""

    count: int
    """How many there are."""
    near: int
    """How many are below the threshold."""
    least: float
    """The smallest."""
    median: float
    """That in the middle."""
    largest: float
    """The largest."""


@dataclass(frozen=True)
class Played:
    """Returns of a row and of copies of it with noise."""

    agent: str
    """Agent of the row."""
    environment: str
    """Its environment."""
    stored: float
    """Interquartile mean of the returns."""
    noisy: dict[str, float]
    """The same with noise, by its size."""


@dataclass(frozen=True)
class Measured:
    """All that the report shows."""

    rows: int
    """Stored rows."""
    pairs: Distances
    """Of independent trainings of one form."""
    pairs_within: Distances
    """Those of one agent and environment."""
    copies: dict[str, Distances]
    """Of copies from their rows, by the way they were made."""
    branches: dict[str, Distances]
    """Of branches and trunk from each other, by the share of the training before they part."""
    paired: Distances
    """Of agents of one seed that are one training until one of them sheds spikes."""
    further: dict[str, Distances]
    """Of stored agents from themselves trained on, by updates."""
    short: dict[str, Distances]
    """Of independent short trainings, by agent and updates."""
    singular: dict[str, Distances]
    """For comparison, by singular values: pairs, noise of 0.01 and short trainings."""
    played: tuple[Played, ...]
    """Returns with noise."""
    seconds: float
    """Time of a check against all rows (s)."""


def measure(leaderboard: Path, trained: Path) -> Measured:
    """Measure everything."""
    rows = list_rows(leaderboard)
    tensors = [stored_tensors(leaderboard, row) for row in rows]
    # First, while no architecture has been built yet.
    seconds = _timed(leaderboard, rows[0], tensors[0])
    read = [
        (row, read_network(x, row.agent, row.environment))
        for row, x in zip(rows, tensors, strict=True)
    ]
    pairs = list(_pairs(read))
    within = ((a, b) for a, b in pairs if _place(a[0]) == _place(b[0]))
    return Measured(
        rows=len(rows),
        pairs=_distances((a[1], b[1]) for a, b in pairs),
        pairs_within=_distances((a[1], b[1]) for a, b in within),
        copies=_copied(read),
        branches=_branches(trained),
        paired=_distances(
            (
                _network(trained / f"branch-{seed}-0-{seed}.safetensors"),
                _network(trained / f"paired-{seed}.safetensors", PAIRED_AGENT),
            )
            for seed in TRUNK_SEEDS
        ),
        further=_further(read, trained),
        short={
            f"{agent}, {updates}": _distances(combinations(_short(trained, agent, updates), 2))
            for agent in SHORT_AGENTS
            for updates in SHORT_UPDATES
        },
        singular=_singular(read, [(a[1], b[1]) for a, b in pairs], trained),
        played=tuple(_played(leaderboard, rows, *names) for names in PLAYED),
        seconds=seconds,
    )


def singular_distance(one: Network, other: Network) -> float:
    """Return the largest relative distance of a layer's singular values."""
    return max(
        float(np.linalg.norm(a - b) / np.linalg.norm(a))
        for a, b in zip(_singular_values(one), _singular_values(other), strict=True)
    )


def _singular_values(network: Network) -> list[Any]:
    readout = network.layers[-1].inward
    if len(readout) > 1:
        readout = readout - readout.mean(axis=0)
    hidden = (
        np.hstack([x.inward] if x.recurrent is None else [x.inward, x.recurrent])
        for x in network.layers[:-1]
    )
    return [np.linalg.svd(x, compute_uv=False) for x in (*hidden, readout)]


def _place(row: Row) -> tuple[str, str]:
    return row.agent, row.environment


def _pairs(
    read: list[tuple[Row, Network]],
) -> Iterable[tuple[tuple[Row, Network], tuple[Row, Network]]]:
    by_form = sorted(read, key=lambda x: x[1].form)
    for _, group in groupby(by_form, key=lambda x: x[1].form):
        yield from combinations(list(group), 2)


def _distances(pairs: Iterable[tuple[Network, Network]]) -> Distances:
    return _summed_up(distance(a, b) for a, b in pairs)


def _summed_up(values: Iterable[float]) -> Distances:
    found = np.array(list(values))
    least, median, largest = (
        float(f"{x:.3g}") for x in (found.min(), np.median(found), found.max())
    )
    return Distances(len(found), int((found < NEAR).sum()), least, median, largest)


def _copied(read: list[tuple[Row, Network]]) -> dict[str, Distances]:
    rng = np.random.default_rng(SEED)
    return {
        attack.name: _distances(
            (network, attack.rewrite(network, rng))
            for row, network in read
            if attack.fits(row.agent, network)
        )
        for attack in attacks()
    }


def _branches(trained: Path) -> dict[str, Distances]:
    return {
        f"{tenths}0 %": _distances(
            pair
            for trunk in TRUNK_SEEDS
            for pair in combinations(
                [
                    _network(trained / f"branch-{trunk}-{name}.safetensors")
                    for name in (
                        f"0-{trunk}",
                        *(f"{tenths}-{seed + trunk}" for seed in BRANCH_SEEDS),
                    )
                ],
                2,
            )
        )
        for tenths in BRANCH_TENTHS
    }


def _further(read: list[tuple[Row, Network]], trained: Path) -> dict[str, Distances]:
    mine = [(row, x) for row, x in read if _place(row) == (AGENT, ENVIRONMENT)]
    return {
        str(updates): _distances(
            (network, _network(trained / f"further-{row.seed}-{updates}.safetensors"))
            for row, network in mine
        )
        for updates in FURTHER_UPDATES
    }


def _short(trained: Path, agent: str, updates: int) -> list[Network]:
    return [
        _network(trained / f"short-{agent}-{seed}-{updates}.safetensors", agent)
        for seed in SHORT_SEEDS
    ]


def _network(path: Path, agent: str = AGENT) -> Network:
    return read_network(load_tensors(path, max_bytes=MAX_WEIGHTS_BYTES)[0], agent, ENVIRONMENT)


def _singular(
    read: list[tuple[Row, Network]], pairs: list[tuple[Network, Network]], trained: Path
) -> dict[str, Distances]:
    rng = np.random.default_rng(SEED)
    copied = ((network, noisy(1e-2)(network, rng)) for _, network in read)
    short = combinations(_short(trained, "ppo-mlp", 1), 2)
    return {
        name: _summed_up(singular_distance(a, b) for a, b in chosen)
        for name, chosen in (("pairs", pairs), ("noise of 0.01", copied), ("short", short))
    }


def _played(leaderboard: Path, rows: tuple[Row, ...], agent: str, environment: str) -> Played:
    row = next(x for x in rows if (*_place(x), x.seed) == (agent, environment, 0))
    tensors = stored_tensors(leaderboard, row)
    return Played(
        agent,
        environment,
        _returns(row, tensors),
        {f"{size:g}": _returns(row, _with_noise(row, tensors, size)) for size in PLAYED_NOISES},
    )


def _with_noise(row: Row, tensors: Tensors, size: float) -> Tensors:
    generator = torch.Generator().manual_seed(SEED)
    noise = {
        name: size * x.std(correction=0) * torch.randn(x.shape, generator=generator)
        for name, x in trained_tensors(tensors, row.agent, row.environment).items()
    }
    return {name: x + noise[name] if name in noise else x for name, x in tensors.items()}


def _returns(row: Row, tensors: Tensors) -> float:
    policy: Any = build_policy(row.agent, row.environment, tensors)
    policy.load_acting_state_dict(tensors)
    played = evaluate(policy, row.environment, seeds=evaluation_seeds(PLAYED_EPISODES))
    return float(f"{played.iqm:.4g}")


def _timed(leaderboard: Path, row: Row, tensors: Tensors) -> float:
    """Return how long the check takes where no row is near, which is the longest."""
    far = _with_noise(row, tensors, 1e3)
    start = time.process_time()
    try:
        check_is_no_copy(leaderboard, row.agent, row.environment, far)
    except SubmissionError as error:
        raise RuntimeError("noise hides a copy, but this one was found") from error
    return round(time.process_time() - start, 2)
