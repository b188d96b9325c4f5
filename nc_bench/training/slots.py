"""The parameters of stacked trials and their numbers: learning rates, decays, clipping, each with a value per trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, compress

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.config import Config, FirstOrder, Muon
from nc_bench.models import Classifier
from nc_bench.models.backbones import FeatureTable
from nc_bench.models.layers import StackedLinear
from nc_bench.models.one_trial import with_trial_axis


@dataclass(frozen=True, kw_only=True)
class Slots:
    """Trainable parameters and their numbers, each number shaped to broadcast against its parameter.

    Parameters of the model with equal numbers are `members` of one slot, whose entry (t, p) in `parameters` is their
    memory; `places` are the members' places among the model's trainable parameters. A decay that is zero for every
    parameter and trial is an empty list: it costs nothing. `clip_norms` are None where no gradient is clipped, inf for
    a trial whose is not. `matrices` says which slots hold weight matrices of the backbone's linear layers; for other
    rules than Muon they share slots with the rest, and none does.
    """

    members: list[list[Tensor]]
    places: list[int]
    parameters: list[Tensor]
    learning_rates: list[Tensor]
    coupled_decays: list[Tensor]
    decoupled_decays: list[Tensor]
    clip_norms: Float[Tensor, "t"] | None
    matrices: list[bool]

    def chosen(self, which: list[bool]) -> Slots:
        """Some of these slots."""
        counts = [len(members) for members in self.members]
        owners = chain.from_iterable([is_chosen] * count for is_chosen, count in zip(which, counts, strict=True))
        return Slots(
            members=list(compress(self.members, which)),
            places=list(compress(self.places, owners)),
            parameters=list(compress(self.parameters, which)),
            learning_rates=list(compress(self.learning_rates, which)),
            coupled_decays=list(compress(self.coupled_decays, which)),
            decoupled_decays=list(compress(self.decoupled_decays, which)),
            clip_norms=self.clip_norms,
            matrices=list(compress(self.matrices, which)),
        )

    def copy_gradients(self, into: list[Tensor]) -> None:
        """Write the members' gradients into tensors laid out as the slots are."""
        for members, stacked in zip(self.members, into, strict=True):
            parts = [member.grad for member in members if member.grad is not None]
            assert len(parts) == len(members), "a trainable parameter took no part in the loss"
            torch.cat([part.reshape(len(stacked), -1) for part in parts], 1, out=stacked)

    def as_members(self, like_slots: list[Tensor]) -> list[Tensor]:
        """Views of tensors laid out as the slots are, in the shapes and the order of the model's parameters."""
        views: list[Tensor] = []
        for members, stacked in zip(self.members, like_slots, strict=True):
            parts = stacked.split([member.numel() // len(stacked) for member in members], 1)
            views += [part.view_as(member) for part, member in zip(parts, members, strict=True)]
        return [view for _, view in sorted(zip(self.places, views, strict=True), key=lambda pair: pair[0])]


def decayed_parameters(
    model: Classifier, decay_biases: bool
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """What weight decay acts on, in backbone and head: no feature table, biases and batch norm only if asked to."""
    tables = {id(p) for module in model.modules() if isinstance(module, FeatureTable) for p in module.parameters()}

    def chosen(module: torch.nn.Module) -> list[torch.nn.Parameter]:
        parameters = [p for p in module.parameters() if p.requires_grad and id(p) not in tables]
        stacked = with_trial_axis(model, parameters)
        # A bias has one axis besides that of the trials, and so has a parameter of batch norm.
        return [p for p, seen in zip(parameters, stacked, strict=True) if decay_biases or seen.ndim > 2]

    return chosen(model.backbone), chosen(model.head)


def slots_of(model: Classifier, configs: Sequence[Config]) -> Slots:
    """The trainable parameters of these trials' model, those with equal numbers together."""
    decayed = {id(p) for group in decayed_parameters(model, configs[0].objective.decay_biases) for p in group}
    backbone, none = {id(parameter) for parameter in model.backbone.parameters()}, (0.0,) * len(configs)

    matrices = {id(p) for p in _hidden_matrices(model)} if isinstance(configs[0].optimizer, Muon) else set()

    def numbers(parameter: Tensor) -> tuple[tuple[float, ...], ...]:
        """Learning rate, coupled and decoupled decay, each for all trials, and whether it is one of the matrices."""
        inside = id(parameter) in backbone
        rates = [_rate(c, inside=inside, is_matrix=id(parameter) in matrices) for c in configs]
        decays = [(c.coupled_decays[not inside], c.decoupled_decays[not inside]) for c in configs]
        coupled, decoupled = zip(*decays, strict=True) if id(parameter) in decayed else (none, none)
        return tuple(rates), coupled, decoupled, (float(id(parameter) in matrices),)

    alike: dict[tuple[tuple[float, ...], ...], list[Tensor]] = {}
    trainable: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trainable:
        alike.setdefault(numbers(parameter), []).append(parameter)
    stacked = [_joined(members, len(configs)) for members in alike.values()]
    rates, coupled, decoupled = (
        [per_trial(row, like) for row, like in zip(kind, stacked, strict=True)] if any(map(any, kind)) else []
        for kind in list(zip(*alike, strict=True))[:3]
    )
    place = {id(parameter): position for position, parameter in enumerate(trainable)}
    return Slots(
        members=list(alike.values()),
        places=[place[id(member)] for members in alike.values() for member in members],
        parameters=stacked,
        learning_rates=rates,
        coupled_decays=coupled,
        decoupled_decays=decoupled,
        clip_norms=_clip_norms(configs, stacked[0]),
        matrices=[id(members[0]) in matrices for members in alike.values()],
    )


def muon_moves(model: Classifier, configs: Sequence[Config]) -> list[str]:
    """Names of the parameters that Muon itself moves, AdamW the others; none under another optimiser."""
    if not isinstance(configs[0].optimizer, Muon):
        return []
    matrices = {id(parameter) for parameter in _hidden_matrices(model)}
    return [name for name, parameter in model.named_parameters() if id(parameter) in matrices]


def _hidden_matrices(model: Classifier) -> list[Tensor]:
    """The weights of the backbone's linear layers."""
    kinds = StackedLinear | torch.nn.Linear
    linear = [module for module in model.backbone.modules() if isinstance(module, kinds)]
    return [layer.weight for layer in linear if layer.weight.requires_grad]


def _rate(config: Config, *, inside: bool, is_matrix: bool) -> float:
    optimizer = config.optimizer
    rate = optimizer.adamw_lr if isinstance(optimizer, Muon) and not is_matrix else optimizer.lr
    return rate * optimizer.backbone_lr_factor if inside and isinstance(optimizer, FirstOrder) else rate


def _clip_norms(configs: Sequence[Config], like: Tensor) -> Float[Tensor, "t"] | None:
    norms = [c.optimizer.clip_norm if isinstance(c.optimizer, FirstOrder) else None for c in configs]
    if not any(norms):
        return None
    return torch.tensor([norm or torch.inf for norm in norms], dtype=like.dtype, device=like.device)


def _joined(members: Sequence[Tensor], trials: int) -> Float[Tensor, "t p"]:
    """One buffer that from now on is the memory of these parameters."""
    rows = [member.detach().view(trials, -1) for member in members]
    if len(rows) == 1:
        return rows[0]
    buffer = torch.cat(rows, 1)
    for member, part in zip(members, buffer.split([row.shape[1] for row in rows], 1), strict=True):
        member.data = part.view_as(member)
    return buffer


def per_trial(numbers: Sequence[float], like: Tensor) -> Float[Tensor, "t 1"]:
    """One number per trial, to broadcast against a slot. Does not wait for a GPU: rules ask for some in every step."""
    here = torch.tensor(numbers, dtype=like.dtype, pin_memory=like.is_cuda)
    return here.to(like.device, non_blocking=like.is_cuda)[:, None]
