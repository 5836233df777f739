import subprocess
import sys

import pytest

CODE = """
import os, sys
if sys.argv[1] == "keep":
    os.environ["THP_MEM_ALLOC_ENABLE"] = "1"  # as the command line does
    from galaxyvotes.runtime.memory import keep_freed_memory
    assert keep_freed_memory()
import torch
import resource
torch.set_num_threads(1)
for _ in range(3):
    torch.zeros(20_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.zeros(20_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's C library")
def test_large_blocks_are_reused_and_not_given_back_to_the_kernel():
    faults = {
        kind: int(
            subprocess.run(
                [sys.executable, "-c", CODE, kind], capture_output=True, text=True, check=True
            ).stdout
        )
        for kind in ("keep", "plain")
    }
    assert faults["keep"] < faults["plain"] / 10
