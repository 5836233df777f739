import re
import zipfile
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyvotes.config import LabelSettings
from galaxyvotes.errors import ConfigError, DataError, GalaxyVotesError
from galaxyvotes.sources.catalog import Catalog, open_catalog
from galaxyvotes.tree import DecisionTree


def catalog_of(*sources: Path, **options) -> Catalog:
    with open_catalog(sources, LabelSettings(**options)) as catalog:
        return catalog


def refusal(*sources: Path, kind: type[GalaxyVotesError] = DataError, **options) -> str:
    with pytest.raises(kind) as error:
        catalog_of(*sources, **options)
    return str(error.value)


@pytest.fixture
def make_folder(tmp_path, make_jpeg):
    """`make_folder({"a/1.jpg": seed, "table.csv": text, …})`."""

    def write(files: dict[str, int | str | bytes], name: str = "folder") -> Path:
        for path, content in files.items():
            place = tmp_path / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            data = make_jpeg(content) if isinstance(content, int) else content
            place.write_bytes(data.encode() if isinstance(data, str) else data)
        return tmp_path / name

    return write


IMAGES = {f"images/{n}.jpg": n for n in (101, 102, 103)}


# What belongs together


def test_a_folder_with_images_and_the_challenges_table_needs_no_further_word(
    galaxies_folder, kaggle
):
    catalog = catalog_of(galaxies_folder)
    assert catalog.ids.to_pylist() == [str(1000 + n) for n in range(12)]
    assert catalog.tree == kaggle
    assert (catalog.id_name, catalog.votes_from) == ("GalaxyID", "solutions.csv: fraction")
    assert catalog.values is not None
    assert catalog.values.shape == (12, 37)
    assert [image.id for image in catalog.images] == catalog.ids.to_pylist()


def test_images_in_zips_and_the_table_beside_them_or_in_a_zip_are_the_same_catalog(
    galaxies_folder, tmp_path
):
    plain = catalog_of(galaxies_folder)
    first, second, table = tmp_path / "part1.zip", tmp_path / "part2.zip", tmp_path / "table.zip"
    for place, name in enumerate(plain.ids.to_pylist()):
        with zipfile.ZipFile((first, second)[place % 2], "a") as archive:
            archive.write(galaxies_folder / "images" / f"{name}.jpg", f"images/{name}.jpg")
    with zipfile.ZipFile(table, "w") as archive:
        archive.write(galaxies_folder / "solutions.csv", "solutions.csv")
    for source in (galaxies_folder / "solutions.csv", table):
        zipped = catalog_of(first, second, source)
        assert sorted(zipped.ids.to_pylist()) == sorted(plain.ids.to_pylist())
        order = [zipped.ids.to_pylist().index(name) for name in plain.ids.to_pylist()]
        assert zipped.values is not None
        np.testing.assert_array_equal(zipped.values[order], plain.values)


def test_the_order_of_the_tables_rows_changes_nothing(galaxies_folder):
    before = catalog_of(galaxies_folder)
    header, *rows = (galaxies_folder / "solutions.csv").read_text().splitlines()
    (galaxies_folder / "solutions.csv").write_text("\n".join([header, *rows[::-1]]) + "\n")
    after = catalog_of(galaxies_folder)
    assert (after.ids, after.digest()) == (before.ids, before.digest())


@pytest.mark.parametrize("word", ["{}", "images/{}.jpg", "C:\\x\\{}.JPG", " https://x.org/{}.png"])
def test_ids_are_found_in_any_column_by_stem_or_by_path_and_other_columns_are_kept(
    make_folder, word
):
    rows = "".join(f"{0.5 * n},{word.format(101 + n)},spiral\n" for n in range(3))
    catalog = catalog_of(make_folder({**IMAGES, "t.csv": "brightness,what,class\n" + rows}))
    assert (catalog.ids.to_pylist(), catalog.id_name) == (["101", "102", "103"], "what")
    assert catalog.columns.to_pydict() == {"brightness": [0, 0.5, 1]}


def test_images_of_one_stem_in_two_folders_are_told_apart_by_their_paths(make_folder):
    files = {"a/1.jpg": 1, "b/1.jpg": 2, "t.csv": "path,class\nb/1.jpg,spiral\n./a/1.jpg,edge-on\n"}
    catalog = catalog_of(make_folder(files), tree="classes5")
    assert catalog.ids.to_pylist() == ["a/1.jpg", "b/1.jpg"]
    assert catalog.values is not None
    assert catalog.values.argmax(axis=1).tolist() == [3, 4]


def test_ids_with_dots_and_leading_zeros_are_left_alone(make_folder):
    names = ["J152532.19-000115.7", "007", "1.50"]
    files = {f"{name}.jpg": n for n, name in enumerate(names)}
    rows = "".join(f"{name},spiral\n" for name in names)
    assert sorted(
        catalog_of(make_folder({**files, "t.csv": "id,class\n" + rows})).ids.to_pylist()
    ) == sorted(names)


