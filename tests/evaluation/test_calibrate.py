"""A run's intervals: measured on galaxies that did not teach it, kept with it, and refused where
nobody measured."""

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tomlkit
import torch
import xxhash
from msgspec import structs
from PIL import Image

from galaxyvotes import (
    CheckpointError,
    ConfigError,
    DataError,
    GalaxyVotesError,
    PackSettings,
    Predictions,
    Run,
    SplitSettings,
    Store,
    calibrate,
    ensemble,
    evaluate,
    export,
    finetune,
    pack,
    predict,
    predict_store,
    simulate,
    train,
)
from galaxyvotes.cli.app import main
from galaxyvotes.confidence.conformal import split_galaxies
from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.confidence.temperature import TemperatureScaling
from galaxyvotes.config import LabelSettings
from galaxyvotes.evaluation.calibrate import References, familiarity_of, why_not
from galaxyvotes.inference.engine import estimate, predict_views
from galaxyvotes.metrics.coverage import empirical_coverage
from galaxyvotes.networks.batch import Batch
from galaxyvotes.questions import FRACTION_COLUMNS
from galaxyvotes.runs import calibration as calibrated_files
from galaxyvotes.runs.calibration import Calibration
from galaxyvotes.runs.tensors import read_tensors, write_tensors
from galaxyvotes.tree import DecisionTree

