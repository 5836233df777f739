import pytest
import torch

from galaxyvotes.errors import ConfigError
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
    with pytest.raises(ConfigError, match=r"--device 'toaster': this machine has .*cpu"):
        choose_device("toaster")


def test_a_recipe_can_set_the_precision():
    assert low_precision("bfloat16", CPU)
    assert not low_precision("float32", CPU)


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16"])
def test_a_cpu_computes_in_bfloat16_where_it_has_instructions_for_it(monkeypatch, name):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {name: True}, raising=False)
    assert low_precision("auto", CPU)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {name: False}, raising=False)
    assert not low_precision("auto", CPU)
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # as before torch 2.12
    assert not low_precision("auto", CPU)
