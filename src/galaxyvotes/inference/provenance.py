"""What made a table of predictions or representations: it stands in the metadata of the table, and
what a person wants to know of it in words.
"""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from galaxyvotes.inference.onnx_model import OnnxModule
from galaxyvotes.kinds import CLASSES
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.digests import digest_of, file_digest
from galaxyvotes.store.seen_before import BUNDLED

__all__ = ["calibration_digest", "in_words", "network_facts", "not_calibrated", "provenance_of"]

_DEVICES = {"cpu": "the CPU", "cuda": "the GPU", "mps": "Apple's GPU"}


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


def in_words(network: Network, origin: Path, computed_on: str = "") -> str:
    """Which model and tree predict, on how many galaxies it was trained unless it is an ONNX file,
    and on what, by default the kind of its device: "the bundled model (trained on 24,843
    galaxies), tree kaggle (others: classes5, gz2), on the CPU".
    """
    is_onnx = isinstance(network.module, OnnxModule)
    device = "cpu" if is_onnx else next(network.module.parameters()).device.type
    computed_on = computed_on or _DEVICES.get(device, device)
    others = [head.tree.name for head in network.heads if head is not network.head]
    trees = f"tree {network.tree.name}" + (f" (others: {', '.join(others)})" if others else "")
    model = str(origin) if is_onnx else f"{Run(origin).title} ({_trained_on(Run(origin))})"
    return f"{model}, {trees}, on {computed_on}"


def _trained_on(run: Run) -> str:
    """How many galaxies have trained it, and the run that it started from; of a run that was
    fine-tuned on one store also how many did that.
    """
    seen = (run.seen[name].to_pylist() for name in ("id_name", "id", "split"))
    galaxies = len({(*who, split) for *who, split in zip(*seen, strict=True) if split == "train"})
    stores = run.facts.get("stores", ())
    trained = f"trained on {counted(galaxies, 'galaxy')}"
    if "known_before" in run.facts and len(stores) == 1:  # it began with the weights of another
        trained += f", fine-tuned on {stores[0]['train']:,} of them"
    return trained


def not_calibrated(network: Network, origin: Path) -> str:
    """What predictions lack because the network is not calibrated for them, and what calibrates it;
    empty if it is.
    """
    if isinstance(network.module, OnnxModule):
        return (
            f"no prediction intervals and no familiarity: {origin} is an ONNX file, which holds"
            " neither; predict with the folder of its run"
        )
    if network.familiarity is not None:
        lacks_intervals = network.head.kind.intervals and network.intervals is None
        is_conditional = lacks_intervals and network.fraction_kind == "conditional"
        return "no prediction intervals: the run has them for joint fractions only" * is_conditional
    title = Run(origin).title
    which = "out='calibrated'" if title == BUNDLED else f"run={str(origin)!r}"
    lacks = "calibrated probabilities" if network.head.kind is CLASSES else "prediction intervals"
    return (
        f"no {lacks} and no familiarity: {title} is not calibrated for the tree"
        f" {network.tree.name}; `galaxyvotes.calibrate('STORE', {which})` does that, with labelled"
        " galaxies that it was not trained on"
    )


def calibration_digest(origin: Path) -> str:
    """A digest of what `calibrate` measured of a run; of an ONNX file, of nothing."""
    files = sorted(origin.glob("calibration*.toml")) if origin.is_dir() else []
    return digest_of(path.read_bytes() for path in files)