SETTINGS = (
    "train.epochs=2",
    "train.batch_size=16",
    "train.keep=last",
    "model.views=2",
    "train.objective=cross_entropy",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """A hundred and sixty simulated galaxies, half of them for validation."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder / "zoo", galaxies=160, size_px=160, processes=1)
    splits = SplitSettings(0.3, 0.5, 0.2)
    return pack(
        folder / "zoo",
        folder / "store",
        settings=PackSettings(128, 32),
        splits=splits,
        progress=False,
    )


@pytest.fixture
def run(store, tmp_path) -> Run:
    return train(store, tmp_path / "run", recipe="small", settings=SETTINGS, progress=False)


def test_a_calibrated_run_has_bounds_also_after_it_is_opened_again(store, run):
    before = predict_store(run.network(), store)
    assert before.bounds is None
    found = calibrate(store, run, overwrite=True, progress=False)
    kept = Run.open(run.path).calibration()
    assert (kept.joint, kept.temperature) == (found.joint, found.temperature)
    rows = store.rows("test")
    as_trained = predict_store(run.network(as_trained=True), store, rows)
    assert np.array_equal(as_trained.values, before.values[rows])
    after = predict_store(Run.open(run.path).network(), store, rows)
    assert (after.bounds.lower <= after.values).all()
    assert (after.values <= after.bounds.upper).all()
    labels = store.values[rows]
    inside = (after.bounds.lower - 1e-6 <= labels) & (labels <= after.bounds.upper + 1e-6)
    assert 0.8 < inside.mean() < 0.99  # 90 %, of some thirty galaxies


def test_bounds_are_written_to_the_table_and_read_back(store, run, tmp_path):
    calibrate(store, run, overwrite=True, progress=False)
    images = store.path.parent / "zoo" / "images"
    done = predict(images, tmp_path / "out.csv", run=run, progress=False)
    header = done.path.read_text().splitlines()[0].replace('"', "").split(",")
    assert header == [
        "id",
        *store.tree.columns,
        *(f"{c}_low" for c in store.tree.columns),
        *(f"{c}_high" for c in store.tree.columns),
        "familiarity",
    ]
    read = Predictions.read(done.path)
    assert read.columns == store.tree.columns
    expected = predict_store(run.network(), store)
    order = [read.ids.index(name) for name in expected.ids]
    assert np.allclose(read.bounds.lower[order], expected.bounds.lower, atol=1e-6)
    assert np.allclose(read.bounds.upper[order], expected.bounds.upper, atol=1e-6)
    assert np.array_equal(read.familiarity[order], expected.familiarity)
    plain = predict(images, tmp_path / "plain.parquet", run=run, intervals=False, progress=False)
    assert Predictions.read(plain.path).bounds is None


def test_intervals_of_a_run_that_was_never_calibrated_are_refused(run, store, tmp_path):
    with pytest.raises(
        CheckpointError,
        match=r"never calibrated for the tree 'kaggle'.*run `galaxyvotes\.calibrate",
    ):
        predict(
            store.path.parent / "zoo" / "images",
            tmp_path / "out.csv",
            run=run,
            intervals=True,
            progress=False,
        )
    assert not (tmp_path / "out.csv").exists()


def test_galaxies_that_chose_the_epoch_are_refused(store, tmp_path):
    run = train(
        store,
        tmp_path / "run",
        recipe="small",
        settings=(*SETTINGS, "train.keep=best"),
        progress=False,
    )
    with pytest.raises(
        DataError,
        match=r"galaxies of .* are among those that chose the epoch of .*train\.keep=last",
    ):
        calibrate(store, run, overwrite=True, progress=False)
    assert run.calibration() == Calibration()
    assert (
        calibrate(store, run, split="test", overwrite=True, progress=False).joint.columns
        == store.tree.columns
    )


def test_training_galaxies_are_refused_however_the_store_is_divided(store, run, tmp_path):
    zoo = store.path.parent / "zoo"
    splits = SplitSettings(0.3, 0.5, 0.2, "another")
    other = pack(
        zoo, tmp_path / "other", settings=PackSettings(128, 32), splits=splits, progress=False
    )
    with pytest.raises(DataError, match="training set"):
        calibrate(other, run, overwrite=True, progress=False)


def test_a_damaged_calibration_is_found(store, run):
    calibrate(store, run, overwrite=True, progress=False)
    path = run.path / "calibration.toml"
    path.write_text(path.read_text().replace("coverage = 0.9", "coverage = 0.8"))
    with pytest.raises(
        CheckpointError,
        match=r"calibration\.toml is damaged.*calibrate\(…, overwrite=True\)` again",
    ):
        run.network()


def test_a_calibrated_run_gives_familiarity_scores_and_warns_of_other_images(
    store, run, tmp_path, capsys
):
    calibrate(store, run, overwrite=True, progress=False)
    references = Run.open(run.path).calibration().familiarity.references
    assert references == len(store.rows("validation"))
    alike = predict_store(run.network(), store, store.rows("test"))
    assert ((alike.familiarity > 0) & (alike.familiarity <= 1)).all()
    assert not Shift.count(alike.familiarity, references).detected
    for name, image in zip(alike.ids, store.images(store.rows("test")), strict=True):
        (tmp_path / "inverted").mkdir(exist_ok=True)
        Image.fromarray(255 - np.repeat(np.repeat(image, 4, 0), 4, 1)).save(
            tmp_path / "inverted" / f"{name}.png"
        )
    other = predict(tmp_path / "inverted", tmp_path / "other.csv", run=run, progress=False)
    assert other.shift.galaxies == len(alike)
    assert other.warning.startswith(f"{len(alike)} of {len(alike)} galaxies have a familiarity of")
    assert (Predictions.read(other.path).familiarity <= 0.05).all()
    with pytest.raises(SystemExit, match="0"):
        main(
            [
                "predict",
                str(tmp_path / "inverted"),
                "--run",
                str(run.path),
                "--out",
                str(tmp_path / "again.csv"),
            ]
        )
    assert f"warning: {other.warning}" in capsys.readouterr().out


def test_with_few_training_galaxies_the_references_are_divided(store, run):
    network, rows = run.network(), np.concatenate([store.rows("validation"), store.rows("test")])
    train = store.rows("train")
    assert (
        familiarity_of(network, References(store, train, rows), seed=0).references == len(rows) // 2
    )
    assert (
        familiarity_of(network, References(store, train, train), seed=0).references
        == len(train) // 2
    )


def test_calibration_galaxies_are_refused_by_evaluate(store, run, tmp_path):
    calibrate(store, run, split="test", coverage=0.8, overwrite=True, progress=False)
    with pytest.raises(
        DataError,
        match=r"test galaxies of .* calibration set .*calibrate it on validation galaxies",
    ):
        evaluate(store, run, out=tmp_path / "report", baselines=False, resamples=5, progress=False)
    told = evaluate(
        store,
        run,
        out=tmp_path / "r",
        baselines=False,
        resamples=5,
        allow_seen=True,
        progress=False,
    )
    assert told.document["intervals"]
    calibrate(store, run, overwrite=True, progress=False)
    evaluate(store, run, out=tmp_path / "report", baselines=False, resamples=5, progress=False)


def test_galaxies_that_chose_the_epoch_of_the_initial_run_are_refused(store, tmp_path):
    begun = train(
        store,
        tmp_path / "begun",
        recipe="small",
        settings=(*SETTINGS, "train.keep=best"),
        progress=False,
    )
    run = finetune(
        store, tmp_path / "run", start=begun, settings=("train.epochs=1",), progress=False
    )
    with pytest.raises(DataError, match=r"validation galaxies of .* training set"):
        calibrate(store, run, overwrite=True, progress=False)


def test_familiarity_may_be_measured_on_another_store_without_labels(store, run, tmp_path):
    zoo = store.path.parent / "zoo"
    how = {"settings": PackSettings(128, 32), "splits": SplitSettings(0.0, 1.0, 0.0)}
    many = pack(
        zoo / "images",
        tmp_path / "many",
        labels=LabelSettings(unlabelled=True),
        progress=False,
        **how,
    )
    calibrate(store, run, familiar=many, overwrite=True, progress=False)
    met = run.calibration().familiarity
    taught = {store.pixels[row] for row in store.rows("train").tolist()}
    assert (
        met.references == sum(each not in taught for each in many.pixels) // 2
    )  # the other half gave the measure
    assert run.calibration().pixels == {
        store.pixels[row] for row in store.rows("validation").tolist()
    }
    other = pack(zoo, tmp_path / "other", settings=PackSettings(128, 24), progress=False)
    with pytest.raises(
        CheckpointError, match=r"pack it again with `settings=PackSettings\(128, 32\)`"
    ):
        calibrate(store, run, familiar=other, overwrite=True, progress=False)


def test_a_calibration_of_other_weights_is_found(store, run, tmp_path):
    calibrate(store, run, overwrite=True, progress=False)
    other = train(
        store,
        tmp_path / "other",
        recipe="small",
        settings=(*SETTINGS, "train.seed=9"),
        progress=False,
    )
    shutil.copyfile(other.path / "weights.safetensors", run.path / "weights.safetensors")
    with pytest.raises(
        CheckpointError,
        match=r"measured with other weights .*calibrate\(…, overwrite=True\)` again",
    ):
        run.network()


def familiar_file(run: Run) -> Path:
    (path,) = run.path.glob("familiar*.safetensors")
    return path


def test_calibrating_again_changes_no_fraction_and_gives_the_same_familiarity(store, run):
    calibrate(store, run, overwrite=True, progress=False)
    first = familiar_file(run).read_bytes()
    calibrate(store, run, overwrite=True, progress=False)
    assert familiar_file(run).read_bytes() == first


def test_a_damaged_or_missing_familiarity_file_is_found(store, run):
    calibrate(store, run, overwrite=True, progress=False)
    path = familiar_file(run)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        CheckpointError,
        match=r"familiar.*\.safetensors is damaged.*run `galaxyvotes\.calibrate",
    ):
        run.network()
    path.unlink()
    with pytest.raises(
        CheckpointError,
        match=r"familiar.*\.safetensors cannot be read.*galaxyvotes\.calibrate",
    ):
        run.network()
    calibrate(store, run, overwrite=True, progress=False)  # as the message says
    run.check()


def test_an_interrupted_calibration_does_not_count(store, run, monkeypatch):
    def stopped(**settings) -> None:
        def stop(path: Path, text: str) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(calibrated_files, "write_text", stop)
            with pytest.raises(KeyboardInterrupt):
                calibrate(store, run, overwrite=True, progress=False, **settings)

    stopped()
    assert run.calibration() == Calibration()
    assert predict_store(run.network(), store, store.rows("test")).familiarity is None
    calibrate(store, run, overwrite=True, progress=False)
    before = predict_store(run.network(), store, store.rows("test"))
    stopped(coverage=0.5, seed=1)
    after = predict_store(run.network(), store, store.rows("test"))
    assert np.array_equal(after.bounds, before.bounds)
    assert np.array_equal(after.familiarity, before.familiarity)
    calibrate(store, run, coverage=0.5, seed=1, overwrite=True, progress=False)
    assert familiar_file(run).is_file()  # the only one: what no longer counts is gone


def test_a_calibration_of_an_older_galaxyvotes_can_be_read_and_bounds_joint_fractions_only(
    store, run, tmp_path
):
    calibrate(store, run, overwrite=True, progress=False)
    network = run.network()
    text = "\n".join(
        line
        for line in tomlkit.dumps(network.intervals.to_table()).splitlines()
        if not line.startswith("volunteers")
    )
    digest = xxhash.xxh3_128(text.encode()).hexdigest()
    (run.path / "calibration.toml").write_text(f"# {digest}\n{text}")
    familiar_file(run).rename(run.path / "familiar.safetensors")
    older = run.network()
    assert older.familiarity.references == network.familiarity.references
    assert older.intervals == structs.replace(
        network.intervals, volunteers=(math.inf,) * len(store.tree.columns)
    )
    assert run.calibration().conditional is None
    images, out = store.path.parent / "zoo" / "images", tmp_path / "out.csv"
    with pytest.raises(
        CheckpointError,
        match=r"never calibrated for conditional fractions of .*calibrate\(…\)` \(again",
    ):
        predict(images, out, run=run, fractions="conditional", intervals=True, progress=False)
    assert (
        Predictions.read(
            predict(images, out, run=run, fractions="conditional", progress=False).path
        ).bounds
        is None
    )
    calibrate(store, run, overwrite=True, progress=False)
    assert familiar_file(run).name != "familiar.safetensors"


# ---- of those who were asked


def test_conditional_fractions_have_bounds_of_their_own_where_the_question_is_reached(
    store, run, tmp_path
):
    calibrate(store, run, overwrite=True, progress=False)
    network, rows = run.network(), store.rows("test")
    joint, told = (
        predict_store(network, store, rows),
        predict_store(network.as_conditional, store, rows),
    )
    assert np.allclose(told.values, store.tree.conditional(joint.values), atol=1e-5)
    asked = store.tree.asked(joint.values)[
        :, [i for i, (q, _) in enumerate(store.tree) for _ in q.answers]
    ]
    assert np.array_equal(np.isnan(told.bounds.lower), asked < 0.25 - 1e-6)
    known = ~np.isnan(told.bounds.lower)
    assert (told.bounds.lower[known] <= told.values[known] + 1e-6).all()
    assert (told.values[known] <= told.bounds.upper[known] + 1e-6).all()
    reached = store.tree.asked(store.values[rows])[
        :, [i for i, (q, _) in enumerate(store.tree) for _ in q.answers]
    ]
    said = np.where(reached >= 0.25, store.tree.conditional(store.values[rows]), np.nan)
    assert 0.8 < empirical_coverage(said, *told.bounds) < 0.99  # 90 %, of some thirty galaxies
    done = predict(
        store.path, tmp_path / "told.csv", run=run, fractions="conditional", progress=False
    )
    read = Predictions.read(done.path)
    assert np.allclose(read.values[rows], told.values, atol=1e-6)
    assert np.allclose(read.bounds.upper[rows], told.bounds.upper, atol=1e-6, equal_nan=True)


def test_a_run_without_the_answers_that_lead_to_others_is_calibrated_for_joint_fractions_only(
    store, tmp_path
):
    settings = (*SETTINGS, "train.objective=bce", "train.answers=Class1.1,Class3.1,Class3.2")
    run = train(store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    calibrate(store, run, overwrite=True, progress=False)
    assert run.calibration().conditional is None
    with pytest.raises(
        ConfigError, match=r"conditional fraction of Class3\.1 needs that of Class2\.2"
    ):
        predict(store.path, tmp_path / "out.csv", run=run, fractions="conditional", progress=False)


@pytest.fixture(scope="module")
def classes(store, tmp_path_factory) -> Store:
    """The same galaxies with one class each."""
    return with_classes(store, tmp_path_factory.mktemp("classes"), LabelSettings(classes="kind"))


@pytest.fixture(scope="module")
def one_question(store, tmp_path_factory) -> Store:
    """The same galaxies with fractions of one question, which are not known to be classes."""
    folder = tmp_path_factory.mktemp("question")
    tree = replace(DecisionTree.of_classes(["featured", "smooth"], "kind"), tables=FRACTION_COLUMNS)
    (folder / "kind.toml").write_text(tree.to_toml(), "utf-8")
    return with_classes(store, folder, LabelSettings(tree=str(folder / "kind.toml")))


def with_classes(store: Store, folder: Path, labels: LabelSettings) -> Store:
    smooth = store.values[:, 0] > np.median(store.values[:, 0])
    rows = [
        f"{name},{'smooth' if each else 'featured'},{int(each)},{int(not each)}\n"
        for name, each in zip(store.ids, smooth, strict=True)
    ]
    (folder / "classes.csv").write_text("GalaxyID,kind,smooth,featured\n" + "".join(rows))
    images = store.path.parent / "zoo" / "images"
    table = folder / "classes.csv"
    how = {
        "labels": labels,
        "settings": store.pack,
        "splits": SplitSettings(0.3, 0.5, 0.2),
        "progress": False,
    }
    return pack([images, table], folder / "store", **how)


def test_temperature_scaling_beside_intervals_is_fitted_on_a_third_of_the_galaxies(
    one_question, tmp_path
):
    run = train(one_question, tmp_path / "run", recipe="small", settings=SETTINGS, progress=False)
    rows = one_question.rows("validation")
    found = calibrate(one_question, run, overwrite=True, progress=False)
    third = rows[split_galaxies(np.ones(len(rows), bool), 0)[0]]
    looks = predict_views(run.network(as_trained=True), one_question, third)
    assert found.temperature == (TemperatureScaling.fit(looks, one_question.values[third]),)
    after, labels = predict_store(run.network(), one_question, rows), one_question.values[rows]
    inside = (after.bounds.lower - 1e-6 <= labels) & (labels <= after.bounds.upper + 1e-6)
    assert 0.8 < inside.mean() < 0.99


def test_classes_have_calibrated_probabilities_from_all_galaxies_and_no_intervals(
    classes, tmp_path, capsys
):
    run = train(classes, tmp_path / "run", recipe="small", settings=SETTINGS, progress=False)
    rows = classes.rows("validation")
    before = predict_store(run.network(), classes, rows)
    found = calibrate(classes, run, overwrite=True, progress=False)
    looks = predict_views(run.network(as_trained=True), classes, rows)
    assert found.temperature == (TemperatureScaling.fit(looks, classes.values[rows]),)
    assert (found.joint, found.conditional) == (None, None)
    kept = Run.open(run.path).calibration()
    assert replace(kept, familiarity=None) == replace(found, familiarity=None)
    after = predict_store(run.network(), classes, rows)
    labels = classes.values[rows]
    likelihoods = [(labels * np.log(each.values)).sum() for each in (before, after)]
    assert likelihoods[1] > likelihoods[0]
    raw = predict_store(run.network(as_trained=True), classes, rows)
    assert np.array_equal(raw.values, before.values)
    assert after.bounds is None
    with pytest.raises(SystemExit, match="0"):
        main(
            ["calibrate", str(classes.path), "--run", str(run.path), "--overwrite"]
        )  # again: from the network as it was trained
    assert f"logits × {found.temperature[0].factor:.2f}" in capsys.readouterr().out
    assert run.calibration().temperature == found.temperature


def test_an_ensemble_is_scaled_as_a_whole_and_finetuning_starts_from_unscaled_weights(
    classes, tmp_path
):
    runs = [
        train(
            classes,
            tmp_path / f"run-{seed}",
            recipe="small",
            settings=(*SETTINGS, f"train.seed={seed}"),
            progress=False,
        )
        for seed in (0, 1)
    ]
    joined = ensemble(runs, tmp_path / "joined")
    sure = calibrate(classes, joined, overwrite=True, progress=False).temperature[0]
    taught = joined.network().members
    for member, run in zip(taught, runs, strict=True):
        before = run.network().module[-1]
        assert torch.allclose(member.module[-1].weight, sure.factor * before.weight)
    settings = (*SETTINGS, "train.encoder_rate=0", "train.learning_rate=1e-30")
    began = [
        finetune(classes, tmp_path / name, start=start, settings=settings, progress=False).network()
        for name, start in (("a", joined), ("b", runs[0]))
    ]
    assert torch.equal(began[0].module[-1].weight, began[1].module[-1].weight)


def test_only_the_calibrated_head_is_scaled_and_exported_scaled(store, classes, tmp_path):
    run = train(
        [store, classes], tmp_path / "run", recipe="small", settings=SETTINGS, progress=False
    )
    sure = calibrate(classes, run, overwrite=True, progress=False).temperature[0]
    before, after = run.network(as_trained=True), run.network()
    first, second = after.all_heads
    last, was = after.module[-1], before.module[-1]
    assert torch.equal(last.weight[first.outputs], was.weight[first.outputs])
    assert torch.equal(last.bias[first.outputs], was.bias[first.outputs])
    assert torch.allclose(last.weight[second.outputs], sure.factor * was.weight[second.outputs])
    assert not torch.equal(last.bias[second.outputs], was.bias[second.outputs])
    pytest.importorskip("onnxscript")
    done = export(tmp_path / "run.onnx", run=run, check=classes.path)
    assert done.real > 0  # and it answers as the calibrated run does, or there would be no file


def test_a_copy_predicts_the_tree_that_it_was_calibrated_for(store, classes, tmp_path, capsys):
    run = train(
        [store, classes], tmp_path / "run", recipe="small", settings=SETTINGS, progress=False
    )
    names = [head.tree.name for head in run.heads]
    assert (run.default_tree, run.network().tree.name) == (names[0], names[0])
    call = ["calibrate", str(classes.path), "--run", str(run.path)]
    with pytest.raises(SystemExit):
        main([*call, "--out", str(tmp_path / "copy")])
    assert f"galaxyvotes predict IMAGES --run {tmp_path / 'copy'} --out" in capsys.readouterr().out
    copy = Run.open(tmp_path / "copy")
    assert (copy.default_tree, copy.network().tree.name) == (names[1], names[1])
    assert predict(store.path, run=copy, progress=False).tree.name == names[1]
    assert predict(store.path, run=copy, tree=names[0], progress=False).tree.name == names[0]
    assert (run.digest == copy.digest, run.default_tree) == (False, names[0])
    with pytest.raises(SystemExit):
        main(call)
    assert f"--run {run.path} --tree {names[1]} --out" in capsys.readouterr().out


def test_why_a_store_cannot_calibrate_a_run_is_told_with_what_can(store, run, tmp_path):
    head = run.heads[0]
    assert why_not(run, store, head) == ""
    zoo, how = store.path.parent / "zoo", {"settings": PackSettings(128, 32), "progress": False}
    few = pack(zoo, tmp_path / "few", splits=SplitSettings(0.9, 0.05, 0.05), **how)
    assert re.match(
        r"The store few has \d+ labelled validation galaxies and calibration needs \d\d: pack more",
        why_not(run, few, head),
    )
    other = pack(zoo, tmp_path / "other", splits=SplitSettings(0.3, 0.5, 0.2, "another"), **how)
    assert re.match(
        r"It was trained on \d+ of the \d+ validation galaxies of other: calibrate it on a store",
        why_not(run, other, head),
    )
    best = (*SETTINGS, "train.keep=best")
    chosen = train(store, tmp_path / "best", recipe="small", settings=best, progress=False)
    assert "train with --set train.keep=last" in why_not(chosen, store, head)
    evaluation = evaluate(few, run, out=tmp_path / "report", allow_seen=True, progress=False)
    assert "calibration needs" in evaluation.path.read_text("utf-8")


def test_labels_of_another_survey_mend_what_is_wrong_with_all_of_its_galaxies(store, tmp_path):
    """A network that favours one answer of a question asked of some, and too strongly."""
    settings = (*SETTINGS, "train.objective=cross_entropy")
    run = train(store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    tensors, note = read_tensors(run.path / "weights.safetensors")
    bias = tensors[max(name for name in tensors if name.endswith("bias"))]
    asked_of_some = next(n for n, parent in enumerate(store.tree.parents) if parent is not None)
    bias[store.tree.slices[asked_of_some].start] += 3
    write_tensors(run.path / "weights.safetensors", tensors, note)
    found = calibrate(store, run, progress=False)
    assert len(found.temperature) == len(store.tree.questions)
    shifts = found.temperature[asked_of_some].shifts
    assert shifts[0] < min(*shifts[1:], -0.1)
    rows = store.rows("test")
    errors = [
        np.sqrt(np.mean((predict_store(network, store, rows).values - store.values[rows]) ** 2))
        for network in (run.network(as_trained=True), Run.open(run.path).network())
    ]
    assert errors[1] < 0.95 * errors[0]


def test_a_head_trained_with_bce_is_not_scaled(classes, tmp_path):
    settings = (*SETTINGS, "train.objective=bce")
    run = train(classes, tmp_path / "run", recipe="small", settings=settings, progress=False)
    assert calibrate(classes, run, overwrite=True, progress=False).temperature == ()


def test_intervals_are_for_the_number_of_volunteers_of_each_galaxy(store, run, tmp_path):
    found = calibrate(store, run, overwrite=True, progress=False).joint
    rows = store.rows("validation")
    counted = store.tree.volunteers(store.votes[rows])
    assert found.volunteers[0] == pytest.approx(
        1 / np.mean(1 / counted[:, 0]), rel=0.05
    )  # those of a third of them
    result = evaluate(
        store, run, out=tmp_path / "report", baselines=False, resamples=40, progress=False
    )
    rows = store.rows("test")
    said = predict_store(run.network(), store, rows)
    own = found.bounds(
        said.values, said.spread, volunteers=store.tree.volunteers(store.votes[rows])
    )
    held = result.document["intervals"]["coverage"]["value"]
    assert held == pytest.approx(empirical_coverage(store.values[rows], *own))


def test_a_calibration_that_is_there_is_replaced_only_if_asked_for(store, run):
    calibrate(store, run, overwrite=True, progress=False)
    with pytest.raises(
        ConfigError, match=r"calibrated already for the tree 'kaggle', on .* `overwrite=True`"
    ):
        calibrate(store, run, progress=False)


def test_a_copy_of_a_run_is_calibrated_and_the_run_stays_as_it_is(store, run, tmp_path):
    calibrate(store, run, overwrite=True, coverage=0.8, progress=False)
    before = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    found = calibrate(store, run, out=tmp_path / "copy", coverage=0.5, progress=False)
    assert before == {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    copy = Run.open(tmp_path / "copy")
    copy.check()
    assert copy.calibration().joint == found.joint
    assert (found.joint.coverage, run.calibration().joint.coverage) == (0.5, 0.8)
    with pytest.raises(ConfigError, match="exists and is not an empty folder"):
        calibrate(store, run, out=tmp_path / "copy", progress=False)


def test_the_bundled_run_is_calibrated_as_a_copy_only(store, tmp_path):
    with pytest.raises(ConfigError, match="the bundled run is part of the package"):
        calibrate(store, progress=False)


def test_too_few_galaxies_are_refused_with_how_many_it_takes(store, run):
    with pytest.raises(DataError, match="need 1,498 calibration galaxies or more"):
        calibrate(store, run, coverage=0.999, overwrite=True, progress=False)


def test_what_can_be_refused_is_refused_before_a_galaxy_is_predicted(
    store, run, tmp_path, monkeypatch
):
    place = "galaxyvotes.evaluation.calibrate.predict_store"
    monkeypatch.setattr(place, lambda *_, **__: pytest.fail("predicted"))
    (tmp_path / "file").write_text("", "utf-8")
    for problem, wrong in {
        "need 1,498 calibration galaxies": {"coverage": 0.999, "overwrite": True},
        "coverage is 1.0: expected between": {"coverage": 1.0, "overwrite": True},
        "cannot write into .*file: Not a directory": {"out": tmp_path / "file" / "copy"},
    }.items():
        with pytest.raises(GalaxyVotesError, match=problem):
            calibrate(store, run, progress=False, **wrong)


def test_several_views_are_averaged_and_have_a_spread(store, run):
    one = Run.open(run.path).network()
    rows = store.rows("test")
    mean = predict_store(one, store, rows)
    images = torch.from_numpy(store.images(rows))
    views = [estimate(one, Batch(view)).values for view in (images, images.flip(1))]
    assert np.allclose(mean.values, np.mean(views, axis=0), atol=1e-6)
    assert np.allclose(mean.spread, np.std(views, axis=0), atol=1e-6)


def test_the_report_has_empirical_coverage_and_the_sampling_noise_of_the_votes(
    store, run, tmp_path
):
    calibrate(store, run, overwrite=True, progress=False)
    result = evaluate(
        store, run, out=tmp_path / "report", baselines=False, resamples=40, progress=False
    )
    intervals = result.document["intervals"]
    assert intervals["nominal"] == 0.9
    assert [each["answer"] for each in intervals["answers"]] == list(store.tree.columns)
    assert 0.02 < result.document["noise_floor"] < 0.06  # some 40 volunteers a galaxy
    assert result.document["familiarity"]["references"] == len(store.rows("validation"))
    page = result.path.read_text("utf-8")
    assert "Nominal coverage 90\N{NO-BREAK SPACE}%" in page
    assert "no predictor is expected to do better" in page


def test_the_report_has_the_coverage_of_conditional_fractions(store, run, one_question, tmp_path):
    calibrate(store, run, overwrite=True, progress=False)
    result = evaluate(
        store, run, out=tmp_path / "report", baselines=False, resamples=40, progress=False
    )
    told = result.document["conditional_intervals"]
    rows = store.rows("test")
    network = run.network().as_conditional
    said = predict_store(network, store, rows)
    joint = predict_store(run.network(), store, rows).values
    counted = store.tree.volunteers(store.votes[rows])
    lower, upper = network.intervals.bounds(joint, said.spread, volunteers=counted)
    labels = store.values[rows]
    round_, smooth = (store.tree.columns.index(name) for name in ("Class7.1", "Class1.1"))
    asked = (labels[:, smooth] >= 0.25) & (joint[:, smooth] >= 0.25)
    assert 0 < asked.sum() < len(rows)
    of_smooth = labels[asked, round_] / labels[asked, smooth]
    held = np.mean((lower[asked, round_] <= of_smooth) & (of_smooth <= upper[asked, round_]))
    assert told["answers"][round_]["answer"] == "Class7.1"
    assert told["answers"][round_]["coverage"]["value"] == pytest.approx(held)
    assert "Conditional fractions" in result.path.read_text("utf-8")
    one = train(one_question, tmp_path / "one", recipe="small", settings=SETTINGS, progress=False)
    calibrate(one_question, one, overwrite=True, progress=False)
    result = evaluate(
        one_question, one, out=tmp_path / "other", baselines=False, resamples=40, progress=False
    )
    assert result.document["intervals"]
    assert result.document["conditional_intervals"] is None  # everybody is asked
