"""Turns what botocore raises into errors of ssmd: one sentence each, with what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError

from ssmd.bucket.address import Address
from ssmd.errors import ConfigError, EngineAuthError, EngineError, EngineMismatch, SsmdError, printable

__all__ = ["Failures", "code_of"]

_REFUSED = {
    "AuthorizationHeaderMalformed": "the region is another one; set `region` to that of the bucket",
    "AccessDenied": "these credentials may not do this; allow them s3:GetObject, s3:PutObject, s3:DeleteObject, "
    "s3:AbortMultipartUpload and s3:ListBucket",
    "AllAccessDisabled": "all access to it is disabled; ask the owner of the account",
    "AccountProblem": "there is a problem with the account; ask its owner",
    "ExpiredToken": "the session token has expired; get a new one",
    "ExpiredTokenException": "the session token has expired; get a new one",
    "InvalidAccessKeyId": "the server does not know the access key id; give the right key",
    "InvalidToken": "the session token is wrong; get a new one",
    "SignatureDoesNotMatch": "the secret access key is wrong; give the right key",
    "TokenRefreshRequired": "the session token has expired; get a new one",
}
"""The codes of errors with which the same request fails again, and what to do:
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""

_MISFIT = {
    "InvalidBucketName": "no bucket can have this name; correct `bucket`",
    "NoSuchBucket": "there is no such bucket; create it, or correct `bucket` or `region`",
    "PermanentRedirect": "the bucket is in another region; correct `region`",
    "NotImplemented": "the server does not know such a request, as a PUT with `If-None-Match: *`; use another server",
    "KeyTooLongError": "the name is too long for the server; set a shorter `prefix`",
    "EntityTooLarge": "the object is too large for the server; raise its limit",
    "InvalidObjectState": "the object is in an archive; restore it there first",
    "ObjectLocked": "the object is locked; ask the owner of the bucket",
}

_PASSING = {
    "RequestTimeTooSkewed": "the clocks of this host and of the server differ too much; set the clock right",
    "RequestExpired": "the clocks of this host and of the server differ too much; set the clock right",
    "SlowDown": "the server asks for fewer requests; a later attempt may succeed",
    "QuotaExceeded": "the bucket is full; raise its quota, or remove something",
    "XMinioStorageFull": "the server's disk is full; free some space there",
    "StorageFull": "the server's disk is full; free some space there",
}

_FORBIDDEN = 403
_NOT_FOUND = 404

_UNREACHABLE: tuple[tuple[type[Exception], str], ...] = (
    (aws.SSLError, "TLS fails"),
    (aws.ProxyConnectionError, "the proxy cannot be reached"),
    (aws.ConnectTimeoutError, "no connection in time"),
    (aws.ReadTimeoutError, "no answer in time"),
    (aws.EndpointConnectionError, "cannot connect"),
    (aws.ConnectionClosedError, "the connection was closed"),
    (aws.HTTPClientError, "the connection failed"),
    (aws.ResponseStreamingError, "the answer was cut off"),
    (aws.IncompleteReadError, "the answer was cut off"),
)

_SETTINGS = (
    aws.InvalidRegionError,
    aws.NoRegionError,
    aws.ProfileNotFound,
    aws.ConfigNotFound,
    aws.ConfigParseError,
    aws.InvalidConfigError,
    aws.InvalidS3AddressingStyleError,
    aws.UnsupportedS3ConfigurationError,
    aws.InvalidProxiesConfigError,
    aws.EndpointProviderError,
    aws.ParamValidationError,
)

_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role, or name a key of the type `s3`"


def code_of(error: ClientError) -> tuple[str, int]:
    """Return the code of an error that the server has returned, and the status of its answer."""
    answer = error.response
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return str(answer.get("Error", {}).get("Code", "")), int(status)


