"""Pseudo-terminals for tests of terminal output."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Terminal:
    """Pseudo-terminal with the text written to it.

    Args:
        reading: File descriptor of the side that shows.
        writing: File descriptor of the side of the program.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self.file: TextIO = os.fdopen(writing, "w")
        self._reading, self._written = reading, b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while part := os.read(self._reading, 4096):
                self._written += part
        except OSError:  # nobody has the other side open any more
            pass

    def close(self) -> str:
        """Close the program's side and return all written text."""
        if not self.file.closed:
            self.file.close()
            self._thread.join()
            os.close(self._reading)
        return self._written.decode()


@contextmanager
def terminal() -> Iterator[Terminal]:
    """Give a pseudo-terminal."""
    made = Terminal(*os.openpty())
    try:
        yield made
    finally:
        made.close()
