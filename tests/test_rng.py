from __future__ import annotations

import itertools

import pytest
import torch

from nc_bench.rng import Stream, generator, global_stream


def first_values(*arguments: object) -> list[float]:
    return torch.rand(3, dtype=torch.float64, generator=generator(*arguments)).tolist()


def test_streams_differ_by_seed_purpose_and_index() -> None:
    places = [
        (seed, stream, *index)
        for seed, stream, index in itertools.product((0, 1, 2**40), Stream, ((), (0,), (1,), (0, 0), (0, 1)))
    ]
    drawn = {tuple(first_values(*place)) for place in places}
    assert len(drawn) == len(places)


@pytest.mark.parametrize(
    ("place", "seed"),
    [
        ((0, Stream.INITIALISATION), 8_668_861_027_912_758_289),
        ((0, Stream.DATA_ORDER, 3), 16_224_471_298_123_723_791),
        ((7, Stream.LABELS), 17_559_002_276_220_262_541),
        ((7, Stream.SYNTHETIC, 2, 5), 1_077_177_304_399_254_569),
    ],
)
def test_a_stream_is_the_same_for_ever(place: tuple[int, Stream], seed: int) -> None:
    assert generator(*place).initial_seed() == seed


def test_the_order_of_the_data_is_the_same_for_ever() -> None:
    order = torch.randperm(8, generator=generator(0, Stream.DATA_ORDER, 0))
    assert order.tolist() == [7, 0, 1, 5, 3, 6, 4, 2]


def test_drawing_from_one_stream_moves_no_other() -> None:
    untouched = first_values(5, Stream.DATA_ORDER, 2)
    state = torch.get_rng_state()
    initialisation = generator(5, Stream.INITIALISATION)
    torch.rand(1000, generator=initialisation)
    torch.rand(1000, generator=generator(5, Stream.DATA_ORDER, 1))
    assert first_values(5, Stream.DATA_ORDER, 2) == untouched
    assert torch.equal(torch.get_rng_state(), state)


def test_neighbouring_streams_are_uncorrelated() -> None:
    samples = torch.stack([torch.randn(20_000, generator=generator(0, Stream.DATA_ORDER, e)) for e in range(20)])
    correlations = torch.corrcoef(samples) - torch.eye(20)
    # 190 pairs of standard deviation 1/sqrt(20,000) = .0071: the largest is 2.9 of them on average.
    assert correlations.abs().max() < 0.035


@pytest.mark.parametrize("place", [(-1, Stream.LABELS), (0, Stream.LABELS, -1)])
def test_negative_numbers_are_refused(place: tuple[int, Stream]) -> None:
    with pytest.raises(ValueError, match="non-negative"):
        generator(*place)


def test_a_global_stream_is_a_function_of_its_place_and_leaves_no_trace() -> None:
    torch.manual_seed(0)
    torch.rand(3)
    before = torch.get_rng_state()
    drawn = []
    for place in ((0, 1), (0, 2), (0, 1)):
        with global_stream(place[0], Stream.MODEL_NOISE, place[1], device=torch.device("cpu")):
            drawn.append(torch.rand(3))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[1])
    with pytest.raises(KeyError), global_stream(0, Stream.MODEL_NOISE):
        torch.rand(3)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_global_stream_on_a_device() -> None:
    device = torch.device("cuda")
    before = torch.cuda.get_rng_state()
    drawn = []
    for _ in range(2):
        with global_stream(0, Stream.MODEL_NOISE, 5, device=device):
            drawn.append(torch.rand(3, device=device))
    assert torch.equal(drawn[0], drawn[1]) and torch.equal(torch.cuda.get_rng_state(), before)
