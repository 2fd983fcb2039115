"""The part of the report about networks that start dead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snn_gym.envs.registry import load_environment_spec
from studies.lean.plan import FIRST_SEED
from studies.lean.rescue import ARMS, SEEDS, STARTS, reported_seeds
from studies.lean.tables import Found, spread, table

ALLOWED = 0.1
"""Share of the range from random play to ``solved`` by which a return is as good as another."""
_GOOD = "good"
_NONE = "–"
_HEAD = ("start", "task", "steps", "arm", "return", "solved", "as the good start")

_TEXT = (
    "`dead`: weights times 0.5, 85 % of the biases −1, the others 3; `dead-pendulum` and "
    "`dead-acrobot`: weights times 0.3, 92 % of the biases −1.5, the others 3; "
    "`dead-deep`: six layers with PyTorch's default initialisation; `half-deleted`: a good "
    "start, and half of the neurons of each layer deleted for good after half of the steps. "
    "`shuffled`: every neuron is told what another one of its layer does; `kick`: each layer's "
    f"mean bias is put back; `{_GOOD}`: the start of `ppo-lif`, no control. As the good start: "
    f"seeds whose return is below the median of `{_GOOD}` by no more than {ALLOWED:g} of the range "
    "from random play to `solved`.\n"
)
_BEFORE = (
    f"Seeds {FIRST_SEED} to {FIRST_SEED + SEEDS - 1}, before neurons were kept from 0.1 to 0.5 "
    "spikes per time step (from 0.05) and synapses scaled by up to e^2 (e^1.5) at twice the speed: "
    "what was too little on Acrobot-v1 was learned from these seeds, the numbers themselves were "
    "chosen on others.\n"
)


def rescue_section(found: Found) -> str:
    """Return the section.

    Args:
        found: All outcomes.
    """
    before = range(FIRST_SEED, FIRST_SEED + SEEDS)
    tables = [table(_HEAD, _rows(found, seeds)) for seeds in (reported_seeds(), before)]
    return f"## Rescue\n\n{_TEXT}\n{tables[0]}\n{_BEFORE}\n{tables[1]}"


def _rows(found: Found, seeds: range) -> list[list[str]]:
    rows = []
    for name, start in STARTS.items():
        good = _returns(found, name, _GOOD, seeds)
        for arm in ARMS:
            returns = _returns(found, name, arm, seeds)
            if not returns:
                continue
            reference = load_environment_spec(start.env_id).reference
            as_good = _NONE
            if good:
                least = float(np.median(good)) - reference.loss(ALLOWED)
                as_good = _share(returns, least)
            solved = _share(returns, reference.solved)
            shown = [name, start.env_id, f"{start.steps:,}", arm, spread(returns)]
            rows.append([*shown, solved, as_good])
    return rows


def _returns(found: Found, name: str, arm: str, seeds: range) -> list[float]:
    outcomes = found.get((STARTS[name].env_id, f"{name}-{arm}"), {})
    return [outcomes[seed].mean for seed in seeds if seed in outcomes]


def _share(returns: Sequence[float], least: float) -> str:
    return f"{sum(x >= least for x in returns)} of {len(returns)}"