def test_a_parquet_table_is_read_like_a_csv(make_folder):
    folder = make_folder(IMAGES)
    pq.write_table(
        pa.table({"id": [101.0, 102.0, None], "class": ["spiral", "edge-on", None]}),
        folder / "t.parquet",
    )
    catalog = catalog_of(folder)
    assert catalog.ids.to_pylist() == ["101", "102"]
    assert catalog.rows_without_image == ("",)


def test_a_second_table_translates_a_column_into_the_names_of_the_images(make_folder):
    votes = (
        "sample,objid,class\noriginal,5877,spiral\noriginal,5878,edge-on\noriginal,5879,spiral\n"
    )
    # 5877 has two assets, and an image only of the second; the columns share the word "original",
    # too.
    names = "sample,asset_id,objid\noriginal,999,5877\noriginal,101,5877\noriginal,102,5878\n,,\n"
    catalog = catalog_of(make_folder({**IMAGES, "votes.csv": votes, "names.csv": names}))
    assert (catalog.ids.to_pylist(), catalog.id_name) == (["101", "102"], "asset_id")
    assert catalog.rows_without_image == ("5879",)
    assert catalog.images_without_row == ("images/103.jpg",)
    assert catalog.columns.column_names == ["sample", "objid"]


def test_a_translation_is_found_though_counts_hit_a_few_images_by_chance(make_folder):
    images = {f"{n}.jpg": n for n in range(1, 13)}
    votes = "objid,arms,class\n" + "".join(f"{5000 + n},{n % 3 + 1},spiral\n" for n in range(1, 13))
    names = "objid,asset_id\n" + "".join(f"{5000 + n},{13 - n}\n" for n in range(1, 13))
    folder = make_folder({**images, "votes.csv": votes, "names.csv": names})
    for wanted in (None, "objid", "asset_id"):
        catalog = catalog_of(folder, id_column=wanted)
        assert catalog.id_name == "asset_id"
        assert (
            dict(zip(catalog.ids.to_pylist(), catalog.columns["objid"].to_pylist(), strict=True))[
                "12"
            ]
            == 5001
        )


def test_two_columns_that_name_different_images_are_refused_until_one_is_chosen(make_folder):
    table = "row,id,class\n101,103,spiral\n102,101,edge-on\n103,102,spiral\n"
    folder = make_folder({**IMAGES, "t.csv": table})
    assert (
        refusal(folder, kind=ConfigError)
        == "t.csv: 'row' and 'id' both name images, but not the same ones: choose with"
        " `labels=LabelSettings(id_column=…)`"
    )
    chosen = catalog_of(folder, id_column="id")
    assert chosen.values is not None
    assert chosen.values.argmax(axis=1).tolist() == [3, 4, 4]
    assert chosen.columns.to_pydict() == {"row": [102, 103, 101]}


def test_small_counts_that_look_like_ids_by_chance_do_not_matter(make_folder):
    images = {f"{n}.jpg": n for n in range(1, 13)}
    rows = "".join(f"{n % 3 + 1},{n},spiral\n" for n in range(1, 13))
    assert catalog_of(make_folder({**images, "t.csv": "arms,id,class\n" + rows})).id_name == "id"


def test_an_id_column_that_is_not_there_or_holds_votes_is_refused(galaxies_folder):
    message = refusal(galaxies_folder, kind=ConfigError, id_column="objid")
    assert message == "solutions.csv has no column 'objid' beside its votes; it has GalaxyID"
    assert "has no column 'Class1.1'" in refusal(
        galaxies_folder, kind=ConfigError, id_column="Class1.1"
    )


def test_a_table_that_names_no_image_is_refused_with_examples_of_both(make_folder):
    folder = make_folder({**IMAGES, "t.csv": "id,dec,class\n9,0.5,spiral\n"})
    assert (
        refusal(folder)
        == "no column of t.csv names an image: images are called 101, 102, 103 …, while the table"
        " has id: 9; dec: 0.5. Pass `labels=LabelSettings(id_column=…)`, or the folder or"
        " archive that holds these galaxies"
    )


@pytest.mark.parametrize(
    ("images", "name", "what"),
    [
        (["7", "8"], "007", "zeros before the number"),
        (["J1a", "J2"], "j1A", "upper and lower case"),
    ],
)
def test_names_that_differ_in_zeros_or_case_only_are_said_to(make_folder, images, name, what):
    folder = make_folder(
        {**{f"{image}.jpg": n for n, image in enumerate(images)}, "t.csv": f"id,class\n{name},a\n"}
    )
    assert f" id and the names of images differ in {what} only: " in refusal(folder)


# Rows and images that do not fit


