from __future__ import annotations

from pathlib import Path

import pytest
import torch
from dataset_files import write_cifar10
from small_runs import measured, network
from torch import Tensor

from nc_bench.config import Augment
from nc_bench.data import load_dataset
from nc_bench.data.augmentation import Augmentation
from nc_bench.training import run_training
from nc_bench.training.ensemble import Ensemble
from nc_bench.vision import torchvision

CPU = torch.device("cpu")


def drawn(*, flip: bool = True, padding: int = 2, seeds: tuple[int, ...] = (0, 1), epoch: int = 0) -> Augmentation:
    settings = Augment(flip=flip, crop_padding=padding)
    return Augmentation.of_epoch(settings, seeds, 1000, epoch, CPU)


@pytest.mark.parametrize("padding", [0, 2])
def test_it_is_torchvisions_pad_crop_and_flip(padding: int) -> None:
    augment = drawn(padding=padding)
    batch = torch.tensor([[5, 0, 999, 17], [3, 3, 8, 1]])
    images = torch.randn(2, 4, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    functional = torchvision.transforms.functional
    for trial in range(2):
        for place, sample in enumerate(batch[trial].tolist()):
            down, right = augment.shifts[trial, sample].tolist()
            expected = functional.crop(functional.pad(images[trial, place], padding), down, right, 6, 5)
            if augment.flips[trial, sample]:
                expected = functional.hflip(expected)
            assert torch.equal(augment(images, batch)[trial, place], expected)


def test_what_is_drawn_is_uniform() -> None:
    augment = drawn()
    # 2000 flips: standard deviation 22; 2000 shifts in each of 5 places: 18 around 400.
    assert abs(int(augment.flips.sum()) - 1000) < 110
    for axis in range(2):
        counts = torch.bincount(augment.shifts[..., axis].flatten(), minlength=5)
        assert len(counts) == 5 and (counts - 400).abs().max() < 90


def test_every_seed_and_epoch_has_its_own_draws_and_always_the_same() -> None:
    first = drawn()
    assert torch.equal(first.shifts, drawn().shifts) and torch.equal(first.flips, drawn().flips)
    assert torch.equal(first.shifts[1], drawn(seeds=(1,)).shifts[0])
    assert not torch.equal(first.shifts[0], first.shifts[1])
    assert not torch.equal(first.shifts, drawn(epoch=1).shifts)
    assert not drawn(flip=False).flips.any()


def config_of(root: Path, epochs: int = 3, **data: object):  # type: ignore[no-untyped-def]
    augment = {"flip": True, "crop_padding": 4}
    return network(
        data={"name": "cifar10", "root": str(root), "augment": augment, "workers": 0} | data,
        model={"name": "mlp", "widths": [8, 6]},
        schedule={"name": "constant"},
        training={"epochs": epochs, "batch_size": 7},
    )


def test_a_run_goes_on_bit_for_bit_held_or_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "data"
    write_cifar10(root, monkeypatch)
    run_training(config_of(root), tmp_path / "whole")
    run_training(config_of(root, 1), tmp_path / "parts")
    run_training(config_of(root, memory_gb=1e-9), tmp_path / "parts", resume=True)
    assert measured(tmp_path / "parts") == measured(tmp_path / "whole")
    run_training(config_of(root, augment={}), tmp_path / "plain")
    assert measured(tmp_path / "plain") != measured(tmp_path / "whole")


def test_only_training_batches_are_augmented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar10(tmp_path, monkeypatch)
    data = load_dataset(config_of(tmp_path).data)
    ensemble = Ensemble([config_of(tmp_path)], data, CPU)
    seen: list[Tensor] = []
    ensemble.model.backbone.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    for _ in ensemble.steps_of_epoch():
        pass
    trained = torch.cat([batch[0] for batch in seen])
    assert isinstance(data.train_inputs, Tensor)
    same = (trained[:, None] == data.train_inputs[None]).flatten(2).all(2).any(1)
    assert int(same.sum()) < 5 and len(trained) == 40
    assert torch.equal(ensemble.train_split().inputs, data.train_inputs)


def test_unconstrained_features_have_nothing_to_augment() -> None:
    with pytest.raises(ValueError, match=r"data\.augment: needs a network"):
        network(
            data={"name": "mnist", "augment": {"flip": True}},
            model={"name": "unconstrained", "widths": [12]},
        )
