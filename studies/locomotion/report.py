"""Write docs/locomotion.md from the rows that there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.families.fused import AFTER, BEFORE
from benchmarks.run import Speed, read_speed
from snn_gym._base.names import shown_seeds
from snn_gym._base.storage import write_text_atomic
from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.table import FEWEST_SEEDS, TableRow, table_rows
from studies.locomotion.curves import (
    SPIKING,
    TASKS,
    TWIN,
    Curves,
    read_curves,
)
from studies.rows import LEADERBOARD, VERSION_1, RowName
from studies.tables import table, wrapped

DOCS = Path(__file__).parents[2] / "docs"
SPEED = DOCS / "locomotion" / "speed.json"
PAGE = "locomotion.md"
PPO_AGENTS = ("ppo-lif", "ppo-mlp")
DEAD = 0.1
"""A seed is dead whose return is below this share of the way from random play to ``solved``."""
_NONE = "–"

Lines = Mapping[tuple[str, str], TableRow]
"""Lines of the results table by agent and environment."""


class Claim(NamedTuple):
    """Returns that a source reports, in the order of `TASKS`."""

    method: str
    measure: str
    returns: tuple[str, str]
    source: str


_WEI = "[Wei et al. 2025](https://arxiv.org/abs/2505.24161)"
_TIANSHOU = "[Tianshou](https://github.com/thu-ml/tianshou/tree/master/examples/mujoco)"
_CASES = {
    "td3-ann": "TD3, ANN",
    "td3-spiking": "TD3, spiking actor, T = 8",
    "sac-ann": "SAC, ANN",
    "sac-spiking": "SAC, spiking actor, T = 8",
}
CLAIMS = (
    Claim(
        "Proxy Target, LIF (TD3)",
        "v4, 1 M steps, 5 seeds, best evaluation",
        ("3,385", "10,103 ± 607"),
        _WEI,
    ),
    Claim(
        "TD3, ANN, same paper",
        "v4, 1 M steps, 5 seeds, best evaluation",
        ("3,410 ± 164", "10,857 ± 475"),
        _WEI,
    ),
    Claim(
        "PopSAN (TD3), own paper",
        "v3, 1 M steps, 10 seeds",
        ("3,599 ± 68", "10,729 ± 644"),
        "[Tang et al. 2020](https://arxiv.org/abs/2010.09635)",
    ),
    Claim(
        "PopSAN (TD3), rerun by others",
        "v4, 1 M steps, 5 seeds, best evaluation",
        ("2,772", "9,594"),
        _WEI,
    ),
    Claim(
        "ILC-SAN (TD3), rerun by others",
        "v4, 1 M steps, 5 seeds, best evaluation",
        ("3,403", "9,222"),
        _WEI,
    ),
    Claim(
        "Proxy Target, LIF, rerun by others",
        "v4, 1 M steps, 5 seeds, best evaluation",
        ("3,498 ± 109", "9,686 ± 621"),
        "logs of [madao2333](https://github.com/madao2333/Proxy-Target-with-PLIF)",
    ),
    Claim(
        "TD3, ANN, Tianshou",
        "v3, 1 M steps, 10 seeds, best evaluation",
        ("3,472 ± 117", "10,201 ± 773"),
        _TIANSHOU,
    ),
    Claim(
        "SAC, ANN, Tianshou",
        "v3, 1 M steps, 10 seeds, best evaluation",
        ("3,542 ± 52", "12,139 ± 1,049"),
        _TIANSHOU,
    ),
    Claim(
        "SAC, ANN of 64-64, 2 bits",
        "v4, 10 seeds",
        ("2,959 ± 537", "6,173 ± 597"),
        "[Kresse and Lampert 2025](https://arxiv.org/abs/2511.07046)",
    ),
    Claim(
        "PPO, ANN, CleanRL",
        "v4, 8 M steps",
        ("2,741 ± 269", "2,637 ± 1,068"),
        "[CleanRL](https://docs.cleanrl.dev/rl-algorithms/ppo/)",
    ),
    Claim(
        "PPO, ANN, SLM-Lab",
        "v5, 4 to 10 M steps",
        ("1,654", "6,241"),
        "[SLM-Lab](https://github.com/kengz/SLM-Lab)",
    ),
)
"""Published returns, as context: other versions of the tasks, other steps, other measures."""


def write_report() -> Path:
    """Write the page."""
    curves = read_curves()
    lines = {(x.agent, x.environment): x for x in table_rows(LEADERBOARD)}
    write_text_atomic(DOCS / PAGE, page(lines, curves))
    return DOCS / PAGE


def page(lines: Lines, curves: Curves) -> str:
    """Return the text of the page."""
    parts = [
        _head(lines),
        _ppo_section(lines),
        _td3_section(lines, curves),
        _claims_section(lines, curves),
        _speed_section(read_speed(SPEED)),
        _rules(),
    ]
    return "\n".join(parts)


def _head(lines: Lines) -> str:
    scores = {task: load_environment_spec(task).reference for task in TASKS}
    rows = [
        [task, *(_NONE if x is None else f"{x:,.0f}" for x in (y.random, y.open_loop, y.solved))]
        for task, y in scores.items()
    ]
    return wrapped(
        "# Locomotion with spikes",
        f"{_of_version_1(lines)}Papers on spiking control report Hopper and HalfCheetah, among "
        "others. This page has them in gymnasium's version 5, with spiking agents and their ANN "
        "twins. Returns are those of the final policy, of 100 episodes for each training seed.",
        "Scores to read them by. The best actions without observations are torques that oscillate "
        "at one frequency, found by a search; a return below theirs is no evidence that an agent "
        "uses what it sees.",
        table(("Task", "random play", "best without observations", "solved"), rows).rstrip(),
    )


def _of_version_1(lines: Lines) -> str:
    """Return a sentence that names the agents whose rows here are of version 1."""
    old = {
        f"`{agent}`"
        for (agent, task), line in sorted(lines.items())
        if task in TASKS and line.portable < len(line.seeds)
    }
    return f"Rows of version 1: those of {', '.join(sorted(old))}. " if old else ""


def _ppo_section(lines: Lines) -> str:
    rows = [[task, *(_mean(lines.get((x, task))) for x in PPO_AGENTS)] for task in TASKS]
    return wrapped(
        "## PPO, 1 M steps",
        "Mean return over seeds, its 95 % interval, and operations of a decision; below "
        f"{FEWEST_SEEDS} seeds each return. [Findings](findings.md#6-ppo-lif-and-its-ann-twin) has "
        "the tests, with those of the other tasks.",
        table(("Task", *(f"`{x}`" for x in PPO_AGENTS)), rows).rstrip(),
    )


def _mean(line: TableRow | None) -> str:
    if line is None:
        return _NONE
    cost = line.cost(line.operations_per_decision, decimals=0)
    if line.interval is None:
        values = ", ".join(map(line.score, line.seed_means))
        return f"{values} (seeds {shown_seeds(line.seeds)}); {cost}"
    low, high = map(line.score, line.interval)
    return f"{line.score(line.mean)} ({low} to {high}); {cost}"


def _td3_section(lines: Lines, curves: Curves) -> str:
    rows = [cells for task in TASKS for cells in _td3_rows(lines, curves, task)]
    parts = [
        "## TD3, 300,000 steps",
        f"`{SPIKING}` is a spiking actor with population coding, trained by Proxy Target (Wei et "
        f"al. 2025); `{TWIN}` is an ANN with the same critics. The best evaluation is the highest "
        "mean of 20 episodes during training, which papers report; it is biased upwards, and hides "
        "what a seed lost after it: the next column is the share that the final policy keeps. A "
        f"seed is dead below {100 * DEAD:.0f} % of the way from random play to `solved`.",
    ]
    head = ("Task", "Agent", "Seed", "Final return", "Best evaluation", "Final of best", "Dead")
    parts.append(table(head, rows).rstrip() if rows else "None of these rows has landed.")
    if ratios := [x for x in (_ratio(lines, task) for task in TASKS) if x]:
        parts.append(" ".join(ratios))
    if curves:
        parts += [
            "All evaluations of every seed: [evaluations.csv](locomotion/evaluations.csv).",
        ]
    return wrapped(*parts)


def _td3_rows(lines: Lines, curves: Curves, task: str) -> Iterator[tuple[str, ...]]:
    for agent in (SPIKING, TWIN):
        line = lines.get((agent, task))
        for seed, value in zip(line.seeds, line.seed_means, strict=True) if line else ():
            points = curves.get(RowName(agent, task, seed), ())
            best = max((x for _, x in points), default=None)
            shown = _NONE if best is None else f"{best:,.1f}"
            share = f"{value / best:.2f}" if best is not None and best > 0.0 else _NONE
            dead = "**yes**" if is_dead(line, value) else "no"
            yield (task, f"`{agent}`", str(seed), f"{value:,.1f}", shown, share, dead)


def is_dead(line: TableRow | None, value: float) -> bool:
    """Return whether a return is below a tenth of the way from random play to ``solved``."""
    return (
        line is not None and line.reference is not None and line.reference.normalise(value) < DEAD
    )


def _ratio(lines: Lines, task: str) -> str | None:
    own, other = (lines.get((x, task)) for x in (SPIKING, TWIN))
    if own is None or other is None:
        return None
    spiking, twin = (dict(zip(x.seeds, x.seed_means, strict=True)) for x in (own, other))
    shared = tuple(x for x in spiking if x in twin)
    if not shared:
        return None
    ratio = sum(spiking[x] for x in shared) / sum(twin[x] for x in shared)
    costs = (x.cost(x.operations_per_decision, decimals=0) for x in (own, other))
    return (
        f"On {task} `{SPIKING}` earns {ratio:.2f} of the mean return of `{TWIN}` over the seeds "
        f"that both have ({shown_seeds(shared)}; too few for a test), at {' and '.join(costs)} "
        "operations a decision."
    )


def _claims_section(lines: Lines, curves: Curves) -> str:
    rows = [[x.method, x.measure, *x.returns, x.source] for x in CLAIMS]
    for agent, steps in ((SPIKING, "300,000"), (TWIN, "300,000"), ("ppo-lif", "1 M")):
        final = [_rounded(lines.get((agent, task))) for task in TASKS]
        rows.append([f"`{agent}`", f"v5, {steps} steps, final return", *final, "this page"])
        if agent in (SPIKING, TWIN):
            best = [_best(curves, agent, task) for task in TASKS]
            rows.append([f"`{agent}`", f"v5, {steps} steps, best evaluation", *best, "this page"])
    return wrapped(
        "## Claimed against measured",
        "Published returns are context, not bars: they are of older versions of the tasks, of more "
        "steps, and mostly the best evaluation of each seed in place of the final policy.",
        table(("Method", "Measured", *TASKS, "Source"), rows).rstrip(),
    )


def _rounded(line: TableRow | None) -> str:
    if line is None:
        return _NONE
    return f"{line.mean:,.0f} ({len(line.seeds)} seed{'s' * (len(line.seeds) > 1)})"


def _best(curves: Curves, agent: str, task: str) -> str:
    """Return the mean over seeds of the best evaluation."""
    own = [points for name, points in curves.items() if name[:2] == (agent, task)]
    return f"{np.mean([max(x for _, x in points) for points in own]):,.0f}" if own else _NONE


def _speed_section(speed: Speed) -> str:
    rows = []
    for name, record in speed.records.items():
        before, after = (record.timings[x].median for x in (BEFORE, AFTER))
        ratio = record.results[f"fused-{name}"].value
        assert ratio is not None  # both contenders ran
        cells = f"{1 / before:,.0f}", f"{1 / after:,.0f}", f"{after * 1e6 / 3600:.1f}"
        shown = f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
        rows.append((_CASES[name], *cells, shown))
    head = ("Learner", "before", "after", "hours for 1 M steps", "ratio")
    return wrapped(
        "## Speed of SAC and TD3",
        "Environment steps per second, each with a gradient step, on HalfCheetah-v5 with actor and "
        "critics of 256-256 and minibatches of 256. Before: Stable-Baselines3's loop with the same "
        "policy; after: `snn_gym.learners`, which does the same sums by hand. Processor time of "
        f"one thread, in turns, in one run on {speed.machine.processor}; medians, and the middle "
        "half of the ratios.",
        table(head, rows).rstrip(),
        "`python -m benchmarks run --only fused --out docs/locomotion/speed.json` measures it.",
    )


def _rules() -> str:
    return wrapped(
        "## How it is judged",
        "Agents and seeds were written into the [plan](../leaderboard/plan.toml) before the rows "
        "were made. A twin has the settings of its spiking agent where both have them; both were "
        "tuned with equal trials on seeds from 1000 on ([ppo-lif](../agents/ppo-lif/README.md), "
        "[ppo-mlp](../agents/ppo-mlp/README.md)). Version 1 also had Walker2d-v5, Ant-v5, "
        "`sb3-ppo` and smaller ANNs. Whether spikes pay could not be told there on Hopper-v5 and "
        f"HalfCheetah-v5, and was not asked on the other two ({VERSION_1}).",
        "`python -m studies.locomotion report` writes this page from the rows of the "
        "[results](../leaderboard/README.md).",
    )
