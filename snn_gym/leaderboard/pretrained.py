"""Trained agents from the rows of the results table."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from snn_gym._base.folders import content_path
from snn_gym._base.names import did_you_mean
from snn_gym.leaderboard.batches import median_seed
from snn_gym.leaderboard.plan import Unranked, split_rows
from snn_gym.leaderboard.results import (
    Row,
    parent_of,
    rows_by_weights,
    shown_rows,
    verified_weights,
)
from snn_gym.zoo import agent_ids, load_agent_spec

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


Pick = Literal["best", "median"] | int
"""Choice among the seeds of an agent on an environment."""


@dataclass(frozen=True)
class TrainedAgent:
    """Stored rows of one agent on one environment."""

    agent: str
    environment: str
    rows: tuple[Row, ...]
    """Verified rows, by seed."""
    unranked: tuple[Unranked, ...] = ()
    """Rows that do not rank."""
    parents: tuple[Row, ...] = ()
    """Parents of lean rows."""

    @property
    def ranked(self) -> tuple[Row, ...]:
        """Rows that rank."""
        unranked = [entry.row for entry in self.unranked]
        return tuple(row for row in self.rows if row not in unranked)

    def row(self, pick: Pick = "median") -> Row:
        """Return the row of a seed, or the ranked row with the median or best mean return.

        Without ranked rows, of all rows; ValueError for another choice.
        """
        rows = {row.seed: row for row in self.rows}
        means = {row.seed: row.score.mean for row in self.ranked or self.rows}
        # True equals 1 in Python, but is not a seed.
        if isinstance(pick, bool) or pick not in ("median", "best", *rows):
            raise ValueError(
                f"{self.agent} on {self.environment}: pick is {pick!r}; expected 'median', 'best' "
                f"or one of the seeds {', '.join(map(str, rows))}"
            )
        if pick == "median":
            return rows[median_seed(means)]
        if pick == "best":
            return rows[max(means, key=lambda seed: (means[seed], -seed))]
        return rows[pick]


def load_pretrained(
    agent: str, env_id: str, pick: Pick = "median", *, leaderboard: Path | None = None,
    device: str = "cpu",
) -> BaseAlgorithm:  # fmt: skip
    """Load a trained agent of the results table, by name.

    Weights hold no code, and are read only if row and weights have their verified digests. The
    agent acts as it did at verification and can learn further. Critics, the spread of continuous
    exploration, optimisers and replay buffers are not in the table and start new, so that further
    learning may lose return at first.

    Rows that do not rank load by their seed only. ``median`` is the default because the best of
    several seeds is luck. The loaded agent cannot be submitted, nor can it after ``learn``, because
    no recipe from the start leads to it and the table refuses copies. A lean agent made from it
    (``make_lean``) can.

    Args:
        agent: Agent of the zoo, such as ``ppo-lif``; `snn-gym pretrained` lists them.
        env_id: One of its environments, such as ``CartPole-v1``.
        pick: ``median`` (of an even number of seeds the lower middle one) or ``best``, by verified
            mean return, or a seed.
        leaderboard: Folder of another results table; None for the checkout's or, in a wheel, for
            its small agents.
        device: PyTorch device, as in ``make_agent``.

    Returns:
        A Stable-Baselines3 model as from ``load_agent``.

    Raises:
        ValueError: There is no such agent, environment or seed, or a file has changed.
        gymnasium.error.Error: The environment needs a package that is absent.
    """
    board = leaderboard_path(leaderboard)
    return load_row(board, find_trained(agent, env_id, board).row(pick), device)


def load_row(board: Path, row: Row, device: str = "cpu") -> BaseAlgorithm:
    """Return the agent of a row as a model, as ``load_pretrained`` does."""
    from snn_gym.leaderboard.weights import check_weights
    from snn_gym.policies.raw_observations import raw_policy
    from snn_gym.zoo.algorithms import policy_class
    from snn_gym.zoo.build import (
        Identity,
        build_agent,
        remember_identity,
        resolve_settings,
        shed_settings,
    )
    from snn_gym.zoo.recipe import set_observation_count

    tensors = check_weights(verified_weights(board, row), row)
    spec = load_agent_spec(row.agent)
    shed = shed_settings(row.agent, row.environment, tensors)
    settings = resolve_settings(spec, row.environment, shed)
    if shed is not None and getattr(policy_class(spec.algorithm), "critic_key", None):
        # The critic, which is new, is as large as in training.
        sizes = resolve_settings(spec, row.environment).network["hidden_sizes"]
        arguments = {"critic_hidden_sizes": sizes, **settings.policy_kwargs}
        settings = replace(settings, policy_kwargs=arguments)
    model = build_agent(
        row.agent, row.environment, row.seed, settings, seeding=row.seeding, device=device
    )
    raw_policy(model).load_acting_state_dict(tensors)
    set_observation_count(model, row.steps)
    policy = model.policy
    for name, part in policy.named_children():
        target, own = getattr(policy, f"{name}_target", None), part.state_dict()
        # Target networks start equal; a proxy is another network, which training fits anew.
        if target is not None and target.state_dict().keys() == own.keys():
            target.load_state_dict(own)
    policy.train(False)
    model.num_timesteps = row.steps
    # Without a recipe, so that these weights and further training of them cannot be submitted.
    curve = row.learning_curve
    identity = Identity(
        row.agent,
        row.environment,
        seeding=row.seeding,
        history=None if curve is None else (curve.steps, curve.returns),
    )
    remember_identity(model, identity)
    return model


def find_trained(agent: str, env_id: str, leaderboard: Path | None = None) -> TrainedAgent:
    """Return the stored rows of an agent on an environment; ValueError without any."""
    (trained,) = list_trained(agent, env_id, leaderboard)
    return trained


def list_trained(
    agent: str | None = None, env_id: str | None = None, leaderboard: Path | None = None
) -> tuple[TrainedAgent, ...]:
    """Return the trained agents of the results table, sorted by agent and environment.

    None stands for all; ValueError for an agent or environment without rows.
    """
    board = leaderboard_path(leaderboard)
    rows = sorted(shown_rows(board), key=_pair)
    groups = {pair: list(group) for pair, group in itertools.groupby(rows, key=_pair)}
    _check_names(agent, env_id, list(groups))
    known = rows_by_weights(rows)
    _, unranked = split_rows(board, rows)
    return tuple(
        TrainedAgent(
            *pair,
            tuple(group),
            tuple(x for x in unranked if _pair(x.row) == pair),
            tuple(x for row in group if (x := parent_of(row, known)) is not None),
        )
        for pair, group in groups.items()
        if agent in (None, pair[0]) and env_id in (None, pair[1])
    )


def _pair(row: Row) -> tuple[str, str]:
    return (row.agent, row.environment)


def leaderboard_path(leaderboard: Path | None) -> Path:
    """Return the given folder, that of the checkout or the part of it in the wheel."""
    return content_path("leaderboard") if leaderboard is None else Path(leaderboard)


def _check_names(agent: str | None, env_id: str | None, pairs: Sequence[tuple[str, str]]) -> None:
    agents = list(dict.fromkeys(name for name, _ in pairs))
    if not pairs:
        raise ValueError(
            "there are no trained agents here: the results table is empty; train one with "
            "`snn-gym train`"
        )
    if agent is not None and agent not in agents:
        problem = f"no trained agent {agent!r}{did_you_mean(agent, agents)}"
        fix = f"`snn-gym pretrained` lists the {len(agents)} agents that are there"
        if agent in agent_ids():
            problem = f"no {agent} in the results table yet;"
            fix = f"train it with `snn-gym train {agent} {env_id or 'ENV'}`"
        raise ValueError(f"there is {problem} {fix}")
    known = sorted({env for name, env in pairs if agent in (None, name)})
    if env_id is not None and env_id not in known:
        option = "" if agent is None else f" --agent {agent}"
        raise ValueError(
            f"there is no trained {agent or 'agent'} for {env_id!r}{did_you_mean(env_id, known)} "
            f"`snn-gym pretrained{option}` lists the {len(known)} environments with one"
        )
