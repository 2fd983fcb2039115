"""Stable-Baselines3 policies on spiking networks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from snn_gym._base.lazy import import_extra
from snn_gym.policies.actor_critic import SpikingActorCriticPolicy
from snn_gym.policies.base import SpikingPolicy
from snn_gym.policies.continuous import SpikingSACPolicy, SpikingTD3Policy
from snn_gym.policies.controller import LocalActorCriticPolicy, SpikingControllerPolicy
from snn_gym.policies.frozen import FrozenPolicy, freeze, program_of
from snn_gym.policies.raw_observations import Acting, bare_policy, raw_policy
from snn_gym.policies.shrinking import unrolled
from snn_gym.policies.stateful import StatefulActorCriticPolicy
from snn_gym.policies.stock import StockActorCriticPolicy as StockActorCriticPolicy
from snn_gym.policies.stock import StockDQNPolicy as StockDQNPolicy
from snn_gym.policies.stock import StockSACPolicy as StockSACPolicy
from snn_gym.policies.values import SpikingDQNPolicy

if TYPE_CHECKING:
    from snn_gym.policies.contrib import SpikingQRDQNPolicy as SpikingQRDQNPolicy
    from snn_gym.policies.contrib import SpikingTQCPolicy as SpikingTQCPolicy

# Without the policies for sb3-contrib, so that a star import works where it is not installed, and
# without Stable-Baselines3's own, which the agents sb3-* have.
__all__ = [
    "Acting",
    "FrozenPolicy",
    "LocalActorCriticPolicy",
    "SpikingActorCriticPolicy",
    "SpikingControllerPolicy",
    "SpikingDQNPolicy",
    "SpikingPolicy",
    "SpikingSACPolicy",
    "SpikingTD3Policy",
    "StatefulActorCriticPolicy",
    "bare_policy",
    "freeze",
    "program_of",
    "raw_policy",
    "unrolled",
]


def __getattr__(name: str) -> Any:
    """Import and return a policy for sb3-contrib; ``ImportError`` if that is not installed."""
    if name not in ("SpikingQRDQNPolicy", "SpikingTQCPolicy"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_extra("sb3_contrib", f"{name} needs sb3-contrib", "contrib")
    return getattr(import_module("snn_gym.policies.contrib"), name)
