"""What Python code calls: train a run, read one, and look at it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc_bench.config import Config, ConfigError, config_hash, config_of, find_config, load_config
from nc_bench.errors import RunError
from nc_bench.handed_over import handing_over
from nc_bench.paths import default_folder, expanded, new_directory
from nc_bench.runs import RunTables
from nc_bench.runs.directory import CONFIG
from nc_bench.telling import Show, tell
from nc_bench.text import did_you_mean, one_line
from nc_bench.verdicts.judging import read_judged_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nc_bench.training.trained_model import TrainedModel

UNNAMED = Path("run")
"""What gives the folder of a run its name where the configuration comes from no file."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Run(RunTables):
    """A run directory: its configuration, manifest and tables (see `RunTables`), and the model that it trained.

    A notebook shows it at a glance: how it ended, how many claims hold, how much of the norm budget became separation.
    """

    def load_model(self, model: Any = None) -> TrainedModel:
        """The trained model: x (n, ...) -> logits (n, K), an `nn.Module` in eval mode, on the CPU, in the run's dtype.

        x are inputs as the run saw them (after `data`'s standardisation), or, for unconstrained features, indices of
        training samples. The weights are those of the newest checkpoint, which for a complete run is its last epoch;
        bounds of features and outputs hold in the forward pass. Needs torch.

        model: a module like the one that was handed over to `run_training`, for a run of such a one.
        Raises RunError (a ValueError), one line, if there is no checkpoint, it is damaged, or of other layers.
        """
        from nc_bench.training.trained_model import load_trained_model

        config = load_config(self.path / CONFIG)
        with handing_over({} if model is None else {getattr(config.model, "digest", ""): model}):
            return load_trained_model(self.path, config, self.manifest)

    def plot(self, figure: str = "metric_curves") -> Figure:
        """A figure of the run, as a matplotlib Figure, which a notebook shows: one of those that its page has.

        figure: `metric_curves` (over the epochs), `budget` (where the norm budget went), `depth` (through the layers)
        or `simplex_plane` (the features in the plane of the simplex).
        Raises RunError, one line: no such figure, or the run has not recorded what it shows.
        """
        from nc_bench.reports.figures import FIGURES_OF_A_RUN, shown_in_notebooks

        if figure not in FIGURES_OF_A_RUN:
            hint = did_you_mean(figure, FIGURES_OF_A_RUN) or f"there are {', '.join(FIGURES_OF_A_RUN)}"
            raise RunError(f"no figure is called {figure!r}; {hint}")
        drawn = FIGURES_OF_A_RUN[figure](self)
        if drawn is None:
            raise RunError(f"{self.path}: has not recorded what the figure {figure} shows")
        return shown_in_notebooks(drawn)

    def report(self) -> Path:
        """Write the run's figures and its page again; the path of the page.

        Raises RunError, one line, if a file of the run is damaged, and OSError if its directory cannot be written.
        """
        from nc_bench.reports import write_report

        page, _ = write_report(self)
        return page

    def __repr__(self) -> str:
        from nc_bench.reports.glance import glance_text

        return f"<Run {glance_text(self)}>"

    def _repr_html_(self) -> str:
        from nc_bench.reports.glance import glance_html

        return glance_html(self)


def load_run(directory: Any) -> Run:
    """Read a run directory (a path; `~` is the home folder), finished or not. Works without torch.

    Raises RunError (a ValueError) naming the file if the directory holds no run or a file is damaged.
    """
    return Run(**vars(read_judged_run(expanded(directory, error=RunError))))


def run_training(
    config: Any, out: Any = None, *, model: Any = None, data: Any = None, resume: bool = False, **overrides: Any
) -> Run:
    """Train, record and judge one run and write its page, as the command `train` does; the run.

    config: a file, the name of a shipped configuration ("digits_ball"), a mapping as such a file holds it, or a
    `Config`. out: the run directory; by default a new one, results/runs/<name of the configuration>/<time>.
    model: a torch.nn.Module in the place of the configured one. A copy is trained, from the module's weights; its head
    is found, verified and cut as that of library models. data: a pair (train, test), each a torch data set of pairs
    (input, label) or a pair (inputs, labels) of arrays, test also None. Digests of the layers and initial state, and of
    the contents of the data, stand in the configuration: another model or other data are another run.
    resume: go on with the run in `out`, or with the newest of this configuration; a complete one is only read.
    overrides: fields by their dotted keys, `**{"training.epochs": 2}`.

    A run that diverges ends at its last finite epoch, and says so in its manifest and its `repr`. Ctrl-C, and a
    notebook's stop button, finish the step, save, write the page, and then raise KeyboardInterrupt: `resume=True` goes
    on. Works in any thread; in others than the main one signals do not reach the run. Handlers of signals are as before
    when it ends. Under torchrun every process calls it.

    Raises ConfigError, DataError or RunError (each a ValueError), one line a problem, before anything is written.
    """
    objects: dict[str, Any] = {}
    if model is None and data is None:
        typed = config_of(config, overrides)
    else:
        from nc_bench.training.live import live_config

        typed, objects = live_config(config, overrides, model=model, data=data)
    if out is not None:
        directory = expanded(out, key="out", error=RunError)
    else:
        is_named = not isinstance(config, Config) and not hasattr(config, "keys")
        folder = default_folder(find_config(config) if is_named else UNNAMED)
        directory = default_directory(typed, folder, resume)
    with handing_over(objects):
        status = train_and_show(typed, directory, write_page_of, resume=resume)
    if status == "interrupted":
        raise KeyboardInterrupt(f"{directory}: interrupted; run_training(..., {str(directory)!r}, resume=True) goes on")
    return load_run(directory)


def train_and_show(
    config: Config,
    directory: Path,
    show: Callable[[Path, str], Any],
    *,
    resume: bool = False,
    settle: bool = False,
    progress: Show = "bar",
) -> str:
    """Train a run, and with `settle` its longer twin; `show` its directory and status; the status.

    What cannot be shown is said in one line and changes nothing: the run has ended as it has.
    """
    # torch takes a second to import: a wrong configuration is refused before that.
    from nc_bench import training
    from nc_bench.verdicts.twin import stretched

    if settle:
        stretched(config)  # what has no longer twin is refused before anything is trained
    status = training.run_training(config, directory, resume=resume, show=progress)
    if settle and status == "complete":
        status = training.settle(config, directory, show=progress)
    if os.environ.get("RANK", "0") == "0":
        try:
            show(directory, status)
        except BrokenPipeError:
            raise
        except Exception as error:
            tell(f"{directory}: the run is kept, but not all of it could be shown: {one_line(error)}")
    return status


def write_page_of(directory: Path, status: str) -> None:
    """Write the figures and the page of a run; print nothing."""
    load_run(directory).report()


def default_directory(config: Config, folder: Path, resume: bool) -> Path:
    """A new directory named by the time; to resume, the newest one of the same configuration if there is one."""
    if resume:
        for path in sorted(folder.glob(f"*/{CONFIG}"), reverse=True):
            try:
                if config_hash(load_config(path)) == config_hash(config):
                    return path.parent
            except ConfigError:
                continue
    return new_directory(folder)
