"""A sink in a process of its own, as a relay has it: without gevent, and it can be killed.

Run as a program it does what it is asked for on its standard input. A request is a line of JSON, and so is its answer.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from patience import PATIENCE

from ssmd import errors
from ssmd.contracts.shard import WHOLE, Shard, parse_shard
from ssmd.contracts.sink import Block, Copied, End, Position, Sink, Traits

ROOT = Path(__file__).parent.parent
ENVIRONMENT = "test"


class Killed(Exception):
    """The process was killed as it was asked to be."""


class SinkProcess:
    """Has the methods of a sink, with the same errors. It connects at once."""

    def __init__(
        self, config: Mapping[str, Any], keys: Mapping[str, str], feed: str = "kalshi", shard: Shard = WHOLE
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        try:
            found = self._ask("open", config=dict(config), keys=dict(keys), feed=feed, shard=str(shard))
        except BaseException:
            self.close()
            raise
        self.traits = Traits(*found["traits"])
        self.most_lines: int = found["most_lines"]
        self.most_bytes: int = found["most_bytes"]

    def _ask(self, what: str, **fields: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"do": what, **fields}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            if self._process.returncode == -signal.SIGKILL:
                raise Killed
            raise AssertionError(f"the process of the sink ended with {self._process.returncode}")
        answer = json.loads(line)
        if "error" in answer:
            raise getattr(errors, answer["error"])(answer["text"])
        return answer["value"]

    def check(self) -> list[str]:
        return self._ask("check")

    def end(self) -> End | None:
        found = self._ask("end")
        return None if found is None else End(Position(*found[0]), *found[1:])

    def resume(self) -> Position | None:
        found = self._ask("resume")
        return None if found is None else Position(*found)

    def send(self, block: Block, kill_at: int | None = None) -> int:
        """Send a block; return how many steps that took: calls of C functions. `kill_at`: the step at which the process
        is killed; Killed is raised then.
        """
        return self._ask("send", block=_encoded(block), kill_at=kill_at)

    def names(self, block: Block) -> list[str]:
        return self._ask("names", block=_encoded(block))

    def copies(self, first_day: str | None = None) -> list[Copied]:
        return [
            Copied(where, day, line, ts, base64.b64decode(payload), name)
            for where, day, line, ts, payload, name in self._ask("copies", first_day=first_day)
        ]

    def pause(self) -> None:
        """Stop the process where it is; resume it with go_on()."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self.close()

    def close(self) -> None:
        """Close the sink, and end the process."""
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()


def _encoded(block: Block) -> dict[str, Any]:
    text = {name: [base64.b64encode(one).decode() for one in getattr(block, name)] for name in ("lines", "payloads")}
    return {**block._asdict(), **text, "found": list(block.found)}


def _decoded(fields: Mapping[str, Any]) -> Block:
    start, end = Position(*fields["start"]), Position(*fields["end"])
    lines, payloads = ([base64.b64decode(one) for one in fields[name]] for name in ("lines", "payloads"))
    found = [(kind, market) for kind, market in fields["found"]]
    return Block(start, end, fields["session"], fields["exchange"], lines, payloads, found)


def _opened(config: Mapping[str, Any], keys: Mapping[str, str], feed: str, shard: str) -> Sink:
    from ssmd.shipping import TRANSPORTS

    kind = TRANSPORTS[config["type"]]
    sink = kind(kind.Config(**config), ENVIRONMENT, "conf").open(feed, parse_shard(shard), keys)
    assert sink is not None
    return sink


class _Steps:
    """Counts the calls of C functions, and kills the process at one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.count = 0
        self._kill_at = kill_at

    def __call__(self, frame: object, event: str, argument: object) -> None:
        if event == "c_call":
            self.count += 1
            if self.count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def _send(sink: Sink, block: Block, kill_at: int | None) -> int:
    steps = _Steps(kill_at)
    sys.setprofile(steps)
    try:
        sink.send(block)
    finally:
        sys.setprofile(None)
    return steps.count


def _copies(sink: Sink, first_day: str | None) -> Sequence[Sequence[Any]]:
    return [[*one[:4], base64.b64encode(one.payload).decode(), one.name] for one in sink.copies(first_day)]


def _done(sink: Sink, request: dict[str, Any]) -> Any:
    match request["do"]:
        case "check":
            return list(sink.check())
        case "end":
            return sink.end()
        case "resume":
            return sink.resume()
        case "send":
            return _send(sink, _decoded(request["block"]), request["kill_at"])
        case "names":
            return list(sink.names(_decoded(request["block"])))
        case "copies":
            return _copies(sink, request["first_day"])
        case other:
            raise AssertionError(other)


def _serve() -> None:
    sink: Sink | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request.pop("do") == "open":
                sink = _opened(**request)
                value: Any = {"traits": sink.traits, "most_lines": sink.most_lines, "most_bytes": sink.most_bytes}
            else:
                assert sink is not None
                value = _done(sink, json.loads(line))
            answer = {"value": value}
        except errors.SsmdError as error:
            # An engine may have kinds of its own.
            name = next(kind.__name__ for kind in type(error).__mro__ if hasattr(errors, kind.__name__))
            answer = {"error": name, "text": str(error)}
        print(json.dumps(answer), flush=True)
    if sink is not None:
        sink.close()


if __name__ == "__main__":
    _serve()
