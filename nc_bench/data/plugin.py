"""Data that a plug-in returns: torch data sets, or arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from nc_bench.config import LiveData, PluginData
from nc_bench.data.dataset import Dataset
from nc_bench.data.own import OwnSplit, Rows, as_labels, as_rows, own_dataset
from nc_bench.plugins import Plugin, load_plugin

GIGABYTE = 10**9


@dataclass(frozen=True, kw_only=True, eq=False)
class DatasetRows:
    """Inputs of a torch data set by their number, read one by one. `sample`: the first one."""

    dataset: Any
    plugin: Plugin
    sample: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.sample.shape)

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, indices: Sequence[int]) -> Tensor:
        if not indices:
            return self.sample[None][:0]
        return torch.stack([self.item(index)[0] for index in indices])

    def item(self, index: int) -> tuple[Tensor, Any]:
        """Input and label of a sample; PluginError where it is no pair, or another kind of input than the first."""
        with self.plugin.own_errors():
            item = self.dataset[index]
        tensor, label = _pair(self.plugin, item, index)
        if (tensor.shape, tensor.dtype) != (self.sample.shape, self.sample.dtype):
            raise self.plugin.refused(
                f"its sample {index} is {_described(tensor)}, but the first one is {_described(self.sample)}"
            )
        return tensor, label


def load_plugin_data(settings: PluginData) -> Dataset:
    """The pair (train, test) that the plug-in returns: each a torch data set of pairs (input, label), or the pair
    (inputs, labels) of arrays; test may be None.

    Data sets are read once and held in memory if both together fit in `data.memory_gb`, and read by the batch
    otherwise. Images of Pillow become bytes (c, h, w). Class names are `data.class_names`, or the attribute `classes`
    of the training set, as torchvision has it. Raises PluginError, one line: see `load_plugin`; it returns something
    else, raises, or gives other samples when it is asked again; DataError as `own_dataset` does.
    """
    plugin = load_plugin("data.name", settings.name, settings.source)
    offered: dict[str, Any] = {"seed": settings.seed}
    if settings.class_names is not None:
        offered["classes"] = len(settings.class_names)
    pair = plugin(**plugin.keywords(settings.arguments, offered))
    return dataset_of_pair(plugin, settings, pair)


def dataset_of_pair(plugin: Plugin, settings: LiveData | PluginData, pair: Any) -> Dataset:
    """The data set that a pair (train, test) is, see `load_plugin_data`; `plugin`: whose errors those in it are."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise plugin.refused(f"should return the pair (train, test), not {_kind(pair)}")
    budget = settings.memory_gb * GIGABYTE
    held = sum(_size(plugin, split, name) for split, name in zip(pair, ("train", "test"), strict=True)) <= budget
    train = _split(plugin, pair[0], "train", held=held)
    test = None if pair[1] is None else _split(plugin, pair[1], "test", held=held)
    return own_dataset(settings, train, test, settings.class_names or _names(pair[0]))


def _split(plugin: Plugin, split: Any, name: str, *, held: bool) -> OwnSplit:
    key = f"{plugin.key}: {plugin.path}: {name}"
    if isinstance(split, TensorDataset) and len(split.tensors) == 2:
        split = split.tensors
    if _is_arrays(split):
        with plugin.own_errors():
            return OwnSplit(key=key, source=as_rows(split[0], key), labels=as_labels(split[1], key))
    rows = _rows(plugin, split, name)
    labels, inputs = [], torch.empty(len(rows), *rows.shape, dtype=rows.sample.dtype) if held else None
    for index in range(len(rows)):
        tensor, label = rows.item(index)
        labels.append(label)
        if inputs is not None:
            inputs[index] = tensor
    source = rows if inputs is None else Rows(array=inputs.numpy())
    return OwnSplit(key=key, source=source, labels=as_labels([_number(plugin, label) for label in labels], key))


def _rows(plugin: Plugin, split: Any, name: str) -> DatasetRows:
    if not (hasattr(split, "__getitem__") and hasattr(split, "__len__")):
        raise plugin.refused(
            f"{name} should be a torch.utils.data.Dataset with __len__ and __getitem__, or a pair (inputs, labels) of "
            f"arrays, not {_kind(split)}"
        )
    with plugin.own_errors():
        if len(split) == 0:
            raise plugin.refused(f"{name} holds no samples")
        first, again = split[0], split[0]
    sample, same = _pair(plugin, first, 0)[0], _pair(plugin, again, 0)[0]
    if not torch.equal(sample, same):
        raise plugin.refused(
            f"{name} gives another sample 0 when it is read again: leave random changes out (data.augment has flips "
            "and shifts)"
        )
    return DatasetRows(dataset=split, plugin=plugin, sample=sample)


def _size(plugin: Plugin, split: Any, name: str) -> int:
    """Bytes that a split takes as float32 numbers; nothing for arrays, which are there already."""
    if split is None or _is_arrays(split) or isinstance(split, TensorDataset):
        return 0
    rows = _rows(plugin, split, name)
    return len(rows) * prod(rows.shape) * torch.float32.itemsize


def _pair(plugin: Plugin, item: Any, index: int) -> tuple[Tensor, Any]:
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise plugin.refused(f"its sample {index} should be a pair (input, label), not {_kind(item)}")
    value = item[0]
    if isinstance(value, Tensor):
        return value.detach().cpu(), item[1]
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise plugin.refused(f"the input of its sample {index} should be numbers, not {_kind(value)}")
    if hasattr(value, "getbands"):  # an image of Pillow: height, width and, if there are several, channels
        array = np.moveaxis(array, -1, 0) if array.ndim == 3 else array[None]
    return torch.as_tensor(np.array(array)), item[1]


def _number(plugin: Plugin, label: Any) -> Any:
    try:
        return label.item() if hasattr(label, "item") else label
    except (RuntimeError, ValueError):
        raise plugin.refused(f"a label should be one whole number, not {_kind(label)}") from None


def _is_arrays(split: Any) -> bool:
    return isinstance(split, tuple | list) and len(split) == 2 and all(hasattr(part, "__len__") for part in split)


def _names(train: Any) -> Sequence[str] | None:
    names = getattr(train, "classes", None)
    texts = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return names if texts and names else None


def _described(tensor: Tensor) -> str:
    return f"of shape {tuple(tensor.shape)} and type {str(tensor.dtype).removeprefix('torch.')}"


def _kind(value: Any) -> str:
    several = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return f"a {type(value).__name__}{several}"
