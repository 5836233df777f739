"""Whether a training step fits into memory, asked before the first one.

On a processor a step that takes more than a container is allowed ends in the kernel killing the
process, which says nothing. So what autograd keeps of a few galaxies is counted, which for a batch
is as many times more: the least that a step takes; gradients and copies come on top of it. On a GPU
nothing is asked: it says itself that its memory is short.
"""

import torch
from torch import Tensor

from galaxyvotes.config import TrainSettings
from galaxyvotes.errors import ConfigError
from galaxyvotes.runs.network import Network
from galaxyvotes.runtime import distributed
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.devices import low_precision
from galaxyvotes.runtime.memory_limits import available_memory

__all__ = ["bytes_per_galaxy", "memory_warning", "remedy"]

_AT_MOST = 2.5  # times as much as autograd keeps is what steps of our networks take at their peak


def memory_warning(network: Network, device: torch.device) -> str | None:
    """What to say if a step may take more memory than is left; it names what fits.

    Raises ConfigError if a step takes more for certain.
    """
    left = available_memory() if device.type == "cpu" else None
    settings = network.recipe.train
    if left is None or settings.encoder_rate == 0:  # the features of a frozen encoder are small
        return None
    share = -(-settings.batch_size // distributed.count())
    galaxies = min(share, settings.micro_batch or share)
    each = bytes_per_galaxy(network)
    least = galaxies * each
    if _AT_MOST * least <= left.bytes:
        return None
    what = f"a step of {counted(galaxies, 'galaxy')} takes at least {_size(least)} of memory"
    has = f"{left.of} has {_size(left.bytes)} left"
    lower = _lower(int(left.bytes / each / _AT_MOST))
    if least > left.bytes:
        raise ConfigError(f"{what}, and {has}: {lower}")
    return (
        f"warning: {what}, perhaps {_size(int(_AT_MOST * least))}, and {has}: should the system"
        f" kill it, begin again and {lower}"
    )


def remedy(settings: TrainSettings) -> str:
    """What to do if the memory for a step was short."""
    galaxies = settings.micro_batch or settings.batch_size
    return (
        f"{counted(galaxies, 'galaxy', 'passes')} through the network together; if another program"
        " took the memory, go on with `resume=True`, else begin a new run and"
        f" {_lower(galaxies // 2)}"
    )


def bytes_per_galaxy(network: Network) -> int:
    """What autograd keeps of a galaxy for a step; the network is as it was afterwards."""
    return (_bytes_kept(network, 4) - _bytes_kept(network, 2)) // 2  # without copies of weights


def _bytes_kept(network: Network, galaxies: int) -> int:
    """What autograd keeps of so many galaxies, and of the weights."""
    module, side = network.module, network.pack.size_px
    device = next(module.parameters()).device
    half = low_precision(network.recipe.train.precision, device)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    training = module.training
    module.eval()  # so that running statistics stay as they are
    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        torch.autocast(device.type, torch.bfloat16, enabled=half),
    ):
        outputs = module(torch.zeros(galaxies, 3, side, side, device=device))
    module.train(training)
    del outputs  # which holds what is kept until all is counted
    return sum(kept.values())


def _lower(galaxies: int) -> str:
    if galaxies < 2:
        return "choose a smaller network or smaller images"
    return f"lower train.micro_batch, to {galaxies} or fewer"


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.1f} MB"
