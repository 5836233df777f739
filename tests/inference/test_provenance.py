import re

from galaxyvotes.inference.predict import open_network
from galaxyvotes.inference.provenance import provenance_of


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
