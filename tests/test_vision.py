from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import torch

# Stand-ins for torchvision; the second fails as the real one does beside a foreign build of torch.
STAND_INS = {
    "healthy": "",
    "foreign": """
import torch
for operator in ("torchvision::nms", "torchvision::qnms"):
    torch.library.register_fake(operator)(lambda dets, scores, iou_threshold: dets.new_empty(0))
""",
    "broken": "raise RuntimeError('operator torchvision::roi_align does not exist')",
}

# What is declared in torch stays declared, so a process that tries all three must end with "foreign".
SCRIPT = """
import importlib, json, sys
import torch
def attempt(folder):
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    for name in ("torchvision", "nc_bench.vision"):
        sys.modules.pop(name, None)
    try:
        module = importlib.import_module("nc_bench.vision")
        outcome = "imported from " + module.torchvision.__file__
    except RuntimeError as error:
        outcome = str(error)
    sys.path.remove(folder)
    return [outcome, hasattr(torch.ops.torchvision, "nms")]
print(json.dumps([attempt(folder) for folder in sys.argv[1:]]))
"""


def test_only_the_known_failure_is_repaired(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("broken", "healthy", "foreign")}
    for name, folder in folders.items():
        (folder / "torchvision").mkdir(parents=True)
        (folder / "torchvision" / "__init__.py").write_text(STAND_INS[name])
    command = [sys.executable, "-c", SCRIPT, *map(str, folders.values())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    broken, healthy, foreign = json.loads(finished.stdout)
    assert broken == ["operator torchvision::roi_align does not exist", False]
    assert healthy == [f"imported from {folders['healthy'] / 'torchvision' / '__init__.py'}", False]
    assert foreign == [f"imported from {folders['foreign'] / 'torchvision' / '__init__.py'}", True]


def test_models_and_transforms_work() -> None:
    from nc_bench.vision import torchvision

    transforms = importlib.import_module("torchvision.transforms.v2")
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(transforms.RandomHorizontalFlip(p=1.0)(images), images.flip(-1))
    assert torchvision.models.resnet18(num_classes=10).eval()(images).shape == (2, 10)
