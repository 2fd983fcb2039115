"""Export of an agent as Verilog-2005, serial or parallel, with a testbench.

Both forms give the actions of the integer program, ``snn_gym_deploy.integer``, which states how
numbers are rounded, saturated and compared: the host standardises an observation and rounds it, and
of continuous actions it makes values within limits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.policies import program_of, raw_policy
from snn_gym.program import Program, compact
from snn_gym_deploy.files import check_identifier, safe_title, write_files
from snn_gym_deploy.integer import IntegerProgram, to_integer
from snn_gym_deploy.verilog_base import Form
from snn_gym_deploy.verilog_parallel import Parallel
from snn_gym_deploy.verilog_serial import Serial
from snn_gym_deploy.visits import Visits, first_episodes

Shape = Literal["serial", "parallel"]
_FORMS: Mapping[str, type[Form]] = {"serial": Serial, "parallel": Parallel}
_MOST_SYNAPSES = {"serial": 1 << 18, "parallel": 10_000}
_KEYWORDS = """
always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config deassign
default defparam design disable edge else end endcase endconfig endfunction endgenerate endmodule
endprimitive endspecify endtable endtask event for force forever fork function generate genvar
highz0 highz1 if ifnone incdir include initial inout input instance integer join large liblist
library localparam macromodule medium module nand negedge nmos nor noshowcancelled not notif0
notif1 or output parameter pmos posedge primitive pull0 pull1 pulldown pullup rcmos real realtime
reg release repeat rnmos rpmos rtran rtranif0 rtranif1 scalared showcancelled signed small specify
specparam strong0 strong1 supply0 supply1 table task time tran tranif0 tranif1 tri tri0 tri1
triand trior trireg unsigned use uwire vectored wait wand weak0 weak1 while wire wor xnor xor
"""
_EPISODE = 50  # decisions of a testbench after which an agent with a state begins from rest


@dataclass(frozen=True)
class VerilogFiles:
    """Files that ``to_verilog`` wrote."""

    source: Path
    testbench: Path
    decisions: int
    """Decisions that the testbench compares."""
    sizes: tuple[int, ...]
    """Neurons or units of each layer."""
    synapses: int
    """Synapses whose weight is not 0."""


def to_verilog(
    model: BaseAlgorithm | BasePolicy | Program,
    folder: str | os.PathLike[str],
    observations: NDArray[Any],
    *,
    visits: Visits | None = None,
    shape: Shape = "serial",
    drop_silent: bool = False,
    name: str = "agent",
    title: str = "",
) -> VerilogFiles:
    """Write an agent as Verilog in fixed point, without neurons on which no output depends.

    Args:
        model: Algorithm with a policy of snn_gym, the policy, or its program.
        folder: Folder to write ``NAME.v``, ``NAME_tb.v`` and its vectors into; it is made.
        observations: (K, ...) observations of the testbench, such as ``seen_and_noisy`` returns.
        visits: Result of ``visit``, for agents that spike, carry a state or do not standardise.
        shape: ``serial`` takes a synapse a clock cycle; ``parallel`` has an adder for each neuron
            and takes a time step a cycle.
        drop_silent: Whether neurons that never fired in the visited states are left out.
        name: Name of the module and the files: lower-case letters, digits and underscores.
        title: Description of the agent in a comment.

    Raises:
        ValueError: The name is not allowed, observations or visits are missing, or a part of the
            agent has no form in Verilog.
    """
    check_identifier(name, _KEYWORDS.split(), "no keyword of Verilog")
    if len(observations) == 0:
        raise ValueError("the testbench needs observations, got none; pass seen_and_noisy(...)")
    program = model if isinstance(model, Program) else program_of(model)
    if visits is None and (program.spiking or program.stateful or drop_silent):
        raise ValueError(
            "Verilog is in fixed point, which needs the network's activity in the states that the "
            "agent visits: pass visits=visit(model, env_id)"
        )
    program = compact(program, visits.fired if drop_silent and visits is not None else None)
    scales = ((), ()) if visits is None else (visits.peaks, visits.inputs)
    form = verilog_form(to_integer(program, *scales), shape, name, title)
    starts = [k % _EPISODE == 0 for k in range(len(observations))]
    files = {f"{name}.v": form.source(), **form.vectors(observations, starts)}
    folder = Path(folder)
    write_files({folder / file: text for file, text in files.items()})
    sizes = tuple(x.size for x in form.integer.layers)
    sources = folder / f"{name}.v", folder / f"{name}_tb.v"
    return VerilogFiles(*sources, len(starts), sizes, form.integer.synapses)


def verilog_form(
    integer: IntegerProgram, shape: Shape = "serial", name: str = "agent", title: str = ""
) -> Form:
    """Return the Verilog of an integer program.

    Raises:
        ValueError: A part has no form in Verilog, or there are more synapses than the form is for.
    """
    lacking = [
        *(f"gated units ({x.kind})" for x in integer.units if x.recurrent is not None),
        *(f"{x.kind} units" for x in integer.units if x.kind in ("threshold", "rectified_leaky")),
        *("neurons with constants of their own" for x in integer.neurons if x.constants.ndim > 1),
        *["rows of a spike train that enter together"] * (integer.program.rows_per_step > 1),
    ]
    if lacking:
        raise ValueError(
            f"{lacking[0]} are not written in Verilog; train spiking neurons with the constants of "
            "their layer and rows_per_step=1, or leaky integrators, or export as C"
        )
    if integer.synapses > _MOST_SYNAPSES[shape]:
        raise ValueError(
            f"the {shape} form is for at most {_MOST_SYNAPSES[shape]:,} synapses, and the agent "
            f"has {integer.synapses:,}; "
            + ("use the serial form" if shape == "parallel" else "make it lean")
        )
    return _FORMS[shape](integer, name, safe_title(title))


def seen_and_noisy(
    model: BaseAlgorithm | BasePolicy,
    env_id: str,
    count: int = 100,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
) -> NDArray[Any]:
    """Return ``count`` observations of an agent's episodes, and the same with noise.

    Noise is Gaussian with two standard deviations of each number; of spikes, one in five is drawn
    anew.

    Args:
        model: Algorithm with a policy of snn_gym, or the policy.
        env_id: Gymnasium id.
        count: Observations of episodes, at least 1.
        env_kwargs: Arguments of the environment.

    Returns:
        (2 * count, ...) observations, of the environment's type.
    """
    policy, rng = raw_policy(model, env_id, env_kwargs), np.random.default_rng(0)
    seen = np.concatenate(first_episodes(policy, env_id, count, env_kwargs))
    if seen.dtype.kind != "f":
        noisy = np.where(rng.random(seen.shape) < 0.2, rng.integers(0, 2, seen.shape), seen)
    else:
        noisy = seen + 2.0 * seen.std(0) * rng.standard_normal(seen.shape)
    return np.concatenate([seen, noisy.astype(seen.dtype)])
