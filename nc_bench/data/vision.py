"""The only module that imports torchvision: ``from nc_bench.data.vision import torchvision``.

A torchvision built for another build of torch cannot load its compiled operators, and its import then stops
where it describes two of them. Models, transforms and data sets need neither, so those two are declared and
the import is tried again. Where the import works, nothing else happens here.
"""

from __future__ import annotations

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

__all__ = ["torchvision"]
