"""Arguments of environments, and what to say of those that an environment does not take."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from snn_gym.names import did_you_mean

_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'(?:; allowed: ([\w, ]+))?")


@contextmanager
def naming_the_argument(env_id: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Say in one line which argument an environment does not take, and which it takes.

    Args:
        env_id: Gymnasium id.
        arguments: Arguments that it is made with.

    Raises:
        ValueError: It can't be made with them.
    """
    try:
        yield
    # What an environment does with an argument that it has no use for is its own affair.
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError) as error:
        found = _UNEXPECTED.search(str(error)) if isinstance(error, TypeError) else None
        if found is None:
            raise ValueError(f"{env_id} can't be made with {dict(arguments)}: {error}") from error
        known = found[2].split(", ") if found[2] else argument_names(env_id)
        raise ValueError(
            f"{env_id} takes no argument {found[1]!r}{did_you_mean(found[1], known)} it takes "
            f"{', '.join(known) or 'none'}"
        ) from error


def argument_names(env_id: str) -> tuple[str, ...]:
    """Return the arguments that an environment takes by name, as far as its code says.

    Args:
        env_id: Id that gymnasium knows.
    """
    spec = gym.spec(env_id)
    made_by = spec.entry_point
    if made_by is None:
        return ()
    made = load_env_creator(made_by) if isinstance(made_by, str) else made_by
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(made).parameters
    names = [name for name, x in parameters.items() if x.kind in named]
    base = spec.kwargs.get("base_id")
    inner = argument_names(base) if isinstance(base, str) and base != env_id else ()
    return tuple(
        name for name in dict.fromkeys((*names, *inner)) if name not in ("base_id", "render_mode")
    )
