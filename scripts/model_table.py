"""Measures models of torchvision, timm and Hugging Face with `measure_model` and holds each against plain NumPy.

Every model is built untrained with 4 classes and a random head, and measured on 24 random samples in three batches,
with a budget of 0 bytes, so that the loader is read twice. Beside it a hook that PyTorch offers collects the input of
the layer that is known to be the head, and tests/metrics/numpy_reference.py computes the metrics in float64.

    python scripts/model_table.py                # the table, about 2 minutes of one core
    python scripts/model_table.py --write        # writes it into docs/measure.md

Needs the extras timm and transformers. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "metrics")]
os.environ["HF_HUB_OFFLINE"] = "1"

from numpy_reference import reference_metrics  # noqa: E402

from nc_bench import measure_model  # noqa: E402
from nc_bench.errors import UserError  # noqa: E402

CLASSES, SAMPLES, BATCH = 4, 24, 8
TOKENS, WORDS = 10, 50
PAGE, START, END = ROOT / "docs" / "measure.md", "<!-- table of models -->", "<!-- end of the table -->"

FLOOR = 1e-3
"""Differences of values below it are divided by it: near 0 only rounding is left."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model, the layer that is its head, the side of its images (0: text), and whether the search refuses it.

    pooled: how the features of a sample come from the head's input where that is not one vector.
    """

    build: Callable[[], nn.Module]
    head: str
    side: int = 32
    averaged: bool = False
    wrap: Callable[[nn.Module], nn.Module] = lambda model: model
    pooled: Callable[[Tensor, Mapping[str, Tensor]], Tensor] = lambda given, _: given.flatten(1)


def torchvision_model(name: str, **keywords: Any) -> Callable[[], nn.Module]:
    """A classifier of torchvision."""

    def build() -> nn.Module:
        from nc_bench.vision import torchvision

        return torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **keywords)

    return build


def timm_model(name: str, **keywords: Any) -> Callable[[], nn.Module]:
    """A classifier of timm."""

    def build() -> nn.Module:
        from nc_bench.vision import timm

        return timm().create_model(name, pretrained=False, num_classes=CLASSES, **keywords)

    return build


def hugging_face_model(name: str, head: str, **config: Any) -> Callable[[], nn.Module]:
    """A classifier of transformers from a small random configuration; its class is called by name and head."""

    def build() -> nn.Module:
        import transformers

        import nc_bench.vision  # noqa: F401

        made = getattr(transformers, f"{name}Config")(num_labels=CLASSES, pad_token_id=0, **config)
        return getattr(transformers, f"{name}For{head}")(made)

    return build


class Pooled(nn.Module):
    """A 1x1 convolution whose output is averaged, and then a log-softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 12, 5, stride=2), nn.ReLU(inplace=True))
        self.head = nn.Conv2d(12, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)).mean((-2, -1)).log_softmax(-1)


