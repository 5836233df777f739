import re

from galaxyvotes import SplitSettings, pack

QUICK = ("--set=train.epochs=1", "--set=train.batch_size=16", "--set=train.keep=last")


def test_a_run_is_resumed_with_its_own_recipe_or_reported_as_new(run, blob_store, tmp_path):
    train = ("train", blob_store.path, "--out", tmp_path / "run", "--resume")
    status, out, _ = run(*train, "--recipe", "small", *QUICK)
    assert status == 0
    assert "does not exist yet: a new run begins" in out
    status, _, err = run(*train, "--recipe", "compact")
    assert status == 2
    assert "goes on with the recipe it began with, small: leave out the recipe" in err
    assert run(*train, "--recipe", "small")[0] == 0


def test_finetune_warns_of_validation_galaxies_that_were_training_galaxies(
    run, blob_store, tmp_path
):
    first = tmp_path / "first"
    assert run("train", blob_store.path, "--recipe", "small", *QUICK, "--out", first)[0] == 0
    start = ("--start", first, "--set", "train.epochs=1")
    status, out, _ = run("finetune", blob_store.path, "--out", tmp_path / "again", *start)
    assert status == 0
    assert "validation galaxies were training galaxies" not in out
    other = pack(
        blob_store.path.parent / "images",
        tmp_path / "other",
        settings=blob_store.pack,
        progress=False,
        splits=SplitSettings(0.3, 0.4, 0.3, "another"),
    )
    status, out, _ = run("finetune", other.path, "--out", tmp_path / "third", *start)
    assert status == 0
    assert re.search(
        rf"\d+ of its {len(other.rows('validation'))} validation galaxies were training galaxies of"
        " first,",
        out,
    )


def test_answers_are_named_by_commas(run, blob_store, tmp_path):
    status, _, err = run(
        "train", blob_store.path, "--out", tmp_path / "run", *QUICK, "--answers", "round,lang"
    )
    assert status == 2
    assert "lang" in err


def test_an_ensemble_is_calibrated_after_it_is_made(run, blob_store, tmp_path):
    objective = "--set=train.objective=cross_entropy"
    train = ("train", blob_store.path, "--recipe", "small", *QUICK, objective)
    for seed in ("1", "2"):
        assert run(*train, f"--set=train.seed={seed}", "--out", tmp_path / seed)[0] == 0
    status, out, _ = run("ensemble", tmp_path / "1", tmp_path / "2", "--out", tmp_path / "mean")
    assert status == 0
    assert "the mean of 1, 2; not calibrated yet" in out
    status, out, _ = run(
        "calibrate", blob_store.path, "--run", tmp_path / "mean", "--coverage", "0.5"
    )
    assert status == 0
    assert "50% intervals for 2 answers" in out
    assert "temperature scaling: logits × " in out


def test_a_run_whose_validation_galaxies_chose_an_epoch_is_not_calibrated(
    run, blob_store, tmp_path
):
    train = ("train", blob_store.path, "--recipe", "small", *QUICK[:2], "--out", tmp_path / "run")
    assert run(*train)[0] == 0
    status, _, err = run("calibrate", blob_store.path, "--run", tmp_path / "run")
    assert status == 2
    assert "train.keep" in err
