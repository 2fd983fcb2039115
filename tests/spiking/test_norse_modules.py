"""Test of the import of Norse without PyTorch's warnings."""

import subprocess
import sys

CODE = """
import sys, warnings

def said(imported):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(imported)
    return sum("torch.jit" in str(one.message) for one in caught)

ours = said("from snn_gym.spiking.layer_neurons import norse_functional as norse;"
            "norse('lif').LIFParameters")
for name in [name for name in sys.modules if name.partition(".")[0] == "norse"]:
    del sys.modules[name]
print(ours, said("import norse.torch.functional.lif"))
"""


def test_warnings_of_pytorch_about_norse_are_silenced():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    ours, alone = map(int, done.stdout.split())
    assert ours == 0
    assert alone > 0
