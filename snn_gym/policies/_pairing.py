"""The check that an algorithm gets a policy that is made for it."""

from __future__ import annotations

import sys
from types import FrameType

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym import policies

_SUBSTITUTES = {
    "CrossQ": "SAC with SpikingSACPolicy or TQC with SpikingTQCPolicy",
    "MaskablePPO": "PPO with SpikingActorCriticPolicy, which masks no actions",
    "RecurrentPPO": "snn_gym.learners.StatefulPPO with StatefulActorCriticPolicy",
}
"""Algorithms of sb3-contrib that no policy here is for: what to use instead."""


def check_pairing(policy: BasePolicy, algorithms: tuple[str, ...]) -> None:
    """Refuse a policy that is being built by an algorithm which needs another one.

    Stable-Baselines3 does not tell a policy who builds it, and ends in an attribute that is missing
    or a tuple that is too short; so this looks at who called the policy's constructor.

    Args:
        policy: The policy, in its constructor.
        algorithms: Algorithms that it is for, which a subclass of them may be too.

    Raises:
        ValueError: The algorithm is known and not among them; the message names what to use.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_locals.get("self") is policy:
        frame = frame.f_back
    if frame is None or frame.f_code.co_name != "_setup_model":
        return
    model = frame.f_locals.get("self")
    if not isinstance(model, BaseAlgorithm):
        return
    known = _policies_by_algorithm()
    bases = [base.__name__ for base in type(model).__mro__]
    name = next((base for base in bases if base in known or base in _SUBSTITUTES), None)
    if name in _SUBSTITUTES:
        raise ValueError(
            f"{name} has no spiking policy, got {type(policy).__name__}; use {_SUBSTITUTES[name]}"
        )
    if name is not None and name not in algorithms:
        raise ValueError(
            f"{name} needs {known[name]}, got {type(policy).__name__}, which is for "
            f"{', '.join(algorithms)}"
        )


def _policies_by_algorithm() -> dict[str, str]:
    names = list(policies.__all__)
    if "sb3_contrib" in sys.modules:
        names += policies.CONTRIB
    return {algorithm: name for name in names for algorithm in getattr(policies, name).algorithms}
