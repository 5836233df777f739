"""Quantities through the same line as votes: from a column of a table to prediction intervals and a
report."""

import csv
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import simplejpeg
import torch
from astropy.table import Table as AstropyTable

from galaxyvotes import (
    CheckpointError,
    ConfigError,
    DataError,
    PackSettings,
    Predictions,
    Run,
    SplitSettings,
    Store,
    draw_figures,
    ensemble,
    evaluate,
    export,
    finetune,
    pack,
    predict,
    predict_store,
    train,
)
from galaxyvotes.cli.app import main
from galaxyvotes.config import LabelSettings
from galaxyvotes.inference.onnx_model import read_onnx, sealed
from galaxyvotes.kinds import CLASSES, FRACTIONS, QUANTITIES, Standard
from galaxyvotes.metrics.regression import quantity_statistics
from galaxyvotes.metrics.statistic import value_of
from galaxyvotes.networks.objectives import OBJECTIVES, objective_for
from galaxyvotes.tree import DecisionTree

TTYPE = DecisionTree.of_numbers(["ttype"])
BOTH = DecisionTree.of_numbers(["ttype", "colour"])
EXACT = "train.precision=float32"  # half precision rounds what is compared here
SETTINGS = (
    EXACT,
    "model.name=compact",
    "model.width=8",
    "train.batch_size=8",
    "train.keep=last",
    "train.epochs=15",
)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """A folder of 120 blobs of all sizes and `sizes.csv`: a size from −6 to 10, the same in another
    unit, a word."""
    folder = tmp_path_factory.mktemp("sized")
    random = np.random.default_rng(0)
    y, x = np.mgrid[-16:16, -16:16] + 0.5
    lines = ["name,ttype,metres,remark"]
    (folder / "images").mkdir()
    for number in range(120):
        size = random.uniform(-6, 10)
        light = np.exp(-(x**2 + y**2) / (3 + (size + 6) / 2) ** 2) * 180 + random.normal(
            20, 5, x.shape
        )
        image = np.repeat(light.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        path = folder / "images" / f"g{number}.jpg"
        path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=95))
        lines.append(
            f"g{number},{'' if number % 10 == 0 else f'{size:.4f}'},{size * 1e7 + 1e9:.0f},fine"
        )
    (folder / "sizes.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def packed(table: Path, out: Path, quantity="ttype", classes=None, **changes) -> Store:
    how = {
        "settings": PackSettings(32, 32),
        "splits": SplitSettings(0.4, 0.3, 0.3),
        "progress": False,
    } | changes
    return pack(
        [table / "images", table / "sizes.csv"],
        out,
        labels=LabelSettings(
            quantity=(quantity,) if isinstance(quantity, str) else tuple(quantity), classes=classes
        ),
        **how,
    )


@pytest.fixture(scope="module")
def store(table, tmp_path_factory) -> Store:
    return packed(table, tmp_path_factory.mktemp("store") / "store")


@pytest.fixture(scope="module")
def run(store, tmp_path_factory) -> Run:
    out = tmp_path_factory.mktemp("run") / "run"
    return train(store, out, recipe="small", settings=SETTINGS, progress=False)


def with_cell(table: Path, out: Path, value: str, line: int = 5) -> Path:
    """The same folder with another value of `ttype` in one line of the table."""
    lines = (table / "sizes.csv").read_text("utf-8").splitlines()
    cells = lines[line - 1].split(",")
    lines[line - 1] = ",".join([cells[0], value, *cells[2:]])
    (out / "images").symlink_to(table / "images")
    (out / "sizes.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return out


# Packing


def test_a_column_of_numbers_is_packed_as_it_is_and_empty_cells_are_not_known(table, store):
    rows = list(csv.DictReader((table / "sizes.csv").read_text().splitlines()))
    written = {row["name"]: float(row["ttype"]) for row in rows if row["ttype"]}
    assert set(store.ids) == set(written)  # those without a value were left out
    assert np.allclose(store.values[:, 0], [written[name] for name in store.ids], rtol=1e-6)
    assert store.tree == TTYPE
    assert store.votes is None
    assert {"quantity:ttype", "remark", "metres"} < set(store.table.column_names)


def test_one_of_several_quantities_may_be_unknown(table, tmp_path):
    both = packed(table, tmp_path / "store", ["ttype", "metres"])
    assert len(both) == 120
    assert np.isnan(both.values).sum(axis=0).tolist() == [12, 0]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("inf", "ttype is inf; a quantity is a finite number"),
        ("-1e39", "ttype is -1e+39; a quantity is computed with up to 1e+15: give the column in a"),
        ("1e20", "ttype is 1e+20; a quantity is computed with up to 1e+15: give the column in a"),
        ("Sbc", "ttype is 'Sbc'; expected a number"),
        ("-999", "ttype is -999; far from all others. If it stands for not known, leave it empty"),
        ("99.0", "ttype is 99; far from all others"),
    ],
)
def test_what_is_no_number_is_refused_with_file_line_and_column(table, tmp_path, value, said):
    with pytest.raises(DataError, match=re.escape(f"sizes.csv line 5: {said}")):
        packed(with_cell(table, tmp_path, value), tmp_path / "store")


