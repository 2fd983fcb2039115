"""What keeps a re-run from the network and the disk, as far as the system allows it.

A sandbox is a program that starts the re-run in namespaces of its own
(https://man7.org/linux/man-pages/man7/namespaces.7.html). Whether one may be made depends on
kernel, container and distribution, so each is tried before it is used.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from dataclasses import dataclass

_TRIAL_SECONDS = 10.0
_PRIVATE_FOLDER = "/dev/shm"


@dataclass(frozen=True)
class Sandbox:
    """A way to start a program apart from the rest of the system."""

    description: str
    """What is active, in words."""
    command: tuple[str, ...] = ()
    """Words before those of the program."""
    waits: bool = False
    """Whether it stays the program's parent, ends it when its own parent ends, and answers a signal
    that killed it with 128 and more."""


NONE = Sandbox("with network, as no namespace can be made here")
SANDBOXES = (
    Sandbox(
        "without network, with a read-only disk and processes of its own (bubblewrap)",
        (
            *("bwrap", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent"),
            *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
            # The one place to write, which ends with it; Numba compiles afresh there (30 s).
            *("--setenv", "TMPDIR", _PRIVATE_FOLDER, "--setenv", "NUMBA_CACHE_DIR"),
            *(_PRIVATE_FOLDER, "--"),
        ),
        waits=True,
    ),
    Sandbox(
        "without network (namespace)",
        ("unshare", "--user", "--map-current-user", "--net", "--"),
    ),
)
"""Sandboxes, from the one that takes most away: https://github.com/containers/bubblewrap, and
unshare(1) of util-linux."""


@functools.cache
def find_sandbox() -> Sandbox:
    """Return the first sandbox that can be made here; `NONE` if none can."""
    return next(filter(is_allowed, SANDBOXES), NONE)


def is_allowed(sandbox: Sandbox) -> bool:
    """Try whether a sandbox can be made here.

    Args:
        sandbox: The sandbox.
    """
    if not sandbox.command or shutil.which(sandbox.command[0]) is None:
        return False
    try:
        trial = subprocess.run(
            [*sandbox.command, sys.executable, "-I", "-S", "-c", ""],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return trial.returncode == 0
