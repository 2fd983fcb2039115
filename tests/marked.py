"""Cases of a test that not every run has."""

import pytest


def slow(*case):
    """Return a case for `make check-all` only."""
    return pytest.param(*case, marks=pytest.mark.slow)


def checked(*case):
    """Return a case for `make check` and CI, not for `make test`."""
    return pytest.param(*case, marks=pytest.mark.check)
