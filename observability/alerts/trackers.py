"""Send actions and decisions to an issue tracker (GitHub, Jira Cloud, Linear), each as one issue, and store the tracker's id of the issue
with it.

An issue is a `message` record: it is queued before it is sent, and sent with the same retries as alerts (alerts/delivery.py). Each issue
carries a reference that is derived from the id of its action. Before an issue is created, the tracker is searched for that reference, so
that a crash between creating an issue and recording it does not lead to a second issue.
"""

import hashlib
import json
import os
import uuid
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from observability.core.errors import UsageError
from observability.core.finding import iso
from observability.core.version import VERSION

if TYPE_CHECKING:
    from observability.store.engine import Store
    from observability.store.types.decision_items import DecisionItem

ADDRESSES = {"github": "https://api.github.com", "linear": "https://api.linear.app"}
"""Addresses of the trackers that have one common address for all users."""
SENDS = ("actions", "decisions")
FIELDS = frozenset({"kind", "project", "token", "token_variable", "address", "user", "labels", "send", "models", "issue_type"})
NEW = timedelta(days=7)
"""Actions and decisions that are older than this are not sent, for example those from before a tracker was set up."""
AUTHOR = "the dashboard"
SECONDS = 20.0
MAX_RESPONSE = 4_000_000
LONGEST_TITLE = 240
"""Jira accepts at most 255 characters."""
LINEAR_FIND = "query Issues($id: ID!) { issues(filter: { id: { eq: $id } }) { nodes { id identifier url } } }"
LINEAR_CREATE = "mutation IssueCreate($input: IssueCreateInput!) { issueCreate(input: $input) { success issue { id identifier url } } }"
Send = Callable[[Request], Any]
"""Sends a request and returns the parsed response; raises OSError if that fails."""


@dataclass(frozen=True)
class Tracker:
    """A tracker of the alert settings. project: owner/name (GitHub), project key (Jira) or team id (Linear). models: the models whose
    actions it accepts; empty for all models. send: actions, decisions or both.
    """

    name: str
    kind: str
    project: str
    address: str
    token: str = field(default="", repr=False)
    token_variable: str = ""
    user: str = ""
    labels: tuple[str, ...] = ()
    send: tuple[str, ...] = ("actions",)
    models: tuple[str, ...] = ()
    issue_type: str = "Task"


@dataclass(frozen=True)
class WorkItem:
    """The content of an issue about an action or a decision. due: a date such as 2013-07-15, or None. reference: derived from the item's
    id, so that it is always the same for an item.
    """

    title: str
    lines: tuple[str, ...]
    due: str | None
    reference: str

    @property
    def body(self) -> str:
        """The text of the issue, with the reference in its last line."""
        return "\n\n".join([*self.lines, f"Reference: {self.reference}"])


@dataclass(frozen=True)
class Issue:
    """An issue of a tracker: its id as people write it, and the address of its page."""

    id: str
    url: str


