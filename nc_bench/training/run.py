"""One run from its configuration to a finished run directory."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from tqdm import tqdm

from nc_bench.config import Config, ConfigError, config_hash
from nc_bench.data import Dataset, load_dataset
from nc_bench.metrics import null_baseline
from nc_bench.recording import Recording
from nc_bench.recording.plane import write_plane
from nc_bench.runs import RunDirectory
from nc_bench.runs.directory import FEATURES, rows_to_frame
from nc_bench.runs.expectations import expectations
from nc_bench.runs.verdicts import judge
from nc_bench.streams import Stream
from nc_bench.training.checkpoint import DamagedCheckpoint, decode, encode
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.loop import Clock, Hooks, Row, train
from nc_bench.training.stopping import listening


def run_training(config: Config, directory: Path, *, resume: bool = False) -> str:
    """Train, record and judge one run in `directory`; returns its status.

    "complete", "diverged" (the last finite epoch is kept), "interrupted" (by a signal; resumable). A complete or
    diverged run that is resumed is left as it is. Raises ConfigError, DataError or RunError, each one line, before
    anything is written, and OSError where the directory cannot be written.
    """
    device = resolve_device(config.device)
    dataset = load_dataset(config.data.name, root=config.data.root, download=config.data.download)
    ensemble = Ensemble([config], dataset, device)
    run = RunDirectory(directory)
    try:
        if run.claim(config, resume=resume) and _is_over(run, config):
            return str(run.manifest()["status"])
        return _SingleRun(config, run, ensemble, dataset).go()
    finally:
        run.release()


def _is_over(run: RunDirectory, config: Config) -> bool:
    manifest = run.manifest()
    finished = manifest.get("status") == "complete" and manifest["epochs_done"] >= config.training.epochs
    return finished or manifest.get("status") == "diverged"


def resolve_device(name: str) -> torch.device:
    """The device of this name; auto takes a GPU where there is one. ConfigError if there is no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device: {name} asked for, but torch sees {torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device: mps asked for, but torch sees no such device")
    return device


class _SingleRun:
    """A claimed directory, its ensemble of one, and what the user sees meanwhile."""

    def __init__(self, config: Config, run: RunDirectory, ensemble: Ensemble, dataset: Dataset) -> None:
        self.config, self.run, self.ensemble, self.dataset = config, run, ensemble, dataset
        self.expected = expectations(config, dataset.class_counts)
        self.clock = Clock()
        self.epochs_done = 0
        self.bar = tqdm(total=config.training.epochs, unit="epoch", disable=None, leave=False)

    def go(self) -> str:
        """Go on from the newest whole checkpoint, or start; train; judge."""
        self._restore()
        self._tick(self.ensemble.step_count // self.ensemble.steps_per_epoch)
        self._describe("running")
        hooks = Hooks(rows=self._rows, recorded=self._plane, epoch_done=self._tick, save=self._save)
        try:
            with listening() as stop:
                status = train(self.ensemble, self.clock, stop, hooks)
        except Exception:
            self._describe("failed")
            raise
        finally:
            self.bar.close()
        self._judge()
        self._describe(status)
        return status

    def _restore(self) -> None:
        paths = self.run.checkpoints()
        for path in paths:
            try:
                state = decode(path, self.ensemble.device)
            except DamagedCheckpoint as error:
                earlier = "the start" if path == paths[-1] else "the checkpoint before it"
                self.bar.write(f"{error}; falling back to {earlier}", file=sys.stderr)
                continue
            self.ensemble.load(state["ensemble"])
            self.clock.before = state["seconds"]
            break
        self.run.cut(self.ensemble.step_count if self.ensemble.step_count else -1)

    def _save(self) -> None:
        state = {"ensemble": self.ensemble.state(), "seconds": self.clock.seconds}
        self.run.save_checkpoint(encode(state))

    def _rows(self, rows: list[list[Row]]) -> None:
        self.run.append(rows[0])
        train = rows[0][0]
        self.bar.set_postfix(
            risk=f"{train['risk']:.4g}",
            floor=f"{train['risk_floor']:.4g}",
            simplex_efficiency=f"{train['simplex_efficiency']:.3f}",
            refresh=False,
        )

    def _tick(self, epoch: int) -> None:
        self.bar.update(epoch - self.epochs_done)
        self.epochs_done = epoch

    def _plane(self, epoch: int, train: Recording, test: Recording | None) -> None:
        """Keep the picture of the first recorded epoch and of the last one; without a class there is no simplex."""
        folder = self.run.path / FEATURES
        first = not any(folder.glob("plane-*"))
        wanted = first or epoch == self.config.training.epochs
        if not wanted or train.features is None or not bool(train.class_means.isfinite().all()):
            return
        radii = [e.values["feature_radius"] for e in self.expected if "feature_radius" in e.values]
        split = self.ensemble.test_split()
        shown = None
        if split is not None and test is not None and test.features is not None:
            shown = (test.features[0], split.labels[0])
        write_plane(
            folder / f"plane-{epoch:05d}.safetensors",
            epoch=epoch,
            train=(train.features[0], self.ensemble.labels[0]),
            test=shown,
            means=train.class_means[0],
            predicted_radius=radii[0] if radii else None,
        )

    def _judge(self) -> None:
        null = null_baseline(self.dataset.classes, self.config.model.widths[-1])
        rows = rows_to_frame(self.run.rows())
        self.run.finish(judge(self.config, self.expected, rows, null))

    def _describe(self, status: str) -> None:
        ensemble, device = self.ensemble, self.ensemble.device
        previous = self.run.manifest()
        self.run.write_manifest(
            {
                "status": status,
                "epochs_done": self.epochs_done,
                "epochs": self.config.training.epochs,
                "seconds": self.clock.seconds,
                "started": previous.get("started", datetime.now(UTC).isoformat(timespec="seconds")),
                "config_hash": config_hash(self.config),
                "command": " ".join(sys.argv),
                "commit": _commit(),
                "seeds": {"seed": self.config.seed, "streams": {s.name.lower(): s.value for s in Stream}},
                "classes": self.dataset.classes,
                "class_counts": list(self.dataset.class_counts),
                "samples": {"train": ensemble.samples, "test": len(ensemble.test_labels)},
                "parameters": sum(p.numel() for p in ensemble.model.parameters()),
                "device": str(device),
                "device_name": _device_name(device),
                "threads": torch.get_num_threads(),
                "versions": {name: _version(name) for name in ("nc_bench", "torch", "torchvision", "numpy")},
                "python": platform.python_version(),
            }
        )


def _version(package: str) -> str | None:
    """None where the package is imported from a folder and was never installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str | None:
    """The commit of the source tree this package is imported from, "+changes" if it differs; None outside git."""
    folder = Path(__file__).resolve().parents[2]
    try:
        git = ["git", "-C", str(folder)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--", "nc_bench"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")