def last_word(given: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """The vector of the last token that is no padding."""
    last = inputs["attention_mask"].sum(1) - 1
    return given[torch.arange(len(given)), last]


SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
IMAGES = {"image_size": 32, "patch_size": 8}
TEXT = {"vocab_size": WORDS, "max_position_embeddings": 20}
GPT2 = {"vocab_size": WORDS, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
NO_WORDS = {"bos_token_id": 1, "eos_token_id": 1}


def compiled(model: nn.Module) -> nn.Module:
    """The model as torch.compile gives it."""
    whole: Any = torch.compile(model)
    return whole


def in_one_process(model: nn.Module) -> nn.Module:
    """The model in DistributedDataParallel, in a group of one process."""
    dist: Any = torch.distributed
    if not dist.is_initialized():
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    return nn.parallel.DistributedDataParallel(model)


CASES: dict[str, Case] = {
    "torchvision:resnet18": Case(build=torchvision_model("resnet18"), head="fc"),
    "torchvision:mobilenet_v3_small": Case(build=torchvision_model("mobilenet_v3_small"), head="classifier.3"),
    "torchvision:shufflenet_v2_x0_5": Case(build=torchvision_model("shufflenet_v2_x0_5"), head="fc"),
    "torchvision:efficientnet_b0": Case(build=torchvision_model("efficientnet_b0"), head="classifier.1"),
    "torchvision:densenet121": Case(build=torchvision_model("densenet121"), head="classifier"),
    "torchvision:alexnet": Case(build=torchvision_model("alexnet"), head="classifier.6", side=64),
    "torchvision:convnext_tiny": Case(build=torchvision_model("convnext_tiny"), head="classifier.2"),
    "torchvision:regnet_y_400mf": Case(build=torchvision_model("regnet_y_400mf"), head="fc"),
    "torchvision:mnasnet0_5": Case(build=torchvision_model("mnasnet0_5"), head="classifier.1"),
    "torchvision:googlenet": Case(build=torchvision_model("googlenet", init_weights=False), head="fc"),
    "torchvision:swin_t": Case(build=torchvision_model("swin_t"), head="head"),
    "timm:deit_tiny_distilled_patch16_224": Case(
        build=timm_model("deit_tiny_distilled_patch16_224", img_size=32), head="head", averaged=True
    ),
    "timm:pit_ti_distilled_224": Case(build=timm_model("pit_ti_distilled_224"), head="head", side=224, averaged=True),
    "timm:levit_128s": Case(build=timm_model("levit_128s"), head="head.linear", side=224, averaged=True),
    "timm:mobilenetv3_small_050": Case(build=timm_model("mobilenetv3_small_050"), head="classifier"),
    "timm:dla46x_c": Case(build=timm_model("dla46x_c"), head="fc"),
    "timm:vit_tiny_patch16_224": Case(build=timm_model("vit_tiny_patch16_224", img_size=32), head="head"),
    "timm:convnext_atto": Case(build=timm_model("convnext_atto"), head="head.fc"),
    "timm:xcit_nano_12_p16_224": Case(build=timm_model("xcit_nano_12_p16_224", img_size=32), head="head"),
    "timm:cait_xxs24_224": Case(build=timm_model("cait_xxs24_224", img_size=32), head="head"),
    "timm:lcnet_035": Case(build=timm_model("lcnet_035"), head="classifier"),
    "timm:repvgg_a0": Case(build=timm_model("repvgg_a0"), head="head.fc"),
    "timm:edgenext_xx_small": Case(build=timm_model("edgenext_xx_small"), head="head.fc"),
    "transformers:ViT": Case(
        build=hugging_face_model("ViT", "ImageClassification", **SMALL, **IMAGES), head="classifier"
    ),
    "transformers:DeiT with teacher": Case(
        build=hugging_face_model("DeiT", "ImageClassificationWithTeacher", **SMALL, **IMAGES),
        head="cls_classifier",
        averaged=True,
    ),
    "transformers:ConvNext": Case(
        build=hugging_face_model("ConvNext", "ImageClassification", hidden_sizes=[8] * 4, depths=[1] * 4),
        head="classifier",
    ),
    "transformers:Bert": Case(
        build=hugging_face_model("Bert", "SequenceClassification", **SMALL, **TEXT), head="classifier", side=0
    ),
    "transformers:DistilBert": Case(
        build=hugging_face_model(
            "DistilBert", "SequenceClassification", dim=16, n_layers=2, n_heads=2, hidden_dim=32, **TEXT
        ),
        head="classifier",
        side=0,
    ),
    "transformers:GPT2": Case(
        build=hugging_face_model("GPT2", "SequenceClassification", **GPT2, **NO_WORDS),
        head="score",
        side=0,
        pooled=last_word,
    ),
    "transformers:Llama": Case(
        build=hugging_face_model("Llama", "SequenceClassification", **SMALL, **TEXT, **NO_WORDS, num_key_value_heads=2),
        head="score",
        side=0,
        pooled=last_word,
    ),
    "torch.compile(torchvision:resnet18)": Case(build=torchvision_model("resnet18"), head="fc", wrap=compiled),
    "DistributedDataParallel(torchvision:mnasnet0_5)": Case(
        build=torchvision_model("mnasnet0_5"), head="classifier.1", wrap=in_one_process
    ),
    "1x1 convolution, mean, log-softmax": Case(build=Pooled, head="head", pooled=lambda given, _: given.mean((-2, -1))),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """What came out: the width of the features, the worst relative difference and its metric, and the refusal."""

    width: int
    difference: float
    metric: str
    refusal: str = ""


def run_case(case: Case) -> Row:
    """Build the model, measure it, and hold it against plain NumPy."""
    torch.manual_seed(0)
    model = case.build()
    head: Any = model.get_submodule(case.head)
    for parameter in head.parameters():  # some libraries start with a head of zeros
        nn.init.normal_(parameter)
    inputs = _inputs(case.side)
    labels = torch.arange(SAMPLES) % CLASSES
    batches = [
        {**{name: part[rows] for name, part in inputs.items()}, "labels": labels[rows]}
        for rows in torch.arange(SAMPLES).split(BATCH)
    ]
    wrapped, refusal = case.wrap(model), ""
    if case.averaged:
        try:
            measure_model(wrapped, batches)
        except UserError as error:
            refusal = str(error).removeprefix("batch 1: ")
    layer = case.head if case.averaged else None
    found = measure_model(wrapped, batches, layer=layer, classes=CLASSES, budget=0)
    features = _hooked(model, head, batches, case.pooled)
    weight = head.weight.detach().double().flatten(1).numpy()
    bias = None if head.bias is None else head.bias.detach().double().numpy()
    expected = reference_metrics(features, labels.numpy(), weight, bias)
    differences = {name: _difference(found[name], value) for name, value in expected.items()}
    worst = max(differences, key=lambda name: differences[name])
    return Row(width=features.shape[1], difference=differences[worst], metric=worst, refusal=refusal)


def _inputs(side: int) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(1)
    if side:
        return {"pixel_values": torch.randn(SAMPLES, 3, side, side, generator=draw)}
    lengths = torch.arange(SAMPLES) % (TOKENS - 3) + 4
    mask = (torch.arange(TOKENS) < lengths[:, None]).long()
    return {"input_ids": torch.randint(2, WORDS, (SAMPLES, TOKENS), generator=draw) * mask, "attention_mask": mask}


def _hooked(
    model: nn.Module, head: nn.Module, batches: list[dict[str, Tensor]], pooled: Callable[..., Tensor]
) -> np.ndarray[Any, Any]:
    """The head's input on every batch, by a hook of PyTorch's."""
    rows: list[Tensor] = []
    inputs: dict[str, Tensor] = {}
    handle = head.register_forward_pre_hook(lambda _, given: rows.append(pooled(given[0].clone(), inputs)))
    with torch.no_grad():
        model.eval()
        for batch in batches:
            inputs = {name: part for name, part in batch.items() if name != "labels"}
            images = inputs.get("pixel_values")
            known = type(model).__module__.startswith("transformers")
            model(images) if images is not None and not known else model(**inputs)
    handle.remove()
    return torch.cat(rows).double().numpy()


def _difference(found: float, expected: float) -> float:
    if math.isnan(found) or math.isnan(expected):
        return 0.0 if math.isnan(found) and math.isnan(expected) else math.inf
    return abs(found - expected) / max(abs(expected), FLOOR)


def table() -> Iterator[str]:
    """The lines of the table in Markdown."""
    yield "| model | head | width | worst relative difference | of |"
    yield "|---|---|---|---|---|"
    for name, case in CASES.items():
        row = run_case(case)
        shown = f"`layer={case.head!r}`; without it: {row.refusal}" if case.averaged else f"`{case.head}`"
        yield f"| {name} | {shown} | {row.width} | {row.difference:.1e} | `{row.metric}` |"


def main() -> None:
    """Print the table, or write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table into docs/measure.md")
    writes = parser.parse_args().write
    lines = []
    for line in table():
        print(line, flush=True)
        lines.append(line)
    if writes:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
        after = rest.partition(END)[2]
        PAGE.write_text("\n".join([f"{before}{START}\n", *lines, f"\n{END}{after}"]), encoding="utf-8")


if __name__ == "__main__":
    main()
