"""Spiking neural networks in reinforcement learning.

Importing the package registers its environments with gymnasium. It loads neither torch nor norse:
the names that need them load on first use. Imported before numpy, it makes numpy's matrix products
round alike on all processors (`snn_gym._base.numerics`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names
from snn_gym._base.numerics import choose_kernels, portable
from snn_gym._version import __version__

choose_kernels()  # before anything below loads numpy

from snn_gym.envs.registry import env_ids, register_environments  # noqa: E402

if TYPE_CHECKING:
    from snn_gym.envs import estimate_limits
    from snn_gym.envs.stable_baselines import make_vec_env
    from snn_gym.leaderboard import evaluate, load_pretrained, smallest
    from snn_gym.plots.sharing import push
    from snn_gym.policies.observations import register_extractor
    from snn_gym.zoo import (
        agent_ids,
        distil,
        load_agent,
        make_agent,
        make_lean,
        register_agent,
        register_learner,
        save_agent,
    )

__all__ = [
    "__version__",
    "agent_ids",
    "distil",
    "env_ids",
    "estimate_limits",
    "evaluate",
    "load_agent",
    "load_pretrained",
    "make_agent",
    "make_lean",
    "make_vec_env",
    "portable",
    "push",
    "register_agent",
    "register_extractor",
    "register_learner",
    "save_agent",
    "smallest",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "agent_ids": "zoo",
        "distil": "zoo",
        "estimate_limits": "envs",
        "evaluate": "leaderboard",
        "load_agent": "zoo",
        "load_pretrained": "leaderboard",
        "make_agent": "zoo",
        "make_lean": "zoo",
        "make_vec_env": "envs.stable_baselines",
        "push": "plots.sharing",
        "register_agent": "zoo",
        "register_extractor": "policies.observations",
        "register_learner": "zoo",
        "save_agent": "zoo",
        "smallest": "leaderboard",
    },
)

register_environments()
