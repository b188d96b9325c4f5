"""Which modules of a backbone are recorded besides the penultimate features, and how their outputs become features."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nc_bench.config import ConfigError, Record
from nc_bench.constraints import ConstraintSet
from nc_bench.data import Images
from nc_bench.models import Classifier
from nc_bench.recording.model_state import eval_mode
from nc_bench.recording.tap import LINEAR_LAYERS, FeatureTap
from nc_bench.runs.directory import PENULTIMATE
from nc_bench.text import did_you_mean

PROBE_SAMPLES = 2
"""Samples in the forward pass that shows shapes: two, so that an axis of samples is not taken for that of one trial."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A recorded module: its name in the rows, its dotted name in the classifier, and its features' width.

    stacked: whether its output is (t, n, ...), with an axis of trials, or (n, ...). flatten: whether a feature map
    keeps its places. reader: dotted name of the linear layer whose input this very output is, "" if there is none.
    """

    name: str
    module: str
    width: int
    stacked: bool
    flatten: bool
    reader: str = ""

    def features(self, output: Tensor) -> Float[Tensor, "t n d"]:
        """Rows of features from the module's output: a feature map (c, h, w) flattened, or averaged over space."""
        maps = output if self.stacked else output[None]
        if not self.flatten and maps.ndim > 3:
            return maps.mean((-2, -1))
        # A copy: the layer that comes next may work in place.
        return maps.flatten(2).clone()


def recorded_stages(model: Classifier, record: Record, inputs: Tensor | Images) -> tuple[Stage, ...]:
    """The stages that `record.layers` asks for besides the penultimate features, in the order in which they run.

    `inputs` (N, ...) are samples of the data: the first runs through the model once, in eval mode.
    Raises ConfigError, one line, for a name that the backbone does not have, a module that takes no part in a
    forward pass, and one whose output is neither a vector nor a feature map per sample.
    """
    trunk, prefix = _trunk(model.backbone)
    names = [name for name, _ in trunk.named_modules() if name]
    if record.layers == "all":
        wanted = [name for name, child in trunk.named_children() if any(True for _ in child.children())]
    else:
        wanted = [name for name in record.layers if name != PENULTIMATE]
        _check_names(wanted, names, trunk)
    if not wanted:
        return ()
    outputs, readers, penultimate = _probe(model, [f"{prefix}{name}" for name in wanted], inputs)
    stages = []
    for module, output in outputs.items():
        is_penultimate = isinstance(output, Tensor) and output.data_ptr() == penultimate
        if not (record.layers == "all" and is_penultimate):
            stage = _stage(module.removeprefix(prefix), module, output, len(model.head.weight), record.flatten)
            stages.append(replace(stage, reader=readers.get(module, "")))
    if record.layers != "all" and (silent := [name for name in wanted if f"{prefix}{name}" not in outputs]):
        raise ConfigError(f"record.layers: {silent[0]!r} takes no part in the forward pass")
    return tuple(stages)


def _trunk(backbone: nn.Module) -> tuple[nn.Module, str]:
    """The part of the backbone whose children are its stages, and the prefix of their names; wrappers are no part."""
    module, prefix = backbone, "backbone."
    while len(parts := [part for part in module.named_children() if not isinstance(part[1], ConstraintSet)]) == 1:
        name, inner = parts[0]
        if not any(True for _ in inner.children()):
            break
        module, prefix = inner, f"{prefix}{name}."
    return module, prefix


def _check_names(wanted: Sequence[str], names: Sequence[str], trunk: nn.Module) -> None:
    for name in wanted:
        if name not in names:
            hint = did_you_mean(name, [PENULTIMATE, *names])
            suggestion = f"; {hint}" if hint else ""
            known = ", ".join([PENULTIMATE, *(child for child, _ in trunk.named_children())])
            raise ConfigError(
                f"record.layers: {name!r} is no module of the backbone{suggestion} "
                f"(known are {known}, and the modules in them)"
            )


@torch.no_grad()
def _probe(
    model: Classifier, modules: Sequence[str], inputs: Tensor | Images
) -> tuple[dict[str, Any], dict[str, str], int]:
    """Outputs by module in the order of the run, the linear layer that reads each, and where the head's input lies."""
    example = inputs[:1].expand(len(model.head.weight), PROBE_SAMPLES, *inputs.shape[1:])
    readers: dict[str, str] = {}
    penultimate = 0
    outputs = dict.fromkeys(modules, lambda output: (output, _identity(output)))
    with ExitStack() as hooks:
        hooks.enter_context(eval_mode(model))
        tap = hooks.enter_context(FeatureTap(model, model.head, outputs=outputs))

        def note(name: str, _: nn.Module, given: tuple[Any, ...]) -> None:
            nonlocal penultimate
            if name == "head":
                penultimate = given[0].data_ptr()
            # Compared while the outputs are held: freed memory is given to other tensors.
            for module, (_, seen) in tap.outputs.items():
                if seen is not None and seen == _identity(given[0]):
                    readers.setdefault(module, name)

        for name, layer in model.named_modules():
            if isinstance(layer, LINEAR_LAYERS):
                hooks.callback(layer.register_forward_pre_hook(partial(note, name)).remove)
        model(example)
    return {module: output for module, (output, _) in tap.outputs.items()}, readers, penultimate


def _identity(tensor: Any) -> tuple[int, torch.Size, int] | None:
    """Where a tensor lies, its shape, and how often it was written to: after an activation in place it is another."""
    return (tensor.data_ptr(), tensor.shape, tensor._version) if isinstance(tensor, Tensor) else None


def _stage(name: str, module: str, output: Any, trials: int, flatten: bool) -> Stage:
    shape = tuple(output.shape) if isinstance(output, Tensor) else None
    if shape is None:
        raise ConfigError(f"record.layers: {name!r} returns no tensor, but a {type(output).__name__}")
    stacked = shape[:2] == (trials, PROBE_SAMPLES)
    if not stacked and (trials, *shape[:1]) != (1, PROBE_SAMPLES):
        raise ConfigError(f"record.layers: {name!r} gives no features per sample: {shape} for {PROBE_SAMPLES} samples")
    stage = Stage(name=name, module=module, width=0, stacked=stacked, flatten=flatten)
    per_sample = shape[2:] if stacked else shape[1:]
    if len(per_sample) not in (1, 3) and not (flatten and per_sample):
        raise ConfigError(
            f"record.layers: {name!r} gives features of shape {per_sample}, neither a vector nor a feature map; "
            "set record.flatten: true"
        )
    return replace(stage, width=stage.features(output).shape[-1])
