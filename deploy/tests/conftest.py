"""Make numpy's products round as in trainings."""

from hypothesis import settings

import snn_gym  # noqa: F401  # before numpy

# Shared machines stall, so the duration of an example is no sign of an error.
settings.register_profile("snn_gym", deadline=None)
settings.load_profile("snn_gym")
