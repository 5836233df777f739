import io
import os
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise, takewhile

import pytest
from rich.console import Console

from galaxyvotes.cli.app import app

COMMANDS = sorted(name for name in app if not name.startswith("-"))


def test_an_error_is_one_line_on_standard_error_and_status_2(run, tmp_path):
    status, out, err = run("pack", tmp_path / "nothing", "--out", tmp_path / "store")
    assert status == 2
    assert out == ""
    assert err.startswith("galaxyvotes: ")
    assert "no such file or folder" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "x" * 300, "--out", "a.csv"),
        ("predict", "1.jpg", "--out", "x" * 300 + ".csv"),
        ("pack", "images", "--out", "x" * 300),
        ("evaluate", "1.jpg", "--run", "x" * 300),
        ("evaluate", "x" * 300),
        ("tree", "x" * 300),
    ],
)
def test_a_path_that_the_system_refuses_is_an_error_of_one_line(run, arguments):
    status, _, err = run(*arguments)
    assert status == 2
    assert err.startswith("galaxyvotes: ")
    assert err.count("\n") == 1


def test_a_mistyped_option_names_the_nearest(run):
    status, _, err = run("pack", "a", "--sizze", "3", "--out", "b")
    assert status == 2
    assert "--size" in err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_in_a_help_is_understood(run, command):
    text = run(command, "--help")[1]
    assert f"Usage: galaxyvotes {command} " in text
    for example in re.findall(r"Example: galaxyvotes (.+)", text):
        app.parse_args(example.split(), exit_on_error=False, print_error=False)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_wrapped_once_to_the_width_of_the_terminal(command, width):
    written = io.StringIO()
    app.help_print(command.split(), console=Console(file=written, width=width))
    lines = written.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    prose = [line.rstrip() for line in takewhile(is_no_box, lines)]
    for line, following in pairwise(prose):
        if line and following:
            assert len(f"{line} {following.split()[0]}") > width, line


def is_no_box(line):
    return not line.startswith("╭")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_described(run, command):
    described = re.sub(r"\[[^]]*\]", "", run(command, "--help")[1])
    for option, text in re.findall(r"^│ [* ]\s*([A-Z]*\s?--[\w-]+)(.*)│$", described, re.M):
        assert re.search(r"[a-z]{2,}.* [a-z]{2,}", text), f"{command} {option}"


@pytest.mark.parametrize(
    ("arguments", "which"),
    [
        (["predict", "", "--out", "a.csv"], "argument 2"),
        (["predict", "x", "--out", ""], "argument 4"),
        (["pack", "x", "--out="], "--out"),
        (["evaluate", ""], "argument 2"),
        (["train", "x", "", "--out", "run"], "argument 3"),
        (["tree", ""], "argument 2"),
    ],
)
def test_an_empty_path_is_refused_and_not_the_current_folder(run, arguments, which):
    status, _, err = run(*arguments)
    assert status == 2
    assert err == f"galaxyvotes: {which} is empty; is a variable of the shell not set?\n"


def test_ctrl_c_prints_how_to_resume(blob_store, tmp_path):
    command = [sys.executable, "-m", "galaxyvotes", "train", str(blob_store.path)]
    command += ["--out", str(tmp_path / "run")]
    command += ["--recipe", "small", "--set", "train.epochs=5000", "--set", "train.batch_size=8"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "metrics.jsonl").is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "go on with the same arguments and --resume" in err


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


def test_help_imports_nothing_that_it_does_not_need():
    loaded = imported_by("--help")
    assert {"cyclopts", "galaxyvotes.cli.app"} <= loaded, "or the test looks in the wrong place"
    heavy = {"torch", "numpy", "sklearn", "matplotlib", "pyarrow", "tomlkit", "PIL", "jaxtyping"}
    heavy |= {"pandas", "ctypes"}
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
    ours = {"training", "evaluation", "reports", "simulation", "demo"}
    assert not loaded & {f"galaxyvotes.{room}" for room in ours}
    others = {"sklearn", "scipy", "matplotlib", "jinja2", "timm", "torchvision", "onnx"}
    others |= {"onnxruntime", "pandas", "torch._dynamo", "torch._inductor", "sympy"}
    assert not loaded & others


