import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from galaxyvotes.runtime.threads import in_order, on_a_core_each


@pytest.fixture
def three_threads():
    """Torch computes with three threads while a test runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def threads_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


@pytest.mark.parametrize("run", [in_order, on_a_core_each])
def test_results_come_in_order_with_few_waiting(run):
    started = []
    lock = threading.Lock()

    def work(item: int) -> int:
        with lock:
            started.append(item)
        time.sleep(0.001 * (item % 3))
        return item * item

    for place, (item, result) in enumerate(run(work, range(50), 3)):
        assert (item, result) == (place, place * place)
        assert len(started) <= place + 1 + 2 * 3
    assert place == 49


@pytest.mark.parametrize("run", [in_order, on_a_core_each])
def test_an_error_of_the_work_is_raised_in_the_place_of_its_result(run):
    results = run(lambda item: 1 // (3 - item), range(9), 2)
    assert [next(results)[1] for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.usefixtures("three_threads")
def test_each_item_is_computed_in_one_thread_while_the_others_keep_their_number():
    results = on_a_core_each(lambda _: torch.get_num_threads(), range(40), 2)
    assert next(results)[1] == 1
    assert torch.get_num_threads() == threads_of_a_new_thread() == 3
    assert {threads for _, threads in results} == {1}
    assert torch.get_num_threads() == threads_of_a_new_thread() == 3


@pytest.mark.usefixtures("three_threads")
def test_the_number_of_threads_is_as_before_after_an_error_and_where_results_are_left():
    with pytest.raises(ZeroDivisionError):
        list(on_a_core_each(lambda item: 1 // item, range(9), 2))
    assert torch.get_num_threads() == threads_of_a_new_thread() == 3
    left = on_a_core_each(lambda item: item, range(9), 2)
    next(left)
    assert torch.get_num_threads() == threads_of_a_new_thread() == 3
    left.close()
    assert torch.get_num_threads() == threads_of_a_new_thread() == 3


@pytest.mark.usefixtures("three_threads")
def test_two_at_once_leave_the_number_of_threads_as_it_was():
    def run(_: int) -> set[int]:
        found = {threads for _, threads in on_a_core_each(lambda _: torch.get_num_threads(), "ab")}
        return found | {torch.get_num_threads()}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(40))) == [{1, 3}] * 40
    assert torch.get_num_threads() == threads_of_a_new_thread() == 3


@pytest.mark.usefixtures("three_threads")
def test_as_many_items_at_once_as_torch_has_threads_unless_a_number_is_given():
    together = threading.Barrier(3)  # which the work would wait for in vain otherwise
    assert len(list(on_a_core_each(lambda _: together.wait(10), range(6)))) == 6


@pytest.mark.usefixtures("three_threads")
def test_a_computer_that_starts_no_more_threads_is_an_error_and_not_a_wait(monkeypatch):
    start, started = threading.Thread.start, []

    def refusing(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refusing)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        list(on_a_core_each(lambda item: item, range(9), 3))
    monkeypatch.undo()
    assert not any(thread.is_alive() for thread in started)
    assert torch.get_num_threads() == threads_of_a_new_thread() == 3
