import pytest
import torch

from galaxyvotes.errors import ConfigError
from galaxyvotes.runtime import devices
from galaxyvotes.runtime.devices import choose_device, low_precision

CPU = torch.device("cpu")


def test_a_device_is_chosen_by_itself():
    assert choose_device().type in ("cuda", "mps", "cpu")
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize(("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps")])
def test_an_accelerator_is_chosen_where_there_is_one(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device().type == expected


def test_a_device_that_does_not_exist_is_an_error_that_lists_those_that_do():
    with pytest.raises(ConfigError, match=r"device 'toaster': this machine has .*cpu"):
        choose_device("toaster")


def test_a_recipe_can_set_the_precision():
    assert low_precision("bfloat16", CPU)
    assert not low_precision("float32", CPU)


@pytest.mark.parametrize(
    ("can", "amd", "expected"),
    [
        ({"amx_bf16"}, False, True),
        ({"amx_bf16", "avx512_bf16"}, False, True),
        ({"avx512_bf16"}, False, False),
        ({"avx512_bf16"}, True, True),
        ({"avx512"}, True, False),
        (set(), False, False),
    ],
)
def test_a_cpu_computes_in_bfloat16_where_that_is_quicker(monkeypatch, can, amd, expected):
    names = ("avx512", "avx512_bf16", "amx_bf16")
    capabilities = {name: name in can for name in names}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(devices, "_is_amd", lambda: amd)
    assert low_precision("auto", CPU) == expected


def test_before_torch_lists_what_a_cpu_can_it_computes_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)  # as before torch 2.12
    assert not low_precision("auto", CPU)


@pytest.mark.parametrize(
    ("name", "cuda", "mps", "expected"),
    [
        ("gpu", True, True, "cuda"),
        ("GPU", True, False, "cuda"),
        ("gpu", False, True, "mps"),
        ("CUDA", True, False, "cuda"),
        ("CPU", False, False, "cpu"),
        ("gpu:0", True, False, "cuda:0"),
        ("metal", False, True, "mps"),
    ],
)
def test_a_device_may_be_named_as_people_do(monkeypatch, name, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert str(choose_device(name)) == expected


@pytest.mark.parametrize("name", ["gpu", "cuda", "cuda:0", "cuda:x", "mps", "cpu:3", ""])
def test_a_device_that_is_not_here_is_refused_as_it_was_named(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"device '{name}': this machine has cpu"):
        choose_device(name)


def test_a_gpu_of_a_number_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(choose_device("cuda:1")) == "cuda:1"
    with pytest.raises(ConfigError, match="device 'cuda:2'"):
        choose_device("cuda:2")
