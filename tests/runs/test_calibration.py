"""A calibration comes back from the files of a run folder, those of older versions, too, and one
that is damaged or of other weights is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tomlkit

from galaxyvotes.confidence.conformal import fit_intervals
from galaxyvotes.confidence.familiarity import Familiarity
from galaxyvotes.confidence.temperature import TemperatureScaling
from galaxyvotes.errors import CheckpointError
from galaxyvotes.runs.calibration import Calibration, read_calibration, write_calibration
from galaxyvotes.runtime.digests import digest_of
from galaxyvotes.tree import DecisionTree

TREE = DecisionTree.of_classes(["disc", "ball"], "shape")


def measured(seed: int = 0) -> Calibration:
    """A calibration on forty drawn galaxies."""
    random = np.random.default_rng(seed)
    labels, predicted = (random.dirichlet([1.0, 1.0], 40) for _ in range(2))
    features = random.normal(size=(60, 5)).astype(np.float32)
    return Calibration(
        fit_intervals(labels, predicted, TREE),
        fit_intervals(labels, predicted, TREE, kind="conditional"),
        Familiarity.fit(features[:40], features[40:]),
        (TemperatureScaling(1.5, (0.25, -0.5)),),
        frozenset(bytes(16) if n == 0 else random.bytes(16) for n in range(40)),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two heads' calibrations and something like weights."""
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    for number in (1, 2):
        write_calibration(measured(number), tmp_path, [tmp_path / "weights.safetensors"], number)
    return tmp_path


def read(folder: Path, number: int = 1) -> Calibration:
    weights = [folder / "weights.safetensors"]
    return read_calibration(folder, weights, number, TREE)


def rewrite(folder: Path, text: str) -> None:
    """Put a text with its digest in the place of the first head's calibration."""
    digest = digest_of([text.encode()])
    (folder / "calibration.toml").write_text(f"# {digest}\n{text}", "utf-8")


def text_of(folder: Path) -> str:
    return (folder / "calibration.toml").read_text("utf-8").partition("\n")[2]


def same(one: Familiarity | None, other: Familiarity | None) -> bool:
    assert one is not None
    assert other is not None
    tensors = other.to_tensors()
    return all(tensor.equal(tensors[name]) for name, tensor in one.to_tensors().items())


@pytest.mark.parametrize("number", [1, 2])
def test_what_is_written_is_read_back(folder, number):
    expected, found = measured(number), read(folder, number)
    assert replace(found, familiarity=None) == replace(expected, familiarity=None)
    assert same(found.familiarity, expected.familiarity)


def test_a_run_that_was_never_calibrated_has_an_empty_calibration(tmp_path):
    assert read(tmp_path) == Calibration()
    assert Calibration().without_intervals == Calibration()


def test_without_intervals_the_rest_of_a_calibration_stays(folder):
    found = read(folder)
    rest = found.without_intervals
    assert (rest.joint, rest.conditional) == (None, None)
    assert (rest.familiarity, rest.temperature, rest.pixels) == (
        found.familiarity,
        found.temperature,
        found.pixels,
    )


def test_a_new_calibration_takes_the_place_of_the_old_one_and_of_no_other_head(folder):
    before = {path.name for path in folder.glob("familiar-*")}
    write_calibration(measured(5), folder, [folder / "weights.safetensors"], 1)
    after = {path.name for path in folder.glob("familiar-*")}
    assert len(after) == len(before) == 2
    assert {name for name in before & after if name.startswith("familiar-2")}
    assert read(folder).pixels == measured(5).pixels
    assert read(folder, 2).pixels == measured(2).pixels


def test_a_file_of_the_first_version_has_joint_intervals_only(folder):
    joint = read(folder).joint
    rewrite(folder, tomlkit.dumps(joint.to_table()))
    assert read(folder) == Calibration(joint)
    next(folder.glob("familiar-1-*")).rename(folder / "familiar.safetensors")
    assert same(read(folder).familiarity, measured(1).familiarity)


def test_a_calibration_of_other_weights_is_refused(folder):
    (folder / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(
        CheckpointError,
        match=r"measured with other weights .*calibrate\(…, overwrite=True\)` again",
    ):
        read(folder)


def test_a_changed_character_is_found(folder):
    path = folder / "calibration.toml"
    path.write_text(path.read_text("utf-8").replace("coverage = 0.9", "coverage = 0.8"), "utf-8")
    with pytest.raises(
        CheckpointError,
        match=r"calibration\.toml is damaged.*calibrate\(…, overwrite=True\)` again",
    ):
        read(folder)


def test_bytes_that_are_not_text_are_found(folder):
    path = folder / "calibration.toml"
    path.write_bytes(path.read_bytes().replace(b"coverage", b"cov\xffrage"))
    with pytest.raises(
        CheckpointError,
        match=r"calibration\.toml is damaged.*calibrate\(…, overwrite=True\)` again",
    ):
        read(folder)


def test_a_missing_file_of_familiarity_is_found(folder):
    next(folder.glob("familiar-1-*")).unlink()
    with pytest.raises(
        CheckpointError,
        match=r"familiar-1-.* cannot be read.*calibrate\(…, overwrite=True\)` again",
    ):
        read(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("factor = 1.5", "", "certainty 1: it has no factor"),
        ("factor = 1.5", "factor = 0.0", "factor is 0.0 and shifts are [0.25, -0.5]; expected a"),
        ("factor = 1.5", "factor = nan", "factor is nan and shifts are [0.25, -0.5]; expected a"),
        ("factor = 1.5", 'factor = "much"', "certainty 1: factor is 'much'; expected a number"),
        ("shifts = [0.25, ", "shifts = [inf, ", "factor is 1.5 and shifts are [inf, -0.5]; exp"),
        ("shifts = [0.25, ", "shifts = [", "[certainty] has 1 shift for 2 answers"),
        (
            "[[certainty]]",
            "[[certainty]]\nfactor = 1.0\nshifts = []\n[[certainty]]",
            "scales 2 que",
        ),
        ("[[certainty]]", "[[certainly]]", "unknown key certainly; known are of, coverage, "),
        ("[conditional]", "[conditional]\ncolour = 1", "unknown key conditional.colour; did you"),
        ("coverage = 0.9", "coverage = 1.5", "coverage is 1.5; expected it between 0 and 1"),
    ],
)
def test_what_is_no_calibration_is_refused_with_the_file_the_key_and_the_mend(
    folder, old, new, message
):
    text = text_of(folder)
    assert old in text
    rewrite(folder, text.replace(old, new, 1))
    with pytest.raises(CheckpointError) as error:
        read(folder)
    assert str(error.value).startswith(str(folder / "calibration.toml"))
    assert message in str(error.value)
    assert str(error.value).endswith("run `galaxyvotes.calibrate(…, overwrite=True)` again")


def test_a_scaling_of_one_question_is_read_as_older_runs_have_it(folder):
    rewrite(folder, text_of(folder).replace("[[certainty]]", "[certainty]"))
    assert read(folder).temperature == (TemperatureScaling(1.5, (0.25, -0.5)),)