def test_quantities_that_are_all_too_small_to_be_squared_are_refused(table, tmp_path):
    lines = (table / "sizes.csv").read_text("utf-8").splitlines()
    (tmp_path / "images").symlink_to(table / "images")
    small = [line.replace(",", ",1e-20,", 1) for line in lines[1:]]
    text = "\n".join([lines[0].replace(",", ",megaparsec,", 1), *small])
    (tmp_path / "sizes.csv").write_text(text + "\n", "utf-8")
    with pytest.raises(DataError, match=r"line 2: megaparsec is 1e-20; .* in a smaller unit"):
        packed(tmp_path, tmp_path / "store", "megaparsec")


def test_nan_is_not_known(table, tmp_path):
    assert len(packed(with_cell(table, tmp_path, "NaN"), tmp_path / "store")) == 107


def test_a_column_that_is_not_there_is_refused_with_those_that_are(table, tmp_path):
    with pytest.raises(
        DataError, match=r"no table has the column 'tyype': .*sizes\.csv has name, ttype, metres"
    ):
        packed(table, tmp_path / "store", ["ttype", "tyype"])
    with pytest.raises(
        ConfigError,
        match="quantity 'ttype' is a tree of its own: leave out tree, votes, classes and largest",
    ):
        packed(table, tmp_path / "store", classes="remark")


def test_packing_says_what_the_numbers_are(table, tmp_path, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(
            [
                "pack",
                str(table),
                "--out",
                str(tmp_path / "store"),
                "--quantity",
                "ttype",
                "--crop",
                "32",
                "--size",
                "32",
            ]
        )
    told = capsys.readouterr().out
    assert re.search(r"ttype: 108 known, -5\.\d+ to 9\.\d+, mean \d\.\d+", told)
    assert "12 galaxies have no label and were left out" in told


# The tree


def test_a_tree_of_quantities_comes_back_from_its_file():
    assert DecisionTree.from_toml(BOTH.to_toml()) == BOTH
    assert BOTH.kind is QUANTITIES
    assert DecisionTree.of_classes(["a", "b"]).kind is CLASSES
    assert DecisionTree.load("kaggle").kind is FRACTIONS
    shortened = TTYPE.to_toml().replace(
        '[[table]]\nname = "quantity"\ncolumns = "{answer}"\nholds = "quantity"', ""
    )
    assert "table" not in shortened
    assert DecisionTree.from_toml(shortened).tables == TTYPE.tables


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("quantity = true", "quantity = 1", "quantity is 1; expected true or false"),
        ("quantity = true", "quantity = false", "1 answer; a question needs two or more"),
        (
            'holds = "quantity"',
            'holds = "joint"',
            "asks for quantities, and its table 'quantity' holds 'joint'",
        ),
        (
            "quantity = true",
            'quantity = true\nasked_of = "colour"',
            "everybody has it, and nothing follows it",
        ),
        (
            'text = "colour"\n\n[[question]]',
            'text = "colour"\n[[question.answer]]\ncolumn = "b"\ntext = "b"\n[[question]]',
            "is a quantity and has 2 answers; a quantity has one",
        ),
    ],
)
def test_a_tree_that_makes_no_sense_of_quantities_is_refused(old, new, said):
    text = DecisionTree.of_numbers(["colour", "ttype"]).to_toml()
    assert old in text
    with pytest.raises(ConfigError, match=re.escape(said)):
        DecisionTree.from_toml(text.replace(old, new, 1))


