"""Errors of nats-py, in words for people."""

import errno
import socket

import pytest
from nats import errors

from ssmd.shipping.nats.library import FAILURES, refusal, words


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.Error("nats: 'Authorization Violation'"), "Authorization Violation"),
        (errors.UnexpectedEOF(), "unexpected EOF"),
        (errors.Error(), "Error"),
        (errors.Error("two\r\nlines \x1b[31m"), "two lines  [31m"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 4222)"), "Connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (TimeoutError(), "no answer within 5 s"),
        (AttributeError("'NoneType' object has no attribute 'write'"), "nats-py failed: AttributeError: 'N"),
    ],
)
def test_errors_in_words(error, expected):
    assert isinstance(error, FAILURES)
    assert words(error).startswith(expected)


@pytest.mark.parametrize(
    "text",
    ["Authorization Violation", "user authentication expired", "permissions violation for publish to \"a\""],
)  # fmt: skip
def test_what_a_server_says_of_the_keys(text):
    assert text in str(refusal(text))


@pytest.mark.parametrize("text", ["", "stale connection", "authentication timeout", "maximum connections exceeded"])
def test_what_is_no_word_about_the_keys(text):
    assert refusal(text) is None
