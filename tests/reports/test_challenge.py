import dataclasses
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from galaxyvotes.errors import ConfigError, DataError, GalaxyVotesError
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.challenge import leaderboard_place, submit

IDS = tuple(str(100_008 + 15 * n) for n in range(6))


@pytest.fixture
def predictions(kaggle, make_fractions) -> Predictions:
    return Predictions(IDS, kaggle.columns, make_fractions(kaggle, len(IDS)), "GalaxyID")


@pytest.fixture
def sample(tmp_path, kaggle) -> Path:
    """A sample submission as the challenge's own: CRLF, ids in their order."""
    lines = [
        ",".join(["GalaxyID", *kaggle.columns]),
        *(",".join([name, *["0"] * 37]) for name in IDS),
    ]
    path = tmp_path / "sample.csv"
    path.write_bytes("".join(line + "\r\n" for line in lines).encode())
    return path


def refusal(
    predictions: Predictions, sample: Path, out: Path, kind: type[GalaxyVotesError] = DataError
) -> str:
    with pytest.raises(kind) as error:
        submit(predictions, sample, out)
    assert not out.exists()
    return str(error.value)


def changed(predictions: Predictions, ids: list[str]) -> Predictions:
    """Predictions for these ids instead."""
    rows = [IDS.index(name) if name in IDS else 0 for name in ids]
    return dataclasses.replace(predictions, ids=tuple(ids), values=predictions.values[rows])


def test_header_order_numbers_and_line_ends_are_the_challenges(predictions, sample, tmp_path):
    submit(changed(predictions, list(IDS[::-1])), sample, tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_bytes().decode().split("\r\n")
    assert lines[0] == sample.read_text().splitlines()[0]
    assert lines[-1] == ""
    rows = [line.split(",") for line in lines[1:-1]]
    assert [row[0] for row in rows] == list(IDS)
    assert all(re.fullmatch(r"0|1|0\.\d{0,8}[1-9]", number) for row in rows for number in row[1:])
    np.testing.assert_allclose(
        np.array([row[1:] for row in rows], float), predictions.values, atol=5.1e-10
    )


def test_the_ends_of_the_scale_and_tiny_numbers_are_written_plainly(predictions, sample, tmp_path):
    predictions.values[0, :6] = 0, 1, 1e-12, -0.0, 0.5, 1e-9
    submit(predictions, sample, tmp_path / "out.csv")
    assert (
        (tmp_path / "out.csv")
        .read_text()
        .splitlines()[1]
        .startswith("100008,0,1,0,0,0.5,0.000000001,")
    )


def test_columns_may_stand_in_another_order_and_others_beside_them(predictions, sample, tmp_path):
    submit(predictions, sample, tmp_path / "first.csv")
    more = np.concatenate(
        [np.full((len(IDS), 1), np.nan, np.float32), predictions.values[:, ::-1]], axis=1
    )
    other = Predictions(IDS, ("brightness", *predictions.columns[::-1]), more)
    submit(other, sample, tmp_path / "second.csv")
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()


@pytest.mark.parametrize("name", ["mine.zip", "mine.csv.zip"])
def test_a_name_that_ends_in_zip_packs_the_table(predictions, sample, tmp_path, name):
    submit(predictions, sample, tmp_path / "plain.csv")
    submit(predictions, sample, tmp_path / name)
    with zipfile.ZipFile(tmp_path / name) as archive:
        assert archive.namelist() == ["mine.csv"]
        assert archive.read("mine.csv") == (tmp_path / "plain.csv").read_bytes()


def test_the_sample_may_be_zipped_as_the_challenge_ships_it(predictions, sample, tmp_path):
    with zipfile.ZipFile(tmp_path / "sample.zip", "w") as archive:
        archive.write(sample, "central_pixel_benchmark.csv")
    submit(predictions, tmp_path / "sample.zip", tmp_path / "zipped.csv")
    submit(predictions, sample, tmp_path / "plain.csv")
    assert (tmp_path / "zipped.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_missing_extra_and_duplicate_galaxies_are_told_together_with_examples(
    predictions, sample, tmp_path
):
    other = changed(predictions, [IDS[0], IDS[0], *IDS[4:], "7", "8", "9", "10"])
    assert (
        refusal(other, sample, tmp_path / "out.csv")
        == "the predictions are not what sample.csv asks for: given twice: 1 galaxy (100008);"
        " missing: 3 galaxies (100023, 100038, 100053); not asked for: 4 galaxies (10, 7, 8 …)."
        " Keep only the rows of galaxies that it asks for"
    )


def test_one_missing_galaxy_is_enough(predictions, sample, tmp_path):
    told = refusal(changed(predictions, list(IDS[1:])), sample, tmp_path / "out.csv")
    assert told == "the predictions are not what sample.csv asks for: missing: 1 galaxy (100008)"


def test_missing_answers_are_told_with_examples(predictions, sample, tmp_path):
    other = Predictions(IDS, predictions.columns[4:], predictions.values[:, 4:])
    assert (
        refusal(other, sample, tmp_path / "out.csv")
        == "the predictions have no 4 columns (Class1.1, Class1.2, Class1.3 …), which sample.csv"
        " asks for: name their run, `run=…`, whose mean votes fill what it does not predict"
    )


@pytest.mark.parametrize(
    ("value", "shown"), [(np.nan, "nan"), (-0.01, "-0.01"), (1.5, "1.5"), (np.inf, "inf")]
)
def test_a_number_outside_zero_to_one_is_told_with_its_galaxy_and_answer(
    predictions, sample, tmp_path, value, shown
):
    predictions.values[3, predictions.columns.index("Class5.2")] = value
    told = refusal(predictions, sample, tmp_path / "out.csv")
    assert told == f"galaxy 100053: Class5.2 is {shown}; a submission's numbers lie in 0–1"


def test_another_ending_is_refused(predictions, sample, tmp_path):
    told = refusal(predictions, sample, tmp_path / "out.parquet", ConfigError)
    assert told == f"{tmp_path / 'out.parquet'}: a submission ends in .csv or .zip"


def test_what_is_no_sample_submission_is_refused(predictions, sample, tmp_path):
    assert "there is no such file or folder" in refusal(
        predictions, tmp_path / "none.csv", tmp_path / "out.csv"
    )
    (tmp_path / "both").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "both" / name).write_bytes(sample.read_bytes())
    told = refusal(predictions, tmp_path / "both", tmp_path / "out.csv")
    assert told == f"{tmp_path / 'both'} holds 2 tables; a sample submission is one CSV"
    sample.write_bytes(sample.read_bytes() + sample.read_bytes().split(b"\r\n")[1] + b"\r\n")
    told = refusal(predictions, sample, tmp_path / "out.csv")
    assert told == "sample.csv asks twice for 1 galaxy (100008); it is no sample submission"


