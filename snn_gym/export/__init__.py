"""What leaves the project: agents as C source."""

from snn_gym.export.c import CFiles, to_c
from snn_gym.export.portable import (
    PortableAgent,
    PortableLayer,
    PortableNormaliser,
    portable,
    without_silent,
)
from snn_gym.export.visits import Visits, visit

__all__ = [
    "CFiles",
    "PortableAgent",
    "PortableLayer",
    "PortableNormaliser",
    "Visits",
    "portable",
    "to_c",
    "visit",
    "without_silent",
]