def test_quantities_and_questions_in_one_tree_are_refused():
    question = DecisionTree.of_classes(["a", "b"]).questions[0]
    with pytest.raises(ConfigError, match="make two trees and two stores"):
        DecisionTree("x", "x", (*TTYPE.questions, question), TTYPE.tables)


# The objective


@pytest.mark.parametrize("name", OBJECTIVES)
def test_whatever_the_objective_of_fractions_a_quantity_costs_its_squared_standard_error(name):
    objective = objective_for(name, BOTH, BOTH.columns, (Standard(2.0, 4.0), Standard(0.7, 0.1)))
    values = torch.tensor([[6.0, math.nan], [math.nan, math.nan], [2.0, 0.9]])
    assert objective.loss(torch.zeros(3, 2), values).tolist() == pytest.approx([1, 0, 2], abs=1e-5)
    assert not objective.uses_votes
    assert objective.values(torch.zeros(1, 2)).tolist()[0] == pytest.approx([2, 0.7])
    perfect = torch.tensor([[-1.0, 3.0]])
    assert float(objective.loss(perfect, objective.values(perfect))) == pytest.approx(0, abs=1e-9)


def test_a_quantity_that_never_varies_is_nothing_to_learn(table, tmp_path):
    lines = [f"g{number},3" for number in range(120)]
    (tmp_path / "flat.csv").write_text("name,ttype\n" + "\n".join(lines) + "\n", "utf-8")
    sources = [table / "images", tmp_path / "flat.csv"]
    flat = pack(
        sources,
        tmp_path / "flat",
        labels=LabelSettings(quantity="ttype"),
        settings=PackSettings(32, 32),
        progress=False,
    )
    with pytest.raises(DataError, match=r"flat: ttype is always 3 among the training galaxies"):
        train(flat, tmp_path / "run", recipe="small", settings=SETTINGS, progress=False)
    assert not (tmp_path / "run").exists()


# The line


def test_a_network_that_learns_for_seconds_is_far_ahead_of_the_mean_and_the_report_says_so(
    run, store, tmp_path
):
    result = evaluate(store, run, out=tmp_path / "report", resamples=100, progress=False)
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    (row,) = document["network"]
    assert row["r2"]["low"] > 0.6
    assert row["rmse"]["value"] < 0.6 * document["baselines"]["mean"][0]["rmse"]["value"]
    assert document["differences"]["mean"][0]["low"] > 0
    assert set(document["baselines"]) == {"mean", "central pixel", "boosted trees"}
    rows = store.rows("test")
    said, labels = (
        predict_store(run.network(), store, rows).values[:, 0],
        store.values[rows, 0],
    )
    assert row["rmse"]["value"] == pytest.approx(np.sqrt(np.mean((said - labels) ** 2)), rel=1e-5)
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "Evaluation of predicted quantities: ttype" in page
    for nonsense in ("AUC", "ROC", "ccuracy", "volunteers", "fraction"):
        assert nonsense not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL), nonsense
    table = list(csv.DictReader((tmp_path / "report" / "report.csv").read_text().splitlines()))
    assert [each["predictor"] for each in table] == ["network", *document["baselines"]]
    assert "ttype  network" in result.table()
    assert "the RMSE of ttype is" in result.table()


