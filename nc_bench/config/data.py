"""The data of a run: which inputs, which of them, by which labels."""

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from nc_bench.config.balance import Balance, FullBalance
from nc_bench.config.base import Section
from nc_bench.config.plugin import PLUGIN_TAG, PluginPath, PluginSection, tag_of
from nc_bench.config.values import (
    ClassNames,
    ClassNumber,
    Count,
    Flag,
    Gigabytes,
    ImageSide,
    KeptClasses,
    NonNegative,
    NonNegativeInteger,
    Number,
    Padding,
    PathText,
    Positive,
    Seed,
    Share,
    SmallInteger,
    Width,
)


class _Data(Section):
    """What the rest of the code asks of a data set; one that differs from what stands here says so itself."""

    per_trial: ClassVar[frozenset[str]] = frozenset({"label_noise", "labels"})

    inputs_are_noise: ClassVar[bool] = False
    """Whether the inputs say nothing of their labels, whatever these are."""

    name: str = Field(description="Which data set.")
    labels: Literal["original", "random", "uniform"] = Field(
        default="original",
        description="random: a fixed permutation of the training labels; uniform: every training label drawn uniformly "
        "from all classes, whatever it was. Drawn by seed; the test labels stay true.",
    )
    label_noise: Share = Field(
        default=0.0,
        description="Share of the training samples (rounded to whole samples) that get another label, drawn uniformly "
        "from the other classes. Drawn by seed; the test labels stay true.",
    )
    balance: Balance = Field(
        default=FullBalance(name="full"), discriminator="name", description="Sizes of the training classes."
    )
    seed: Seed = Field(
        default=0,
        description="Which samples are chosen or made. Runs that differ only in the other seed share their samples.",
    )

    @property
    def kept_classes(self) -> tuple[int | str, ...] | None:
        """Those of its classes that are kept, in their order; None: all."""
        return None

    @property
    def chosen_per_class(self) -> tuple[int | None, int | None]:
        """Training and test samples of each class that are chosen out of all there are; None: all."""
        return None, None

    @property
    def augments(self) -> bool:
        """Whether training images are changed at random."""
        return False

    @property
    def has_random_labels(self) -> bool:
        """Whether the training labels say nothing of the inputs."""
        return self.labels != "original" or self.inputs_are_noise

    def sentences(self) -> list[str]:
        """What was chosen of it or done to it, in a caption."""
        return [self.balance.sentence()] if self.balance.sentence() else []

    def problems(self) -> list[str]:
        """Contradictions among its settings, one `dotted.path: problem` each."""
        wrong = self.label_noise > 0 and self.labels != "original"
        return ["data.label_noise: needs data.labels: original"] if wrong else []


class ForeignData(_Data):
    """What a loop of its author's is trained on."""

    name: Literal["foreign"] = Field(
        description="Data of a loop that is not the bench's, as nc_bench.RunRecorder writes it."
    )


class _Gathered(_Data):
    keep_classes: KeptClasses | None = Field(
        default=None,
        description="Classes to keep, in both splits, by number or by name; the first listed becomes class 0, the next "
        "class 1. null: all.",
    )
    samples_per_class: Count | None = Field(
        default=None, description="Training samples of every class, before balance; null: all there are."
    )
    test_samples_per_class: Count | None = Field(
        default=None, description="Test samples of every class; null: all there are."
    )

    @property
    def kept_classes(self) -> tuple[int | str, ...] | None:
        return self.keep_classes

    @property
    def chosen_per_class(self) -> tuple[int | None, int | None]:
        return self.samples_per_class, self.test_samples_per_class

    def sentences(self) -> list[str]:
        kept = [] if self.keep_classes is None else [f"{len(self.keep_classes)} of its classes"]
        return kept + super().sentences()


class Digits(_Gathered):
    """1,797 images of 8 x 8 pixels that come with scikit-learn."""

    name: Literal["digits"] = Field(description="Digits of 8 x 8 pixels, bundled with scikit-learn.")


class Augment(Section):
    """What is done at random to the images of a training batch; measurements see the images as they are."""

    flip: Flag = Field(default=False, description="Whether each image is mirrored left to right with probability 1/2.")
    crop_padding: Padding = Field(
        default=0,
        description="Pixels of frame, in the mean colour, around each image, out of which its size is cut at random.",
    )


