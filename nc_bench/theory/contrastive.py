"""Unit vectors: supervised contrastive loss, and the softmax codes of more classes than a simplex has room for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nc_bench.theory import checks
from nc_bench.theory.prediction import Prediction, Statement, Value


def supervised_contrastive(
    *,
    classes: int,
    per_class: int,
    temperature: float,
    nonnegative: bool = False,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """The supervised contrastive loss of unit features over the full batch: classes collapse onto a simplex.

    ``objective`` = log((n-1) + n (K-1) e^(-K/((K-1) t))) at the simplex; non-negative features collapse onto an
    orthogonal frame, with e^(-1/t) in its place. The loss is the mean over anchors i and over their positives p != i of
    -log(e^(<h_i, h_p>/t) / sum_{a != i} e^(<h_i, h_a>/t)) (Khosla et al. 2020, "out").

    Does not apply below the width K-1 (non-negative: K) or for unequal weights. Raises ValueError for classes < 2,
    per_class < 2 (an anchor needs a positive) or a temperature that is not positive. Graf et al. 2021 (proved); the
    non-negative case numeric.
    """
    classes = checks.whole("classes", classes, 2)
    per_class = checks.whole("per_class", per_class, 2)
    temperature = checks.positive("temperature", temperature)
    nonnegative = checks.flag("nonnegative", nonnegative)
    statement = Statement(
        setting="supervised_contrastive",
        assumptions=(
            "supervised contrastive loss over the full batch, balanced classes",
            f"free {'non-negative' if nonnegative else 'signed'} features of norm 1",
        ),
        source="Graf et al. 2021 (arXiv:2102.08817)" + (", carried over (numeric)" if nonnegative else " (proved)"),
    )
    shape = "an orthogonal frame of K vectors" if nonnegative else "a simplex of K vertices"
    reason = checks.first(
        checks.narrow(width, classes if nonnegative else classes - 1, shape),
        checks.unequal(class_weights, classes, "the formula is for balanced classes"),
    )
    if reason:
        return statement.fails(reason)
    gap = 1.0 if nonnegative else classes / (classes - 1)
    others = per_class * (classes - 1) * math.exp(-gap / temperature)
    values: dict[str, Value] = {
        "objective": math.log(per_class - 1 + others) if per_class > 2 else math.log1p(others),
        "feature_radius": math.sqrt((classes - 1) / classes) if nonnegative else 1.0,
        "cosine": 0.0 if nonnegative else -1 / (classes - 1),
        "centre_offset": 1 / math.sqrt(classes) if nonnegative else 0.0,
    }
    names = ("nc1_pinv", "nc1_quotient", "nc1_cdnv", "nc1_radius", "nc2_equinorm", "nc2_equiangular", "nc2_etf")
    return statement.holds(values | dict.fromkeys((*names, "nc2_equidistant"), 0.0))


def softmax_code(*, classes: int, width: int, class_weights: Sequence[float] | None = None) -> Prediction:
    """The largest ``margin`` rho = min_k dist(w_k, conv{w_j: j != k}) of K unit vectors in d dimensions.

    K/(K-1) for K <= d + 1 (the simplex), 1 for d + 2 <= K <= 2 d (orthogonal simplices), 1 - cos(2 pi/K) for d = 2 (the
    regular K-gon). Normalised softmax tends to it as its temperature falls.

    Elsewhere it is not known and does not apply. Raises ValueError for classes < 2, width < 1 or weights that do not
    fit; weights play no part. Jiang et al. 2024 (arXiv:2310.05351), Theorem 3.3.
    """
    classes = checks.whole("classes", classes, 2)
    width = checks.whole("width", width, 1)
    checks.weights_of(class_weights, classes)
    statement = Statement(
        setting="softmax_code",
        assumptions=("unit rows of the head and unit features, the limit of a small temperature",),
        source="Jiang et al. 2024 (arXiv:2310.05351), Theorem 3.3 (proved)",
    )
    if classes <= width + 1:
        return statement.holds({"margin": classes / (classes - 1)})
    if classes <= 2 * width:
        return statement.holds({"margin": 1.0})
    if width == 2:
        return statement.holds({"margin": 2 * math.sin(math.pi / classes) ** 2})
    return statement.fails(
        f"{classes} unit vectors in {width} dimensions: the largest margin is known up to K = 2d only"
    )