class Failures:
    """Turns errors of requests to a bucket into errors of ssmd. `hidden`: what no message may show."""

    def __init__(self, address: Address, endpoint: Callable[[], str], hidden: Iterable[str]) -> None:
        self._address = address
        self._endpoint = endpoint
        self._hidden = tuple(hidden)

    @contextmanager
    def around(self, what: str = "") -> Iterator[None]:
        """Raise only errors of ssmd. `what`: the object that the request is about."""
        try:
            yield
        except ClientError as error:
            raise self._refused(error, what) from None
        except BotoCoreError as error:
            raise self._failed(error) from None
        except OSError as error:
            if error.filename is not None:  # A file of this host, which the caller explains.
                raise
            reason = printable(error.strerror or str(error))
            raise EngineError(f"{self._address}: {reason}; a later attempt may succeed") from None

    @contextmanager
    def around_settings(self) -> Iterator[None]:
        """Raise only errors of ssmd while the client is made, which sends no request."""
        try:
            with self.around():
                yield
        except ValueError as error:
            raise self._wrong_settings(error) from None

    def _refused(self, error: ClientError, what: str) -> SsmdError:
        code, status = code_of(error)
        place = f"{self._address}/{what}" if what else str(self._address)
        said = printable(str(error.response.get("Error", {}).get("Message", "")), hidden=self._hidden).rstrip(".")
        for codes, kind in ((_REFUSED, EngineAuthError), (_MISFIT, EngineMismatch), (_PASSING, EngineError)):
            if code in codes:
                return kind(f"{place}: {codes[code]} ({code})")
        answer = f"{status} {printable(code)}".strip()
        if status in (401, _FORBIDDEN):
            return EngineAuthError(f"{place}: {_REFUSED['AccessDenied']} ({answer})")
        if status == _NOT_FOUND:
            # It was there when the bucket was listed: an uploader removes segments of days that are complete.
            reason = f"there is no such object ({answer}), or not any longer"
            return EngineError(f"{place}: {reason}; a later attempt may succeed")
        remedy = "a later attempt may succeed" if status >= 500 or not status else "look into the server's log"
        return EngineError(f"{place}: the server answers {answer}{f', {said}' if said else ''}; {remedy}")

    def _failed(self, error: Exception) -> SsmdError:
        if isinstance(error, aws.NoCredentialsError | aws.PartialCredentialsError):
            return EngineAuthError(f"{self._address}: there are no credentials for it; {_CREDENTIALS}")
        if isinstance(error, aws.CredentialRetrievalError | aws.SSOError | aws.MetadataRetrievalError):
            return EngineAuthError(f"{self._address}: finding credentials failed: {self._text(error)}; {_CREDENTIALS}")
        if isinstance(error, _SETTINGS):
            return self._wrong_settings(error)
        for kind, text in _UNREACHABLE:
            if isinstance(error, kind):
                remedy = "check that the endpoint is right and the server works"
                if kind is aws.SSLError:
                    remedy = "for an authority of your own, set `storage.ca_file`, or AWS_CA_BUNDLE, to its certificate"
                return EngineError(f"{self._address}: {self._endpoint()}: {text}{self._cause(error)}; {remedy}")
        return EngineError(f"{self._address}: {self._text(error)}; a later attempt may succeed")

    def _wrong_settings(self, error: Exception) -> ConfigError:
        return ConfigError(f"{self._address}: {self._text(error)}; correct the region, the endpoint or the bucket")

    def _cause(self, error: Exception) -> str:
        """Return what is behind an error of the connection, such as a name that does not resolve."""
        cause: object = getattr(error, "kwargs", {}).get("error")
        text = str(getattr(cause, "reason", None) or cause or "")
        reason = re.sub(r".*\[Errno -?[0-9]+\] ", "", text, flags=re.DOTALL)
        return f" ({self._shown(reason)})" if reason else ""

    def _text(self, error: Exception) -> str:
        return self._shown(str(error).replace("\n", " ")).rstrip(".")

    def _shown(self, text: str) -> str:
        return printable(text, hidden=self._hidden)
