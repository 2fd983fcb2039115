"""Converted ANNs beside direct training: ``python -m studies.deployed.converted``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import typer

from snn_gym import load_pretrained
from snn_gym._base.config import Config
from snn_gym.export import ResidualPolicy, choose_share, convert
from snn_gym.leaderboard import evaluate
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.program.costs import Costs
from studies.deployed.page import Page
from studies.rows import RowName
from studies.tables import spread, table

PAIRS = (
    ("dqn-mlp", "dqsn", "CartPole-v1"),
    ("qrdqn-mlp", "qrdqn-lif", "CartPole-v1"),
    ("sac-mlp", "sac-lif", "Pendulum-v1"),
    ("ppo-relu", "ppo-lif", "Acrobot-v1"),
    ("ppo-relu", "ppo-lif", "MountainCar-v0"),
)
"""ANN, directly trained agent, and environment."""
TIME_STEPS = (8, 16, 32)
MOST_SEEDS = 3

_TEXT = """# Conversion beside direct training

ANNs of the results table with rectified units are converted by `snn_gym.export.convert` at 8, 16
and 32 time steps, and play the table's 100 episodes. Beside them stand the ANNs' own rows, and the
spiking agents that were trained directly by the same algorithm, with the same hidden sizes and
budget. `ppo-relu` is `ppo-mlp` with a rectified actor and an unchanged tanh critic. Cells are
medians over the first three seeds, with the smallest and the largest. SynOps and MACs are per
decision. `python -m studies.deployed.converted` writes this page from
`studies/deployed/converted.json`.

A *residual* is the part of a ReLU's output that the spikes of a decision do not carry. A share of
it can be carried to the next decision, as the release of
[CRPI](https://github.com/xuzijie32/ANN2SNN-CRPI) does (`snn_gym.export.ResidualPolicy`). CRPI scans
shares on the reported episodes. Here each seed has the share of 0, 0.3, 0.6 and 1 that earns most
in 20 other episodes, the smallest of equal ones (`choose_share`). A dash means that nothing is
carried.

"""
_END = """
On these tasks 8 time steps are enough: more time steps cost more, and the return rises by no more
than the spread over seeds. A converted agent then earns about as much as its ANN, with 0.3 to 0.8
of the SynOps of the agent that was trained directly. [Lean agents](guide/lean.md) need far fewer.

A converted agent inherits its ANN's failures. On CartPole-v1 `dqsn`, trained directly, reaches
500.0; its ANN, whose settings were not tuned, has weak seeds, and so have its converted forms. A
residual makes no difference beyond the spread over seeds, and no share is best everywhere. With
three seeds none of these differences is tested.

PPO with a rectified critic, too, learned neither Acrobot-v1 nor MountainCar-v0 with the
hyper-parameters of `ppo-mlp`. The table shows interquartile means of 50 episodes on seeds from 1000
on. All were trained for the budget, except rectified critics on Acrobot-v1 (100,000 steps):

| setting | Acrobot-v1 | MountainCar-v0 |
| --- | --- | --- |
| rectified actor and critic | -500, -500 | -200 |
| the same with an entropy weight of 0.01 | -500, -500 | – |
| the same with a learning rate of 1e-4 | -500, -500 | – |
| the same with a learning rate of 1e-3 | -76, -500 | – |
| the same without the normaliser | -178, -174 | – |
| rectified actor, tanh critic | -78, -80, -81, -78 | -120, -105, -184, -105 |
"""


@dataclass(frozen=True)
class Played(Config):
    """One agent, in one form."""

    environment: str
    """Gymnasium id."""
    agent: str
    """Agent of the zoo."""
    time_steps: int
    """Of a decision; 0 for the agent itself, not converted."""
    seed: int
    """Seed of its row."""
    mean: float
    """Mean return."""
    synops: float
    """Synaptic operations of a decision."""
    macs: float
    """Multiply-accumulates of a decision."""
    share: float | None = None
    """Share of the residual that is carried, chosen in other episodes; None where none is."""

    @property
    def form(self) -> tuple[str, str, int, bool]:
        """Environment, agent, time steps, and whether a residual may be carried."""
        return self.environment, self.agent, self.time_steps, self.share is not None


@dataclass(frozen=True)
class Results(Config):
    """Measurements of the study."""

    played: tuple[Played, ...]
    """All agents and forms."""


def measure(done: Results | None) -> Iterator[Results]:
    """Convert and play every ANN of which there is nothing yet; take the others from their rows."""
    results = done or Results(())
    known = {(x.form, x.seed) for x in results.played}
    for form in _forms():
        for seed in _seeds(form):
            if (form, seed) not in known:
                results = Results((*results.played, _play(form, seed)))
                yield results


Form = tuple[str, str, int, bool]
"""As `Played.form` has it."""


def _forms() -> Iterator[Form]:
    """Yield the forms in the order of the page."""
    for ann, direct, env_id in PAIRS:
        yield env_id, ann, 0, False
        yield from ((env_id, ann, steps, x) for steps in TIME_STEPS for x in (False, True))
        yield env_id, direct, 0, False


def _seeds(form: Form) -> list[int]:
    env_id, agent, *_ = form
    return [row.seed for row in find_trained(agent, env_id).rows[:MOST_SEEDS]]


def _play(form: Form, seed: int) -> Played:
    env_id, agent, steps, carries = form
    costs: Costs
    share = None
    if steps:
        policy = convert(load_pretrained(agent, env_id, seed), env_id, steps)
        share = choose_share(policy, env_id) if carries else None
        evaluation = evaluate(policy if share is None else ResidualPolicy(policy, share), env_id)
        costs, mean = evaluation, evaluation.mean
    else:
        row = find_trained(agent, env_id).row(seed)
        costs, mean = row.costs, row.score.mean
    synops, macs = (costs.total(f"{x}_per_decision") or 0.0 for x in ("synops", "macs"))
    return Played(env_id, agent, steps, seed, mean, synops, macs, share)


def report(results: Results) -> str:
    """Return the page."""
    head = ("environment", "agent", "seeds", "share", "return", "SynOps", "MACs")
    lines = []
    for form in _forms():
        own = [x for x in results.played if x.form == form]
        if own:
            lines.append(_line(form, own))
    return _TEXT + table(head, lines) + _END


def _line(form: Form, own: list[Played]) -> tuple[str, ...]:
    env_id, agent, steps, carries = form
    label = f"{agent}, converted, T = {steps}" if steps else agent
    shares = ", ".join(f"{x.share:g}" for x in own) if carries else "–"
    return (
        env_id, label, str(len(own)), shares, spread([x.mean for x in own], 1),
        spread([x.synops for x in own]), spread([x.macs for x in own]),
    )  # fmt: skip


def rows_of(results: Results) -> Iterator[RowName]:
    """Yield the rows that results were measured from."""
    yield from (_row(x) for x in results.played)


def without(results: Results, rows: Sequence[RowName]) -> Results:
    """Return results without those of some rows, which are to be played again."""
    return Results(tuple(x for x in results.played if _row(x) not in rows))


def _row(played: Played) -> RowName:
    return RowName(played.agent, played.environment, played.seed)


PAGE = Page("converted", Results, measure, report, rows_of, without)

if __name__ == "__main__":
    typer.run(PAGE.write)
