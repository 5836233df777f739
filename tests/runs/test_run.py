import json
import shutil

import pytest
import torch

from galaxyvotes import CheckpointError, Run
from galaxyvotes.runs.run import bundled_run, open_run
from galaxyvotes.runs.tensors import write_tensors


@pytest.fixture
def copy(blob_run, tmp_path) -> Run:
    """A run that a test may damage."""
    shutil.copytree(blob_run.path, tmp_path / "run")
    return Run(tmp_path / "run")


def flip(path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_the_folder_alone_rebuilds_the_network(blob_run, copy):
    one, other = blob_run.network(), Run.open(copy.path).network()
    for name, tensor in one.module.state_dict().items():
        assert torch.equal(tensor, other.module.state_dict()[name])
    assert one.columns == other.columns == ("long", "round")


@pytest.mark.parametrize("place", [0, 30, 200, 2000, -1])
def test_a_flipped_byte_in_the_weights_is_found(copy, place):
    flip(copy.path / "weights.safetensors", place)
    with pytest.raises(
        CheckpointError, match=r"weights\.safetensors (is damaged|cannot be read).*train again"
    ):
        copy.network()


@pytest.mark.parametrize("name", ["config.toml", "tree.toml", "seen.parquet"])
def test_a_flipped_byte_in_the_small_files_is_found(copy, name):
    flip(copy.path / name, 20)
    with pytest.raises(CheckpointError, match=rf"{name} is missing or has changed"):
        Run.open(copy.path)


@pytest.mark.parametrize("line", [b"\xff", b"{", b"[]", b"1", b'{"epoch": 1}'])
def test_a_damaged_line_of_the_history_is_found(copy, line):
    path = copy.path / "metrics.jsonl"
    rows = path.read_bytes().splitlines()
    assert len(copy.history) == len(rows)
    path.write_bytes(b"\n".join([*rows[:-1], line]) + b"\n")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl is damaged: .*; restore it"):
        copy.history  # noqa: B018
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl is damaged: it is empty"):
        copy.kept  # noqa: B018


def test_a_truncated_file_of_weights_is_refused(copy):
    path = copy.path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        copy.network()


def test_a_run_of_a_newer_version_says_to_upgrade(copy):
    facts = json.loads((copy.path / "run.json").read_text())
    (copy.path / "run.json").write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(
        CheckpointError, match=r"newer galaxyvotes \(format 99; this one reads 1\): upgrade"
    ):
        Run.open(copy.path)


def test_weights_of_another_network_are_refused(copy):
    write_tensors(copy.path / "weights.safetensors", {"strange": torch.zeros(3)}, {})
    with pytest.raises(CheckpointError, match="does not fit the network"):
        copy.network()


def test_a_pickle_is_never_read(copy):
    torch.save({"weights": torch.zeros(3)}, copy.path / "weights.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        copy.network()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"it has no run\.json"):
        Run.open(tmp_path)


@pytest.mark.parametrize(
    "change", [{"pack": {"crop_px": 16, "size_px": 32}}, {"columns": [["long"]]}, {"pack": None}]
)
def test_changed_facts_are_refused(copy, change):
    facts = json.loads((copy.path / "run.json").read_text()) | change
    facts = {name: value for name, value in facts.items() if value is not None}
    (copy.path / "run.json").write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match=r"run\.json is damaged or has changed .*restore it"):
        Run.open(copy.path)


def test_damaged_facts_are_refused(copy):
    (copy.path / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"run\.json is damaged"):
        Run.open(copy.path)


def test_the_bundled_run_of_format_1_is_read_with_its_calibrations():
    """It was written before the package had rooms: what was written once can be read."""
    run = bundled_run()
    assert run.facts["format"] == 1
    assert [head.tree.name for head in run.heads] == ["kaggle", "classes5", "gz2"]
    network = run.network()
    for head in network.all_heads:
        assert (head.intervals is not None) == (head.tree.name != "classes5")
        assert head.familiarity is not None
    assert network.for_tree("classes5").calibration.temperature
    assert open_run(None).path == run.path


def test_a_run_is_opened_by_its_folder_or_is_open_already(blob_run):
    assert open_run(str(blob_run.path)) == blob_run
    assert open_run(blob_run) is blob_run


def test_a_run_whose_weights_are_damaged_does_not_pass_its_check(copy):
    copy.check()
    flip(copy.path / "weights.safetensors", -1)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is damaged"):
        copy.check()


@pytest.mark.parametrize("pack", [{"croH_px": 208, "size_px": 96}, 3, {"crop_px": -1}])
def test_damaged_sizes_of_a_run_without_digest_are_refused(copy, pack):
    facts = json.loads((copy.path / "run.json").read_text()) | {"pack": pack}
    facts.pop("digest", None)
    (copy.path / "run.json").write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match=r"run\.json is damaged: pack: .*; restore it"):
        _ = open_run(copy.path).pack
