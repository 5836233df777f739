import errno
from pathlib import Path

import pytest
import torch

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.memory_limits import Memory, available_memory, enough_memory


@pytest.fixture
def root(tmp_path: Path):
    """`root(files)`: a folder with these files of the kernel's; 8 MB are available."""

    def write(files: dict[str, str]) -> Path:
        for name, text in {"proc/meminfo": "MemAvailable:    8000 kB\n", **files}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, "utf-8")
        return tmp_path

    return write


V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"
OF_V2 = {"proc/self/cgroup": "0::/batch/job\n"}
OF_V1 = {"proc/self/cgroup": "9:cpu,cpuacct:/\n4:memory:/docker/1f\n0::/\n"}


def test_without_a_limit_it_is_what_the_computer_has(root):
    files = OF_V2 | {f"{V2}/batch/job/memory.max": "max\n"}
    assert available_memory(root(files)) == Memory(8_192_000, "this computer")


def test_a_limit_of_version_2_leaves_what_is_not_used_and_what_can_be_dropped(root):
    job = f"{V2}/batch/job/memory"
    files = OF_V2 | {f"{job}.max": "5000000\n", f"{job}.current": "3000000\n"}
    files[f"{job}.stat"] = "anon 1000000\ninactive_file 500000\n"
    assert available_memory(root(files)) == Memory(2_500_000, "the cgroup of this process")


def test_the_limit_of_a_group_around_it_counts_too(root):
    files = OF_V2 | {
        f"{V2}/batch/job/memory.max": "5000000\n",
        f"{V2}/batch/job/memory.current": "1000000\n",
        f"{V2}/batch/memory.max": "3000000\n",
        f"{V2}/batch/memory.current": "2900000\n",
    }
    left = available_memory(root(files))
    assert left is not None
    assert left.bytes == 100_000


@pytest.mark.parametrize("inside", ["", "/docker/1f"])
def test_a_limit_of_version_1_is_found_in_a_container_and_outside(root, inside):
    group = f"{V1}{inside}/memory"
    files = OF_V1 | {f"{group}.limit_in_bytes": "4000000", f"{group}.usage_in_bytes": "1000000"}
    files[f"{group}.stat"] = "inactive_file 7\ntotal_inactive_file 200000\n"
    left = available_memory(root(files))
    assert left is not None
    assert left.bytes == 3_200_000


def test_a_group_that_is_over_its_limit_has_nothing_left(root):
    files = OF_V2 | {f"{V2}/memory.max": "10", f"{V2}/memory.current": "20"}
    left = available_memory(root(files))
    assert left is not None
    assert left.bytes == 0


def test_where_nothing_says_so_nothing_is_known(tmp_path):
    assert available_memory(tmp_path) is None


def test_files_that_say_something_else_are_passed_over(root):
    files = {"proc/self/cgroup": "odd\n::\n", "proc/meminfo": "MemAvailable: lots\n"}
    assert available_memory(root(files)) is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "the GPU has"),
        (RuntimeError("MPS backend out of memory"), "the GPU has"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"), "there is"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "there is"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "the GPU has"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "there is"),
        (MemoryError("Unable to allocate 9 GiB"), "there is"),
    ],
)
def test_too_little_memory_is_an_error_that_says_what_to_change(error, expected):
    with (
        pytest.raises(DataError, match=f"^{expected} too little memory: lower it$"),
        enough_memory("lower it"),
    ):
        raise error


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes differ"), enough_memory("lower it"):
        raise RuntimeError("shapes differ")
    with pytest.raises(FileNotFoundError), enough_memory("lower it"):
        raise FileNotFoundError
