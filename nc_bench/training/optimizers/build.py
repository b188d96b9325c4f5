"""From a configuration to its optimizer, and to the learning rate at every step."""

from __future__ import annotations

from collections.abc import Sequence

from nc_bench.config import (
    Adam,
    AdamW,
    Config,
    ConfigError,
    ForeignOptimizer,
    Lbfgs,
    Muon,
    PluginOptimizer,
    Schedule,
    Sgd,
    Signum,
)
from nc_bench.models import Classifier
from nc_bench.models.layers import with_trial_axis
from nc_bench.training.optimizers.base import StackedOptimizer
from nc_bench.training.optimizers.first_order import StackedAdam, StackedSGD, StackedSignum
from nc_bench.training.optimizers.groups import clip_norms, param_groups
from nc_bench.training.optimizers.lbfgs import StackedLBFGS
from nc_bench.training.optimizers.muon import StackedMuon
from nc_bench.training.optimizers.plugin import PluginStep


def build_optimizer(model: Classifier, configs: Sequence[Config]) -> StackedOptimizer:
    """The optimizer of these trials, which share its kind, over the trainable parameters of their model.

    Raises ConfigError for Muon without a weight matrix to move, PluginError for a plug-in that cannot be used.
    """
    settings, groups = [config.optimizer for config in configs], param_groups(model, configs)
    clip = clip_norms(configs, groups)
    match settings[0]:
        case Sgd(nesterov=nesterov):
            momentum = [o.momentum for o in settings if isinstance(o, Sgd)]
            return StackedSGD(groups, clip, momentum=momentum, nesterov=nesterov)
        case Signum():
            return StackedSignum(groups, clip, momentum=[o.momentum for o in settings if isinstance(o, Signum)])
        case Muon():
            if not any(group.matrices for group in groups):
                name = configs[0].model.name
                raise ConfigError(f"optimizer.name: muon is for hidden linear layers, and model.name: {name} has none")
            return StackedMuon(groups, clip, [o for o in settings if isinstance(o, Muon)])
        case Lbfgs(lr=lr, history=history):
            assert len(configs) == 1, "its line search is for one trial"
            return StackedLBFGS(groups, lr=lr, history=history)
        case PluginOptimizer() as plugin:
            assert len(configs) == 1, "a plug-in sees one trial"
            views = [with_trial_axis(model, list(group.parameters.values())) for group in groups]
            single = [
                {name: view[0] for name, view in zip(group.parameters, own, strict=True)}
                for group, own in zip(groups, views, strict=True)
            ]
            return PluginStep(groups, clip, plugin, single)
        case Adam() | AdamW():
            return StackedAdam(groups, clip, [o for o in settings if isinstance(o, Adam | AdamW)])
        case ForeignOptimizer():
            raise AssertionError("a foreign loop is not trained here")


def learning_rate_factor(schedule: Schedule, step: int, total_steps: int) -> float:
    """Factor of the learning rate at step 0..total_steps-1: that of the schedule, times (step + 1)/w in w steps of
    warm-up; a fraction f of the run is step round(f total_steps)."""
    warmup = min(round(schedule.warmup * total_steps), total_steps - 1)
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * schedule.after_warmup(step, warmup, total_steps)
