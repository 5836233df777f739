"""An ensemble of runs predicts their mean, has seen what any of them has, and is refused where they
do not belong together."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch

from galaxyvotes import (
    CheckpointError,
    ConfigError,
    DataError,
    PackSettings,
    Predictions,
    Run,
    SplitSettings,
    Store,
    calibrate,
    ensemble,
    evaluate,
    finetune,
    pack,
    predict,
    predict_store,
    train,
)
from galaxyvotes.cli.app import main
from galaxyvotes.inference.engine import estimate
from galaxyvotes.networks.batch import Batch

SETTINGS = (
    "train.epochs=1",
    "train.batch_size=8",
    "train.keep=last",
    "model.name=compact",
    "model.width=8",
)


def divided(blobs, folder, key: str) -> Store:
    settings, splits = PackSettings(32, 32), SplitSettings(0.4, 0.5, 0.1, key)
    return pack(blobs, folder, settings=settings, splits=splits, progress=False)


@pytest.fixture(scope="module")
def store(blob_fractions, tmp_path_factory) -> Store:
    folder = tmp_path_factory.mktemp("divided") / "store"
    return blob_fractions(folder, SplitSettings(0.4, 0.5, 0.1, "one"))


@pytest.fixture(scope="module")
def learn(store, tmp_path_factory):
    """`learn(name, *settings)`: a run of that name."""

    def go(name: str, *settings: str, on: Store = store) -> Run:
        out = tmp_path_factory.mktemp("runs") / name
        return train(on, out, recipe="small", settings=(*SETTINGS, *settings), progress=False)

    return go


@pytest.fixture(scope="module")
def members(learn) -> list[Run]:
    return [learn(f"seed-{seed}", f"train.seed={seed}", "model.views=2") for seed in range(3)]


@pytest.fixture
def joined(members, tmp_path) -> Run:
    return ensemble(members, tmp_path / "joined")


def test_an_ensemble_predicts_the_mean_over_members_and_views_and_their_spread(
    joined, members, store
):
    rows = store.rows("test")
    images = torch.from_numpy(store.images(rows))
    views = [Batch(images), Batch(images.flip(1))]
    networks = [run.network().folded for run in members]
    parts = np.stack([estimate(network, view).values for network in networks for view in views])
    predicted = predict_store(Run.open(joined.path).network(), store, rows)
    assert np.allclose(predicted.values, parts.mean(axis=0), atol=1e-6)
    assert np.allclose(predicted.spread, parts.std(axis=0), atol=1e-6)
    assert not np.allclose(parts[0], parts[2], atol=1e-3)


def test_files_and_a_store_have_the_same_predictions_by_an_ensemble(joined, store, blobs, tmp_path):
    done = predict(blobs, tmp_path / "out.parquet", run=joined.path, progress=False)
    found, expected = Predictions.read(done.path), predict_store(joined.network(), store)
    order = [found.ids.index(name) for name in expected.ids]
    assert np.array_equal(found.values[order], expected.values)


def test_an_ensemble_of_ensembles_counts_every_network_once(joined, members, store, tmp_path):
    again = ensemble([ensemble(members[:2], tmp_path / "two"), members[2]], tmp_path / "again")
    assert again.members == joined.members == ("seed-0", "seed-1", "seed-2")
    assert np.array_equal(
        predict_store(again.network(), store).values,
        predict_store(joined.network(), store).values,
    )


def test_an_ensemble_is_calibrated_anew_and_has_intervals_then(members, store, tmp_path):
    copies = [Run(shutil.copytree(run.path, tmp_path / run.path.name)) for run in members]
    calibrate(store, copies[0], coverage=0.8, progress=False)
    joined = ensemble(copies, tmp_path / "joined")
    assert joined.calibration().joint is None
    assert predict_store(joined.network(), store).familiarity is None
    assert predict_store(joined.network(), store).bounds is None
    calibrate(store, joined, coverage=0.8, progress=False)
    rows = store.rows("test")
    after, first = (
        predict_store(joined.network(), store, rows),
        predict_store(copies[0].network(), store, rows),
    )
    assert (after.bounds.lower <= after.values).all()
    assert (after.values <= after.bounds.upper).all()
    assert np.array_equal(after.familiarity, first.familiarity)  # what the first member sees
    assert not np.array_equal(after.bounds.lower, first.bounds.lower)


def test_the_report_evaluates_the_mean_and_names_the_members(joined, store, tmp_path):
    result = evaluate(
        store, joined, out=tmp_path / "report", baselines=False, resamples=20, progress=False
    )
    rows = store.rows("test")
    off = predict_store(joined.network(), store, rows).values - store.values[rows]
    assert result.document["network"]["rmse"]["value"] == pytest.approx(
        float(np.sqrt(np.mean(off**2))), rel=1e-6
    )
    assert "joined (mean of seed-0, seed-1, seed-2)" in result.path.read_text("utf-8")


def test_an_ensemble_has_seen_what_any_member_has(members, learn, store, blobs, tmp_path):
    other = divided(blobs, tmp_path / "other", "another")
    stranger = learn("other", "model.views=2", on=other)
    joined = ensemble([members[0], stranger], tmp_path / "joined")
    with pytest.raises(DataError, match=r"test galaxies of .* training or validation set .*joined"):
        evaluate(
            store, joined, out=tmp_path / "report", baselines=False, resamples=20, progress=False
        )
    with pytest.raises(DataError, match=r"validation galaxies of .* training set .*joined"):
        calibrate(store, joined, progress=False)
    seen = joined.seen.to_pylist()
    assert len(seen) == len({tuple(row.values()) for row in seen})
    assert all(row in seen for run in (members[0], stranger) for row in run.seen.to_pylist())
    assert len(joined.facts["stores"]) == 2


@pytest.mark.parametrize(
    ("settings", "differing"),
    [
        (("model.width=16", "model.views=2"), "they differ in model.width"),
        (("model.views=1",), "they differ in model.views"),
        (("model.views=2", "train.objective=mse"), "they differ in train.objective"),
        (("model.views=2", "train.answers=round"), "they differ in trees or answers"),
        (
            ("model.views=2", "train.keep=best", "train.patience=1"),
            "they differ in train.keep, train.patience",
        ),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(
    members, learn, tmp_path, settings, differing
):
    with pytest.raises(CheckpointError, match=f"do not make an ensemble: {differing}"):
        ensemble([members[0], learn("stranger", *settings)], tmp_path / "joined")
    assert list(tmp_path.iterdir()) == []


def test_the_training_of_members_may_differ(members, learn, tmp_path):
    other = learn(
        "other",
        "model.views=2",
        "train.learning_rate=1e-4",
        "model.dropout=0.5",
        "train.augment=none",
    )
    assert len(ensemble([members[0], other], tmp_path / "joined").network().members) == 2


def test_the_same_network_twice_is_refused(members, joined, tmp_path):
    with pytest.raises(
        CheckpointError, match=r"seed-1.weights\.safetensors and .*joined.* are the same network"
    ):
        ensemble([joined, members[1]], tmp_path / "again")


def test_one_run_or_a_folder_that_exists_is_refused(members, joined, tmp_path):
    with pytest.raises(ConfigError, match="two runs or more, not 1"):
        ensemble(members[:1], tmp_path / "again")
    with pytest.raises(ConfigError, match="joined exists already: name another folder"):
        ensemble(members, joined.path)


def test_an_unfinished_or_damaged_run_is_refused_by_name(members, tmp_path):
    copy = Run(shutil.copytree(members[0].path, tmp_path / "copy"))
    content = bytearray((copy.path / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (copy.path / "weights.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"copy.weights\.safetensors is damaged"):
        ensemble([members[1], copy], tmp_path / "joined")
    (copy.path / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"copy has no weights yet"):
        ensemble([members[1], copy], tmp_path / "joined")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_lost_member_is_an_error_and_never_left_out_of_the_mean(joined):
    (joined.path / "weights-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"weights-2\.safetensors cannot be read.*restore it"):
        joined.network()


def test_an_ensemble_that_cannot_be_written_leaves_nothing(members, tmp_path, monkeypatch):
    copy, calls = shutil.copyfile, []

    def full(source, goal):
        calls.append(source)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return copy(source, goal)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(DataError, match="No space left on device"):
        ensemble(members, tmp_path / "joined")
    assert list(tmp_path.iterdir()) == []


def test_an_ensemble_cannot_be_trained_and_names_what_can(joined, store, tmp_path):
    with pytest.raises(
        CheckpointError,
        match="is an ensemble of seed-0, seed-1, seed-2 and cannot be trained as one network: name",
    ):
        train(store, joined.path, resume=True, progress=False)


def test_finetuning_an_ensemble_starts_from_its_first_network(joined, members, store, tmp_path):
    go = partial(finetune, store, settings=("train.epochs=1", "train.seed=5"), progress=False)
    of_all, of_first = (
        go(tmp_path / f"from-{start.path.name}", start=start) for start in (joined, members[0])
    )
    both = [dict(run.network().module.state_dict()) for run in (of_all, of_first)]
    assert all(torch.equal(both[0][name], both[1][name]) for name in both[0])
    seen = [{*zip(*run.seen.to_pydict().values(), strict=True)} for run in (of_all, joined)]
    assert seen[1] <= seen[0]  # what any of its networks saw


def test_a_run_that_is_no_ensemble_is_one_network_of_its_own_name(members):
    assert members[0].members == ("seed-0",)
    assert members[0].weights == (members[0].path / "weights.safetensors",)
    assert members[0].network().other_members == ()
    assert "members" not in json.loads((members[0].path / "run.json").read_text())


def test_the_command_makes_an_ensemble(members, tmp_path, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["ensemble", *(str(run.path) for run in members), "--out", str(tmp_path / "joined")])
    assert "joined: the mean of seed-0, seed-1, seed-2" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["ensemble", str(members[0].path), "--out", str(tmp_path / "other")])
    assert "galaxyvotes ensemble RUN RUN [RUN ...] --out RUN" in capsys.readouterr().err
