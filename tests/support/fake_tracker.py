"""An issue tracker on loopback that refuses everything that its vendor's documentation does not allow."""

import json
import re
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "secret-token-1"
Answer = tuple[int, Any]
TEXT, LABELS, DATE = str, list, re.compile(r"\d{4}-\d{2}-\d{2}")


class FakeTracker:
    """issues: created issues, with reference or id. seen: method and path of each request. fail: statuses to answer first. lose: number of
    creations whose answer breaks off after the issue was made.
    """

    def __init__(self, kind: str) -> None:
        self.kind, self.issues, self.seen = kind, list[dict[str, Any]](), list[tuple[str, str]]()
        self.fail, self.lose, self.url = list[int](), 0, ""

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        """The answer to a request."""
        self.seen.append((method, path))
        if self.fail:
            return self.fail.pop(0), {"message": f"do not repeat {TOKEN}"}
        answer = {"github": self.github, "jira": self.jira, "linear": self.linear}[self.kind]
        return answer(method, urlsplit(path).path, parse_qs(urlsplit(path).query), headers, body)

    def github(self, method: str, path: str, query: dict[str, list[str]], headers: dict[str, str], body: Any) -> Answer:
        """GitHub: REST, version 2022-11-28."""
        if headers.get("authorization") != f"Bearer {TOKEN}" or headers.get("x-github-api-version") != "2022-11-28":
            return 401, {"message": "Bad credentials"}
        if headers.get("accept") != "application/vnd.github+json" or path != "/repos/team/models/issues":
            return 404, {"message": "Not Found"}
        if method == "GET":
            allowed = {"state", "sort", "direction", "per_page"}
            right = set(query) <= allowed and int(query["per_page"][0]) <= 100 and query["state"] == ["all"]
            return (200, self.issues) if right else (422, {})
        known = {"title": TEXT, "body": TEXT, "labels": LABELS}
        if set(body) - set(known) or not all(isinstance(body[name], known[name]) for name in body) or not body.get("title"):
            return 422, {"message": "Validation Failed"}
        number = len(self.issues) + 12
        self.issues.append({**body, "number": number, "html_url": f"https://github.com/team/models/issues/{number}"})
        return 201, self.issues[-1]

    def jira(self, method: str, path: str, query: dict[str, list[str]], headers: dict[str, str], body: Any) -> Answer:
        """Jira Cloud: REST, version 3."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind != "Basic" or b64decode(token).decode() != f"ann@example.org:{TOKEN}":
            return 401, {}
        if method == "GET" and path == "/rest/api/3/search/jql":
            label = re.fullmatch(r'labels = "(\S+)"', query["jql"][0])
            return (200, {"issues": [each for each in self.issues if label[1] in each["labels"]]}) if label else (400, {})
        if method != "POST" or path != "/rest/api/3/issue":
            return 404, {}
        fields = body["fields"]
        document = fields["description"]
        right = (
            set(fields) <= {"project", "issuetype", "summary", "description", "labels", "duedate"}
            and fields["project"] == {"key": "ML"}
            and fields["issuetype"] == {"name": "Task"}
            and 0 < len(fields["summary"]) <= 255
            and "\n" not in fields["summary"]
            and (document["type"], document["version"]) == ("doc", 1)
            and all(part["type"] == "paragraph" and all(text["type"] == "text" and text["text"] for text in part["content"]) for part in document["content"])
            and not any(" " in label for label in fields["labels"])
            and (DATE.fullmatch(fields["duedate"]) if "duedate" in fields else True)
        )  # fmt: skip
        if not right:
            return 400, {"errors": fields}
        key = f"ML-{len(self.issues) + 1}"
        self.issues.append({**fields, "id": "10001", "key": key, "self": f"{self.url}/rest/api/3/issue/10001"})
        return 201, {name: self.issues[-1][name] for name in ("id", "key", "self")}

    def linear(self, method: str, path: str, _query: dict[str, list[str]], headers: dict[str, str], body: Any) -> Answer:
        """Linear: GraphQL."""
        if headers.get("authorization") != TOKEN:
            return 401, {"errors": [{"message": "Authentication required"}]}
        if method != "POST" or path != "/graphql" or set(body) != {"query", "variables"}:
            return 400, {"errors": []}
        if "issueCreate" not in body["query"]:
            assert re.search(r"issues\(filter: \{ id: \{ eq: \$id \} \}\) \{ nodes \{", body["query"])
            return 200, {"data": {"issues": {"nodes": [each for each in self.issues if each["id"] == body["variables"]["id"]]}}}
        given = body["variables"]["input"]
        fields = {"id", "teamId", "title", "description", "dueDate"}
        version_4 = re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", given["id"])
        if set(given) - fields or given["teamId"] != "team-id" or not version_4 or not DATE.fullmatch(given.get("dueDate", "2000-01-01")):
            return 200, {"errors": [{"message": "Argument Validation Error"}]}
        if any(each["id"] == given["id"] for each in self.issues):
            return 200, {"errors": [{"message": "conflict"}]}
        number = len(self.issues) + 7
        self.issues.append({**given, "identifier": f"ML-{number}", "url": f"https://linear.app/team/issue/ML-{number}"})
        return 200, {
            "data": {"issueCreate": {"success": True, "issue": {name: self.issues[-1][name] for name in ("id", "identifier", "url")}}}
        }


@contextmanager
def serving_tracker(kind: str) -> Iterator[FakeTracker]:
    """A tracker that serves until the block ends."""
    tracker = FakeTracker(kind)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made = len(tracker.issues)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = tracker.answer(self.command, self.path, headers, json.loads(sent) if sent else None)
            if tracker.lose and len(tracker.issues) > made:
                tracker.lose -= 1
                self.close_connection = True
                return
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tracker.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield tracker
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
