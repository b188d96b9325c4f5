"""A training loop of plain PyTorch that leaves a run directory: python examples/plain_loop.py [DIRECTORY].

Features are kept in a ball in the forward pass and the head's spectral norm is bounded after every step, so that theory
says what the training risk can come down to; the page DIRECTORY/report.html holds every number against it.
"""

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nc_bench

RADIUS, EPOCHS = 5.0, 3


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))
        self.head = nn.Linear(32, 10, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.backbone(x)
        norms = features.norm(dim=1, keepdim=True)
        logits: torch.Tensor = self.head(features * (RADIUS / norms).clamp(max=1))
        return logits


def main(directory: str) -> None:
    torch.manual_seed(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    train, test = TensorDataset(images[:1400], labels[:1400]), TensorDataset(images[1400:], labels[1400:])
    model = Network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    bounds = {"features": {"radius": RADIUS}, "head": {"radius": 1.0}}
    with nc_bench.RunRecorder(
        directory, model, train=DataLoader(train, 512), test=DataLoader(test, 512), bounds=bounds, nonnegative=False
    ) as recorder:
        for epoch in range(1, EPOCHS + 1):
            for x, y in DataLoader(train, 128, shuffle=True):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
                with torch.no_grad():
                    model.head.weight /= max(1.0, float(torch.linalg.matrix_norm(model.head.weight, 2)))
            recorder.record(epoch, learning_rate=0.1)
    print(nc_bench.load_run(directory))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "results/runs/plain_loop")
