"""Random requests to the dashboard's process, the same for the same seed. Most have one error, some are correct, and some have several
errors.

Every record in a request has an id that begins with the request's mark, so a stored record shows which request brought it.
"""

import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.routing import BaseRoute, Route

from tests.support.record_lines import OTHERS
from tests.support.record_mutants import Mutants

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ODD_METHODS = ("TRACE", "CONNECT", "PROPFIND", "get", "X" * 30)
FOREIGN_PATHS = (
    "/",
    "/static/index.html",
    "/favicon.png",
    "/manifest.json",
    "/component/x/y.js",
    "/media/0123456789abcdef.png",
    "/vendor/x",
    "/auth/login",
    "/auth/logout",
    "/oauth2callback",
    "/_stcore/health",
    "/_stcore/host-config",
    "/_stcore/upload_file/a/b",
    "/_stcore/stream",
    "/_stcore/agent/interact",
    "/_stcore/bidi-components/x/y.js",
    "/_stcore/none",
    "/api/v2/records",
    "/v1/logs",
    "/app/static/x",
)
"""Paths that Streamlit serves, and some that do not exist."""
TRAVERSALS = (
    "/../",
    "/%2e%2e/",
    "/..%2f..%2f",
    "//",
    "/./",
    "/%00",
    "/..\\",
    "/%c0%ae%c0%ae/",
    "/%",
    "/%zz",
    "/\u00e9",
    "/;x=1",
    "/%0d%0aX-A:1",
)
RECORD_PATHS = ("/api/v1/records", "/api/v1/records", "/api/v1/labels")
LEAVES = ("etc/passwd", "access.toml", "tokens.json", "owner.json", "store.duckdb", "a" * 3000, "%F0%9F%98%80", "%ff", "x?y#z", "")
HUGE = ("1e400", "-1e400", "1" + 400 * "0", "9223372036854775808", "1" + 5000 * "0", "0." + 400 * "0" + "1", "NaN", "-Infinity")
VALUES = ("", "0", "-1", "1e999", "soon", "2026-03-02", "2026-03-02T00:00:00Z", "9999-12-31", "0001-01-01", "loan", "price", "1", "\u00e9", "%00", "%ff",
          "%ED%A0%80", "a" * 2000, "'; DROP TABLE x; --", "region=north&x", "sex=F", "=", "2026-03-02T00:00:00-23:59", "0001-01-01T00:00:00+14:00")  # fmt: skip
NAMES = (
    "model",
    "version",
    "slice",
    "from",
    "to",
    "as_of",
    "environment",
    "model_from",
    "version_from",
    "next",
    "provider",
    "code",
    "state",
    "x",
    "",
)
MEDIA = ("application/json", "application/x-ndjson", "application/x-protobuf", "application/cloudevents+json", "application/cloudevents-batch+json",
         "text/plain", "multipart/form-data; boundary=x", "multipart/form-data", "application/x-www-form-urlencoded", "application/json; charset=utf-7",
         "\u00e9", "")  # fmt: skip
ENCODINGS = ("gzip", "identity", "deflate", "br", "gzip, gzip", "x-gzip", "\u00e9", "GZIP")
LENGTHS = ("-1", "abc", "1e3", "0x10", "99999999999999999999", "+5", " 5", "5, 5", "5 5", "", "\u00b2")
"""Invalid values of Content-Length."""


@dataclass(frozen=True)
class FuzzRequest:
    """One request. headers: names and values, including repeated names. length: a wrong value of Content-Length."""

    number: int
    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    length: str | None = None
    chunked: bool = False

    @property
    def mark(self) -> str:
        """The text with which the ids of the request's records begin."""
        return mark_of(self.number)

    @property
    def path(self) -> str:
        """The target of the request without its query."""
        return self.target.partition("?")[0]

    def described(self) -> str:
        """The request described in one line."""
        return (
            f"{self.number}: {self.method[:20]} {self.target[:120]!r} {dict(self.headers)!r:.300} length={self.length} {self.body[:200]!r}"
        )


