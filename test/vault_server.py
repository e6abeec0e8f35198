"""A real server of OpenBao, which answers as Vault does, in memory and on this host."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ports import free_port

PROGRAM = Path(sys.executable).with_name("bao")
"""Installed for the tests by requirements.txt beside this file."""

SECONDS = 30.0


class VaultServer:
    """`bao server -dev`: unsealed, with a store of version 2 at `secret/` and a token that may do everything.

    `tls`: with a certificate of an authority of its own, which is in the file `authority`.
    """

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self.root = f"root-{uuid.uuid4().hex}"
        port = free_port()
        self.address = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self.authority = folder / "vault-ca.pem"
        options = ["-dev-tls", f"-dev-tls-cert-dir={folder}"] if tls else ["-dev"]
        options += [f"-dev-root-token-id={self.root}", f"-dev-listen-address=127.0.0.1:{port}", "-dev-no-store-token"]
        self._log = folder / "bao.log"
        with self._log.open("wb") as log:
            environ = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
            self._process = subprocess.Popen([PROGRAM, "server", *options], stdout=log, stderr=log, env=environ)
        self._context: ssl.SSLContext | None = None
        self._until_it_answers(tls)

    def _until_it_answers(self, tls: bool) -> None:
        until = time.monotonic() + SECONDS
        while True:
            try:
                if tls and self._context is None:
                    self._context = ssl.create_default_context(cafile=self.authority)
                if self.call("GET", "secret/config")[0] == 200:
                    return
            except OSError:
                pass
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.05)

    @property
    def environ(self) -> dict[str, str]:
        """The variables with which Vault's own tools reach it."""
        found = {"VAULT_ADDR": self.address, "VAULT_TOKEN": self.root}
        return found | ({"VAULT_CACERT": str(self.authority)} if self._context else {})

    def call(
        self, method: str, path: str, body: Any = None, token: str | None = None, namespace: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the content of an answer, with a token, that of the root by default."""
        headers = {"X-Vault-Token": self.root if token is None else token, "X-Vault-Namespace": namespace}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/v1/{path}", content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS, context=self._context) as response:
                return response.status, json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def do(self, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
        """Post a body to a path, which must succeed; return the answer."""
        status, content = self.call("POST", path, body or {}, **options)
        assert status < 300, (path, status, content)
        return content

    def put(self, path: str, values: Mapping[str, Any], **options: Any) -> None:
        """Write a secret of the store at `secret/`: a new version of it."""
        self.do(f"secret/data/{path}", {"data": values}, **options)

    def token(self, policy: str = "", **options: Any) -> str:
        """Return a new token with the policy of this text, and the default one."""
        name = f"p{uuid.uuid4().hex}"
        self.do(f"sys/policies/acl/{name}", {"policy": policy or "# nothing"})
        created = self.do("auth/token/create", {"policies": [name], **options})
        return str(created["auth"]["client_token"])

    @property
    def log(self) -> str:
        return self._log.read_text()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
