import json

from galaxyvotes.kinds import FRACTIONS, QUANTITIES
from galaxyvotes.reports.headline import HEADLINE, text_table


def test_the_network_comes_first_and_every_predictor_has_a_row(written):
    lines = text_table(written.document, FRACTIONS).splitlines()
    assert lines[0].split("  ")[-1] == "Mean AUC"
    assert [line.split("  ")[0] for line in lines[1:]] == ["network", "mean vote", "all zeros"]
    rmse = written.document["network"]["rmse"]
    assert f"{rmse['value']:.3f}" in lines[1]
    assert f"{rmse['low']:.3f} to {rmse['high']:.3f}" in lines[1]


def test_an_undefined_number_is_a_dash(written):
    document = json.loads(json.dumps(written.document))
    document["network"]["mean_auc"]["value"] = None
    assert text_table(document, FRACTIONS).splitlines()[1].split()[-1] == "–"


def test_quantities_have_a_row_for_each_quantity_and_predictor():
    measure = {"value": 1.0, "low": 0.5, "high": 1.5}
    row = {column.key: measure for column in HEADLINE[QUANTITIES]}
    rows = [{"quantity": name, "unit": ""} | row for name in ("ttype", "colour")]
    document = {"network": rows, "baselines": {"mean": rows}, "decimals": 3}
    lines = text_table(document, QUANTITIES).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["ttype", "network"],
        ["ttype", "mean"],
        ["colour", "network"],
        ["colour", "mean"],
    ]