def test_rows_without_image_and_images_without_row_are_counted(make_folder):
    folder = make_folder(
        {**IMAGES, "t.csv": "id,class\n102,spiral\n205,spiral\n204,edge-on\n,spiral\n"}
    )
    catalog = catalog_of(folder)
    assert catalog.ids.to_pylist() == ["102"]
    assert catalog.rows_without_image == ("", "204", "205")
    assert catalog.images_without_row == ("images/101.jpg", "images/103.jpg")


def test_galaxies_without_votes_are_left_out_and_kept_only_when_asked(make_folder):
    folder = make_folder({**IMAGES, "t.csv": "id,class\n102,spiral\n101,\n"})
    catalog = catalog_of(folder)
    assert (catalog.ids.to_pylist(), catalog.rows_without_votes) == (["102"], ("101",))
    everybody = catalog_of(folder, unlabelled=True)
    assert everybody.ids.to_pylist() == ["101", "102", "103"]
    assert (everybody.rows_without_votes, everybody.images_without_row) == ((), ())
    assert everybody.values is not None
    assert np.isnan(everybody.values).all(axis=1).tolist() == [True, False, True]


def test_images_of_one_stem_that_no_row_names_are_kept_under_their_paths(make_folder):
    files = {"a/1.jpg": 1, "b/1.jpg": 2, "c/2.jpg": 3, "t.csv": "id,class\n2,spiral\n"}
    assert sorted(catalog_of(make_folder(files), unlabelled=True).ids.to_pylist()) == [
        "2",
        "a/1.jpg",
        "b/1.jpg",
    ]


def test_an_id_that_stands_twice_in_the_table_is_refused_with_both_lines(make_folder):
    folder = make_folder(
        {**IMAGES, "t.csv": "id,class\n102,spiral\n101,spiral\n\nimages/102.jpg,edge-on\n"}
    )
    message = refusal(folder)
    assert (
        message
        == "t.csv line 5: id images/102.jpg stands already in t.csv line 2; leave one of them out"
    )
    folder = make_folder({**IMAGES, "t.csv": "id,class\n102,spiral\n9,spiral\n9,edge-on\n"})
    assert (
        refusal(folder)
        == "t.csv line 4: id 9 stands already in t.csv line 3; leave one of them out"
    )


def test_further_ids_that_stand_twice_are_counted(make_folder):
    rows = "".join(f"{n},spiral\n" for n in (101, 102, 103, 9) * 3)
    message = refusal(make_folder({**IMAGES, "t.csv": f"id,class\n{rows}"}))
    assert message.endswith("leave one of them out (7 more rows like it)")


@pytest.mark.parametrize("word", ['"=""0101"""', "'0101", "'0101'", "https://a.b/0101.jpg?s=2#x"])
def test_ids_that_spreadsheets_hold_as_texts_and_addresses_name_images(make_folder, word):
    folder = make_folder({"0101.jpg": 1, "0102.jpg": 2, "t.csv": f"id,class\n{word},spiral\n"})
    assert catalog_of(folder).ids.to_pylist() == ["0101"]


@pytest.mark.parametrize("others", ["", "1103,spiral\n"])
@pytest.mark.parametrize("how", [{}, {"id_column": "id"}])
def test_ids_that_have_lost_the_zeros_before_them_are_refused(make_folder, others, how):
    images = {"0101.jpg": 1, "0102.jpg": 2, "1103.jpg": 3}
    table = f"id,class\n{others}101,spiral\n102.0,edge-on\n7,spiral\n"
    message = refusal(make_folder({**images, "t.csv": table}), **how)
    line = 3 if others else 2
    assert message.startswith(
        f"t.csv line {line}: id is 101, and the image is called 0101: 2 ids of t.csv have lost the"
        " zeros before them. Write the column as text"
    )


def test_an_id_with_fewer_zeros_is_another_galaxys_if_an_image_is_called_so(make_folder):
    images = {"0101.jpg": 1, "101.jpg": 2, "000.jpg": 3}
    catalog = catalog_of(make_folder({**images, "t.csv": "id,class\n101,spiral\n,spiral\n"}))
    assert catalog.ids.to_pylist() == ["101"]


def test_columns_of_several_values_a_row_are_left_out_unless_they_are_asked_for(make_folder):
    folder = make_folder(IMAGES)
    columns = {"id": [101, 102, 103], "class": ["spiral", "edge-on", "spiral"]}
    flux = pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float64(), 2))
    pq.write_table(pa.table(columns | {"flux": flux, "n": [1, 2, 3]}), folder / "t.parquet")
    catalog = catalog_of(folder)
    assert (catalog.arrays, catalog.columns.column_names) == (("flux",), ["n"])
    holds = "t.parquet: the column 'flux' holds 2 values a row: save the one that is meant"
    assert holds in refusal(folder, classes="flux")
    assert holds in refusal(folder, id_column="flux")
    assert "t.parquet row 1: flux is '2 values'; expected one number a row: save the one" in (
        refusal(folder, quantity=("flux",))
    )


