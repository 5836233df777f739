import io

import numpy as np
import pytest

from galaxyvotes.store.format import (
    HEADER_BYTES,
    OWN_COLUMNS,
    images_header,
    value_column,
    votes_column,
)
from galaxyvotes.tree import DecisionTree


@pytest.mark.parametrize("galaxies", [1, 12, 10**9])
def test_the_header_is_numpys_and_as_long_for_any_number_of_galaxies(galaxies):
    header = images_header(galaxies, 128)
    assert len(header) == HEADER_BYTES
    file = io.BytesIO(header)
    assert np.lib.format.read_magic(file) == (1, 0)
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    assert (shape, fortran_order, dtype) == ((galaxies, 128, 128, 3), False, np.uint8)


def test_the_columns_of_a_table_say_what_they_hold(kaggle):
    assert value_column(kaggle, "Class1.1") == "fraction:Class1.1"
    assert votes_column("Class1.1") == "votes:Class1.1"
    assert value_column(DecisionTree.of_numbers(["t_type"]), "t_type") == "quantity:t_type"
    assert OWN_COLUMNS == ("split", "source", "pixels")
