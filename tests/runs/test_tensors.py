import pytest
import torch
from torch import nn

from galaxyvotes import CheckpointError
from galaxyvotes.runs.tensors import load_state, read_tensors, tensor_digest, write_tensors


def test_tensors_and_their_note_come_back_as_they_were(tmp_path):
    tensors = {
        "a": torch.randn(3, 4).to(memory_format=torch.contiguous_format),
        "b": torch.tensor(7),
        "c": torch.zeros(0),
    }
    write_tensors(tmp_path / "x.safetensors", tensors, {"epoch": 3, "loss": 0.1})
    found, note = read_tensors(tmp_path / "x.safetensors")
    assert note == {"epoch": 3, "loss": 0.1}
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("place", [0, 30, 200, -1])
def test_a_flipped_byte_is_found_and_the_remedy_named(tmp_path, place):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"a": torch.arange(50.0)}, {})
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        CheckpointError, match=r"x\.safetensors (is damaged|cannot be read).*do this"
    ):
        read_tensors(path, mend="do this")


def test_the_digest_is_of_names_types_shapes_values_and_note_in_any_order():
    one, other = torch.arange(4.0), torch.zeros(2)
    digest = tensor_digest({"a": one, "b": other}, "note")
    assert tensor_digest({"b": other, "a": one}, "note") == digest
    for tensors, note in (
        ({"a": one, "c": other}, "note"),
        ({"a": one.double(), "b": other}, "note"),
        ({"a": one.reshape(2, 2), "b": other}, "note"),
        ({"a": one + 1, "b": other}, "note"),
        ({"a": one, "b": other}, "another"),
    ):
        assert tensor_digest(tensors, note) != digest


def test_tensors_that_do_not_fit_a_module_are_refused_with_their_origin(tmp_path):
    with pytest.raises(CheckpointError, match=r"x\.safetensors does not fit the network"):
        load_state(nn.Linear(2, 3), {"weight": torch.zeros(3, 4)}, tmp_path / "x.safetensors")
