import re

import pytest

from galaxyvotes.cli.app import app
from galaxyvotes.demo import demo
from galaxyvotes.errors import ConfigError


def test_a_demo_leaves_pictures_and_a_report_and_goes_on_where_it_was_stopped(tmp_path):
    out = tmp_path / "demo"
    first = demo(out, galaxies=80, epochs=1, progress=False)
    weights = out / "run" / "weights.safetensors"
    written = weights.stat().st_mtime_ns
    assert first.path == out / "report.html"
    assert {"answers.csv", "answers.html", "report.html"} <= {path.name for path in out.iterdir()}
    assert first.document["intervals"] is not None
    again = demo(out, galaxies=80, epochs=1, progress=False)
    assert weights.stat().st_mtime_ns == written
    assert again.document["network"] == first.document["network"]


def test_a_demo_prints_the_commands_that_do_the_same(tmp_path, capsys):
    demo(tmp_path / "demo", galaxies=60, epochs=1)
    commands = re.findall(r"^\$ galaxyvotes (.+)$", capsys.readouterr().err, flags=re.MULTILINE)
    names = [command.split()[0] for command in commands]
    assert names == ["simulate", "predict", "pack", "finetune", "calibrate", "evaluate"]
    for command in commands:
        app.parse_args(command, exit_on_error=False, print_error=False)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="is not empty, and no demo began it"):
        demo(tmp_path)


def test_a_demo_of_a_few_galaxies_is_refused_before_it_begins(tmp_path):
    with pytest.raises(ConfigError, match="galaxies is 59; a demo takes 60 or more"):
        demo(tmp_path / "demo", galaxies=59)
    assert not (tmp_path / "demo").exists()
