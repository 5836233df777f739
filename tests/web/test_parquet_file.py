"""The Parquet file that is made of a table in another format."""

from galaxyvotes.web.catalogue import Catalogue


def test_ids_of_digits_in_a_csv_are_texts(tmp_path):
    (tmp_path / "answers.csv").write_text("id,Class1.1\n100001,0.5\n100002,0.25\n")
    with Catalogue.open(tmp_path / "answers.csv") as catalogue:
        assert catalogue.id_column == "id"
        assert catalogue.row_of("100002") == 1
