def test_everything_from_images_to_figures_by_commands(run, blobs, tmp_path):
    store, out, table = tmp_path / "store", tmp_path / "run", tmp_path / "answers.csv"
    packing = ("--crop", "32", "--size", "32", "--splits", "0.7,0.15,0.15")
    training = ("--recipe", "small", "--set", "train.epochs=2", "--set", "train.batch_size=8")
    for command in (
        ("pack", blobs, "--out", store, *packing),
        ("train", store, "--out", out, *training),
        ("evaluate", store, "--run", out, "--no-baselines"),
        ("predict", blobs, "--run", out, "--out", table),
        ("figures", store, "--run", out, "--out", tmp_path / "figures"),
    ):
        status, _, err = run(*command)
        assert status == 0, err
    assert (out / "report.html").is_file()
    assert len(table.read_text().splitlines()) == 81


def test_predict_reports_images_that_it_could_not_use(run, make_jpeg, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "good.jpg").write_bytes(make_jpeg(side=424))
    (tmp_path / "images" / "bad.jpg").write_bytes(b"")
    status, out, _ = run("predict", tmp_path / "images", "--out", tmp_path / "answers.csv")
    assert status == 0
    assert "answers.csv: 1 galaxy" in out
    assert "1 image could not be used: " in out
    assert "answers.csv.rejected.csv" in out


def test_a_sample_submission_is_filled_in(run, tmp_path):
    (tmp_path / "p.csv").write_text("id,A,B\n7,0.25,0.75\n5,1,0\n")
    (tmp_path / "sample.csv").write_text("GalaxyID,A,B\r\n5,0,0\r\n7,0,0\r\n")
    files = ("--sample", tmp_path / "sample.csv", "--out", tmp_path / "s.csv")
    assert run("submit", tmp_path / "p.csv", *files)[0] == 0
    assert (tmp_path / "s.csv").read_bytes() == b"GalaxyID,A,B\r\n5,1,0\r\n7,0.25,0.75\r\n"


def test_a_demo_is_not_made_in_a_folder_of_something_else(run, blobs):
    status, _, err = run("demo", "--out", blobs)
    assert status == 2
    assert "is not empty, and no demo began it: name another folder" in err


def test_predict_writes_a_contact_sheet_beside_the_table_or_alone(run, blobs, blob_run, tmp_path):
    sheet, table = tmp_path / "sheet.html", tmp_path / "answers.csv"
    status, out, _ = run("predict", blobs, "--run", blob_run.path, "--sheet", sheet)
    assert (status, f"{sheet}: 80 galaxies" in out) == (0, True)
    assert "<figcaption>" in sheet.read_text("utf-8")
    status, out, _ = run(
        "predict", blobs, "--run", blob_run.path, "--out", table, "--sheet", tmp_path / "s.png"
    )
    assert (status, f"{table}: 80 galaxies" in out) == (0, True)
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_predict_without_a_place_for_the_answers_says_where_they_can_go(run, blobs, tmp_path):
    status, _, err = run("predict", blobs)
    assert status == 2
    assert "--out answers.csv, or a contact sheet, --sheet answers.html" in err
    status, _, err = run("predict", blobs, "--sheet", tmp_path / "sheet.doc")
    assert (status, "unknown format '.doc' of a contact sheet" in err) == (2, True)


def test_no_command_replaces_a_file_that_is_there_unless_asked_for(run, blobs, blob_run, tmp_path):
    (tmp_path / "p.csv").write_text("id,A,B\n7,0.25,0.75\n")
    (tmp_path / "sample.csv").write_text("GalaxyID,A,B\r\n7,0,0\r\n")
    sample, out = ("--sample", tmp_path / "sample.csv"), tmp_path / "out"
    predict = ("predict", blobs, "--run", blob_run.path)
    commands = {
        "answers.csv": (*predict, "--out"),
        "answers.csv.rejected.csv": (*predict, "--out"),
        "sheet.html": (*predict, "--sheet"),
        "submission.csv": ("submit", tmp_path / "p.csv", *sample, "--out"),
        "model.onnx": ("export", "--run", blob_run.path, "--out"),
        "kaggle.svg": ("tree", "kaggle", "--out"),
        "kaggle.toml": ("tree", "kaggle", "--out"),
        "flowchart.svg": ("figures", "--run", blob_run.path, "--out"),
    }
    out.mkdir()
    for name, command in commands.items():
        mine = out / name
        written = out if command[0] == "figures" else out / name.removesuffix(".rejected.csv")
        mine.write_text("mine", "utf-8")
        status, _, err = run(*command, written)
        assert (status, f"{mine} exists: pass --overwrite to replace it" in err) == (2, True), name
        assert mine.read_text("utf-8") == "mine"
        if command[0] != "export":
            assert run(*command, written, "--overwrite")[0] == 0, name
            assert not mine.exists() or mine.read_bytes() != b"mine"
            mine.unlink(missing_ok=True)


def test_predict_says_what_became_of_the_rows_of_a_table(run, make_jpeg, tmp_path):
    (tmp_path / "1.jpg").write_bytes(make_jpeg(side=424))
    (tmp_path / "t.csv").write_text("id,mag\n1,17.5\n2,18\n")
    command = ("predict", tmp_path / "t.csv", "--image", "{id}.jpg", "--out", tmp_path / "o.csv")
    status, out, _ = run(*command, "--prefix", "p_")
    assert status == 0
    assert "o.csv: 2 rows, 1 galaxy" in out
    assert "1 row without a prediction, and why in the last column; the first, 2.jpg: " in out
    header, first, second = (tmp_path / "o.csv").read_text().replace('"', "").splitlines()
    assert header.startswith("id,mag,p_Class1.1,")
    assert first.startswith("1,17.5,0.")
    assert second.startswith("2,18,,")
    status, _, err = run(*command[:3], "{name}.jpg", "--out", tmp_path / "p.csv")
    assert (status, "has no column 'name'" in err) == (2, True)


def test_shards_are_merged_to_one_table(run, blobs, blob_run, tmp_path):
    out = tmp_path / "t.csv"
    command = ("predict", blobs, "--run", blob_run.path, "--out", out, "--shard")
    status, printed, _ = run(*command, "1/2")
    assert (status, f"shard 1/2, {out}.parts: 40 galaxies" in printed) == (0, True)
    status, _, err = run("merge", out)
    assert (status, "lacks rows of 1 shard of 2 (2/2): run it to the end" in err) == (2, True)
    assert run(*command, "2/2")[0] == 0
    assert run("merge", out)[:2] == (0, f"{out}: 80 galaxies\n")
    assert len(out.read_text().splitlines()) == 81
    status, _, err = run(*command, "2/1", "--overwrite")
    assert (status, "shard is '2/1'; expected e.g. 2/8" in err) == (2, True)