@pytest.mark.real_data
def test_kaggles_own_benchmark_comes_back_byte_for_byte(shared_data, tmp_path, kaggle):
    sample = shared_data / "kaggle" / "central_pixel_benchmark.zip"
    with zipfile.ZipFile(sample) as archive:
        original = archive.read("central_pixel_benchmark.csv")
    lines = original.decode().split("\r\n")
    rows = [line.split(",") for line in lines[1:-1]]
    assert len(rows) == 79_975
    assert tuple(lines[0].split(",")) == ("GalaxyID", *kaggle.columns)
    predictions = Predictions(
        tuple(row[0] for row in rows[::-1]),
        kaggle.columns,
        np.array([row[1:] for row in rows[::-1]], np.float64),
    )
    submit(predictions, sample, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == original


def test_fractions_of_those_who_were_asked_are_no_submission(predictions, sample, tmp_path, kaggle):
    asked = kaggle.conditional(predictions.values.astype(np.float64))
    told = refusal(
        dataclasses.replace(predictions, values=asked.astype(np.float32)),
        sample,
        tmp_path / "out.csv",
    )
    assert told.endswith("predict again with `fractions='joint'`")
    assert not (tmp_path / "out.csv").exists()


# ---- leaderboard


@pytest.mark.parametrize(
    ("rmse", "better", "worse", "words"),
    [
        (0.07, None, 1, "ahead of place 1 (0.07491) among 329 teams"),
        (0.07491, 1, 2, "between place 1 (0.07491) and place 2 (0.07752)"),
        (0.11446, 60, 145, "between place 60 (0.10494) and place 145 (0.12859)"),
        (
            0.15,
            145,
            None,
            (
                "after place 145 (0.12859), the last one known, and ahead of the central-pixel"
                " benchmark"
            ),
        ),
        (0.2, 145, None, "level with or behind the central-pixel benchmark (0.16194)"),
    ],
)
def test_a_place_on_the_leaderboard_is_between_the_known_ones(rmse, better, worse, words):
    place = leaderboard_place(rmse)
    assert (place["better"] and place["better"]["rank"]) == better
    assert (place["worse"] and place["worse"]["rank"]) == worse
    assert words in place["sentence"]
    assert "not public" in place["caveat"]


def test_answers_that_are_not_predicted_are_filled_with_the_means_and_named(
    predictions, sample, kaggle, tmp_path
):
    few = Predictions(IDS, kaggle.columns[:2], predictions.values[:, :2])
    means = dict.fromkeys(kaggle.columns, 0.25)
    filled = submit(few, sample, tmp_path / "out.csv", means=means)
    assert filled == kaggle.columns[2:]
    rows = [line.split(",")[1:] for line in (tmp_path / "out.csv").read_text().splitlines()[1:]]
    values = np.array(rows, float)
    np.testing.assert_allclose(values[:, :2], few.values, atol=5.1e-10)
    assert (values[:, 2:] == 0.25).all()
    assert submit(predictions, sample, tmp_path / "whole.csv", means=means) == ()


def test_answers_without_a_mean_stay_an_error_that_names_the_way(
    predictions, sample, kaggle, tmp_path
):
    few = Predictions(IDS, kaggle.columns[:2], predictions.values[:, :2])
    told = refusal(few, sample, tmp_path / "out.csv")
    assert "have no 35 columns (Class1.3, Class2.1, Class2.2 …)" in told
    assert "name their run, `run=…`, whose mean votes fill" in told


def test_conditional_fractions_are_refused_beside_filled_ones_too(kaggle, sample, tmp_path):
    random = np.random.default_rng(0)
    conditional = np.concatenate(
        [random.dirichlet(np.ones(len(q.answers)), len(IDS)) for q in kaggle.questions], axis=1
    ).astype(np.float32)
    rest = Predictions(IDS, kaggle.columns[:-2], conditional[:, :-2])
    means = dict.fromkeys(kaggle.columns, 0.1)
    with pytest.raises(DataError, match="fractions of those who were asked"):
        submit(rest, sample, tmp_path / "out.csv", means=means)
