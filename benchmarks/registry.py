"""Everything that is measured: the experiments of a run, and the figures read from them."""

from __future__ import annotations

from types import ModuleType

from benchmarks.families import (
    acting,
    environments,
    fused,
    memory,
    off_policy,
    populations,
    ppo,
    startup,
    stateful,
    training,
)
from benchmarks.measurement import Experiment, Measurement

FAMILIES: dict[str, ModuleType] = {
    "acting": acting,
    "training": training,
    "memory": memory,
    "ppo": ppo,
    "off-policy": off_policy,
    "fused": fused,
    "stateful": stateful,
    "populations": populations,
    "environments": environments,
    "start-up": startup,
}
"""Modules of ``benchmarks.families`` by the heading of the report."""

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment for module in FAMILIES.values() for experiment in module.EXPERIMENTS
}
MEASUREMENTS: dict[str, Measurement] = {
    measurement.name: measurement
    for module in FAMILIES.values()
    for measurement in module.MEASUREMENTS
}


def chosen(names: str | None, *, quick: bool = False) -> tuple[Experiment, ...]:
    """Return the experiments that were asked for."""
    if names is None:
        return tuple(x for x in EXPERIMENTS.values() if x.quick or not quick)
    asked = []
    for name in names.split(","):
        family = FAMILIES.get(name)
        if family is not None:
            asked += list(family.EXPERIMENTS)
        elif name in EXPERIMENTS:
            asked.append(EXPERIMENTS[name])
        else:
            raise ValueError(
                f"{name!r} is neither a family nor an experiment; families: "
                f"{', '.join(FAMILIES)}; experiments: `python -m benchmarks list`"
            )
    return tuple(dict.fromkeys(asked))
