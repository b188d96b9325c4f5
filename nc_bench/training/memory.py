"""What to say when memory runs out."""

from __future__ import annotations

import torch

SIGNS = ("can't allocate memory", "not enough memory", "out of memory")
"""How torch's allocators say it, where they have no exception of their own."""

KILLED = "DataLoader worker"


def shortage(error: BaseException) -> str | None:
    """One line that names the settings to change if this error says that memory ran out; None if it does not."""
    text = " ".join(str(error).split())
    if isinstance(error, RuntimeError) and text.startswith(KILLED):
        return f"a process that reads images ended ({text}), as happens when memory runs out: lower data.workers"
    if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not (
        isinstance(error, RuntimeError) and any(sign in text for sign in SIGNS)
    ):
        return None
    return (
        "out of memory: lower training.batch_size or the model's width; for image sets lower data.memory_gb, beyond "
        "which images are read by the batch; or take fewer samples (data.samples_per_class)"
    )
