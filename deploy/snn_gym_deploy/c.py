"""Export of an agent as C99, in float and in fixed point."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.policies import program_of
from snn_gym.program import Program, compact
from snn_gym_deploy.c_base import ANNSource, Source
from snn_gym_deploy.c_integer import FixedSource, FixedUnitsSource, straight_source
from snn_gym_deploy.c_spiking import SpikingSource
from snn_gym_deploy.files import check_identifier, safe_title, write_files
from snn_gym_deploy.integer import to_integer
from snn_gym_deploy.visits import Visits

# A decision is computed by events: the weights of neurons that fired are added row by row, in the
# order of our kernels, so that spikes in float equal theirs bit for bit (for one observation at a
# time, compiled without fused multiply-adds, as GCC does with ``-std=c99``). Nothing is allocated,
# and the only libraries are ``math.h`` and ``string.h``.


@dataclass(frozen=True)
class CFiles:
    """Files that ``to_c`` wrote."""

    header: Path
    source: Path
    program: Path
    """Reads observations from the standard input and writes actions."""
    constant_bytes: int
    """Memory of the constants, in bytes."""
    state_bytes: int
    """Memory of the state, in bytes."""
    sizes: tuple[int, ...]
    """Neurons or units of each layer."""


def to_c(
    model: BaseAlgorithm | BasePolicy | Program,
    folder: str | os.PathLike[str],
    *,
    visits: Visits | None = None,
    fixed_point: bool = False,
    drop_silent: bool = False,
    straight_line: bool = False,
    name: str = "agent",
    title: str = "",
) -> CFiles:
    """Write an agent as C source.

    Args:
        model: Algorithm with a policy of snn_gym, the policy, or its program.
        folder: Folder to write ``NAME.h``, ``NAME.c`` and ``main.c`` into; it is made.
        visits: Result of ``visit``; ``drop_silent`` needs it, and fixed point of agents that spike
            or carry a state.
        fixed_point: Whether weights have 8 bits, potentials and activations 16, instead of float.
        drop_silent: Whether neurons that never fired in the visited states are left out, and those
            on which no output depends. In other states they might fire.
        straight_line: Whether fixed point is written without loops over neurons and synapses, which
            takes fewer instructions; for at most ``c_integer.MOST_SYNAPSES`` synapses.
        name: Prefix of functions, types and files: lower-case letters, digits and underscores.
        title: Description of the agent in the header; unsafe characters become underscores.

    Raises:
        ValueError: The name is not allowed, visits are missing, an ANN is to be without silent
            neurons, or a part of the agent has no form in C.
    """
    check_identifier(name, ("main",), "not 'main'")
    if straight_line and not fixed_point:
        raise ValueError("straight_line is a form of fixed point; set fixed_point, too")
    title = safe_title(title)
    program = model if isinstance(model, Program) else program_of(model)
    if drop_silent and not program.spiking:
        raise ValueError("drop_silent is for spiking agents, and this is an ANN; leave it out")
    scaled = fixed_point and (program.spiking or program.stateful)
    if visits is None and (scaled or drop_silent):
        raise ValueError(
            "fixed_point and drop_silent need the network's activity in the states that the agent "
            "visits: pass visits=visit(model, env_id)"
        )
    if drop_silent and visits is not None:
        program = compact(program, visits.fired)
    if fixed_point:
        scales = ((), ()) if visits is None else (visits.peaks, visits.inputs)
        integer = to_integer(program, *scales)
        if straight_line:
            return _write(straight_source(integer, name, title), Path(folder))
        fixed = FixedSource if program.spiking else FixedUnitsSource
        return _write(fixed(integer, name, title), Path(folder))
    kind = SpikingSource if program.spiking else ANNSource
    return _write(kind(program, name, title), Path(folder))


def _write(source: Source, folder: Path) -> CFiles:
    """Write ``NAME.h``, ``NAME.c`` and ``main.c`` into a folder, which is made."""
    header, code = (folder / f"{source.name}.{suffix}" for suffix in "hc")
    program = folder / "main.c"
    texts = {header: source.header(), code: source.source(), program: source.main()}
    write_files(texts)
    memory = source.constant_bytes, source.state_bytes
    return CFiles(header, code, program, *memory, source.sizes)
