import numpy as np
import pytest

from galaxyvotes import CheckpointError, PackSettings, SplitSettings, pack, train
from galaxyvotes.runs.mean_labels import mean_labels


def test_a_run_of_fewer_answers_records_the_mean_labels_of_all(galaxies_folder, tmp_path):
    splits = SplitSettings(0.6, 0.2, 0.2)
    settings, votes = ("train.answers=Class1.1,Class6.1", "train.epochs=1"), PackSettings(20, 20)
    store = pack(galaxies_folder, tmp_path / "s", settings=votes, splits=splits, progress=False)
    run = train(store, tmp_path / "run", recipe="small", settings=settings, progress=False)
    assert run.heads[0].columns == ("Class1.1", "Class6.1")
    means = mean_labels(run, store.tree.columns)
    assert list(means) == list(store.tree.columns)
    expected = store.values[store.rows("train")].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(list(means.values()), expected, atol=1e-6)
    with pytest.raises(CheckpointError, match="recorded no mean votes of Class99: name a run"):
        mean_labels(run, ["Class1.1", "Class99"])
