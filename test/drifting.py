"""Messages of a made-up exchange, and changes of their shape that are planted in them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ssmd.shape.learned import ShapeLearner
from ssmd.shape.shape import TypeShape

Message = dict[str, Any]

__all__ = ["PLANTED", "Planted", "learned", "messages"]


class Planted(NamedTuple):
    """A change, and what is to be reported of it."""

    change: Callable[[Message], Message]
    """Changes a message, of any type."""
    reported: list[tuple[str, str, str, str, str]]
    """Kind, type, path, what it was, what it is now."""


def messages(count: int, seed: int = 1) -> Iterator[Message]:
    """Yield messages of the types `quote`, `trade` and, rarely, `note`. Some fields are optional or rare, have the
    values of an enumeration, or have objects whose keys are markets.
    """
    some = random.Random(seed)
    for seq in range(1, count + 1):
        market = f"MKT-{some.randrange(40)}.{some.randrange(10)}"
        if seq % 10 == 0:
            body: Message = {
                "market": market,
                "price": f"{some.random():.4f}",
                "count": some.randrange(1, 9),
                "taker": {"side": some.choice(["buy", "sell"]), "fee": f"{some.random():.2f}", "id": some.randrange(9)},
                "settled": None,
            }
            if some.random() < 0.3:
                body["tag"] = some.choice(["block", "", None])
            yield {"type": "trade", "seq": seq, "msg": body}
        elif seq % 997 == 0:
            yield {"type": "note", "msg": {"text": "maintenance at noon", "at": "2026-01-31T10:00:00Z"}}
        else:
            levels = [
                {"price": f"{some.random():.4f}", "size": some.randrange(1, 500)} for _ in range(some.randrange(1, 5))
            ]
            body = {
                "market": market,
                "bids": levels,
                "depth": {f"MKT-{some.randrange(400)}": 1.5},
                "volume": round(some.random() * 100, 1),
                "open": some.random() < 0.5,
                "phase": some.choice(["pre", "open", "closed"]),
                "ts": f"2026-01-31T10:00:00.{some.randrange(1_000_000):06}Z",
            }
            yield {"type": "quote", "seq": seq, "msg": body}


def _in_body(type: str, change: Callable[[Message], object]) -> Callable[[Message], Message]:
    """Return what changes the body of the messages of a type."""

    def changed(message: Message) -> Message:
        if message["type"] == type:
            change(message["msg"])
        return message

    return changed


def _renamed(body: Message) -> None:
    body["instrument"] = body.pop("market")


PLANTED = {
    "new type": Planted(
        lambda message: {**message, "type": "trade2"} if message["type"] == "trade" else message,
        [("new_type", "trade2", "", "", "")],
    ),
    "new field": Planted(
        _in_body("quote", lambda body: body.update(spread="0.01")),
        [("new_field", "quote", "msg.spread", "", "decimal text")],
    ),
    "new field with a short name": Planted(
        _in_body("trade", lambda body: body.update(fee=None)), [("new_field", "trade", "msg.fee", "", "null")]
    ),
    "new field, nested": Planted(
        _in_body("trade", lambda body: body["taker"].update(agent={"name": "A", "rank": 1})),
        [("new_field", "trade", "msg.taker.agent", "", "object")],
    ),
    "new field in the items of an array": Planted(
        _in_body("quote", lambda body: [level.update(orders=2) for level in body["bids"]]),
        [("new_field", "quote", "msg.bids[].orders", "", "integer")],
    ),
    "text to number": Planted(
        _in_body("trade", lambda body: body.update(price=float(body["price"]))),
        [("retyped", "trade", "msg.price", "decimal text", "number")],
    ),
    "decimal to integer": Planted(
        _in_body("trade", lambda body: body.update(price="37")),
        [("retyped", "trade", "msg.price", "decimal text", "integer text")],
    ),
    "null to object": Planted(
        _in_body("trade", lambda body: body.update(settled={"at": "noon"})),
        [("retyped", "trade", "msg.settled", "null", "object")],
    ),
    "integer to text in an array": Planted(
        _in_body("quote", lambda body: [level.update(size=str(level["size"])) for level in body["bids"]]),
        [("retyped", "quote", "msg.bids[].size", "integer", "integer text")],
    ),
    "object to array": Planted(
        _in_body("trade", lambda body: body.update(taker=[body["taker"]])),
        [("retyped", "trade", "msg.taker", "object", "array")],
    ),
    "vanished": Planted(
        _in_body("quote", lambda body: body.pop("volume")), [("vanished", "quote", "msg.volume", "number", "")]
    ),
    "vanished, nested": Planted(
        _in_body("trade", lambda body: body["taker"].pop("fee")),
        [("vanished", "trade", "msg.taker.fee", "decimal text", "")],
    ),
    "vanished with all that is in it": Planted(
        _in_body("trade", lambda body: body.pop("taker")), [("vanished", "trade", "msg.taker", "object", "")]
    ),
    "renamed": Planted(
        _in_body("quote", _renamed),
        [("new_field", "quote", "msg.instrument", "", "text"), ("vanished", "quote", "msg.market", "text", "")],
    ),
}
"""By what it is."""


def learned(found: list[Message], *, exact: bool = False, block: int = 1000) -> dict[str, TypeShape]:
    """Return the shapes of messages, as sealing a day learns them."""
    learner = ShapeLearner(exact=exact)
    for at in range(0, len(found), block):
        some = found[at : at + block]
        learner.add([json.dumps(one).encode() for one in some], [one["type"] for one in some], at)
    return learner.types()
