"""The rows of a prediction job computed by the actors of a Ray cluster, and given back in order.

Each actor opens the job for itself, on the machine that it is on, and predicts some rows at a time.
It writes nothing: the process that asked keeps the rows as it keeps its own (see `parts`), so none
is there twice, whatever becomes of an actor, and a job that was begun with any number of them, or
without Ray, goes on with any other. Ray starts an actor again that has ended; the rows that it had
go to whichever is free first.
"""

import os
import platform
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from galaxyvotes.errors import ConfigError, DataError, GalaxyVotesError, MissingExtraError
from galaxyvotes.inference.engine import chunk_size
from galaxyvotes.inference.galaxies import cut
from galaxyvotes.inference.opened import ImageSettings, Opened, open_job
from galaxyvotes.inference.parts import WHOLE, Plan
from galaxyvotes.inference.stream import Part, Stream
from galaxyvotes.predictions import Predictions
from galaxyvotes.runs.network import Network
from galaxyvotes.runtime.counted import counted
from galaxyvotes.table_settings import TableSettings

__all__ = ["Cluster", "Pool", "connected", "on_cluster"]

AHEAD = 2  # tasks of an actor: the one that it computes, and one that waits there
WINDOW = 8  # tasks an actor that are computed or wait to be taken in order
MOST_LOST = 5  # times that rows are given out, or actors start, before their end is no accident
_STORE = 200_000_000  # bytes of memory that a cluster started here shares, of 60 kB a task


_DEVICES = {"auto": "auto", "cpu": "cpu", "cuda": "cuda", "gpu": "cuda"}
OpenNetwork = Callable[[str], tuple[Network, Path]]


@dataclass(frozen=True)
class JobCopy:
    """What opens a job once more, in another process: the network, on a device; its images, as they
    are called in a folder; and the columns of its table. `plan` is that of the job.
    """

    network: OpenNetwork
    device: str
    images: ImageSettings
    table: TableSettings
    out: Path | None
    folder: str
    plan: Plan

    @contextmanager
    def open(self) -> Generator[Opened]:
        """The job, whose files are open while the context lasts.

        Raises ConfigError if images, model or version are others on this machine, and as `predict`.
        """
        with suppress(OSError):  # a machine without the folder has the images if paths are absolute
            os.chdir(self.folder)
        network, origin = self.network(self.device)
        with open_job(self.images, network, origin, self.table, self.out) as job:
            if differs := job.plan(WHOLE).unlike(self.plan):
                raise ConfigError(
                    f"a worker of Ray on {platform.node()} has {differs}: all machines must"
                    " reach the same files, and have the same galaxyvotes"
                )
            yield job


