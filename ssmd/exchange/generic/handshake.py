"""How one connection is opened: URL, headers and the request before it, with placeholders filled in. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ssmd.contracts.exchange import Opening
from ssmd.contracts.http import HttpRequest
from ssmd.errors import ConnectError
from ssmd.exchange.generic.description import Description, Prepare
from ssmd.exchange.generic.template import KEY, TemplateError, Values, fill, fill_url, placeholders_of, sent
from ssmd.field_path import value_at

__all__ = ["Handshake"]


_ESCAPE = re.compile("%[0-9A-F]{2}")
_ADDRESS = re.compile(r"wss?://[^?@]*")


class Handshake:
    """`keys`: the values of the key fields by name."""

    def __init__(self, description: Description, keys: Mapping[str, str]) -> None:
        self._description = description
        self._keys = keys
        self._prepared: dict[str, Any] = {}
        self._headers: Collection[str] = ()
        self.now_ms = 0
        """When the connection was begun, Unix ms."""

    def values(self, now_ms: int, message: Any = None) -> Values:
        """Return the values of placeholders at this time; `message`: the one that is replied to."""
        return Values(now_ms, self._keys, self._prepared, message)

    def hidden(self) -> Collection[str]:
        """Return what no log may show: the values of keys, of headers and of the answer to `prepare`, in every form.

        An address in the answer is no secret, and people have to see where ssmd connects to.
        """
        prepared = [str(value) for value in self._prepared.values() if not _ADDRESS.fullmatch(str(value))]
        secrets = {value for value in (*self._keys.values(), *self._headers, *prepared) if value}
        return {form for secret in secrets for form in _writings(secret)}

    def prepare(self, now_ms: int) -> HttpRequest | None:
        self.now_ms = now_ms
        request = self._description.prepare
        if request is None:
            return None
        values = self.values(now_ms)
        try:
            headers = _headers(request.headers, values)
            body = None if request.body is None else sent(fill(request.body, values))
            url = fill_url(request.url, values)
        except ValueError as error:
            raise ConnectError(f"the request of `prepare` cannot be made: {error}") from None
        self._headers = headers.values()
        signed = _uses_keys([request.url, dict(request.headers), request.body])
        return HttpRequest(request.method, url, headers, body, self.hidden(), signed)

    def prepared(self, answer: bytes) -> None:
        request = self._description.prepare
        if request is not None:
            self._prepared = dict(_taken(request, answer))

    def opening(self, endpoint: str, now_ms: int) -> Opening:
        self.now_ms = now_ms
        description, values = self._description, self.values(now_ms)
        try:
            headers = _headers(description.headers, values)
            url = fill_url(endpoint, values)
        except ValueError as error:
            raise ConnectError(f"the connection cannot be opened: {error}") from None
        self._headers = [value for name, value in headers.items() if "${" in description.headers[name]]
        signed = _uses_keys([endpoint, dict(description.headers)])
        return Opening(url, headers, description.subprotocol, description.decompress, self.hidden(), signed)


def _headers(headers: Mapping[str, str], values: Values) -> dict[str, str]:
    filled = {name: fill(value, values) for name, value in headers.items()}
    found = {name: value if isinstance(value, str) else json.dumps(value) for name, value in filled.items()}
    for name, value in found.items():
        if not value.isprintable():
            raise TemplateError(f"the header {name} would have a character that no header can have, such as a line end")
    return found


def _uses_keys(templates: Any) -> bool:
    return any(placeholder.kind == KEY for placeholder in placeholders_of(templates))


def _taken(request: Prepare, answer: bytes) -> Iterator[tuple[str, Any]]:
    """Yield what is taken from the answer to `prepare`. Raises ConnectError."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        raise ConnectError("the answer to the request of `prepare` is not JSON") from None
    for name, path in request.take.items():
        try:
            value = value_at(document, path)
        except LookupError:
            value = None
        if isinstance(value, dict | list) or value in (None, ""):
            missing = f"no text or number at `{path}`, which `take` names for {name}"
            raise ConnectError(f"the answer to the request of `prepare` has {missing}")
        yield name, value


def _writings(secret: str) -> Iterator[str]:
    """Yield a secret as it may stand in a text: as it is, in JSON, and in a URL."""
    yield secret
    in_json, in_url = json.dumps(secret)[1:-1], quote(secret, safe="", errors="replace")
    yield in_json
    yield in_json.replace("/", "\\/")  # As PHP writes it.
    yield in_url
    yield _ESCAPE.sub(lambda escape: escape[0].lower(), in_url)
