"""Sharing of trained agents on the Hugging Face hub: the upload, its model card and its film."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.folders import toml_value
from snn_gym._base.names import without_controls
from snn_gym._base.storage import read_regular_file
from snn_gym._version import __version__
from snn_gym.leaderboard.evaluation import (
    EVALUATOR_VERSION,
    OFFICIAL_EPISODES,
    Evaluation,
    evaluate,
)
from snn_gym.leaderboard.submission import trained_settings, zoo_settings
from snn_gym.plots.films import record_film
from snn_gym.program.costs import COST_COLUMNS
from snn_gym.training.run import check_logs
from snn_gym.zoo import AgentManifest, agent_ids, load_agent, read_manifest
from snn_gym.zoo.hub import FILES, asking, open_hub, parse_address, run_folder
from snn_gym.zoo.recipe import Recipe

CARD = "README.md"
FILMS = ("replay.mp4", "replay.gif")
"""Names of the film: the hub shows the first one beside the card, and the card the second one."""


# ---- upload --------------------------------------------------------------------------------------
def push(
    run: str | os.PathLike[str],
    name: str,
    *,
    film: bool = True,
    episodes: int = OFFICIAL_EPISODES,
    private: bool = False,
) -> str:
    """Upload a trained agent to the Hugging Face hub, with a model card and a film.

    The repository is created if there is none; files of an earlier push are replaced. Uploaded are
    weights and manifest, settings and episodes of a run, never code. The token is that of HF_TOKEN
    or of ``hf auth login``.

    Args:
        run: Folder of a finished run, or one that ``save_agent`` wrote.
        name: ``USER/NAME`` of the repository.
        film: Record an episode: replay.mp4 where ffmpeg is installed, else replay.gif. Where the
            environment can't be drawn, a warning says so.
        episodes: Episodes of the scores and costs on the card, with public seeds.
        private: Create the repository for its owner alone.

    Returns:
        The address of the new commit, ``hf:USER/NAME@COMMIT``, as ``load_agent`` takes it.

    Raises:
        ValueError: The folder holds no agent, its logs were changed, there is no token, or the hub
            refuses or can't be reached.
        ImportError: The extra ``hub`` is not installed.
    """
    address = parse_address(name)
    if address.revision is not None:
        raise ValueError(f"push writes to the newest commit; leave out @{address.revision}")
    hub = open_hub()
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, get_token

    if get_token() is None:
        raise ValueError(
            f"no token for {hub.endpoint}; run `hf auth login`, or set HF_TOKEN to a token that "
            "may write"
        )
    files = _files(run_folder(run), address.name, film=film, episodes=episodes)
    with asking(hub, address):
        hub.create_repo(address.name, private=private or None, exist_ok=True)
        there = {file.rfilename for file in hub.model_info(address.name).siblings or ()}
        commit = hub.create_commit(
            address.name,
            [
                *(CommitOperationAdd(path, data) for path, data in files.items()),
                # Of an earlier push.
                *map(CommitOperationDelete, sorted(there & {*FILES, *FILMS} - files.keys())),
            ],
            commit_message="Upload an agent of snn_gym",
        )
    return f"{address}@{commit.oid}"


def _files(run: Path, name: str, *, film: bool, episodes: int) -> dict[str, bytes]:
    """Return the files to upload by name: those of the run, its film and its card."""
    manifest, model = read_manifest(run), load_agent(run)
    check_logs(run)
    files = {
        file: read_regular_file(run / file, max_bytes=limit)
        for file, limit in FILES.items()
        if (run / file).exists()
    }
    if film:
        files |= _film(model, manifest)
    result = evaluate(model, manifest.environment, episodes, env_kwargs=manifest.environment_kwargs)
    shown = next((file for file in FILMS if file in files), None)
    return {**files, CARD: without_controls(model_card(manifest, result, name, shown)).encode()}


def _film(model: BaseAlgorithm, manifest: AgentManifest) -> dict[str, bytes]:
    """Return the film of an episode by its name; warn and return none if it can't be drawn."""
    with tempfile.TemporaryDirectory() as work:
        path = Path(work, FILMS[shutil.which("ffmpeg") is None])
        try:
            record_film(
                model, manifest.environment, path,
                env_kwargs=manifest.environment_kwargs, name=_name(manifest),
            )  # fmt: skip
        # Renderers of other packages fail in many ways where there is no display.
        except (ValueError, ImportError, RuntimeError, OSError, gym.error.Error) as error:
            warnings.warn(f"no film is pushed: {error}", stacklevel=4)
            return {}
        return {path.name: path.read_bytes()}


# ---- model card ----------------------------------------------------------------------------------
_CARD = """---
{metadata}
---

# {agent} on {environment}

{kind}, `{agent}` by {algorithm}, trained with snn_gym for {steps:,} environment steps with seed
{seed}.

{film}## Scores

{episodes} episodes with public seeds, deterministic, by evaluator {evaluator} of snn_gym {version}:

{scores}

## Costs of a decision

{costs}

## Load

With snn_gym and its extra `hub`; nothing of this repository is executed:

```python
import snn_gym

model = snn_gym.load_agent("hf:{name}")  # a Stable-Baselines3 model
print(snn_gym.evaluate(model, "{environment}", episodes=100{arguments}).mean)
```

```bash
snn-gym watch hf:{name} --save film.gif
snn-gym pull {name}
```

## Train it again

{training}
"""


