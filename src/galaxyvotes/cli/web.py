"""The command that opens a page in the browser: serve."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from galaxyvotes.cli.options import FinishedRun, Flag, IdColumn, Stretch

__all__ = ["serve"]


def serve(
    catalogue: Path | None = None,
    *,
    images: Annotated[tuple[Path, ...], Parameter(negative=(), show_default=False)] = (),
    galaxy_map: Annotated[Path | None, Parameter(name="--map")] = None,
    id_column: IdColumn = None,
    votes: Path | None = None,
    run: FinishedRun = None,
    stretch: Stretch = None,
    host: str = "127.0.0.1",
    port: int = 8642,
    token: Annotated[str | None, Parameter(env_var="GALAXYVOTES_TOKEN")] = None,
    workers: int | None = None,
    open_: Annotated[bool, Flag, Parameter(name="--open")] = False,
) -> None:
    """Look at galaxies in the browser, and predict images that are sent over HTTP.

    The page shows a catalogue with its pictures and predictions, and predicts what is
    dropped on it. Programs send images to /predict. Ctrl-C ends it.

    Example: galaxyvotes serve answers.parquet --images my-galaxies

    Args:
        catalogue: A table that predict wrote, or another table of galaxies; or a run folder, to
            see the galaxies that evaluate judged it by, or to predict only.
        images: The folder, zip or store with the images of the catalogue; may be repeated.
        galaxy_map: A map of the catalogue that embed made: the page shows it, and galaxies that
            look alike. A map may be the catalogue itself.
        votes: The file for what people answer on the page; by default CATALOGUE.votes.sqlite.
        host: The address to listen on. Others than this computer can reach any but the default,
            and need the token.
        port: 0 is any free port.
        token: The password for others, 16 letters or more; by default a new one each time.
        workers: Threads that predict; by default one per core.
        open_: Also open the page in the browser.
    """
    from galaxyvotes.web.serve import serve as serve_

    with (
        suppress(KeyboardInterrupt),  # which ends it well, also while it starts
        serve_(
            catalogue,
            images=images,
            galaxy_map=galaxy_map,
            id_column=id_column,
            votes=votes,
            run=run,
            stretch=stretch,
            host=host,
            port=port,
            token=token,
            workers=workers,
        ) as server,
    ):
        print(server.url, flush=True)
        if open_:
            import webbrowser

            webbrowser.open(server.url)
        server.wait()
