"""Every claim holds, by solvers that never see the theory; and a wrong theory is found, by the command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from types import ModuleType

import pytest
from ball_slips import QUICK_BALL_SLIPS
from claim_slips import QUICK_SLIPS, SLOW_SLIPS, THEORY_MODULES, Mutation
from free_slips import QUICK_FREE_SLIPS, SLOW_FREE_SLIPS
from paper_slips import QUICK_PAPER_SLIPS, SLOW_PAPER_SLIPS

from nc_bench import verify
from nc_bench.claims import (
    ball_losses,
    ball_variants,
    catalogue,
    certificate,
    codes,
    cross_entropy,
    decay,
    deep_linear,
    feature_sets,
    final_layer,
    frozen_head,
    gradient_flow,
    hulls,
    imbalance,
    laws,
    least_head,
    mean_field,
    mixup,
    narrow,
    nonnegative,
    output_sets,
    penultimate,
    seli,
    squared_error,
    three_neurons,
    two_layer,
    unequal_weights,
)
from nc_bench.claims.claim import Claim, check
from nc_bench.theory import dispatch

QUICK = (
    *(cross_entropy, output_sets, least_head, hulls),
    *(final_layer, penultimate, nonnegative, decay, frozen_head, seli, three_neurons),
    *(gradient_flow, mixup, codes, certificate),
    *(narrow, unequal_weights, ball_losses, feature_sets),
)
SLOW = (imbalance, two_layer, mean_field, laws, ball_variants, squared_error, deep_linear)
quick_slips, slow_slips = (
    [*QUICK_SLIPS, *QUICK_FREE_SLIPS, *QUICK_PAPER_SLIPS, *QUICK_BALL_SLIPS],
    [*SLOW_SLIPS, *SLOW_FREE_SLIPS, *SLOW_PAPER_SLIPS],
)


def slow(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


Obtained = Callable[[ModuleType], dict[str, float]]


@pytest.mark.parametrize("topic", [*QUICK, *map(slow, SLOW)], ids=lambda topic: topic.__name__.rpartition(".")[2])
def test_the_claims_hold_and_their_solvers_never_ask_the_theory(topic: ModuleType, obtained: Obtained) -> None:
    outcomes = [check(claim) for claim in solved(topic, obtained)]
    assert [outcome.name for outcome in outcomes if not outcome.holds] == []


def solved(topic: ModuleType, obtained: Obtained) -> list[Claim]:
    """The claims of a topic with the numbers that they obtain in the place of their solvers."""
    numbers = obtained(topic)
    return [replace(claim, obtained=partial(numbers.__getitem__, claim.name)) for claim in topic.claims()]


@pytest.fixture
def mutated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mutation]:
    """The theory with one slip: every module that uses a function of the changed source uses the changed one."""
    mutation: Mutation = request.param
    source = inspect.getsource(mutation.module)
    originals = dict(vars(mutation.module))
    changed = dict(originals)
    exec(compile(source.replace(mutation.right, mutation.wrong), mutation.module.__file__ or "", "exec"), changed)
    own: list[tuple[str, Callable[..., object]]] = [
        (name, value)
        for name, value in changed.items()
        if inspect.isfunction(value) and value.__module__ == mutation.module.__name__
    ]
    for name, value in own:
        for user in THEORY_MODULES:
            if getattr(user, name, None) is originals[name]:
                monkeypatch.setattr(user, name, value)
        if name in dispatch.SETTINGS:
            monkeypatch.setitem(dispatch.SETTINGS, name, value)
    yield mutation


def test_every_slip_changes_one_place_of_its_module() -> None:
    for mutation in (*quick_slips, *slow_slips):
        places = inspect.getsource(mutation.module).count(mutation.right)
        assert places == 1, f"{mutation.right!r} stands {places} times in {mutation.module.__name__}"


@pytest.mark.parametrize("mutated", [*quick_slips, *map(slow, slow_slips)], indirect=True, ids=str)
def test_a_slip_in_the_theory_makes_verify_fail(
    mutated: Mutation, obtained: Obtained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (topic,) = [topic for topic in (*QUICK, *SLOW) if mutated.claim in {claim.name for claim in topic.claims()}]
    monkeypatch.setattr(catalogue, "claims", lambda: solved(topic, obtained))
    assert verify.main(["--only", mutated.claim]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["0 of 1 claims hold", f"fails: {mutated.claim}"]


def test_a_slip_is_made_for_every_setting_and_claim_that_exists() -> None:
    slips = [*quick_slips, *slow_slips]
    assert {slip.claim for slip in slips} <= {claim.name for claim in catalogue.claims()}
    assert {slip.module for slip in slips} == set(THEORY_MODULES) - {dispatch}
