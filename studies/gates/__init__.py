"""Agents as gates: sizes, clocks and decisions a second of exported Verilog."""