class ReadByBatch(_Gathered):
    """Data that are read by the batch where they do not fit in memory."""

    not_in_hash: ClassVar[frozenset[str]] = frozenset({"memory_gb", "workers"})

    augment: Augment = Field(default=Augment(), description="Random changes to training images, drawn by seed.")
    memory_gb: Gigabytes = Field(
        default=4.0,
        description="Gigabytes (10^9 bytes) that both splits may take on the device as float32 numbers; larger sets "
        "are read by the batch, with the same results.",
    )
    workers: SmallInteger = Field(
        default=4,
        description="Processes that read ahead, at most one a processor, where images are decoded from files or do not "
        "fit in memory_gb; 0: no process of their own.",
    )

    @property
    def augments(self) -> bool:
        return self.augment != Augment()

    def sentences(self) -> list[str]:
        augment = self.augment
        return super().sentences() + ["flipped"] * augment.flip + ["cropped at random"] * (augment.crop_padding > 0)


class _Stored(ReadByBatch):
    not_in_hash: ClassVar[frozenset[str]] = ReadByBatch.not_in_hash | {"root"}

    root: PathText = Field(
        default="~/.cache/nc_bench/data",
        description="Folder of the data sets; ~ is the home folder.",
    )


class Downloaded(_Stored):
    """A data set in its own file format, read (and fetched) by torchvision."""

    not_in_hash: ClassVar[frozenset[str]] = _Stored.not_in_hash | {"download"}

    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "svhn", "stl10"] = Field(
        description="mnist, fashion_mnist (28 x 28 pixels in gray), cifar10, cifar100, svhn (32 x 32 in colour) or "
        "stl10 (96 x 96 in colour, its labelled images).",
    )
    download: Flag = Field(default=False, description="Whether files missing in root are downloaded.")


class FolderOfImages(_Stored):
    """Image files, in one folder for every class."""

    name: Literal["image_folder", "imagenet"] = Field(
        description="image_folder: root/train and root/test, in each a folder of images for every class; imagenet: "
        "root/train and root/val, as torchvision unpacks ImageNet. Classes are numbered in the order of their names as "
        "text, or as numbers where all names are whole numbers (1, 2, 10). Names that begin with a dot are left out."
    )
    image_size: ImageSide | None = Field(
        default=None,
        description="Pixels to which the shorter side is resized before the square in the centre is taken; null: all "
        "images must have one size.",
    )
    channels: Literal[1, 3] | None = Field(
        default=None, description="1: all images in gray; 3: all in colour; null: all must be alike."
    )
    background: Share | None = Field(
        default=None,
        description="Gray level, 0 black to 1 white, on which images with an alpha channel or transparent pixels are "
        "laid; null: such images are refused.",
    )
    channel_means: tuple[Number, ...] | None = Field(
        default=None,
        description="Mean of every channel, of pixels between 0 and 1, by which images are standardised; null: that of "
        "the training images (of at most 20,000, evenly spread).",
    )
    channel_stds: tuple[Positive, ...] | None = Field(
        default=None, description="Standard deviation of every channel; goes with channel_means."
    )

    @property
    def test_folder(self) -> str:
        """The folder within root that holds the test images."""
        return {"image_folder": "test", "imagenet": "val"}[self.name]

    def problems(self) -> list[str]:
        one = (self.channel_means is None) != (self.channel_stds is None)
        alone = ["data.channel_means: goes with data.channel_stds; state both or neither"] if one else []
        return super().problems() + alone


class _Own(ReadByBatch):
    class_names: ClassNames | None = Field(
        default=None, description="Names of the classes 0, 1, ..; null: those that the data bring, if any."
    )


class Arrays(_Own):
    """Arrays in files of NumPy, safetensors or torch."""

    not_in_hash: ClassVar[frozenset[str]] = _Own.not_in_hash | {"root"}

    name: Literal["arrays"] = Field(
        description="Files .npy (memory-mapped), .npz, .safetensors or .pt: inputs (N, ...) of floating-point numbers, "
        "taken as they are, or images (N, c, h, w) of bytes, standardised by the training images; labels (N,) 0, 1, .. "
        "Of several arrays in a file the one with the name of the key is read; FILE:NAME says another."
    )
    root: PathText = Field(default=".", description="Folder of the files; ~ is the home folder.")
    train_inputs: PathText = Field(description="File of the training inputs.")
    train_labels: PathText = Field(description="File of the training labels.")
    test_inputs: PathText | None = Field(default=None, description="File of the test inputs; null: no test split.")
    test_labels: PathText | None = Field(default=None, description="File of the test labels; goes with test_inputs.")

    def problems(self) -> list[str]:
        one = (self.test_inputs is None) != (self.test_labels is None)
        return super().problems() + ["data.test_inputs: goes with data.test_labels; state both or neither"] * one


