"""The network of a fine-tuned run as it was before the first step."""

from dataclasses import replace

import torch

from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run
from galaxyvotes.runs.tensors import load_state, read_tensors

__all__ = ["network_at_start"]


def network_at_start(run: Run, tree: str, device: str | torch.device = "cpu") -> Network | None:
    """The network that a run started from, in evaluation mode and not calibrated, for the tree of
    that name.

    None if it predicted nothing of the tree then: its outputs were new, the run did not start from
    another, or its folder has no weights of the start.

    Raises CheckpointError if the weights are damaged or do not fit, ConfigError if the run has no
    such tree.
    """
    path = run.path / "start.safetensors"
    if tree not in run.facts.get("copied_heads", ()) or not path.is_file():
        return None
    network = replace(run.untrained(), calibrations=())
    load_state(network.module, read_tensors(path)[0], path)
    network.module.to(device).eval()
    return network.for_tree(tree)
