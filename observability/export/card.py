"""The model card (Mitchell et al. 2019) as one HTML file, from the findings of the last review and the decisions about the model."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from observability.core import formatting
from observability.core.catalog import Model, Version
from observability.core.finding import iso
from observability.core.questions import Records
from observability.core.small_groups import is_body_about_few
from observability.core.window import Window
from observability.export.review import template_environment
from observability.monitoring import check, check_windows
from observability.records.values import AFTER_LAST, FIRST
from observability.review import freeze, meeting
from observability.review.action_items import CLOSED
from observability.review.agenda_items import is_by_risk_owner, records_until, standing_signatures
from observability.store.engine import Store

Body = dict[str, Any]
MEASURED = ("serving/performance", "serving/calibration", "serving/latency")
FORMS = "operations/trade_offs"
ANALYSED = ("trust/fairness", "serving/slices", "trust/explanations", "trust/audits", FORMS)
MAX_CARD_FINDINGS = 12
MAX_OF_KIND = 6
"""Maximum number of analyses of one analyzer on a card (the worst). With this limit, many groups leave room for audits."""


def model_card_html(store: Store, name: str, now: datetime) -> str:
    """The card of a model as one HTML file. Raises NotFoundError for an unknown model."""
    model = store.catalog().model(name)
    review, part = last_review(store, name)
    window, _ = check_windows.model_check_window(model, store.activity(), start=None, end=None, as_of=None, now=now)
    findings: Sequence[Body] = (
        part["findings"]
        if part
        else [finding.to_json() for finding in check.check(store, model=name, now=now, with_records=False).findings]
    )
    findings = [*findings, *findings_about_forms(store, name, review, now)]
    findings = [finding for finding in findings if not is_body_about_few(finding)]
    measured = [finding for finding in findings if finding["value"] is not None]
    template = template_environment().get_template("card.html")
    return template.render(
        model=model,
        settings=model.settings,
        review=review,
        start=iso(window.start),
        end=iso(window.end),
        made_at=iso(now),
        versions=[describe_version(version) for version in model.versions],
        factors=[column.name for column in model.columns if column.sensitive],
        metrics=[finding for finding in measured if finding["analyzer"] in MEASURED and finding["subject"] == "model"],
        target=target_words,
        runs=list(training_runs_words(store, model)),
        analyses=list(card_findings(measured)),
        signatures=list(latest_signatures(store, name)),
        decisions=(made := standing_decisions(store, name)),
        actions=[action for action in meeting.all_actions(store, now.date()) if action["model"] == name and action["state"] not in CLOSED],
        who_and_when=meeting.who_and_when,
        shown=shown_severity,
        caveats=[*open_holds(made), *card_caveats(model, findings)],
    )


def last_review(store: Store, name: str) -> tuple[Body | None, Body | None]:
    """The newest frozen week in which the model served, and the model's part of this week; (None, None) if there is none."""
    for week in freeze.frozen_weeks(store):
        body = freeze.week_body(store, week.review)
        part = next((model for model in (body or {}).get("models", ()) if model["model"] == name and model["served"]), None)
        if part is not None:
            return body, part
    return None, None


def findings_about_forms(store: Store, name: str, review: Body | None, now: datetime) -> list[Body]:
    """The findings about a model's forms from the review, which keeps none that are OK. Without a review, the current findings."""
    if review is not None:
        return [finding for finding in review.get("records", ()) if (finding["analyzer"], finding["model"]) == (FORMS, name)]
    return [finding.to_json() for finding in check.record_findings(store, name, now=now, only=(FORMS,))]


def card_findings(measured: Iterable[Body]) -> Iterable[Body]:
    """The findings about groups, slices, explanations, audits and forms, in the given order. The number for each analyzer is limited."""
    left = dict.fromkeys(ANALYSED, MAX_OF_KIND)
    for finding in measured:
        if left.get(finding["analyzer"], 0) > 0:
            left[finding["analyzer"]] -= 1
            yield finding


