"""Attacks on runs: kills at every file operation, bits that flip, disks that fill, second writers. Prints a table.

    python scripts/fault_campaign.py [--long] [--cases N] [--json FILE] [--only NAME ...]

Every attack ends in one of: identical (resumed, the run has the numbers of one that nobody touched, bit for bit),
noticed (one line that names the file), harmless (what flipped is read by nobody), made again. All else is a failure,
and the exit status is then 1: another number with exit status 0, a traceback, a run that cannot go on. The short form
takes every few operations and bits, and is run by the tests; the long form takes all operations and more bits.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from faults import Ended, Fault, Operations, disk_full, in_child, kill

BASE: dict[str, Any] = {
    "device": "cpu",
    "data": {"name": "digits", "samples_per_class": 12, "test_samples_per_class": 4},
    "model": {"name": "mlp", "widths": [8, 4], "batch_norm": True, "final_activation": False},
    "head": {"bias": False},
    "constraints": {"features": {"radius": 5.0}, "head": {"radius": 1.0}},
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
    "schedule": {"name": "constant"},
    "training": {"epochs": 4, "batch_size": 60, "checkpoint_seconds": 0},
}
EARLY = {"training": {**BASE["training"], "epochs": 9, "stop": {"simplex_efficiency": 0.02}}}
RARE = {"training": {**BASE["training"], "checkpoint_seconds": 1000}}

ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    "PYTHONPATH": str(Path(__file__).parents[1]),
}

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


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is attacked: runs that are trained as one program, each in a folder of its own."""

    name: str
    configs: list[dict[str, Any]]

    def folders(self, place: Path) -> list[Path]:
        return [place / str(index) for index in range(len(self.configs))]

    def work(self, place: Path) -> int:
        """Start or resume, as the command does but without its report; the exit status of the command."""
        from nc_bench.commands import EXIT_OK, run_command
        from nc_bench.config import Config
        from nc_bench.train import EXIT
        from nc_bench.training import run_ensemble, run_training

        def train() -> int:
            configs = [Config.model_validate(config) for config in self.configs]
            if len(configs) > 1:
                statuses = run_ensemble(configs, self.folders(place))
            else:
                statuses = [run_training(configs[0], self.folders(place)[0], resume=True)]
            return max((EXIT[status] for status in statuses), default=EXIT_OK)

        return run_command(train)

    def numbers(self, place: Path) -> list[list[str]]:
        return [measured(folder) for folder in self.folders(place)]


JOBS = (
    Job(name="one run", configs=[BASE]),
    Job(name="one run, few checkpoints", configs=[BASE | RARE]),
    Job(name="a run that stops early", configs=[BASE | EARLY]),
    Job(name="a stack of three", configs=[BASE | EARLY | {"seed": seed} for seed in range(3)]),
)


