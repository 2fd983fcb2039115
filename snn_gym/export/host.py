"""What the host of a NIR graph does: everything between an environment and the network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from snn_gym.config import Config, Count, Length, Positive, Range
from snn_gym.program.network import Program
from snn_gym.scoring.manifest import parse_strict
from snn_gym.storage import read_regular_file

DT_S = 1e-4
"""Time step (s) that graphs of ours are meant for."""
MAX_HOST_BYTES = 1 << 20
_MAX_VALUES = 1 << 16

# Networks here have 32-bit floats, in which smaller numbers are 0 and larger ones infinite.
_LEAST, _MOST = 1e-37, 1e38
_Number = Annotated[float, Range(at_least=-_MOST, at_most=_MOST)]
_Numbers = Annotated[tuple[_Number, ...], Length(0, _MAX_VALUES)]
_Scale = Annotated[float, Range(at_least=_LEAST, at_most=_MOST)]
_Scales = Annotated[tuple[_Scale, ...], Length(1, _MAX_VALUES)]


@dataclass(frozen=True, kw_only=True)
class Standardised(Config):
    """How observations are standardised: ``(x - mean) / std``, then within ``[-clip, clip]``."""

    mean: _Numbers
    """Of each value of an observation."""
    std: _Scales
    """Likewise."""
    clip: _Scale | None
    """None for no limit."""


@dataclass(frozen=True, kw_only=True)
class Observation(Config):
    """What the graph sees at each time step of a decision."""

    values: Annotated[int, Range(at_least=1, at_most=_MAX_VALUES)]
    """Values of an observation, or channels of a spike train."""
    form: Literal["held", "spikes"]
    """``held``: all values at every time step; ``spikes``: a row of a spike train (T, values)."""
    standardised: Standardised | None
    """None: values are taken as they are."""

    def _check(self) -> None:
        scale = self.standardised
        if scale is not None and {len(scale.mean), len(scale.std)} != {self.values}:
            raise ValueError(
                f"standardised has {len(scale.mean)} numbers in mean and {len(scale.std)} in std; "
                f"expected {self.values} in each, one for each value"
            )


@dataclass(frozen=True, kw_only=True)
class Action(Config):
    """How an action is chosen from the graph's output."""

    choice: Literal["argmax", "clip", "squash"]
    """``argmax``: the place of the largest; ``clip``: within ``low`` and ``high``; ``squash``:
    ``low + (tanh(x) + 1) / 2 * (high - low)``."""
    low: _Numbers
    """Of continuous actions, else empty."""
    high: _Numbers
    """Likewise."""


@dataclass(frozen=True, kw_only=True)
class Host(Config):
    """What the host does, as the JSON file beside a graph says."""

    format: Literal["snn_gym.host/1"]
    """Version of this schema."""
    dt_s: Positive
    """Time step (s) that the graph's time constants are meant for."""
    time_steps: Annotated[Count, Range(at_most=10_000)]
    """Time steps of a decision."""
    observation: Observation
    """What goes in."""
    state: Literal["reset", "carried"]
    """Whether the neurons' state is reset at every decision, or carried through an episode."""
    output: Literal["mean"]
    """What of a decision's outputs the action is chosen from: their mean over its time steps."""
    action: Action
    """What comes out."""


def host_of(program: Program) -> Host:
    """Return what the host of an agent's graph does.

    Args:
        program: The agent as one value.

    Raises:
        ValueError: Observations are standardised twice.
    """
    standardised = None
    for normaliser in program.normalisers:
        if standardised is not None:
            raise ValueError(
                "observations that are standardised twice, as by VecNormalize and by the policy, "
                "are not exported to NIR; train with normalise_observations=False, or export as C"
            )
        standardised = Standardised(
            mean=tuple(normaliser.mean.tolist()),
            std=tuple(normaliser.std.tolist()),
            clip=normaliser.clip,
        )
    form: Literal["held", "spikes"] = "spikes" if program.spike_input else "held"
    return Host(
        format="snn_gym.host/1",
        dt_s=DT_S,
        time_steps=program.time_steps,
        observation=Observation(values=program.inputs, form=form, standardised=standardised),
        state="carried" if program.stateful else "reset",
        output="mean",
        action=Action(
            choice=program.choice.rule,
            low=tuple(program.choice.low.tolist()),
            high=tuple(program.choice.high.tolist()),
        ),
    )


def read_host(path: str | os.PathLike[str]) -> Host:
    """Read the JSON file beside a graph, strictly.

    Args:
        path: The file.

    Raises:
        ValueError: It is no such file; one line says what is wrong.
    """
    data = read_regular_file(path, max_bytes=MAX_HOST_BYTES)
    return parse_strict(Host, data, where=Path(path).name, code="host", by="`snn-gym export --nir`")
