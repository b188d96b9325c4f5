"""The metrics as a `torchmetrics.Metric`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nc_bench import vision  # noqa: F401  torchmetrics imports torchvision, and not in the way that always works.
from nc_bench.metrics import METRIC_NAMES, CollapseAccumulator, CollapseMetrics
from nc_bench.metrics.accumulator import FEATURE_BUDGET
from nc_bench.metrics.gather import no_gather
from nc_bench.text import did_you_mean

try:
    from torchmetrics import Metric
    from torchmetrics.utilities.distributed import gather_all_tensors
except ModuleNotFoundError as error:
    if error.name != "torchmetrics":
        raise
    raise ModuleNotFoundError(
        "CollapseMetric needs torchmetrics, which is not installed: pip install 'nc_bench[torchmetrics]'",
        name="torchmetrics",
    ) from None

STATE = ("features", "labels")
"""What a state_dict holds of a metric that is persistent."""


class CollapseMetric(Metric):
    """`collapse_metrics` of the features that `update(features, labels)` has seen, alone or in a `MetricCollection`.

    features (N, d) floating, labels (N,) integers in 0..classes-1. `compute()` gives a dictionary from names to float64
    scalars on the metric's device; `measured` is the whole result, with reasons, per_class and left_out. The features
    are kept on the CPU, in a `CollapseAccumulator` (`budget`, `folder`). Over processes each brings in its samples
    once, and sums travel, not features; `process_group` and the other arguments of `Metric` are taken.

    head: the model's last linear layer, read when the metrics are computed; without it only those of the features are
    measured. It stays the model's: it is no submodule of the metric, and a clone of the metric reads the same head.
    names: the metrics to return (default: all that are measured). minimum_samples, absent: as in `collapse_metrics`.
    With absent="nan" the value that `forward` gives of one batch is often undefined, for a batch may lack a class.

    As usual a checkpoint has none of the features unless `persistent(True)` is called.

    Raises ValueError, one line, for a head without a weight (K, d), an unknown name, and as CollapseAccumulator does.
    """

    full_state_update = True
    higher_is_better = None
    is_differentiable = False

    def __init__(
        self,
        classes: int,
        head: nn.Module | None = None,
        *,
        names: Sequence[str] | None = None,
        minimum_samples: int = 1,
        absent: str = "nan",
        budget: int = FEATURE_BUDGET,
        folder: Any = None,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        for name in names or ():
            if name not in METRIC_NAMES:
                hint = did_you_mean(name, METRIC_NAMES)
                raise ValueError(f"names: {name!r} is no metric{'; ' + hint if hint else ''}")
        if head is not None and getattr(getattr(head, "weight", None), "ndim", 0) != 2:
            raise ValueError(f"head must be a linear layer with a weight (K, d), got {type(head).__name__}")
        self.accumulator = CollapseAccumulator(classes, budget=budget, folder=folder)
        self.measured: CollapseMetrics | None = None
        self._head = _Shared(head)
        self._names = None if names is None else tuple(names)
        self._choice: dict[str, Any] = {"minimum_samples": minimum_samples, "absent": absent}
        self._kept = False
        self._gather_by: tuple[Callable[..., list[Tensor]], Any] | None = None

    def update(self, features: Tensor, labels: Tensor) -> None:
        """Take in one batch."""
        self.accumulator.update(features, labels)

    def compute(self) -> dict[str, Tensor]:
        """The metrics of all samples so far, of all processes."""
        head, gather = self._head.module, no_gather if self._gather_by is None else self._gather
        parts = () if head is None else (head.weight, getattr(head, "bias", None))
        measured = self.accumulator.compute(*parts, gather=gather, **self._choice)
        self.measured = measured
        names = measured if self._names is None else self._names
        missing = [name for name in names if name not in measured]
        if missing:
            raise ValueError(f"names: {missing[0]} needs a head; give CollapseMetric the last linear layer")
        return {name: torch.tensor(measured[name], dtype=torch.float64, device=self.device) for name in names}

    def reset(self) -> None:
        """Forget all samples."""
        super().reset()
        self.accumulator = self.accumulator.empty_copy()
        self.measured = None

    def merge_state(self, incoming_state: Any) -> None:
        """Take in the samples of another CollapseMetric."""
        if not isinstance(incoming_state, CollapseMetric):
            raise ValueError(f"only another CollapseMetric can be merged, got {type(incoming_state).__name__}")
        self.accumulator.merge(incoming_state.accumulator)
        self._update_count += incoming_state._update_count
        self._computed = None

    def persistent(self, mode: bool = False) -> None:
        """Whether state_dict holds the features and labels."""
        super().persistent(mode)
        self._kept = mode

    def state_dict(  # type: ignore[override]  # as Metric's own
        self, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """features and labels, once `persistent(True)` was called and there are any."""
        destination = super().state_dict(destination=destination, prefix=prefix, keep_vars=keep_vars)
        state = self.accumulator.state_dict()
        if self._kept and state["features"] is not None:
            destination |= {f"{prefix}{name}": state[name] for name in STATE}
        return destination

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        parts = {name: state_dict.pop(f"{prefix}{name}", None) for name in STATE}
        if parts["features"] is not None:
            self.accumulator.load_state_dict({"classes": self.accumulator.classes, **parts})
            self._computed = None
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    # What Metric does with its states to set them aside, bring them together and take them back, it does here with the
    # accumulator: `forward` measures one batch between `_copy_state_dict` and putting back what that gave.

    def _copy_state_dict(self) -> dict[str, Any]:
        return {"accumulator": self.accumulator}

    def _sync_dist(
        self, dist_sync_fn: Callable[..., list[Tensor]] = gather_all_tensors, process_group: Any = None
    ) -> None:
        self._gather_by = dist_sync_fn, process_group or self.process_group

    def unsync(self, should_unsync: bool = True) -> None:
        """Back to this process's samples."""
        super().unsync(should_unsync)
        if should_unsync:
            self._gather_by = None

    def _gather(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        assert self._gather_by is not None
        gather, group = self._gather_by
        columns = [[part.cpu() for part in gather(tensor.to(self.device), group=group)] for tensor in tensors]
        return [list(row) for row in zip(*columns, strict=True)]


class _Shared:
    """A module that is not its owner's: a copy of the owner has the same one, or its copy where that is made too."""

    def __init__(self, module: nn.Module | None) -> None:
        self.module = module

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return _Shared(memo.get(id(self.module), self.module))
