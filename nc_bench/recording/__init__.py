"""Floor 3: the tap (hooks on the head and on stages before it) and the recorder (features -> metrics)."""

from nc_bench.recording.recorder import Recorder, Recording, Split
from nc_bench.recording.stages import recorded_stages
from nc_bench.recording.tap import FeatureTap

__all__ = ["FeatureTap", "Recorder", "Recording", "Split", "recorded_stages"]
