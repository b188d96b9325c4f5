"""Callbacks that follow the progress of training, and the progress bar of a single run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nc_bench.telling import is_notebook, tell
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
def progress_bar(epochs: int, directory: Path, *, silent: bool) -> Iterator[Progress]:
    """A bar on the standard error for the run in a directory; none where that is no terminal or notebook, or it is
    silent."""
    hidden = True if silent else False if is_notebook() else None  # None: where the standard error is no terminal
    with tqdm(total=epochs, unit="epoch", disable=hidden, leave=False) as bar:
        yield Progress(
            on_finished=ignore if silent else partial(_say_finished, directory),
            on_restored=bar.update,
            on_advanced=bar.update,
            on_rows=partial(_show_rows, bar),
        )


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
