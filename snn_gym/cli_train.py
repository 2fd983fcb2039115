"""The command ``train``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from snn_gym.cli_options import parse_changes, with_options

_Changes = list[str] | None


@dataclass(frozen=True)
class TrainOptions:
    """Options of ``train``."""

    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="runs/AGENT/ENV/SEED")
    ] = None
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0
    steps: Annotated[
        int | None, typer.Option(help="Environment steps.", show_default="the budget")
    ] = None
    checkpoint_interval: Annotated[
        int, typer.Option(help="Environment steps between checkpoints.")
    ] = 10_000
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder, if there is one.")
    ] = False
    progress: Annotated[
        bool | None, typer.Option(help="Say how it is doing.", show_default="on a terminal")
    ] = None
    dynamics: Annotated[
        bool, typer.Option("--dynamics", help="Log what the network does, in dynamics.csv.")
    ] = False
    seeding: Annotated[
        Literal["disjoint", "consecutive"],
        typer.Option(help="How the environments' random streams follow from the seed."),
    ] = "disjoint"
    hyperparameters: Annotated[
        _Changes,
        typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter of your own, each."),
    ] = None
    network: Annotated[
        _Changes,
        typer.Option(metavar="NAME=VALUE", help="A setting of the network of your own, each."),
    ] = None
    env_arg: Annotated[
        _Changes, typer.Option(metavar="NAME=VALUE", help="An argument of the environment, each.")
    ] = None
    eval_every: Annotated[
        int, typer.Option(help="Environment steps between evaluations; keep the best policy, too.")
    ] = 0
    track: Annotated[
        bool, typer.Option("--track", help="Log to Weights & Biases too, if it is installed.")
    ] = False

    def recipe(self) -> dict[str, Any]:
        """Return what decides the outcome, as ``snn_gym.training.train`` takes it."""
        return {
            "seed": self.seed,
            "steps": self.steps,
            "checkpoint_interval": self.checkpoint_interval,
            "dynamics": self.dynamics,
            "seeding": self.seeding,
            "hyperparameters": parse_changes("--set", self.hyperparameters or ()),
            "network": parse_changes("--network", self.network or ()),
            "environment_kwargs": parse_changes("--env-arg", self.env_arg or ()),
            "eval_every": self.eval_every,
        }


@with_options(TrainOptions)
def train(
    agent: Annotated[str, typer.Argument(help="Agent of the zoo, such as ppo-lif.")],
    env: Annotated[str, typer.Argument(help="Environment, such as CartPole-v1.")],
    options: TrainOptions,
) -> None:
    """Train an agent, with checkpoints and TensorBoard logs."""
    from snn_gym.training import make_run_settings
    from snn_gym.training import train as train_agent

    recipe = options.recipe()
    settings = make_run_settings(agent, env, **recipe)
    folder = options.out or Path("runs") / agent / env.replace("/", "__") / str(options.seed)
    typer.echo(f"training {agent} on {env}: {settings.steps:,} steps, seed {options.seed}")
    run = train_agent(
        agent,
        env,
        out=folder,
        resume=options.resume,
        progress_bar=sys.stderr.isatty() if options.progress is None else options.progress,
        track=options.track,
        **recipe,
    )
    if run.was_finished:
        typer.echo(f"{folder} had already finished after {run.steps:,} steps; nothing to do")
        return
    since = "" if run.resumed_at is None else f" (resumed at {run.resumed_at:,})"
    typer.echo(f"trained {run.steps:,} steps{since}: {folder}")
