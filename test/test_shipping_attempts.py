import threading

import pytest

from ssmd.errors import EngineAuthError, EngineError, EngineMismatch
from ssmd.shipping.attempts import Attempts
from ssmd.shipping.plan import RelayState


def attempts(*errors: EngineError | None, once: bool = False) -> tuple[Attempts, RelayState, list[str]]:
    """Return what makes attempts, which fail with these errors in turn, and what happens."""
    state, happened = RelayState(up=True), []
    found = Attempts(state, threading.Event(), once=once, pause_seconds=(0.0, 0.0))
    left = list(errors)

    def attempt() -> None:
        happened.append("attempt")
        if error := left.pop(0):
            raise error

    found.run(attempt, lambda: happened.append("failed"))
    return found, state, happened


def test_it_goes_on_until_an_attempt_succeeds():
    _, state, happened = attempts(EngineError("one"), EngineError("two"), None)
    assert happened == ["attempt", "failed", "attempt", "failed", "attempt"]
    assert (state.failures, state.error, state.up) == (2, "two", False)


@pytest.mark.parametrize("error", [EngineAuthError("no"), EngineMismatch("no")])
def test_what_would_fail_again_is_raised(error):
    with pytest.raises(type(error)):
        attempts(error)


def test_once_raises_the_first_failure():
    with pytest.raises(EngineError, match="one"):
        attempts(EngineError("one"), once=True)


def test_the_pause_doubles_until_something_is_acknowledged():
    found = Attempts(RelayState(), stopped := threading.Event(), once=False, pause_seconds=(0.5, 1.0))
    stopped.set()
    for expected in (1.0, 1.0):
        found._wait(lambda: None)
        assert found._pause == expected
    found.succeeded()
    assert found._pause == 0.5
