"""How familiar a galaxy is: ranks that keep their promise, strange images that get low ones, shifts
that are told."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.covariance import ledoit_wolf

from galaxyvotes import DataError, predict_store
from galaxyvotes.confidence.familiarity import Familiarity, Shift, shrunk_covariance
from galaxyvotes.inference.engine import forward, predict_batch
from galaxyvotes.networks.batch import Batch
from galaxyvotes.runs.calibration import Calibration


def features(random, galaxies: int, *, width: float = 1.0) -> np.ndarray:
    """Features as networks have them: not negative, of several scales, correlated, one of them
    dead."""
    mixed = (width * random.normal(size=(galaxies, 12))) @ np.random.default_rng(9).normal(
        size=(12, 20)
    )
    return np.column_stack(
        [np.maximum(mixed, 0) * np.geomspace(0.01, 10, 20), np.zeros(galaxies)]
    ).astype(np.float32)


def test_a_galaxy_like_the_references_is_of_low_familiarity_no_more_often_than_it_says():
    random = np.random.default_rng(0)
    ranks = []
    for _ in range(600):
        familiar = Familiarity.fit(features(random, 40), features(random, 39))
        ranks.append(familiar.scores(features(random, 1))[0])
    for level in (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0):
        expected = np.floor(level * 40) / 40
        assert np.mean(np.array(ranks) <= level + 1e-6) == pytest.approx(
            expected, abs=3 * np.sqrt(expected * (1 - expected) / 600)
        )


def test_known_galaxies_that_taught_the_network_do_not_break_the_promise():
    random = np.random.default_rng(1)
    familiar = Familiarity.fit(features(random, 40, width=0.3), features(random, 2000))
    ranks = familiar.scores(features(random, 2000))
    assert np.mean(ranks <= 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean(ranks) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("galaxies", [15, 400])
def test_the_covariance_is_shrunk_as_much_as_scikit_learn_shrinks_it(galaxies):
    away = features(np.random.default_rng(8), galaxies).astype(np.float64)
    away -= away.mean(axis=0)
    assert np.allclose(
        shrunk_covariance(away), ledoit_wolf(away, assume_centered=True)[0], rtol=1e-9
    )


def test_a_feature_that_never_varied_counts_when_it_does():
    random = np.random.default_rng(2)
    familiar = Familiarity.fit(features(random, 300), features(random, 99))
    galaxies = features(random, 20)
    assert np.median(familiar.scores(galaxies)) > 0.2
    galaxies[:, -1] = 1.0
    assert (familiar.scores(galaxies) == np.float32(0.01)).all()


def test_a_feature_that_is_not_a_number_is_as_strange_as_can_be():
    random = np.random.default_rng(3)
    familiar = Familiarity.fit(features(random, 50), features(random, 99))
    assert familiar.scores(np.full((1, 21), np.nan, np.float32)) == np.float32(0.01)


def test_statistics_that_a_network_ignores_make_a_galaxy_unfamiliar():
    random = np.random.default_rng(5)
    known, references, galaxies = (features(random, n) for n in (300, 199, 200))
    of_known, of_references, like = (random.normal(size=(n, 4)) for n in (300, 199, 200))
    both = Familiarity.fit(known, references, (of_known, of_references))
    assert np.mean(both.scores(galaxies, like) <= 0.05) < 0.1
    assert (both.scores(galaxies, like + 20) == np.float32(1 / 200)).all()
    assert (both.scores(galaxies * 50, like) == np.float32(1 / 200)).mean() > 0.9
    alone = Familiarity.fit(known, references)
    assert np.array_equal(alone.scores(galaxies, like + 20), alone.scores(galaxies))


def test_with_statistics_galaxies_like_the_references_are_unfamiliar_as_often_as_expected():
    random = np.random.default_rng(6)
    shares = []
    for _ in range(40):
        known, references, galaxies = (features(random, n) for n in (60, 199, 50))
        statistics = [random.normal(size=(n, 4)) for n in (60, 199, 50)]
        both = Familiarity.fit(known, references, (statistics[0], statistics[1]))
        shares.append(np.mean(both.scores(galaxies, statistics[2]) <= 0.05 + 1e-6))
    assert np.mean(shares) == pytest.approx(0.05, abs=0.02)


def test_statistics_come_back_from_tensors_and_half_of_them_are_refused():
    random = np.random.default_rng(7)
    known, references = features(random, 60), features(random, 39)
    both = Familiarity.fit(known, references, (known[:, :3], references[:, :3]))
    tensors = both.to_tensors()
    again = Familiarity.from_tensors(tensors)
    assert np.array_equal(again.scores(known, known[:, :3]), both.scores(known, known[:, :3]))
    del tensors["units"]
    with pytest.raises(DataError, match="no 'units'"):
        Familiarity.from_tensors(tensors)


def test_fewer_galaxies_than_features_and_features_that_are_all_alike_do():
    random = np.random.default_rng(4)
    wide = random.normal(size=(50, 256)).astype(np.float32)
    familiar = Familiarity.fit(wide[:30], wide[30:])
    assert (familiar.scores(wide[30:] * 4) < 0.1).all()
    alike = Familiarity.fit(np.ones((30, 5), np.float32), np.ones((20, 5), np.float32))
    assert alike.scores(np.ones((1, 5), np.float32)) == 1
    assert alike.scores(np.full((1, 5), 2, np.float32)) == np.float32(1 / 21)


def test_nothing_is_familiar_after_no_galaxies():
    one = np.ones((1, 3), np.float32)
    with pytest.raises(
        DataError, match="1 training galaxy and 1 reference; expected 2 and 1 or more"
    ):
        Familiarity.fit(one, one)
    with pytest.raises(DataError, match="and 0 references"):
        Familiarity.fit(np.ones((9, 3), np.float32), one[:0])


def test_tensors_give_back_the_same_ranks_and_a_missing_one_is_told():
    random = np.random.default_rng(5)
    familiar = Familiarity.fit(features(random, 60), features(random, 60))
    tensors = familiar.to_tensors()
    galaxies = features(random, 30)
    assert np.array_equal(
        Familiarity.from_tensors(tensors).scores(galaxies), familiar.scores(galaxies)
    )
    del tensors["whiten"]
    with pytest.raises(DataError, match=r"x has no 'whiten': run `galaxyvotes\.calibrate"):
        Familiarity.from_tensors(tensors, "x")


# ---- catalogues


@pytest.mark.parametrize(("references", "galaxies"), [(30, 500), (200, 50), (400, 3000)])
def test_a_catalogue_like_the_references_is_called_shifted_as_rarely_as_promised(
    references, galaxies
):
    random = np.random.default_rng(references)
    found, shares = 0, []
    for _ in range(2000):
        order = np.sort(random.random(references))  # the distances only matter by their order
        below = np.searchsorted(order, random.random(galaxies))
        verdict = Shift.count((1 + references - below) / (1 + references), references)
        found += verdict.detected
        shares.append(verdict.unfamiliar / galaxies)
    assert found <= 0.01 * 2000 + 3 * np.sqrt(0.01 * 2000)
    assert np.mean(shares) == pytest.approx(verdict.level, rel=0.1)


def test_the_chance_is_that_of_the_beta_binomial_law():
    stats = pytest.importorskip("scipy.stats")
    for galaxies, strange, references in (
        (1, 1, 99),
        (100, 12, 99),
        (5000, 400, 399),
        (20, 0, 39),
        (7, 7, 4),
    ):
        low = max(1, (references + 1) // 20)
        expected = stats.betabinom.sf(strange - 1, galaxies, low, references + 1 - low)
        assert Shift(galaxies, strange, references).p_value == pytest.approx(expected, rel=1e-6)


def test_a_shifted_catalogue_is_told_in_a_sentence():
    random = np.random.default_rng(6)
    familiar = Familiarity.fit(features(random, 300), features(random, 399))
    like = Shift.count(familiar.scores(features(random, 300)), 399)
    assert not like.detected
    assert str(like).endswith("no sign of another kind of images")
    other = Shift.count(familiar.scores(features(random, 300, width=1.3)), 399)
    assert other.detected
    assert (
        "of 300 galaxies have a familiarity of 0.05 or less (5.0 % expected): these images differ"
        in str(other)
    )


def test_parts_of_a_catalogue_add_up_to_the_whole():
    ranks = np.random.default_rng(7).integers(1, 101, 90) / np.float32(100)
    assert Shift.count(ranks[:40], 99) + Shift.count(ranks[40:], 99) == Shift.count(ranks, 99)
    assert Shift.count(np.array([0.05, 0.06], np.float32), 99).unfamiliar == 1


def test_of_few_galaxies_the_number_is_said_and_no_share():
    few = str(Shift(3, 3, 399))
    assert few.startswith("3 of 3 galaxies have a familiarity of 0.05 or less (5.0 % expected)")
    assert str(Shift(3, 1, 399)).startswith("1 of 3 galaxies has a familiarity")
    assert str(Shift(400, 22, 399)).startswith("5.5 % of 400 galaxies have a familiarity")


# ---- images


@pytest.fixture(scope="module")
def network(blob_run, blob_store):
    """The network of the blobs, which knows its training galaxies, with ranks among the others."""
    bare = blob_run.network()
    rows = [
        blob_store.rows("train"),
        np.concatenate([blob_store.rows(each) for each in ("validation", "test")]),
    ]
    known, references = (
        forward(bare, Batch(torch.from_numpy(blob_store.images(each)))).features for each in rows
    )
    return replace(
        bare, calibrations=(Calibration(familiarity=Familiarity.fit(known, references)),)
    )


def _zoomed(images: np.ndarray) -> np.ndarray:
    return np.stack(
        [np.asarray(Image.fromarray(image[8:24, 8:24]).resize((32, 32))) for image in images]
    )


STRANGE = {
    "blank": lambda images: np.zeros_like(images),
    "white": lambda images: np.full_like(images, 255),
    "inverted": lambda images: 255 - images,
    "noise": lambda images: np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8),
    "zoomed": _zoomed,
}


@pytest.mark.parametrize("kind", STRANGE)
def test_an_image_unlike_any_galaxy_is_as_strange_as_can_be(network, blob_store, kind):
    images = torch.from_numpy(STRANGE[kind](blob_store.images(blob_store.rows("test"))))
    familiarity = predict_batch(network, Batch(images), ("",) * len(images)).familiarity
    assert (familiarity <= 2 / (1 + network.familiarity.references)).all()
    assert Shift.count(familiarity, network.familiarity.references).detected


def test_how_familiar_a_galaxy_is_does_not_depend_on_its_neighbours(network, blob_store):
    images = torch.from_numpy(blob_store.images(np.arange(70)))
    whole = forward(network, Batch(images)).features
    assert np.array_equal(whole[33:50], forward(network, Batch(images[33:50])).features)
    distances = network.familiarity.distances(whole)
    assert np.array_equal(distances[33:50], network.familiarity.distances(whole[33:50].copy()))


def test_a_run_that_was_never_calibrated_says_nothing_of_it(blob_run, blob_store, network):
    bare = predict_store(blob_run.network(), blob_store)
    assert bare.familiarity is None
    told = predict_store(network, blob_store)
    assert np.array_equal(told.values, bare.values)
    assert told.to_table().column_names == ["id", "long", "round", "familiarity"]
