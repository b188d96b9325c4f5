"""What theory predicts (docs/theory.md). Problem specification in, named values out; no tensor is ever seen here."""

from nc_bench.theory.dispatch import predict
from nc_bench.theory.prediction import Prediction

__all__ = ["Prediction", "predict"]
