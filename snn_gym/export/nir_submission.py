"""Submissions of NIR graphs: agents that were trained elsewhere, evaluated here."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from snn_gym._base.config import to_mapping
from snn_gym._base.folders import checkout_root, toml_value
from snn_gym._base.names import AGENT_NAME, AGENT_NAME_RULE, did_you_mean
from snn_gym._base.storage import write_text_atomic
from snn_gym.envs.registry import IMPORTED, known_ids
from snn_gym.export.nir_import import NIRNetwork, agent_for, is_normalised, load_into, read_nir
from snn_gym.leaderboard.manifest import SubmissionError
from snn_gym.leaderboard.submission import Claim, check_out, write_submission
from snn_gym.policies.base import SpikingPolicy
from snn_gym.spiking import NetworkConfig
from snn_gym.zoo import agent_ids, build_policy, load_agent_spec, policy_arguments
from snn_gym.zoo.files import package_versions

_CARD = """# {name}

What this agent is, who trained it, in which framework and how. **Write that here.**

| | |
|---|---|
| Algorithm | trained elsewhere; imported as a NIR graph |
| Network | {network} |
| State | {state} |
| ANN twin | none |
| Budget class | imported: no budget binds it, and nobody here can train it again |
"""


def submit_nir(
    path: str | os.PathLike[str],
    env_id: str,
    agent: str,
    out: str | os.PathLike[str],
    *,
    host: str | os.PathLike[str] | None = None,
    seed: int = 0,
    steps: int = 0,
    seeds: Sequence[int] | None = None,
) -> Path:
    """Evaluate a graph and write its submission folder.

    A new agent gets a folder in the checkout's agents/, whose card you then write. Its further
    seeds and environments need the same network.

    Args:
        path: HDF5 file.
        env_id: Gymnasium id of an environment with a file under envs/.
        agent: Name in the table.
        out: Folder to write.
        host: JSON file that describes the graph's host; the one beside the graph if None.
        seed: Seed of its training, which tells an agent's rows apart.
        steps: Environment steps of its training; 0 if unknown.
        seeds: As for ``snn_gym.leaderboard.submit``.

    Returns:
        The submission folder.

    Raises:
        ValueError: The environment is unknown, the graph is no agent on it, or the agent of that
            name is trained here or has another network.
    """
    check_out(Path(out))
    if env_id not in known_ids():
        raise SubmissionError(
            "unknown-environment",
            f"{env_id} has no file under envs/{did_you_mean(env_id, known_ids())} expected an "
            "environment that has one",
        )
    graph = read_nir(path, host)
    with ExitStack() as undone:
        if agent not in agent_ids():
            # A graph that is refused below leaves no agent behind.
            undone.callback(shutil.rmtree, write_agent(graph, agent, env_id))
        check_agent(graph, agent, env_id)
        policy = build_policy(agent, env_id)
        assert isinstance(policy, SpikingPolicy)  # imported agents have no other
        load_into(graph, policy)
        claim = Claim(agent, env_id, seed, steps, "consecutive", package_versions(), recipe=None)
        write_submission(Path(out), claim, policy.acting_state_dict(), seeds)
        undone.pop_all()
    return Path(out)


def write_agent(graph: NIRNetwork, name: str, env_id: str) -> Path:
    """Write the folder of an imported agent into the checkout's agents/, and return its path.

    ValueError outside a checkout and for a wrong name; FileExistsError if it exists.
    """
    root = checkout_root()
    if root is None:
        raise ValueError(
            f"agent {name!r} is not in this installation, which holds no folder to add it to; "
            "expected a checkout of snn_gym"
        )
    if re.fullmatch(AGENT_NAME, name) is None:
        raise ValueError(f"the name of an agent is {AGENT_NAME_RULE}, got {name!r}")
    folder = root / "agents" / name
    network = to_mapping(NetworkConfig(**graph.settings))
    keys = ["hidden_sizes", "time_steps", "neuron", "neuron_parameters"]
    keys += ["recurrent"] if network["recurrent"] else []
    parent = load_agent_spec(agent_for(graph.host))
    folder.mkdir()
    lines = [
        f'name = "{name}"',
        'description = "A network that was trained elsewhere, imported as a NIR graph."',
        f'algorithm = "{parent.algorithm}"',
        f'budget_class = "{IMPORTED}"',
        "\n[policy_kwargs]",
        f"normalise_observations = {toml_value(is_normalised(graph.host))}",
        "spiking_actor = true",
        "\n[network]",
        *(f"{key} = {toml_value(network[key])}" for key in keys),
        f'\n[environments."{env_id}"]',
    ]
    write_text_atomic(folder / "agent.toml", "\n".join(lines) + "\n")
    sizes = "-".join(map(str, network["hidden_sizes"]))
    words = f"{sizes} neurons `{network['neuron']}`, T = {network['time_steps']}"
    card = _CARD.format(name=name, network=words, state=graph.host.state)
    write_text_atomic(folder / "README.md", card)
    return folder


def check_agent(graph: NIRNetwork, name: str, env_id: str) -> None:
    """Raise ValueError unless an agent is imported, for that environment, with this network."""
    spec = load_agent_spec(name)
    if not spec.is_imported:
        raise ValueError(f"agent {name!r} is trained here; name one of budget class 'imported'")
    if env_id not in spec.environments:
        raise ValueError(
            f"{name} is not registered for {env_id}; add the table "
            f'[environments."{env_id}"] to agents/{name}/agent.toml'
        )
    arguments = policy_arguments(spec, env_id)
    own, given = arguments["network"], NetworkConfig(**graph.settings)
    changed = [key for key in graph.settings if getattr(own, key) != getattr(given, key)]
    if arguments.get("normalise_observations", True) != is_normalised(graph.host):
        changed.append("normalise_observations")
    if changed:
        raise ValueError(
            f"the graph has another {', '.join(changed)} than agent {name!r}; submit it as "
            "another agent"
        )
