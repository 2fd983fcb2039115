"""Names of agents and environments as files have them, which never name code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from snn_gym.config import Length, Matching
from snn_gym.names import AGENT_NAME, MAX_AGENT_NAME


def check_names_no_module(value: Any, where: str) -> None:
    """Refuse an id or arguments of an environment that name a module.

    ``gym.make`` imports the module before a colon. A caller may want that; a file that did it would
    run a stranger's code.

    Args:
        value: Id or arguments from a file.
        where: Place to name in the error.

    Raises:
        ValueError: A module is named.
    """
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            check_names_no_module(item, where)
    elif isinstance(value, str) and ":" in value:
        raise ValueError(
            f"{where} is {value!r}, which names a module, and a file can't have code run; import "
            "the module yourself, and record what comes after the colon"
        )


RecordedAgent = Annotated[str, Length(1, MAX_AGENT_NAME), Matching(AGENT_NAME)]
"""Name of an agent that a file gives."""
RecordedId = Annotated[str, check_names_no_module, Matching(r"[\w./-]*")]
"""Id of an environment that a file names."""
RecordedArguments = Annotated[dict[str, Any], check_names_no_module]
"""Arguments of ``gym.make`` that a file names."""
