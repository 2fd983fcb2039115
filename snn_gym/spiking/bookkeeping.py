"""Module state that is saved with the weights without being a weight: counts, flags, seeds.

``state_dict`` holds weights alone, so that a caller may replace its tensors by others of the same
shape. Bookkeeping travels in the metadata that PyTorch keeps beside a ``state_dict``, which
``torch.save``, ``load_state_dict``, ``copy.deepcopy`` and Stable-Baselines3's zip files carry.
Formats that store tensors alone save ``full_state``, which ``load_state_dict`` also accepts.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

_KEY = "bookkeeping"


class BookkeepingModule(nn.Module):
    """A module with tensors that are saved but are no weights."""

    _bookkeeping: tuple[str, ...] = ()

    def register_bookkeeping(self, name: str, tensor: Tensor) -> None:
        """Add a tensor as attribute ``name`` that is moved, copied and saved with the module."""
        self.register_buffer(name, tensor, persistent=False)
        self._bookkeeping = (*self._bookkeeping, name)

    def bookkeeping(self) -> dict[str, Tensor]:
        """Return the bookkeeping tensors of this module, without those of its children, by name."""
        return {name: getattr(self, name) for name in self._bookkeeping}

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]][_KEY] = self.bookkeeping()

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        saved: dict[str, Tensor] = dict(local_metadata.get(_KEY, {}))
        for name in self._bookkeeping:
            # ``full_state`` stores bookkeeping beside the weights.
            if prefix + name in state_dict:
                saved[name] = state_dict.pop(prefix + name)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
        self.load_bookkeeping(saved, prefix, args[-1])

    def load_bookkeeping(self, saved: dict[str, Tensor], prefix: str, errors: list[str]) -> None:
        """Load saved tensors by name; append a message to ``errors`` for each that does not fit."""
        own = self.bookkeeping()
        for name, tensor in saved.items():
            if name in own and tensor.shape == own[name].shape:
                own[name].copy_(tensor)
                continue
            expected = f"of shape {tuple(own[name].shape)}" if name in own else "no such tensor"
            errors.append(f"{prefix}{name}: expected {expected}, got shape {tuple(tensor.shape)}")


def full_state(module: nn.Module) -> dict[str, Tensor]:
    """Return weights and bookkeeping of a module and its children, for ``load_state_dict``."""
    tensors: dict[str, Tensor] = dict(module.state_dict())
    for place, part in module.named_modules(remove_duplicate=False):
        if isinstance(part, BookkeepingModule):
            prefix = f"{place}." if place else ""
            tensors |= {f"{prefix}{name}": value for name, value in part.bookkeeping().items()}
    return tensors
