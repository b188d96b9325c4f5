"""The callback of Hugging Face's Trainer in real trainings: rows, logs, mode, resumption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nc_bench import load_run, measure_model
from nc_bench.errors import UserError
from nc_bench.integrations.transformers import CollapseCallback

transformers: Any = pytest.importorskip("transformers")

pytestmark = [
    pytest.mark.slow,  # 20 s for the file, half of it the imports
    pytest.mark.filterwarnings("ignore"),
]


def sentences(number: int) -> list[dict[str, torch.Tensor]]:
    random = torch.Generator().manual_seed(number)
    labels = torch.arange(number) % 3
    tokens = 3 * torch.randint(1, 10, (number, 6), generator=random) + labels[:, None]
    return [{"input_ids": row, "labels": label} for row, label in zip(tokens, labels, strict=True)]


TRAIN, TEST = sentences(24), sentences(9)


def trainer(path: Path, epochs: int) -> Any:
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(
        vocab_size=40, dim=16, hidden_dim=16, n_layers=1, n_heads=2, num_labels=3, max_position_embeddings=8
    )
    arguments = transformers.TrainingArguments(
        output_dir=str(path / "trainer"),
        num_train_epochs=epochs,
        per_device_train_batch_size=8,
        report_to="none",
        use_cpu=True,
        save_strategy="epoch",
        disable_tqdm=True,
        seed=5,
    )
    model = transformers.DistilBertForSequenceClassification(config)
    return transformers.Trainer(model, arguments, train_dataset=TRAIN, eval_dataset=TEST)


def test_a_training_leaves_a_run_and_logs_its_metrics_and_a_resumed_one_goes_on(tmp_path: Path) -> None:
    first = trainer(tmp_path, 2)
    modes: list[bool] = []
    first.model.dropout.register_forward_hook(lambda module, *_: modes.append(module.training))
    first.add_callback(CollapseCallback(tmp_path / "run", first))
    first.train()
    run = load_run(tmp_path / "run")
    assert list(run.rows["epoch"]) == [1, 1, 2, 2] and list(run.rows["step"]) == [3, 3, 6, 6]
    assert run.manifest["status"] == "complete" and run.manifest["epochs"] == 2 and run.config["seed"] == 5
    assert run.config["model"]["kind"] == "DistilBertForSequenceClassification"
    expected = measure_model(first.model, torch.utils.data.DataLoader(TRAIN, 24), progress=False)
    last = run.rows.iloc[-2]
    assert {name: last[name] for name in expected} == pytest.approx(expected, rel=1e-4, abs=1e-6, nan_ok=True)
    logs = [entry for entry in first.state.log_history if "collapse/test/risk" in entry]
    assert [entry["epoch"] for entry in logs] == [1, 2]
    assert logs[1]["collapse/test/risk"] == pytest.approx(run.rows.iloc[-1]["risk"])
    assert modes.count(True) == 6 and modes[-1] is False

    second = trainer(tmp_path, 3)
    second.add_callback(CollapseCallback(tmp_path / "run", second))
    second.train(resume_from_checkpoint=True)
    run = load_run(tmp_path / "run")
    assert list(run.rows["epoch"]) == [1, 1, 2, 2, 3, 3] and run.manifest["epochs"] == 3


def test_several_processes_need_loaders_of_all_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = trainer(tmp_path, 1)
    monkeypatch.setattr(type(built.args), "world_size", 2)
    with pytest.raises(UserError, match="give loaders of all samples"):
        CollapseCallback(tmp_path / "run", built)
