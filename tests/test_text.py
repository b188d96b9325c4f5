"""Suggestions, lists, values and errors in one line."""

from __future__ import annotations

import pytest

from nc_bench.text import did_you_mean, first_line, listed, markdown, one_line, shortened, shown


def test_a_near_name_is_suggested_and_a_far_one_is_not() -> None:
    assert did_you_mean("trian", ["sweep", "train"]) == "did you mean 'train'?"
    assert did_you_mean("colour", ["sweep", "train"]) == ""
    assert did_you_mean(["mlp"], ["mlp", "resnet18"]) == "did you mean 'mlp'?"


def test_at_most_so_many_names_are_suggested() -> None:
    known = ["decay_mse", "decay_bias", "decay_rows", "radius"]
    assert did_you_mean("decay_mse_", known) == "did you mean 'decay_mse'?"
    assert did_you_mean("decay_", known, most=2).count("'") == 4
    assert " or " in did_you_mean("decay_", known, most=2)


@pytest.mark.parametrize(
    ("parts", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_parts_are_listed(parts: list[str], text: str) -> None:
    assert listed(parts) == text
    assert listed(parts, " or ") == text.replace(" and ", " or ")


def test_a_value_is_shown_as_yaml_writes_it() -> None:
    assert [shown(value) for value in (None, True, 0.5, "yes", "mlp", [1, 2], {"a": 1})] == [
        "null",
        "true",
        "0.5",
        "'yes'",
        "mlp",
        "[1, 2]",
        "{a: 1}",
    ]
    assert len(shown("x" * 1000)) == 60


def test_a_long_text_is_cut_to_its_length() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abc..."


def test_an_error_is_one_line() -> None:
    error = RuntimeError("\n  no compiler\n\nfound here")
    assert first_line(error) == "no compiler"
    assert one_line(error) == "no compiler found here"
    assert first_line(KeyboardInterrupt()) == one_line(KeyboardInterrupt()) == "KeyboardInterrupt"


@pytest.mark.parametrize(
    "given, expected",
    [
        ("a|b", r"a\|b"),
        ("a\nb\t c", "a b c"),
        ("<i> & </i>", "&lt;i&gt; &amp; &lt;/i&gt;"),
        ("snake_case and _emphasis_", r"snake_case and \_emphasis\_"),
        ("[0.9, 1] of [a](b) and [c]: d", r"[0.9, 1] of [a\](b) and [c\]: d"),
        ("2*3 `x` $y$ ~z~ \\", r"2\*3 \`x\` \$y\$ \~z\~ \\"),
        ("\x1b[2J\u202ex", "\ufffd[2J\ufffdx"),
        ("é 日本 שלום", "é 日本 שלום"),
    ],
)
def test_markdown_shows_text_as_it_is(given: str, expected: str) -> None:
    assert markdown(given) == expected