@pytest.mark.parametrize("kind", ["ascii.ecsv", "fits", "votable"])
def test_the_unit_of_a_column_stands_in_the_report_and_in_tables(table, tmp_path, kind):
    rows = list(csv.DictReader((table / "sizes.csv").read_text().splitlines()))[1:20]
    known = [row for row in rows if row["ttype"]]
    columns = AstropyTable({"name": [row["name"] for row in known]})
    columns["size"] = [float(row["ttype"]) for row in known]
    stores = dict[str, Store]()
    for unit in ("arcsec", "arcmin", ""):
        columns["size"].unit = unit or None
        path = tmp_path / f"t{unit}.{kind.removeprefix('ascii.')}"
        columns.write(path, format=kind)
        stores[unit] = pack(
            [table / "images", path],
            tmp_path / f"store {unit}",
            labels=LabelSettings(quantity=("size",)),
            settings=PackSettings(32, 32),
            splits=SplitSettings(0.4, 0.2, 0.4),
            progress=False,
        )
        assert stores[unit].tree.units == ({"size": unit} if unit else {})
    settings = (EXACT, "train.epochs=1", "train.batch_size=4")
    arcsec, out = stores["arcsec"], tmp_path / "run"
    run = train(arcsec, out, recipe="small", settings=settings, progress=False)
    result = evaluate(arcsec, run, resamples=20, progress=False)
    assert re.search(r"RMSE of size is [\d.]+\N{NO-BREAK SPACE}arcsec \(", result.table())
    assert "<h3>size (arcsec)</h3>" in result.path.read_text("utf-8")
    done = predict(table / "images", run=run, progress=False)
    assert str(done.to_astropy()["size"].unit) == "arcsec"
    assert evaluate(stores[""], run, out=tmp_path / "without unit", resamples=5, progress=False)
    with pytest.raises(CheckpointError, match="size is in arcsec for the one and in arcmin for th"):
        evaluate(stores["arcmin"], run, out=tmp_path / "other", progress=False)
    with pytest.raises(ConfigError, match="different units: size is in arcsec for the one and in"):
        train([arcsec, stores["arcmin"]], tmp_path / "both", recipe="small", progress=False)


def test_no_accuracy_is_made_up_while_training(run):
    assert {row["accuracy"] for row in run.history} == {None}
    assert {row["validation_accuracy"] for row in run.history} == {None}


def test_a_run_opened_again_gives_numbers_in_the_unit_of_the_table(run, store, table, tmp_path):
    done = predict(table / "images", tmp_path / "out.csv", run=Run.open(run.path), progress=False)
    read = Predictions.read(done.path)
    assert read.columns == ("ttype",)
    assert len(read) == 120  # also those whose T type nobody knows
    expected = predict_store(run.network(), store)
    order = [read.ids.index(name) for name in expected.ids]
    assert np.allclose(read.values[order], expected.values, atol=1e-5)
    assert np.ptp(read.values) > 5


def test_calibrated_bounds_hold_and_are_not_cut_off(store, run, table, tmp_path, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["calibrate", str(store.path), "--run", str(run.path)])
    assert "90 % intervals for 1 answer," in capsys.readouterr().out
    rows = store.rows("test")
    said = predict_store(run.network(), store, rows)
    labels = store.values[rows]
    assert 0.7 < ((said.bounds.lower <= labels) & (labels <= said.bounds.upper)).mean() <= 1
    assert said.bounds.lower.min() < 0
    assert said.bounds.upper.max() > 1
    header = (
        predict(table / "images", tmp_path / "o.csv", run=run, progress=False)
        .path.read_text()
        .splitlines()[0]
    )
    assert header.replace('"', "") == "id,ttype,ttype_low,ttype_high,familiarity"
    report = evaluate(
        store, run, out=tmp_path / "report", baselines=False, resamples=20, progress=False
    )
    assert report.document["intervals"]["quantities"][0]["coverage"]["value"] > 0.7
    least_familiar = report.document["shown"]["least_familiar"]
    elsewhere = {
        each["id"] for group in ("best", "worst") for each in report.document["shown"][group]
    }
    others = [
        score
        for name, score in zip(said.ids, said.familiarity.tolist(), strict=True)
        if name not in elsewhere
    ]
    assert [each["familiarity"] for each in least_familiar] == sorted(others)[: len(least_familiar)]
    page = report.path.read_text("utf-8")
    assert 'href="#familiarity"' in page
    assert all(f">{each['id']}</h4>" in page for each in least_familiar)
    assert "nominal coverage 90\N{NO-BREAK SPACE}%" in page
    assert run.calibration().joint.kind == "quantity"
    assert run.calibration().conditional is None


