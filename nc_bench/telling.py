"""Lines on the standard error. One that cannot be written never stops the work that it is about."""

from __future__ import annotations

import sys


def is_notebook() -> bool:
    """Whether this is the kernel of a notebook, which shows a bar although its standard error is no terminal."""
    return "ipykernel.zmqshell" in sys.modules


def tell(line: str) -> None:
    """Print on the standard error, above any progress bar; nothing where that is closed, full or a lost terminal."""
    if sys.stderr is None:  # as Python leaves it where it was started without
        return
    from tqdm import tqdm  # Here, since commands start with this module, and Ctrl-C meanwhile has to end in one line.

    try:
        tqdm.write(line, file=sys.stderr)
        sys.stderr.flush()
    except (OSError, ValueError):  # ValueError: the stream has been closed
        pass
