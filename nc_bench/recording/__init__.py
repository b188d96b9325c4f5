"""From a model and a split to metrics: `FeatureTap` catches features by hooks, `Recorder` measures them."""

from nc_bench.recording.model_metrics import measure_model
from nc_bench.recording.recorder import Recorder, Recording, Split
from nc_bench.recording.stages import recorded_stages
from nc_bench.recording.tap import FeatureTap

__all__ = ["FeatureTap", "Recorder", "Recording", "Split", "measure_model", "recorded_stages"]
