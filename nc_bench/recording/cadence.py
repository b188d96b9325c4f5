"""Which epochs are recorded."""

from __future__ import annotations

from collections.abc import Sequence

PER_DECADE = 10


def recorded_epochs(every: str | Sequence[int], epochs: int) -> frozenset[int]:
    """Epochs after which to record: all ("epoch"), the integers nearest to 10^(i/10) ("log"), or those listed.

    The last epoch always counts: that is where verdicts are passed. "log" also has the one with which the last tenth of
    training begins: whether a run has converged is seen there. 0 is before training.
    """
    if every == "epoch":
        chosen = set(range(1, epochs + 1))
    elif every == "log":
        chosen, power = {min(epochs, max(1, 9 * epochs // 10))}, 0
        while (epoch := round(10 ** (power / PER_DECADE))) <= epochs:
            chosen.add(epoch)
            power += 1
    else:
        chosen = {int(epoch) for epoch in every if int(epoch) <= epochs}
    return frozenset(chosen | {epochs})
