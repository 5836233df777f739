import threading

import numpy as np
import pytest

from galaxyvotes.errors import ConfigError
from galaxyvotes.runs.run import Run
from galaxyvotes.web import batcher as module
from galaxyvotes.web.batcher import Batcher, Busy


@pytest.fixture(scope="module")
def network(blob_run):
    return Run.open(blob_run.path).network().folded


def pixels(number):
    return np.full((32, 32, 3), number, np.uint8)


def test_all_that_was_accepted_is_answered_before_the_end(network):
    with Batcher.open(2) as batcher:
        futures = [batcher.submit(network, pixels(number)) for number in range(100)]
    values = [future.result(0).values[0].tolist() for future in futures]
    assert len({*map(tuple, values)}) > 50
    with pytest.raises(ConfigError, match="the server stops"):
        batcher.submit(network, pixels(0))


def test_an_answer_does_not_depend_on_the_images_beside_it(network):
    with Batcher.open(1) as batcher:
        alone = [batcher.submit(network, pixels(number)).result(60) for number in range(5)]
        together = [batcher.submit(network, pixels(number)) for number in range(40)]
        for number, one in enumerate(alone):
            assert (together[number].result(60).values == one.values).all()


def test_too_many_images_are_refused_and_a_cancelled_one_is_passed_over(network, monkeypatch):
    monkeypatch.setattr(module, "_MOST_WAITING", 3)
    gate = threading.Event()
    monkeypatch.setattr(module, "_compute", lambda jobs: gate.wait(60))
    with Batcher.open(1) as batcher:
        batcher.submit(network, pixels(0))
        while batcher.waiting:
            pass
        waiting = [batcher.submit(network, pixels(number)) for number in range(3)]
        with pytest.raises(Busy):
            batcher.submit(network, pixels(9))
        assert waiting[0].cancel()
        gate.set()


def test_a_failure_is_that_of_its_request_and_the_next_one_is_answered(network):
    with Batcher.open(1) as batcher:
        with pytest.raises(Exception, match="size"):
            batcher.submit(network, np.zeros((4, 4, 3), np.uint8)).result(60)
        assert batcher.submit(network, pixels(1)).result(60).values.shape == (1, 2)