def test_a_command_of_one_process_is_refused_in_several(monkeypatch, run):
    monkeypatch.setenv("WORLD_SIZE", "3")
    status, _, err = run("predict", "images", "--out", "answers.csv")
    assert status == 2
    assert "predict runs in one process, and here are 3" in err


@pytest.mark.parametrize("arguments", [("pack", "x"), ("pack", "x", "--out")])
def test_an_option_that_is_lacking_is_named_with_the_usage(run, arguments):
    status, _, err = run(*arguments)
    assert status == 2
    assert err == (
        "galaxyvotes: pack lacks --out, or its value; usage: galaxyvotes pack SOURCE [SOURCE ...]"
        " --out STORE\n"
    )


def test_an_argument_too_many_is_named_with_the_usage(run):
    status, _, err = run("tree", "kaggle", "gz2")
    assert status == 2
    assert err == "galaxyvotes: tree takes no 'gz2' here; usage: galaxyvotes tree [NAME]\n"


@pytest.mark.parametrize("option", ["--gpu", "--cuda", "--mps", "--cpu", "--GPU", "--cuda=0"])
@pytest.mark.parametrize(
    "command", ["predict", "train", "finetune", "evaluate", "calibrate", "figures"]
)
def test_a_device_that_is_written_as_an_option_is_shown_as_it_is_named(run, command, option):
    status, _, err = run(command, "x", option)
    device = option.removeprefix("--").partition("=")[0].lower()
    assert status == 2
    assert err.startswith(f"galaxyvotes: there is no --{device}: write --device {device};")


def test_a_command_that_computes_on_no_device_names_none(run):
    status, _, err = run("pack", "x", "--gpu", "--out", "y")
    assert status == 2
    assert "Unknown option: --gpu" in err
    assert "--device" not in err


@pytest.mark.parametrize(
    ("command", "status"),
    [(["tree", "kaggle"], 141), (["tree"], 141), (["predict", "--help"], 1)],  # rich prints help
)
def test_a_reader_that_ends_early_ends_a_command_quietly(command, status):
    reading, writing = os.pipe()
    os.close(reading)  # as `true` does
    ended = subprocess.run(
        [sys.executable, "-m", "galaxyvotes", *command],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (status, b"")


def test_what_was_to_be_written_is_there_though_nobody_reads_the_summary(make_jpeg, tmp_path):
    (tmp_path / "g.jpg").write_bytes(make_jpeg(1, 212))
    command = f"{sys.executable} -m galaxyvotes predict g.jpg --out a.csv | true"
    ended = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=False)
    assert ended.stderr == b""
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("command", "option", "ours"),
    [
        ("finetune", "--run", "--start"),
        ("finetune", "--checkpoint", "--start"),
        ("finetune", "--epochs", "--set train.epochs=VALUE"),
        ("train", "--lr", "--set train.learning_rate=VALUE"),
        ("predict", "--model", "--run"),
        ("predict", "-o", "--out"),
        ("evaluate", "--force", "--overwrite"),
        ("pack", "--run", "--for"),
        ("pack", "--labels", "--classes"),
    ],
)
def test_an_option_of_others_is_answered_with_what_it_is_called_here(run, command, option, ours):
    status, _, err = run(command, "x", option, "y", "--out", "z")
    assert status == 2
    assert err == f"galaxyvotes: {command} has no {option}: write {ours}\n"


def test_a_value_that_begins_with_a_hyphen_is_shown_as_it_is_written(run):
    status, _, err = run("pack", "x", "--splits", "-1,1,1", "--out", "z")
    assert status == 2
    assert "--splits -1,1,1: write --splits=-1,1,1" in err


def test_figures_depend_on_no_backend(tmp_path):
    out = tmp_path / "figures"
    command = [sys.executable, "-m", "galaxyvotes", "figures", "--out", out]
    environment = os.environ | {"MPLBACKEND": "nonsense"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(out.iterdir())
