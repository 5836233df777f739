import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from galaxyvotes.runtime.quiet import quiet


def test_nothing_is_shown_meanwhile_and_everything_afterwards():
    with quiet():
        warnings.warn("kept", stacklevel=1)
    with pytest.warns(UserWarning, match="shown"):
        warnings.warn("shown", stacklevel=1)


def test_threads_leave_the_filters_as_they_were():
    before = list(warnings.filters)

    def remark(_: int) -> None:
        with quiet():
            warnings.warn("kept", stacklevel=1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(remark, range(200)))
    assert warnings.filters == before