class HuggingFace(_Own):
    """A data set of the library datasets, as save_to_disk wrote it."""

    not_in_hash: ClassVar[frozenset[str]] = _Own.not_in_hash | {"root"}

    name: Literal["hugging_face"] = Field(
        description="A folder that save_to_disk of the library datasets wrote: images, all of one size, or vectors of "
        "floating-point numbers."
    )
    root: PathText = Field(description="That folder; ~ is the home folder.")
    train_split: str = Field(default="train", description="Its training split.")
    test_split: str | None = Field(default="test", description="Its test split; null: none.")
    inputs: str = Field(default="image", description="Column of the inputs.")
    label: str = Field(default="label", description="Column of the labels.")


class PluginData(_Own, PluginSection):
    """Data that a function of the user's own returns."""

    name: PluginPath = Field(
        description="import:<module>:<name>, a function or class that returns the pair (train, test), each a "
        "torch.utils.data.Dataset of pairs (input, label) or a pair (inputs, labels) of arrays, test also None; it is "
        "given seed and classes (as many as class_names) as far as its signature has them."
    )


class LiveData(_Own):
    """Data that Python code hands over to `run_training`."""

    name: Literal["live"] = Field(description="Data of Python code; run_training states it.")
    digest: str = Field(pattern="^[0-9a-f]{16}$", description="Of their contents.")


MOST_NUMBERS = 10**13
"""Of a synthetic data set: tens of terabytes."""


class _Synthetic(_Data):
    classes: ClassNumber = Field(description="Classes.")
    dimension: Width = Field(description="Numbers in an input.")
    samples_per_class: Count = Field(description="Training samples of every class, before balance.")
    test_samples_per_class: NonNegativeInteger = Field(default=0, description="Test samples of every class.")

    def problems(self) -> list[str]:
        numbers = self.classes * (self.samples_per_class + self.test_samples_per_class) * self.dimension
        if numbers <= MOST_NUMBERS:
            return super().problems()
        return [*super().problems(), f"data.samples_per_class: makes {numbers:,} numbers, of at most {MOST_NUMBERS:,}"]

    def sentences(self) -> list[str]:
        return [f"{self.classes} classes in {self.dimension} dimensions", *super().sentences()]


class GaussianMixture(_Synthetic):
    """A Gaussian cloud for every class."""

    name: Literal["gaussian_mixture"] = Field(description="A Gaussian cloud for every class.")
    separation: NonNegative = Field(
        description="Root mean square distance between two class means, in standard deviations of a coordinate."
    )


class Noise(_Synthetic):
    """Standard normal inputs, which say nothing of their labels."""

    inputs_are_noise: ClassVar[bool] = True

    name: Literal["noise"] = Field(description="Random inputs with random labels, in classes of equal size.")

    @property
    def separation(self) -> float:
        """That of a mixture whose clouds all lie at the origin."""
        return 0.0


Data = (
    Annotated[Digits, Tag("digits")]
    | Annotated[Downloaded, Tag("mnist")]
    | Annotated[Downloaded, Tag("fashion_mnist")]
    | Annotated[Downloaded, Tag("cifar10")]
    | Annotated[Downloaded, Tag("cifar100")]
    | Annotated[Downloaded, Tag("svhn")]
    | Annotated[Downloaded, Tag("stl10")]
    | Annotated[FolderOfImages, Tag("image_folder")]
    | Annotated[FolderOfImages, Tag("imagenet")]
    | Annotated[GaussianMixture, Tag("gaussian_mixture")]
    | Annotated[Noise, Tag("noise")]
    | Annotated[Arrays, Tag("arrays")]
    | Annotated[HuggingFace, Tag("hugging_face")]
    | Annotated[ForeignData, Tag("foreign")]
    | Annotated[PluginData, Tag(PLUGIN_TAG)]
    | Annotated[LiveData, Tag("live")]
)
DATA_BY_NAME = Discriminator(tag_of)
