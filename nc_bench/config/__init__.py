"""The typed configuration of a run: YAML in, frozen models out, problems named by their dotted path."""

from nc_bench.config.canonical import config_changes, config_hash, dump_config, flatten, json_schema
from nc_bench.config.constraints import Constraints, FeatureBound, HeadBound, LpBall
from nc_bench.config.data import Data
from nc_bench.config.load import apply_override, load_config, read_mapping
from nc_bench.config.model import Head, Mlp, Model, Unconstrained
from nc_bench.config.objective import Objective
from nc_bench.config.optimizer import (
    Adam,
    AdamW,
    ConstantSchedule,
    CosineSchedule,
    DecoupledDecay,
    MultiStepSchedule,
    Optimizer,
    Schedule,
    Sgd,
)
from nc_bench.config.problems import ConfigError
from nc_bench.config.schema import Config
from nc_bench.config.training import Record, Stop, Training

__all__ = [
    "Adam",
    "AdamW",
    "Config",
    "ConfigError",
    "ConstantSchedule",
    "Constraints",
    "CosineSchedule",
    "Data",
    "DecoupledDecay",
    "FeatureBound",
    "Head",
    "HeadBound",
    "LpBall",
    "Mlp",
    "Model",
    "MultiStepSchedule",
    "Objective",
    "Optimizer",
    "Record",
    "Schedule",
    "Sgd",
    "Stop",
    "Training",
    "Unconstrained",
    "apply_override",
    "config_changes",
    "config_hash",
    "dump_config",
    "flatten",
    "json_schema",
    "load_config",
    "read_mapping",
]
