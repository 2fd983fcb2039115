"""The check that operations are being traced or exported."""

from __future__ import annotations

import torch


def is_traced() -> bool:
    """Tell whether PyTorch records what is computed, so that all of it must be PyTorch's own.

    So under ``torch.jit.trace``, ``torch.export``, ``torch.compile``, ``make_fx`` and both exports
    to ONNX. What numpy or a compiled kernel computes there is lost to the record, which would give
    the same result for every input.
    """
    # A dispatch mode is how PyTorch records, and runs without numbers (fake tensors).
    traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return traced or torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0