def test_a_frozen_encoder_learns_a_quantity_and_a_second_run_begins_with_it(
    run, store, table, tmp_path
):
    other = packed(table, tmp_path / "metres", "metres", splits=SplitSettings(0.5, 0.2, 0.3))
    settings = (
        "train.encoder_rate=0",
        "train.batch_size=8",
        "train.epochs=15",
        "train.average=0.9",
        "train.learning_rate=1e-2",
    )
    metres = finetune(other, tmp_path / "run", start=run, settings=settings, progress=False)
    rows = other.rows("validation")
    predicted = predict_store(metres.network(), other, rows).values
    assert value_of(quantity_statistics(other.values[rows], predicted)["r2"], len(rows))[0] > 0.5
    again = packed(table, tmp_path / "again", splits=SplitSettings(0.2, 0.4, 0.4, "another"))
    still = (
        EXACT,
        "train.epochs=1",
        "train.batch_size=8",
        "train.learning_rate=1e-9",
        "train.encoder_rate=0",
    )
    second = finetune(again, tmp_path / "second", start=run, settings=still, progress=False)
    assert second.heads[0].standards != run.heads[0].standards
    before, after = (
        predict_store(each.network(), again, intervals=False).values for each in (run, second)
    )
    assert np.allclose(before, after, atol=1e-2)


def test_quantities_and_votes_teach_one_network_together(table, store, blob_store, tmp_path):
    settings = (
        "train.epochs=2",
        "train.batch_size=8",
        "train.objective=cross_entropy",
        "train.min_mean_fraction=0",
    )
    together = train(
        [blob_store, store], tmp_path / "run", recipe="small", settings=settings, progress=False
    )
    assert [head.standards == () for head in together.heads] == [True, False]
    assert together.history[-1]["ttype_validation_mse"] > 0
    assert together.history[-1]["ttype_validation_accuracy"] is None
    assert together.history[-1]["validation_accuracy"] is not None
    said = predict_store(together.network(tree="ttype"), store)
    assert said.columns == ("ttype",)
    assert np.isfinite(said.values).all()


def test_what_makes_no_sense_for_a_quantity_is_refused(run, store, tmp_path):
    with pytest.raises(
        ConfigError,
        match="evaluates vote fractions; ttype is of quantities: leave out `as_published=True`",
    ):
        evaluate(store, run, out=tmp_path / "report", as_published=True, progress=False)
    drawn = draw_figures(run, store, tmp_path / "figures")
    assert [path.stem for path in drawn] == ["architecture", "predicted"]


@pytest.mark.parametrize("from_file", [False, True])
def test_a_quantity_has_no_fraction_of_those_who_were_asked(
    run, exported, table, tmp_path, capsys, from_file
):
    source = exported if from_file else run.path
    with pytest.raises(SystemExit, match="2"):
        main(
            [
                "predict",
                str(table),
                "--run",
                str(source),
                "--out",
                str(tmp_path / "o.csv"),
                "--fractions",
                "conditional",
            ]
        )
    assert "asks for quantities, which have no conditional fractions" in capsys.readouterr().err
    assert not (tmp_path / "o.csv").exists()


@pytest.fixture(scope="module")
def exported(run, table, tmp_path_factory) -> Path:
    done = export(tmp_path_factory.mktemp("onnx") / "ttype.onnx", run=run, check=table / "images")
    assert done.difference < 1e-5
    return done.path


