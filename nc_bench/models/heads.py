"""The head of a model: the linear layer whose output is the model's output, found in a forward pass and verified."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from nc_bench.errors import NotFinite, UserError
from nc_bench.models.layers import StackedLinear
from nc_bench.models.linear_layers import as_rows, epsilon, is_linear, named_layers
from nc_bench.text import listed

SHOWN_ROWS = 4
"""Samples whose outputs are compared in the search, of every linear layer; the chosen one is verified on all."""

CLOSE = 1e-4
"""Relative to the largest output, in the search: outputs after a mean over places, a softmax or an average of heads."""

OUTPUT_MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda z: z,
    "log_softmax": lambda z: z.log_softmax(-1),
    "softmax": lambda z: z.softmax(-1),
    "sigmoid": torch.sigmoid,
}
"""What may follow the head; softmax only over several outputs, the sigmoid only over one."""


@dataclass(frozen=True, kw_only=True)
class FoundHead:
    """The layer whose output is the model's output, and what lies between the two.

    key: which tensor of the model's output it is, as in `output_tensors`. places: "one" if the layer sees one vector a
    sample, "mean" if the output is averaged over pixels or tokens, which W mean(f) + b is too, "picked" if it is that
    of one token a sample, "all" if the model returns an output for every pixel or token. output_map: in OUTPUT_MAPS.
    """

    name: str
    layer: nn.Module
    key: Any = ""
    places: str = "one"
    output_map: str = ""


@dataclass(frozen=True, kw_only=True)
class _Call:
    """A linear layer in a forward pass, with the first rows of its output."""

    name: str
    layer: nn.Module
    rows: Tensor


def find_head(model: nn.Module, forward: Callable[[], Any]) -> FoundHead:
    """The head of the model, found in one call of `forward`, which runs the model on a batch in eval mode.

    Raises UserError, one line: no linear layer's output is the model's output, several are, the output is an average
    of several heads, or the head runs more than once.
    """
    layers = {name: layer for name, layer in named_layers(model).items() if is_linear(layer)}
    if not layers:
        raise UserError("the model has no linear layer to tap; name one with layer=...")
    calls: list[_Call] = []
    handles = [layer.register_forward_hook(partial(_note, calls, name)) for name, layer in layers.items() if name]
    try:
        with torch.no_grad():
            output = forward()
    finally:
        for handle in handles:
            handle.remove()
    if "" in layers:  # the model is a linear layer, whose hooks its own `forward` does not run
        _note(calls, "", layers[""], None, output)
    return _chosen(calls, output_tensors(output))


def output_tensors(output: Any) -> dict[Any, Tensor]:
    """The tensors that a model returned, by position or key; `logits` alone where one has that name, "" if bare."""
    named = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(named, Tensor):
        return {"logits": dense(named)}
    if isinstance(output, Tensor):
        return {"": dense(output)}
    parts = output.items() if isinstance(output, Mapping) else enumerate(output if _is_sequence(output) else ())
    kept = {key: dense(part) for key, part in parts if isinstance(part, Tensor) and part.ndim}
    return {key: part for key, part in kept.items() if part.is_floating_point()}


def dense(values: Tensor) -> Tensor:
    """The numbers of a tensor without its graph, those of a quantized one too."""
    return values.dequantize().detach() if values.is_quantized else values.detach()


def head_rows(head: FoundHead, inputs: Tensor, outputs: Tensor, logits: Tensor) -> Tensor:
    """The features f (N, d) with W f + b = logits, from the input and output of the head in one forward pass.

    For an output at every place, and for stacked trials, the input as it is.
    """
    if head.places == "all":
        return inputs
    rows = as_rows(head.layer, inputs)
    if head.places == "one":
        return rows[:, 0]
    if head.places == "mean":
        return rows.mean(1)
    at_places = OUTPUT_MAPS[head.output_map](as_rows(head.layer, outputs))
    same = _agree(at_places, _columns(logits)[:, None], exact=not head.output_map)
    first = same.to(torch.uint8).argmax(1)
    samples = torch.arange(len(rows), device=rows.device)
    last = rows.shape[1] - 1 - same.flip(1).to(torch.uint8).argmax(1)
    chosen = rows[samples, first]
    if not bool(same.any(1).all()) or not torch.equal(chosen, rows[samples, last]):
        raise UserError(f"the output of the model is not that of one token of layer {head.name!r} for each sample")
    return chosen


def verify_head(
    head: FoundHead, features: Tensor, weight: Tensor, bias: Tensor | None, output: Tensor, logits: Tensor
) -> None:
    """UserError unless W f + b, and the map that follows, is the model's output up to rounding.

    output is what the layer itself returned: its dtype says how exact it can be.
    """
    wide = torch.promote_types(torch.promote_types(features.dtype, weight.dtype), torch.float32)
    f, w = features.to(wide), weight.to(wide)
    rounding = epsilon(head.layer, output)
    if head.places == "all":
        f = as_rows(head.layer, f) if w.ndim == 2 else f
        logits = as_rows(head.layer, logits) if w.ndim == 2 else logits
    z = f @ w.mT
    size = f.norm(dim=-1, keepdim=True) * w.norm(dim=-1)[..., None, :]
    if bias is not None:
        z, size = z + bias.to(wide)[..., None, :], size + bias.to(wide).abs()[..., None, :]
    tolerance = rounding * (4 if rounding > 1e-4 else 8 + math.sqrt(w.shape[-1]) / 2) * size
    expected, shown = OUTPUT_MAPS[head.output_map](z), (_columns(logits) if w.ndim == 2 else logits).to(wide)
    # No map of OUTPUT_MAPS enlarges an error more than twice; the outputs were rounded once more.
    tolerance = 2 * tolerance.amax(-1, keepdim=True) + 2 * rounding * expected.abs()
    wrong = (expected - shown).abs() > tolerance
    if expected.shape != shown.shape or bool(wrong.any()):
        raise UserError(
            f"the model's output is not W f + b of its layer {head.name!r} in this forward pass, as it was in the first"
        )


def two_classes(weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """A head with one output z as one of two classes: rows -w/2 and w/2, outputs -z/2 and z/2.

    Their softmax is the sigmoid of z, label 1 the class of large z, and the two rows sum to 0. Other heads as they are.
    """
    if weight.shape[-2] != 1:
        return weight, bias
    both = torch.cat([-weight, weight], -2) / 2
    return both, None if bias is None else torch.cat([-bias, bias], -1) / 2


def _note(calls: list[_Call], name: str, layer: nn.Module, _: Any, output: Any) -> None:
    if isinstance(output, Tensor) and output.ndim > 1:
        # A copy: what comes next may work in place. The first axis of stacked layers is that of trials.
        shown = output if isinstance(layer, StackedLinear) else output[:SHOWN_ROWS]
        calls.append(_Call(name=name, layer=layer, rows=dense(shown).clone()))


def _chosen(calls: list[_Call], outputs: Mapping[Any, Tensor]) -> FoundHead:
    if not outputs:
        raise UserError("the model returns no tensor of outputs: wrap it so that it returns its logits")
    found = [head for key, logits in outputs.items() for call in calls if (head := _matched(call, key, logits))]
    names = list(dict.fromkeys(head.name for head in found))
    if len(names) == 1:
        times = sum(call.name == names[0] for call in calls)
        if times > 1:
            raise UserError(
                f"the head {names[0]!r} runs {times} times in one forward pass, so a sample has no single feature "
                "vector: call the model on one view of the sample"
            )
        # Where logits and their softmax are both returned, the logits.
        return min(found, key=lambda head: head.output_map)
    if len({head.key for head in found}) > 1:
        raise UserError(
            f"the model returns the outputs of {len(names)} heads, {_quoted(names)}: say which, layer={names[0]!r}"
        )
    if found:
        raise UserError(
            f"{len(names)} linear layers give the model's output, {_quoted(names)}: say which, layer={names[0]!r}"
        )
    if not all(bool(logits.isfinite().all()) for logits in outputs.values()):
        raise NotFinite("the model's output holds NaN or infinity, so its head cannot be looked for")
    raise UserError(_why_none(calls, outputs))


def _matched(call: _Call, key: Any, logits: Tensor) -> FoundHead | None:
    """How the model's output follows from the layer's; None if it does not."""
    logits, make = _columns(logits), partial(FoundHead, name=call.name, layer=call.layer, key=key)
    if logits.ndim > 2:
        return make(places="all") if _equal(call.rows, logits[: len(call.rows)], exact=True) else None
    rows, shown = as_rows(call.layer, call.rows)[:SHOWN_ROWS], logits[:SHOWN_ROWS]
    if (rows.shape[0], rows.shape[-1]) != tuple(shown.shape):
        return None
    for name in ("", "sigmoid") if rows.shape[-1] == 1 else ("", "log_softmax", "softmax"):
        output_map = OUTPUT_MAPS[name]
        if rows.shape[1] == 1:
            if _equal(output_map(rows[:, 0]), shown, exact=not name):
                return make(output_map=name)
        elif _equal(output_map(rows.mean(1)), shown):
            return make(places="mean", output_map=name)
        elif bool(_agree(output_map(rows), shown[:, None], exact=not name).any(1).all()):
            return make(places="picked", output_map=name)
    return None


def _why_none(calls: list[_Call], outputs: Mapping[Any, Tensor]) -> str:
    logits = _columns(next(iter(outputs.values())))
    shown = logits[:SHOWN_ROWS]
    fitting = [call for call in calls if call.rows.shape == shown.shape]
    for several in _groups(fitting):
        total = torch.stack([call.rows.to(torch.float64) for call in several]).sum(0)
        names = list(dict.fromkeys(call.name for call in several))
        for word, value in (("average", total / len(several)), ("sum", total)):
            if _equal(value, shown) and len(names) == 1:
                return f"the model's output is the {word} of {len(several)} runs of its head {names[0]!r}: run it once"
            if _equal(value, shown):
                return (
                    f"the model's output is the {word} of {len(names)} heads, {_quoted(names)}: "
                    f"measure one of them, layer={names[0]!r}"
                )
    if not calls:
        return "no linear layer runs as a module in a forward pass: name the layer to tap with layer=..."
    last = calls[-1].name
    return (
        "no linear layer's output is the model's output, so there is no W f + b to measure; the last to run is "
        f"{last!r} (layer={last!r} taps it all the same)"
    )


def _groups(calls: list[_Call]) -> Iterator[tuple[_Call, ...]]:
    yield from combinations(calls[-6:], 2)
    if len(calls) > 2:
        yield tuple(calls)


def _quoted(names: list[str]) -> str:
    return listed([f"'{name}'" for name in names])


def _columns(logits: Tensor) -> Tensor:
    """Outputs (N,) of a model that squeezes its one logit as (N, 1), maps (N, K, 1, 1) of one pixel as (N, K)."""
    if logits.ndim == 1:
        return logits[:, None]
    return logits.flatten(1) if logits.ndim > 2 and math.prod(logits.shape[2:]) == 1 else logits


def _equal(values: Tensor, others: Tensor, *, exact: bool = False) -> bool:
    return values.shape == others.shape and bool(_agree(values, others, exact=exact).all())


def _agree(values: Tensor, others: Tensor, *, exact: bool) -> Tensor:
    """For which rows two outputs agree, in the coarser of the two dtypes if exactly."""
    coarser = min((values.dtype, others.dtype), key=lambda dtype: torch.finfo(dtype).bits)
    if exact:
        return (values.to(coarser) == others.to(coarser)).all(-1)
    values, others = values.to(torch.float64), others.to(torch.float64)
    scale = others.abs().amax(-1) if others.numel() else others.sum(-1)
    eps = max(CLOSE, 8 * torch.finfo(coarser).eps)
    return (values - others).abs().amax(-1) <= eps * scale


def _is_sequence(output: Any) -> bool:
    return isinstance(output, tuple | list)