def mark_of(number: int) -> str:
    """The text with which the ids of a request's records begin."""
    return f"fz{number}z"


def paths_of(routes: Sequence[BaseRoute]) -> tuple[str, ...]:
    """The paths of a route table."""
    return tuple(route.path for route in routes if isinstance(route, Route))


@dataclass
class Fuzz:
    """Makes requests.

    paths: in the route table. tokens: by scope, also `owner`. host: the right value of the Host header. cookie: of a signed-in person.
    """

    seed: int
    paths: tuple[str, ...]
    tokens: dict[str, str]
    host: str = "127.0.0.1:8501"
    cookie: str | None = None
    dice: random.Random = field(init=False)
    mutants: Mutants = field(init=False)

    def __post_init__(self) -> None:
        self.dice, self.mutants = random.Random(self.seed), Mutants(self.seed)

    def requests(self, count: int) -> list[FuzzRequest]:
        """The given number of random requests."""
        return [self.request(number) for number in range(count)]

    def request(self, number: int) -> FuzzRequest:
        """The random request with this number."""
        dice = self.dice
        path, query = self.path(number), self.query() if dice.random() < 0.3 else ""
        if path.startswith("/api/v1/findings") and dice.random() < 0.95:
            # with a wrong part, because checking all models takes seconds
            query = self.query() + f"&{dice.choice(('from=soon', 'x=1', 'model=nobody', 'slice=&'))}"
        takes_records = path.startswith(("/api/v1/", "/v1/", "/mcp", "/_owner"))
        method = dice.choice(ODD_METHODS) if dice.random() < 0.02 else dice.choice(METHODS)
        if takes_records and dice.random() < 0.75:
            method = "GET" if path.startswith(("/api/v1/status", "/api/v1/find", "/api/v1/pred")) else "POST"
        body = self.body(number, path) if method not in ("GET", "HEAD") or dice.random() < 0.1 else b""
        headers = [
            ("host", self.host if dice.random() < 0.97 else dice.choice(("", "evil.example", "127.0.0.1", "[::1]:x", "\u00e9", "a" * 300)))
        ]
        headers += self.headers(number, path, method)
        if body and dice.random() < 0.25 and not any(name == "content-encoding" for name, _ in headers):
            body = gzip.compress(body, mtime=0)
            headers += [("content-encoding", "gzip")] * (dice.random() < 0.8)
        if body and dice.random() < 0.06:
            body = body[: dice.randrange(len(body))]
        length = None
        if dice.random() < 0.04:
            length = dice.choice((*LENGTHS, str(len(body) + dice.randint(1, 500)), str(max(0, len(body) - dice.randint(1, 50)))))
        return FuzzRequest(number, method, path + query, tuple(headers), body, length, chunked=length is None and dice.random() < 0.05)

    def path(self, number: int) -> str:
        """A path from the route table, a path of Streamlit, or an unknown path."""
        dice, luck = self.dice, self.dice.random()
        if luck < 0.72:
            known = [each for each in self.paths if each.startswith(("/api", "/v1", "/mcp", "/_owner", "/metrics"))]
            path = dice.choice(RECORD_PATHS if dice.random() < 0.3 else known if dice.random() < 0.7 else self.paths)
        elif luck < 0.84:
            path = dice.choice(FOREIGN_PATHS)
        else:
            path = dice.choice(("/api/v1", "/static", "", "/case", "/_stcore/upload_file", "/media", "/component", "/api/v1/predictions"))
            path += "".join(dice.choice(TRAVERSALS) for _ in range(dice.randint(1, 4))) + dice.choice(LEAVES)
        path = path.replace(
            "{id:path}", dice.choice(("loan-100", "loan-1/2", "%2F", "%00", "reference/7", mark_of(number), "a" * 500, "\u00e9"))
        )
        path = path.replace("{rest:path}", dice.choice(("v1/none", "", "v1/records/", "..%2f", "\u00e9")))
        if path and dice.random() < 0.05:
            place = dice.randrange(len(path))
            path = path[:place] + dice.choice("/%?#.\\\u00e9 ~\x7f&;") + path[place:]
        return path if path.startswith("/") or dice.random() < 0.1 else "/" + path

    def query(self) -> str:
        """`?` and parameters: known and unknown names, with valid and invalid values."""
        dice = self.dice
        return "?" + "&".join(f"{dice.choice(NAMES)}={dice.choice(VALUES)}" for _ in range(dice.randint(0, 4))).replace("#", "")

    def headers(self, number: int, path: str, method: str) -> list[tuple[str, str]]:
        """Token, media type, encoding, cookies and event attributes; most of them fit the path."""
        dice, found = self.dice, list[tuple[str, str]]()
        writes = method == "POST" and not path.startswith("/mcp")
        fits = self.tokens["owner" if path.startswith("/_owner") and dice.random() < 0.5 else "write" if writes else "read"]
        wrong = ("", "x", fits[:-1], fits + "a", "obs_00000000_" + 43 * "a", "\u00e9", dice.choice(list(self.tokens.values())), "a" * 5000)
        if dice.random() < 0.95:
            scheme = "Bearer" if dice.random() < 0.95 else dice.choice(("Basic", "bearer", "Digest", ""))
            found.append(("authorization", f"{scheme} {fits if dice.random() < 0.9 else dice.choice(wrong)}"))
        if path.startswith("/v1/traces") and dice.random() < 0.8:
            found.append(("content-type", dice.choice(("application/json", "application/x-protobuf"))))
        elif path.startswith("/api/v1/cloudevents") and dice.random() < 0.8:
            found.append(("content-type", dice.choice(MEDIA[3:5])))
        elif dice.random() < 0.6:
            found.append(("content-type", dice.choice(MEDIA)))
        if path.startswith("/mcp") and dice.random() < 0.9:
            found += [
                ("accept", "application/json, text/event-stream"),
                ("mcp-protocol-version", dice.choice(("2025-06-18", "1", "\u00e9"))),
            ]
        if dice.random() < 0.06:
            found.append(("content-encoding", dice.choice(ENCODINGS)))
        if "cloudevents" in path and dice.random() < 0.4:
            part = dice.choice(("request", "response", "x"))
            given = {"id": mark_of(number), "type": f"org.kubeflow.serving.inference.{part}", "source": "http://x/loan", "specversion": "1.0",
                     "inferenceservicename": "loan", "time": dice.choice(VALUES)}  # fmt: skip
            found = [each for each in found if each[0] != "content-type" or dice.random() < 0.5]
            found += [(f"ce-{name}", value) for name, value in given.items() if dice.random() < 0.95]
        if dice.random() < 0.1:
            found.append(("origin", dice.choice((f"http://{self.host}", "null", "http://evil.example", "\u00e9", ""))))
        if self.cookie and dice.random() < 0.7:
            found.append(("cookie", self.cookie))
        elif dice.random() < 0.05:
            found.append(("cookie", dice.choice(("obs_session=x", "_streamlit_user=x", "=;=;", "a" * 4000, "\u00e9=\u00e9"))))
        if dice.random() < 0.03:
            found.append((dice.choice(("x-odd", "range", "if-none-match", "expect", "upgrade", "observability-dropped", "x-forwarded-for")),
                          dice.choice(("bytes=0-99999999999", "bytes=5-1", "*", "100-continue", "websocket", "99999999999999", "\u00b2", "a" * 20_000))))  # fmt: skip
        return found

    def body(self, number: int, path: str) -> bytes:
        """A body: three in four fit the path, one does not."""
        dice = self.dice
        if dice.random() < 0.25:
            return self.hostile_body(number)
        if path.startswith("/v1/traces"):
            return json.dumps(self.spans(number)).encode() if dice.random() < 0.7 else dice.randbytes(dice.randint(0, 300))
        if "cloudevents" in path:
            return self.event_body(number)
        if "lineage" in path:
            return json.dumps(self.lineage(number)).encode()
        if path.startswith("/mcp"):
            method = dice.choice(("initialize", "tools/list", "tools/call", "ping", "none", ""))
            arguments = {dice.choice(("model", "query", "id", "limit", "start")): dice.choice((1, None, "x", [], {}, "SELECT 1", 10**400))}
            parameters: Any = dice.choice(
                ({}, [], None, 1, {"name": dice.choice(("status", "metrics", "sql", "case", "x")), "arguments": arguments})
            )
            return json.dumps(
                {"jsonrpc": dice.choice(("2.0", "1")), "id": dice.choice((1, "a", None, 1.5)), "method": method, "params": parameters}
            ).encode()
        if path.startswith("/_owner"):
            words = ("status", "--json", "sql", "SELECT 1", "case", "\u0000", "\ud800", "", "-", "--help", "check", "--model", "x" * 999)
            argv: Any = dice.choice((None, 1, "status", {}, ["none", {"a": 1}], [dice.choice(words) for _ in range(dice.randint(0, 4))]))
            return json.dumps({"argv": argv}).encode()
        if path in ("/sign-in", "/sign-out"):
            return dice.choice((b"name=ann&password=x", b"name=%ff&password=%00", b"&" * 50, b"next=//evil", b"a" * 5000, b"name=\xff"))
        lines = self.record_lines(number, labels="labels" in path)
        if dice.random() < 0.3:
            return b"[" + b",".join(lines) + (b"]" if dice.random() < 0.9 else b"")
        return (b"\r\n" if dice.random() < 0.1 else b"\n").join(lines)

    def record_lines(self, number: int, labels: bool) -> list[bytes]:
        """Lines of records with ids of this request, correct and nearly correct."""
        dice, mark, found = self.dice, mark_of(number), list[bytes]()
        for place in range(dice.choice((1, 1, 2, 3, 10))):
            line = (self.mutants.label() if labels or dice.random() < 0.1 else self.mutants.prediction()).encode()
            if dice.random() < 0.15 and not labels:
                kind = dice.choice(list(OTHERS))
                line = json.dumps(
                    {"kind": kind, **OTHERS[kind], dice.choice(list(OTHERS[kind])): dice.choice((None, 1, "x", [], {}, "\ud800", mark))}
                ).encode()
            elif b'"id"' in line:  # the id is appended at the end, because of two members with the same name the last one counts
                line = line.rstrip()[:-1] + f',"id":"{mark}-{place}"}}'.encode()
                line = line.replace(b'"id"', b'"was"', line.count(b'"id"') - 1)
            if dice.random() < 0.1:
                line = line.replace(b"0.5", dice.choice(HUGE).encode())
            found.append(self.mutants.mutated(line) if dice.random() < 0.3 else line)
        return found

    def hostile_body(self, number: int) -> bytes:
        """A body that no address accepts."""
        dice = self.dice
        deep = dice.choice((50, 900, 5_000, 100_000))
        inner = dice.choice((b"[" * deep, b'{"a":' * deep, b"[" * deep + b"]" * deep, b'{"a":' * deep + b"1" + b"}" * deep))
        start = json.dumps(
            {"kind": "prediction", "id": f"{mark_of(number)}-deep", "at": "2026-03-03T00:00:00Z", "model": "loan", "version": "1"}
        )
        return dice.choice(
            (
                inner,
                start[:-1].encode() + b',"score":0.5,"features":{"age":' + inner + b"}}",
                start[:-1].encode() + b',"score":' + dice.choice(HUGE).encode() + b"}",
                b'{"argv":' + inner + b"}",
                b'{"resourceSpans":' + inner + b"}",
                dice.randbytes(dice.randint(0, 2000)),
                b"\xff\xfe" + start.encode("utf-16-le"),
                start.encode().replace(b"loan", b"lo\xffan"),
                b"\xed\xa0\x80",
                b"\x1f\x8b" + dice.randbytes(50),
                gzip.compress(b"0" * 9_000_000, mtime=0),
                b"\x00" * 100,
                b"{}\n" * 300,
                b"[],[]",
                b"null",
                b"[null]",
                b'""',
                b"9" * 5000,
                b"x" * 1_000_001,
                b"--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nc\r\n--x--\r\n",
            )
        )

    def event_body(self, number: int) -> bytes:
        """A request body as for a model server, or an event in the JSON format."""
        dice = self.dice
        rows: Any = dice.choice(([[1, 2]], [[1, "x"]], [], None, {}, [{"age": 1}], [10**400], [[[1]]], 1))
        tensor = {"name": "x", "shape": dice.choice(([1, 2], [-1], [10**12, 10**12], None, ["a"], [0])), "datatype": dice.choice(("FP32", "BYTES", "X", 1)),
                  "data": dice.choice(([1, 2], ["a", "b"], None, [[1], [2]]))}  # fmt: skip
        data: Any = dice.choice(
            ({"instances": rows}, {"predictions": rows}, {"inputs": [tensor]}, {"outputs": [tensor]}, {"inputs": tensor}, rows, "x")
        )
        if dice.random() < 0.4:
            return json.dumps(data).encode()
        part = dice.choice(("request", "response"))
        event = {"id": mark_of(number), "type": f"org.kubeflow.serving.inference.{part}", "source": dice.choice(("/loan", "", 1, "//[", None)), "data": data,
                 "time": dice.choice(VALUES), "modelid": dice.choice(("loan", "", None, 5, {}, "a" * 300))}  # fmt: skip
        if dice.random() < 0.1:
            event["data_base64"] = dice.choice(("e30=", "x", 1, None))
        return json.dumps(event if dice.random() < 0.5 else [event, dice.choice((event, None, 1, []))]).encode()

    def lineage(self, number: int) -> Any:
        """A run event of OpenLineage, or something that resembles one."""
        dice = self.dice
        data_set: Any = {"namespace": dice.choice(("n", None, 1)), "name": dice.choice((mark_of(number), None, [])), "facets": dice.choice(({}, None, {"version": {"datasetVersion": "1"}}, []))}  # fmt: skip
        event = {"eventType": dice.choice(("COMPLETE", "START", "x", None, 1)), "eventTime": dice.choice(VALUES), "run": dice.choice(({"runId": "r"}, None, [], {"runId": 1})),
                 "job": dice.choice(({"namespace": "n", "name": "j"}, None, "x")), "inputs": dice.choice(([data_set], None, {}, [1])), "outputs": dice.choice(([data_set], [None], 1))}  # fmt: skip
        return event if dice.random() < 0.6 else [event] * dice.randint(0, 3)

    def spans(self, number: int) -> Any:
        """Spans as JSON, correct and nearly correct."""
        dice = self.dice
        names = (
            "observability.model",
            "observability.version",
            "observability.score",
            "observability.id",
            "gen_ai.request.model",
            "gen_ai.system",
            "gen_ai.usage.input_tokens",
        )
        values: tuple[Any, ...] = (
            {"stringValue": "loan"},
            {"doubleValue": 0.5},
            {"intValue": "1"},
            {"intValue": "x"},
            {"doubleValue": "NaN"},
            {"intValue": 10**30},
            {"arrayValue": {}},
            {},
            None,
            1,
        )
        attributes = [
            {"key": dice.choice((name, name, name, None, 1)), "value": dice.choice(values)} for name in names if dice.random() < 0.7
        ]
        span = {"traceId": dice.choice(("5b8efff798038103d269b633813fc60c", "x", None, 1)), "spanId": dice.choice(("eee19b7ec3c1b174", "", None)), "name": "x",
                "startTimeUnixNano": dice.choice(("1772409600000000000", "x", -1, 10**30, None)), "endTimeUnixNano": dice.choice(("1772409600100000000", None, 0)),
                "attributes": dice.choice((attributes, attributes, attributes, None, {}, 1)), "status": dice.choice(({}, None, {"code": 2}, 1))}  # fmt: skip
        wrapped: Any = dice.choice(([{"spans": [span]}], [{"spans": [span] * 3}], None, [None], {}, [{"spans": 1}]))
        return {
            "resourceSpans": dice.choice(
                ([{"resource": dice.choice(({}, None, {"attributes": attributes})), "scopeSpans": wrapped}], None, 1, [1], {})
            )
        }
