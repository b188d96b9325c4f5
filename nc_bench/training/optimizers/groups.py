"""Parameter groups of stacked trials: parameters with equal learning rates and decays, kept in one buffer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.config import Config
from nc_bench.models import Classifier
from nc_bench.models.layers import StackedLinear, with_trial_axis


@dataclass(frozen=True, kw_only=True, eq=False)
class ParamGroup:
    """Trainable parameters of t trials that share learning rates and decays, each number with a value per trial.

    buffer (t, p): the memory of all `parameters` (by their names in the model), so that a step passes over it once.
    gradient (t, p): room for their gradients, in which an optimizer also computes. learning_rate, coupled_decay and
    decoupled_decay (t, 1); a decay that is zero in every trial is None. matrices: whether these are weight matrices of
    the backbone's linear layers, which Muon orthogonalises; under other optimizers never.
    """

    parameters: Mapping[str, Tensor]
    buffer: Float[Tensor, "t p"]
    gradient: Float[Tensor, "t p"]
    learning_rate: Float[Tensor, "t 1"]
    coupled_decay: Float[Tensor, "t 1"] | None
    decoupled_decay: Float[Tensor, "t 1"] | None
    matrices: bool

    def copy_gradients(self) -> None:
        """Write the parameters' gradients into `gradient`."""
        found = [parameter.grad for parameter in self.parameters.values() if parameter.grad is not None]
        assert len(found) == len(self.parameters), "a trainable parameter took no part in the loss"
        torch.cat([gradient.reshape(len(self.buffer), -1) for gradient in found], 1, out=self.gradient)

    def split(self, like_buffer: Float[Tensor, "t p"]) -> dict[str, Tensor]:
        """Views of a tensor laid out as the buffer, by parameter and in its shape."""
        sizes = [parameter.numel() // len(self.buffer) for parameter in self.parameters.values()]
        parts = like_buffer.split(sizes, 1)
        return {
            name: part.view_as(parameter)
            for (name, parameter), part in zip(self.parameters.items(), parts, strict=True)
        }

    def per_trial(self, numbers: Sequence[float]) -> Float[Tensor, "t 1"]:
        """One number per trial, to broadcast against the buffer. Does not wait for a GPU."""
        return _per_trial(numbers, self.buffer)


@dataclass(frozen=True, kw_only=True)
class _Numbers:
    """What the parameters of a group have in common; tuples have an entry per trial."""

    learning_rates: tuple[float, ...]
    coupled_decays: tuple[float, ...]
    decoupled_decays: tuple[float, ...]
    matrices: bool


def param_groups(model: Classifier, configs: Sequence[Config]) -> list[ParamGroup]:
    """The trainable parameters of these trials' model by group. From now on a group's buffer is their memory."""
    decayed = {id(p) for part in decayed_parameters(model, configs[0].objective.decay_biases) for p in part}
    backbone = {id(parameter) for parameter in model.backbone.parameters()}
    muon, zeros = set(muon_parameters(model, configs)), (0.0,) * len(configs)
    alike: dict[_Numbers, dict[str, Tensor]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        in_backbone, decays = id(parameter) in backbone, id(parameter) in decayed
        numbers = _Numbers(
            learning_rates=tuple(
                c.optimizer.learning_rate(in_backbone=in_backbone, is_hidden_matrix=name in muon) for c in configs
            ),
            coupled_decays=tuple(c.coupled_decays[not in_backbone] for c in configs) if decays else zeros,
            decoupled_decays=tuple(c.decoupled_decays[not in_backbone] for c in configs) if decays else zeros,
            matrices=name in muon,
        )
        alike.setdefault(numbers, {})[name] = parameter
    return [_group(numbers, parameters) for numbers, parameters in alike.items()]


def clip_norms(configs: Sequence[Config], groups: Sequence[ParamGroup]) -> Float[Tensor, "t"] | None:
    """The largest norm of each trial's gradient over all groups, inf for a trial without; None if there is none."""
    norms = [c.optimizer.max_gradient_norm for c in configs]
    if not any(norms):
        return None
    return groups[0].buffer.new_tensor([norm or torch.inf for norm in norms])


def decayed_parameters(
    model: Classifier, decay_biases: bool
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """What weight decay acts on, in backbone and head: no feature table; biases and batch norm with `decay_biases`."""

    def chosen(module: torch.nn.Module) -> list[torch.nn.Parameter]:
        parameters = [p for p in module.parameters() if p.requires_grad and p is not model.table]
        stacked = with_trial_axis(model, parameters)
        # A bias has one axis besides that of the trials, and so has a parameter of batch norm.
        return [p for p, seen in zip(parameters, stacked, strict=True) if decay_biases or seen.ndim > 2]

    return chosen(model.backbone), chosen(model.head)


def muon_parameters(model: Classifier, configs: Sequence[Config]) -> list[str]:
    """Names of the parameters that Muon orthogonalises: weights of the backbone's linear layers. AdamW moves the rest.

    Empty under another optimizer.
    """
    if not configs[0].optimizer.for_hidden_matrices:
        return []
    kinds = StackedLinear | torch.nn.Linear
    weights = {id(layer.weight) for layer in model.backbone.modules() if isinstance(layer, kinds)}
    return [name for name, p in model.named_parameters() if id(p) in weights and p.requires_grad]


def _group(numbers: _Numbers, parameters: Mapping[str, Tensor]) -> ParamGroup:
    buffer = _joined(list(parameters.values()), len(numbers.learning_rates))
    coupled, decoupled = numbers.coupled_decays, numbers.decoupled_decays
    return ParamGroup(
        parameters=parameters,
        buffer=buffer,
        gradient=torch.empty_like(buffer),
        learning_rate=_per_trial(numbers.learning_rates, buffer),
        coupled_decay=_per_trial(coupled, buffer) if any(coupled) else None,
        decoupled_decay=_per_trial(decoupled, buffer) if any(decoupled) else None,
        matrices=numbers.matrices,
    )


def _joined(parameters: Sequence[Tensor], trials: int) -> Float[Tensor, "t p"]:
    """One buffer that from now on is the memory of these parameters."""
    rows = [parameter.detach().view(trials, -1) for parameter in parameters]
    if len(rows) == 1:
        return rows[0]
    buffer = torch.cat(rows, 1)
    for parameter, part in zip(parameters, buffer.split([row.shape[1] for row in rows], 1), strict=True):
        parameter.data = part.view_as(parameter)
    return buffer


def _per_trial(numbers: Sequence[float], like: Tensor) -> Float[Tensor, "t 1"]:
    # From pinned memory the copy does not wait for the GPU: Adam makes such tensors in every step.
    here = torch.tensor(numbers, dtype=like.dtype, pin_memory=like.is_cuda)
    return here.to(like.device, non_blocking=like.is_cuda)[:, None]
