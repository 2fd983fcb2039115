"""Sections of the report on made-up runs: the claim that holds, and the one that fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from studies.dynamics.groups import read_groups
from studies.dynamics.report import ablation, hidden, presets, size, transfer
from studies.dynamics.settings import (
    BEST_PRESET,
    HIDDEN_NEURONS,
    PAPER_PRESET,
    SIZE_HIDDEN_NEURONS,
)
from tests.studies.dynamics.runs import write_runs

FAST = [10 + seed for seed in range(10)]
SLOW = [1000 + seed for seed in range(10)]


def solve(folder: Path, part: str, labels: tuple[str, ...], episodes: Sequence[int | None]) -> None:
    write_runs(folder, part, labels, [480.0] * len(episodes), episodes)


@pytest.mark.parametrize(
    ("solved", "rest", "verdict", "claim"),
    [
        (10, SLOW, "it does on 10: **met**", "best state design: **yes in these data.**"),
        (8, FAST, "it does on 8: **missed**", "best state design: **the data do not show it.**"),
        (0, SLOW, "it does on 0: **missed**", "best state design: **not in these data.**"),
    ],
)
def test_the_papers_preset(
    tmp_path: Path, solved: int, rest: list[int], verdict: str, claim: str
) -> None:
    paper = [*FAST[:solved], *[None] * (10 - solved)]
    solve(tmp_path, "presets", ("CartPole-v1", PAPER_PRESET), paper)
    for name in presets.PLAIN_PRESETS:
        if name != PAPER_PRESET:
            solve(tmp_path, "presets", ("CartPole-v1", name), rest)
    text = presets.section(read_groups("presets", tmp_path))
    assert verdict in text
    assert claim in text


@pytest.mark.parametrize(("null", "verdict"), [(SLOW, "met"), ([9] * 10, "missed")])
def test_the_best_agent_and_the_null(tmp_path: Path, null: list[int], verdict: str) -> None:
    solve(tmp_path, "presets", ("CartPole-v1", BEST_PRESET), FAST)
    solve(tmp_path, "presets", ("CartPole-v1", "accept-reject"), null)
    text = presets.section(read_groups("presets", tmp_path))
    goal = f"the median of `{BEST_PRESET}` (14 episodes) is not above that of `accept-reject`"
    (line,) = (line for line in text.splitlines() if goal in line)
    assert line.endswith(f"**{verdict}**.")


def test_every_seed_is_listed(tmp_path: Path) -> None:
    labels = ("CartPole-v1", "history")
    write_runs(tmp_path, "presets", labels, [480.0, None, 480.0, 20.0], [1234, None, 7, None])
    text = presets.section(read_groups("presets", tmp_path))
    (row,) = (line for line in text.splitlines() if line.startswith("| `history` | 1,234"))
    assert "| 2 of 3, 7 missing |" in row
    assert row.endswith("| 1,234, –, 7, > budget, –, –, –, –, –, – |")
    (empty,) = (line for line in text.splitlines() if line.startswith("| `weight` | – | – | – |"))
    assert empty.endswith("| no runs yet |")


@pytest.mark.parametrize(
    ("means", "claim"),
    [
        ([10, 20, 30, 40, 50, 60], "**yes in these data**, at every step"),
        ([10, 20, 20, 40, 50, 60], "**on the whole, but not at every step**, in these data"),
        ([10, 20, 30, 40, 60, 50], "**not in these data**"),
        ([10, 10, 10, 10, 10, 10], "**not in these data**"),
    ],
)
def test_hidden_neurons(tmp_path: Path, means: list[int], claim: str) -> None:
    for count, mean in zip(HIDDEN_NEURONS, means, strict=True):
        write_runs(tmp_path, "hidden", (str(count),), [mean + 0.1 * seed for seed in range(5)])
    first, *_ = hidden.sentences(read_groups("hidden", tmp_path))
    assert first == f"The founding paper's claim that more hidden neurons are better: {claim}."


def test_sizes(tmp_path: Path) -> None:
    for place, count in enumerate(SIZE_HIDDEN_NEURONS):
        grown = [(place + 1) * 10 + seed for seed in range(5)]
        solve(tmp_path, "size", (BEST_PRESET, str(count)), grown)
        solve(tmp_path, "size", ("es", str(count)), [None] * 5)
    said = size.sentences(read_groups("size", tmp_path))
    assert f"`{BEST_PRESET}` needs rises with the number of synapses" in said[0]
    assert "`es` needs shows no trend over the number of synapses" in said[1]
    assert f"9,998 synapses: `{BEST_PRESET}` needs fewer episodes than `es`" in " ".join(said)


@pytest.mark.parametrize(
    ("on", "off", "shuffled", "claim", "goal"),
    [
        (FAST, SLOW, SLOW, "**yes in these data**", "met"),
        (FAST, SLOW, FAST, "**the data do not show it**", "met"),
        (SLOW, FAST, SLOW, "**not in these data**", "missed"),
        ([*FAST[:9], None], SLOW, SLOW, "**yes in these data**", "missed"),
    ],
)
def test_dynamics_on_and_off(
    tmp_path: Path, on: list[int], off: list[int], shuffled: list[int], claim: str, goal: str
) -> None:
    for arm, episodes in zip(ablation.ARMS, (on, off, shuffled), strict=True):
        solve(tmp_path, "ablation", ("CartPole-v1", arm), episodes * 3)
    write_runs(tmp_path, "ablation", ("Acrobot-v1", "dynamics"), [5.0, 6.0, 7.0])
    write_runs(tmp_path, "ablation", ("Acrobot-v1", "off"), [1.0, 2.0, 3.0])
    text = ablation.section(read_groups("ablation", tmp_path))
    assert f"Dynamics save episodes, and it matters whose they are: {claim}." in text
    (stretch,) = (line for line in text.splitlines() if "Stretch" in line)
    assert stretch.endswith(f"**{goal}**.")
    assert "Acrobot-v1, `dynamics` − `off`: 4.0 (95 % interval 4.0 to 4.0), **better**." in text
    assert "Acrobot-v1, `dynamics` − `shuffled`: runs are missing." in text


def test_transfer(tmp_path: Path) -> None:
    values = [-0.1 - 0.001 * seed for seed in range(10)]
    write_runs(tmp_path, "transfer", ("same", BEST_PRESET, "pretrained"), values)
    write_runs(tmp_path, "transfer", ("same", BEST_PRESET, "scratch"), [2 * x for x in values])
    solve(tmp_path, "transfer", ("CartPole-v1", PAPER_PRESET, "pretrained"), SLOW)
    solve(tmp_path, "transfer", ("CartPole-v1", "accept-reject"), FAST)
    text = transfer.section(read_groups("transfer", tmp_path))
    ours, theirs = f"`{BEST_PRESET}, pretrained`", f"`{BEST_PRESET}, scratch`"
    assert f"{ours} ends at a lower cross-entropy than {theirs}" in text
    assert f"`{PAPER_PRESET}, pretrained` needs more episodes than `accept-reject`" in text
    assert f"| `{PAPER_PRESET}, pretrained` | 1,004 (1,002 to 1,007), solved 10 of 10 |" in text
