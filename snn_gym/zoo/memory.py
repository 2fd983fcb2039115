"""Memory that an algorithm's stored experience will need, compared with what is available."""

from __future__ import annotations

import os
import re
from math import prod
from pathlib import Path
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from snn_gym.zoo.algorithms import Settings
from snn_gym.zoo.settings import OffPolicySettings, OnPolicySettings, StatefulDQNSettings

_FLOATS_BESIDE = 6
"""float32 values stored with a step: reward, flags and, in a rollout, what PPO computes."""
_GIB = 1 << 30
# Folder and files of a control group's limit and usage, versions 2 and 1.
_GROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
_CACHE = re.compile(r"^(?:total_)?(?:in)?active_file (\d+)$", re.MULTILINE)


def check_memory(settings: Settings, env: VecEnv) -> None:
    """Refuse a replay buffer or rollout that is larger than the available memory.

    The estimate counts stored observations, actions and rewards, not networks. A rollout counts
    twice, for algorithms copy it when they draw minibatches.

    Args:
        settings: Hyper-parameters of the algorithm.
        env: The environments that it will learn in.

    Raises:
        ValueError: The memory does not suffice; the message names sizes and what to set.
    """
    available = available_bytes()
    observation = _stored_bytes(env.observation_space)
    beside = _stored_bytes(env.action_space) + 4 * _FLOATS_BESIDE
    if isinstance(settings, OffPolicySettings):
        # Sequences hold each observation once: the next one is the next row.
        copies = 1 if isinstance(settings, StatefulDQNSettings) else 2
        name, steps, lanes = "buffer_size", settings.buffer_size, 1
        stored = f"a replay buffer of {steps:,} transitions"
    elif isinstance(settings, OnPolicySettings):
        copies, name, steps, lanes = 2, "n_steps", settings.n_steps, settings.n_envs
        stored = f"a rollout of {steps:,} steps of {lanes} environments"
    else:
        return
    each = lanes * (copies * observation + beside)
    if steps * each <= available:
        return
    fitting = _one_digit(available // 2 // each)
    fix = f"lower {name} (--set {name}={fitting})" if fitting else "make observations smaller"
    raise ValueError(
        f"{stored} needs {steps * each / _GIB:,.1f} GiB, {observation:,} bytes an observation, and "
        f"{available / _GIB:,.1f} GiB of memory are available; {fix}"
    )


def available_bytes() -> int:
    """Return the memory that this process can still take: the machine's, within its group's limit.

    Memory that the system holds as a cache of files counts as available.
    """
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        (kibibytes,) = re.findall(r"^MemAvailable: +(\d+) kB$", text, re.MULTILINE)
        machine = 1024 * int(kibibytes)
    except (OSError, ValueError):  # another system than Linux, which does not say
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [_group_bytes(*files) for files in _GROUPS]
    return min([machine, *(limit for limit in limits if limit is not None)])


def _group_bytes(folder: Path, limit: str, usage: str) -> int | None:
    """Return what a control group leaves, None where there is none or it has no limit."""
    try:
        most, used = int((folder / limit).read_text()), int((folder / usage).read_text())
        cache = sum(map(int, _CACHE.findall((folder / "memory.stat").read_text())))
    except (OSError, ValueError):  # no such file, or the limit "max"
        return None
    return max(0, most - max(0, used - cache))


def _stored_bytes(space: spaces.Space[Any]) -> int:
    """Return the bytes of an element as Stable-Baselines3's buffers store it.

    Elements of kinds that no policy takes count nothing.
    """
    if isinstance(space, spaces.Dict):
        return sum(map(_stored_bytes, space.spaces.values()))
    if space.shape is None or space.dtype is None:
        return 0
    return prod(space.shape) * space.dtype.itemsize


def _one_digit(number: int) -> int:
    """Round a number down to its first digit: 345 to 300."""
    unit = int(10 ** (len(str(number)) - 1))
    return number // unit * unit
