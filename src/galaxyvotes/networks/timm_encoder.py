"""Networks around any encoder of timm's, and weights that others have trained.

    pixels 0–1 → normalise → encoder → dropout → dense, one per answer

`model.name` "timm:NAME" is an encoder as timm names it (`timm.list_models()`), without its
classifier. The first layer subtracts the mean and divides by the standard deviation that its
weights were trained with; those of new weights are what timm names for the encoder.

Weights come in the layout of the Hugging Face hub, which Zoobot's encoders share: config.json,
whose `architecture` is timm's name and whose `pretrained_cfg` holds mean and deviation, and
model.safetensors. Nothing else is read: .bin, .pt, .pth and .ckpt are pickles, which can run any
code when they are opened. They are read once, when a run is created, and stand in its
`start.safetensors` from then on.
"""

import difflib
import json
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from galaxyvotes.config import ModelSettings
from galaxyvotes.errors import CheckpointError, ConfigError, MissingExtraError

__all__ = ["Normalise", "TimmNetwork", "load_pretrained"]

WEIGHTS = "model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
REFUSALS = (
    AssertionError,
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    ZeroDivisionError,
)  # what timm raises


class Normalise(nn.Module):
    """Pixels less a mean, divided by a deviation, both per channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Any, std: Any) -> None:
        """Three numbers each."""
        super().__init__()
        self.register_buffer("mean", _three(mean))
        self.register_buffer("std", _three(std))

    def forward(
        self, image: Float[Tensor, "galaxy 3 height width"]
    ) -> Float[Tensor, "galaxy 3 height width"]:
        """The same pixels, standardised as in the training of the encoder."""
        return (image - self.mean) / self.std


class TimmNetwork(nn.Sequential):
    """An encoder of timm's between a first and a last layer of ours; see the head of this file."""

    def __init__(self, answers: int, *, size_px: int, settings: ModelSettings) -> None:
        """Draw new weights; a name that timm does not know or a size that its encoder refuses is a
        ConfigError.
        """
        encoder, features = _encoder(settings.name.removeprefix("timm:"), size_px)
        for module in encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = settings.batch_norm_momentum
        super().__init__()
        self.normalise = Normalise(encoder.pretrained_cfg["mean"], encoder.pretrained_cfg["std"])
        self.encoder = encoder
        self.dropout = nn.Dropout(settings.dropout)
        self.dense = nn.Linear(features, answers)
        self.to(memory_format=torch.channels_last)


def load_pretrained(network: nn.Sequential, settings: ModelSettings) -> None:
    """Put the weights that `model.pretrained` names into the encoder, their mean and deviation into
    the first layer.

    Raises ConfigError if the network has no published weights; CheckpointError if they cannot be
    found or read, or are of another encoder.
    """
    if not isinstance(network, TimmNetwork):
        raise ConfigError(
            f"model.pretrained is {settings.pretrained!r}, but {settings.name} has no published"
            " weights: name an encoder, e.g. model.name=timm:convnext_nano"
        )
    encoder: Any = network.encoder
    config_file, weights = _files(settings.pretrained, encoder)
    config = _config(config_file)
    expected, architecture = (
        encoder.pretrained_cfg["architecture"],
        str(config.get("architecture", "none")).partition(".")[0],
    )
    if architecture != expected:
        raise CheckpointError(
            f"{config_file} is of the encoder {architecture}, not {expected}: set"
            f" model.name=timm:{architecture} or"
            " give other weights"
        )
    published = config.get("pretrained_cfg", config)  # older files hold one level only
    _fill(encoder, _tensors(weights), weights)
    try:
        network.normalise.mean.copy_(_three(published.get("mean", network.normalise.mean)))
        network.normalise.std.copy_(_three(published.get("std", network.normalise.std)))
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(
            f"{config_file}: mean and std must be three numbers each, std above 0: {error}"
        ) from None
    if not bool((network.normalise.std > 0).all()):
        raise CheckpointError(f"{config_file}: std must be above 0, it is {published['std']}")


def _three(values: Any) -> Float[Tensor, "3 1 1"]:
    return torch.as_tensor(values, dtype=torch.float32).reshape(3, 1, 1)


def _timm() -> Any:
    try:
        return import_module("timm")
    except ImportError:
        raise MissingExtraError("timm", "timm") from None


def _encoder(name: str, size_px: int) -> tuple[Any, int]:
    """An encoder with new weights, and how many features it gives for an image of that side."""
    timm = _timm()
    _refuse_unknown(name, timm)
    published = timm.get_pretrained_cfg(name)
    size = {"img_size": size_px} if published is not None and published.fixed_input_size else {}
    try:
        encoder = timm.create_model(name, pretrained=False, num_classes=0, **size)
        with torch.no_grad():
            features: Tensor = encoder.eval()(torch.zeros(1, 3, size_px, size_px))
    except REFUSALS as error:
        side = published.input_size[-1] if published is not None else 224
        raise ConfigError(
            f"images of {size_px} px do not fit model timm:{name}:"
            f" {str(error) or type(error).__name__}; pack them with"
            f" `settings=PackSettings(size_px={side})`, for which it was made"
        ) from None
    if features.dim() != 2:
        raise ConfigError(
            f"model timm:{name} gives no single list of features for an image: choose another"
        )
    return encoder.train(), features.shape[1]


