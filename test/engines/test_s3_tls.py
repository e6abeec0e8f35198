"""A bucket of a server whose certificate is of a private authority. In front of the real server, a proxy speaks TLS."""

from __future__ import annotations

import tempfile
from pathlib import Path

import gevent
import pytest
from exchange_server import Authority
from gevent import socket
from gevent.server import StreamServer
from process import ssmd
from s3_runs import Site
from s3_server import READER, S3Server
from s3_storage import environment


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = S3Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def endpoint(server, authority):
    """The address of a proxy with TLS."""

    def pump(source, target) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            target.close()

    def serve(client, address) -> None:
        there = socket.create_connection(("127.0.0.1", server.port))
        gevent.joinall([gevent.spawn(pump, client, there), gevent.spawn(pump, there, client)])

    proxy = StreamServer(("127.0.0.1", 0), serve, ssl_context=authority.context())
    proxy.start()
    yield f"https://127.0.0.1:{proxy.server_port}"
    proxy.stop()


@pytest.fixture
def site(server, endpoint):
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), server, live_seconds=0)
        site.configure(endpoint=endpoint)
        site.write("2026-01-30", 5)
        site.seal()
        yield site


def test_a_private_authority_is_trusted_where_the_configuration_names_it(site, authority):
    refused = site.ship("--once")
    assert refused.returncode == 69
    assert "TLS fails" in refused.stderr
    assert "set `storage.ca_file`, or AWS_CA_BUNDLE, to its certificate" in refused.stderr
    site.configure(ca_file=str(authority.path))
    shipped = site.ship("--once")
    assert shipped.returncode == 0, shipped.stderr
    assert site.differences() == []
    restored = ssmd("restore", "test", "--config-dir", site.tree, S3_ID=READER["access_key_id"], S3_SECRET="x" * 40)
    assert restored.returncode == 77, "the server has answered"


def test_the_variable_of_aws_counts_too(site, authority, endpoint, tmp_path):
    shipped = site.ship("--once", AWS_CA_BUNDLE=str(authority.path))
    assert shipped.returncode == 0, shipped.stderr
    variables = environment(endpoint, READER, tmp_path)
    cat = ssmd("cat", str(site.bucket.address), **variables, AWS_CA_BUNDLE=str(authority.path))
    assert cat.returncode == 0, cat.stderr
    assert cat.stdout.count("\n") == 5


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot read {}: No such file or directory"), ("no", "{} has no certificates")]
)
def test_a_file_without_certificates_is_one_clear_error(site, tmp_path, content, words):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    site.configure(ca_file=str(path))
    ended = site.ship("--once")
    assert ended.returncode == 78
    assert f"storage.ca_file: {words.format(path)}" in ended.stderr


def test_without_tls_a_file_is_refused(site, server, authority):
    site.configure(endpoint=server.endpoint, ca_file=str(authority.path))
    ended = site.ship("--once")
    assert ended.returncode == 78
    assert "storage.ca_file: is for TLS, so the endpoint must begin with `https://`" in ended.stderr
