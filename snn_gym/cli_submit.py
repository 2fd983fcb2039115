"""The command that writes submissions, of runs and of graphs from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_gym.cli_printing import say


def submit(
    run: Annotated[
        Path | None, typer.Argument(help="Folder that `snn-gym train` wrote.", show_default="none")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write.", show_default="RUN/submission")
    ] = None,
    *,
    nir: Annotated[
        Path | None,
        typer.Option("--nir", help="NIR graph, in place of a run.", show_default="none"),
    ] = None,
    host: Annotated[
        Path | None,
        typer.Option(help="JSON file of what its host does.", show_default="that beside the graph"),
    ] = None,
    env: Annotated[str, typer.Option(help="Environment that the graph acts on.")] = "",
    agent: Annotated[str, typer.Option(help="Name that the table shows the graph under.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed that the graph was trained with.")] = 0,
    steps: Annotated[
        int, typer.Option(min=0, help="Environment steps of its training, 0 if unknown.")
    ] = 0,
) -> None:
    """Evaluate a run, or a graph from elsewhere, and write a submission of it."""
    if (run is None) == (nir is None):
        raise ValueError("submit what? give either the folder of a run or --nir FILE")
    if run is not None:
        if host is not None or env or agent or seed or steps:
            raise ValueError("--host, --env, --agent, --seed and --steps are for --nir alone")
        from snn_gym.scoring import submit as submit_run

        say(f"submission: {submit_run(run, out)}")
        return
    assert nir is not None  # the other one of the two
    if not env or not agent:
        raise ValueError("--nir needs --env ID and --agent NAME")
    from snn_gym.export import submit_nir
    from snn_gym.zoo import agent_ids

    is_new = agent not in agent_ids()
    folder = out or nir.with_name(f"{nir.stem}-submission")
    made = submit_nir(nir, env, agent, folder, host=host, seed=seed, steps=steps)
    say(f"submission: {made}")
    if is_new:
        say(f"new agent: agents/{agent}; say in its README.md who trained it, where and how")
