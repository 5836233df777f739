import json

import pytest

from galaxyvotes import LabelSettings, pack
from galaxyvotes.tree import DecisionTree
from galaxyvotes.web.finetune_job import Job, main, run_job, with_votes


@pytest.fixture
def job(tmp_path, zoo, blob_run, blob_store):
    """Eighty galaxies, new to the network of the blobs, that three people have answered for."""
    tree = with_votes(blob_store.tree)
    lines = [",".join(["id", *tree.columns])]
    lines += [f"g{number:04d},{number % 4},{3 - number % 4}" for number in range(80)]
    settings = ("train.epochs=1",)
    found = Job((str(zoo.images),), str(tmp_path), str(blob_run.path), settings)
    found.votes.write_text("\n".join(lines), "utf-8")
    found.tree.write_text(tree.to_toml(), "utf-8")
    return found


def test_a_network_learns_from_votes_and_is_judged_before_and_after(job, tmp_path):
    said = []
    run_job(job, said.append)
    commands = [line.split()[2] for line in said if line.startswith("$ ")]
    assert commands == ["pack", "evaluate", "finetune", "calibrate", "evaluate"]
    before, after = (
        json.loads((tmp_path / when / "report.json").read_text("utf-8"))
        for when in ("before", "after")
    )
    assert before["galaxies"] == after["galaxies"] > 0
    assert "network before fine-tuning" in after["baselines"]
    assert (tmp_path / "run" / "run.json").is_file()


def test_what_cannot_be_done_ends_with_a_sentence(tmp_path, monkeypatch, capsys, kaggle):
    lost = Job((str(tmp_path / "none"),), str(tmp_path))
    lost.votes.write_text("id\n", "utf-8")
    lost.tree.write_text(kaggle.to_toml(), "utf-8")
    monkeypatch.setattr("os.nice", lambda _: 0)
    given = json.dumps({"images": lost.images, "folder": lost.folder})
    monkeypatch.setattr("sys.argv", ["finetune_job", given])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "error: " in capsys.readouterr().err


def test_a_tree_without_a_table_of_votes_gets_one(tmp_path, zoo):
    tree = with_votes(DecisionTree.load("classes5"))
    rows = [f"g{number:04d},{number % 3},1,0,0,0" for number in range(30)]
    (tmp_path / "votes.csv").write_text("\n".join([",".join(["id", *tree.columns]), *rows]))
    labels = LabelSettings(tree=tree, votes="votes")
    store = pack([zoo.images, tmp_path / "votes.csv"], tmp_path / "store", labels=labels)
    by_id = dict(zip(store.ids, store.values[:, 0].tolist(), strict=True))
    assert (by_id["g0000"], by_id["g0001"], by_id["g0002"]) == (0, 0.5, pytest.approx(2 / 3))
    assert with_votes(tree) is tree
