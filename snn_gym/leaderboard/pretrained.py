"""Trained agents from the rows of the results table."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from snn_gym._base.folders import checkout_root, content_path
from snn_gym._base.names import did_you_mean
from snn_gym._base.storage import StorageError
from snn_gym.leaderboard.chain import Link, read_chain, read_linked
from snn_gym.leaderboard.manifest import SubmissionError
from snn_gym.leaderboard.results import (
    Row,
    is_derived,
    named,
    parent_of,
    parents,
    read_row,
    row_path,
    verified_weights,
)
from snn_gym.leaderboard.shipping import median_seed
from snn_gym.leaderboard.table import Terms, Unranked, read_terms
from snn_gym.program.costs import Costs
from snn_gym.zoo import agent_ids, load_agent_spec

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


Pick = Literal["best", "median"] | int
"""Which of the seeds of an agent on an environment."""

_CHECKOUT = "a checkout of snn_gym has it, under leaderboard/results"


@dataclass(frozen=True)
class TrainedAgent:
    """Stored rows of one agent on one environment."""

    agent: str
    """Name of the agent."""
    environment: str
    """Gymnasium id."""
    rows: tuple[Row, ...]
    """Verified rows, by seed."""
    elsewhere: tuple[int, ...] = ()
    """Seeds that a checkout has and this installation has not."""
    unranked: tuple[Unranked, ...] = ()
    """Those of the rows that do not rank."""
    parents: tuple[Row, ...] = ()
    """Rows that some of them were made lean from."""

    @property
    def ranked(self) -> tuple[Row, ...]:
        """The rows that rank."""
        apart = [other.row for other in self.unranked]
        return tuple(row for row in self.rows if row not in apart)

    def row(self, pick: Pick = "median") -> Row:
        """Return one of the rows.

        Args:
            pick: As for ``load_pretrained``.

        Raises:
            ValueError: There is no such row, or not in this installation.
        """
        rows = {row.seed: row for row in self.rows}
        means = {row.seed: row.score.mean for row in self.ranked or self.rows}
        what = f"{self.agent} on {self.environment}"
        seeds = sorted([*rows, *self.elsewhere])
        # True is 1 to Python, and a seed to nobody.
        if isinstance(pick, bool) or pick not in ("median", "best", *seeds):
            raise ValueError(
                f"{what}: pick is {pick!r}; expected 'median', 'best' or one of the seeds "
                f"{', '.join(map(str, seeds))}"
            )
        if self.elsewhere and (not rows or (pick != "median" and pick not in rows)):
            asked = pick if isinstance(pick, str) else f"seed {pick}"
            held = f"only the median one, seed {next(iter(rows))}" if rows else "none"
            raise ValueError(
                f"{what}, {asked}, is not in this installation, which has {held} of "
                f"{len(seeds)} seeds; {_CHECKOUT}"
            )
        if not rows:
            raise ValueError(f"{what}: no row is as it was verified; restore leaderboard/")
        if pick == "median":
            return rows[median_seed(means)]
        if pick == "best":
            return rows[max(means, key=lambda seed: (means[seed], -seed))]
        return rows[pick]


def load_pretrained(
    agent: str, env_id: str, pick: Pick = "median", *, leaderboard: Path | None = None
) -> BaseAlgorithm:
    """Load a trained agent of the results table, by name.

    Its weights are data and no code, and are read only if row and weights have the digests that
    they were verified with. It predicts as it did when it was verified, and can go on learning.
    What acting does not need is not in the table: critics, the spread of continuous exploration,
    optimisers and replay buffers begin anew, so that further learning may lose return at first.

    Rows whose recipe is another than the rules fix do not rank and are loaded by their seed alone.
    ``median`` is the default because the best of several seeds is a lucky draw: training again
    gives such a one rarely, while half of the seeds are at least as good as the median. What is
    loaded is somebody's row already and can't be submitted as one's own, trained on or not: no
    recipe from the start leads to it, and the table refuses copies. Made lean (``make_lean``) it
    can, as a row that names this one as its parent.

    Args:
        agent: Agent of the zoo, such as ``ppo-lif``; `snn-gym pretrained` lists those there are.
        env_id: One of its environments, such as ``CartPole-v1``.
        pick: ``median`` (of an even number of seeds the lower middle one) or ``best``, by the mean
            return that was verified, or a seed.
        leaderboard: Folder of another results table; None for the checkout's or, of a wheel, for
            the small agents in it.

    Returns:
        A Stable-Baselines3 model as ``load_agent`` gives it, on the CPU.

    Raises:
        ValueError: There is no such agent, environment or seed, or a file of it was changed.
        gymnasium.error.Error: The environment needs a package that is absent.
    """
    board = _board(leaderboard)
    return load_row(board, find_trained(agent, env_id, board).row(pick))


def load_row(board: Path, row: Row) -> BaseAlgorithm:
    """Load the agent of a row, as ``load_pretrained`` does.

    Args:
        board: Folder of the leaderboard.
        row: One of its rows.

    Returns:
        The model.

    Raises:
        ValueError: A file of the row was changed, or its agent has left the zoo.
    """
    from snn_gym.leaderboard.verification import check_weights
    from snn_gym.policies.raw_observations import raw_policy
    from snn_gym.zoo import make_agent
    from snn_gym.zoo.environments import set_observation_count
    from snn_gym.zoo.identity import Identity, remember_identity

    tensors = check_weights(verified_weights(board, row), row)
    model = make_agent(row.agent, row.environment, row.seed, seeding=row.seeding)
    raw_policy(model).load_acting_state_dict(tensors)
    set_observation_count(model, row.steps)
    policy = model.policy
    for name, part in policy.named_children():
        if hasattr(policy, f"{name}_target"):  # as it is when training begins
            getattr(policy, f"{name}_target").load_state_dict(part.state_dict())
    policy.train(False)
    model.num_timesteps = row.steps
    # Without a recipe: these weights, and those that come of them, are no training of one's own.
    remember_identity(model, Identity(row.agent, row.environment, seeding=row.seeding))
    return model


def find_trained(agent: str, env_id: str, leaderboard: Path | None = None) -> TrainedAgent:
    """Find what is stored of an agent on an environment.

    Args:
        agent: Agent of the zoo.
        env_id: Gymnasium id.
        leaderboard: As for ``load_pretrained``.

    Raises:
        ValueError: There is nothing; the message names what there is.
    """
    (found,) = list_trained(agent, env_id, leaderboard)
    return found


def list_trained(
    agent: str | None = None, env_id: str | None = None, leaderboard: Path | None = None
) -> tuple[TrainedAgent, ...]:
    """List the trained agents of the results table.

    As in the table, rows that are not as they were verified are set aside, with a warning.

    Args:
        agent: Only this one; None for all.
        env_id: Only on this environment; None for all.
        leaderboard: As for ``load_pretrained``.

    Returns:
        Agents sorted by name, then environment.

    Raises:
        ValueError: There is none, which the message explains, or the chain of digests is broken.
    """
    board = _board(leaderboard)
    groups = _groups(board)
    _check_names(agent, env_id, list(groups))
    terms = read_terms(board)
    return tuple(
        _read(board, *pair, groups, terms)
        for pair in groups
        if agent in (None, pair[0]) and env_id in (None, pair[1])
    )


def twin_costs(agent: str, env_id: str, leaderboard: Path | None = None) -> Costs | None:
    """Return what a decision of an agent's ANN twin costs, by the row of its median return.

    Args:
        agent: Name of an agent.
        env_id: Gymnasium id.
        leaderboard: As for ``load_pretrained``.

    Returns:
        The costs; None if it has no twin, or the table no row of it.
    """
    twin = load_agent_spec(agent).twin if agent in agent_ids() else None
    board = _board(leaderboard)
    trained = _read(board, twin or "", env_id, _groups(board), read_terms(board))
    return trained.row().costs if trained.rows else None


def weights_bytes(row: Row, leaderboard: Path | None = None) -> int:
    """Return the size of a row's weights file (bytes).

    Args:
        row: One that ``list_trained`` gave.
        leaderboard: As for ``load_pretrained``.
    """
    path = row_path(_board(leaderboard), row.agent, row.environment, row.seed)
    return path.with_suffix(".safetensors").stat().st_size


def _board(leaderboard: Path | None) -> Path:
    return content_path("leaderboard") if leaderboard is None else Path(leaderboard)


def _groups(board: Path) -> dict[tuple[str, str], list[Link]]:
    """Return the newest links of all rows by agent and environment, sorted by place."""
    groups: dict[tuple[str, str], list[Link]] = {}
    for _, link in sorted({link.place: link for link in read_chain(board)}.items()):
        _, name, folder, _ = link.place.split("/")
        groups.setdefault((name, folder.replace("__", "/", 1)), []).append(link)
    return groups


def _check_names(agent: str | None, env_id: str | None, pairs: list[tuple[str, str]]) -> None:
    agents = list(dict.fromkeys(name for name, _ in pairs))
    if not pairs:
        raise ValueError(
            "there are no trained agents here: the results table is empty; train one with "
            "`snn-gym train`"
        )
    if agent is not None and agent not in agents:
        what = f"no trained agent {agent!r}{did_you_mean(agent, agents)}"
        train = ""
        if agent in agent_ids():
            what = f"no {agent} in the results table yet;"
            train = f"; train it with `snn-gym train {agent} {env_id or 'ENV'}`"
        raise ValueError(f"there is {what} there are: {', '.join(agents)}{train}")
    known = sorted({env for name, env in pairs if agent in (None, name)})
    if env_id is not None and env_id not in known:
        whom = "agent" if agent is None else agent
        raise ValueError(
            f"there is no trained {whom} for {env_id!r}{did_you_mean(env_id, known)} there are "
            f"some for: {', '.join(known)}"
        )


def _read(
    board: Path,
    agent: str,
    env_id: str,
    groups: Mapping[tuple[str, str], list[Link]],
    terms: Terms,
) -> TrainedAgent:
    """Return what the table has of an agent on an environment."""
    links = groups.get((agent, env_id), [])
    # A wheel has a small part of the table, with the chain of all of it.
    partial = board == content_path("leaderboard") and checkout_root() is None
    absent = [link for link in links if partial and not (board / link.place).exists()]
    rows = sorted(_verified(board, [x for x in links if x not in absent]), key=lambda row: row.seed)
    elsewhere = sorted(int(Path(link.place).stem) for link in absent)
    made = {x.recipe.parent.weights_sha256 for x in rows if x.recipe and x.recipe.parent}
    of_parents = [link for group in groups.values() for link in group if link.weights in made]
    there = [link for link in of_parents if not partial or (board / link.place).exists()]
    known = tuple(_verified(board, there))
    named = parents(known)
    unranked = []
    for row in rows:
        parent = parent_of(row, named)
        reason = terms.reason(row, parent)
        # What a part of the table does not show is no reason.
        if reason is not None and not (partial and is_derived(row) and parent is None):
            unranked.append(Unranked(row, reason))
    return TrainedAgent(agent, env_id, tuple(rows), tuple(elsewhere), tuple(unranked), known)


def _verified(board: Path, links: list[Link]) -> Iterator[Row]:
    for link in links:
        try:
            yield read_row(board, board / link.place, read_linked(board, link)[0])
        except (SubmissionError, StorageError) as error:
            warnings.warn(f"set aside: {named(link, error)}", stacklevel=2)
