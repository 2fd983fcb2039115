import os

from hypothesis import settings

# pygame opens its windows nowhere, and keeps silent, on machines without screen and sound.
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")

# Shared machines stall; how long an example takes says nothing about its correctness.
settings.register_profile("snn_gym", deadline=None)
settings.load_profile("snn_gym")
