"""Floor 3: the tap (a hook on the last linear layer) and the recorder (features -> rows of metrics)."""

from nc_bench.recording.cadence import recorded_epochs
from nc_bench.recording.recorder import Recorder, Recording, Split
from nc_bench.recording.tap import FeatureTap

__all__ = ["FeatureTap", "Recorder", "Recording", "Split", "recorded_epochs"]
