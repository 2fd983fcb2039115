"""The program of a policy: what it acts by, read off its modules.

Whatever has a program can be exported, frozen and compacted, so that this is decided in one place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import nn

from snn_gym.policies.protocols import ProgramPolicy
from snn_gym.program.network import UNCHOSEN, Choice, Head, Normaliser, Program
from snn_gym.spiking.neurons.base import as_array
from snn_gym.spiking.normaliser import ObservationNormaliser


def read_program(policy: ProgramPolicy) -> Program:
    """Return the program that a policy acts by, with copies of its numbers.

    Args:
        policy: A policy of snn_gym.

    Raises:
        ValueError: A part has no form outside of PyTorch; the message names the nearest one.
    """
    _check_spaces(policy)
    network: Any = policy.acting_network()
    own_head = policy.readout() is None
    made: Program = replace(
        network.program(policy.readout()),
        normalisers=_normalisers(policy),
        choice=_choice(policy),
        stateful=policy.carries_state,
    )
    quantiles = getattr(policy, "n_quantiles", 1)
    return _averaged(made, quantiles) if quantiles > 1 and own_head else made


def _averaged(program: Program, quantiles: int) -> Program:
    """Return a program whose outputs are means over quantiles, as QR-DQN acts by."""
    decoder, head = program.decoder, program.head
    if decoder is not None and decoder.values > 1:
        raise ValueError(
            "decoder 'max_voltage' of quantiles is not exported; train with 'mean_rate' or "
            "'last_voltage'"
        )
    weights = head.weights.reshape(quantiles, -1, head.weights.shape[1]).mean(0)
    biases = head.biases.reshape(quantiles, -1).mean(0)
    return replace(program, head=Head(weights, biases))


def _check_spaces(policy: ProgramPolicy) -> None:
    seen, chosen = policy.observation_space, policy.action_space
    if not isinstance(seen, spaces.Box | spaces.MultiBinary) or (
        policy.features_extractor_class is not FlattenExtractor
    ):
        raise ValueError(
            f"observations {seen} are not exported; train on a Box or MultiBinary space that is "
            "flattened"
        )
    if not isinstance(chosen, spaces.Box | spaces.Discrete):
        raise ValueError(f"actions {chosen} are not exported; train with Box or Discrete actions")


def _choice(policy: ProgramPolicy) -> Choice:
    space = policy.action_space
    if isinstance(space, spaces.Box):
        low, high = (x.reshape(-1).astype(np.float32) for x in (space.low, space.high))
        if not policy.squash_output:
            return Choice("clip", low, high)
        return Choice("squash", low, high, _limit_of_mean(policy))
    return UNCHOSEN


def _limit_of_mean(policy: ProgramPolicy) -> float | None:
    """Return within what a mean is clipped before it is squashed, as use_sde has it, or None."""
    mean = getattr(getattr(policy, "actor", None), "mu", None)
    last = mean[-1] if isinstance(mean, nn.Sequential) else None
    return float(last.max_val) if isinstance(last, nn.Hardtanh) else None


def _normalisers(policy: ProgramPolicy) -> tuple[Normaliser, ...]:
    found: ObservationNormaliser | None = policy.normaliser
    if found is None:
        return ()
    return (Normaliser(as_array(found.mean), as_array(found.std), float(found.clip)),)
