"""Running what is attacked, and judging what came of it."""

from __future__ import annotations

import random
from pathlib import Path

from fault_runs import Job, as_read, measured
from faults import Ended, Operations, in_child, kill


class Campaign:
    """A folder for the attacked runs, and how they look when nobody touches them."""

    def __init__(self, place: Path, *, long: bool, cases: int | None) -> None:
        self.place, self.long, self.cases, self.random = place, long, cases, random.Random(0)
        self.whole: dict[str, list[list[str]]] = {}
        self.number = 0

    def fresh(self) -> Path:
        self.number += 1
        folder = self.place / f"{self.number:05d}"
        folder.mkdir(parents=True)
        return folder

    def run(self, job: Job, place: Path, operations: Operations | None = None) -> Ended:
        def work() -> int:
            if operations is not None:
                operations.install()
            return job.work(place)

        return in_child(work, place.parent / f"{place.name}.errors")

    def untouched(self, job: Job) -> list[list[str]]:
        if job.name not in self.whole:
            place = self.fresh()
            ended = self.run(job, place)
            assert ended.status == 0, ended.said
            self.whole[job.name] = job.numbers(place)
        return self.whole[job.name]

    def operations_of(self, job: Job, *, writes_only: bool = False) -> int:
        """How many operations the job does when nobody touches it."""
        place = self.fresh()
        tally = place / "operations"

        def work() -> int:
            operations = Operations(place, None, kill, writes_only=writes_only)
            operations.install()
            status = job.work(place)
            tally.write_text(str(len(operations.names)))
            return status

        in_child(work, place.parent / f"{place.name}.errors")
        return int(tally.read_text()) - 2  # without those on the tally

    def some(self, count: int, most: int) -> list[int]:
        """Numbers from 1 to count: all in the long form, else at most so many at even distances."""
        most = self.cases or most
        if (self.long and not self.cases) or count <= most:
            return list(range(1, count + 1))
        step = count / most
        start = self.random.random() * step
        return [1 + int(start + index * step) for index in range(most)]

    def resumed(self, job: Job, place: Path) -> str:
        """Resume, and say what came of it."""
        ended = self.run(job, place)
        if ended.is_bug:
            return f"a bug: {ended.said.splitlines()[-1]}"
        if ended.status:
            return f"exit status {ended.status}: {ended.said.strip()}"
        return "identical" if job.numbers(place) == self.untouched(job) else "other numbers"

    def read(self, job: Job, place: Path) -> str:
        """Load what is there: rows as in the untouched run as far as they go, or one line that says why not."""
        from nc_bench import load_run
        from nc_bench.runs import RunError

        for folder, whole in zip(job.folders(place), self.untouched(job), strict=True):
            try:
                run = load_run(folder)
            except RunError as error:
                if "\n" in str(error):
                    return f"not one line: {error}"
                continue
            if not run.rows.empty:
                lines = [line.rpartition(",")[0] for line in run.rows.to_csv(index=False).splitlines()]
                if lines != whole[: len(lines)]:
                    return "other rows are read"
        return "identical"

    def after_damage(self, job: Job, place: Path, origin: Path, name: Path) -> str:
        """What a reader and a resumed run make of a damaged file."""
        (folder,) = job.folders(place)
        answer = place / "answer"
        read = in_child(lambda: answer.write_text(as_read(folder)) * 0, place / "errors")
        if read.is_bug:
            return f"a bug: {read.said.splitlines()[-1]}"
        reading = answer.read_text()
        noticed = reading.startswith("RunError")
        if not noticed and reading != as_read(origin):
            return "other numbers are read"
        ended = self.run(job, place)
        if ended.is_bug or ended.said.count("\n") > 3:
            return f"a bug: {ended.said.splitlines()[-1]}"
        if ended.status:
            return "noticed" if ended.status == 2 else f"exit status {ended.status}"
        if measured(folder) != measured(origin):
            return "other numbers"
        if noticed or "already" not in ended.said or ended.said.count("\n") > 1:
            return "noticed"
        return "made again" if name.name in ("metrics.csv", "predictions.json") else "harmless"
