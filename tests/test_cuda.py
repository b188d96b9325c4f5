"""On a GPU: the numbers of the CPU, exact repetition, and no step that waits for the device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import kill, measured, network, run_until, table, tiny_dataset, tiny_images
from torch import Tensor

from nc_bench import collapse_metrics, load_run
from nc_bench.config import Config, dump_config
from nc_bench.data import Dataset
from nc_bench.errors import out_of_memory
from nc_bench.recording import Recorder
from nc_bench.recording.stages import recorded_stages
from nc_bench.sweeps.clusters import gpu_count
from nc_bench.training import run_ensemble, run_training
from nc_bench.training.device import deterministic
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.rows import rows_of_recording

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

ROOT = Path(__file__).parents[1]
CPU, GPU = torch.device("cpu"), torch.device("cuda")
FREE: dict[str, Any] = {"features": None, "head": None}
SMALL: dict[str, Any] = {
    "dtype": "float64",
    "model": {"name": "mlp", "widths": [8, 6], "batch_norm": True},
    "training": {"epochs": 3, "batch_size": 7},
}
THIN: dict[str, Any] = {"name": "resnet18", "width_multiplier": 1 / 8}
WEIGHED: dict[str, Any] = {
    "class_weights": [3.0, 1.0, 0.5],
    "feature_decay": 1e-3,
    "weight_decay": 1e-2,
    "label_smoothing": 0.1,
}


def small(**sections: Any) -> Config:
    return network(**(SMALL | sections))


def ball(**bounds: Any) -> dict[str, Any]:
    return {"features": {"radius": 2.0, **bounds}, "head": {"radius": 1.0}}


KINDS = {
    "balls": small(),
    "l1 ball": small(constraints=ball(p=1.5)),
    "outputs": small(constraints={**FREE, "outputs": {"radius": 2.0, "p": 3.0}}),
    "weighed": small(constraints=FREE, objective=WEIGHED, optimizer={"name": "sgd", "lr": 0.05, "clip_norm": 0.5}),
    "stationarity": small(
        constraints=FREE,
        objective={"weight_decay": 1e-2},
        model={"name": "mlp", "widths": [8, 6], "batch_norm": False},
    ),
    "focal": small(objective={"loss": "focal", "focal_gamma": 2.0}),
    "mse": small(constraints=FREE, objective={"loss": "mse"}),
    "adam": small(optimizer={"name": "adam", "lr": 0.01}),
    "adamw": small(constraints=FREE, optimizer={"name": "adamw", "lr": 0.01, "decoupled_decay": 0.1}),
    "signum": small(constraints=FREE, optimizer={"name": "signum", "lr": 0.01}),
    "lbfgs": small(
        constraints=FREE,
        optimizer={"name": "lbfgs"},
        schedule={"name": "constant"},
        training={"epochs": 3, "batch_size": None},
    ),
    "table": table(constraints=ball()),
    "table on a sphere": table(constraints=ball(set="sphere")),
    "table in the mean square": table(constraints=ball(set="mean_square")),
    "at depth": small(record={"layers": "all"}),
}
IMAGES = {
    "resnet": small(model=THIN, training={"epochs": 2, "batch_size": 8}),
    "imagenet stem": small(model={**THIN, "stem": "imagenet"}, training={"epochs": 2, "batch_size": 8}),
}


def data_of(name: str) -> Dataset:
    return tiny_images(shape=(3, 32, 32)) if name in {*IMAGES, "augmented"} else tiny_dataset()


def trained(configs: list[Config], data: Dataset, device: torch.device) -> Ensemble:
    ensemble = Ensemble(configs, data, device)
    for _ in range(configs[0].training.epochs):
        for _ in ensemble.steps_of_epoch():
            pass
    assert all(ensemble.finite())
    return ensemble


def rows_of(ensemble: Ensemble) -> list[dict[str, Any]]:
    """All rows of all trials after training, numbers only."""
    stages = recorded_stages(ensemble.model, ensemble.configs[0].record, ensemble.inputs)
    recorder = Recorder(ensemble.model, ensemble.configs, ensemble.classes, stages=stages)
    train, test = recorder.record(ensemble.train_split()), ensemble.test_split()
    tested = None if test is None else recorder.record(test, centres=train.centres)
    found = rows_of_recording(ensemble, train, tested, dict.fromkeys(range(len(ensemble.configs)), 0.0))
    return [
        {name: value for name, value in row.items() if isinstance(value, int | float)}
        for rows in found.values()
        for row in rows
    ]


def check_close(mine: list[dict[str, Any]], theirs: list[dict[str, Any]], tolerance: float) -> None:
    assert len(mine) == len(theirs) > 0
    for one, other in zip(mine, theirs, strict=True):
        assert one == pytest.approx(other, rel=tolerance, abs=tolerance, nan_ok=True)


# The sign of a gradient that is rounding alone is another on another device.
@pytest.mark.parametrize("name", sorted({*KINDS, *IMAGES} - {"signum"}))
def test_trains_and_measures_as_the_cpu(name: str) -> None:
    config, data = {**KINDS, **IMAGES}[name], data_of(name)
    mine, theirs = (rows_of(trained([config], data, device)) for device in (GPU, CPU))
    check_close(mine, theirs, 1e-8)


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"lbfgs"}))
def test_stacked_as_alone(name: str) -> None:
    configs = [KINDS[name].model_copy(update={"seed": seed}) for seed in range(3)]
    together = rows_of(trained(configs, tiny_dataset(), GPU))
    check_close(together, [row for c in configs for row in rows_of(trained([c], tiny_dataset(), GPU))], 1e-9)


def test_muon_orthogonalises_on_the_gpu() -> None:
    """Its iterations are in bfloat16, in which two devices agree to two digits."""
    config = small(
        constraints=FREE,
        optimizer={"name": "muon", "lr": 0.01, "adamw_lr": 0.01},
        training={"epochs": 1, "batch_size": 12},
    )
    mine, theirs = (trained([config], tiny_dataset(), device).model.state_dict() for device in (GPU, CPU))
    for name, value in mine.items():
        torch.testing.assert_close(value.cpu(), theirs[name], rtol=0.03, atol=1e-3)


AUGMENTED = {"name": "cifar10", "root": "-", "augment": {"flip": True, "crop_padding": 4}}
STEPS = {
    **KINDS,
    **IMAGES,
    "bfloat16": small(dtype="float32", training={"batch_size": 7, "autocast": "bfloat16"}),
    "augmented": small(data=AUGMENTED, model=THIN, training={"batch_size": 8}),
}
# A line search looks at its values. Spectral clipping, which decides on the CPU whether there is anything to clip, is
# left out of the others.
WAITING = {"lbfgs"}


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("name", sorted(set(STEPS) - WAITING))
def test_no_step_waits_for_the_device(name: str) -> None:
    constraints = STEPS[name].constraints.model_copy(update={"head": None})
    config = STEPS[name].model_copy(update={"constraints": constraints})
    ensemble = Ensemble([config], data_of(name), GPU)
    step = ensemble._step

    def watched(batch: Tensor, inputs: Tensor) -> None:
        try:
            torch.cuda.set_sync_debug_mode("error")
            step(batch, inputs)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    for _ in ensemble.steps_of_epoch():
        ensemble._step = watched  # type: ignore[method-assign]
    assert all(ensemble.finite())


REPEATED = {
    "float32": network(device="cuda", record={"layers": "all"}),
    "table": table(device="cuda"),
    "bfloat16": network(device="cuda", training={"autocast": "bfloat16"}),
    "compiled": network(device="cuda", training={"compile": True}),
}


# What torch.compile says of torch and of the device.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated", "ignore:TensorFloat32 tensor cores")
@pytest.mark.parametrize("name", REPEATED)
def test_killed_and_resumed_bit_for_bit(tmp_path: Path, name: str) -> None:
    config = REPEATED[name]
    assert run_training(config, tmp_path / "whole") == "complete"
    assert run_until(2, kill, config, tmp_path / "cut") == "killed"
    assert run_training(config, tmp_path / "cut", resume=True) == "complete"
    assert measured(tmp_path / "cut") == measured(tmp_path / "whole")
    manifest = load_run(tmp_path / "cut").manifest
    assert manifest["device"].startswith("cuda") and manifest["device_name"] == torch.cuda.get_device_name(0)


@pytest.mark.parametrize(
    "training",
    [{}, {"autocast": "bfloat16"}, {"channels_last": True}, {"autocast": "bfloat16", "channels_last": True}],
)
@pytest.mark.parametrize("stem", ["small", "imagenet"])
def test_convolutions_repeat_bit_for_bit(training: dict[str, Any], stem: str) -> None:
    config = small(dtype="float32", model={**THIN, "stem": stem}, training={"epochs": 3, "batch_size": 8, **training})
    with deterministic(GPU):
        first, second = (rows_of(trained([config], data_of("resnet"), GPU)) for _ in range(2))
    check_close(first, second, 0.0)


def test_tf32_has_no_part_in_the_numbers() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(2000) % 10
    features = torch.randn(10, 256, generator=random)[labels] + 0.1 * torch.randn(2000, 256, generator=random)
    weight = torch.randn(10, 256, generator=random)
    problem = (features.to(GPU), labels.to(GPU), weight.to(GPU))
    expected = collapse_metrics(*problem)
    assert expected == pytest.approx(collapse_metrics(features, labels, weight), rel=1e-5, abs=1e-7, nan_ok=True)
    part: Any = torch.backends.cuda.matmul
    before, part.fp32_precision = part.fp32_precision, "tf32"
    try:
        with torch.autocast("cuda", torch.bfloat16):
            assert collapse_metrics(*problem) == pytest.approx(expected, rel=1e-12, abs=1e-15, nan_ok=True)
    finally:
        part.fp32_precision = before


def test_images_that_are_streamed_train_as_those_that_are_held(tmp_path: Path) -> None:
    found = []
    for gigabytes in (1.0, 1e-9):
        config = network(
            device="cuda",
            data={"name": "image_folder", "root": str(image_folder(tmp_path)), "memory_gb": gigabytes, "workers": 2},
            model=THIN,
            training={"epochs": 2, "batch_size": 8},
        )
        assert run_training(config, tmp_path / f"{gigabytes}") == "complete"
        found.append(measured(tmp_path / f"{gigabytes}"))
    assert found[0] == found[1]


def image_folder(folder: Path) -> Path:
    from PIL import Image

    pixels = torch.randint(256, (24, 16, 16, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for number, image in enumerate(pixels):
        place = folder / "images" / ("train" if number < 18 else "test") / f"class{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.numpy()).save(place / f"{number}.png")
    return folder / "images"


def test_an_ensemble_writes_the_runs_of_its_trials(tmp_path: Path) -> None:
    configs = [network(device="cuda", dtype="float64", seed=seed) for seed in range(3)]
    directories = [tmp_path / f"{seed}" for seed in range(3)]
    assert run_ensemble(configs, directories) == ["complete"] * 3
    assert run_training(configs[1], tmp_path / "alone") == "complete"
    mine, theirs = (load_run(tmp_path / name).rows.select_dtypes("number") for name in ("1", "alone"))
    for name in set(mine) - {"seconds"}:
        assert mine[name].to_numpy() == pytest.approx(theirs[name].to_numpy(), rel=1e-9, abs=1e-9, nan_ok=True), name


def test_running_out_of_memory_names_the_settings_to_change() -> None:
    with pytest.raises(torch.OutOfMemoryError) as caught:
        torch.empty(2**50, dtype=torch.uint8, device=GPU)
    assert "lower training.batch_size" in (out_of_memory(caught.value) or "")


def test_a_sweep_gives_every_worker_its_gpu(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(dump_config(network(device="auto")))
    (tmp_path / "sweep.yaml").write_text(
        "base: base.yaml\naxes:\n  optimizer.lr: [0.01, 0.05]\nseeds: [0, 1]\n", encoding="utf-8"
    )
    done = run("nc_bench.sweep", "--config", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    devices = {load_run(path.parent).manifest["device"] for path in (tmp_path / "out").rglob("manifest.json")}
    assert devices and devices <= {f"cuda:{number}" for number in range(gpu_count())}


def test_torchrun_meets_over_nccl(tmp_path: Path) -> None:
    """As many processes as there are GPUs; with one the group is of one, with more gradients travel over nccl."""
    (tmp_path / "config.yaml").write_text(dump_config(network(device="cuda")))
    many = ["--standalone", "--nproc-per-node", str(gpu_count()), "-m", "nc_bench.train"]
    done = run(
        "torch.distributed.run", *many, "--config", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out")
    )
    assert done.returncode == 0, done.stderr
    assert load_run(tmp_path / "out").manifest["processes"] == gpu_count()


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