def read_tracker(name: str, body: object, file: str) -> Tracker:
    """A tracker of the settings. Raises UsageError."""
    where = f"{file} trackers.{name}"
    if not isinstance(body, dict):
        raise UsageError("a tracker is a table", where=where, expected=f"[trackers.{name}] with kind, project and a token")
    if unknown := set(body) - FIELDS:
        raise UsageError("unknown setting", where=where, got=", ".join(sorted(unknown)), expected=", ".join(sorted(FIELDS)))
    kind, project = str(body.get("kind", "")), str(body.get("project", ""))
    if kind not in ("github", "jira", "linear"):
        raise UsageError("unknown tracker", where=f"{where} kind", got=kind or "nothing", expected="github, jira or linear")
    if not project or (kind == "github" and project.count("/") != 1):
        expected = {"github": "owner/name", "jira": "the key of a project, as ML", "linear": "the id of a team"}[kind]
        raise UsageError("the project cannot be read", where=f"{where} project", got=project or "nothing", expected=expected)
    address = str(body.get("address") or ADDRESSES.get(kind, "")).rstrip("/")
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")):
        raise UsageError(
            "the address is not HTTPS", where=f"{where} address", got=address or "nothing", expected="https://example.atlassian.net"
        )
    if bool(body.get("token")) == bool(body.get("token_variable")):
        expected = "token_variable, the name of an environment variable, or token"
        raise UsageError("one token is needed", where=where, expected=expected)
    if kind == "jira" and not body.get("user"):
        raise UsageError("Jira needs the account of the token", where=f"{where} user", expected="an e-mail address")
    sends = _texts(body.get("send", ["actions"]))
    if not sends or set(sends) - set(SENDS):
        raise UsageError("unknown entries to send", where=f"{where} send", got=", ".join(sends), expected="actions, decisions")
    return Tracker(
        name,
        kind,
        project,
        address,
        str(body.get("token", "")),
        str(body.get("token_variable", "")),
        str(body.get("user", "")),
        _texts(body.get("labels", [])),
        sends,
        _texts(body.get("models", [])),
        str(body.get("issue_type", "Task")),
    )


def _texts(value: object) -> tuple[str, ...]:
    """A list of texts, or one text."""
    return (value,) if isinstance(value, str) else tuple(str(each) for each in value) if isinstance(value, list) else ()


def tracker_token(tracker: Tracker, environ: Mapping[str, str]) -> str:
    """The token. Raises UsageError if its variable is not set."""
    token = (environ.get(tracker.token_variable, "") if tracker.token_variable else tracker.token).strip()
    if not token or not token.isprintable():
        raise UsageError(f"the environment variable {tracker.token_variable} holds no token", where=tracker.name)
    return token


def queue_issues(store: "Store", trackers: Mapping[str, Tracker], known: Collection[str], dashboard: str, now: datetime) -> list[str]:
    """Queue an issue for every open action and standing decision that is at most `NEW` old and has no issue. Returns the keys of the
    messages.

    known: keys of the messages that exist already. dashboard: the address for links.
    """
    records, kept = [], set(known)
    items = [*store.actions(), *store.decisions()] if trackers else []
    for item in items:
        tracker = next((each for each in trackers.values() if accepts_item(each, item)), None)
        key = f"issue-{item.kind}-{item.id}"
        if (
            tracker is None
            or key in kept
            or item.fields.get("issue")
            or now - item.first.at > NEW
            or item.state not in ("open", "standing")
        ):
            continue
        work = work_item(item, dashboard)
        message = {"kind": "message", "message": key, "at": now, "state": "queued", "channel": tracker.name}
        records.append({**message, "title": work.title, "text": work.body, "model": item.fields.get("model")})
    if records:
        store.write_records(records)
    return [str(record["message"]) for record in records]


def accepts_item(tracker: Tracker, item: "DecisionItem") -> bool:
    """Whether a tracker accepts an action or a decision."""
    return f"{item.kind}s" in tracker.send and (not tracker.models or item.fields.get("model") in tracker.models)


def work_item(item: "DecisionItem", dashboard: str) -> WorkItem:
    """The text of an issue about an action or a decision: text, model, owner, due date, target, author, links."""
    fields = item.fields
    text = str(fields.get("text") or fields.get("statement") or fields.get("do") or f"{item.kind.capitalize()} without text")
    due = fields["due"].date().isoformat() if fields.get("due") else None
    goal = f", goal {fields['goal']:g}" if fields.get("goal") is not None else ""
    named = {
        "Model": fields.get("model"),
        "Owner": fields.get("owner"),
        "Decided by": fields.get("decider"),
        "Due": due,
        "Target metric": f"{fields['metric']}{goal}" if fields.get("metric") else None,
        "Slice": fields.get("slice"),
        "Review": fields.get("review"),
        "Written by": f"{item.first.author} on {iso(item.first.at)[:10]}",
        "Page": f"{dashboard}/{page_of(item)}" if dashboard else None,
    }
    facts = "\n".join(f"{name}: {value}" for name, value in named.items() if value)
    first = text.splitlines()[0]
    digest = hashlib.sha256(f"{item.kind}:{item.id}".encode()).hexdigest()
    title = first if len(first) <= LONGEST_TITLE else f"{first[: LONGEST_TITLE - 1]}…"
    return WorkItem(title, (text, facts), due, f"observability-{digest[:24]}")


