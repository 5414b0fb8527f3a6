"""One file on a real HTTPS server with range requests, with a certificate from an authority that the environment names."""

import http.server
import re
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest

from observability.core.errors import UsageError
from observability.lake import https_file
from observability.lake.open_source import open_data_source
from tests.support.lake_server import parquet_bytes, predictions_table


class Files(http.server.BaseHTTPRequestHandler):
    """A server that answers range requests for `content`. requests: path and range of each request. ranges: whether the server supports
    ranges.
    """

    content: dict = {}
    requests: list = []
    ranges = True
    redirect = ""

    def do_GET(self):
        path, wanted = self.path.partition("?")[0], re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        self.requests.append((self.path, self.headers.get("Range")))
        if self.redirect and path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", self.redirect)
            self.end_headers()
            return
        body = self.content.get(path)
        if body is None:
            self.send_error(404)
            return
        if wanted and self.ranges:
            first, last = int(wanted[1]), min(int(wanted[2]), len(body) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
            body, whole = body[first : last + 1], body
        else:
            self.send_response(200)
            whole = body
        self.send_header("ETag", f'"{hash(whole)}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def certificate(folder):
    """A self-signed certificate of localhost."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*plain) + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A running HTTPS server: its handler class, and its address."""
    handler = type("Here", (Files,), {"content": {}, "requests": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = certificate(tmp_path)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    yield handler, f"https://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_parquet_file_is_read_in_ranges_and_taken_once(web, load, monkeypatch):
    handler, url = web
    monkeypatch.setattr(https_file, "BUFFER_BYTES", 4096)
    handler.content["/logs/a.parquet"] = parquet_bytes(predictions_table(0, 3000, bad=2), 500)
    answer = load(f"{url}/logs/a.parquet?signature=not-to-be-kept")
    assert (answer["lines"], answer["stored"], answer["rejected"]) == (3000, 2998, 2)
    assert len(handler.requests) > 5 and all(wanted for _, wanted in handler.requests), "the whole file is never requested at once"
    assert all("signature=not-to-be-kept" in path for path, _ in handler.requests)
    assert answer["sources"][0]["source"] == f"{url}/logs/a.parquet"
    assert load(f"{url}/logs/a.parquet?signature=another")["sources"][0]["present"] == 1
    handler.content["/logs/a.parquet"] = parquet_bytes(predictions_table(0, 3010, bad=2), 500)
    again = load(f"{url}/logs/a.parquet")
    assert again["stored"] == 10 and again["duplicates"] == 2998 and again["sources"][0]["rewritten"] == 1


def test_a_csv_file_is_loaded_over_https(web, load):
    handler, url = web
    handler.content["/a.csv"] = b"id,at,score,age\n" + b"".join(b"%d,2024-03-01T10:00:00Z,0.5,3\n" % i for i in range(500))
    assert load(f"{url}/a.csv")["stored"] == 500


def test_a_signature_is_nowhere_in_the_home(web, load, store):
    handler, url = web
    handler.content["/a.parquet"] = parquet_bytes(predictions_table(0, 5))
    load(f"{url}/a.parquet?signature=not-to-be-kept")
    assert "not-to-be-kept" not in load(f"{url}/none.parquet?signature=not-to-be-kept", code=2)
    assert [path for path in store.home.rglob("*") if path.is_file() and b"not-to-be-kept" in path.read_bytes()] == []


def test_a_refusal_by_the_server_is_reported_in_one_sentence(web, load, monkeypatch):
    handler, url = web
    handler.content["/a.parquet"] = parquet_bytes(predictions_table(0, 5))
    assert "there is nothing at this address" in load(f"{url}/none.parquet", code=2)
    assert "names no file" in load(f"{url}/folder", code=2)
    handler.ranges = False
    assert "does not answer ranges" in load(f"{url}/a.parquet", code=2)
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "certificate" in load(f"{url}/a.parquet", code=3).lower()


@pytest.mark.parametrize(
    "number", ["169.254.169.254", "127.0.0.1", "::1", "0.0.0.0", "::ffff:169.254.169.254", "fe80::1", "::ffff:127.0.0.1"]
)
def test_a_host_name_that_resolves_to_an_internal_address_is_refused(number, monkeypatch):
    family = 10 if ":" in number else 2
    monkeypatch.setattr(https_file.socket, "getaddrinfo", lambda *_, **__: [(family, 1, 6, "", (number, 443))])
    with pytest.raises(UsageError, match="the host is not to be read"):
        open_data_source("https://data.example.com/a.parquet").list_files()


def test_a_redirect_is_followed_only_within_the_rules(web, load):
    handler, url = web
    handler.content["/a.parquet"] = parquet_bytes(predictions_table(0, 5))
    handler.redirect = f"{url}/a.parquet"
    assert load(f"{url}/moved.parquet")["stored"] == 5
    for place, words in (("http://192.0.2.1/a.parquet", "away from HTTPS"), ("https://169.254.169.254/a.parquet", "not to be read")):
        handler.redirect = place
        assert words in load(f"{url}/moved.parquet", code=2)
    handler.redirect = f"{url}/moved.parquet"
    assert "too many redirects" in load(f"{url}/moved.parquet", code=2)
