"""Every model is head(backbone(x)), on a leading axis of trials."""

from nc_bench.models.classifier import Classifier, build_classifier

__all__ = ["Classifier", "build_classifier"]
