"""The program of a model or a policy, and the names that it had in version 1.0."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.policies.base import SpikingPolicy
from snn_gym.policies.protocols import Acting
from snn_gym.policies.raw_observations import RawPolicy, raw_policy
from snn_gym.policies.stock import StockPolicyMixin
from snn_gym.program.compaction import compact
from snn_gym.program.network import Program


def program_of(model: BaseAlgorithm | Acting) -> Program:
    """Return the program that an agent acts by.

    Args:
        model: Algorithm with a policy of snn_gym, or the policy.

    Raises:
        ValueError: A part has no form outside of PyTorch; the message names the nearest one.
    """
    policy = raw_policy(model)
    bare = policy.inner if isinstance(policy, RawPolicy) else policy
    if not isinstance(bare, SpikingPolicy | StockPolicyMixin):
        raise ValueError(f"only policies of snn_gym are exported, got {type(bare).__name__}")
    made: Program = policy.program()
    return made


def portable(model: BaseAlgorithm | BasePolicy | RawPolicy) -> Program:
    """Return the program of an agent, by the name that this had in version 1.0.

    Args:
        model: As in ``program_of``.
    """
    warnings.warn(
        "portable(model) is deprecated since 1.0 and leaves in 1.2; use model.policy.program()",
        DeprecationWarning,
        stacklevel=2,
    )
    return program_of(model)


def without_silent(program: Program, fired: Sequence[NDArray[np.bool_]]) -> Program:
    """Return a program without the neurons that never fired, by its name in version 1.0.

    Args:
        program: The program.
        fired: As in ``compact``.
    """
    warnings.warn(
        "without_silent is deprecated since 1.0 and leaves in 1.2; use snn_gym.program.compact",
        DeprecationWarning,
        stacklevel=2,
    )
    return compact(program, fired)
