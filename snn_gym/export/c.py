"""Export of an agent as C99: one header, one source and a program that reads observations.

A decision is computed event by event: weights of the neurons that fired are added, row by row, in
the order of the project's own kernels, so that spikes in float are theirs bit for bit (of one
observation at a time, compiled without fused multiply-adds, as ``-std=c99`` says to GCC). Nothing
is allocated, and no library is called but ``math.h`` and ``string.h``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.export.c_ann import ANNSource
from snn_gym.export.c_base import Source
from snn_gym.export.c_fixed import FixedSource
from snn_gym.export.c_source import SpikingSource
from snn_gym.export.visits import Visits
from snn_gym.names import safe_title
from snn_gym.policies.frozen import program_of
from snn_gym.program.compaction import compact
from snn_gym.storage import write_text_atomic

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True)
class CFiles:
    """What ``to_c`` wrote."""

    header: Path
    source: Path
    program: Path
    """Reads observations from the standard input and writes actions."""
    constant_bytes: int
    """Memory of the constants."""
    state_bytes: int
    """Memory of the state."""
    sizes: tuple[int, ...]
    """Neurons or units of each layer."""


def to_c(
    model: BaseAlgorithm | BasePolicy,
    folder: str | os.PathLike[str],
    *,
    visits: Visits | None = None,
    fixed_point: bool = False,
    drop_silent: bool = False,
    name: str = "agent",
    title: str = "",
) -> CFiles:
    """Write an agent as C source.

    Args:
        model: Algorithm with a policy of snn_gym, or the policy.
        folder: Folder to write ``NAME.h``, ``NAME.c`` and ``main.c`` into; it is made.
        visits: What ``visit`` saw of its network; fixed point and silent neurons need it.
        fixed_point: Whether weights have 8 bits and potentials 16, instead of float.
        drop_silent: Whether neurons that never fired in the visited states are left out. Elsewhere
            they might have.
        name: What functions, types and files are called after: lower-case letters, digits and
            underscores.
        title: What the header says that the agent is, as ``snn_gym.names.safe_title`` has it.

    Raises:
        ValueError: The name is none in C, visits are missing, or a part of the agent has no form
            outside of the project.
    """
    if not _NAME.fullmatch(name) or name == "main":
        raise ValueError(
            f"name {name!r} must be at most 32 lower-case letters, digits and underscores, a "
            "letter first, and not 'main'; such as 'agent'"
        )
    if visits is None and (fixed_point or drop_silent):
        raise ValueError(
            "fixed_point and drop_silent need visits, what the network does in the states that the "
            "agent visits: pass visits=visit(model, env_id)"
        )
    said = safe_title(title)
    program = program_of(model)
    if not program.spiking:
        if fixed_point or drop_silent:
            raise ValueError(
                "fixed_point and drop_silent are for spiking agents, and this is an ANN; leave "
                "them out"
            )
        return _write(ANNSource(program, name, said), Path(folder))
    if drop_silent and visits is not None:
        program = compact(program, visits.fired)
    if fixed_point and visits is not None:
        return _write(FixedSource(program, name, said, visits.peaks), Path(folder))
    return _write(SpikingSource(program, name, said), Path(folder))


def _write(source: Source, folder: Path) -> CFiles:
    header, code = (folder / f"{source.name}.{suffix}" for suffix in "hc")
    program = folder / "main.c"
    texts = {header: source.header(), code: source.source(), program: source.main()}
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        write_text_atomic(path, text)
    memory = source.constant_bytes, source.state_bytes
    return CFiles(header, code, program, *memory, source.sizes)
