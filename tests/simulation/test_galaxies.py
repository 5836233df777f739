"""The simulated Galaxy Zoo: the same from the same seed, obeying the tree, whole or not there."""

import csv
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from galaxyvotes.errors import ConfigError, DataError, MissingExtraError
from galaxyvotes.simulation import galaxies
from galaxyvotes.simulation.galaxies import draw, simulate
from galaxyvotes.simulation.volunteers import Galaxy
from galaxyvotes.tree import DecisionTree

TREE = DecisionTree.load("kaggle")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "votes.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(
        tmp_path_factory.mktemp("zoo") / "zoo", galaxies=60, seed=4, size_px=96, processes=1
    )


def test_every_galaxy_has_a_picture_and_a_row(zoo: Path):
    rows = table(zoo)
    assert [row["SimulationID"] for row in rows] == [str(100001 + i) for i in range(60)]
    assert sorted(contents(zoo)) == sorted(
        ["votes.csv", *(f"images/{row['SimulationID']}.jpg" for row in rows)]
    )
    for row in rows:
        picture = simplejpeg.decode_jpeg(
            (zoo / "images" / f"{row['SimulationID']}.jpg").read_bytes()
        )
        assert picture.shape == (96, 96, 3)
        assert 0 < picture.mean() < 150


def test_the_table_holds_fractions_votes_and_truth(zoo: Path):
    row = table(zoo)[0]
    truth = [f"true_{field.name}" for field in fields(Galaxy)]
    assert list(row) == [
        "SimulationID",
        *TREE.columns,
        *(f"{column}_votes" for column in TREE.columns),
        *truth,
    ]
    assert all(0.0 <= float(row[column]) <= 1.0 for column in TREE.columns)
    assert not any(row[name] == "nan" for name in truth)


def test_fractions_and_votes_in_the_table_obey_the_tree(zoo: Path):
    rows = table(zoo)
    joint = np.array([[float(row[column]) for column in TREE.columns] for row in rows])
    votes = np.array([[int(row[f"{column}_votes"]) for column in TREE.columns] for row in rows])
    people = votes[:, TREE.slices[0]].sum(axis=1)
    np.testing.assert_allclose(joint, votes / people[:, None], atol=6e-7)
    for index, where in enumerate(TREE.slices):
        np.testing.assert_allclose(
            joint[:, where].sum(axis=1), TREE.asked(joint)[:, index], atol=1e-5
        )
        parent = TREE.parents[index]
        np.testing.assert_array_equal(
            votes[:, where].sum(axis=1), people if parent is None else votes[:, parent]
        )


def test_a_galaxy_is_the_same_whatever_the_number_of_galaxies(zoo: Path, tmp_path: Path):
    few = contents(simulate(tmp_path / "few", galaxies=5, seed=4, size_px=96))
    many = contents(zoo)
    assert few.pop("votes.csv") == b"".join(many["votes.csv"].splitlines(keepends=True)[:6])
    assert few == {name: many[name] for name in few}


def test_another_seed_draws_other_galaxies(zoo: Path, tmp_path: Path):
    other = simulate(tmp_path / "other", galaxies=2, seed=5, size_px=96)
    assert contents(other)["images/100001.jpg"] != contents(zoo)["images/100001.jpg"]


def test_the_number_of_processes_changes_nothing(zoo: Path, tmp_path: Path):
    assert contents(
        simulate(tmp_path / "two", galaxies=60, seed=4, size_px=96, processes=2)
    ) == contents(zoo)


def test_truth_and_votes_do_not_depend_on_the_size_of_the_picture(zoo: Path, tmp_path: Path):
    assert table(simulate(tmp_path / "large", galaxies=3, seed=4, size_px=128)) == table(zoo)[:3]


def test_progress_is_reported_after_every_galaxy(tmp_path: Path):
    message: list[tuple[int, int]] = []
    simulate(
        tmp_path / "zoo",
        galaxies=3,
        size_px=32,
        progress=lambda done, of: message.append((done, of)),
    )
    assert message == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_crash_leaves_nothing_behind(tmp_path: Path, processes: int):
    def stop(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "zoo", galaxies=20_000, size_px=32, processes=processes, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_that_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="No space left on device"):
        simulate(tmp_path / "zoo", galaxies=1, size_px=32)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not an empty folder"):
        simulate(tmp_path, galaxies=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "zoo").write_text("mine")
    with pytest.raises(ConfigError, match="not an empty folder"):
        simulate(tmp_path / "zoo", galaxies=1)


def test_an_empty_folder_is_filled(tmp_path: Path):
    assert sorted(contents(simulate(tmp_path, galaxies=1, size_px=32))) == [
        "images/100001.jpg",
        "votes.csv",
    ]


def test_without_galsim_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "galsim", None)
    with pytest.raises(MissingExtraError, match=r"needs GalSim.*galaxyvotes\[simulate\]"):
        simulate(tmp_path / "zoo", galaxies=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "settings",
    [{"galaxies": 0}, {"size_px": 8}, {"volunteers": 0}, {"seed": -1}, {"processes": 0}],
    ids=lambda settings: next(iter(settings)),
)
def test_a_setting_out_of_range_is_named(settings: dict[str, int], tmp_path: Path):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        simulate(tmp_path / "zoo", **settings)
    assert list(tmp_path.iterdir()) == []


def test_all_kinds_of_galaxies_are_drawn():
    drawn = [draw(np.random.default_rng([0, i])) for i in range(1000)]
    kinds = {galaxy.type for galaxy in drawn}
    assert kinds == {
        "elliptical",
        "lenticular",
        "spiral",
        "edge-on",
        "irregular",
        "merger",
        "star",
        "artifact",
    }
    assert {galaxy.arms for galaxy in drawn} == {0, 1, 2, 3, 4, 5, 6}
    assert all(0.0 < galaxy.axis_ratio <= 1.0 for galaxy in drawn)


def test_a_script_without_a_guard_simulates_in_several_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import galaxyvotes as gv\n"
        "print('once')\n"
        "gv.simulate('zoo', galaxies=4, size_px=32, processes=2)\n"
    )
    ended = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "once\n", "")
    assert len(list((tmp_path / "zoo" / "images").iterdir())) == 4


def test_a_process_that_is_killed_is_an_error_and_leaves_no_folder(tmp_path, monkeypatch):
    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(galaxies, "_make", die)
    with pytest.raises(DataError, match="one of 2 processes was killed"):
        simulate(tmp_path / "out", galaxies=40, size_px=32, processes=2)
    assert not (tmp_path / "out").exists()
