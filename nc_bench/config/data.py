"""The data of a run: which inputs, by which labels."""

from typing import Literal

from pydantic import Field

from nc_bench.config.section import Section
from nc_bench.config.values import Flag


class Data(Section):
    """Which images are classified, and by which labels."""

    name: Literal["digits", "mnist", "fashion_mnist"] = Field(
        description="The data set. digits comes with scikit-learn; the others are read from root."
    )
    root: str = Field(
        default="~/.cache/nc_bench/data",
        min_length=1,
        description="Folder of the downloaded data sets; ~ is the home folder. digits does not use it.",
    )
    download: Flag = Field(default=False, description="Whether files missing in root are downloaded.")
    labels: Literal["original", "random"] = Field(
        default="original",
        description="random: a fixed permutation of the training labels; the test labels stay true.",
    )
