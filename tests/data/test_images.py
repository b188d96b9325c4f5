from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from dataset_files import write_cifar10, write_image_folder
from small_runs import measured, network
from torch import Tensor

from nc_bench.data import DataError, Images, load_dataset, training_batches
from nc_bench.training import run_training

CPU = torch.device("cpu")


@pytest.fixture(params=["cifar10", "image_folder"])
def data(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    if request.param == "cifar10":
        write_cifar10(tmp_path / "data", monkeypatch)
    else:
        write_image_folder(tmp_path / "data", suffix=".jpg")
    return {"name": request.param, "root": str(tmp_path / "data")}


def trained(directory: Path, data: dict[str, Any], *, epochs: int = 3, resume: bool = False) -> list[str]:
    config = network(
        data=data,
        training={"epochs": epochs, "batch_size": 7},
        model={"name": "mlp", "widths": [8, 6], "batch_norm": True},
        schedule={"name": "constant"},
    )
    assert run_training(config, directory, resume=resume) == "complete"
    return measured(directory)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_is_the_same_whether_images_are_held_or_streamed(
    data: dict[str, Any], workers: int, tmp_path: Path
) -> None:
    streamed = data | {"memory_gb": 1e-9, "workers": workers}
    assert isinstance(load_dataset(network(data=streamed).data).train_inputs, Images)
    assert isinstance(load_dataset(network(data=data).data).train_inputs, Tensor)
    held = trained(tmp_path / "held", data)
    assert trained(tmp_path / "streamed", streamed) == held and len(held) == 1 + 3 * 2


def test_a_run_that_began_with_held_images_goes_on_streaming(data: dict[str, Any], tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", data)
    trained(tmp_path / "parts", data, epochs=1)
    trained(tmp_path / "parts", data | {"memory_gb": 1e-9, "workers": 0}, resume=True)
    assert measured(tmp_path / "parts") == whole


def test_every_way_to_read_gives_the_same_images(data: dict[str, Any]) -> None:
    streamed = load_dataset(network(data=data | {"memory_gb": 1e-9, "workers": 0, "samples_per_class": 3}).data)
    held = load_dataset(network(data=data | {"samples_per_class": 3}).data).train_inputs
    images = streamed.train_inputs
    assert isinstance(images, Images) and isinstance(held, Tensor)
    assert images.shape == held.shape and torch.equal(images[2:4], held[2:4])
    assert torch.equal(torch.cat(list(images.split(5))), held)
    batches = [torch.tensor([[3, 0], [1, 1]]), torch.tensor([[2], [5]])]
    for mine, batch in zip(training_batches(images.to(CPU, torch.float64), batches), batches, strict=True):
        assert mine.dtype == torch.float64 and torch.equal(mine, held[batch].double())


def test_streaming_leaves_the_global_generator_alone(data: dict[str, Any]) -> None:
    images = load_dataset(network(data=data | {"memory_gb": 1e-9, "workers": 1}).data).train_inputs
    before = torch.get_rng_state()
    assert isinstance(images, Images)
    list(images.split(9))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_breaks_while_streaming_is_one_line(workers: int, tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    settings = network(data={"name": "image_folder", "root": str(tmp_path), "memory_gb": 1e-9, "workers": workers}).data
    images = load_dataset(settings).train_inputs
    assert isinstance(images, Images)
    broken = tmp_path / "train" / "class 0" / "0004.png"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(DataError, match=r"^\S.*0004\.png: cannot be read as an image \(.*\)$"):
        list(images.split(4))
