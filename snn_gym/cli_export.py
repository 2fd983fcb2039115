"""The command that takes an agent out of the project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_gym.cli_options import Shown, ShownEnvironment, load_shown


def export(
    agent: Shown,
    env: ShownEnvironment = None,
    *,
    c: Annotated[Path, typer.Option("--c", help="Folder to write C files into.")],
    fixed_point: Annotated[
        bool, typer.Option("--fixed-point", help="Weights of 8 bits, potentials of 16.")
    ] = False,
    drop_silent: Annotated[
        bool, typer.Option("--drop-silent", help="Leave out neurons that never fire.")
    ] = False,
    episodes: Annotated[
        int, typer.Option(min=1, help="Episodes that are played for scales and silent neurons.")
    ] = 20,
    name: Annotated[str, typer.Option(help="What functions and files are called after.")] = "agent",
) -> None:
    """Write an agent as C source: nothing is allocated, no library but the standard one."""
    from snn_gym.export import to_c, visit

    if c.exists() and (not c.is_dir() or any(c.iterdir())):
        raise ValueError(f"{c} is not an empty folder; name another one with --c")
    model, env_id, title, arguments = load_shown("export", agent, env)
    visits = None
    if fixed_point or drop_silent:
        visits = visit(model, env_id, episodes, env_kwargs=arguments)
    files = to_c(
        model, c, visits=visits, fixed_point=fixed_point, drop_silent=drop_silent, name=name,
        title=f"{title} on {env_id}",
    )  # fmt: skip
    sizes = ", ".join(str(x) for x in files.sizes)
    typer.echo(f"{title} on {env_id}: layers of {sizes}")
    typer.echo(f"{files.constant_bytes:,} bytes of constants, {files.state_bytes:,} of state")
    typer.echo(f"written: {files.header}, {files.source}, {files.program}")
    typer.echo(
        f"next: cc -std=c99 -O3 -o {c / name} {files.source} {files.program} -lm, and send it "
        "observations, a line for each"
    )