def measured(folder: Path) -> list[str]:
    """Lines of metrics.csv without the seconds, then what was judged."""
    table = (folder / "metrics.csv").read_text().splitlines()
    return [line.rpartition(",")[0] for line in table] + [(folder / "predictions.json").read_text()]


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

    def faults(self, job: Job, fault: Fault, attack: str, most: int, *, writes_only: bool = False) -> Row:
        """A fault at each operation, then the same command again."""
        row = Row(attack=f"{attack}: {job.name}")
        self.untouched(job)
        for number in self.some(self.operations_of(job, writes_only=writes_only), most):
            place = self.fresh()
            ended = self.run(job, place, Operations(place, number, fault, writes_only=writes_only))
            outcome = f"a bug: {ended.said.splitlines()[-1]}" if ended.is_bug else self.read(job, place)
            if outcome in ("identical", "noticed"):
                outcome = self.resumed(job, place)
            row.count(outcome, f"operation {number}")
            shutil.rmtree(place)
        return row

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

    def flips(self, job: Job, per_file: int, names: str = "*") -> list[Row]:
        """Single bits of every file of a finished run, read and then resumed."""
        source, rows = self.fresh(), []
        assert self.run(job, source).status == 0
        (origin,) = job.folders(source)
        files = sorted(
            path.relative_to(origin) for path in origin.rglob(names) if path.is_file() and path.stat().st_size
        )
        for name in files:
            row = Row(attack=f"a bit flips: {name}")
            size = (origin / name).stat().st_size
            bits = [self.random.randrange(8 * size) for _ in range(per_file)]
            for bit in bits:
                place = self.fresh()
                folder = Path(shutil.copytree(origin, job.folders(place)[0]))
                content = bytearray((folder / name).read_bytes())
                content[bit // 8] ^= 1 << bit % 8
                (folder / name).write_bytes(content)
                row.count(self.after_damage(job, place, origin, name), f"bit {bit}")
                shutil.rmtree(place)
            rows.append(row)
        return rows

    def after_damage(self, job: Job, place: Path, origin: Path, name: Path) -> str:
        """What a reader and a resumed run make of a damaged file."""
        (folder,) = job.folders(place)
        answer = place / "answer"
        read = in_child(lambda: answer.write_text(_as_read(folder)) * 0, place / "errors")
        if read.is_bug:
            return f"a bug: {read.said.splitlines()[-1]}"
        reading = answer.read_text()
        noticed = reading.startswith("RunError")
        if not noticed and reading != _as_read(origin):
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

    def second_writers(self, job: Job, most: int) -> Row:
        """At an operation another process does the whole run in the same folder, and the lock does nothing."""
        row = Row(attack=f"a second writer, no lock: {job.name}")
        for number in self.some(self.operations_of(job), most):
            place = self.fresh()

            def other(place: Path = place) -> None:
                child = os.fork()
                if child == 0:
                    os._exit(_quietly(lambda: job.work(place)))
                os.waitpid(child, 0)

            def work(place: Path = place, number: int = number, other: Fault = other) -> int:
                import nc_bench.runs.directory as directory

                no_lock: Any = lambda folder: SimpleNamespace(release=lambda: None)  # noqa: E731
                setattr(directory, "lock_folder", no_lock)  # noqa: B010
                Operations(place, number, other).install()
                return job.work(place)

            first = in_child(work, place.parent / f"{place.name}.errors")
            outcome = self.read(job, place)
            if first.is_bug:
                outcome = f"a bug: {first.said.splitlines()[-1]}"
            elif outcome == "identical":
                outcome = self.resumed(job, place)
                refused = outcome.startswith("exit status 2: ") and "damaged" in outcome
                outcome = "noticed" if refused or (outcome == "identical" and first.status) else outcome
            row.count(outcome, f"operation {number}")
            shutil.rmtree(place)
        return row

    def ranks(self, numbers: Sequence[int]) -> Row:
        """Two processes that train one run; the one that writes is killed at an operation."""
        row, job = Row(attack="one of two ranks killed"), JOBS[0]
        whole = self.fresh()
        assert _two_ranks(whole, 0) == 0
        for number in numbers:
            place = self.fresh()
            killed = _two_ranks(place, number)
            outcome = "identical" if killed else "nothing was killed"
            if killed and (status := _two_ranks(place, 0)):
                outcome = f"exit status {status}"
            elif job.numbers(place) != job.numbers(whole):
                outcome = "other numbers"
            row.count(outcome, f"operation {number}")
        return row

    def sweeps(self, seconds: Sequence[float]) -> Row:
        """A sweep whose processes are all killed after a while, and which is then started again."""
        row, whole = Row(attack="a sweep and its workers killed"), self.fresh()
        assert _sweep(whole, None) == 0
        expected = {path.parent.name: measured(path.parent) for path in whole.rglob("metrics.csv")}
        for delay in seconds:
            place = self.fresh()
            _sweep(place, delay)
            status = _sweep(place, None)
            found = {path.parent.name: measured(path.parent) for path in place.rglob("metrics.csv")}
            outcome = "identical" if found == expected else "other numbers"
            row.count(outcome if status == 0 else f"exit status {status}", f"after {delay} s")
        return row


def _two_ranks(place: Path, number: int) -> int:
    """Train under torchrun; rank 0 is killed at the operation of this number (0: none)."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    worker = [sys.executable, __file__, "--rank-of", str(place), "--kill-at", str(number)]
    with (place / "said").open("w") as said:
        return subprocess.run([*launcher, *worker], env=ENVIRONMENT, stdout=said, stderr=said).returncode


def _as_rank(place: Path, number: int) -> int:
    if number and os.environ["RANK"] == "0":
        Operations(place, number, kill).install()
    return JOBS[0].work(place)


def _sweep(place: Path, delay: float | None) -> int:
    """Run a sweep of four trials, or kill it and all its workers after this many seconds."""
    config = place / "sweep.yaml"
    config.write_text(json.dumps({"base": BASE, "axes": {"optimizer.lr": [0.05, 0.02]}, "seeds": 2}))
    command = [sys.executable, "-m", "nc_bench.sweep", "--config", str(config), "--workers", "2"]
    with (place / "said").open("w") as said:
        process = subprocess.Popen(
            [*command, "--out", str(place / "out")],
            env=ENVIRONMENT,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            return process.wait(delay)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


def _as_read(folder: Path) -> str:
    """What a reader gets, as text: the numbers, or the one line that says what is damaged."""
    from nc_bench import load_run
    from nc_bench.errors import UserError
    from nc_bench.reports.queries import planes

    try:
        run = load_run(folder)
        manifest = {key: value for key, value in run.manifest.items() if key != "run"}
        weights = {name: tensor.tolist() for name, tensor in run.load_model().state_dict().items()}
        shown = [[getattr(v, "tolist", lambda v=v: v)() for v in vars(plane).values()] for plane in planes(run)]
    except UserError as error:
        return f"RunError {error}" if "\n" not in str(error) else "more than one line"
    tables = (run.rows.to_csv(), run.predictions.to_csv(), str(run.reasons))
    return json.dumps([*tables, run.config, manifest, weights, shown])


def _quietly(work: Callable[[], int]) -> int:
    try:
        return work()
    except BaseException:
        return 99


def campaign(place: Path, *, long: bool, only: Sequence[str] = (), cases: int | None = None) -> Iterator[Row]:
    """The rows of the table, as they come."""
    attacks = Campaign(place, long=long, cases=cases)
    if not only or "kill" in only:
        for job in JOBS if long else JOBS[::2]:
            yield attacks.faults(job, kill, "killed at a file operation", 8)
    if not only or "disk" in only:
        yield attacks.faults(JOBS[0], disk_full, "the disk fills", 5, writes_only=True)
    if not only or "writers" in only:
        yield attacks.second_writers(JOBS[0], 6)
    if not only or "flip" in only:
        yield from attacks.flips(JOBS[0], cases or (24 if long else 2))
    if "ranks" in only or (long and not only):
        yield attacks.ranks((10, 24, 38, 3, 17, 31)[:cases])
    if "sweeps" in only or (long and not only):
        yield attacks.sweeps((8, 12, 4, 15)[:cases])
    if "rows" in only:
        yield from attacks.flips(JOBS[0], 12, "metrics.jsonl")


def as_markdown(rows: Sequence[Row]) -> str:
    lines = [f"| attack | cases | {' | '.join(GOOD)} | failed |", f"|{' --- |' * (len(GOOD) + 3)}"]
    for row in rows:
        counts = " | ".join(str(row.outcomes[outcome]) for outcome in GOOD)
        lines.append(f"| {row.attack} | {row.outcomes.total()} | {counts} | {row.outcomes['FAILED']} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Attack runs, and show how each attack ended.")
    parser.add_argument("--long", action="store_true", help="every operation, and 24 bits of every file")
    parser.add_argument("--cases", type=int, metavar="N", help="at most so many cases of each attack")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table as JSON")
    parser.add_argument(
        "--only", nargs="*", default=(), choices=("kill", "disk", "writers", "flip", "rows", "ranks", "sweeps")
    )
    parser.add_argument("--rank-of", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kill-at", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.rank_of:
        return _as_rank(arguments.rank_of, arguments.kill_at)
    # Children are forked: what takes seconds to import is imported here, and nothing is computed.
    import sklearn.datasets
    import sklearn.model_selection  # noqa: F401

    import nc_bench.api
    import nc_bench.train
    import nc_bench.training  # noqa: F401

    start, rows = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        for row in campaign(Path(folder), long=arguments.long, only=arguments.only, cases=arguments.cases):
            rows.append(row)
            print(f"{time.monotonic() - start:6.0f} s  {row.attack}: {dict(row.outcomes)}", file=sys.stderr)
            for failure in row.failures:
                print(f"          {failure}", file=sys.stderr)
    print(as_markdown(rows))
    if arguments.json:
        content = [{"attack": row.attack, "outcomes": row.outcomes, "failures": row.failures} for row in rows]
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")
    return int(any(row.failures for row in rows))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
