"""The paths of fields in JSON documents."""

from __future__ import annotations

import pytest

from ssmd.field_path import EVERY, parse_path


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("at", ("at",)),
        ("data.trades[0].time", ("data", "trades", 0, "time")),
        ("[1][0][2]", (1, 0, 2)),
        ("x-y z.ü", ("x-y z", "ü")),
    ],
)
def test_a_path_has_names_and_places(text, steps):
    assert parse_path(text).steps == steps


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "[x]", "a[", "a]", "[1]a", "[-1]", "[99999999999]", "a\ud800"]
)
def test_what_is_no_path_is_refused(text):
    with pytest.raises(ValueError, match="is not the path of a field"):
        parse_path(text)


def test_a_path_is_not_deeper_than_any_message():
    assert len(parse_path(".".join(["a"] * 100)).steps) == 100
    with pytest.raises(ValueError, match=r"has 101 steps; a path has at most 100"):
        parse_path(".".join(["a"] * 101))


def test_a_path_to_every_item_is_one_only_where_it_is_allowed():
    assert parse_path("args[*].channel", every=True).steps == ("args", EVERY, "channel")
    with pytest.raises(ValueError, match="is not the path of a field"):
        parse_path("args[*].channel")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("$.result.channel", "write it without the `$`: result.channel"),
        ("$[0].type", r"write it without the `$`: \[0\].type"),
        ("/result/channel", "write it with dots: result.channel"),
        ("/data/0/s", r"write it with dots: data\[0\].s"),
        ("${message.id}", "a path has no placeholders, only names of fields"),
        ("$", r"write it like data.trades\[0\].time"),
        ("$.", r"write it like data.trades\[0\].time"),
        ("/", r"write it like data.trades\[0\].time"),
    ],
)
def test_a_path_of_another_language_is_refused_with_the_remedy(text, remedy):
    with pytest.raises(ValueError, match=f"is not the path of a field; {remedy.replace('$', '[$]')}"):
        parse_path(text)


def test_a_field_may_have_a_dollar_in_its_name():
    assert parse_path("$type").steps == ("$type",)
