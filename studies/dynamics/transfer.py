"""A rule that synapses learned on the Teacher job, frozen and carried to another job."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import to_mapping
from snn_gym.envs.synapses.features import SynapseFeatures
from snn_gym.learners import SynapseAgents
from snn_gym.spiking.population import SynapseTable
from studies.dynamics.control import ControlCase
from studies.dynamics.outcome import Outcome
from studies.dynamics.settings import PRETRAINING_RUNS, SYNAPSE_AGENTS, TRANSFER_JUDGEMENTS
from studies.dynamics.supervised import TeacherCase

AGENT = "synapse-agents"


@dataclass(frozen=True)
class TransferCase:
    """Synapse agents whose rule does not change any more."""

    preset: str
    """Observation preset of the synapses."""
    target: ControlCase | TeacherCase
    """Where they are used; its agents are frozen."""
    rule: Literal["pretrained", "untrained"]
    """Whether the rule was learned on the Teacher job, or is a fresh one."""
    relabelled: bool = False
    """Whether inputs and hidden neurons have other indices than they had when it was learned."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that was chosen, as plain data."""
        taught = {
            "hyperparameters": to_mapping(SYNAPSE_AGENTS["Teacher"][self.preset]),
            "runs": PRETRAINING_RUNS,
            "judgements": TRANSFER_JUDGEMENTS,
        }
        return {
            **self.target.settings,
            "rule": self.rule,
            "pretraining": taught if self.rule == "pretrained" else None,
            "relabelled": self.relabelled,
        }

    def train(self, seed: int) -> Outcome:
        """Carry the rule over and run one seed."""
        model = self.target.make(seed)
        assert isinstance(model, SynapseAgents)
        if self.rule == "pretrained":
            model.load_rule(pretrained_rule(self.preset, seed))
        if self.relabelled:
            table = relabelled(
                model.population.synapses, model.population.sizes, np.random.default_rng(seed)
            )
            settings = model.settings
            model.features = SynapseFeatures(
                settings.features, table, settings.weight_limit, settings.history
            )
        return self.target.finish(model)


@functools.lru_cache(maxsize=4)
def pretrained_rule(preset: str, seed: int) -> Mapping[str, NDArray[Any]]:
    """Return the rule that synapses learned on the Teacher job, over successive networks."""
    overrides = to_mapping(SYNAPSE_AGENTS["Teacher"][preset])
    case = TeacherCase(AGENT, TRANSFER_JUDGEMENTS, overrides=overrides)
    rule: Mapping[str, NDArray[Any]] | None = None
    for run in range(PRETRAINING_RUNS):
        # Other seeds than those of the networks that the rule is used on.
        (network_seed,) = np.random.SeedSequence((seed, run)).generate_state(1)
        model = case.make(int(network_seed) // 2)
        assert isinstance(model, SynapseAgents)
        if rule is not None:
            model.load_rule(rule)
        case.finish(model)
        rule = model.rule_memory
    assert rule is not None
    return rule


def relabelled(
    table: SynapseTable, sizes: tuple[int, ...], rng: np.random.Generator
) -> SynapseTable:
    """Return where synapses sit if inputs and hidden neurons had other indices.

    Other indices of the hidden neurons alone would change nothing: those of a network with fresh
    weights are alike.
    """
    names = [rng.permutation(size) for size in sizes[:-1]] + [np.arange(sizes[-1])]
    pre, post = table.pre.copy(), table.post.copy()
    for layer in range(len(sizes) - 1):
        mine = table.layer == layer
        post[mine] = names[layer + 1][table.post[mine]]
        # A bias comes from no neuron, and keeps the index that says so.
        driven = mine & ~table.is_bias
        pre[driven] = names[layer][table.pre[driven]]
    return replace(table, pre=pre, post=post)
