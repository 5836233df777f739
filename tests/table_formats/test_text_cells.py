import pyarrow as pa

from galaxyvotes.table_formats.columns import column
from galaxyvotes.table_formats.text_cells import has_arrays, json_cells, text_cells


def test_single_values_have_the_digits_that_they_need():
    numbers = pa.array([0.1, None, 1e20, float("nan")], pa.float32())
    assert text_cells(numbers).to_pylist() == ["0.1", None, "1e+20", "nan"]
    assert text_cells(pa.array([True, None])).to_pylist() == ["true", None]
    assert text_cells(pa.array([b"a\xff", None], pa.large_binary())).to_pylist() == ["a�", None]


def test_arrays_are_json_in_the_shape_that_they_have():
    flat = pa.array([[1, 2, 3, 4, 5, 6], None], pa.list_(pa.int16(), 6))
    nested = pa.array([[[1, 2, 3], [4, 5, 6]], None], pa.list_(pa.list_(pa.int16(), 3), 2))
    cells = [
        json_cells(flat, column("a", flat.type, shape="2,3")),
        json_cells(nested, pa.field("a", nested.type)),
    ]
    assert [each.to_pylist() for each in cells] == [["[[1,2,3],[4,5,6]]", None]] * 2
    plain = json_cells(flat, pa.field("a", flat.type))
    assert plain.to_pylist() == ["[1,2,3,4,5,6]", None]
    lists = pa.array([[], [0.5]], pa.large_list(pa.float64()))
    assert json_cells(lists, pa.field("a", lists.type)).to_pylist() == ["[]", "[0.5]"]
    assert [has_arrays(each.type) for each in (flat, lists, pa.array([1]))] == [True, True, False]
