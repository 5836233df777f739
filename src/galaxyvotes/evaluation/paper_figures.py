"""The figures of the 2023 paper, of any run: flowchart (1), architecture with legend (2, 3) and ROC
curves (4 to 7).
"""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from galaxyvotes.evaluation.seen import head_for, labelled_rows, labels_of, refuse_seen
from galaxyvotes.figures.architecture import architecture
from galaxyvotes.figures.drawing import check_format, save
from galaxyvotes.figures.flowchart import flowchart
from galaxyvotes.figures.panels import roc_plot, roc_plots
from galaxyvotes.figures.plots import quantity_plots
from galaxyvotes.inference.engine import predict_store
from galaxyvotes.kinds import CLASSES, FRACTIONS, QUANTITIES, Kind
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.runs.network import Head
from galaxyvotes.runs.run import Run, open_run
from galaxyvotes.runtime.devices import choose_device
from galaxyvotes.runtime.files import new_file
from galaxyvotes.store.store import Store

__all__ = ["draw_figures"]


def draw_figures(
    run: Run | str | Path | None,
    store: Store | str | Path | None,
    out: str | Path,
    *,
    kind: str = "svg",
    device: str = "auto",
    overwrite: bool = False,
) -> list[Path]:
    """Write the figures of a run, or of the bundled one, into the folder `out`: `flowchart`,
    `architecture` and, given a store, `roc` of its test galaxies, and `roc-ANSWER` of each answer.

    Quantities have no flowchart, and `predicted` against measured values instead of ROC curves.
    `kind` is `svg`, `png` or `pdf`.

    Raises:
        CheckpointError: Run and store do not belong together.
        ConfigError: The kind of file is another one, or a figure is there, unless `overwrite`.
        DataError: Test galaxies are in the training or validation set of the run, none has
            labels, or the folder cannot be written.
    """
    run = open_run(run)
    store = Store.open(store) if isinstance(store, str | Path) else store
    head = None if store is None else head_for(run, store)
    tree, side = run.heads[0].tree, run.facts["pack"]["size_px"]
    names = [] if tree.kind is QUANTITIES else ["flowchart"]
    names += ["architecture", *([] if head is None else _curves_of(head))]
    paths = [new_file(Path(out) / f"{name}.{kind}", overwrite=overwrite) for name in names]
    for path in paths:
        check_format(path)
    drawn = {"flowchart": flowchart(tree)} if "flowchart" in names else {}
    drawn["architecture"] = architecture(run.untrained().module, (3, side, side))
    if store is not None and head is not None:
        comparison = _on_test_galaxies(run, store, head, device)
        drawn |= _CURVES[comparison.kind](comparison)
    for name, path in zip(names, paths, strict=True):
        save(drawn[name], path)
    return paths


def _curves_of(head: Head) -> list[str]:
    """What the figures of the predictions for test galaxies are called."""
    if head.kind is QUANTITIES:
        return ["predicted"]
    return ["roc", *(f"roc-{column}" for column in head.columns)]


def _on_test_galaxies(run: Run, store: Store, head: Head, device: str) -> Comparison:
    rows = labelled_rows(store, "test", head)
    refuse_seen(run, store, rows, remedy="use the store it was trained on")
    network = run.network(choose_device(device), tree=head.tree.name)
    predicted = predict_store(network, store, rows)
    return Comparison(head.tree, labels_of(store, rows, head), predicted)


def _roc_curves(comparison: Comparison) -> dict[str, Figure]:
    labels, predicted = comparison.labels, comparison.predicted
    texts = {answer.column: answer.text for answer in comparison.tree.answers}
    columns = predicted.columns
    figures = {"roc": roc_plots(labels, predicted.values, comparison.tree, columns=columns)}
    for i, column in enumerate(columns):
        title = f"{column}: {texts[column]}"
        figures[f"roc-{column}"] = roc_plot(labels[:, i], predicted.values[:, i], title=title)
    return figures


def _predicted_values(comparison: Comparison) -> dict[str, Figure]:
    predicted = comparison.predicted
    return {"predicted": quantity_plots(comparison.labels, predicted.values, predicted.columns)}


_CURVES: dict[Kind, Callable[[Comparison], dict[str, Figure]]] = {
    FRACTIONS: _roc_curves,
    CLASSES: _roc_curves,
    QUANTITIES: _predicted_values,
}
