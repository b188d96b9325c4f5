"""Hugging Face's Trainer, leaving a run directory: python examples/transformers_run.py [DIRECTORY]. One line is added.

A small text classifier with random weights; a sentence is of class c if it holds more tokens of kind c than of others.
"""

import sys
from pathlib import Path

import torch

import nc_bench
from nc_bench.integrations.transformers import CollapseCallback

from transformers import DistilBertConfig, DistilBertForSequenceClassification, Trainer, TrainingArguments  # isort: skip

CLASSES, LENGTH, VOCABULARY = 3, 12, 60


def sentences(number: int, seed: int) -> list[dict[str, torch.Tensor]]:
    """Tokens of which half are of the sentence's own kind."""
    random = torch.Generator().manual_seed(seed)
    found = []
    for index in range(number):
        label = index % CLASSES
        own = CLASSES * torch.randint(1, VOCABULARY // CLASSES, (LENGTH // 2,), generator=random) + label
        other = torch.randint(CLASSES, VOCABULARY, (LENGTH - LENGTH // 2,), generator=random)
        found.append({"input_ids": torch.cat([own, other]), "labels": torch.tensor(label)})
    return found


def main(directory: str, epochs: int = 2) -> None:
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=32,
        hidden_dim=64,
        n_layers=1,
        n_heads=2,
        num_labels=CLASSES,
        max_position_embeddings=16,
    )
    arguments = TrainingArguments(
        output_dir=str(Path(directory).parent / "trainer"),
        num_train_epochs=epochs,
        per_device_train_batch_size=16,
        learning_rate=2e-3,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    model = DistilBertForSequenceClassification(config)
    trainer = Trainer(model, arguments, train_dataset=sentences(96, 0), eval_dataset=sentences(48, 1))
    trainer.add_callback(CollapseCallback(directory, trainer))
    trainer.train()
    print(nc_bench.load_run(directory))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "results/runs/transformers")
