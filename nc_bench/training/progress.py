"""Callbacks that follow the progress of training, and how that of a single run is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nc_bench.telling import ProgressLines, Show, is_notebook, tell
from nc_bench.training.rows import Row


def ignore(*_: object) -> None:
    """A callback that does nothing."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Callbacks for a group of trials; epochs are counted over all of them.

    on_finished takes the status of a trial that had ended before, so that nothing is trained. on_restored takes the
    number of epochs found in checkpoints, on_advanced that of epochs newly trained. on_rows takes the new rows of each
    trial, and the training samples per second where they are known.
    """

    on_finished: Callable[[str], Any] = ignore
    on_restored: Callable[[int], Any] = ignore
    on_advanced: Callable[[int], Any] = ignore
    on_rows: Callable[[list[list[Row]], float | None], Any] = ignore


@contextmanager
def shown_progress(epochs: int, directory: Path, show: Show) -> Iterator[Progress]:
    """How far the run in a directory is: a bar on the standard error where that is a terminal or a notebook, and where
    `show` is "lines" also lines on the standard output; nothing where it is "nothing"."""
    is_silent = show == "nothing"
    hidden = True if is_silent else False if is_notebook() else None  # None: where the standard error is no terminal
    lines = _Lines(epochs, directory) if show == "lines" else None
    with tqdm(total=epochs, unit="epoch", disable=hidden, leave=False) as bar:
        yield Progress(
            on_finished=ignore if is_silent else partial(_say_finished, directory),
            on_restored=_all(bar.update, *([lines.begin] if lines else [])),
            on_advanced=_all(bar.update, *([lines.advance] if lines else [])),
            on_rows=_all(partial(_show_rows, bar), *([lines.take] if lines else [])),
        )


def _all(*callbacks: Callable[..., Any]) -> Callable[..., None]:
    def call(*arguments: Any) -> None:
        for callback in callbacks:
            callback(*arguments)

    return call


class _Lines:
    """Where a run is written and how far it is, for a log."""

    def __init__(self, epochs: int, directory: Path) -> None:
        self.epochs, self.directory, self.done = epochs, directory, 0
        self.lines = ProgressLines(epochs, "epochs")
        self.numbers = ""

    def begin(self, restored: int) -> None:
        self.done = restored
        done = f"{restored} of {self.epochs} epochs are done" if restored else f"{self.epochs} epochs"
        self.lines.begin(f"{self.directory}: {done}", restored)

    def take(self, rows: Sequence[Sequence[Row]], samples_per_second: float | None) -> None:
        row = rows[0][0]
        self.numbers = f"risk {row['risk']:.4g}, simplex_efficiency {row['simplex_efficiency']:.3f}"

    def advance(self, epochs: int) -> None:
        self.done += epochs
        self.lines.reach(self.done, self.numbers)


def _say_finished(directory: Path, status: str) -> None:
    tell(f"{directory}: {status} already, so nothing is trained")


def _show_rows(bar: tqdm[Any], rows: Sequence[Sequence[Row]], samples_per_second: float | None) -> None:
    row = rows[0][0]
    bar.set_postfix(
        risk=f"{row['risk']:.4g}",
        floor=f"{row['risk_floor']:.4g}",
        simplex_efficiency=f"{row['simplex_efficiency']:.3f}",
        **({"samples/s": f"{samples_per_second:.0f}"} if samples_per_second else {}),
        refresh=False,
    )