def _refuse_unknown(name: str, timm: Any) -> None:
    published: list[str] = timm.list_pretrained()
    if name in published if "." in name else timm.is_model(name):
        return
    known = published if "." in name else cast("list[str]", timm.list_models())
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {', '.join(close)}? " if close else ""
    raise ConfigError(
        f"model.name is 'timm:{name}', which timm does not know; {hint}timm.list_models() lists all"
    )


def _files(source: str, encoder: Any) -> tuple[Path, Path]:
    """Where config.json and the weights are, once they are on this computer."""
    if source == "hub":
        published = encoder.pretrained_cfg
        repository = str(published.get("hf_hub_id") or "")
        if not repository:
            raise CheckpointError(
                f"timm names no weights on the hub for {published['architecture']}: set"
                " model.pretrained to a folder"
            )
    elif source.startswith(("hf-hub:", "hf_hub:")):
        repository = source[len("hf-hub:") :]
    else:
        return _local(Path(source).expanduser())
    return _fetched(repository, "config.json"), _fetched(repository, WEIGHTS)


def _local(path: Path) -> tuple[Path, Path]:
    if not path.exists():
        raise CheckpointError(
            f"model.pretrained is {str(path)!r}, which does not exist: give hub,"
            f" hf-hub:OWNER/REPOSITORY or a folder that holds config.json and {WEIGHTS}"
        )
    folder, weights = (path, path / WEIGHTS) if path.is_dir() else (path.parent, path)
    if weights.suffix in PICKLES or (
        not weights.is_file() and any(each.suffix in PICKLES for each in folder.iterdir())
    ):
        raise _pickled(str(path))
    if not (folder / "config.json").is_file() or not weights.is_file():
        raise CheckpointError(
            f"{folder} does not hold both config.json and {weights.name}: download the whole folder"
        )
    return folder / "config.json", weights


def _pickled(where: str) -> CheckpointError:
    return CheckpointError(
        f"{where} holds its weights as a pickle only, which can run any code when it is opened and"
        f" is never read here: take weights that come as {WEIGHTS}, or write it from the pickle"
        " with timm.models.save_for_hf(model, folder, safe_serialization=True) on a computer where"
        " you trust it"
    )


def _fetched(repository: str, name: str) -> Path:
    """One file of a repository on the hub; from the cache if it is there."""
    hub, errors = import_module("huggingface_hub"), import_module("huggingface_hub.errors")
    owner, _, revision = repository.partition("@")
    try:
        return Path(hub.hf_hub_download(owner, name, revision=revision or None))
    except errors.RemoteEntryNotFoundError:
        if name == WEIGHTS:
            raise _pickled(f"hf-hub:{repository}") from None
        raise CheckpointError(
            f"hf-hub:{repository} holds no {name}: it is not in timm's layout"
        ) from None
    except (OSError, ValueError, errors.EntryNotFoundError) as error:
        raise CheckpointError(
            f"hf-hub:{repository} cannot be reached ({type(error).__name__}): check its name, or"
            f" download it on a computer with a network (hf download {owner} --local-dir FOLDER)"
            " and set model.pretrained=FOLDER"
        ) from None


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}; download it again") from None
    if not isinstance(config, dict):
        raise CheckpointError(
            f"{path} does not describe an encoder: expected an object with its architecture"
        )
    return cast("dict[str, Any]", config)


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        opened: Any = safe_open(path, framework="pt")
        with opened as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}; download it again") from None


def _fill(encoder: Any, tensors: dict[str, Tensor], origin: Path) -> None:
    """Every tensor of the encoder from the file; what the file has beside them (a classifier) is
    left out.
    """
    convert = getattr(import_module(type(encoder).__module__), "checkpoint_filter_fn", None)
    try:
        # timm's own: names of older files, position embeddings for another size of image.
        tensors = convert(tensors, encoder) if convert else tensors
    except (*REFUSALS, KeyError) as error:
        raise CheckpointError(f"{origin} does not fit the encoder: {error!r}") from None
    own: dict[str, Tensor] = encoder.state_dict()
    wrong = [
        f"{name} is {tuple(tensors[name].shape) if name in tensors else 'missing'}, expected"
        f" {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name not in tensors or tensors[name].shape != tensor.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckpointError(f"{origin} does not fit the encoder: {'; '.join(wrong[:3])}{more}")
    encoder.load_state_dict({name: tensors[name] for name in own})
