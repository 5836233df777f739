"""Images of many requests through one network together.

An image waits only while the images before it are computed: a thread takes what has come meanwhile,
up to as many as fill the processor's cache. The engine's groups have one size, so the predictions
for a galaxy are those of `predict`, to the last bit, whatever it is computed beside.
"""

import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8

from galaxyvotes.errors import ConfigError
from galaxyvotes.inference.engine import predict_batch
from galaxyvotes.networks.batch import Batch
from galaxyvotes.predictions import Predictions
from galaxyvotes.runs.network import Network
from galaxyvotes.runtime.threads import pool_on_a_core_each

__all__ = ["Batcher", "Busy"]

_TOGETHER = 16  # images that a thread takes at a time: more only make the next ones wait
_MOST_WAITING = 4096  # images, of some 27 kilobytes each


class Busy(Exception):  # noqa: N818
    """More images wait than can be computed soon."""


class _Job(NamedTuple):
    network: Network
    pixels: UInt8[np.ndarray, "side side 3"]
    result: Future[Predictions]


@dataclass
class Batcher:
    """Images that wait, and the threads that predict them."""

    _waiting: deque[_Job] = field(default_factory=deque[_Job])
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    @staticmethod
    @contextmanager
    def open(workers: int) -> "Generator[Batcher]":
        """Start so many threads; at the end, what waits is computed first."""
        batcher = Batcher()
        with pool_on_a_core_each(workers) as pool:
            for _ in range(workers):
                pool.submit(batcher._work)
            try:
                yield batcher
            finally:
                with batcher._changed:
                    batcher._closed = True
                    batcher._changed.notify_all()

    @property
    def waiting(self) -> int:
        """How many images wait."""
        return len(self._waiting)

    def submit(
        self, network: Network, pixels: UInt8[np.ndarray, "side side 3"]
    ) -> Future[Predictions]:
        """The prediction for one image, without an id, when it is there. `network` is folded, and
        the same object for images that may be computed together.

        Raises Busy if too many wait, ConfigError if the server stops.
        """
        result: Future[Predictions] = Future()
        with self._changed:
            if self._closed:
                raise ConfigError("the server stops")
            if len(self._waiting) >= _MOST_WAITING:
                raise Busy
            self._waiting.append(_Job(network, pixels, result))
            self._changed.notify_all()
        return result

    def _work(self) -> None:
        while jobs := self._take():
            with suppress(Exception):  # of futures that are cancelled meanwhile
                _compute(jobs)

    def _take(self) -> list[_Job]:
        """The next images for one network; none when the server stops."""
        jobs = list[_Job]()
        with self._changed:
            while not jobs and not (self._closed and not self._waiting):
                self._changed.wait_for(lambda: self._waiting or self._closed)
                jobs = self._next()
        return jobs

    def _next(self) -> list[_Job]:
        jobs = list[_Job]()
        while (
            self._waiting
            and len(jobs) < _TOGETHER
            and (not jobs or self._waiting[0].network is jobs[0].network)
        ):
            job = self._waiting.popleft()
            if job.result.set_running_or_notify_cancel():
                jobs.append(job)
        return jobs


def _compute(jobs: list[_Job]) -> None:
    try:
        batch = Batch(torch.from_numpy(np.stack([job.pixels for job in jobs])))
        predictions = predict_batch(jobs[0].network, batch, ("",) * len(jobs))
    except BaseException as error:  # each request answers with it
        for job in jobs:
            job.result.set_exception(error)
        return
    for row, job in enumerate(jobs):
        job.result.set_result(predictions.take(np.array([row])))
