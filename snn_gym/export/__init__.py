"""What leaves the project: agents as C source."""

from snn_gym.export.c import CFiles, to_c
from snn_gym.export.portable import PortableAgent, PortableLayer, PortableNormaliser, portable

__all__ = ["CFiles", "PortableAgent", "PortableLayer", "PortableNormaliser", "portable", "to_c"]
