"""The error that says why a submission is refused."""

from __future__ import annotations


class SubmissionError(ValueError):
    """Refuse a submission and name the check that it failed.

    Attributes:
        code: Stable short name of the check, such as ``weights-shape``.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep the code beside the message.

        Args:
            code: Stable short name of the check.
            message: One line: what came, what was expected, the fix.
        """
        super().__init__(f"{message} [{code}]")
        self.code = code
