"""Work done by a few threads, given back in order, with only a little of it in memory at a time.

`on_a_core_each` is for work that torch does: it would spread each item over all cores, where
threads that share the layers of a network wait for each other after every one of them.

Source: torch keeps the number of threads of an operation a thread (OpenMP's, and MKL's), and one
number for threads that compute for the first time; `torch.set_num_threads` sets both (2.14.1,
aten/src/ATen/ParallelOpenMP.cpp).
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Lock
from typing import TypeVar

from galaxyvotes.errors import ConfigError

__all__ = ["check_workers", "in_order", "on_a_core_each", "pool_on_a_core_each"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_A_CORE = 16  # more never help, not even with files on a slow network
_STARTING = Lock()  # the number that new threads begin with is one of the whole process


def check_workers(workers: int | None) -> None:
    """Raise a ConfigError for a number of threads that does not help or cannot be started."""
    most = _MOST_A_CORE * (os.cpu_count() or 1)
    if workers is not None and not 1 <= workers <= most:
        raise ConfigError(
            f"workers is {workers}; expected 1 to {most}, {_MOST_A_CORE} for each core here"
        )


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result; at most 2 × `workers` results wait to be taken.

    Whatever `work` raises is raised here, in the place of its result.
    """
    with ThreadPoolExecutor(workers) as pool:
        yield from _in_order(pool, work, items, 2 * workers)


def on_a_core_each(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """`in_order`, where torch computes each item in one thread; without `workers` as many items at
    once as it has threads.

    The calling thread computes with as many threads as before, and so do all others; only one that
    computes for the first time just while the threads start, within a millisecond, does with one.
    """
    import torch  # only here: packing has threads, too, and mostly no need of torch

    with _STARTING:
        workers = workers or torch.get_num_threads()
    with pool_on_a_core_each(workers) as pool:
        yield from _in_order(pool, work, items, 2 * workers)


@contextmanager
def pool_on_a_core_each(workers: int) -> Generator[ThreadPoolExecutor]:
    """So many threads, in each of which torch computes on one core."""
    with ThreadPoolExecutor(workers) as pool:
        _start_on_a_core_each(pool, workers)
        yield pool


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[Item], Result],
    items: Iterable[Item],
    most: int,
) -> Iterator[tuple[Item, Result]]:
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > most:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def _start_on_a_core_each(pool: ThreadPoolExecutor, workers: int) -> None:
    """Start all threads of a pool while torch's number for new threads is 1.

    A pool starts a thread for an item if none is idle, and none is before all have met.
    """
    import torch

    started = Barrier(workers + 1)

    def start() -> None:
        torch.get_num_threads()  # takes over, for this thread, the number for new threads
        started.wait()

    with _STARTING:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for _ in range(workers):
                pool.submit(start)
            started.wait()
        finally:
            started.abort()  # if the computer starts no more threads, those that wait must end
            torch.set_num_threads(before)
