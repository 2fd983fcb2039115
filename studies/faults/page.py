"""Trained agents with faults, before and after fine-tuning."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from snn_gym import load_pretrained
from snn_gym._base.config import Config
from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard import evaluate
from snn_gym.policies.raw_observations import Acting
from studies.faults.damage import Faults, kept, with_faults
from studies.faults.fine_tuning import fine_tune
from studies.rows import VERSION_1
from studies.runs import Planned
from studies.tables import return_digits, spread, table, wrapped

STORED = (
    ("ppo-lif", "CartPole-v1"),
    ("ppo-lif", "Acrobot-v1"),
    ("ppo-lif", "MountainCar-v0"),
    ("ppo-lif", "Pendulum-v1"),
    ("sac-lif", "Pendulum-v1"),
)
LEAN = (
    ("ppo-lif-dynamics", "CartPole-v1"),
    ("ppo-lif-dynamics", "Acrobot-v1"),
    ("ppo-lif-dynamics", "Pendulum-v1"),
    ("ppo-lif-dynamics", "snn/CartPole-v1"),
    ("recurrent-ppo-lsnn-dynamics", "snn/CueAccumulation-v0"),
)
AGENTS = (*STORED, *LEAN)
CARRY_STATE = ("recurrent-ppo-lsnn-dynamics",)
"""Those that `fine_tune` does not take."""
SEEDS = range(5)
EPISODES = 20
FORMS: Mapping[str, Faults] = {
    "none": Faults(),
    "weights of 8 bits": Faults(weights_bits=8),
    "weights of 4 bits": Faults(weights_bits=4),
    "weights of 3 bits": Faults(weights_bits=3),
    "weights of 2 bits": Faults(weights_bits=2),
    "weights off by 10 %": Faults(weight_noise=0.1),
    "one neuron in ten dead": Faults(dead_neurons=0.1),
    "one spike in ten lost": Faults(spike_loss=0.1),
}
TUNED: Mapping[str, int] = {
    "weights of 4 bits, fine-tuned": 4,
    "weights of 2 bits, fine-tuned": 2,
    "weights of 3 bits, fine-tuned": 3,
}
"""Bits of weights after ``fine_tune`` as it comes, of episodes of its own."""

_TEXT = (
    f"The agents are rows of version 1 ({VERSION_1}), and this was not measured again.",
    "Agents of the results table, seeds {first} to {last}, play {episodes} of the table's episodes "
    "with faults that hardware may have (`studies.faults.damage`). Five agents were "
    "trained as usual. Five are [lean](guide/lean.md): they shed the spikes that their behaviour "
    "did not need. `python -m studies.faults` writes this page from "
    "`studies/faults/runs.jsonl`.",
    "At 4 bits both kinds keep all of their return in the median. Fine-tuning raises the least of "
    "the usual agents from 0.87 to 0.95, but not that of the lean ones (0.94 and 0.44). At 3 bits "
    "lean agents keep as much as the others, and fine-tuning recovers the loss of the worst. At 2 "
    "bits both kinds lose nearly all. Fine-tuning recovers most of it for the usual agents, and "
    "for lean ones on two tasks of four. Dead neurons cost the lean agent with a memory most "
    "(0.61).",
    "*Fine-tuned* agents learned afterwards, with weights of as few bits, to act as they did with "
    "full weights: `studies.faults.fine_tuning`, 500 updates in states of 16 other "
    "episodes, without reward. It takes agents without a state, so "
    "`recurrent-ppo-lsnn-dynamics` is left out. No agent was trained after other faults.",
    "Cells are medians over seeds, with the smallest and the largest. *Kept* is the remaining "
    "share of the way from random play (0) to the agent without faults (1), as a median over "
    "seeds. Seeds that come less than a tenth of the way to `solved` without faults are left out. "
    "The first table has that share over all fine-tuned agents and seeds, before and after "
    "fine-tuning.",
)


@dataclass(frozen=True)
class Played(Config):
    """One agent with one fault."""

    agent: str
    """Agent of the zoo."""
    environment: str
    """Gymnasium id."""
    form: str
    """One of ``FORMS``."""
    seed: int
    """Seed of its row; all random draws share one seed."""
    mean: float
    """Mean return."""


def fault_runs() -> Iterator[Planned]:
    """Yield every agent with every fault."""
    once = itertools.product(FORMS, SEEDS, AGENTS)
    stateless = [one for one in AGENTS if one[0] not in CARRY_STATE]
    for form, seed, (agent, env_id) in (*once, *itertools.product(TUNED, SEEDS, stateless)):
        name = f"{agent}/{env_id}/{form}/{seed}"
        yield Planned(name, partial(measure, agent, env_id, form, seed))


def measure(agent: str, env_id: str, form: str, seed: int) -> Played:
    """Play an agent with a fault."""
    model = load_pretrained(agent, env_id, seed)
    policy: Acting = (
        with_faults(model, FORMS[form]) if form in FORMS else fine_tune(model, env_id, TUNED[form])
    )
    return Played(agent, env_id, form, seed, evaluate(policy, env_id, EPISODES).mean)


def fault_page(played: Sequence[Played]) -> str:
    """Return the page."""
    text = wrapped(*(x.format(first=SEEDS[0], last=SEEDS[-1], episodes=EPISODES) for x in _TEXT))
    lines = []
    for agent, env_id in AGENTS:
        means = {
            (x.form, x.seed): x.mean for x in played if (x.agent, x.environment) == (agent, env_id)
        }
        reference, digits = load_environment_spec(env_id).reference, return_digits(env_id) or 1
        for form in sorted((*FORMS, *TUNED), key=_place):
            seeds = [seed for seed in SEEDS if (form, seed) in means]
            if not seeds:
                continue
            own = [means[form, seed] for seed in seeds]
            shares = [kept(reference, x, means["none", s]) for x, s in zip(own, seeds, strict=True)]
            known = [x for x in shares if x is not None]
            median = f"{np.median(known):.2f}" if known else "–"
            lines.append((agent, env_id, form, str(len(seeds)), spread(own, digits), median))
    pairs = [(kind, *cells) for kind, some in _KINDS.items() for cells in _pairs(played, some)]
    before_and_after = table(("agents", "weights", "agents and seeds", "before", "after"), pairs)
    head = ("agent", "environment", "fault", "seeds", "return", "kept")
    parts = ("# Agents with faults\n", text, before_and_after, table(head, lines))
    return "\n".join(parts)


_KINDS = {"trained as usual": STORED, "lean": LEAN}


def _pairs(
    played: Sequence[Played], agents: Collection[tuple[str, str]]
) -> Iterator[tuple[str, ...]]:
    """Yield the retention of fine-tuned agents before and after."""
    means = {((x.agent, x.environment), x.seed, x.form): x.mean for x in played}
    for form in sorted(TUNED, key=_place):
        before, after = list[float](), list[float]()
        for agent, seed, name in means:
            if name == form and agent in agents:
                reference = load_environment_spec(agent[1]).reference
                whole, rounded, tuned = (
                    means[agent, seed, x] for x in ("none", form.removesuffix(", fine-tuned"), form)
                )
                shares = [kept(reference, x, whole) for x in (rounded, tuned)]
                known = [x for x in shares if x is not None]  # both or none
                before += known[:1]
                after += known[1:]
        if after:
            yield form.split(",")[0], str(len(after)), spread(before, 2), spread(after, 2)


def _place(form: str) -> tuple[int, bool]:
    """Return the sort key of a form: fine-tuned ones follow the rest."""
    return list(FORMS).index(form.removesuffix(", fine-tuned")), form in TUNED
