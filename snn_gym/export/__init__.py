"""What leaves the project: agents as C source and as NIR graphs."""

from snn_gym.export.c import CFiles, to_c
from snn_gym.export.nir_graph import NIRFiles, to_nir
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
    "NIRFiles",
    "Portable",
    "PortableANN",
    "PortableAgent",
    "PortableLayer",
    "PortableNormaliser",
    "Visits",
    "portable",
    "to_c",
    "to_nir",
    "visit",
    "without_silent",
]
