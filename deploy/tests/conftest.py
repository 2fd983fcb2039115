"""Make numpy's products round as in trainings; share fixtures of the core's leaderboard."""

from hypothesis import settings

import snn_gym  # noqa: F401  # before numpy
from tests.leaderboard import conftest

run_folder, template, in_process = conftest.run_folder, conftest.template, conftest.in_process
verified_board, board = conftest.verified_board, conftest.board

# Shared machines stall, so the duration of an example is no sign of an error.
settings.register_profile("snn_gym", deadline=None)
settings.load_profile("snn_gym")
