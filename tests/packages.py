"""Build of the wheel or the source distribution with pip."""

import subprocess
import sys


def build(target, root, folder):
    # hatchling itself, for pip would fetch the build backend from the network
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (file,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return file
