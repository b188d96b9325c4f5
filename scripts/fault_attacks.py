"""The attacks: each gives the lines of the table, in which it is counted how its cases ended."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_judging import Campaign
from fault_processes import sweep, two_ranks
from fault_runs import JOBS, Job, measured
from faults import Fault, Operations, in_child
from filelock import FileLock

GOOD = ("identical", "noticed", "harmless", "made again")


@dataclass(kw_only=True)
class Row:
    """One line of the table."""

    attack: str
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def count(self, outcome: str, what: str) -> None:
        self.outcomes[outcome if outcome in GOOD else "FAILED"] += 1
        if outcome not in GOOD:
            self.failures.append(f"{what}: {outcome}")


def faults(campaign: Campaign, job: Job, fault: Fault, attack: str, most: int, *, writes_only: bool = False) -> Row:
    """A fault at each operation, then the same command again."""
    row = Row(attack=f"{attack}: {job.name}")
    campaign.untouched(job)
    for number in campaign.some(campaign.operations_of(job, writes_only=writes_only), most):
        place = campaign.fresh()
        ended = campaign.run(job, place, Operations(place, number, fault, writes_only=writes_only))
        outcome = f"a bug: {ended.said.splitlines()[-1]}" if ended.is_bug else campaign.read(job, place)
        if outcome in ("identical", "noticed"):
            outcome = campaign.resumed(job, place)
        row.count(outcome, f"operation {number}")
        shutil.rmtree(place)
    return row


def flips(campaign: Campaign, job: Job, per_file: int, names: str = "*") -> list[Row]:
    """Single bits of every file of a finished run, read and then resumed."""
    source, rows = campaign.fresh(), []
    assert campaign.run(job, source).status == 0
    (origin,) = job.folders(source)
    files = sorted(path.relative_to(origin) for path in origin.rglob(names) if path.is_file() and path.stat().st_size)
    for name in files:
        row = Row(attack=f"a bit flips: {name}")
        size = (origin / name).stat().st_size
        bits = [campaign.random.randrange(8 * size) for _ in range(per_file)]
        for bit in bits:
            place = campaign.fresh()
            folder = Path(shutil.copytree(origin, job.folders(place)[0]))
            content = bytearray((folder / name).read_bytes())
            content[bit // 8] ^= 1 << bit % 8
            (folder / name).write_bytes(content)
            row.count(campaign.after_damage(job, place, origin, name), f"bit {bit}")
            shutil.rmtree(place)
        rows.append(row)
    return rows


def second_writers(campaign: Campaign, job: Job, most: int) -> Row:
    """At an operation another process does the whole run in the same folder, and the lock does nothing."""
    row = Row(attack=f"a second writer, no lock: {job.name}")
    for number in campaign.some(campaign.operations_of(job), most):
        place = campaign.fresh()

        def other(place: Path = place) -> None:
            child = os.fork()
            if child == 0:
                os._exit(_quietly(lambda: job.work(place)))
            os.waitpid(child, 0)

        def work(place: Path = place, number: int = number, other: Fault = other) -> int:
            import nc_bench.runs.directory as directory

            no_lock: Any = lambda folder: FileLock(folder / ".lock")  # noqa: E731
            setattr(directory, "lock_folder", no_lock)  # noqa: B010
            Operations(place, number, other).install()
            return job.work(place)

        first = in_child(work, place.parent / f"{place.name}.errors")
        outcome = campaign.read(job, place)
        if first.is_bug:
            outcome = f"a bug: {first.said.splitlines()[-1]}"
        elif outcome == "identical":
            outcome = campaign.resumed(job, place)
            refused = outcome.startswith("exit status 2: ") and "damaged" in outcome
            outcome = "noticed" if refused or (outcome == "identical" and first.status) else outcome
        row.count(outcome, f"operation {number}")
        shutil.rmtree(place)
    return row


def ranks(campaign: Campaign, numbers: Sequence[int]) -> Row:
    """Two processes that train one run; the one that writes is killed at an operation."""
    row, job = Row(attack="one of two ranks killed"), JOBS[0]
    whole = campaign.fresh()
    assert two_ranks(whole, 0) == 0
    for number in numbers:
        place = campaign.fresh()
        killed = two_ranks(place, number)
        outcome = "identical" if killed else "nothing was killed"
        if killed and (status := two_ranks(place, 0)):
            outcome = f"exit status {status}"
        elif job.numbers(place) != job.numbers(whole):
            outcome = "other numbers"
        row.count(outcome, f"operation {number}")
    return row


def sweeps(campaign: Campaign, seconds: Sequence[float]) -> Row:
    """A sweep whose processes are all killed after a while, and which is then started again."""
    row, whole = Row(attack="a sweep and its workers killed"), campaign.fresh()
    assert sweep(whole, None) == 0
    expected = {path.parent.name: measured(path.parent) for path in whole.rglob("metrics.csv")}
    for delay in seconds:
        place = campaign.fresh()
        sweep(place, delay)
        status = sweep(place, None)
        found = {path.parent.name: measured(path.parent) for path in place.rglob("metrics.csv")}
        outcome = "identical" if found == expected else "other numbers"
        row.count(outcome if status == 0 else f"exit status {status}", f"after {delay} s")
    return row


def _quietly(work: Callable[[], int]) -> int:
    try:
        return work()
    except BaseException:
        return 99
