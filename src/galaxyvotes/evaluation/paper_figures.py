"""The figures of the 2023 paper, of any run: flowchart (1), architecture with legend (2, 3) and ROC
curves (4 to 7).
"""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from galaxyvotes.evaluation.seen import head_for, labelled_rows, labels_of, refuse_seen
from galaxyvotes.figures.architecture import architecture
from galaxyvotes.figures.drawing import save
from galaxyvotes.figures.flowchart import flowchart
from galaxyvotes.figures.panels import roc_plot, roc_plots
from galaxyvotes.figures.plots import quantity_plots
from galaxyvotes.inference.engine import predict_store
from galaxyvotes.kinds import CLASSES, FRACTIONS, QUANTITIES, Kind
from galaxyvotes.reports.comparison import Comparison
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
        DataError: Test galaxies are in the training or validation set of the run, or none has
            labels.
    """
    run = open_run(run)
    tree, side = run.heads[0].tree, run.facts["pack"]["size_px"]
    drawn = {} if tree.kind is QUANTITIES else {"flowchart": flowchart(tree)}
    drawn["architecture"] = architecture(run.untrained().module, (3, side, side))
    if store is not None:
        store = store if isinstance(store, Store) else Store.open(store)
        comparison = _on_test_galaxies(run, store, device)
        drawn |= _CURVES[comparison.kind](comparison)
    paths = {Path(out) / f"{name}.{kind}": figure for name, figure in drawn.items()}
    for path in paths:
        new_file(path, overwrite=overwrite)
    for path, figure in paths.items():
        save(figure, path)
    return list(paths)


def _on_test_galaxies(run: Run, store: Store, device: str) -> Comparison:
    head = head_for(run, store)
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
