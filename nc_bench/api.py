"""The public Run: the tables in a run directory, and the model that was trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc_bench.config import load_config
from nc_bench.errors import RunError
from nc_bench.paths import expanded
from nc_bench.runs import RunTables
from nc_bench.runs.directory import CONFIG
from nc_bench.verdicts.judging import read_judged_run

if TYPE_CHECKING:
    from nc_bench.training.trained_model import TrainedModel


@dataclass(frozen=True, kw_only=True)
class Run(RunTables):
    """A run directory: its configuration, manifest and tables (see `RunTables`), and the model that it trained."""

    def load_model(self) -> TrainedModel:
        """The trained model: x (n, ...) -> logits (n, K), an `nn.Module` in eval mode, on the CPU, in the run's dtype.

        x are inputs as the run saw them (after `data`'s standardisation), or, for unconstrained features, indices of
        training samples. The weights are those of the newest checkpoint, which for a complete run is its last epoch;
        bounds of features and outputs hold in the forward pass. Needs torch.

        Raises RunError (a ValueError), one line, if there is no checkpoint or it is damaged.
        """
        from nc_bench.training.trained_model import load_trained_model

        return load_trained_model(self.path, load_config(self.path / CONFIG), self.manifest)


def load_run(directory: Any) -> Run:
    """Read a run directory (a path; `~` is the home folder), finished or not. Works without torch.

    Raises RunError (a ValueError) naming the file if the directory holds no run or a file is damaged.
    """
    return Run(**vars(read_judged_run(expanded(directory, error=RunError))))
