"""Runner of the study's missing runs."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import snn_gym
from studies.dynamics.outcome import Result, make_result, result_path, write_result
from studies.dynamics.plan import Planned, plan

Report = Callable[[Result], None]
"""Called with every run as it ends."""


def missing_runs(
    part: str, folder: Path, seeds: Sequence[int] | None = None, only: str = ""
) -> Iterator[tuple[Planned, int]]:
    """Yield the runs of a part that have no file, all cases of a seed before those of the next."""
    planned = [entry for entry in plan(part) if only in "/".join(entry.labels)]
    most = max((entry.seeds for entry in planned), default=0)
    for seed in range(most) if seeds is None else seeds:
        for entry in planned:
            wanted = seeds is not None or seed < entry.seeds
            if wanted and not result_path(folder, part, entry.labels, seed).exists():
                yield entry, seed


def run_part(
    part: str,
    folder: Path,
    report: Report,
    *,
    seeds: Sequence[int] | None = None,
    only: str = "",
    workers: int = 1,
) -> None:
    """Run the missing runs of a part."""
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if workers == 1:
        for entry, seed in missing_runs(part, folder, seeds, only):
            report(_run(part, entry.labels, seed, folder))
        return
    missing = list(missing_runs(part, folder, seeds, only))
    # A forked process would share the parent's threads and their locks.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(_run, part, entry.labels, seed, folder) for entry, seed in missing]
        for future in as_completed(futures):
            report(future.result())


def _run(part: str, labels: tuple[str, ...], seed: int, folder: Path) -> Result:
    (entry,) = (entry for entry in plan(part) if entry.labels == labels)
    settings = entry.case.settings
    outcome = entry.case.train(seed)
    result = make_result(part, labels, seed, snn_gym.__version__, settings, outcome)
    write_result(folder, result)
    return result
