"""Agents frozen, as C source and as NIR graphs, and what comes in as such a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym.export.c import CFiles, to_c
    from snn_gym.export.conversion import convert
    from snn_gym.export.fine_tuning import fine_tune
    from snn_gym.export.host import Host, read_host
    from snn_gym.export.nir_graph import NIRFiles, to_nir
    from snn_gym.export.nir_import import from_nir, network_from_nir
    from snn_gym.export.nir_submission import submit_nir
    from snn_gym.export.onnx_graph import to_onnx
    from snn_gym.export.residual import ResidualPolicy, choose_share
    from snn_gym.export.visits import Visits, visit
    from snn_gym.policies.frozen import FrozenPolicy, freeze, portable, program_of, without_silent

__all__ = [
    "CFiles",
    "FrozenPolicy",
    "Host",
    "NIRFiles",
    "ResidualPolicy",
    "Visits",
    "choose_share",
    "convert",
    "fine_tune",
    "freeze",
    "from_nir",
    "network_from_nir",
    "portable",
    "program_of",
    "read_host",
    "submit_nir",
    "to_c",
    "to_nir",
    "to_onnx",
    "visit",
    "without_silent",
]

# The process that reads files of others starts from here, and needs none of it.

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CFiles": "c",
        "FrozenPolicy": ".policies.frozen",
        "Host": "host",
        "NIRFiles": "nir_graph",
        "ResidualPolicy": "residual",
        "Visits": "visits",
        "choose_share": "residual",
        "convert": "conversion",
        "fine_tune": "fine_tuning",
        "freeze": ".policies.frozen",
        "from_nir": "nir_import",
        "network_from_nir": "nir_import",
        "portable": ".policies.frozen",
        "program_of": ".policies.frozen",
        "read_host": "host",
        "submit_nir": "nir_submission",
        "to_c": "c",
        "to_nir": "nir_graph",
        "to_onnx": "onnx_graph",
        "visit": "visits",
        "without_silent": ".policies.frozen",
    },
)