def page_of(item: "DecisionItem") -> str:
    """The page of an action or a decision, with its parameters."""
    review = item.fields.get("review")
    return f"review?{urlencode({'review': review})}" if review else "actions" if item.kind == "action" else "changes"


def deliver_issue(
    store: "Store", tracker: Tracker, key: str, dashboard: str, now: datetime, send: Send | None = None
) -> list[dict[str, Any]]:
    """Create the issue of a queued message, unless the tracker already has it. Returns the record that stores its id with the action or
    decision.

    Raises UsageError if the action no longer exists or the token is missing, and OSError if the tracker does not accept the issue.
    """
    kind, _, name = key.removeprefix("issue-").partition("-")
    items = store.actions() if kind == "action" else store.decisions()
    item = next((each for each in items if each.id == name), None)
    if item is None:
        raise UsageError(f"the {kind} is not there any more", where=tracker.name)
    work, token = work_item(item, dashboard), tracker_token(tracker, os.environ)
    ask = send or send_request
    find, create = {"github": (find_on_github, create_on_github), "jira": (find_on_jira, create_on_jira)}.get(
        tracker.kind, (find_on_linear, create_on_linear)
    )
    issue = find(tracker, work, token, ask) or create(tracker, work, token, ask)
    return [{"kind": kind, kind: name, "at": now, "author": AUTHOR, "issue": issue.id, "issue_url": issue.url, "tracker": tracker.name}]


def json_request(url: str, headers: Mapping[str, str], body: object = None) -> Request:
    """A request with a JSON body. Its method is POST if there is a body."""
    own = {"User-Agent": f"observability/{VERSION}", "Accept": "application/json", "Content-Type": "application/json", **headers}
    return Request(url, data=None if body is None else json.dumps(body).encode(), headers=own)  # noqa: S310 - the scheme was checked


class _NoRedirect(HTTPRedirectHandler):
    """Refuses redirects, so that the token is sent only to the configured address."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow no redirect, so that a redirect is an error."""


def send_request(asked: Request) -> Any:
    """The parsed response. Raises OSError with the status only, because a tracker's message may repeat the request, secrets included."""
    try:
        with build_opener(_NoRedirect).open(asked, timeout=SECONDS) as response:
            return json.loads(response.read(MAX_RESPONSE))
    except HTTPError as error:
        error.close()
        raise OSError(f"the tracker answered HTTP {error.code}") from None
    except URLError as error:
        raise OSError(f"the tracker cannot be reached: {error.reason}") from None
    except ValueError:
        raise OSError("the tracker did not answer with JSON") from None


def github_headers(token: str) -> dict[str, str]:
    """Headers of GitHub's REST interface."""
    return {"Accept": "application/vnd.github+json", "Authorization": f"Bearer {token}", "X-GitHub-Api-Version": "2022-11-28"}


def find_on_github(tracker: Tracker, work: WorkItem, token: str, send: Send) -> Issue | None:
    """The issue with the reference among the newest hundred; None if there is none."""
    newest = urlencode({"state": "all", "sort": "created", "direction": "desc", "per_page": 100})
    found = send(json_request(f"{tracker.address}/repos/{tracker.project}/issues?{newest}", github_headers(token)))
    return next((github_issue(tracker, each) for each in found if work.reference in str(each.get("body") or "")), None)


