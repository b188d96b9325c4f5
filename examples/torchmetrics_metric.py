"""Neural collapse beside the accuracy, in one torchmetrics collection: a linear network on scikit-learn's digits.

Command: python examples/torchmetrics_metric.py [--epochs N]    (needs: pip install 'nc_bench[torchmetrics]')
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from nc_bench.integrations.torchmetrics import CollapseMetric


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30)
    epochs = parser.parse_args().epochs
    torch.manual_seed(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    loader = DataLoader(TensorDataset(images, labels), batch_size=100, shuffle=True)

    backbone = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU())
    head = nn.Linear(32, 10)
    metrics = MetricCollection(
        {
            "accuracy": MulticlassAccuracy(10, average="micro"),
            "collapse": CollapseMetric(10, head, names=["nc1_cdnv", "nc2_equiangular", "nc3_duality_centred"]),
        }
    )
    optimizer = torch.optim.SGD([*backbone.parameters(), *head.parameters()], lr=0.1, momentum=0.9)
    for epoch in range(1, epochs + 1):
        for inputs, targets in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(backbone(inputs)), targets).backward()
            optimizer.step()
        # Another pass: during the epoch every batch would meet another network.
        with torch.no_grad():
            for inputs, targets in loader:
                features = backbone(inputs)
                metrics.update(preds=head(features), target=targets, features=features, labels=targets)
        print(f"epoch {epoch}", "  ".join(f"{name} {value:.4f}" for name, value in metrics.compute().items()))
        metrics.reset()


if __name__ == "__main__":
    main()
