"""A server that runs beside the program that started it."""

import contextlib
import ipaddress
import secrets
import socket
import threading
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from galaxyvotes.errors import ConfigError, MissingExtraError
from galaxyvotes.kinds import QUANTITIES
from galaxyvotes.reports.galaxy_table import EVALUATED
from galaxyvotes.runs.run import Run
from galaxyvotes.runtime.files import given_path, given_source
from galaxyvotes.search.galaxy_map import GalaxyMap
from galaxyvotes.sources.suffixes import FITS_SUFFIXES, IMAGE_SUFFIXES, split_suffix

if TYPE_CHECKING:
    import uvicorn

    from galaxyvotes.web.site import Site

__all__ = ["Server", "serve"]

_START_SECONDS = 30


class Server:
    """A running server; `stop()`, or the end of a `with` block, ends it after what it has accepted
    is answered.
    """

    def __init__(self, url: str, uvicorn_server: "uvicorn.Server", sock: socket.socket) -> None:
        """Start to listen. `url` is its address, with the token if it has one."""
        self.url = url
        self._server = uvicorn_server
        self._open = ExitStack()
        self._thread = threading.Thread(
            target=uvicorn_server.run, kwargs={"sockets": [sock]}, daemon=True
        )

    def _start(self, resources: ExitStack) -> None:
        """Take over the resources, once it listens; an interruption before that stops it."""
        self._thread.start()
        try:
            while not self._server.started and self._thread.is_alive():
                self._thread.join(0.01)
        except BaseException:
            self.stop()
            raise
        self._open = resources.pop_all()

    def wait(self) -> None:
        """Serve until Ctrl-C, or until another thread stops the server."""
        try:
            while self._thread.is_alive():
                self._thread.join(1.0)
        finally:
            self.stop()

    def stop(self) -> None:
        """Accept nothing more, answer what was accepted, and close the catalogue."""
        self._server.should_exit = True
        self._thread.join()
        self._open.close()

    def __enter__(self) -> "Server":
        """The server itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def __repr__(self) -> str:
        """Where it is."""
        return f"<Server {self.url}>"

    def _repr_html_(self) -> str:
        return f'<a href="{self.url}" target="_blank">{self.url}</a>'


def serve(
    catalogue: str | Path | None = None,
    *,
    images: str | Path | Sequence[str | Path] = (),
    galaxy_map: GalaxyMap | str | Path | None = None,
    id_column: str | None = None,
    votes: str | Path | None = None,
    run: Run | str | Path | None = None,
    stretch: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8642,
    token: str | None = None,
    workers: int | None = None,
) -> Server:
    """A server for a page in the browser, and for programs: it shows a catalogue, and predicts
    images that are sent to it.

    `catalogue` is a table that `predict` wrote, or any other table of galaxies; `images` are the
    folders, archives or the store with their pictures, and `galaxy_map` is a map of them, which
    `embed` wrote, with neighbours and, without images, with pictures. A map may be the catalogue
    itself. Galaxies are known by the ids in `id_column`; by default that is one that is
    called as ids are, or the first of texts. The images and the map may call them as another column
    does. A run folder in its place is the same as `run`: the server then shows the galaxies that
    `evaluate` judged the run by, beside their labels; without any it only predicts. Predictions
    come from `run`, by default the bundled model.
    FITS images become pictures by the `stretch`, by default that of the catalogue or the run.
    `votes` is the file (SQLite) for what people answer and star on the page, by default
    `<catalogue>.votes.sqlite`; the first answer makes it.

    It listens on this computer only. With another `host` others can reach it, and every request
    needs the `token`, by default a new one, which is a part of `url`. Port 0 is any free one. The
    server runs in threads of this process until `stop()`; `wait()` waits for Ctrl-C.

    Raises MissingExtraError without the extra `web`; ConfigError if the address cannot be used, for
    a folder, a zip or a store in place of a catalogue, for images or a map without a catalogue, a
    stretch that there is not, and a file of votes of another tree; DataError if the catalogue, the
    images, the map or that file cannot be read; CheckpointError if the run is not finished or
    damaged.
    """
    _check_extra()
    catalogue, run = _table_and_run(catalogue, run)
    listening = _listen(host, port)
    with ExitStack() as stack:
        stack.callback(listening.close)
        token = _token(host, token)
        site = _open_site(
            stack, catalogue, images, galaxy_map, id_column, votes, run, stretch, workers
        )
        server = _server(site, listening, host, token)
        server._start(stack)  # pyright: ignore[reportPrivateUsage]
    return server


def _table_and_run(
    catalogue: str | Path | None, run: Run | str | Path | None
) -> tuple[Path | None, Run | str | Path | None]:
    """The table and the run that are served: in place of a folder the table that `evaluate` wrote
    there, if it did, and with that table the run in whose folder it lies.

    Raises ConfigError for two runs, and for images in place of a table.
    """
    if catalogue is None:
        return None, run
    path = given_path(catalogue)
    _refuse_images(path)
    table = path / EVALUATED if path.is_dir() else path
    if table.name == EVALUATED and (table.parent / "run.json").is_file():
        if run is not None and path.is_dir():
            raise ConfigError(f"{catalogue} is a run, and so is `run=…`: name one")
        run = run or table.parent
    return (None if path.is_dir() and not table.is_file() else table), run


def _refuse_images(path: Path) -> None:
    """Raise a ConfigError for images, or a store, in place of a catalogue, which say what to do."""
    what = "a store" if (path / "store.toml").is_file() else "a folder"
    if not path.is_dir():
        suffix = split_suffix(path.name)[1]
        is_image = suffix in IMAGE_SUFFIXES - FITS_SUFFIXES
        what = "an image" if is_image else "a zip" if zipfile.is_zipfile(path) else ""
    if what and not any((path / name).is_file() for name in ("run.json", EVALUATED)):
        raise ConfigError(
            f"{path} is {what}, and the page shows a table of galaxies: predict it first,"
            f' `galaxyvotes.predict({str(path)!r}, out="answers.parquet")`, then'
            f' `galaxyvotes.serve("answers.parquet", images={str(path)!r})`'
        )


def _check_extra() -> None:
    for module in ("duckdb", "fastapi", "python_multipart", "uvicorn"):
        try:
            import_module(module)
        except ImportError:
            raise MissingExtraError(module, "web") from None


def _open_site(
    stack: ExitStack,
    path: str | Path | None,
    images: str | Path | Sequence[str | Path],
    galaxy_map: GalaxyMap | str | Path | None,
    id_column: str | None,
    votes: str | Path | None,
    run: Run | str | Path | None,
    stretch: str | None,
    workers: int | None,
) -> "Site":
    from galaxyvotes.web.catalogue import Catalogue
    from galaxyvotes.web.classifications import Classifications
    from galaxyvotes.web.finetuning import FineTuning
    from galaxyvotes.web.informative import Informative
    from galaxyvotes.web.look_alikes import LookAlikes
    from galaxyvotes.web.model import Model
    from galaxyvotes.web.pictures import OfFiles, OfMap, Pictures, open_images
    from galaxyvotes.web.site import Site
    from galaxyvotes.web.stars import Interest, Stars
    from galaxyvotes.web.votes_file import VotesFile

    has_images = isinstance(images, str | Path) or len(images) > 0
    if path is None and (has_images or galaxy_map is not None):
        named = "images=…` are the pictures" if has_images else "galaxy_map=…` is the map"
        raise ConfigError(f"`{named} of a catalogue: name the catalogue, too")
    model = stack.enter_context(Model.open(run, workers, stretch))
    if path is None:
        return Site(model)
    placed = None if galaxy_map is None else GalaxyMap.open(galaxy_map)
    catalogue = stack.enter_context(Catalogue.open(path, model.trees, placed, id_column))
    if placed is None and catalogue.places is not None:
        placed = GalaxyMap.open(path)
    look_alikes = None if placed is None else LookAlikes(placed, catalogue)
    pictures = None
    if has_images:
        pack = model.network.pack.for_images(stretch=stretch or catalogue.stretch or None)
        pictures = Pictures.of(catalogue, stack.enter_context(open_images(images, pack)))
    elif catalogue.has_thumbnails:
        pictures = Pictures(OfMap(catalogue))
    elif look_alikes is not None and "thumbnail" in look_alikes.galaxy_map.columns:
        of_map = stack.enter_context(Catalogue.open(look_alikes.galaxy_map.path))
        pictures = Pictures(OfMap(of_map), look_alikes.id_on_map)
    file = given_path(votes or catalogue.path.with_name(f"{catalogue.path.name}.votes.sqlite"))
    labels = None
    if catalogue.answers is not None and catalogue.answers.tree.kind is not QUANTITIES:
        labels = Classifications(file, catalogue.answers.tree)
        labels.progress()  # what is wrong with a file that is there is said now
    stars = Stars(VotesFile(file) if labels is None else labels.file, catalogue)
    interest = None if placed is None else Interest(placed, stars)
    fine_tuner, informed = None, None
    if labels is not None and pictures is not None and isinstance(pictures.images, OfFiles):
        named = [images] if isinstance(images, str | Path) else images
        sources = tuple(map(given_source, named))
        folder = catalogue.path.with_name(f"{catalogue.path.name}.finetuned")
        start = run.path if isinstance(run, Run) else None if run is None else given_path(run)
        fine_tuner = FineTuning(sources, pictures.name_of, labels, folder, start)
        stack.callback(fine_tuner.stop)
        if labels.tree.name in [tree.name for tree in model.trees]:
            tuner = fine_tuner
            informed = Informative(sources, catalogue, labels.tree.name, lambda: tuner.run)
            stack.callback(informed.stop)
    return Site(
        model, catalogue, pictures, look_alikes, labels, stars, interest, fine_tuner, informed
    )


def _token(host: str, token: str | None) -> str:
    if token is not None:
        if len(token) < 16:
            raise ConfigError("a token has 16 letters or more; by default a new one is made")
        return token
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return ""
    return "" if host == "localhost" else secrets.token_urlsafe(24)


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise ConfigError(f"port is {port}; expected 0 (any free one) to 65535")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(
            f"cannot listen on {host} port {port}: {why}; name another with `port=…` or `host=…`"
        ) from None
    # What is accepted inherits it: else the second part of an answer waits for 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _server(site: "Site", listening: socket.socket, host: str, token: str) -> Server:
    import uvicorn

    from galaxyvotes.web.app import create_app

    options: dict[str, Any] = {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        "ws": "none",
        "lifespan": "off",
        "timeout_graceful_shutdown": _START_SECONDS,
        "h11_max_incomplete_event_size": 64 * 1024,
    }
    server = uvicorn.Server(uvicorn.Config(create_app(site, token=token), **options))
    name = f"[{host}]" if ":" in host else host
    port = listening.getsockname()[1]
    url = f"http://{name}:{port}/" + (f"?token={token}" if token else "")
    return Server(url, server, listening)
