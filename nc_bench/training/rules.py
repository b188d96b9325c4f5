"""Which update rule trains a configuration."""

from __future__ import annotations

from collections.abc import Sequence

from nc_bench.config import Adam, AdamW, Config, ConfigError, Lbfgs, Muon, Sgd, Signum
from nc_bench.models import Classifier
from nc_bench.training.lbfgs import LbfgsRule
from nc_bench.training.muon import MuonRule
from nc_bench.training.optimizers import AdamRule, SgdRule, UpdateRule
from nc_bench.training.signum import SignumRule
from nc_bench.training.slots import slots_of


def build_rule(model: Classifier, configs: Sequence[Config]) -> UpdateRule:
    """The update rule of these trials, which share its kind, over the trainable parameters of their model.

    Raises ConfigError for Muon without a weight matrix to move.
    """
    optimizers, slots = [config.optimizer for config in configs], slots_of(model, configs)
    match optimizers[0]:
        case Sgd():
            return SgdRule(slots, [o.momentum for o in optimizers if isinstance(o, Sgd)], optimizers[0].nesterov)
        case Signum():
            return SignumRule(slots, [o.momentum for o in optimizers if isinstance(o, Signum)])
        case Muon():
            if not any(slots.matrices):
                name = configs[0].model.name
                raise ConfigError(f"optimizer.name: muon is for hidden linear layers, and model.name: {name} has none")
            return MuonRule(slots, [o for o in optimizers if isinstance(o, Muon)])
        case Lbfgs():
            assert len(configs) == 1, "every trial searches along lines of its own"
            return LbfgsRule(slots, optimizers[0].lr, optimizers[0].history)
        case Adam() | AdamW():
            return AdamRule(slots, [o for o in optimizers if isinstance(o, Adam | AdamW)])
