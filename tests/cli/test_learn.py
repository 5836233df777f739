import re

from galaxyvotes import SplitSettings, pack

QUICK = ("--set=train.epochs=1", "--set=train.batch_size=16", "--set=train.keep=last")


def test_the_same_command_with_resume_goes_on_and_another_recipe_is_refused(
    run, blob_store, tmp_path
):
    train = ("train", blob_store.path, "--out", tmp_path / "run", "--resume")
    status, out, _ = run(*train, "--recipe", "small", *QUICK)
    assert status == 0
    assert "does not exist yet: a new run begins" in out
    assert run(*train, "--recipe", "small", *QUICK)[0] == 0
    assert run(*train)[0] == 0
    status, _, err = run(*train, "--recipe", "compact", *QUICK)
    assert status == 2
    assert "model.name is vgg6, not compact: leave out --recipe and --set" in err
    assert run(*train, "--recipe", "small")[0] == 2


def test_finetuning_is_resumed_by_the_same_command_and_from_the_same_start(
    run, blob_store, tmp_path
):
    for name in ("first", "second"):
        train = ("train", blob_store.path, "--recipe", "small", *QUICK, "--out", tmp_path / name)
        assert run(*train)[0] == 0
    finetune = ("finetune", blob_store.path, "--out", tmp_path / "run", *QUICK[:2])
    assert run(*finetune, "--start", tmp_path / "first")[0] == 0
    again = (*finetune, "--resume", "--start", tmp_path / "first")
    assert run(*again)[0] == 0
    assert run(*again, "--recipe", "finetune")[0] == 0
    status, _, err = run(*finetune, "--resume", "--start", tmp_path / "second")
    assert status == 2
    assert "began with first, not with second" in err
    status, _, err = run(*again, "--set", "train.seed=4")
    assert status == 2
    assert "train.seed is 0, not 4" in err


def test_what_an_unfinished_run_lacks_is_said_with_the_command_that_began_it(
    run, blob_store, tmp_path
):
    first, again = tmp_path / "first", tmp_path / "again"
    run("train", blob_store.path, "--recipe", "small", *QUICK, "--out", first)
    run("finetune", blob_store.path, "--start", first, *QUICK[:1], "--out", again)
    for folder, command in ((again, "finetune"), (first, "train")):
        (folder / "weights.safetensors").unlink()
        status, _, err = run("calibrate", blob_store.path, "--run", folder)
        assert status == 2
        assert f"finish it with galaxyvotes {command} store --out {folder} --resume" in err


def test_a_network_that_is_no_better_than_the_class_frequencies_is_warned_of(
    run, blob_store, tmp_path
):
    train = ("train", blob_store.path, "--recipe", "small", *QUICK, "--out", tmp_path / "run")
    status, out, err = run(*train, "--set=train.learning_rate=1e-9")
    assert status == 0
    assert re.search(
        r"warning: .* no better than the mean on \d+ validation galaxies, too few to tell: class:"
        r" validation accuracy [01]\.\d+, Brier score"
        r" 0\.\d+, that of the class frequencies of the training galaxies is 0\.5\d*\."
        r" Evaluate it to know more",
        err,
    )
    assert "1 epoch, validation accuracy" in out
    assert "RMSE" not in out + err
    assert "pack with larger shares for validation and test, --splits 0.4,0.3,0.3, or more" in err
    assert "or try --no-mirror, if mirror images" in err


def test_finetune_warns_of_validation_galaxies_that_were_training_galaxies(
    run, blob_store, tmp_path
):
    first = tmp_path / "first"
    assert run("train", blob_store.path, "--recipe", "small", *QUICK, "--out", first)[0] == 0
    start = ("--start", first, "--set", "train.epochs=1")
    status, out, _ = run("finetune", blob_store.path, "--out", tmp_path / "again", *start)
    assert status == 0
    assert "validation galaxies were in the training set" not in out
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
        rf"\d+ of its {len(other.rows('validation'))} validation galaxies were in the training set"
        " of first,",
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
    assert "calibrated probabilities of classes, from" in out
    assert "temperature scaling: logits × " in out


def test_a_run_whose_validation_galaxies_chose_an_epoch_is_not_calibrated(
    run, blob_store, tmp_path
):
    train = ("train", blob_store.path, "--recipe", "small", *QUICK[:2], "--out", tmp_path / "run")
    assert run(*train)[0] == 0
    status, _, err = run("calibrate", blob_store.path, "--run", tmp_path / "run")
    assert status == 2
    assert "train.keep" in err