def test_a_number_that_may_be_thousands_is_refused_where_others_have_decimal_commas(make_folder):
    text = "id;z;n\n101;0,51;1.234\n102;0,52;12.345\n103;;\n"
    folder = make_folder({**IMAGES, "t.csv": text})
    assert refusal(folder, quantity=("n",)) == (
        "t.csv line 2: n is '1.234', where other columns have decimal commas: this may be one"
        " number or thousands; write all columns alike"
    )
    catalog = catalog_of(folder, quantity=("z",))
    assert catalog.values is not None
    assert catalog.values[:, 0].tolist() == pytest.approx([0.51, 0.52])
    for plain in (text.replace(",", "."), text.replace("12.345", "0.345")):
        catalog = catalog_of(make_folder({"t.csv": plain}), quantity=("n",))
        assert catalog.values is not None
        assert catalog.values[0, 0] == pytest.approx(1.234)


def test_rows_whose_id_is_a_word_for_nothing_are_nobodys(make_folder):
    table = "id,class\nNaN,spiral\n101,spiral\nNaN,edge-on\nNULL,spiral\nNULL,spiral\n"
    catalog = catalog_of(make_folder({**IMAGES, "t.csv": table}))
    assert catalog.ids.to_pylist() == ["101"]
    assert sorted(catalog.rows_without_image) == ["NULL", "NULL", "NaN", "NaN"]


def test_ids_that_floats_have_cut_short_never_name_an_image(make_folder):
    images = {f"{587722984439545856 + 50 * n}.jpg": n for n in range(3)}
    folder = make_folder(images)
    ids = [587722984439545906.0, 587722984439545956.0, 587722984439546056.0]
    pq.write_table(pa.table({"id": ids, "class": ["spiral"] * 3}), folder / "t.parquet")
    assert "t.parquet row 1: id is 5.877229844395458" in refusal(folder)
    assert "have lost their last digits" in refusal(folder, id_column="id")
    pq.write_table(
        pa.table({"id": ids, "name": [name[:-4] for name in images], "class": ["spiral"] * 3}),
        folder / "t.parquet",
    )
    assert catalog_of(folder).id_name == "name"


def test_tables_that_share_floats_which_lost_digits_translate_nothing(make_folder):
    folder = make_folder(IMAGES)
    ids = [587722984439545906.0, 587722984439545956.0]
    pq.write_table(pa.table({"objid": ids, "class": ["spiral"] * 2}), folder / "votes.parquet")
    pq.write_table(pa.table({"objid": ids, "asset": ["101", "102"]}), folder / "names.parquet")
    assert "have lost their last digits" in refusal(folder)


@pytest.mark.parametrize("change", [str.lower, str.upper, lambda name: f" {name} "])
def test_names_of_columns_may_differ_by_spaces_and_case(galaxies_folder, change):
    plain = catalog_of(galaxies_folder)
    header, *rows = (galaxies_folder / "solutions.csv").read_text().splitlines()
    header = ",".join(map(change, header.split(",")))
    (galaxies_folder / "solutions.csv").write_text("\n".join([header, *rows]) + "\n")
    changed = catalog_of(galaxies_folder, id_column="GALAXYid")
    assert changed.values is not None
    np.testing.assert_array_equal(changed.values, plain.values)
    assert changed.columns.column_names == []
    assert changed.id_name == change("GalaxyID").strip()


def test_columns_of_classes_and_numbers_are_named_in_any_case(make_folder):
    folder = make_folder({**IMAGES, "t.csv": "ID,Type,T_Type\n101,a,1.5\n102,b,-2\n"})
    types = catalog_of(folder, classes="type", id_column="id")
    assert types.tree is not None
    assert (types.tree.name, types.columns.column_names) == ("Type", ["T_Type"])
    numbers = catalog_of(folder, quantity=" t_type")
    assert numbers.values is not None
    assert numbers.values[:, 0].tolist() == [1.5, -2]


def test_words_for_nothing_are_no_class_and_are_counted(make_folder):
    table = "id,type\n101,spiral \n102,NaN\n103, edge-on\n"
    catalog = catalog_of(make_folder({**IMAGES, "t.csv": table}), classes="type")
    assert catalog.tree is not None
    assert catalog.tree.columns == ("edge-on", "spiral")
    assert catalog.rows_without_votes == ("102",)
    assert catalog.unknown_words == {"NaN": 1}


def test_values_that_mean_unknown_hold_for_classes_fractions_and_quantities(make_folder):
    folder = make_folder({**IMAGES, "t.csv": "id,type,x\n101,a,-1\n102,-1,2\n103,b,3\n"})
    assert catalog_of(folder, classes="type", missing=-1).ids.to_pylist() == ["101", "103"]
    assert catalog_of(folder, quantity="x", missing="-1").ids.to_pylist() == ["102", "103"]


