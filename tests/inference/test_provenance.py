import re
from dataclasses import replace

from galaxyvotes.inference.predict import open_network
from galaxyvotes.inference.provenance import in_words, not_calibrated, provenance_of


def test_names_fit_into_keywords_of_fits_and_facts_name_the_network():
    facts = provenance_of(*open_network(None))
    assert all(re.fullmatch(r"[a-z]{1,8}", name) for name in facts)
    assert (facts["model"], facts["tree"], facts["coverage"]) == (
        "the bundled model",
        "kaggle",
        "0.9",
    )
    assert re.fullmatch(r"[0-9a-f]{32}", facts["weights"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", facts["date"])


def test_two_trees_of_one_run_have_the_same_weights_and_say_which_they_are():
    network, origin = open_network(None)
    one, other = (provenance_of(network.for_tree(tree), origin) for tree in ("kaggle", "classes5"))
    assert one["weights"] == other["weights"]
    assert (other["tree"], "coverage" in other) == ("classes5", False)


def test_the_model_its_trees_and_the_kind_of_device_are_said_in_words(file, blob_run):
    assert in_words(*open_network(None)) == (
        "the bundled model (trained on 24,843 galaxies), tree kaggle (others: classes5, gz2), on"
        " the CPU"
    )
    trained = f"trained on {blob_run.facts['stores'][0]['train']} galaxies"
    assert in_words(*open_network(blob_run)) == (
        f"{blob_run.path} ({trained}), tree class, on the CPU"
    )
    assert in_words(*open_network(file)) == f"{file}, tree class, on the CPU"


def test_a_network_without_calibration_says_what_it_lacks_and_what_calibrates_it(file, blob_run):
    network, origin = open_network(None)
    assert {not_calibrated(network.for_tree(tree), origin) for tree in ("kaggle", "gz2")} == {""}
    assert not_calibrated(*open_network(blob_run)) == (
        f"no calibrated probabilities and no familiarity: {blob_run.path} is not calibrated for the"
        f" tree class; `galaxyvotes.calibrate('STORE', run='{blob_run.path}')` does that, with"
        " labelled galaxies that it was not trained on"
    )
    bare = replace(network, calibrations=())
    assert "no prediction intervals and no familiarity: the bundled model is not" in (
        not_calibrated(bare, origin)
    )
    assert "`galaxyvotes.calibrate('STORE', out='calibrated')`" in not_calibrated(bare, origin)
    assert "is an ONNX file, which holds neither" in not_calibrated(*open_network(file))
