"""Counts, flags, seeds and constants that a module keeps beside its weights.

``state_dict`` holds what shapes the module's function and nothing else, so that a client may
replace its tensors by others of the same shape. Bookkeeping travels in the metadata that PyTorch
keeps beside a state_dict: ``torch.save``, ``load_state_dict`` and ``copy.deepcopy`` carry it on,
and with them Stable-Baselines3's zip files. Files that hold tensors alone get all of it by name
from ``full_state``, and ``load_state_dict`` takes it back.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

_KEY = "bookkeeping"


class BookkeepingModule(nn.Module):
    """A module with tensors that are no weights."""

    _bookkeeping: tuple[str, ...] = ()

    def register_bookkeeping(self, name: str, tensor: Tensor) -> None:
        """Keep a tensor beside the weights; it moves and is copied with the module.

        Args:
            name: Attribute under which it is found.
            tensor: Its first value.
        """
        self.register_buffer(name, tensor, persistent=False)
        self._bookkeeping = (*self._bookkeeping, name)

    def bookkeeping(self) -> dict[str, Tensor]:
        """Return the module's own bookkeeping by name."""
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
            # As in a file of tensors alone.
            if prefix + name in state_dict:
                saved[name] = state_dict.pop(prefix + name)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
        self.load_bookkeeping(saved, prefix, args[-1])

    def load_bookkeeping(self, saved: dict[str, Tensor], prefix: str, errors: list[str]) -> None:
        """Take over what was saved.

        Args:
            saved: Tensors by name.
            prefix: The module's place in names.
            errors: What does not fit is told to it.
        """
        own = self.bookkeeping()
        for name, tensor in saved.items():
            if name in own and tensor.shape == own[name].shape:
                own[name].copy_(tensor)
                continue
            expected = f"of shape {tuple(own[name].shape)}" if name in own else "no such tensor"
            errors.append(f"{prefix}{name}: expected {expected}, got shape {tuple(tensor.shape)}")


def full_state(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's weights and bookkeeping, of all its parts, by name.

    Args:
        module: Any module.
    """
    tensors: dict[str, Tensor] = dict(module.state_dict())
    for place, part in module.named_modules(remove_duplicate=False):
        if isinstance(part, BookkeepingModule):
            prefix = f"{place}." if place else ""
            tensors |= {f"{prefix}{name}": value for name, value in part.bookkeeping().items()}
    return tensors