def test_an_onnx_file_says_quantities_in_their_unit_and_knows_their_standards(
    run, exported, table, tmp_path
):
    network = run.network()
    assert read_onnx(exported).heads == network.heads
    said = Predictions.read(
        predict(table / "images", tmp_path / "out.csv", run=exported, progress=False).path
    )
    expected = predict(
        table / "images", tmp_path / "run.csv", run=run, intervals=False, progress=False
    )
    expected = Predictions.read(expected.path)
    assert said.columns == ("ttype",)
    assert said.ids == expected.ids
    assert np.allclose(said.values, expected.values, atol=0.2)  # where products are in bfloat16
    assert np.corrcoef(said.values[:, 0], expected.values[:, 0])[0, 1] > 0.999
    assert np.ptp(said.values) > 5


def test_an_onnx_file_far_from_zero_is_compared_in_deviations(run, store, tmp_path):
    shutil.copytree(run.path, tmp_path / "far")
    facts = json.loads((tmp_path / "far" / "run.json").read_text())
    facts |= {"standards": [[[1e6, 3.0]]], "digest": None}
    facts = {name: value for name, value in facts.items() if value is not None}
    (tmp_path / "far" / "run.json").write_text(json.dumps(facts))
    done = export(tmp_path / "far.onnx", run=tmp_path / "far")
    assert done.difference < 1e-4
    said = predict_store(read_onnx(done.path), store).values
    assert np.abs(said - 1e6).max() < 30


def test_a_file_whose_standards_do_not_fit_its_answers_is_refused(exported, tmp_path):
    model = onnx.load_model(exported)
    model.metadata_props.pop()  # the digest
    note = next(each for each in model.metadata_props if each.key == "standards")
    for wrong in ("[]", "[[1]]", "[[1, 2], [3, 4]]", "7"):
        note.value = wrong
        (tmp_path / "wrong.onnx").write_bytes(sealed(model.SerializeToString()))
        with pytest.raises(CheckpointError, match="metadata that cannot be understood"):
            read_onnx(tmp_path / "wrong.onnx")


def test_runs_are_joined_in_the_unit_of_the_table_if_the_same_galaxies_taught_them(
    run, store, table, tmp_path
):
    quick = (*SETTINGS[:-1], "train.epochs=2", "train.seed=1")
    other = train(store, tmp_path / "other", recipe="small", settings=quick, progress=False)
    joined = ensemble([run, other], tmp_path / "joined")
    assert joined.heads == run.heads
    each = [predict_store(one.network(), store, intervals=False).values for one in (run, other)]
    found = predict_store(Run.open(joined.path).network(), store)
    assert np.allclose(found.values, np.mean(each, axis=0), atol=1e-4)
    assert np.allclose(found.spread, np.std(each, axis=0), atol=1e-4)
    divided = packed(table, tmp_path / "divided", splits=SplitSettings(0.4, 0.3, 0.3, "another"))
    third = train(divided, tmp_path / "third", recipe="small", settings=quick, progress=False)
    with pytest.raises(
        CheckpointError, match="differ in the training galaxies of their quantities"
    ):
        ensemble([run, third], tmp_path / "no")


def test_another_tree_of_as_many_quantities_is_not_taken_for_the_same_flowchart(table, tmp_path):
    still = (*SETTINGS[:-1], "train.epochs=1", "train.learning_rate=1e-9")
    both = packed(table, tmp_path / "both", ["ttype", "metres"])
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    (renamed / "images").symlink_to(table / "images")
    text = (
        (table / "sizes.csv")
        .read_text("utf-8")
        .replace("ttype", "kind", 1)
        .replace("metres", "length", 1)
    )
    (renamed / "sizes.csv").write_text(text, "utf-8")
    other = packed(renamed, tmp_path / "others", ["kind", "length"])
    first = train(
        both, tmp_path / "first", recipe="small", settings=(*still, "train.seed=5"), progress=False
    )
    second = finetune(other, tmp_path / "second", start=first, settings=still[2:], progress=False)
    last, before = (one.network().module[-1].weight for one in (second, first))
    assert not torch.allclose(last, before, atol=1e-4)
