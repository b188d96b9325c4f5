"""The typed configuration of a run: YAML in, frozen models out, problems named by their dotted path."""

from nc_bench.config.balance import Balance, CountedBalance, ExponentialBalance, FullBalance, StepBalance
from nc_bench.config.constraints import Constraints, FeatureBound, HeadBound, OutputBound
from nc_bench.config.data import (
    Arrays,
    Augment,
    Data,
    Digits,
    Downloaded,
    FolderOfImages,
    GaussianMixture,
    HuggingFace,
    LiveData,
    Noise,
    PluginData,
    ReadByBatch,
)
from nc_bench.config.identity import config_changes, config_hash, flatten, shared_settings
from nc_bench.config.load import config_of, dump_config, load_config, read_mapping, with_overrides
from nc_bench.config.model import DeepLinear, Head, Mlp, Model, ResNet, Unconstrained
from nc_bench.config.objective import Objective
from nc_bench.config.optimizer import (
    Adam,
    AdamW,
    DecoupledDecay,
    FirstOrder,
    ForeignOptimizer,
    Lbfgs,
    Muon,
    Optimizer,
    PluginOptimizer,
    Sgd,
    Signum,
)
from nc_bench.config.plugin import plugins_of
from nc_bench.config.schedule import ConstantSchedule, CosineSchedule, MultiStepSchedule, Schedule
from nc_bench.config.schema import Config, json_schema
from nc_bench.config.shipped import SHIPPED, find_config, shipped_names
from nc_bench.config.training import Record, Stop, Training
from nc_bench.config.unknown_models import ExternalModel, ForeignModel, LiveModel, PluginModel
from nc_bench.errors import ConfigError

__all__ = [
    "SHIPPED",
    "Adam",
    "AdamW",
    "Arrays",
    "Augment",
    "Balance",
    "Config",
    "ConfigError",
    "ConstantSchedule",
    "Constraints",
    "CosineSchedule",
    "CountedBalance",
    "Data",
    "DecoupledDecay",
    "DeepLinear",
    "Digits",
    "Downloaded",
    "ExponentialBalance",
    "ExternalModel",
    "FeatureBound",
    "FirstOrder",
    "FolderOfImages",
    "ForeignModel",
    "ForeignOptimizer",
    "FullBalance",
    "GaussianMixture",
    "Head",
    "HeadBound",
    "HuggingFace",
    "Lbfgs",
    "LiveData",
    "LiveModel",
    "Mlp",
    "Model",
    "MultiStepSchedule",
    "Muon",
    "Noise",
    "Objective",
    "Optimizer",
    "OutputBound",
    "PluginData",
    "PluginModel",
    "PluginOptimizer",
    "ReadByBatch",
    "Record",
    "ResNet",
    "Schedule",
    "Sgd",
    "Signum",
    "StepBalance",
    "Stop",
    "Training",
    "Unconstrained",
    "config_changes",
    "config_hash",
    "config_of",
    "dump_config",
    "find_config",
    "flatten",
    "json_schema",
    "load_config",
    "plugins_of",
    "read_mapping",
    "shared_settings",
    "shipped_names",
    "with_overrides",
]
