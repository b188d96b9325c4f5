"""The features of anybody's model on anybody's loader, batch by batch; model and loader are left as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from tqdm import tqdm

from nc_bench.errors import NotFinite, UserError
from nc_bench.geometry.arrays import check_arrays
from nc_bench.metrics import Head
from nc_bench.models.heads import output_tensors
from nc_bench.models.linear_layers import as_rows, is_linear, unwrapped
from nc_bench.recording.batches import Batch, Unpack, read_batch
from nc_bench.recording.content import ContentDigest
from nc_bench.recording.model_state import eval_mode, kept_buffers, kept_generators, on_device
from nc_bench.recording.tap import FeatureTap
from nc_bench.rng import kept_global_generators
from nc_bench.telling import is_notebook

IGNORED_LABEL = -100
"""The label of tokens that count nowhere, as in torch's cross entropy."""


@contextmanager
def opened_reader(
    model: Any, loader: Any, *, layer: Any, device: Any, unpack: Unpack | None, progress: bool | None
) -> Iterator[ModelReader]:
    """A reader of the features; afterwards model and loader are as they were."""
    if isinstance(loader, torch.utils.data.Dataset):
        raise UserError("loader is a Dataset of single samples: give DataLoader(dataset, batch_size=256)")
    if isinstance(loader, tuple) and len(loader) == 2 and all(hasattr(part, "__array__") for part in loader):
        raise UserError("loader is one pair (inputs, labels): give a list of such pairs, [(inputs, labels)]")
    if not isinstance(loader, Iterable):
        raise UserError(f"loader must be an iterable of batches, got {type(loader).__name__}")
    tap = FeatureTap(model, layer)
    with ExitStack() as restored:
        restored.enter_context(torch.no_grad())
        restored.enter_context(kept_buffers(model))
        place = restored.enter_context(on_device(model, device))
        restored.enter_context(eval_mode(model))
        restored.enter_context(tap)
        yield ModelReader(model, loader, tap, unpack, place, progress=progress)


class ModelReader:
    """The features and labels of a loader's samples, batch by batch."""

    def __init__(
        self,
        model: nn.Module,
        loader: Iterable[Any],
        tap: FeatureTap,
        unpack: Unpack | None,
        device: torch.device,
        *,
        progress: bool | None,
    ) -> None:
        self.loader, self.tap, self.unpack, self.device = loader, tap, unpack, device
        self.hidden = (False if is_notebook() else None) if progress is None else not progress
        self.root = unwrapped(model)
        sharded = "_fsdp_wrapped_module" in model._modules
        self.call: Callable[..., Any] = model if sharded else self.root
        self.output: Any = None

    def batches(
        self, title: str, content: ContentDigest | None = None
    ) -> Iterator[tuple[int, Float[Tensor, "n d"], Int64[Tensor, "n"]]]:
        """Number, features and labels of every batch. Each reading draws the same random numbers.

        content: takes in every batch as the model is given it.
        """
        with kept_global_generators(), kept_generators(self.loader):
            bar = tqdm(self.loader, title, unit="batch", disable=self.hidden, leave=False)
            for number, batch in enumerate(bar, 1):
                with numbered(number):
                    parts = read_batch(batch, self.root, self.unpack, self.device)
                if content is not None:
                    content.take_in(parts)
                self.output = self._run(number, parts)
                with numbered(number):
                    features, labels = self._samples(parts.labels)
                if len(labels):
                    yield number, features, labels

    def logits(self, head: Head, features: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """The outputs of the latest batch: the model's own where they have a row for each sample, else the head's."""
        shape = (len(features), head.weight.shape[1])
        own = [output for output in output_tensors(self.output).values() if tuple(output.shape) == shape]
        return own[0] if own else head.outputs(features.double()[None])[0]

    def _run(self, number: int, batch: Batch) -> Any:
        try:
            return self.call(*batch.arguments, **batch.keywords)
        except UserError as error:
            raise type(error)(f"batch {number}: {error}") from None
        except Exception as error:
            error.add_note(f"in batch {number} of measure_model")
            raise

    def _samples(self, labels: Tensor) -> tuple[Float[Tensor, "n d"], Int64[Tensor, "n"]]:
        """Features and labels with a row for each sample, checked."""
        features = self.tap.features
        if features.ndim > 2:
            features, labels = _places(self.tap, features, labels)
        check_arrays(features, labels)
        if not bool(features.isfinite().all()):
            raise NotFinite("the features hold NaN or infinity")
        return features, labels.to(torch.int64)


def _places(tap: FeatureTap, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of features that come at tokens or pixels, and the label of each."""
    if not is_linear(tap.tapped):
        if features[0].numel() != features.shape[1]:
            raise UserError(f"layer {tap.name!r} is given {tuple(features.shape)}: name one that is given vectors")
        return features.flatten(1), labels
    rows = as_rows(tap.tapped, features)
    if rows.shape[1] == 1 and labels.ndim == 1:
        return rows[:, 0], labels
    if labels.ndim < 2 or tuple(labels.flatten(1).shape) != tuple(rows.shape[:2]):
        raise UserError(
            f"layer {tap.name!r} is given features {tuple(features.shape)}, a vector for each of {rows.shape[1]} tokens"
            f" or pixels, and there are labels {tuple(labels.shape)}: give each its label (-100 leaves one out), or a "
            "model that returns the output of one token"
        )
    kept = labels.flatten() != IGNORED_LABEL
    return rows.flatten(0, 1)[kept], labels.flatten()[kept]


@contextmanager
def numbered(number: int) -> Iterator[None]:
    """What is wrong with a batch is told with its number."""
    try:
        yield
    except ValueError as error:
        kind = type(error) if isinstance(error, UserError) else UserError
        raise kind(f"batch {number}: {error}") from None
    except Exception as error:  # a bug, perhaps in the user's own function
        error.add_note(f"in batch {number} of measure_model")
        raise
