import ast
import re
from collections.abc import Iterator
from pathlib import Path

import galaxyvotes
from galaxyvotes.cli.app import app
from galaxyvotes.cli.messages import as_options


def test_arguments_of_python_become_options():
    assert as_options("leave out `fit=True`") == "leave out --fit"
    assert as_options("`scale=0.42` or `run=…`") == "--scale 0.42 or --run"
    assert (
        as_options('`recipe="paper"`, `id_column="objid"`') == "--recipe paper, --id-column objid"
    )
    assert as_options("`tree='gz2'` or `device='a b'`") == "--tree gz2 or --device 'a b'"


def test_settings_become_the_options_that_are_in_them():
    for code, options in {
        "settings=PackSettings(208, 96)": "--crop 208 --size 96",
        "settings=PackSettings(size_px=64)": "--size 64",
        "settings=PackSettings(crop_px=…)": "--crop",
        "labels=LabelSettings(tree=…)": "--tree",
        "labels=LabelSettings(unlabelled=True)": "--unlabelled",
        "labels=LabelSettings(tree='T.toml', classes='a b')": "--tree T.toml --classes 'a b'",
        "labels=LabelSettings(class_names={'0': 'no', '1': 'ring'})": "--class-names 0=no,1=ring",
        "labels=LabelSettings(quantity=('a', 'b'))": "--quantity a --quantity b",
        "splits=SplitSettings(key=…)": "--split-key",
        "splits=SplitSettings(column='set')": "--splits set",
        "splits=SplitSettings(0.4, 0.3, 0.3)": "--splits 0.4,0.3,0.3",
        "splits=SplitSettings(0.4, 0.3, 0.3, key='b')": "--splits 0.4,0.3,0.3 --split-key b",
        "settings=('train.epochs=9', 'train.keep=last')": (
            "--set train.epochs=9 --set train.keep=last"
        ),
        "settings=('train.mirror=false',)": "--no-mirror",
        "baselines=False": "--no-baselines",
    }.items():
        assert as_options(f"say `{code}`.") == f"say {options}."


def test_calls_become_commands():
    for call, command in {
        "galaxyvotes.calibrate(…)": "galaxyvotes calibrate",
        "galaxyvotes.calibrate(…, overwrite=True)": "galaxyvotes calibrate --overwrite",
        "galaxyvotes.train('my store', out='run', resume=True)": (
            "galaxyvotes train 'my store' --out run --resume"
        ),
        "galaxyvotes.finetune(['a', 'b'], out='run')": "galaxyvotes finetune a b --out run",
    }.items():
        assert as_options(f"run `{call}` again") == f"run {command} again"


def test_everything_else_stays_as_it_is():
    for message in (
        "train.epochs=10",
        "the file a=b.csv",
        "`galaxyvotes.Run`",
        "x = `y`",
        "`f(a=1)`",
        "`a=`",
        "`a=b c`",
        "`settings=OtherSettings(1, 2)`",
    ):
        assert as_options(message) == message


# ---- laws of the package: outside the command line it speaks Python

COMMANDS = {name for name in app if not name.startswith("-")}
OPTIONS = {
    name
    for command in COMMANDS
    for argument in app[command].assemble_argument_collection()
    for name in argument.names
}
OF_THE_COMMAND_LINE = re.compile(
    rf"(?<![\w-])--[a-z][\w-]*|\bgalaxyvotes (?:{'|'.join(COMMANDS)})\b"
)
EXEMPT = {
    ("reports/sections.py", "galaxyvotes calibrate"): "the page is read without Python, too",
    ("reports/sections.py", "--run"): "the page is read without Python, too",
    ("evaluation/calibrate.py", "--splits"): "of the page, which is read without Python, too",
    ("reports/summary.py", "galaxyvotes calibrate"): "the page is read without Python, too",
    ("reports/chance.py", "--no-mirror"): "the page is read without Python, too",
    ("evaluation/calibrate.py", "--coverage"): "of the page, which is read without Python, too",
    ("evaluation/calibrate.py", "--set"): "of the page, which is read without Python, too",
    ("web/gallery_api.py", "--images"): "the answer of a server that a command started",
    ("web/site.py", "--map"): "the answer of a server that a command started",
    ("web/site.py", "--images"): "the page speaks to who started the server with a command",
    ("web/site.py", "galaxyvotes embed"): "the answer of a server that a command started",
    ("web/site.py", "galaxyvotes predict"): "the answer of a server that a command started",
    ("web/predict_api.py", "galaxyvotes predict"): "describes the HTTP interface",
    ("web/labelling_api.py", "galaxyvotes pack"): "describes the HTTP interface",
    ("networks/timm_encoder.py", "--local-dir"): "an option of hf, which downloads",
    ("runtime/distributed.py", "--nproc-per-node"): "the docstring shows torchrun",
    ("runtime/distributed.py", "galaxyvotes train"): "the docstring shows torchrun",
    ("runtime/distributed.py", "--out"): "the docstring shows torchrun",
}

# These do what several commands do, and print each as one would type it.
PRINT_COMMANDS = {"demo.py", "web/finetune_job.py"}


def modules_of_the_library() -> Iterator[tuple[str, ast.Module]]:
    package = Path(galaxyvotes.__file__).parent
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if not name.startswith("cli/") and name not in PRINT_COMMANDS:
            yield name, ast.parse(path.read_text("utf-8"))


def texts(module: ast.Module) -> Iterator[str]:
    """The strings of a module, with an example wherever something is formatted into one."""
    parts = {
        id(part)
        for text in ast.walk(module)
        if isinstance(text, ast.JoinedStr)
        for part in text.values
    }
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            yield "".join(example(part) for part in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in parts:
            yield str(node.value)


def example(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    return "'x'" if isinstance(part, ast.FormattedValue) and part.conversion == ord("r") else "1"


def docstrings(module: ast.Module) -> set[str]:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef
    nodes = [node for node in ast.walk(module) if isinstance(node, documented)]
    return {ast.get_docstring(node, clean=False) or "" for node in nodes}


def test_no_option_and_no_command_stands_in_a_text_of_the_library():
    found = {
        (name, words)
        for name, module in modules_of_the_library()
        for text in texts(module)
        for words in OF_THE_COMMAND_LINE.findall(text)
    }
    assert found == set(EXEMPT)


def test_arguments_in_messages_of_the_library_are_options_that_there_are():
    codes = {
        code
        for _, module in modules_of_the_library()
        for text in set(texts(module)) - docstrings(module)
        for code in re.findall(r"`(?:\w+=|galaxyvotes\.[a-z]+\()[^`]*`", text)
    }
    assert len(codes) > 30
    for code in codes:
        words = as_options(code)
        assert "`" not in words, code
        assert words.startswith(("--", "galaxyvotes ")), code
        assert set(re.findall(r"(?<![\w-])--[\w-]+", words)) <= OPTIONS, code
        assert set(re.findall(r"galaxyvotes (\w+)", words)) <= COMMANDS, code
