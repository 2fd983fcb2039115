"""Export of agents of snn_gym as C, Verilog, ONNX and NIR graphs; import of NIR graphs and ANNs.

Names load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snn_gym_deploy.c import CFiles, to_c
    from snn_gym_deploy.chips import CHIPS, Demand, demand_of, describe, misfits
    from snn_gym_deploy.conversion import convert
    from snn_gym_deploy.instructions import Instructions, count_instructions, count_program
    from snn_gym_deploy.integer import IntegerProgram, to_integer
    from snn_gym_deploy.nir_graph import Host, NIRFiles, read_host, to_nir
    from snn_gym_deploy.nir_import import from_nir, network_from_nir, submit_nir
    from snn_gym_deploy.onnx import to_onnx
    from snn_gym_deploy.verilog import VerilogFiles, seen_and_noisy, to_verilog
    from snn_gym_deploy.visits import Visits, visit

__all__ = [
    "CHIPS",
    "CFiles",
    "Demand",
    "Host",
    "Instructions",
    "IntegerProgram",
    "NIRFiles",
    "VerilogFiles",
    "Visits",
    "convert",
    "count_instructions",
    "count_program",
    "demand_of",
    "describe",
    "from_nir",
    "misfits",
    "network_from_nir",
    "read_host",
    "seen_and_noisy",
    "submit_nir",
    "to_c",
    "to_integer",
    "to_nir",
    "to_onnx",
    "to_verilog",
    "visit",
]

_HOMES = {
    "c": ("CFiles", "to_c"),
    "chips": ("CHIPS", "Demand", "demand_of", "describe", "misfits"),
    "conversion": ("convert",),
    "instructions": ("Instructions", "count_instructions", "count_program"),
    "integer": ("IntegerProgram", "to_integer"),
    "nir_graph": ("Host", "NIRFiles", "read_host", "to_nir"),
    "nir_import": ("from_nir", "network_from_nir", "submit_nir"),
    "onnx": ("to_onnx",),
    "verilog": ("VerilogFiles", "seen_and_noisy", "to_verilog"),
    "visits": ("Visits", "visit"),
}
"""Public names by module."""


def __getattr__(name: str) -> Any:
    """Import and return a public name."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"snn_gym_deploy.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