def test_classes_are_given_names(make_folder):
    folder = make_folder({**IMAGES, "t.csv": "id,ring\n101,0\n102,1.0\n103,1\n"})
    catalog = catalog_of(folder, classes="ring", class_names={"0": "no", "1": "ring"})
    assert catalog.tree is not None
    assert catalog.tree.columns == ("no", "ring")
    assert "class names are for" in refusal(
        folder, kind=ConfigError, quantity="ring", class_names={"0": "no"}
    )


def test_a_table_of_predictions_is_never_taken_for_votes(galaxies_folder):
    plain = catalog_of(galaxies_folder)
    header, *rows = (galaxies_folder / "solutions.csv").read_text().splitlines()
    answers = header.split(",")[1:]
    bounds = [name + end for end in ("_low", "_high") for name in answers]
    for name, more in (("bounds.csv", bounds), ("familiarity.csv", ["familiarity"])):
        lines = [",".join([header, *more]), *(row + ",0.5" * len(more) for row in rows)]
        (galaxies_folder / name).write_text("\n".join(lines) + "\n")
    assert catalog_of(galaxies_folder).digest() == plain.digest()
    assert "is a table of predictions" in refusal(galaxies_folder, table="bounds.csv")
    (galaxies_folder / "solutions.csv").unlink()
    assert "is a table of predictions" in refusal(galaxies_folder)


def test_two_images_of_one_name_are_refused_with_both_paths(make_folder):
    folder = make_folder({"a/1.jpg": 1, "b/1.jpg": 2, "t.csv": "id,class\n1,spiral\n"})
    assert (
        refusal(folder) == "1 is the name of 2 images (a/1.jpg and b/1.jpg): leave one of them out"
    )


def test_two_images_of_one_path_from_two_folders_are_refused(make_folder):
    first, second = make_folder({"1.jpg": 1}, "first"), make_folder({"1.jpg": 2}, "second")
    message = refusal(first, second, unlabelled=True)
    assert (
        message == "2 images are called 1.jpg: give one folder that holds them all, or rename them"
    )


def test_a_table_in_which_nobody_has_votes_is_refused(make_folder):
    folder = make_folder({**IMAGES, "t.csv": "id,class\n101,\n102,\n"})
    assert (
        refusal(folder, tree="classes5")
        == "t.csv: class: not one of 2 galaxies with an image has a class"
    )


def test_file_names_that_are_no_text_are_kept_readable(tmp_path, make_jpeg):
    try:
        (tmp_path / "a\udcff.jpg").write_bytes(make_jpeg(1))
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    assert catalog_of(tmp_path, unlabelled=True).ids.to_pylist() == ["a\\udcff"]


# Which table, which tree


def test_several_tables_of_votes_are_refused_until_one_is_named(galaxies_folder):
    (galaxies_folder / "classes.csv").write_text("id,class\n1003,spiral\n1004,edge-on\n")
    message = refusal(galaxies_folder, kind=ConfigError)
    assert (
        message
        == "several tables hold votes: name one with `labels=LabelSettings(table=…)`: classes.csv,"
        " solutions.csv"
    )
    assert catalog_of(galaxies_folder, table="classes.csv").ids.to_pylist() == ["1003", "1004"]
    assert len(catalog_of(galaxies_folder, tree="kaggle")) == 12
    message = refusal(galaxies_folder, kind=ConfigError, table="other.csv")
    assert message == "no table 'other.csv' among the sources; there are classes.csv, solutions.csv"


def test_example_submissions_are_nobodys_votes(galaxies_folder):
    table = (galaxies_folder / "solutions.csv").read_text()
    (galaxies_folder / "all_zeros_benchmark.csv").write_text(table)
    (galaxies_folder / "sample_submission.csv").write_text(table)
    assert catalog_of(galaxies_folder).votes_from == "solutions.csv: fraction"


def test_a_kind_of_columns_that_is_not_there_is_refused_with_the_nearest(galaxies_folder):
    message = refusal(galaxies_folder, votes="debiased")
    assert message.startswith(
        "no table holds votes of kind 'debiased' that a known tree describes (solutions.csv:"
        " nearest is tree 'kaggle', columns 'fraction': all are there; other trees are candels,"
    )


def test_a_question_with_a_missing_column_is_unknown_as_a_whole(galaxies_folder):
    path = galaxies_folder / "solutions.csv"
    path.write_text(path.read_text().replace("Class8.2", "Class8_2"))
    with open_catalog(galaxies_folder) as catalog:
        assert catalog.unknown_questions == {"Q8": "no Class8.2"}
        assert catalog.tree is not None
        assert catalog.values is not None
        unknown = [name.startswith("Class8.") for name in catalog.tree.columns]
        assert np.isnan(catalog.values).all(axis=0).tolist() == unknown
        assert "Class8_2" in catalog.columns.column_names
        assert "Class8.1" in catalog.columns.column_names


