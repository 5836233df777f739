"""What a prediction job works on, while its files are open: the galaxies with their images, the
network, and the columns of the table that it gives.
"""

import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from galaxyvotes.answer_columns import answer_names, table_schema
from galaxyvotes.config import PackSettings
from galaxyvotes.errors import ConfigError
from galaxyvotes.images.read import with_stretch
from galaxyvotes.inference.catalogue import CatalogueColumns
from galaxyvotes.inference.engine import predict_batch
from galaxyvotes.inference.onnx_model import OnnxModule
from galaxyvotes.inference.parts import Plan, Shard
from galaxyvotes.inference.pictures import pictures_of, pictures_of_rows
from galaxyvotes.inference.predicted import Pictures
from galaxyvotes.inference.provenance import calibration_digest, provenance_of
from galaxyvotes.inference.stream import Stream, open_stream
from galaxyvotes.inference.summary import SUMMARY_FIELDS, check_summary
from galaxyvotes.inference.table_images import named_table, open_table_images
from galaxyvotes.predictions import Predictions
from galaxyvotes.runs.network import Network
from galaxyvotes.sky.fits import FitsLayout
from galaxyvotes.sky.stretch import Stretch
from galaxyvotes.table_settings import TableSettings

__all__ = ["ImageSettings", "Opened", "columns_of", "open_job"]


@dataclass(frozen=True)
class ImageSettings:
    """Which images are predicted, and how they are read: `image` is a template over the columns of
    a table, whose ids are in `id_column`, `layout` says where in FITS files they are, `pack` how
    they are cropped.
    """

    paths: Sequence[Path]
    pack: PackSettings
    layout: FitsLayout
    image: str | None = None
    id_column: str | None = None
    workers: int | None = None
    progress: bool = True


@dataclass(frozen=True)
class Opened:
    """The galaxies of a job as a stream, the network as it takes their images, the columns of the
    table, what gives pictures of galaxies, and what predicts, as facts. `id_column` is the column
    of ids.
    """

    images: ImageSettings
    network: Network
    origin: Path
    stream: Stream[Predictions]
    columns: CatalogueColumns
    pictures: Pictures
    facts: Mapping[str, str]
    id_column: str = "id"

    @property
    def references(self) -> int:
        """The number of references of familiarity scores; 0 without these."""
        return self.network.familiarity.references if self.network.familiarity else 0

    @property
    def stale(self) -> str:
        """That an ONNX file is older than its run, in words; empty if it is not."""
        module = self.network.module
        return module.stale if isinstance(module, OnnxModule) else ""

    def plan(self, shard: Shard) -> Plan:
        """What the job predicts, and how."""
        facts, stretch = self.facts, self.stream.pack.stretch
        settings = {
            **self.stream.pack.to_table(),
            **self.images.layout.to_table(),
            "image": self.images.image,
            "stretch": repr(Stretch.load(stretch)) if stretch else "",
            "columns": self.columns.schema.names,
            **{name: facts.get(name) for name in ("tree", "holds", "views", "coverage")},
        }
        return Plan(
            {
                "galaxies": self.stream.galaxies.digest(),
                "model": f"{facts['weights']} {calibration_digest(self.origin)}",
                "settings": json.dumps(settings),
                "version": facts["creator"],
            },
            rows=len(self.stream.galaxies),
            shards=shard.of,
            columns=self.columns,
            references=self.references,
            passed_over=self.stream.passed_over,
        )


@contextmanager
def open_job(
    images: ImageSettings, network: Network, origin: Path, table: TableSettings, out: Path | None
) -> Generator[Opened]:
    """The galaxies of a table, or of folders, archives or a store, whose files are open while the
    context lasts.

    Raises ConfigError for what is given for a table without one; and as `open_stream`,
    `open_table_images` and `CatalogueColumns.behind`.
    """
    source, others = named_table(images.paths)
    with ExitStack() as stack:
        if source is None:
            _refuse_without_table(images, table)
            job = stack.enter_context(_of_images(images, network, origin, table, out))
        else:
            job = stack.enter_context(
                _of_table(source, others, images, network, origin, table, out)
            )
        yield job


@contextmanager
def _of_images(
    images: ImageSettings, network: Network, origin: Path, table: TableSettings, out: Path | None
) -> Generator[Opened]:
    compute, paths, layout = partial(predict_batch, network), images.paths, images.layout
    with open_stream(
        images.pack, paths, compute, layout, images.workers, progress=images.progress
    ) as stream:
        network = replace(network, pack=stream.pack)
        facts = provenance_of(network, origin)
        columns = columns_of(network, facts, table, out)
        pictures = partial(pictures_of, paths, stream.pack, layout)
        yield Opened(images, network, origin, stream, columns, pictures, facts)


@contextmanager
def _of_table(
    source: Path,
    others: Sequence[Path],
    images: ImageSettings,
    network: Network,
    origin: Path,
    table: TableSettings,
    out: Path | None,
) -> Generator[Opened]:
    as_text = out is not None and out.suffix.lower() == ".csv"
    with open_table_images(
        source, others, images.image, images.layout, id_column=images.id_column, as_text=as_text
    ) as named:
        pack = with_stretch(images.pack, named.first_images())
        stream = Stream(
            named,
            partial(predict_batch, network),
            pack,
            images.workers or os.cpu_count() or 1,
            progress=images.progress,
        )
        network, rows = replace(network, pack=pack), named.rows
        facts = provenance_of(network, origin)
        columns = columns_of(network, facts, table, out)
        columns = CatalogueColumns.behind(
            rows.schema, columns, rows.name, table.prefix, shares=images.layout.mosaic is not None
        )
        pictures = (
            partial(pictures_of_rows, source.parent, others, pack, images.layout)
            if images.layout.mosaic is None
            else partial(pictures_of, [source], pack, images.layout)
        )
        yield Opened(images, network, origin, stream, columns, pictures, facts, named.id_column)


def columns_of(
    network: Network, facts: Mapping[str, str], table: TableSettings, out: Path | None
) -> CatalogueColumns:
    """The columns of a table of a network's predictions; `facts` are those of the whole table.

    Raises ConfigError as `check_summary`.
    """
    bounds, familiarity = network.intervals is not None, network.familiarity is not None
    schema = table_schema(
        network.columns,
        names=answer_names(network.columns, table.naming(out), network.tree),
        tree=network.tree,
        bounds=bounds,
        familiarity=familiarity,
        meta=facts,
    )
    if table.summary:
        check_summary(network)
        schema = pa.schema([*schema, *SUMMARY_FIELDS], schema.metadata)
    return CatalogueColumns(
        schema,
        network.columns,
        bounds=bounds,
        familiarity=familiarity,
        summary=table.summary,
        tree=network.tree,
        fractions=network.fraction_kind,
    )


def _refuse_without_table(images: ImageSettings, table: TableSettings) -> None:
    given = {
        '`image="…"`': images.image,
        "`id_column=…`": images.id_column,
        '`table=TableSettings(prefix="…")`': table.prefix,
    }
    if option := next((name for name, value in given.items() if value), None):
        raise ConfigError(
            f"{option} is for images that a table names, and no table is given: name one"
            " (.fits, .vot, .ecsv, .parquet, .csv …), or leave it out"
        )
