"""Section of the lean study: networks that start dead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snn_gym.envs.registry import load_environment_spec
from studies.lean.plan import FIRST_SEED
from studies.lean.rescue import ARMS, SEEDS, STARTS, BadStart, reported_seeds
from studies.lean.tables import Outcomes
from studies.tables import spread, table

ALLOWED = 0.1
"""Share of the range from random play to ``solved`` by which a return is as good as another."""
_GOOD = "good"
_NONE = "–"
_SUMMARISED = ("off", "rescue", _GOOD)
_HEAD = ("start", "task", "steps", "arm", "return", "solved", "as the good start")

_TEXT = (
    "| start | network |\n| --- | --- |\n"
    "| `dead` | weights times 0.5, 85 % of the biases −1, the others 3 |\n"
    "| `dead-pendulum`, `dead-acrobot` | weights times 0.3, 92 % of the biases −1.5, the others 3 "
    "|\n"
    "| `dead-deep` | six layers with PyTorch's default initialisation |\n"
    "| `half-deleted` | a good start; half of the neurons of each layer are deleted for good after "
    "half of the steps |\n\n"
    "| arm | regulation |\n| --- | --- |\n"
    "| `off` | none |\n"
    "| `rescue` | each neuron by its firing rate |\n"
    "| `shuffled` | each neuron by the firing rate of another neuron of its layer |\n"
    "| `kick` | each layer's mean bias is put back |\n"
    f"| `{_GOOD}` | none, from the initialisation of `ppo-lif` |\n\n"
    f"As the good start: seeds whose return is at most {ALLOWED:g} of the range from random play "
    f"to `solved` below the median of `{_GOOD}`.\n"
)
_BEFORE = (
    f"The following table holds seeds {FIRST_SEED} to {FIRST_SEED + SEEDS - 1}, with earlier "
    "settings: neurons were kept above 0.05 spikes per time step (0.1 to 0.5 now), and synapses "
    "were scaled by at most e^1.5 (e^2 now) at half the speed. These seeds showed that this was "
    "too little on Acrobot-v1. The present numbers were chosen on other seeds.\n"
)


def rescue_section(outcomes: Outcomes) -> str:
    """Return the tables of starts and arms."""
    before = range(FIRST_SEED, FIRST_SEED + SEEDS)
    tables = [table(_HEAD, _rows(outcomes, seeds)) for seeds in (reported_seeds(), before)]
    return f"## Rescue\n\n{_TEXT}\n{tables[0]}\n{_BEFORE}\n{tables[1]}"


def rescue_summary(outcomes: Outcomes) -> str:
    """Return for each start the seeds that solve its task with and without a rescue."""
    rows = []
    for name, start in STARTS.items():
        solved = load_environment_spec(start.env_id).reference.solved
        by_arm = {arm: _returns(outcomes, name, arm, reported_seeds()) for arm in _SUMMARISED}
        rescued = by_arm["rescue"]
        if rescued:
            least = _least_good(start, by_arm[_GOOD])
            rows.append(
                [
                    *(name, start.env_id, f"{start.steps:,}"),
                    *(spread(returns) if returns else _NONE for returns in by_arm.values()),
                    _share(rescued, solved),
                    _NONE if least is None else _share(rescued, least),
                ]
            )
    head = [
        *("start", "task", "steps", *(f"return, {arm}" for arm in _SUMMARISED)),
        *("solved, rescue", "as the good start"),
    ]
    text = (
        "`rescue` moves the gains of silent and saturated neurons towards a range of firing rates "
        "while the network learns. `off` has no regulation, `good` the initialisation of "
        "`ppo-lif`. [Robustness](lean/robustness.md) defines the starts and columns.\n"
    )
    return f"{text}\n{table(head, rows)}"


def _least_good(start: BadStart, good: Sequence[float]) -> float | None:
    """Return the least return that is as good as the good start's, None without its seeds."""
    if not good:
        return None
    return float(np.median(good)) - load_environment_spec(start.env_id).reference.loss(ALLOWED)


def _rows(outcomes: Outcomes, seeds: range) -> list[list[str]]:
    rows = []
    for name, start in STARTS.items():
        good = _returns(outcomes, name, _GOOD, seeds)
        for arm in ARMS:
            returns = _returns(outcomes, name, arm, seeds)
            if not returns:
                continue
            least = _least_good(start, good)
            as_good = _NONE if least is None else _share(returns, least)
            solved = _share(returns, load_environment_spec(start.env_id).reference.solved)
            shown = [name, start.env_id, f"{start.steps:,}", arm, spread(returns)]
            rows.append([*shown, solved, as_good])
    return rows


def _returns(outcomes: Outcomes, name: str, arm: str, seeds: range) -> list[float]:
    by_seed = outcomes.get((STARTS[name].env_id, f"{name}-{arm}"), {})
    return [by_seed[seed].mean for seed in seeds if seed in by_seed]


def _share(returns: Sequence[float], least: float) -> str:
    return f"{sum(x >= least for x in returns)} of {len(returns)}"
