"""Networks that are built elsewhere, of which nothing is known before: of libraries, of the user, of other loops."""

from typing import ClassVar, Literal

from pydantic import Field

from nc_bench.config.model_facts import EVERYTHING, NONNEGATIVE, ModelFacts, Range
from nc_bench.config.plugin import PluginPath, PluginSection, WithArguments
from nc_bench.config.values import Flag
from nc_bench.config.weights import StartingWeights


class UnknownModel(ModelFacts, StartingWeights, WithArguments):
    """A network of which nothing is known before it is built."""

    not_stacked: ClassVar[str] = "it is trained one trial at a time"

    @property
    def weights_file(self) -> tuple[str, str | None] | None:
        return None if self.weights is None else (self.weights, self.weights_digest)

    @property
    def features_range(self) -> None:
        return None

    @property
    def is_linear(self) -> None:
        return None

    @property
    def uses_batch_statistics(self) -> None:
        return None


class ExternalModel(UnknownModel):
    """A model of torchvision or timm with its own last linear layer replaced by the head."""

    takes_images: ClassVar[bool] = True

    name: str = Field(
        pattern=r"^(torchvision|timm):[A-Za-z0-9_.]+$",
        description="torchvision:<name> or timm:<name>, as the library calls it.",
    )
    pretrained: Flag = Field(
        default=False,
        description="Whether it starts from the library's weights: those of the tag in a name of timm, as in "
        "timm:resnet50.a1_in1k, or the library's default. The head is new unless the classes are as many as theirs.",
    )

    @property
    def is_pretrained(self) -> bool:
        return self.pretrained

    def problems(self) -> list[str]:
        problems = []
        _, _, tag = self.name.partition(".")
        if tag and not self.pretrained:
            problems.append(
                f"model.name: {self.name} names the pretrained weights {tag}; set model.pretrained: true to start from "
                "them, or leave the tag out"
            )
        if self.pretrained and self.weights is not None:
            problems.append("model.pretrained: given together with model.weights; choose one")
        return problems

    def sentence(self) -> str:
        library, _, name = self.name.partition(":")
        return f"{'pretrained ' if self.pretrained else ''}{name} of {library}"


class PluginModel(UnknownModel, PluginSection):
    """A model of the user's own, with its last linear layer as the head."""

    name: PluginPath = Field(
        description="import:<module>:<name>, a function or class that returns a torch.nn.Module; it is given classes "
        "(or num_classes), input_shape and samples as far as its signature has them."
    )

    def sentence(self) -> str:
        return self.name


class ForeignModel(ModelFacts):
    """A model that a loop of its author's trains, of which the bench knows what the author states."""

    is_foreign: ClassVar[bool] = True
    not_stacked: ClassVar[str] = "it is trained by a loop of its author's"

    name: Literal["foreign"] = Field(
        description="A model that was trained elsewhere, as nc_bench.RunRecorder writes it; it cannot be trained here."
    )
    kind: str = Field(default="model", min_length=1, description="The name of its class.")
    features_alone: Flag = Field(
        default=False, description="Whether its features were measured alone, without a last linear layer."
    )
    nonnegative: Flag | None = Field(
        default=None,
        description="true: the features fill the non-negative part of the set that they are in, as after a ReLU; "
        "false: they fill that set, as after a linear layer; null: not known, so that no minimiser is predicted.",
    )

    @property
    def features_range(self) -> Range | None:
        return None if self.nonnegative is None else NONNEGATIVE if self.nonnegative else EVERYTHING

    @property
    def has_head(self) -> bool:
        return not self.features_alone

    @property
    def is_linear(self) -> None:
        return None

    @property
    def uses_batch_statistics(self) -> None:
        return None

    def sentence(self) -> str:
        ending = {None: "", True: ", non-negative features", False: ", features of any sign"}[self.nonnegative]
        return f"{self.kind}{', without a last layer' * self.features_alone}{ending}"


class LiveModel(ModelFacts):
    """A module that Python code hands over to `run_training`, with its last linear layer as the head."""

    not_stacked: ClassVar[str] = "it is trained one trial at a time"

    name: str = Field(pattern=r"^live:[^\W\d]\w*$", description="live:<class of the module>; run_training states it.")
    digest: str = Field(pattern="^[0-9a-f]{16}$", description="Of its layers and its initial state.")

    @property
    def features_range(self) -> None:
        return None

    @property
    def is_linear(self) -> None:
        return None

    @property
    def uses_batch_statistics(self) -> None:
        return None

    def sentence(self) -> str:
        return f"{self.name.partition(':')[2]} of the user"
