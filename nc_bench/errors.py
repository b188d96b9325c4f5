"""What may end a command in one line: a user's mistake, a lost process, memory or disk that ran out. All else is a bug.

Imports neither torch nor any other module of the package.
"""

from __future__ import annotations


class UserError(ValueError):
    """A user's mistake. The message has one line per problem, and each line names the place to change."""


class ConfigError(UserError):
    """A configuration, a sweep file or a command line that cannot be used."""


class DataError(UserError):
    """Data that cannot be found, read or used; the message names the file or the key to change."""


class RunError(UserError):
    """A run directory that is damaged, in use, or cannot be used as asked; the message names it."""


class SweepError(UserError):
    """A sweep that cannot be run as asked."""


class NotFinite(UserError):
    """A model whose features or outputs hold NaN or infinity, as after it has diverged."""


class LostProcess(RuntimeError):
    """A process that this one works with has ended: one of its group under torchrun, or the scheduler of a sweep."""


OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""Parts of the messages of torch's allocators, most of which raise a plain RuntimeError."""


def out_of_memory(error: BaseException) -> str | None:
    """One line that names the settings to change if this error says that memory ran out; None if it does not."""
    if not isinstance(error, MemoryError | RuntimeError):
        return None
    text = " ".join(str(error).split())
    if "DataLoader worker (pid" in text:
        return f"a process that reads images has ended ({text}), as happens when memory runs out: lower data.workers"
    if isinstance(error, RuntimeError) and not any(part in text for part in OUT_OF_MEMORY):
        return None
    return (
        "out of memory: lower training.batch_size or the model's width; for image sets lower data.memory_gb, beyond "
        "which images are read by the batch; or take fewer samples (data.samples_per_class)"
    )