class Worker:
    """What an actor of Ray does."""

    def __init__(self, copy: JobCopy) -> None:
        """Nothing is opened yet: an error here would be Ray's, and not what it is."""
        self._copy, self._files = copy, ExitStack()
        self._job: Opened | None = None

    def open(self) -> Opened:
        """The job; it is opened once in the life of the process."""
        if self._job is None:
            self._job = self._files.enter_context(self._copy.open())
        return self._job

    def start(self) -> None:
        """Open the job."""
        self.open()

    def parts(self, start: int, stop: int) -> list[Part[Predictions]]:
        """What is predicted for some rows of the job."""
        return [*self.open().stream.parts(start, stop, stop - start)]


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster: so many actors, each with so many cores and GPUs; `device` is what they
    compute on, `cpu` or `cuda`.
    """

    ray: Any
    actors: int
    cores: int
    gpus: int

    @property
    def device(self) -> str:
        """What each actor computes on."""
        return "cuda" if self.gpus else "cpu"

    def __str__(self) -> str:
        """In words."""
        return f"{counted(self.actors, 'Ray worker')} with a {'GPU' if self.gpus else 'core'} each"

    @contextmanager
    def start(self, actor: type, *given: object) -> Generator["Pool"]:
        """Actors of a class, which get these arguments, while the context lasts."""
        remote = self.ray.remote(actor).options(
            num_cpus=self.cores, num_gpus=self.gpus, max_restarts=-1, max_task_retries=0
        )
        actors = [remote.remote(*given) for _ in range(self.actors)]
        try:
            yield Pool(self.ray, actors)
        finally:
            for one in actors:
                self.ray.kill(one)


class _LostError(Exception):
    """An actor has ended, or what it computed cannot be had any more."""


@dataclass
class Pool:
    """Actors that compute rows. One that Ray still has to start, or starts again, is given none."""

    ray: Any
    actors: list[Any]
    tasks: Counter[int] = field(default_factory=Counter[int])  # that each actor has
    up: set[int] = field(default_factory=set[int])
    starting: dict[Any, int] = field(default_factory=dict[Any, int])
    failed: set[int] = field(default_factory=set[int])  # to start, since one computed something

    def __post_init__(self) -> None:
        """Wait for no actor: those that are up begin."""
        for actor in range(len(self.actors)):
            self._start(actor)

    def computed(self, tasks: Iterator[tuple[int, int]]) -> Iterator[Any]:
        """What `parts` gives for each task, the first row and the one behind the last, in order.

        Raises DataError if actors end over and over, and what `start` and `parts` raise.
        """
        running: dict[Any, tuple[int, int, tuple[int, int]]] = {}
        numbered, again = enumerate(tasks), deque[tuple[int, tuple[int, int]]]()
        done, losses, first = dict[int, Any](), Counter[int](), 0
        most = WINDOW * len(self.actors)
        while True:
            while (free := self._free()) is not None and len(running) + len(done) < most:
                task = again.popleft() if again else next(numbered, None)
                if task is None:
                    break
                ref = self.actors[free].parts.remote(*task[1])
                running[ref] = free, *task
                self.tasks[free] += 1
            if not running and not again and self.up:
                return
            for ref in self._ended(running):
                if ref not in running:  # of an actor that has ended
                    continue
                actor, number, _ = running[ref]
                try:
                    done[number] = self._result(ref)
                except _LostError as error:
                    lost = [other for other, task in running.items() if task[0] == actor]
                    again.extend(running.pop(other)[1:] for other in lost)
                    self._start(actor)
                    self._count_loss(losses, *again[-len(lost)], error)  # it computed the first
                else:
                    del running[ref]
                    self.tasks[actor] -= 1
                    self.failed.clear()
            while first in done:
                yield done.pop(first)
                first += 1

    def _count_loss(
        self, losses: Counter[int], number: int, rows: tuple[int, int], error: _LostError
    ) -> None:
        losses[number] += 1
        if losses[number] >= MOST_LOST:
            raise DataError(
                f"{MOST_LOST} workers of Ray have ended while they computed rows {rows[0]:,} to"
                f" {rows[1] - 1:,}: {error}"
            ) from None

    def _free(self) -> int | None:
        """The actor with the fewest tasks that may have one more."""
        free = [actor for actor in self.up if self.tasks[actor] < AHEAD]
        return min(free, key=self.tasks.__getitem__) if free else None

    def _ended(self, running: Iterable[Any]) -> list[Any]:
        """Those tasks that have ended, or none if an actor has started."""
        ready, _ = self.ray.wait([*running, *self.starting], num_returns=1)
        for ref in ready:
            if (actor := self.starting.pop(ref, None)) is None:
                continue
            try:
                self._result(ref)
                self.up.add(actor)
            except _LostError as error:
                self.failed.add(actor)
                if len(self.failed) == len(self.actors):
                    raise DataError(
                        f"all workers of Ray have ended while they started, {MOST_LOST} times each:"
                        f" {error}"
                    ) from None
                self._start(actor)
        return [ref for ref in ready if ref in running]

    def _start(self, actor: int) -> None:
        """Give an actor no tasks until Ray has started it."""
        self.tasks[actor] = 0
        self.up.discard(actor)
        # Without retries Ray refuses what is asked of an actor that it is starting again.
        start = self.actors[actor].start.options(max_task_retries=MOST_LOST - 1)
        self.starting[start.remote()] = actor

    def _result(self, ref: Any) -> Any:
        """What an actor gives; an error of ours is raised as it is, without Ray's traceback."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(ref)
        except errors.RayTaskError as error:
            if isinstance(error.cause, GalaxyVotesError):
                raise error.cause from None
            raise
        except errors.RayError as error:
            raise _LostError(" ".join(str(error).split())) from None


