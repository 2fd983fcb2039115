"""Tables of names, which tests add their own to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym

from snn_gym.envs.synapses.plasticity import RULES
from snn_gym.policies.observations import EXTRACTORS
from snn_gym.program.builtin_neurons import NEURONS
from snn_gym.program.encoders import ENCODERS
from snn_gym.zoo import load_agent_spec
from snn_gym.zoo.algorithms import ALGORITHMS
from snn_gym.zoo.spec import _REGISTERED

_TABLES: tuple[dict[str, Any], ...] = (
    gym.registry, RULES, EXTRACTORS, NEURONS, ENCODERS, ALGORITHMS, _REGISTERED,
)  # fmt: skip


@contextmanager
def restored() -> Iterator[None]:
    """Forget afterwards what is registered meanwhile: environments, agents and their parts."""
    before = [dict(table) for table in _TABLES]
    try:
        yield
    finally:
        for table, old in zip(_TABLES, before, strict=True):
            table.clear()
            table.update(old)
        load_agent_spec.cache_clear()
