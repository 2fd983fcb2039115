"""Norse is imported without what PyTorch says of its code."""

import subprocess
import sys

CODE = """
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    {imported}
print(sum("torch.jit" in str(one.message) for one in said))
"""


def warned(imported):
    """Return how often an import, the first in its process, says something of torch.jit."""
    command = [sys.executable, "-c", CODE.format(imported=imported)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_what_pytorch_says_of_norse_is_not_said():
    assert warned("import norse.torch.functional.lif") > 0
    ours = "from snn_gym.spiking.neurons.norse_modules import norse_functional as norse"
    assert warned(f"{ours}; norse('lif').LIFParameters") == 0
