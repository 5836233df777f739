"""What made a table of predictions or representations: it stands in the metadata of the table."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from galaxyvotes.inference.onnx_model import OnnxModule
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run
from galaxyvotes.runtime.digests import file_digest

__all__ = ["network_facts", "provenance_of"]


def network_facts(network: Network, origin: Path) -> dict[str, str]:
    """Which network computed, when, from which images; names have eight letters at most, as
    keywords of FITS do.

    Raises CheckpointError if the calibration of a run is damaged.
    """
    run = None if isinstance(network.module, OnnxModule) else Run(origin)
    model, recipe = network.recipe.model, network.recipe.name
    facts = {
        "creator": f"galaxyvotes {version('galaxyvotes')}",
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}",
        "model": origin.name if run is None else run.name,
        "weights": file_digest(origin) if run is None else run.digest,
        "recipe": f"{recipe} ({model.name}, {network.pack})",
        "stretch": network.pack.stretch,
        "views": str(model.views),
    }
    return {name: fact for name, fact in facts.items() if fact}


def provenance_of(network: Network, origin: Path) -> dict[str, str]:
    """What predicts, and how.

    Raises CheckpointError if the calibration of a run is damaged.
    """
    coverage = None if network.intervals is None else network.intervals.coverage
    facts = {
        "tree": network.tree.name,
        "holds": f"{network.fraction_kind} fractions"
        if network.tree.kind.bounded
        else "quantities",
        "coverage": "" if coverage is None else f"{coverage:g}",
    }
    return network_facts(network, origin) | {name: fact for name, fact in facts.items() if fact}
