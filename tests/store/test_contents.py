import csv
import tomllib

import pyarrow.parquet as pq

from galaxyvotes.config import LabelSettings, PackSettings, SplitSettings
from galaxyvotes.sources.catalog import open_catalog
from galaxyvotes.store import contents
from galaxyvotes.store.journal import Journal
from galaxyvotes.store.pack import pack


def test_a_table_written_a_few_rows_at_a_time_holds_the_same_rows(
    galaxies_folder, tmp_path, monkeypatch
):
    settings = PackSettings(16, 16)
    whole = pack(galaxies_folder, tmp_path / "whole", settings=settings, progress=False)
    monkeypatch.setattr(contents, "_TOGETHER", 5)
    parts = pack(galaxies_folder, tmp_path / "parts", settings=settings, progress=False)
    assert pq.read_metadata(parts.path / "galaxies.parquet").num_row_groups == 3
    assert parts.table.equals(whole.table)
    assert parts.splits.tolist() == whole.splits.tolist()


def test_what_is_left_out_is_listed_by_image_or_by_id_with_the_reason(tmp_path, make_jpeg):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("1", "2", "3"):
        (folder / f"{name}.jpg").write_bytes(make_jpeg(int(name)))
    (folder / "t.csv").write_text("id,class\n1,a\n2,\n4,b\n5,a\n")
    journal = Journal(tmp_path / "store.partial", 16)
    with open_catalog(folder, LabelSettings(classes="class")) as catalog:
        journal.begin("plan")
        journal.rejected.append((0, "is empty"))
        rejected = contents._rejected(catalog, journal)
    assert rejected.to_pylist() == [
        {"image": "1.jpg", "id": "1", "reason": "is empty"},
        {"image": "", "id": "4", "reason": "the row has no image"},
        {"image": "", "id": "5", "reason": "the row has no image"},
        {"image": "", "id": "2", "reason": "the row has no votes"},
        {"image": "3.jpg", "id": "", "reason": "no row of the table names the image"},
    ]


def test_the_manifest_says_how_the_pixels_were_made_and_counts_what_was_left_out(
    galaxies_folder, tmp_path
):
    store = pack(galaxies_folder, tmp_path / "store", settings=PackSettings(16, 16), progress=False)
    manifest = tomllib.loads((store.path / "store.toml").read_text("utf-8"))
    assert (manifest["crop_px"], manifest["size_px"], "scaled" in manifest) == (16, 16, False)
    assert manifest["digests"].keys() == {"galaxies.parquet", "rejected.csv", "tree.toml"}
    with (store.path / "rejected.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == sum(
            manifest[name]
            for name in (
                "rejected_images",
                "rows_without_image",
                "rows_without_votes",
                "images_without_row",
            )
        )
    assert SplitSettings(**manifest["split_settings"]) == SplitSettings()
