"""The only module that imports torchvision, and timm, which does so too: ``from nc_bench.vision import torchvision``.

A torchvision built for another build of torch cannot load its compiled operators, and its import then stops
where it describes two of them. Models, transforms and data sets need neither, so those two are declared and
the import is tried again. Where the import works, nothing else happens here.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from torch.library import Library

try:
    import torchvision
except RuntimeError as error:
    if not str(error).startswith("operator torchvision::nms does not exist"):
        raise
    # A declaration lasts as long as its Library object does.
    _declarations = Library("torchvision", "DEF")
    _declarations.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declarations.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

__all__ = ["timm", "torchvision"]


def timm() -> ModuleType:
    """The package timm, which is optional. ModuleNotFoundError, with the name timm, where it is not installed."""
    return importlib.import_module("timm")
