"""The library in a notebook: a kernel of its own runs the cells, as they stand on a page."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = (
    """
import galaxyvotes as gv
assert {"predict", "pack", "finetune", "evaluate"} <= set(dir(gv))
folder = gv.simulate("zoo", galaxies=8, size_px=212, processes=2)
""",
    """
done = gv.predict("zoo/images")
done
""",
    """
table = done.to_astropy()
table["Class1.1"].description
""",
    """
store = gv.pack("zoo", "store", splits=gv.SplitSettings(0.5, 0.25, 0.25))
store
""",
    """
gv.predict("nowhere")
""",
)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in CELLS]
    cells[-1].metadata["tags"] = ["raises-exception"]
    notebook = nbformat.v4.new_notebook(cells=cells)
    folder = tmp_path_factory.mktemp("notebook")
    sources = str(Path(__file__).parents[1] / "src")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([sources, os.environ.get("PYTHONPATH", "")]))
        patch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        client = NotebookClient(
            notebook, timeout=120, resources={"metadata": {"path": str(folder)}}
        )
        client.execute()
    return notebook


def result(notebook, cell: int):
    """What the last expression of a cell gave, by MIME type."""
    (output,) = [o for o in notebook.cells[cell].outputs if o.output_type == "execute_result"]
    return output.data


def test_a_prediction_is_shown_as_pictures_with_answers_and_as_one_line(notebook):
    shown = result(notebook, 1)
    assert shown["text/plain"].startswith("<Predicted: 8 galaxies × 37 answers of kaggle")
    assert shown["text/html"].count('src="data:image/jpeg;base64,') == 8


def test_a_table_says_what_its_columns_mean(notebook):
    assert "simply smooth and rounded" in result(notebook, 2)["text/plain"]


def test_galaxies_are_simulated_in_several_processes_from_a_cell(notebook):
    errors = [o for cell in notebook.cells[:-1] for o in cell.outputs if o.output_type == "error"]
    assert errors == []


def test_an_error_is_one_of_ours_and_speaks_python(notebook):
    (error,) = [o for o in notebook.cells[-1].outputs if o.output_type == "error"]
    assert error.ename in ("DataError", "ConfigError")
    assert "--" not in error.evalue
