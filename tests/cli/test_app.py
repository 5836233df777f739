import re
import signal
import subprocess
import sys
import time

import pytest

from galaxyvotes import SplitSettings, Store, pack
from galaxyvotes.cli.app import main


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    status = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_an_error_is_one_line_on_standard_error_and_status_2(capsys, tmp_path):
    status, out, err = run(capsys, "pack", tmp_path / "nothing", "--out", tmp_path / "store")
    assert status == 2
    assert out == ""
    assert err.startswith("galaxyvotes: ")
    assert "no such file or folder" in err
    assert err.count("\n") == 1


def test_a_mistyped_option_names_the_nearest(capsys):
    status, _, err = run(capsys, "pack", "a", "--sizze", "3", "--out", "b")
    assert status == 2
    assert "--size" in err


def test_pack_says_what_became_of_everything(capsys, galaxies_folder, tmp_path):
    (galaxies_folder / "images" / "1003.jpg").write_bytes(b"")
    (galaxies_folder / "images" / "1004.jpg").unlink()
    (galaxies_folder / "images" / "9999.jpg").write_bytes(
        (galaxies_folder / "images" / "1001.jpg").read_bytes()
    )
    status, out, _ = run(
        capsys, "pack", galaxies_folder, "--out", tmp_path / "s", "--crop", "0", "--size", "16"
    )
    assert status == 0
    assert "10 galaxies of 16 px" in out
    assert "tree kaggle, 37 answers" in out
    assert "1 images could not be used" in out
    assert "1 rows of the table have no image" in out
    assert "1 images stand in no row" in out


def test_five_turned_packs_test_each_galaxy_once(capsys, blobs, tmp_path):
    tested: list[str] = []
    for turn in ("0", "0.2", "0.4", "0.6", "0.8"):
        told = ("--size", "8", "--crop", "32", "--splits", "0.7,0.1,0.2", "--split-turn", turn)
        assert run(capsys, "pack", blobs, "--out", tmp_path / turn, *told)[0] == 0
        store = Store.open(tmp_path / turn)
        tested += [store.ids[row] for row in store.rows("test")]
    assert sorted(tested) == sorted(store.ids)


def test_a_run_goes_on_with_its_own_recipe_or_says_that_it_is_new(capsys, blob_store, tmp_path):
    quick = (
        "--set=train.epochs=1",
        "--set=train.batch_size=16",
        "--set=train.keep=last",
        "--resume",
    )
    status, out, _ = run(
        capsys, "train", blob_store.path, "--out", tmp_path / "run", "--recipe", "small", *quick
    )
    assert status == 0
    assert "does not exist yet: a new run begins" in out
    status, _, err = run(
        capsys,
        "train",
        blob_store.path,
        "--out",
        tmp_path / "run",
        "--recipe",
        "compact",
        "--resume",
    )
    assert status == 2
    assert "goes on with the recipe it began with, small: leave out the recipe" in err
    assert (
        run(
            capsys,
            "train",
            blob_store.path,
            "--out",
            tmp_path / "run",
            "--resume",
            "--recipe",
            "small",
        )[0]
        == 0
    )
    again = ("--start", tmp_path / "run", "--set", "train.epochs=1")
    status, out, _ = run(capsys, "finetune", blob_store.path, "--out", tmp_path / "again", *again)
    assert "validation galaxies were training galaxies" not in out
    other = pack(
        blob_store.path.parent / "images",
        tmp_path / "other",
        settings=blob_store.pack,
        progress=False,
        splits=SplitSettings(0.3, 0.4, 0.3, "another"),
    )
    status, out, _ = run(capsys, "finetune", other.path, "--out", tmp_path / "third", *again)
    assert re.search(
        rf"\d+ of its {len(other.rows('validation'))} validation galaxies were training galaxies of"
        " run,",
        out,
    )


def test_ctrl_c_says_how_to_go_on(blob_store, tmp_path):
    command = [
        sys.executable,
        "-m",
        "galaxyvotes",
        "train",
        str(blob_store.path),
        "--out",
        str(tmp_path / "run"),
    ]
    command += ["--recipe", "small", "--set", "train.epochs=5000", "--set", "train.batch_size=8"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "metrics.jsonl").is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "go on with --resume" in err


def test_a_demo_leaves_a_folder_of_others_alone(capsys, blobs):
    status, _, err = run(capsys, "demo", "--out", blobs)
    assert status == 2
    assert "is not empty, and no demo began it: name another folder" in err


