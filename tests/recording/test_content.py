"""The digest of what a loader gives: the same in any order and batches, another for any other bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nc_bench.recording.batches import Batch
from nc_bench.recording.content import ContentDigest

X = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0, 1, 2])


def batch(labels: Tensor, *arguments: Any, **keywords: Any) -> Batch:
    return Batch(arguments=arguments, keywords=keywords, labels=labels)


def digest(*batches: Batch) -> str:
    content = ContentDigest()
    for one in batches:
        content.take_in(one)
    return content.hexdigest


def test_the_order_and_the_batches_do_not_matter_and_every_bit_does() -> None:
    found = digest(batch(Y, X))
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    x, y = X[order], Y[order]
    assert digest(batch(y[:4].int(), x[:4]), batch(y[:0], x[:0]), batch(y[4:], x[4:])) == found
    moved = X.clone()
    moved.view(torch.int32)[5, 1, 2] ^= 1
    others = [batch(Y, moved), batch(Y.flip(0), X), batch(Y[:5], X[:5]), batch(Y, X.double()), batch(Y, x=X)]
    assert len({found, *map(digest, others)}) == 6
    assert digest(batch(Y, X), batch(Y[:1], X[:1])) not in (found, digest(batch(Y, X), batch(Y[1:2], X[1:2])))


@pytest.mark.parametrize(
    "inputs",
    [
        X.bfloat16(),
        X > 0,
        (X * 9).to(torch.uint8),
        [X, {"a": X, "b": [X.flip(0)]}],
        list("abcdef"),
        X[..., :0],
        torch.complex(X, X),
    ],
)
def test_inputs_of_all_kinds(inputs: Any) -> None:
    found = digest(batch(Y, inputs))
    assert digest(batch(Y, inputs)) == found != digest(batch(Y + 1, inputs))


def test_padding_does_not_count() -> None:
    tokens, mask = torch.tensor([[5, 6, 7], [8, 0, 0]]), torch.tensor([[1, 1, 1], [1, 0, 0]])
    found = digest(batch(Y[:2], input_ids=tokens, attention_mask=mask))
    alone = [
        batch(Y[:1], input_ids=tokens[:1], attention_mask=mask[:1]),
        batch(Y[1:2], input_ids=tokens[1:, :1], attention_mask=mask[1:, :1]),
    ]
    assert digest(*alone) == found
    tokens[1, 1] = 9  # behind the mask
    assert digest(batch(Y[:2], input_ids=tokens, attention_mask=mask)) == found
    tokens[1, 0] = 9
    assert digest(batch(Y[:2], input_ids=tokens, attention_mask=mask)) != found