@contextmanager
def connected(address: str, device: str, workers: int | None) -> Generator[Cluster]:
    """The Ray cluster at an address, `HOST:PORT` or `auto`, or one on this machine, `local`, which
    ends with the context; or the one that the process is connected to already.

    All actors have a GPU each if the cluster has any, or else a core each: rows of a job are
    computed alike. There are `workers` of them, by default as many as have room.

    Raises MissingExtraError without Ray; ConfigError for a device that Ray does not give, for a
    number of workers below one, and if no cluster is there.
    """
    if device not in _DEVICES:
        raise ConfigError(f"device {device!r}: on Ray it is auto, cpu or cuda, whichever machine")
    if workers is not None and workers < 1:
        raise ConfigError(f"workers is {workers}; expected 1 or more, the actors of Ray")
    try:
        ray = import_module("ray")
    except ImportError:
        raise MissingExtraError("Ray", "ray") from None
    joined = not ray.is_initialized()
    if joined:
        _join(ray, address, workers)
    try:
        yield _cluster(ray, device, workers)
    finally:
        if joined:
            ray.shutdown()


def _join(ray: Any, address: str, workers: int | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": "error"}
    if address == "local":
        quiet |= {
            "num_cpus": max(workers or 1, os.cpu_count() or 1),
            "include_dashboard": False,
            "object_store_memory": _STORE,
        }
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reads it and nothing else
    try:
        ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        raise ConfigError(
            f"no Ray cluster can be used at {address!r}: {' '.join(str(error).split())}; expected"
            " local, auto or HOST:PORT, of a cluster that runs"
        ) from None


def _cluster(ray: Any, device: str, workers: int | None) -> Cluster:
    there = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    with_gpus = [node for node in there if node.get("GPU", 0) >= 1]
    if _DEVICES[device] == "cuda" or (device == "auto" and with_gpus):
        cores = [int(node.get("CPU", 0) // node["GPU"]) for node in with_gpus]
        gpus = int(sum(node["GPU"] for node in with_gpus))
        return Cluster(ray, workers or max(1, gpus), max(1, min(cores, default=1)), 1)
    return Cluster(ray, workers or max(1, int(sum(node.get("CPU", 0) for node in there))), 1, 0)


@dataclass(frozen=True)
class ClusterStream(Stream[Predictions]):
    """The predictions of a job, computed by the actors of a cluster."""

    cluster: Cluster = field(kw_only=True)
    pool: Pool = field(kw_only=True)

    def computed(self, start: int, stop: int, block: int) -> Iterator[Part[Predictions]]:
        """See `Stream`."""
        cores = self.cluster.cores
        size = cores * chunk_size(stop - start, cores * self.cluster.actors)
        tasks = ((part.start, part.stop) for part in cut(size, start, stop, block))
        for parts in self.pool.computed(tasks):
            yield from parts


@contextmanager
def on_cluster(
    job: Opened, cluster: Cluster, network: OpenNetwork, table: TableSettings, out: Path | None
) -> Generator[Opened]:
    """The job, computed by the actors of a cluster while the context lasts; `network` opens its
    network on a device.
    """
    images = replace(job.images, workers=cluster.cores, progress=False)
    plan, folder = job.plan(WHOLE), str(Path.cwd())
    copy = JobCopy(network, cluster.device, images, table, out, folder, plan)
    with cluster.start(Worker, copy) as pool:
        stream = job.stream
        stream = ClusterStream(
            stream.galaxies,
            stream.compute,
            stream.pack,
            stream.workers,
            stream.passed_over,
            stream.progress,
            cluster=cluster,
            pool=pool,
        )
        yield replace(job, stream=stream)