def create_on_github(tracker: Tracker, work: WorkItem, token: str, send: Send) -> Issue:
    """A new issue in a repository."""
    body = {"title": work.title, "body": work.body, "labels": list(tracker.labels)}
    return github_issue(tracker, send(json_request(f"{tracker.address}/repos/{tracker.project}/issues", github_headers(token), body)))


def github_issue(tracker: Tracker, found: Mapping[str, Any]) -> Issue:
    """An issue from GitHub's response, named `owner/name#12`."""
    return Issue(f"{tracker.project}#{found['number']}", str(found["html_url"]))


def jira_headers(tracker: Tracker, token: str) -> dict[str, str]:
    """Headers of Jira Cloud, with the account and its token."""
    return {"Authorization": f"Basic {b64encode(f'{tracker.user}:{token}'.encode()).decode()}"}


def find_on_jira(tracker: Tracker, work: WorkItem, token: str, send: Send) -> Issue | None:
    """The issue whose labels hold the reference; None if there is none."""
    asked = urlencode({"jql": f'labels = "{work.reference}"', "fields": "key", "maxResults": 1})
    found = send(json_request(f"{tracker.address}/rest/api/3/search/jql?{asked}", jira_headers(tracker, token)))
    return next((jira_issue(tracker, each) for each in found.get("issues") or ()), None)


def create_on_jira(tracker: Tracker, work: WorkItem, token: str, send: Send) -> Issue:
    """A new issue in a project; its description is a document of paragraphs."""
    lines = [line for part in work.lines for line in part.splitlines() if line.strip()]
    paragraphs = [{"type": "paragraph", "content": [{"type": "text", "text": line}]} for line in lines]
    fields = {
        "project": {"key": tracker.project},
        "issuetype": {"name": tracker.issue_type},
        "summary": work.title,
        "description": {"type": "doc", "version": 1, "content": paragraphs},
        "labels": [*(label.replace(" ", "-") for label in tracker.labels), work.reference],
        **({"duedate": work.due} if work.due else {}),
    }
    return jira_issue(tracker, send(json_request(f"{tracker.address}/rest/api/3/issue", jira_headers(tracker, token), {"fields": fields})))


def jira_issue(tracker: Tracker, found: Mapping[str, Any]) -> Issue:
    """An issue from Jira's response, named by its key."""
    return Issue(str(found["key"]), f"{tracker.address}/browse/{quote(str(found['key']))}")


def linear_id(work: WorkItem) -> str:
    """The id with which an issue is created in Linear, derived from the reference, in the format of a UUID of version 4."""
    return str(uuid.UUID(bytes=hashlib.sha256(work.reference.encode()).digest()[:16], version=4))


def find_on_linear(tracker: Tracker, work: WorkItem, token: str, send: Send) -> Issue | None:
    """The issue with the id that follows from the reference; None if there is none."""
    asked = {"query": LINEAR_FIND, "variables": {"id": linear_id(work)}}
    answer = send(json_request(f"{tracker.address}/graphql", {"Authorization": token}, asked))
    nodes = ((answer.get("data") or {}).get("issues") or {}).get("nodes") or ()
    return next((Issue(str(found["identifier"]), str(found["url"])) for found in nodes), None)


def create_on_linear(tracker: Tracker, work: WorkItem, token: str, send: Send) -> Issue:
    """A new issue of a team. Raises OSError if Linear refuses it; Linear reports a refusal in the response body."""
    given = {"id": linear_id(work), "teamId": tracker.project, "title": work.title, "description": work.body}
    given |= {"dueDate": work.due} if work.due else {}
    answer = send(
        json_request(f"{tracker.address}/graphql", {"Authorization": token}, {"query": LINEAR_CREATE, "variables": {"input": given}})
    )
    created = (answer.get("data") or {}).get("issueCreate") or {}
    if not created.get("success") or not created.get("issue"):
        raise OSError("the tracker refused the issue")
    return Issue(str(created["issue"]["identifier"]), str(created["issue"]["url"]))
