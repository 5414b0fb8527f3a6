"""A small OpenID Connect provider on loopback, for tests: discovery, authorization code with PKCE, signed id tokens, and the end of a
session.

It signs in the person of `person` without asking, and refuses what a real provider refuses: an unknown client, another redirect address, a
wrong client secret, a code that is used twice, and a wrong PKCE verifier.
"""

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "observability", "client-secret"


@dataclass
class Provider:
    """A running provider. person: the claims of the person who signs in. changes: claims that replace those of the id token."""

    issuer: str
    redirect_uri: str
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "1", "email": "ann@x.org", "email_verified": True})
    changes: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1"}))
    signing: RSAKey | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)

    @property
    def metadata_url(self) -> str:
        """The address of the provider's metadata."""
        return f"{self.issuer}/.well-known/openid-configuration"

    def description(self) -> dict[str, Any]:
        """The discovery document."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/end",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def authorize(self, asked: dict[str, str]) -> str | None:
        """The address to which the browser is redirected, with a code. None if the request is refused."""
        if (
            asked.get("client_id") != CLIENT
            or asked.get("redirect_uri") != self.redirect_uri
            or asked.get("code_challenge_method") != "S256"
        ):
            return None
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return f"{self.redirect_uri}?{urlencode({'code': code, 'state': asked['state']})}"

    def tokens(self, given: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The tokens that the provider gives in exchange for a code. None if the request is refused."""
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self.codes.pop(given.get("code", ""), None)
        if asked is None or authorization != f"Basic {expected}":
            return None
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return None
        self.used.append(given["code"])
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.person, **self.changes}
        token = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.signing or self.key)
        return {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": 300, "id_token": token}


@contextlib.contextmanager
def running_provider(redirect_uri: str) -> Iterator[Provider]:
    """A provider on a free port. It runs until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(address.query).items()}
            if address.path == "/.well-known/openid-configuration":
                self.answer(provider.description())
            elif address.path == "/jwks":
                self.answer({"keys": [provider.key.as_dict(private=False, alg="RS256", use="sig")]})
            elif address.path == "/authorize" and (target := provider.authorize(asked)):
                self.send_response(302)
                self.send_header("Location", target)
                self.end_headers()
            else:
                self.answer(
                    {"end": asked} if address.path == "/end" else {"error": "invalid_request"}, 200 if address.path == "/end" else 400
                )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            given = {name: values[0] for name, values in parse_qs(body).items()}
            found = provider.tokens(given, self.headers.get("authorization", ""))
            self.answer(found or {"error": "invalid_grant"}, 200 if found else 400)

        def answer(self, body: dict[str, Any], status: int = 200) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}", redirect_uri)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
