"""TLS through memory: this file reads the socket and writes to it, and OpenSSL decrypts and encrypts in memory.

An exchange sends one message in each record. When OpenSSL reads from the socket itself, it makes two system calls for
each record. Here one read takes all that has arrived, some hundred records, and OpenSSL gets them in memory.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

from ssmd.connector.timed_socket import Receiver, TimedSocket

__all__ = ["TlsSocket"]

RAW_BYTES = 64 * 1024
"""The most that one read of the socket takes, and so the most that waits in memory to be decrypted."""


class TlsSocket(Receiver):
    """The client's end of a TLS connection over `sock`.

    The constructor makes the handshake. `context` decides which certificates are trusted, and the certificate must be
    for `host`. It raises ssl.SSLError and OSError, and leaves the socket open. One greenlet may receive while others
    send.
    """

    def __init__(self, sock: TimedSocket, context: ssl.SSLContext, host: str) -> None:
        self._sock = sock
        self._timeout = sock.gettimeout()
        self.wait_while, self.wait_briefly = sock.wait_while, sock.wait_briefly
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        # Saves a call for each record: SSLObject.read() only calls this one. The attribute is private; without it, the
        # public method is used. Tried up to Python 3.13.
        self._read: Any = getattr(self._tls, "_sslobj", self._tls).read
        self._raw = memoryview(bytearray(RAW_BYTES))
        self._may_have_more = False
        self._failure: OSError | None = None
        self._unsent = b""
        self._sending = False
        self._shake_hands()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._in_time(self._receive)
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush(self._timeout)  # The alert that says why.
                raise
            else:
                return self._flush(self._timeout)

    def recv_now(self, view: memoryview) -> int:
        """Fill the view with all that has arrived; return its bytes, 0 at the end of the stream.

        The end of the stream is an end even without TLS's own close_notify (a ragged end): WebSocket has its close
        frame. Raises BlockingIOError when nothing is there, and the errors of the socket and of TLS, all of them after
        what arrived before.
        """
        if self._failure is not None:
            raise self._failure
        read, size, filled = self._read, len(view), 0
        try:
            while filled < size:
                try:
                    count = read(size - filled, view[filled:])  # One record, or the rest of one.
                except ssl.SSLWantReadError:
                    # All of the last socket read is decrypted. There may be more only if that read was a full one.
                    if filled and not self._may_have_more:
                        break
                    self._receive()
                    continue
                if not count:
                    self._expect_nothing()
                    break  # The end: the next call finds it again.
                filled += count
        except ssl.SSLEOFError:
            pass
        except OSError as error:
            if not filled:
                raise
            if not isinstance(error, BlockingIOError):
                self._failure = error
                self._expect_nothing()
        return filled

    def _expect_nothing(self) -> None:
        """Let no wait begin any more: how this ends is known, and the socket may be quiet from now on."""
        self.wait_while = lambda until, work: work()
        self.wait_briefly = lambda work: work()

    def _receive(self) -> None:
        """Read what has arrived into the memory that OpenSSL decrypts from, which must be empty. Raises
        BlockingIOError when there is nothing.
        """
        # To be sent are the handshake, what OpenSSL sends on its own, and the rest of a send. Even if that is not
        # possible now, what the exchange has sent can be read.
        with contextlib.suppress(OSError):
            self._flush(0.0)
        count = self._sock.recv_now(self._raw)
        if count:
            self._incoming.write(self._raw[:count])
        else:
            self._incoming.write_eof()
        self._may_have_more = count == RAW_BYTES

    def send(self, data: bytes) -> int:
        """Encrypt all of it, and send it unless another greenlet is just sending: then that one does. Returns its
        length.
        """
        count = self._tls.write(data)
        self._flush(self._timeout)
        return count

    def _flush(self, timeout: float | None) -> None:
        """Send what is encrypted, in order, whichever greenlet has written it.

        What a timeout or an error leaves unsent is kept for the next call: a record must not be cut.
        """
        if self._sending:
            return
        self._sending = True
        try:
            while self._unsent or self._outgoing.pending:
                self._unsent = self._unsent or self._outgoing.read()
                self._sock.settimeout(timeout)  # Each time, since a greenlet that receives meanwhile sets another.
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
        finally:
            self._sending = False

    def shutdown(self, how: int) -> None:
        """End the TCP connection. What has arrived can still be received."""
        self._sock.shutdown(how)

    def close(self) -> None:
        self._sock.close()