def test_the_whole_line_by_commands(capsys, blobs, tmp_path):
    store, out, table = tmp_path / "store", tmp_path / "run", tmp_path / "answers.csv"
    for command in (
        (
            "pack",
            blobs,
            "--out",
            store,
            "--crop",
            "32",
            "--size",
            "32",
            "--splits",
            "0.7,0.15,0.15",
        ),
        (
            "train",
            store,
            "--out",
            out,
            "--recipe",
            "small",
            "--set",
            "train.epochs=2",
            "--set",
            "train.batch_size=8",
        ),
        ("evaluate", store, "--run", out, "--no-baselines"),
        ("predict", blobs, "--run", out, "--out", table),
        ("figures", store, "--run", out, "--out", tmp_path / "figures"),
    ):
        status, _, err = run(capsys, *command)
        assert status == 0, err
    assert (out / "report.html").is_file()
    assert len(table.read_text().splitlines()) == 81


def test_trees_are_listed_printed_and_drawn(capsys, tmp_path):
    assert "kaggle" in run(capsys, "tree")[1]
    assert "Class11.6" in run(capsys, "tree", "kaggle")[1]
    assert run(capsys, "tree", "kaggle", "--out", tmp_path / "tree.svg")[0] == 0
    assert "<svg" in (tmp_path / "tree.svg").read_text()
    status, _, err = run(capsys, "tree", "kagle")
    assert status == 2
    assert "kaggle" in err


def test_a_sample_submission_is_filled_in(capsys, tmp_path):
    (tmp_path / "p.csv").write_text("id,A,B\n7,0.25,0.75\n5,1,0\n")
    (tmp_path / "sample.csv").write_text("GalaxyID,A,B\r\n5,0,0\r\n7,0,0\r\n")
    status, _, _ = run(
        capsys,
        "submit",
        tmp_path / "p.csv",
        "--sample",
        tmp_path / "sample.csv",
        "--out",
        tmp_path / "s.csv",
    )
    assert status == 0
    assert (tmp_path / "s.csv").read_bytes() == b"GalaxyID,A,B\r\n5,1,0\r\n7,0.25,0.75\r\n"


@pytest.mark.parametrize(
    "arguments", [("pack", "--out", "x"), ("predict", "--run", "r", "--out", "o.csv")]
)
def test_a_command_without_its_arguments_says_what_it_needs(capsys, arguments):
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert "nothing to read is named; usage: galaxyvotes" in err


def imported_by(*arguments: str) -> set[str]:
    """What a command imports, in a process of its own; the first two parts of dotted names, too."""
    code = (
        "import sys\nfrom galaxyvotes.cli.app import main\ntry:\n main(sys.argv[1:])\nexcept"
        " SystemExit: pass\nprint('imported', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.rsplit("imported", 1)[1].split())


def test_help_imports_nothing_that_only_work_needs():
    loaded = imported_by("--help")
    assert {"cyclopts", "galaxyvotes.cli.app"} <= loaded, "or the test looks in the wrong place"
    heavy = {
        "torch",
        "numpy",
        "sklearn",
        "matplotlib",
        "pyarrow",
        "tomlkit",
        "PIL",
        "jaxtyping",
        "pandas",
        "ctypes",
    }
    assert not loaded & (
        heavy | {"importlib.metadata", "rich.markdown", "markdown_it", "pygments", "rich.progress"}
    )


def test_predicting_one_image_imports_nothing_that_only_training_or_reports_need(
    make_jpeg, tmp_path
):
    (tmp_path / "one.jpg").write_bytes(make_jpeg(side=424))
    loaded = imported_by("predict", str(tmp_path / "one.jpg"), "--out", str(tmp_path / "x.csv"))
    assert (tmp_path / "x.csv").is_file()
    assert {"torch", "pyarrow", "galaxyvotes.inference.predict"} <= loaded
    ours = {
        f"galaxyvotes.{name}"
        for name in ("train", "report", "figures", "baselines", "features", "simulate")
    }
    others = {
        "sklearn",
        "scipy",
        "matplotlib",
        "jinja2",
        "timm",
        "torchvision",
        "onnx",
        "onnxruntime",
        "pandas",
    }
    assert not loaded & (ours | others | {"torch._dynamo", "torch._inductor", "sympy"})


def test_a_command_of_one_process_is_refused_in_several(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "images", "--out", "answers.csv"])
    assert "predict runs in one process, and here are 3" in capsys.readouterr().err
