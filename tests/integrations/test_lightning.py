"""The Lightning callback in real fits: rows, logger, mode, resumption, failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_runs import tiny_dataset
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nc_bench import collapse_metrics, load_run
from nc_bench.integrations.lightning import CollapseCallback

pl: Any = pytest.importorskip("lightning.pytorch")

pytestmark = [
    pytest.mark.slow,  # 20 s for the file, half of it the import of Lightning
    pytest.mark.filterwarnings("ignore"),
]

DATA = tiny_dataset()
TRAIN = TensorDataset(DATA.train_inputs.float(), DATA.train_labels)
TEST = TensorDataset(DATA.test_inputs.float(), DATA.test_labels)


class Net(pl.LightningModule):
    """A network with dropout that notes in which mode it is trained."""

    def __init__(self, fails_in: int | None = None) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3))
        self.fails_in, self.modes = fails_in, set[bool]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def training_step(self, batch: Any) -> torch.Tensor:
        self.modes.add(self.net[2].training)
        if self.current_epoch == self.fails_in:
            raise RuntimeError("the loop fails")
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(path: Path, epochs: int, model: Net | None = None, *, ckpt: Any = None, **options: Any) -> tuple[Net, Any]:
    from lightning.pytorch.loggers import CSVLogger

    torch.manual_seed(0)
    model = model or Net()
    callback = CollapseCallback(path / "run", train=DataLoader(TRAIN, 8), test=DataLoader(TEST, 9), **options)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=CSVLogger(path / "logs"),
        default_root_dir=path,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        callbacks=[callback],
    )
    trainer.fit(model, DataLoader(TRAIN, 8, shuffle=True), ckpt_path=ckpt)
    return model, trainer


def epochs_of(path: Path) -> list[int]:
    return list(load_run(path / "run").rows.query("split == 'train'")["epoch"])


def test_a_fit_leaves_a_run_and_logs_its_metrics(tmp_path: Path) -> None:
    model, trainer = fit(tmp_path, 3, every=2)
    run = load_run(tmp_path / "run")
    assert epochs_of(tmp_path) == [2, 3] and list(run.rows["step"]) == [6, 6, 9, 9]
    assert run.manifest["status"] == "complete" and run.manifest["epochs"] == 3 and model.modes == {True}
    inputs, labels = TRAIN.tensors
    features = model.net[:3].eval()(inputs)
    expected = collapse_metrics(features, labels, model.net[3].weight, model.net[3].bias)
    last = run.rows.iloc[-2]
    assert {name: last[name] for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-8, nan_ok=True)
    assert trainer.callback_metrics["collapse/train/nc1_pinv"] == pytest.approx(expected["nc1_pinv"], rel=1e-5)
    logged = pd.read_csv(Path(trainer.logger.log_dir) / "metrics.csv")["collapse/test/risk"].dropna()
    assert list(logged) == pytest.approx(list(run.rows.query("split == 'test'")["risk"]), rel=1e-6)


def test_a_fit_from_a_checkpoint_goes_on_in_the_directory(tmp_path: Path) -> None:
    _, trainer = fit(tmp_path, 2)
    checkpoint = trainer.checkpoint_callback.best_model_path
    fit(tmp_path, 4, ckpt=checkpoint)
    assert epochs_of(tmp_path) == [1, 2, 3, 4] and load_run(tmp_path / "run").manifest["epochs"] == 4


def test_a_fit_that_fails_keeps_what_was_recorded(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the loop fails"):
        fit(tmp_path, 3, Net(fails_in=1))
    assert epochs_of(tmp_path) == [1] and load_run(tmp_path / "run").manifest["status"] == "failed"