def model_card(
    manifest: AgentManifest, result: Evaluation, name: str, film: str | None = None
) -> str:
    """Return the README.md of a repository: the hub's metadata, scores, costs, loading, recipe."""
    arguments = manifest.environment_kwargs
    return _CARD.format(
        metadata=_metadata(manifest, result),
        kind="A spiking agent" if result.spiking_layers else "An agent that does not spike",
        agent=_name(manifest),
        algorithm=manifest.algorithm,
        steps=manifest.num_timesteps,
        seed=manifest.seed,
        film={
            None: "",
            FILMS[0]: f"[Film of an episode]({FILMS[0]})\n\n",
            FILMS[1]: f"![Film of an episode and of its spikes]({FILMS[1]})\n\n",
        }[film],
        episodes=len(result.returns),
        evaluator=EVALUATOR_VERSION,
        version=__version__,
        scores=_table(
            ("score", "value"),
            {
                "mean return": f"{result.mean:,.2f} ± {np.std(result.returns):,.2f}",
                "interquartile mean": f"{result.iqm:,.2f}",
                "decisions of an episode": f"{np.mean(result.lengths):,.1f}",
            },
        ),
        costs=_costs(result),
        name=name,
        environment=manifest.environment,
        arguments=f", env_kwargs={arguments}" if arguments else "",
        training=_training(manifest),
    )


def _name(manifest: AgentManifest) -> str:
    return manifest.agent or manifest.policy


def _metadata(manifest: AgentManifest, result: Evaluation) -> str:
    """Return the YAML that the hub reads: library, tags, and metrics as a model index."""
    from huggingface_hub import EvalResult, ModelCardData

    # Mean and spread in the form that the hub's own leaderboards of agents read.
    metrics: dict[str, Any] = {
        "mean_reward": f"{result.mean:.2f} +/- {np.std(result.returns):.2f}",
        **{name: round(x, 2) for name in COST_COLUMNS if (x := result.total(name)) is not None},
    }
    spiking = ("spiking-neural-network", "neuromorphic") if result.spiking_layers else ()
    task, environment = "reinforcement-learning", manifest.environment
    return ModelCardData(
        library_name="snn_gym",
        pipeline_tag=task,
        tags=[task, "deep-reinforcement-learning", "stable-baselines3", environment, *spiking],
        model_name=_name(manifest),
        eval_results=[
            EvalResult(task, environment, environment, metric, value, task_name=task)
            for metric, value in metrics.items()
        ],
    ).to_yaml()


def _costs(result: Evaluation) -> str:
    """Return the table of whole costs, or the parts that are not counted."""
    shown = {
        column.heading: f"{x:,.2f}"
        for name, column in COST_COLUMNS.items()
        if (x := result.total(name)) is not None
    }
    if not shown:
        return f"Not counted, for these parts are not: {', '.join(result.uncounted)}."
    return _table(("cost", "mean of a decision"), shown)


def _table(header: tuple[str, str], cells: Mapping[str, str]) -> str:
    return "\n".join(f"| {one} | {x} |" for one, x in (header, ("---", "---"), *cells.items()))


def _training(manifest: AgentManifest) -> str:
    """Return the commands or code of the recipe, or the reason why there is none."""
    recipe, agent = manifest.recipe, manifest.agent
    if recipe is None or agent is None or agent not in agent_ids():
        return "No recipe that leads to these weights from the start is known."
    if recipe.parent is not None:
        return (
            f"Made lean within {recipe.steps:,} environment steps from the agent whose acting "
            f"weights have the SHA-256 `{recipe.parent.weights_sha256}`."
        )
    changes = [
        {
            key: x
            for key, x in getattr(trained_settings(manifest), field).items()
            if getattr(zoo_settings(agent, manifest.environment, recipe), field).get(key) != x
        }
        for field in ("hyperparameters", "network")
    ]
    versions, processor = (
        ", ".join(map(" ".join, x.items())) for x in (recipe.versions, recipe.processor)
    )
    return (
        f"{_recipe(manifest, recipe, *changes)}\n\nThe weights come back to the bit with "
        f"{versions} on a processor of the same kind ({processor})."
    )


def _recipe(
    manifest: AgentManifest,
    recipe: Recipe,
    hyperparameters: Mapping[str, Any],
    network: Mapping[str, Any],
) -> str:
    """Return the command that trains an agent by its recipe, or code for one call of learn."""
    arguments = manifest.environment_kwargs
    if recipe.checkpoint_interval is None:
        options = {
            "seed": manifest.seed,
            "seeding": manifest.seeding,
            **({"network": network} if network else {}),
            **({"env_kwargs": arguments} if arguments else {}),
            **hyperparameters,
        }
        shown = "".join(f", {key}={x!r}" for key, x in options.items())
        made = f'"{manifest.agent}", "{manifest.environment}"{shown}'
        return (
            f"```python\nimport snn_gym\n\nmodel = snn_gym.make_agent({made})\n"
            f'snn_gym.save_agent(model.learn({recipe.steps}), "runs/again")\n```'
        )
    words = [
        *("snn-gym", "train", str(manifest.agent), manifest.environment),
        *("--seed", str(manifest.seed), "--steps", str(recipe.steps)),
        *("--checkpoint-interval", str(recipe.checkpoint_interval), "--seeding", manifest.seeding),
    ]
    for option, changes in (
        ("--set", hyperparameters), ("--network", network), ("--env-arg", arguments)
    ):  # fmt: skip
        for key, x in changes.items():
            words += [option, f"{key}={x if x is None else toml_value(x)}"]
    return f"```bash\n{shlex.join([*words, '--out', 'runs/again'])}\n```"
