"""Several linear layers over a table of features, all with weight decay: depth prefers low rank."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nc_bench.theory import checks
from nc_bench.theory.collapsed import risk_at
from nc_bench.theory.minimum import lowest
from nc_bench.theory.prediction import Prediction, Statement, Value

STRONGEST_DECAY = {(6, 3): 1e-2, (8, 3): 1e-2, (10, 3): 1e-2, (12, 3): 3e-3, (6, 4): 1e-2}
"""(classes, layers) -> largest l n^(1/L) at which descent was tried and found nothing better than simplex and pairs."""

FEW_CLASSES, MOST_LAYERS, STRONGEST_FOR_FEW = 4, 8, 1e-2
"""So for up to 4 classes and 8 layers. Above, solutions that tell only some classes apart are better at some decay:
(3, 4) at .1345: .992385 < .998407; (10, 3) at .0257: .906886 < .907869. At a decay of .001 something of lower rank is
better at (14, 3): .070055 < .070408; (8, 4): .033295 < .034011; (6, 6): .022434 < .023949."""


def deep_linear(
    *,
    classes: int,
    layers: int,
    decay: float,
    per_class: int = 1,
    loss: str = "cross_entropy",
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """Logits W_L ... W_2 H of L >= 2 factors (the features H count), objective = loss + l/2 (sum of all |factor|^2).

    A product of singular values s costs (L l/2) sum s^(2/L). Cross entropy: the smaller of the simplex of margin m,
    log(1 + (K-1) e^-m) + (L l/2) (K-1) (sqrt(n) m)^(2/L), and, for even K, of K/2 orthogonal antipodal pairs,
    log(1 + (K-2) e^-m + e^(-2m)) + (L l/2) (K/2) (2 sqrt(n) m)^(2/L), minimised over m >= 0. Squared error
    (1/(2N) sum of squares, no bias): K min over s >= 0 of (s - sqrt n)^2/(2N) + (L/2) l s^(2/L), an orthogonal frame.
    ``shape`` is "simplex", "pairs", "frame", or "zero" where decay wins; ``margin`` m, ``risk`` and ``objective``.

    Cross entropy applies for L = 2 and for K = 2, for K <= 4 and L <= 8 where l n^(1/L) <= .01, and at few more (K, L),
    `STRONGEST_DECAY`. Elsewhere something of lower rank can be better, and the two are upper bounds.
    Does not apply below the width of the shape or for unequal weights. Raises ValueError for classes < 2, layers < 2, a
    decay that is not positive, or an unknown loss. Minimised in closed form; optimality numeric, against descent
    (L = 2 and squared error: proved, by the singular values of the product).
    """
    classes = checks.whole("classes", classes, 2)
    layers = checks.whole("layers", layers, 2)
    per_class = checks.whole("per_class", per_class, 1)
    decay = checks.positive("decay", decay)
    if loss not in ("cross_entropy", "mse"):
        raise ValueError(f"loss must be 'cross_entropy' or 'mse', got {loss!r}")
    squared = loss == "mse"
    statement = Statement(
        setting="deep_linear",
        assumptions=(
            f"{layers} linear factors, the free features among them, without bias or nonlinearity",
            "penalty l/2 |factor|^2 for every factor, balanced classes",
            "half the mean squared error to one-hot targets" if squared else "mean softmax cross entropy",
            "training has come to a global minimum",
        ),
        source="singular values of a product; compare Dang et al. 2023 (arXiv:2301.00437), Sukenik et al. 2023",
    )
    values = _frame(classes, layers, decay, per_class) if squared else _best(classes, layers, decay, per_class)
    needed = {"frame": classes, "simplex": classes - 1, "pairs": classes // 2, "zero": 1}[str(values["shape"])]
    reason = checks.first(
        checks.narrow(width, needed, "the optimum"),
        checks.unequal(class_weights, classes, "the formula is for balanced classes"),
        "" if squared else _not_known(classes, layers, decay, per_class),
    )
    return statement.fails(reason) if reason else statement.holds(values)


def _not_known(classes: int, layers: int, decay: float, per_class: int) -> str:
    if layers == 2 or classes == 2:
        return ""
    few = classes <= FEW_CLASSES and layers <= MOST_LAYERS
    limit = STRONGEST_FOR_FEW if few else STRONGEST_DECAY.get((classes, layers), 0.0)
    strength = decay * per_class ** (1 / layers)
    if strength <= limit:
        return ""
    where = f"{classes} classes, {layers} layers"
    where += f", decay times n^(1/L) {strength:.3g}, above {limit:g}" if limit else ""
    return (
        f"{where}: something of lower rank can be better than the simplex and than pairs, which are upper bounds only"
    )


def simplex_and_pairs(classes: int, layers: int, decay: float, per_class: int = 1) -> tuple[float, float]:
    """The least objectives of the two shapes of `deep_linear` (cross entropy); infinite for pairs of an odd number."""
    _, simplex = _simplex(classes, layers, decay, per_class)
    return simplex, _pairs(classes, layers, decay, per_class)[1] if _has_pairs(classes) else math.inf


def _best(classes: int, layers: int, decay: float, per_class: int) -> dict[str, Value]:
    margin, objective = _simplex(classes, layers, decay, per_class)
    shape, risk = "simplex", risk_at(classes, margin)
    if _has_pairs(classes):
        other_margin, other = _pairs(classes, layers, decay, per_class)
        if other < objective:
            margin, objective, shape, risk = other_margin, other, "pairs", _pairs_risk(classes, other_margin)
    if margin == 0:
        shape, risk = "zero", risk_at(classes, 0.0)
    return {"objective": objective, "shape": shape, "margin": margin, "risk": risk, "risk_balanced": risk}


def _has_pairs(classes: int) -> bool:
    """Two classes are a pair and a simplex."""
    return classes % 2 == 0 and classes > 2


def _penalty(layers: int, decay: float, per_class: int) -> tuple[float, float, float]:
    """The penalty of singular values s of the outputs at class means is half * sum((root * s)^exponent)."""
    return layers * decay / 2, math.sqrt(per_class), 2 / layers


def _simplex(classes: int, layers: int, decay: float, per_class: int) -> tuple[float, float]:
    """Margin and objective."""
    half, root, exponent = _penalty(layers, decay, per_class)

    def objective(margin: float) -> float:
        return risk_at(classes, margin) + half * (classes - 1) * (root * margin) ** exponent

    def slope(margin: float) -> float:
        return _price(half, classes - 1, root, exponent, margin) - (classes - 1) / (math.exp(margin) + classes - 1)

    # No margin pays whose penalty alone is above the objective of no margin at all.
    upper = min((math.log(classes) / (half * (classes - 1))) ** (1 / exponent) / root, 700.0)
    return lowest(objective, slope, upper)


def _pairs(classes: int, layers: int, decay: float, per_class: int) -> tuple[float, float]:
    """Margin and objective."""
    half, root, exponent = _penalty(layers, decay, per_class)

    def objective(margin: float) -> float:
        return _pairs_risk(classes, margin) + half * (classes / 2) * (2 * root * margin) ** exponent

    def slope(margin: float) -> float:
        near, far = (classes - 2) * math.exp(-margin), math.exp(-2 * margin)
        return _price(half, classes / 2, 2 * root, exponent, margin) - (near + 2 * far) / (1 + near + far)

    upper = min((math.log(classes) / (half * classes / 2)) ** (1 / exponent) / (2 * root), 700.0)
    return lowest(objective, slope, upper)


def _pairs_risk(classes: int, margin: float) -> float:
    return math.log1p((classes - 2) * math.exp(-margin) + math.exp(-2 * margin))


def _price(half: float, directions: float, scale: float, exponent: float, margin: float) -> float:
    """Slope of the penalty: of so many singular values of size scale * margin."""
    return half * directions * exponent * scale**exponent * margin ** (exponent - 1)


def _frame(classes: int, layers: int, decay: float, per_class: int) -> dict[str, Value]:
    root, samples = math.sqrt(per_class), per_class * classes
    best, value = lowest(
        lambda s: (s - root) ** 2 / (2 * samples) + layers / 2 * decay * s ** (2 / layers),
        lambda s: (s - root) / samples + decay * s ** (2 / layers - 1),
        root,
    )
    margin = best / root
    risk = risk_at(classes, margin)
    return {
        "objective": classes * value,
        "shape": "frame" if margin > 0 else "zero",
        "margin": margin,
        "risk": risk,
        "risk_balanced": risk,
    }
