"""Export of agents as frozen policies, C, ONNX and NIR graphs, and import of NIR graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym.export.c import CFiles, to_c
    from snn_gym.export.conversion import ResidualPolicy, choose_share, convert, fine_tune
    from snn_gym.export.instructions import Instructions, count_instructions, count_program
    from snn_gym.export.module_import import from_module, network_from_module
    from snn_gym.export.nir_graph import Host, NIRFiles, read_host, to_nir
    from snn_gym.export.nir_import import from_nir, network_from_nir, submit_nir
    from snn_gym.export.onnx import to_onnx
    from snn_gym.export.rl_zoo import to_zip
    from snn_gym.export.verilog import VerilogFiles, seen_and_noisy, to_verilog
    from snn_gym.export.visits import Visits, episode_costs, visit
    from snn_gym.policies.frozen import FrozenPolicy, freeze, portable, program_of, without_silent

__all__ = [
    "CFiles",
    "FrozenPolicy",
    "Host",
    "Instructions",
    "NIRFiles",
    "ResidualPolicy",
    "VerilogFiles",
    "Visits",
    "choose_share",
    "convert",
    "count_instructions",
    "count_program",
    "episode_costs",
    "fine_tune",
    "freeze",
    "from_module",
    "from_nir",
    "network_from_module",
    "network_from_nir",
    "portable",
    "program_of",
    "read_host",
    "seen_and_noisy",
    "submit_nir",
    "to_c",
    "to_nir",
    "to_onnx",
    "to_verilog",
    "to_zip",
    "visit",
    "without_silent",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CFiles": "c",
        "FrozenPolicy": ".policies.frozen",
        "Host": "nir_graph",
        "Instructions": "instructions",
        "NIRFiles": "nir_graph",
        "ResidualPolicy": "conversion",
        "VerilogFiles": "verilog",
        "Visits": "visits",
        "choose_share": "conversion",
        "convert": "conversion",
        "count_instructions": "instructions",
        "count_program": "instructions",
        "episode_costs": "visits",
        "fine_tune": "conversion",
        "freeze": ".policies.frozen",
        "from_module": "module_import",
        "from_nir": "nir_import",
        "network_from_module": "module_import",
        "network_from_nir": "nir_import",
        "portable": ".policies.frozen",
        "program_of": ".policies.frozen",
        "read_host": "nir_graph",
        "seen_and_noisy": "verilog",
        "submit_nir": "nir_import",
        "to_c": "c",
        "to_nir": "nir_graph",
        "to_onnx": "onnx",
        "to_verilog": "verilog",
        "to_zip": "rl_zoo",
        "visit": "visits",
        "without_silent": ".policies.frozen",
    },
    {
        "Portable": "snn_gym.program.Program",
        "PortableANN": "snn_gym.program.Program",
        "PortableAgent": "snn_gym.program.Program",
        "PortableLayer": "snn_gym.program.NeuronLayer",
        "PortableNormaliser": "snn_gym.program.Normaliser",
    },
)
