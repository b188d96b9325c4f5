"""What the rest of the code asks of a model, whatever it is."""

import math
from abc import abstractmethod
from typing import ClassVar

from nc_bench.config.base import Section

Range = tuple[float, float]
"""Infimum and supremum of what a feature can be."""

EVERYTHING: Range = (-math.inf, math.inf)
NONNEGATIVE: Range = (0.0, math.inf)


class ModelFacts(Section):
    """What the rest of the code asks of a model. None: not known, which is never taken for a yes or a no."""

    is_foreign: ClassVar[bool] = False
    """Whether it was built, fed and trained by a loop that is not the bench's, which has only measured it."""

    not_stacked: ClassVar[str] = ""
    """Why trials of this model cannot be stacked into one batched program; empty if they can."""

    is_feature_table: ClassVar[bool] = False
    """Whether features are parameters, one row for every training sample, and there is no network."""

    takes_images: ClassVar[bool] = False
    """Whether an input has to be an image, channels x height x width."""

    takes_indices: ClassVar[bool] = False
    """Whether an input is the number of a training sample, which has free parameters; its data are not looked at."""

    @property
    def weights_file(self) -> tuple[str, str | None] | None:
        """The file whose weights it starts from, and its digest; None: another start."""
        return None

    @property
    def is_pretrained(self) -> bool:
        """Whether it starts from weights of its library."""
        return False

    @property
    def has_head(self) -> bool:
        """Whether it ends in a linear layer; False: features alone are measured."""
        return True

    @property
    def linear_widths(self) -> tuple[int, ...]:
        """Where the features are a product of free matrices, one a table of samples: the widths of all; else none."""
        return ()

    @property
    @abstractmethod
    def features_range(self) -> Range | None:
        """Infimum and supremum of every entry of the features, before they are bounded."""

    @property
    @abstractmethod
    def is_linear(self) -> bool | None:
        """Whether the features are linear (affine) in the inputs."""

    @property
    @abstractmethod
    def uses_batch_statistics(self) -> bool | None:
        """Whether a sample's features depend on the rest of its batch while training, as with batch norm."""

    @abstractmethod
    def sentence(self) -> str:
        """The model in a caption."""

    def problems(self) -> list[str]:
        """Contradictions among its settings, one `dotted.path: problem` each."""
        return []

    @property
    def has_nonnegative_features(self) -> bool:
        """Whether it is known that no feature can be negative."""
        return self.features_range is not None and self.features_range[0] >= 0
