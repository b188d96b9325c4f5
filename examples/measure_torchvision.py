"""Every metric of a torchvision model, before and after a little training: python examples/measure_torchvision.py

Enlarged digits stand in for your images; the weights are random, so that nothing is downloaded.
"""

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nc_bench
from nc_bench.vision import torchvision  # as `import torchvision`, also where it was built for another torch

SAMPLES, SIZE = 300, 32


def images() -> TensorDataset:
    """Digits as colour images (n, 3, SIZE, SIZE)."""
    digits = load_digits()
    small = torch.tensor(digits.images[:SAMPLES] / 16, dtype=torch.float32).unsqueeze(1)
    large = nn.functional.interpolate(small, size=SIZE, mode="bilinear")
    return TensorDataset(large.expand(-1, 3, -1, -1), torch.tensor(digits.target[:SAMPLES]))


def main(epochs: int) -> None:
    torch.manual_seed(0)
    model = torchvision.models.shufflenet_v2_x0_5(num_classes=10)
    loader = DataLoader(images(), batch_size=50)
    before = nc_bench.measure_model(model, loader)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for _ in range(epochs):
        for x, y in DataLoader(images(), batch_size=25, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    after = nc_bench.measure_model(model, loader)
    print(after.summary())
    for name in ("nc1_quotient", "nc2_equiangular", "nc3_duality_centred", "simplex_efficiency", "accuracy"):
        print(f"{name:22} before {before[name]:.4g}, after {epochs} epochs {after[name]:.4g}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
