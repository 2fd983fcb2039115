"""What leaves the project: agents as C source."""

from snn_gym.export.c import CFiles, to_c
from snn_gym.export.portable import (
    Portable,
    PortableAgent,
    PortableANN,
    PortableLayer,
    PortableNormaliser,
    portable,
    without_silent,
)
from snn_gym.export.visits import Visits, visit

__all__ = [
    "CFiles",
    "Portable",
    "PortableANN",
    "PortableAgent",
    "PortableLayer",
    "PortableNormaliser",
    "Visits",
    "portable",
    "to_c",
    "visit",
    "without_silent",
]
