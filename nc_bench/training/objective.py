"""What is minimised: the mean loss of the samples plus penalties, for every trial. Runs and solvers share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from nc_bench.config import Config, ConfigError
from nc_bench.training.plugin_loss import PluginLoss


class Objective:
    """Mean loss + l/2 |parameters|^2 + l_h/2 sum_i |h_i|^2 of t trials, which share the kind of loss.

    Head and backbone may differ in l.
    `labels` (t, N) are all training labels: with class weights w the mean over a batch of b samples is
    sum_i w(y_i) l_i / (b wbar), wbar the mean of w(y_i) over all N, so batches are unbiased and the full batch is
    sum_i w(y_i) l_i / sum_i w(y_i). `is_risk` says whether the mean loss is the plain cross entropy, the metric risk.
    Raises ConfigError unless there is one class weight for each class, and for the exponential loss of other than
    two classes.
    """

    def __init__(self, configs: Sequence[Config], labels: Int64[Tensor, "t n"], classes: int, dtype: torch.dtype):
        self.classes, self.samples = classes, labels.shape[1]
        parts, like = [config.objective for config in configs], torch.empty((), dtype=dtype, device=labels.device)
        self.kind = parts[0].loss
        if parts[0].is_for_two_classes and classes != 2:
            raise ConfigError(f"objective.loss: {self.kind} is for 2 classes, but the data has {classes}")
        self.smoothing = like.new_tensor([part.label_smoothing for part in parts])
        self.smoothed = bool(self.smoothing.any())
        self.own_share = like.new_tensor([1.0 if part.mixup is None else part.mixup for part in parts])
        self.mixed = any(part.mixup is not None for part in parts)
        self.gamma = like.new_tensor([part.focal_gamma or 0.0 for part in parts])[:, None]
        self.true_weight = like.new_tensor([part.mse_true_weight for part in parts])[:, None, None]
        self.target = like.new_tensor([part.mse_target for part in parts])[:, None, None]
        self.class_weights = _class_weights(configs, labels, classes).to(like)
        self.weighted = bool((self.class_weights != 1).any())
        self.weight_decays = [(part.weight_decay, part.decay_of_head) for part in parts]
        self.feature_decays = torch.tensor(
            [part.feature_decay for part in parts], dtype=torch.float64, device=labels.device
        )
        self.decays_features = any(part.feature_decay for part in parts)
        self.plugin = PluginLoss(parts[0], classes, like) if parts[0].is_plugin else None
        self.is_risk = parts[0].is_cross_entropy and not (self.smoothed or self.weighted or self.mixed)

    def loss(self, outputs: Float[Tensor, "t n k"], labels: Int64[Tensor, "t n"]) -> Float[Tensor, "t"]:
        """Mean of one of these losses over the samples, with z the outputs, p their softmax and y the label.

        Cross entropy against (1 - a) e_y + a/K, or lam e_y + (1 - lam) e_(y+1); focal -(1 - p_y)^g log p_y
        (Lin et al. 2017, eq. 4); squared error
        (k (z_y - M)^2 + sum_{j != y} z_j^2)/2 (Hui & Belkin 2021); exponential exp(-(z_y - z_other)/2); or a plug-in.
        """
        kinds: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "cross_entropy": self._cross_entropies,
            "focal": self._focal,
            "mse": self._squared_errors,
            "exponential": self._exponentials,
        }
        losses = (self.plugin or kinds[self.kind])(outputs, labels)
        if self.weighted:
            losses = losses * self.class_weights.gather(1, labels)
        return losses.mean(-1)

    def feature_penalty(self, features: Float[Tensor, "t n d"]) -> Float[Tensor, "t"]:
        """l_h/2 N times the mean of |h|^2 over these samples: l_h/2 sum_i |h_i|^2 where they are all N."""
        return self.feature_decays.to(features) / 2 * self.samples * features.square().sum(-1).mean(-1)

    def weight_penalty(
        self, backbone: Sequence[Float[Tensor, "t ..."]], head: Sequence[Float[Tensor, "t ..."]]
    ) -> Float[Tensor, "t"] | float:
        """l/2 |parameters|^2 over `decayed_parameters`, in their type; an optimizer adds its gradient itself."""
        penalty: Tensor | float = 0.0
        for parameters, decays in zip((backbone, head), zip(*self.weight_decays, strict=True), strict=True):
            if any(decays):
                penalty += sum(p.new_tensor(decays) / 2 * p.square().flatten(1).sum(1) for p in parameters)
        return penalty

    def _cross_entropies(self, outputs: Tensor, labels: Tensor) -> Tensor:
        losses = F.cross_entropy(outputs.mT, labels, reduction="none")
        if self.mixed:
            following = F.cross_entropy(outputs.mT, (labels + 1) % self.classes, reduction="none")
            losses = self.own_share[:, None] * losses + (1 - self.own_share[:, None]) * following
        if not self.smoothed:
            return losses
        uniform = -F.log_softmax(outputs, -1).mean(-1)
        return losses + self.smoothing[:, None] * (uniform - losses)

    def _focal(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """With m the log odds of a wrong class, log(1 - p_y) = -softplus(-m): no difference of numbers near 1."""
        label = labels[..., None]
        odds = outputs.scatter(-1, label, -torch.inf).logsumexp(-1) - outputs.gather(-1, label).squeeze(-1)
        return -(self.gamma * F.logsigmoid(odds)).exp() * F.logsigmoid(-odds)

    def _squared_errors(self, outputs: Tensor, labels: Tensor) -> Tensor:
        at_label = F.one_hot(labels, self.classes)
        squares = (outputs - self.target * at_label).square()
        return (squares * (1 + (self.true_weight - 1) * at_label)).sum(-1) / 2

    @staticmethod
    def _exponentials(outputs: Tensor, labels: Tensor) -> Tensor:
        return torch.exp((outputs[..., 1] - outputs[..., 0]) * (0.5 - labels))


def _class_weights(configs: Sequence[Config], labels: Tensor, classes: int) -> Float[Tensor, "t k"]:
    """Every trial's weights over their mean over its samples."""
    rows = []
    for config, own in zip(configs, labels, strict=True):
        given = config.objective.class_weights or (1.0,) * classes
        if len(given) != classes:
            raise ConfigError(f"objective.class_weights: {len(given)} given, but the data has {classes} classes")
        weights = torch.tensor(given, dtype=torch.float64, device=labels.device)
        rows.append(weights / weights[own].mean())
    return torch.stack(rows)
