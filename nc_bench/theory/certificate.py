"""What no classifier does better, sample by sample: a bound on the loss from the norm of the output."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def output_certificate(centred_norms: ArrayLike, classes: int) -> NDArray[np.float64]:
    """The least cross entropy of outputs z in R^K with |z - mean(z)| = r: log(1 + (K-1) exp(-r sqrt(K/(K-1)))).

    centred_norms: r >= 0 of any shape; the result has that shape, in float64. The loss of every sample is at least
    this, whatever its label, the model, its bias, the class weights and the split; equal where z - mean(z) points at
    the vertex of the true class. E & Wojtowytsch 2021, Lemma 3.3: softmax does not see the mean of z.
    """
    margins = np.asarray(centred_norms, dtype=np.float64) * np.sqrt(classes / (classes - 1))
    return np.log1p((classes - 1) * np.exp(-margins))
