"""The command that takes an agent out of the project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from snn_gym.cli_options import Shown, ShownEnvironment, load_shown
from snn_gym.cli_printing import print_lines, say


def export(
    agent: Shown,
    env: ShownEnvironment = None,
    *,
    c: Annotated[
        Path | None, typer.Option("--c", help="Folder to write C files into.", show_default="none")
    ] = None,
    nir: Annotated[
        Path | None, typer.Option("--nir", help="NIR graph to write.", show_default="none")
    ] = None,
    onnx: Annotated[
        Path | None,
        typer.Option("--onnx", help="ONNX model to write.", show_default="none"),
    ] = None,
    hardware: Annotated[
        bool, typer.Option("--hardware", help="Write nothing; say what chips would need for it.")
    ] = False,
    fixed_point: Annotated[
        bool, typer.Option("--fixed-point", help="C with weights of 8 bits, potentials of 16.")
    ] = False,
    drop_silent: Annotated[
        bool, typer.Option("--drop-silent", help="C without neurons that never fire.")
    ] = False,
    episodes: Annotated[
        int, typer.Option(min=1, help="Episodes that are played for scales and silent neurons.")
    ] = 20,
    name: Annotated[str, typer.Option(help="What functions and files are called after.")] = "agent",
) -> None:
    """Write an agent as C source that allocates nothing, as a NIR graph or an ONNX model."""
    if sum(x is not None for x in (c, nir, onnx)) + hardware != 1:
        raise ValueError(
            "export to what? give one of --c FOLDER, --nir FILE, --onnx FILE and --hardware"
        )
    for target in filter(None, (c, nir, onnx)):
        if target.exists() and (target.is_file() or any(target.iterdir())):
            raise ValueError(f"{target} exists already; name another place")
    from snn_gym.export import to_c, to_nir, to_onnx, visit

    model, env_id, title, arguments = load_shown("export", agent, env)
    if nir is not None:
        graph = to_nir(model, nir)
        say(f"written: {graph.graph}, and what belongs to the host: {graph.host}")
    if onnx is not None:
        say(f"written: {to_onnx(model, onnx)}")
    if hardware:
        numbers = _on_hardware(model, agent, env_id, episodes, arguments)
        print_lines([f"{title} on {env_id}, {episodes} episodes", *numbers])
    if c is None:
        return
    visits = None
    if fixed_point or drop_silent:
        visits = visit(model, env_id, episodes, env_kwargs=arguments)
    files = to_c(
        model, c, visits=visits, fixed_point=fixed_point, drop_silent=drop_silent, name=name,
        title=f"{title} on {env_id}",
    )  # fmt: skip
    sizes = ", ".join(str(x) for x in files.sizes)
    say(f"{title} on {env_id}: layers of {sizes}")
    say(f"{files.constant_bytes:,} bytes of constants, {files.state_bytes:,} of state")
    say(f"written: {files.header}, {files.source}, {files.program}")
    say(
        f"next: cc -std=c99 -O3 -o {c / name} {files.source} {files.program} -lm, and send it "
        "observations, a line for each"
    )


def _on_hardware(
    model: Any, agent: str, env_id: str, episodes: int, arguments: Mapping[str, Any]
) -> Iterator[str]:
    """Return what chips would need for an agent, beside its twin of the results table."""
    from snn_gym.export import program_of, visit
    from snn_gym.export.hardware import describe
    from snn_gym.scoring.pretrained import twin_costs
    from snn_gym.zoo import agent_ids, read_manifest

    program = program_of(model)
    if not program.spiking:
        raise ValueError(f"{agent} has no spiking neurons; name a spiking agent")
    name = agent if agent in agent_ids() else read_manifest(Path(agent)).agent
    visits = visit(model, env_id, episodes, env_kwargs=arguments)
    return describe(program, visits, None if name is None else twin_costs(name, env_id))
