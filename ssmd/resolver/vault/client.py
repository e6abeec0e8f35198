"""One request to Vault and its answer: in time, of bounded size, and never sent to another host."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException, IncompleteRead
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from ssmd.errors import ResolveError, SourceUnavailable, printable
from ssmd.resolver.in_time import disk_in_time, in_time
from ssmd.resolver.key_file import cannot_be_read, kind_of

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection
    from urllib3.response import BaseHTTPResponse

__all__ = ["Answer", "Client", "sendable"]

_MAX_BYTES = 1024 * 1024
"""What Vault keeps under one path is no larger."""
_PIECE_BYTES = 64 * 1024

_SERVER = "the address of the server, such as https://vault.example:8200"
_IS_IT_VAULT = f"set VAULT_ADDR to {_SERVER}"


class Answer(NamedTuple):
    """What Vault has answered."""

    status: int
    content: Mapping[str, Any]
    """Empty when there is none."""

    def get(self, *names: str) -> Any:
        """Return what stands in the answer under these names, one in the other; None when it does not."""
        found: Any = self.content
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def says(self, text: str) -> bool:
        """Return whether a text is in the reasons for a refusal. They may repeat what was sent, so nobody sees them."""
        return text in json.dumps(self.get("errors"))


class Client:
    """Asks the server of VAULT_ADDR. `until`: when all must be done, of the monotonic clock.

    No message contains what was sent, or more of an answer than its status: servers repeat what they receive.
    """

    def __init__(self, environ: Mapping[str, str], until: float) -> None:
        """Raises ResolveError when the variables are wrong."""
        self._address = _address(environ.get("VAULT_ADDR", "").strip())
        self.until = until
        authority = environ.get("VAULT_CACERT", "").strip()
        self._context = _trust(authority, until) if self._address.scheme == "https" else None
        self._headers = {"X-Vault-Request": "true", "Accept": "application/json"}
        if namespace := environ.get("VAULT_NAMESPACE", "").strip():
            if not sendable(namespace):
                raise ResolveError("VAULT_NAMESPACE is no name of a namespace, such as team-a/")
            self._headers["X-Vault-Namespace"] = namespace
        self.server = f"Vault at {printable(self._address.netloc)}"

    @property
    def is_open(self) -> bool:
        """Whether what is sent crosses a network without encryption."""
        host = self._address.hostname or ""
        return self._context is None and not (host == "localhost" or host.startswith("127.") or host == "::1")

    def ask(self, path: str, *, token: str | None = None, body: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a request for a path below /v1/: a GET, or with a body a POST.

        Raises SourceUnavailable when there is no answer, or one that asks for patience; ResolveError when it is none
        of Vault.
        """
        connection = self._connection()
        headers = self._headers | ({"X-Vault-Token": token} if token else {})
        content = None if body is None else json.dumps(body).encode()
        method, url = ("GET" if content is None else "POST"), f"{self._address.path.rstrip('/')}/v1/{path}"
        try:
            return in_time(lambda: self._exchange(connection, method, url, headers, content), self.until)
        except TimeoutError:
            _hang_up(connection)
            raise SourceUnavailable(
                f"{self.server} has not answered in time; check that the server is well"
            ) from None
        except ssl.SSLCertVerificationError as error:
            reason = f"its certificate is not accepted: {error.verify_message}"
            raise ResolveError(
                f"{self.server}: {reason}; name the certificate of its authority in VAULT_CACERT"
            ) from None

    def _connection(self) -> HTTPConnection:
        # Not at the top: only runs with keys in Vault load it.
        from urllib3.connection import HTTPConnection, HTTPSConnection

        host, port = self._address.hostname or "", self._address.port
        timeout = max(0.001, self.until - time.monotonic())
        if self._context is None:
            return HTTPConnection(host, port or 80, timeout=timeout)
        return HTTPSConnection(host, port or 443, timeout=timeout, ssl_context=self._context)

    def _exchange(
        self, connection: HTTPConnection, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError
        from urllib3.exceptions import TimeoutError as TimedOut

        try:
            connection.request(method, url, body, headers, preload_content=False, decode_content=False)
            response = connection.getresponse()
            content = b""
            while len(content) <= _MAX_BYTES and (piece := response.read(_PIECE_BYTES)):
                content += piece
        except ssl.SSLCertVerificationError:
            raise
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            if isinstance(error, TimedOut | TimeoutError) and not isinstance(error, NewConnectionError):
                raise TimeoutError from None
            cause = error.__cause__ or error
            reason = "there is no such host" if isinstance(error, NameResolutionError) else _reason(cause)
            raise SourceUnavailable(
                f"{self.server} cannot be reached: {reason}; check VAULT_ADDR, and that the server is up"
            ) from None
        finally:
            connection.close()
        return self._answer(response, content)

    def _answer(self, response: BaseHTTPResponse, content: bytes) -> Answer:
        status = response.status
        self._require_patience(status)
        if 300 <= status < 400:
            elsewhere = printable(urlsplit(response.headers.get("Location") or "").netloc, 100)
            raise ResolveError(
                f"{self.server} redirects to `{elsewhere}`, to which no token is sent; set VAULT_ADDR to the address "
                "of the active server"
            )
        if len(content) > _MAX_BYTES:
            raise ResolveError(f"{self.server} has answered with more than {_MAX_BYTES} bytes; {_IS_IT_VAULT}")
        try:
            found = json.loads(content or b"{}")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ResolveError(f"{self.server} has answered with something else than JSON; {_IS_IT_VAULT}")
        return Answer(status, found)

    def _require_patience(self, status: int) -> None:
        """Raise SourceUnavailable for an answer after which the same request may succeed later."""
        if status == 503:
            raise SourceUnavailable(f"{self.server} is sealed, or is not ready (503); unseal it")
        if status == 429:
            raise SourceUnavailable(f"{self.server} has too many requests (429); wait, or raise its quota")
        if status == 412 or status in (472, 473) or status >= 500:
            raise SourceUnavailable(f"{self.server} has answered with status {status}; its log says why")


def _address(text: str) -> SplitResult:
    if not text:
        raise ResolveError(f"VAULT_ADDR is not set; set it to {_SERVER}")
    try:
        found = urlsplit(text)
        well_formed = found.port != 0 and found.scheme in ("http", "https") and bool(found.hostname)
    except ValueError:
        well_formed = False
    if not well_formed or "@" in text or found.query or found.fragment or not sendable(text):
        raise ResolveError(f"VAULT_ADDR is no address of a server; set it to {_SERVER}")
    return found


def _trust(authority: str, until: float) -> ssl.SSLContext:
    """Return which servers are trusted: those of an authority whose certificate is in a file, or of the system's."""
    try:
        return disk_in_time(lambda: ssl.create_default_context(cafile=authority or None), until)
    except FileNotFoundError:
        raise ResolveError("VAULT_CACERT names a file that does not exist") from None
    except ssl.SSLError:
        raise ResolveError("VAULT_CACERT names a file that is no certificate in PEM form") from None
    except OSError as error:
        raise kind_of(error)(f"VAULT_CACERT names a file that {cannot_be_read(error)}") from None


def sendable(text: str) -> bool:
    """Return whether a text may stand in the head of a request: visible ASCII characters."""
    return all("!" <= letter <= "~" for letter in text)


def _reason(error: BaseException) -> str:
    """Return why there was no answer, without any text of the server."""
    if isinstance(error, ssl.SSLError):
        return "it does not speak TLS" if error.reason == "WRONG_VERSION_NUMBER" else "the TLS handshake has failed"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it has hung up" if isinstance(error, ConnectionError | IncompleteRead) else "its answer is not HTTP"


def _hang_up(connection: HTTPConnection) -> None:
    """End a connection on which a thread still waits, which then closes it."""
    if isinstance(connection.sock, socket.socket):
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
