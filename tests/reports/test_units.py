from galaxyvotes.reports.units import in_unit, titled


def test_a_unit_that_is_known_stands_beside_the_quantity_and_its_numbers():
    assert titled("radius", "arcsec") == "radius (arcsec)"
    assert in_unit("3.2", "arcsec") == "3.2\N{NO-BREAK SPACE}arcsec"
    assert (titled("ttype", ""), in_unit("3.2", "")) == ("ttype", "3.2")
