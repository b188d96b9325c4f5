"""A Lightning fit that leaves a run directory: python examples/lightning_run.py [DIRECTORY]. One line is added."""

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nc_bench
from nc_bench.integrations.lightning import CollapseCallback

import lightning.pytorch as pl  # isort: skip  (after the adapter, which finds a torchvision built for another torch)


class Digits(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.net(x)
        return logits

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)


def main(directory: str, epochs: int = 3) -> None:
    pl.seed_everything(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    train, test = TensorDataset(images[:1400], labels[:1400]), TensorDataset(images[1400:], labels[1400:])
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        default_root_dir=str(Path(directory).parent / "lightning"),
        enable_progress_bar=False,
        callbacks=[CollapseCallback(directory, train=DataLoader(train, 512), test=DataLoader(test, 512))],
    )
    trainer.fit(Digits(), DataLoader(train, 128, shuffle=True))
    print(nc_bench.load_run(directory))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "results/runs/lightning")