def standing_decisions(store: Store, name: str) -> list[Body]:
    """Decisions about a model that were not withdrawn, newest first. Only the newest choice about each version counts."""
    found: list[Body] = []
    chosen: set[str | None] = set()
    for item in sorted(store.decisions(), key=lambda item: item.first.at, reverse=True):
        fields = item.fields
        if fields.get("model") != name or item.state != "standing":
            continue
        version, choice = fields.get("version"), fields.get("choice")
        if choice and version in chosen:
            continue
        chosen |= {version} if choice else set()
        author = fields.get("decider") or item.first.author
        made: Body = {"at": iso(item.first.at), "by": author, "statement": fields.get("statement"), "choice": choice, "version": version}
        found.append(made | {"review": fields.get("review"), "revisit": iso(fields["revisit"]) if fields.get("revisit") else None})
    return found[:MAX_CARD_FINDINGS]


def open_holds(decisions: Iterable[Body]) -> Iterable[str]:
    """A sentence for each version that is held or rejected. It stays so until another decision about it."""
    for made in decisions:
        if made["choice"] in ("hold", "reject"):
            state = "on hold" if made["choice"] == "hold" else "rejected"
            version = f"Version {made['version']}" if made["version"] else "The model"
            statement = f": {made['statement']}" if made["statement"] else ""
            yield f"{version} is {state} since {formatting.format_iso_day(made['at'])}, decided by {made['by']}{statement.rstrip('.')}."


def shown_severity(finding: Body) -> str:
    """The severity whose word a card shows. An acknowledged critical finding is still shown as Critical."""
    return "act" if finding.get("state") == "critical" else str(finding["severity"])


def describe_version(version: Version) -> Body:
    """The name of a version, its registration in words, and its reference in words."""
    when = (
        f"registered {formatting.format_day(version.registered_at)}"
        if version.registered_at
        else "not registered, seen in predictions only"
    )
    rows = "training rows: estimates are optimistic" if version.in_sample else "held-out rows"
    reference = f"{version.reference_rows:,} {rows}." if version.reference_rows else "no reference."
    model_file = "model file stored" if version.artifact else "model file not stored"
    words = f"{when}; {formatting.plural(len(version.features), 'feature')}; {model_file}."
    return {"name": version.name, "words": words, "reference": reference}


def target_words(finding: Body) -> str:
    """The limit of a finding in its unit, or a dash if it has none."""
    limit = finding["limit"]
    if limit is None:
        return formatting.DASH
    both = limit if isinstance(limit, list) else [limit]
    return " to ".join(formatting.format_value(value, finding["unit"]) for value in both)


def training_runs_words(store: Store, model: Model) -> Iterable[str]:
    """The training runs of a model in words, newest first."""
    frame = store.ask(Records("run", ever=True, rows=200, only=(("event", "start"),)), Window(model.name, FIRST, AFTER_LAST))
    for row in list(reversed(frame.to_dict("records")))[:MAX_CARD_FINDINGS]:
        data = f" on {row['dataset']}" if row["dataset"] else ""
        params = ", ".join(f"{name} {value}" for name, value in list((row["params"] or {}).items())[:8])
        yield f"{row['run']}, {formatting.format_day(row['at'])}{data}{': ' + params if params else ''}."


def latest_signatures(store: Store, name: str) -> Iterable[str]:
    """The newest signature of a risk owner about each subject, in words."""
    models = store.catalog().models
    for row in standing_signatures((row for row in records_until(store, "signature") if row["model"] == name), models):
        if not is_by_risk_owner(row, models):
            continue
        note = f" {row['note']}" if row["note"] else ""
        yield f"{row['author']} accepts {row['subject']} until {formatting.format_day(row['until'])}.{note}"


def card_caveats(model: Model, findings: Sequence[Body]) -> Iterable[str]:
    """Caveats as sentences: in-sample references, versions without a reference, Critical findings, and `unknown` findings about the
    model.
    """
    for version in model.versions:
        if version.in_sample:
            yield f"The reference of version {version.name} includes training rows: comparisons with it are optimistic."
        if not version.registered:
            yield f"Version {version.name} has no reference."
    yield from [finding["because"] for finding in findings if shown_severity(finding) == "act"][:MAX_CARD_FINDINGS]
    yield from [finding["because"] for finding in findings if finding["severity"] == "unknown" and finding["subject"] == "model"][
        : MAX_CARD_FINDINGS // 2
    ]


def card_file_name(name: str, now: datetime) -> str:
    """File name of the card, in ASCII letters, digits, hyphens and dots."""
    return f"model-card-{formatting.safe_file_part(name, 'model')}-{now:%Y-%m-%d}.html"
