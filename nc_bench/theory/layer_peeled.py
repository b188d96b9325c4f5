"""The layer-peeled model: bounds on mean squared norms."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nc_bench.theory import checks
from nc_bench.theory.collapsed import VANISHING_WITH_CENTRED_HEAD, collapsed_values
from nc_bench.theory.prediction import Prediction, Statement


def layer_peeled(
    *,
    classes: int,
    head_energy: float,
    feature_energy: float,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """Mean over classes of |w_c|^2 <= E_W, mean over samples of |h|^2 <= E_H, balanced classes.

    risk = log(1 + (K-1) exp(-K/(K-1) sqrt(E_W E_H))); W and the class means are simplices around the origin
    with W = sqrt(E_W/E_H) M, so |w_c| = sqrt(E_W) and |h| = sqrt(E_H); with or without a bias, width >=
    K-1.

    Why: risk >= log(1 + (K-1) exp(-tr(Wc M^T)/(K-1))) and tr(Wc M^T) <= |W|_F |M|_F <= K sqrt(E_W E_H).
    Does not apply to unequal class weights: a mean of squares, unlike a bound on every feature, lets large
    classes take from small ones. Raises ValueError if classes < 2 or an energy is not positive.
    Fang et al. 2021, Thm. 1.
    """
    classes = checks.whole("classes", classes, 2)
    head_row_norm = math.sqrt(checks.positive("head_energy", head_energy))
    feature_norm = math.sqrt(checks.positive("feature_energy", feature_energy))
    statement = Statement(
        setting="layer_peeled",
        assumptions=(
            "mean over classes of |w_c|^2 <= E_W, mean over samples of |h|^2 <= E_H",
            "the features of different samples can be chosen freely, with either sign",
            "softmax cross entropy, balanced classes, equal class weights, with or without bias",
        ),
        source="Fang et al. 2021, Thm. 1",
    )
    reason = checks.first(
        checks.narrow(width, classes - 1, "a simplex of K vertices"),
        checks.unequal(class_weights, classes, "the formula is for balanced classes"),
    )
    if reason:
        return statement.fails(reason)
    growth = classes / (classes - 1)
    values = collapsed_values(
        classes,
        margin=growth * head_row_norm * feature_norm,
        feature_norm=feature_norm,
        head_opnorm=head_row_norm * math.sqrt(growth),
        orthogonal=False,
    )
    values |= {"head_row_norm": head_row_norm, "feature_norm": feature_norm}
    return statement.holds(values | dict.fromkeys(VANISHING_WITH_CENTRED_HEAD, 0.0))
