"""Sharing of trained agents on the Hugging Face hub: the upload, its model card and its film."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.names import without_controls
from snn_gym._base.storage import read_regular_file
from snn_gym._version import __version__
from snn_gym.leaderboard.evaluation import (
    EVALUATOR_VERSION,
    OFFICIAL_EPISODES,
    Evaluation,
    evaluate,
)
from snn_gym.plots.films import record_film
from snn_gym.program.costs import COST_COLUMNS
from snn_gym.zoo import AgentManifest, load_agent, read_manifest
from snn_gym.zoo.hub import FILES, asking, open_hub, parse_address, run_folder

CARD = "README.md"
FILM = "replay.gif"


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
        film: Record an episode as replay.gif. Where the environment can't be drawn, a warning says
            so.
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
                *map(CommitOperationDelete, sorted(there & {*FILES, FILM} - files.keys())),
            ],
            commit_message="Upload an agent of snn_gym",
        )
    return f"{address}@{commit.oid}"


def _files(run: Path, name: str, *, film: bool, episodes: int) -> dict[str, bytes]:
    """Return the files to upload by name: those of the run, its film and its card."""
    manifest, model = read_manifest(run), load_agent(run)
    files = {
        file: read_regular_file(run / file, max_bytes=limit)
        for file, limit in FILES.items()
        if (run / file).exists()
    }
    if film:
        files |= _film(model, manifest)
    result = evaluate(model, manifest.environment, episodes, env_kwargs=manifest.environment_kwargs)
    card = model_card(manifest, result, name, film=FILM in files)
    return {**files, CARD: without_controls(card).encode()}


def _film(model: BaseAlgorithm, manifest: AgentManifest) -> dict[str, bytes]:
    """Return the film of an episode by its name; warn and return none if it can't be drawn."""
    try:
        shown = record_film(
            model, manifest.environment, env_kwargs=manifest.environment_kwargs,
            name=_name(manifest),
        )  # fmt: skip
    # Renderers of other packages fail in many ways where there is no display.
    except (ValueError, ImportError, RuntimeError, OSError, gym.error.Error) as error:
        warnings.warn(f"no film is pushed: {error}", stacklevel=4)
        return {}
    assert shown.gif is not None  # written to no file
    return {FILM: shown.gif}


# ---- model card ----------------------------------------------------------------------------------
_CARD = """---
{metadata}
---

# {agent} on {environment}

{kind} by {algorithm}, trained with snn_gym for {steps:,} environment steps with seed {seed}.

{film}{episodes} episodes with public seeds, deterministic, by evaluator {evaluator} of snn_gym
{version}:

| score or mean cost of a decision | value |
| --- | --- |
| return | {mean:,.2f} ± {spread:,.2f} |
{costs}

Load it with snn_gym and its extra `hub`; nothing of this repository is executed:

```python
import snn_gym

model = snn_gym.load_agent("hf:{name}")  # a Stable-Baselines3 model
```
"""


def model_card(manifest: AgentManifest, result: Evaluation, name: str, *, film: bool) -> str:
    """Return the README.md of a repository: the hub's metadata, return, costs and loading."""
    costs = {
        heading.heading: total
        for column, heading in COST_COLUMNS.items()
        if (total := result.total(column)) is not None
    }
    return _CARD.format(
        metadata=_metadata(manifest, result),
        kind="A spiking agent" if result.spiking_layers else "An agent that does not spike,",
        agent=_name(manifest),
        algorithm=manifest.algorithm,
        steps=manifest.num_timesteps,
        seed=manifest.seed,
        film=f"![Film of an episode and of its spikes]({FILM})\n\n" if film else "",
        episodes=len(result.returns),
        evaluator=EVALUATOR_VERSION,
        version=__version__,
        mean=result.mean,
        spread=np.std(result.returns),
        costs="\n".join(f"| {heading} | {total:,.2f} |" for heading, total in costs.items()),
        name=name,
        environment=manifest.environment,
    )


def _name(manifest: AgentManifest) -> str:
    return manifest.agent or manifest.policy


def _metadata(manifest: AgentManifest, result: Evaluation) -> str:
    """Return the YAML that the hub reads: library, tags, and the return as a model index."""
    from huggingface_hub import EvalResult, ModelCardData

    spiking = ("spiking-neural-network", "neuromorphic") if result.spiking_layers else ()
    task, environment = "reinforcement-learning", manifest.environment
    # The form of the return that the hub's own leaderboards of agents read.
    score = f"{result.mean:.2f} +/- {np.std(result.returns):.2f}"
    return ModelCardData(
        library_name="snn_gym",
        pipeline_tag=task,
        tags=[task, "deep-reinforcement-learning", "stable-baselines3", environment, *spiking],
        model_name=_name(manifest),
        eval_results=[
            EvalResult(task, environment, environment, "mean_reward", score, task_name=task)
        ],
    ).to_yaml()
