import pytest

from galaxyvotes import ConfigError, DataError, PackSettings, SplitSettings, draw_figures, pack


def test_the_figures_of_the_paper_are_drawn(blob_run, blob_store, tmp_path):
    paths = draw_figures(blob_run, blob_store, tmp_path, kind="svg")
    assert [path.name for path in paths] == [
        "flowchart.svg",
        "architecture.svg",
        "roc.svg",
        "roc-long.svg",
        "roc-round.svg",
    ]
    assert all("<svg" in path.read_text("utf-8") for path in paths)


def test_without_a_store_there_are_no_curves(blob_run, tmp_path):
    paths = draw_figures(blob_run, None, tmp_path)
    assert [path.stem for path in paths] == ["flowchart", "architecture"]


def test_curves_of_galaxies_that_were_used_in_training_are_refused(blob_run, blobs, tmp_path):
    other = pack(
        blobs,
        tmp_path / "other",
        settings=PackSettings(32, 32),
        splits=SplitSettings(key="again"),
        progress=False,
    )
    with pytest.raises(DataError, match=r"too small: use the store it was trained on$"):
        draw_figures(blob_run, other, tmp_path / "figures")


def test_a_figure_that_is_there_is_found_before_a_galaxy_is_predicted(
    blob_run, blob_store, tmp_path, monkeypatch
):
    place = "galaxyvotes.evaluation.paper_figures.predict_store"
    monkeypatch.setattr(place, lambda *_, **__: pytest.fail("predicted"))
    (tmp_path / "roc-long.svg").write_text("", "utf-8")
    with pytest.raises(ConfigError, match=r"roc-long\.svg exists: pass `overwrite=True`"):
        draw_figures(blob_run, blob_store, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["roc-long.svg"]


def test_another_kind_of_file_is_refused(blob_run, tmp_path):
    with pytest.raises(ConfigError, match=r"unknown figure format '\.gif'"):
        draw_figures(blob_run, None, tmp_path, kind="gif")
