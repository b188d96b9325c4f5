"""Weights that a model starts from: a state dict in a file, or the pretrained one of its library."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nc_bench.config import Config, ConfigError
from nc_bench.config.weights import weights_digest
from nc_bench.errors import out_of_memory
from nc_bench.models.classifier import Classifier
from nc_bench.models.external import library_model
from nc_bench.models.layers import SingleTrial
from nc_bench.paths import expanded
from nc_bench.text import listed, one_line

PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel, DistributedDataParallel and torch.compile put before all names."""

INNER = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts keep the state dict in a larger file."""

SHOWN = 5
"""Names that a message lists."""


@torch.no_grad()
def load_starting_weights(classifier: Classifier, config: Config, input_shape: tuple[int, ...]) -> bool:
    """Give the classifier the weights that its model starts from; False where it names none.

    A file without the parameters of the head, and pretrained weights of another number of classes, leave the head as
    it is; so does `head.init: simplex`. Raises ConfigError, one line: a file that cannot be read, is no state dict, has
    changed, or has other parameters than the model, whose names it lists; pretrained weights that cannot be had.
    """
    model = config.model
    if (file := model.weights_file) is not None:
        state, place = state_dict_in(*file), f"model.weights: {file[0]}"
    elif model.is_pretrained:
        state, place = _pretrained(model, classifier, input_shape), f"model.pretrained: {model.name}"
    else:
        return False
    own = _own_tensors(classifier)
    if not _head_keys(classifier) & state.keys():
        own = {name: tensor for name, tensor in own.items() if name not in _head_keys(classifier)}
    _check(own, state, place)
    for name, tensor in own.items():
        if name in state and not (name in _head_keys(classifier) and config.head.init != "default"):
            tensor.copy_(state[name].reshape(tensor.shape))
    return True


def state_dict_in(file: str, digest: str | None = None) -> dict[str, Tensor]:
    """The state dict in a file, on the CPU, without the prefixes of wrappers.

    Raises ConfigError, one line, if it has another digest, or is no state dict that can be read without running code.
    """
    path = expanded(file, key="model.weights", error=ConfigError)
    if digest is not None and (now := weights_digest(file)) != digest:
        raise ConfigError(f"model.weights: {path}: has changed (its digest is {now}, and {digest} stated)")
    content = _read(path)
    for key in INNER:
        inner = content.get(key) if isinstance(content, Mapping) else None
        if isinstance(inner, Mapping):
            content = inner
    if not isinstance(content, Mapping) or not content:
        raise ConfigError(f"model.weights: {path}: holds a {type(content).__name__}, not the tensors of a state dict")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if len(tensors) < len(content):
        other = next(name for name, value in content.items() if not isinstance(value, Tensor))
        raise ConfigError(f"model.weights: {path}: its entry {other!r} is no tensor, so it is no state dict")
    return _without_prefixes(tensors)


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # only where such a file is read

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ConfigError(
            f"model.weights: {path}: holds Python objects that would run code, and is not loaded; save "
            "model.state_dict() instead"
        ) from None
    except Exception as error:  # whatever torch and safetensors make of a damaged file
        if out_of_memory(error):
            raise
        raise ConfigError(f"model.weights: {path}: cannot be read as a state dict: {one_line(error)}") from None


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for _ in range(len(PREFIXES) + 1):
        for prefix in PREFIXES:
            if all(name.startswith(prefix) for name in tensors):
                tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _pretrained(model: Any, classifier: Classifier, shape: tuple[int, ...]) -> dict[str, Tensor]:
    classes = classifier.head.weight.shape[1]
    try:
        trained = library_model(model, shape[0], classes, pretrained=True)
    except Exception as error:  # each library and each way of the network has its own
        if out_of_memory(error):
            raise
        raise ConfigError(
            f"model.pretrained: the weights of {model.name} cannot be had: {one_line(error)}; download them where "
            "there is a network, or state a file by model.weights"
        ) from None
    state = trained.state_dict()
    head = classifier.head_name
    default = getattr(trained, "pretrained_cfg", {}).get("num_classes")
    if default not in (None, classes) or state[f"{head}.weight"].shape[0] != classes:
        state = {name: tensor for name, tensor in state.items() if name.rpartition(".")[0] != head}
    return state


def _head_keys(classifier: Classifier) -> set[str]:
    return {f"{classifier.head_name}.{part}" for part in ("weight", "bias")}


def _own_tensors(classifier: Classifier) -> dict[str, Tensor]:
    """Parameters and buffers of the classifier by their names in the whole model."""
    assert isinstance(classifier.backbone, SingleTrial)
    own = dict(classifier.backbone.module.state_dict())
    own[f"{classifier.head_name}.weight"] = classifier.head.weight.detach()[0]
    if classifier.head.bias is not None:
        own[f"{classifier.head_name}.bias"] = classifier.head.bias.detach()[0]
    return own


def _check(own: Mapping[str, Tensor], state: Mapping[str, Tensor], place: str) -> None:
    # Files from before torch 0.4.1 do not count the batches.
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in own]
    problems = [f"is missing {_some(missing)}"] if missing else []
    problems += [f"holds {_some(unexpected)}, which the model does not have"] if unexpected else []
    shapes = [
        f"{name} is {tuple(state[name].shape)} there and {tuple(tensor.shape)} in the model"
        for name, tensor in own.items()
        if name in state and state[name].numel() != tensor.numel()
    ]
    problems += shapes[:1]
    if problems:
        raise ConfigError(f"{place}: {'; '.join(problems)}")


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return listed([*names[:SHOWN], *([f"{more} more"] if more > 0 else [])])