def test_a_table_with_one_question_is_refused_with_the_nearest_tree_and_what_to_do(
    galaxies_folder,
):
    path = galaxies_folder / "solutions.csv"
    path.write_text(re.sub(r"Class(?!6)", "Klass", path.read_text()))
    message = refusal(galaxies_folder)
    nearest = (
        "(solutions.csv: nearest is tree 'kaggle', columns 'fraction': 35 of 37 are missing, e.g."
        " Class1.1; `labels=LabelSettings(tree='kaggle')` reads Q6"
    )
    assert nearest + "; other trees are" in message
    assert (
        "Pass `labels=LabelSettings(classes='COLUMN')` for a column of class names,"
        " `labels=LabelSettings(quantity='COLUMN')` for one of numbers," in message
    )


def test_without_any_table_the_error_says_how_to_go_on(make_folder):
    message = refusal(make_folder(IMAGES))
    assert message.startswith(
        "no table of votes among the sources: add one (CSV or other text, Parquet, FITS,"
        " VOTable), or pass"
        " `labels=LabelSettings(unlabelled=True)`"
    )


def test_without_any_image_the_sources_are_named(make_folder):
    folder = make_folder({"t.csv": "id,class\n1,spiral\n"})
    message = f"no image (JPEG, PNG …) in {folder}: no column of t.csv holds paths of images"
    assert refusal(folder).startswith(message)


@pytest.mark.parametrize(
    "table", ["", "id,class\n", "id,class,class\n101,a,b\n", "id,class\n101\n"]
)
def test_a_broken_table_is_refused_by_name(make_folder, table):
    assert "t.csv" in refusal(make_folder({**IMAGES, "t.csv": table}))


# Classes


def test_any_column_of_classes_becomes_a_tree_of_one_question(make_folder):
    for values in (["01", "1", "01"], ["True", "False", "True"], ["0", "1", "2"]):
        rows = "".join(f"{101 + n},{value}\n" for n, value in enumerate(values))
        catalog = catalog_of(make_folder({**IMAGES, "t.csv": "id,kind\n" + rows}), classes="kind")
        assert catalog.tree is not None
        assert catalog.values is not None
        assert catalog.tree.columns == tuple(sorted(set(values)))
        assert [catalog.tree.columns[place] for place in catalog.values.argmax(axis=1)] == values


def test_classes_can_be_read_with_a_tree_of_ones_own(make_folder):
    folder = make_folder({**IMAGES, "t.csv": "id,kind\n101,spiral\n102,edge-on\n"})
    assert catalog_of(folder, classes="kind", tree="classes5").tree == DecisionTree.load("classes5")
    message = refusal(folder, kind=ConfigError, classes="kind", tree="kaggle")
    assert (
        message
        == "t.csv: the column 'kind' names one answer each; the tree 'kaggle' has 11 questions"
    )
    folder = make_folder({**IMAGES, "t.csv": "id,kind\n101,spirall\n102,edge-on\n"})
    message = refusal(folder, classes="kind", tree="classes5")
    assert message.startswith("t.csv line 2: kind is 'spirall'; did you mean 'spiral'?")


@pytest.mark.parametrize(
    ("word", "values"), [("a", "1 different value"), ("", "0 different values")]
)
def test_one_class_or_none_is_no_classification(make_folder, word, values):
    rows = "".join(f"{101 + n},{word},x\n" for n in range(3))
    message = refusal(make_folder({**IMAGES, "t.csv": "id,kind,more\n" + rows}), classes="kind")
    assert message == f"t.csv: the column 'kind' has {values}; classes are 2 to 100"


def test_a_column_of_numbers_is_not_taken_for_classes(make_folder):
    rows = "".join(f"{n},{n / 7}\n" for n in range(101, 303))
    message = refusal(make_folder({**IMAGES, "t.csv": "id,redshift\n" + rows}), classes="redshift")
    assert message == "t.csv: the column 'redshift' has 202 different values; classes are 2 to 100"


def test_a_column_of_classes_that_is_not_there_is_refused_with_those_that_are(make_folder):
    message = refusal(make_folder({**IMAGES, "t.csv": "id,kind\n101,a\n"}), classes="kinds")
    assert message == "no table has the column 'kinds': t.csv has id, kind"


def test_folders_named_for_answers_are_classes(make_folder):
    folder = make_folder({"round/1.jpg": 1, "long/2.jpg": 2, "round/3.jpg": 3})
    catalog = catalog_of(folder)
    assert catalog.ids.to_pylist() == ["2", "1", "3"]
    assert catalog.tree is not None
    assert catalog.values is not None
    assert catalog.tree.columns == ("long", "round")
    assert catalog.values.tolist() == [[1, 0], [0, 1], [0, 1]]
    assert catalog.votes_from == "the names of the folders"


def test_a_folder_that_is_no_answer_of_the_tree_is_refused_with_the_image(make_folder):
    folder = make_folder({"spiral/1.jpg": 1, "edgeon/2.jpg": 2})
    message = refusal(folder, tree="classes5")
    assert message.startswith("edgeon/2.jpg: class is 'edgeon'; did you mean 'edge-on'?")
    message = refusal(folder, kind=ConfigError, tree="kaggle")
    assert "the tree 'kaggle' has 11 questions" in message


@pytest.mark.parametrize(
    "files",
    [
        {"images_training_rev1/1.jpg": 1, "images_test_rev1/2.jpg": 2},
        {"train/1.jpg": 1, "valid/2.jpg": 2},
        {"1.jpg": 1, "more/2.jpg": 2},
        {"J152/1.jpg": 1, "J164/2.jpg": 2, "t.csv": "id,ra\n1,2\n"},
    ],
)
def test_folders_that_only_divide_the_images_are_not_taken_for_answers(make_folder, files):
    assert "no table" in refusal(make_folder(files))


def test_two_zips_are_not_taken_for_two_answers(tmp_path, make_jpeg):
    for name in ("part1", "part2"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr(f"{name}.jpg", make_jpeg(1))
    assert "no table of votes" in refusal(tmp_path / "part1.zip", tmp_path / "part2.zip")


# Without votes


def test_images_without_votes_can_be_had_without_a_table(make_folder):
    catalog = catalog_of(make_folder(IMAGES), unlabelled=True)
    assert catalog.ids.to_pylist() == ["101", "102", "103"]
    assert (catalog.tree, catalog.values, catalog.images_without_row) == (None, None, ())


def test_ids_are_stems_unless_two_images_share_one(make_folder):
    with open_catalog(
        [make_folder({"a/1.jpg": 1, "b/1.png.jpg": 2})], labels=LabelSettings(unlabelled=True)
    ) as catalog:
        assert catalog.images.unique_ids().to_pylist() == ["1", "1.png"]
    with open_catalog(
        [make_folder({"c/1.jpg": 3})], labels=LabelSettings(unlabelled=True)
    ) as catalog:
        assert catalog.images.unique_ids().to_pylist() == [
            "a/1.jpg",
            "1.png",
            "c/1.jpg",
        ]  # the others keep theirs
    with open_catalog(
        [make_folder({"c/1.png.heif": 3})], labels=LabelSettings(unlabelled=True)
    ) as catalog:
        assert catalog.images.unique_ids().to_pylist() == [
            "a/1.jpg",
            "1.png",
            "c/1.jpg",
            "c/1.png.heif",
        ]  # which is rejected anyway


def test_a_digest_changes_with_everything_that_packing_depends_on(galaxies_folder):
    digest = catalog_of(galaxies_folder).digest()
    assert catalog_of(galaxies_folder).digest() == digest
    path = galaxies_folder / "solutions.csv"
    text = path.read_text()
    value = re.search(r"0\.\d{5}[2-8]", text)
    assert value is not None
    path.write_text(text.replace(value[0], value[0][:-1] + "1", 1))
    assert catalog_of(galaxies_folder).digest() != digest
    path.write_text(text)
    (galaxies_folder / "images" / "1003.jpg").unlink()
    assert catalog_of(galaxies_folder).digest() != digest


def test_a_digest_changes_with_the_questions_of_a_tree_of_the_same_name_and_size(galaxies_folder):
    catalog = catalog_of(galaxies_folder)
    assert catalog.tree is not None
    first, *others = catalog.tree.questions
    for change in ({"text": "Is it blue?"}, {"handed": True}):
        changed = replace(
            catalog.tree, questions=(msgspec.structs.replace(first, **change), *others)
        )
        assert replace(catalog, tree=changed).digest() != catalog.digest()


def test_the_challenge_as_it_is_downloaded_is_read_without_unpacking(
    galaxies_folder, tmp_path, make_jpeg
):
    """A zip of zips: training and test images, solutions, and example submissions beside them."""
    table = (galaxies_folder / "solutions.csv").read_bytes()
    inner: dict[str, dict[str, bytes]] = {
        "images_training_rev1.zip": {
            f"images_training_rev1/{path.name}": path.read_bytes()
            for path in (galaxies_folder / "images").iterdir()
        },
        "images_test_rev1.zip": {f"images_test_rev1/{n}.jpg": make_jpeg(n) for n in (1, 2)},
        "training_solutions_rev1.zip": {"training_solutions_rev1.csv": table},
        "all_ones_benchmark.zip": {"all_ones_benchmark.csv": table},
        "central_pixel_benchmark.zip": {"central_pixel_benchmark.csv": table},
    }
    outer = tmp_path / "galaxy-zoo-the-galaxy-challenge.zip"
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, files in inner.items():
            with archive.open(name, "w") as file, zipfile.ZipFile(file, "w") as nested:
                for path, data in files.items():
                    nested.writestr(path, data)
    catalog, plain = catalog_of(outer), catalog_of(galaxies_folder)
    assert sorted(catalog.ids.to_pylist()) == sorted(plain.ids.to_pylist())
    assert catalog.votes_from.endswith("training_solutions_rev1.csv: fraction")
    assert [name.rsplit("/", 2)[1:] for name in catalog.images_without_row] == [
        ["images_test_rev1", "1.jpg"],
        ["images_test_rev1", "2.jpg"],
    ]


# The real galaxies: every layout as its campaign published it, with no further word


REAL = [
    # sources, options, (galaxies, rows without image, rows without votes, images without row),
    # tree, id, votes
    (
        ["layouts/kaggle"],
        {},
        (3, 0, 0, 3),
        "kaggle",
        "GalaxyID",
        "training_solutions_rev1.csv: fraction",
    ),
    (["layouts/gz2"], {}, (3, 0, 0, 0), "gz2", "asset_id", "gz2_hart16.csv: weighted"),
    (["gz2"], {}, (785, 0, 0, 0), "gz2", "asset_id", "gz2_hart16.csv: weighted"),
    (["gz2"], {"votes": "debiased"}, (785, 0, 0, 0), "gz2", "asset_id", "gz2_hart16.csv: debiased"),
    (
        ["kaggle/originals_424.zip", "kaggle/training_solutions_rev1.csv"],
        {},
        (99, 6_793, 0, 1),
        "kaggle",
        "GalaxyID",
        "training_solutions_rev1.csv: fraction",
    ),
    (["kaggle/images_test_rev1.zip"], {"unlabelled": True}, (200, 0, 0, 0), None, "id", ""),
]
TRAINING = [f"kaggle/images_training_rev1_part{part}.zip" for part in (1, 2, 3, 4)]
REAL += [
    (
        [*TRAINING, "kaggle/training_solutions_rev1.csv"],
        {},
        (6_892, 0, 0, 24_573),
        "kaggle",
        "GalaxyID",
        "training_solutions_rev1.csv: fraction",
    ),
    (
        [*TRAINING, "kaggle/classes5.csv"],
        {},
        (24_943, 0, 0, 6_522),
        "classes5",
        "GalaxyID",
        "classes5.csv: class",
    ),
    (
        [*TRAINING, "kaggle/classes5.csv"],
        {"unlabelled": True},
        (31_465, 0, 0, 0),
        "classes5",
        "GalaxyID",
        "classes5.csv: class",
    ),
]
REAL += [
    (
        ["layouts/gz_decals"],
        {"table": f"gz_decals_{name}.csv"},
        (6, 0, 0, 12),
        tree,
        "iauname",
        f"gz_decals_{name}.csv: {kind}",
    )
    for name, tree, kind in (
        ("volunteers_1_and_2", "decals12", "votes"),
        ("volunteers_5", "decals", "votes"),
        ("auto_posteriors", "decals", "fraction"),
    )
]


@pytest.mark.real_data
@pytest.mark.parametrize(("sources", "options", "counts", "tree", "id_name", "votes"), REAL)
def test_real_layouts_are_read_with_every_galaxy(
    shared_data, sources, options, counts, tree, id_name, votes
):
    catalog = catalog_of(*(shared_data / source for source in sources), **options)
    left_out = (catalog.rows_without_image, catalog.rows_without_votes, catalog.images_without_row)
    assert (len(catalog), *map(len, left_out)) == counts
    assert (catalog.tree and catalog.tree.name, catalog.id_name, catalog.votes_from) == (
        tree,
        id_name,
        votes,
    )
    if catalog.tree is not None:
        assert catalog.values is not None
        if (catalog.tree.name, votes.split(": ")[1]) in (
            ("kaggle", "fraction"),
            ("gz2", "weighted"),
        ):
            asked = catalog.tree.asked(catalog.values)
            for index, (_, where) in enumerate(catalog.tree):
                total = catalog.values[:, where].sum(axis=1)
                known = ~np.isnan(total) & ~np.isnan(asked[:, index])
                np.testing.assert_allclose(total[known], asked[known, index], atol=0.011)


@pytest.mark.real_data
@pytest.mark.parametrize("folder", ["layouts/gz_decals", "kaggle"])
def test_real_folders_with_several_tables_ask_which_one(shared_data, folder):
    message = refusal(shared_data / folder, kind=ConfigError)
    assert message.startswith(
        "several tables hold votes: name one with `labels=LabelSettings(table=…)`: "
    )


@pytest.mark.real_data
def test_real_counts_are_kept_beside_real_fractions_and_so_are_the_other_columns(shared_data):
    catalog = catalog_of(shared_data / "layouts" / "gz2")
    assert catalog.counts is not None
    assert catalog.values is not None
    assert (
        catalog.counts[:, :3].sum(axis=1).tolist()
        == catalog.columns["total_classifications"].to_pylist()
    )
    np.testing.assert_allclose(
        catalog.counts[:, :3] / catalog.counts[:, :3].sum(axis=1, keepdims=True),
        catalog.values[:, :3],
        atol=0.05,
    )
