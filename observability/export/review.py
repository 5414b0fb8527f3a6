"""Exports a frozen week as a printable HTML file, as PDF, as minutes in CSV, and as a Markdown summary for a chat.

The file has the frozen numbers, decisions and notes. Figures that were restated since the freezing are listed separately. It runs no script
and requests nothing.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from observability.core import formatting
from observability.core.errors import UsageError
from observability.core.finding import Severity, iso
from observability.export import svg as export_svg
from observability.export.csv import inert_text
from observability.review import agenda_figures, decision_evidence, meeting
from observability.review import sentences as review_words
from observability.review.agenda import Arranged, Item, arranged_agenda
from observability.review.fleet_strip import main_metric_cell
from observability.review.freeze import item_outcomes, said_about, stored_week
from observability.review.incident_items import FIRST_WEEK
from observability.review.model_actions import model_action_counts, model_week_severity
from observability.review.restated import Restated, restated_since_freezing
from observability.review.small_groups import suppressed_words, week_without_small_groups
from observability.review.snapshot import Body

if TYPE_CHECKING:
    from jinja2 import Environment

    from observability.store.engine import Store

TEMPLATES = Path(__file__).parent / "templates"
ICONS = {"ok": "✓", "watch": "▲", "act": "●", "unknown": "?"}
"""Printable signs of the severities. They are always shown together with the word."""
VERDICTS = {"differs": "differs", "slight": "differs slightly", "alike": "similar", "unknown": "inconclusive"}
MINUTES_COLUMNS = (
    "review",
    "what",
    "model",
    "text",
    "outcome",
    "author",
    "at",
    "owner",
    "due",
    "metric",
    "overdue",
    "item",
    "reason",
    "as_of",
)
"""Columns of the minutes. New columns are added at the end, because readers may rely on the positions."""
ENDS = {"accept": "Accepted", "watch": "Watched", "act": "Acted on"}

MARKUP = re.compile(r"([\\*_\[\]<>~|#])")
MENTION = re.compile(r"(@|https?:|www\.)", re.IGNORECASE)


def review_html(store: "Store", review: str, now: datetime) -> str:
    """A frozen week as one HTML file. Raises NotFoundError if the week is not frozen."""
    body = week_without_small_groups(stored_week(store, review))
    words = said_about(store, review)
    agreed = meeting.agreed_actions(store, review, now.date())
    later = {action["action"]: meeting.stage_of_action(action) for action in meeting.all_actions(store, now.date())}
    since = restated_since_freezing(store, body, now)
    return rendered_week(
        body,
        arranged_agenda(items_of(body), words),
        words,
        decisions_of_review(store, review),
        since,
        agreed,
        later,
        formatting.format_day(now),
    )


def pdf(store: "Store", review: str, now: datetime) -> bytes:
    """The same file as PDF in A4 format. Raises UsageError if weasyprint is not installed, and NotFoundError if the week is not frozen."""
    html = review_html(store, review, now)
    try:
        from weasyprint import HTML
    except (ImportError, OSError):
        attempt = "Run pip install weasyprint, or print the HTML from a browser"
        raise UsageError("writing a PDF needs weasyprint, which is not installed", attempt=attempt) from None
    return bytes(HTML(string=html, base_url=None, url_fetcher=refuse_fetch).write_pdf())


def refuse_fetch(url: str, *_: object, **__: object) -> dict[str, object]:
    """Refuse every request for another file, because the page needs none."""
    raise ValueError(f"a report must not fetch {url[:80]}")


def rendered_week(
    body: Body,
    agenda: Arranged,
    words: Sequence[Mapping[str, Any]],
    decisions: Sequence[Body],
    since: Sequence[Restated],
    agreed: Sequence[Body] = (),
    later: Mapping[str, str] | None = None,
    day: str = "",
) -> str:
    """The HTML of a week. agreed: the actions agreed in its meeting. later: the current stages of all actions, by id. day: the day of these
    actions and stages, for example 8 Jul 2013. Equal arguments give equal bytes.
    """
    template = template_environment().get_template("review.html")
    return template.render(
        body=body,
        agenda={"items_": agenda.items, "folded": agenda.folded},
        statuses=model_statuses(body),
        anchors={item.item: f"item-{place}" for place, item in enumerate(agenda.items, 1)},
        on_agenda={incident: place for place, item in enumerate(agenda.items, 1) for incident in item.incidents},
        outcomes={item: {**entry, "at": iso(entry["at"])} for item, entry in item_outcomes(words).items()},
        figures=(figures := {item.item: figure for item in agenda.items if (figure := agenda_figures.item_figure(body, item))}),
        drawings={name: item_drawing(figure) for name, figure in figures.items()},
        closed=meeting.closing_sentence(words),
        agreed=agreed,
        day=day,
        action_of={action["action"]: action for action in agreed},
        later=later or {},
        who_and_when=meeting.who_and_when,
        stage_of=meeting.stage_of_action,
        effect=meeting.effect_answer,
        first_week=FIRST_WEEK if any(FIRST_WEEK in item["reasons"] for item in body["agenda"]) else "",
        notes=[{**entry, "at": iso(entry["at"])} for entry in words if entry["does"] == "note" and entry.get("text")],
        same_rows=paired_sentence,
        piece=decision_evidence.read_evidence,
        stake=review_words.stake_sentences,
        inputs=review_words.inputs_sentence,
        labelling=review_words.labelling_lines,
        slices=review_words.regressed_slice_sentences,
        results=review_words.audit_results_words,
        exceeded=review_words.is_beyond_limit,
        judged_by=review_words.settings_sentence,
        settings_of_when=review_words.settings_of_when,
        erased_when=review_words.erased_when,
        suppressed=suppressed_words(body.get("suppressed", 0)),
        decisions=decisions,
        restated=since,
        charts={part["model"]: metric_chart_svg(part) for part in body["models"]},
    )


@cache
def template_environment() -> "Environment":
    """The Jinja2 environment. It escapes everything and has the formatters of the pages."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=without_direction_marks,
    )
    made.globals.update(
        icons=ICONS,
        words=formatting.STATUS_WORDS,
        ends=ENDS,
        main_metric=main_metric_cell,
        amount=formatting.format_value,
        count=formatting.format_count,
        interval=formatting.format_interval,
        plural=formatting.plural,
        title=formatting.metric_title,
        day_of=formatting.format_iso_day,
        minute=lambda at: formatting.format_minute(datetime.fromisoformat(at)),
        span=lambda start, end: formatting.format_span(datetime.fromisoformat(start), datetime.fromisoformat(end)),
    )
    made.filters["sentence"] = sentence_html
    return made


def without_direction_marks(value: Any) -> Any:
    """A text with direction marks replaced by visible escapes. Any other value is unchanged."""
    return type(value)(formatting.escape_direction_marks(value)) if isinstance(value, str) else value


def sentence_html(words: str) -> Markup:
    """A sentence as HTML. Names in backticks become code, and everything is escaped."""
    parts = words.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if place % 2 and part else part for place, part in enumerate(parts))


def paired_sentence(challenger: Body) -> str:
    """Sentences with the paired comparison of a challenger and the production version."""
    pairs, main = challenger["pairs"], challenger["headline"]
    if not pairs or not pairs["n"]:
        return "No request was served by both versions: no paired comparison."
    n, labelled = formatting.format_count(pairs["n"]), formatting.format_count(pairs["labelled"])
    words = [f"Both versions served {n} requests, {labelled} of them labelled."]
    if main and main["change"] is not None and main["low"] is not None:
        new, production = (formatting.format_value(main[name], main["unit"]) for name in ("new", "then"))
        change = formatting.format_interval(main["low"], main["high"], main["unit"])
        words.append(
            f"{formatting.metric_title(main['metric'])} on these requests: candidate {new}, production {production} "
            f"(change {change}, 95 % interval): {VERDICTS[main['verdict']]}."
        )
    only_new, only_production = formatting.format_count(pairs["only_a"]), formatting.format_count(pairs["only_b"])
    words.append(f"Only the candidate is right on {only_new}, only production on {only_production}.")
    if pairs["flips"] and pairs["flips"]["value"] is not None:
        words.append(f"{formatting.format_share(pairs['flips']['value'])} of decisions differ.")
    return " ".join(words)


def model_statuses(body: Body) -> dict[str, Severity]:
    """The status of each model of a frozen week, by name. The page, the file and the slides all use this function."""
    return {part["model"]: model_week_severity(body, part) for part in body["models"]}


def items_of(body: Body) -> list[Item]:
    """The items of the frozen agenda."""
    return [Item.from_json(item) for item in body["agenda"]]


def decisions_of_review(store: "Store", review: str) -> list[Body]:
    """The decisions of a review that are in force, oldest first."""
    decisions = [item for item in store.decisions() if item.fields.get("review") == review and item.state == "standing"]
    return [
        {
            "decision": decision.id,
            "author": decision.first.author,
            "at": iso(decision.first.at),
            **{
                name: decision.fields.get(name)
                for name in ("statement", "choice", "options", "evidence", "decider", "dissent", "model", "version", "item")
            },
            "revisit": iso(decision.fields["revisit"]) if decision.fields.get("revisit") else None,
        }
        for decision in sorted(decisions, key=lambda item: (item.first.at, item.id))
    ]


def metric_chart_svg(part: Body) -> Markup:
    """An SVG chart of a model's main metric by day. Empty if the metric was not measured."""
    cell = part["strip"]["performance"]
    measured = (finding for finding in part["findings"] if finding["analyzer"] == "serving/performance")
    finding = next((finding for finding in measured if finding["metric"] == cell.get("metric")), None)
    if finding is None:
        return Markup("")
    points = [(str(day), value, low, high) for day, value, low, high, *_ in finding["evidence"].get("by_day", [])]
    limit = finding["limit"] if isinstance(finding["limit"], int | float) else None
    title = formatting.metric_title(finding["metric"])
    estimates = {str(day): value for day, value, *_ in part.get("estimates", {}).get("by_day", [])}
    dashed = [estimates.get(day) for day, *_ in points] if estimates else []
    label = f"{title} of {part['model']} by day. {finding['because']}"
    words = title + ("; dashed: limit" if limit is not None else "") + ("; dotted: estimated" if estimates else "")
    return export_svg.line_drawing(points, label=label, limit=limit, words=words, share=finding["unit"] == "share", dashed=dashed)


def item_drawing(figure: agenda_figures.ItemFigure) -> Markup:
    """An SVG chart of an agenda item's metric by day. Empty with fewer than two known days."""
    return export_svg.daily_line_drawing(figure.line)


def minutes(store: "Store", review: str, now: datetime) -> str:
    """The minutes as CSV. There is a row for each agenda item with its outcome, each note, each decision, each action of the meeting, each
    action of earlier weeks, and for who closed the meeting. item: the agenda item of a note. reason: the reason of an outcome, or of the
    last change of an action. as_of: the day of `now`; the outcome and overdue of an action hold on this day.
    """
    body = week_without_small_groups(stored_week(store, review))
    words = said_about(store, review)
    ended = item_outcomes(words)
    rows: list[Body] = []
    for item in arranged_agenda(items_of(body), words).items:
        outcome = {"outcome": ENDS[end["does"]], **by_whom(end), "reason": end.get("text")} if (end := ended.get(item.item)) else {}
        about = {"model": ", ".join(item.models)}
        rows.append({"what": "item", **about, "text": item.title, **outcome})
        notes = (entry for entry in words if entry["item"] == item.item and entry["does"] == "note" and entry.get("text"))
        rows += [{"what": "note", **about, "text": entry["text"], **by_whom(entry), "item": item.title} for entry in notes]
    for decision in decisions_of_review(store, review):
        made = {"model": decision["model"], "text": decision["statement"], "outcome": decision["choice"], "at": decision["at"]}
        made |= {"author": decision["decider"] or decision["author"], "due": decision["revisit"]}
        rows.append({"what": "decision", **made})
    known = {action["action"]: action for action in meeting.all_actions(store, now.date())}
    earlier = [known.get(promise["action"], promise) for promise in body["promises"]]
    for kind, actions in (("action", meeting.agreed_actions(store, review, now.date())), ("earlier action", earlier)):
        for action in actions:
            fields = {name: action.get(name) for name in ("model", "text", "author", "at", "owner", "due", "metric", "reason")}
            overdue = "yes" if action["overdue"] else "no"
            state = {"outcome": meeting.stage_of_action(action), "overdue": overdue, "as_of": f"{now:%Y-%m-%d}"}
            rows.append({"what": kind, **fields, **state})
    if closed := meeting.closed_by(words):
        rows.append({"what": "closing", "text": "The meeting was closed.", **by_whom(closed)})
    if body["suppressed"]:
        rows.append({"what": "left out", "text": suppressed_words(body["suppressed"])})
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow(MINUTES_COLUMNS)
    write.writerows(inert_cells([review, *(row.get(name) for name in MINUTES_COLUMNS[1:])]) for row in rows)
    return out.getvalue()


def by_whom(entry: Mapping[str, Any]) -> Body:
    """The author and the time of an entry."""
    return {"author": entry["author"], "at": iso(entry["at"])}


def inert_cells(cells: Sequence[Any]) -> list[str]:
    """Cells as texts without spreadsheet formulas."""
    return ["" if cell is None else str(inert_text(cell)) for cell in cells]


def review_markdown(store: "Store", review: str, now: datetime) -> str:
    """The week as a few lines of Markdown, for a chat."""
    body = week_without_small_groups(stored_week(store, review))
    words = said_about(store, review)
    agenda, ended = arranged_agenda(items_of(body), words), item_outcomes(words)
    span = formatting.format_span(datetime.fromisoformat(body["start"]), datetime.fromisoformat(body["end"]))
    lines = [f"**Model review, week {body['week']}** ({span}, UTC)"]
    lines += [chat_text(closed)] if (closed := meeting.closing_sentence(words)) else []
    lines += [chat_text(erased)] if (erased := review_words.erased_when(body)) else []
    lines += [suppressed_words(body["suppressed"])] if body["suppressed"] else []
    for part in body["models"]:
        severity = model_week_severity(body, part)
        asked = model_action_counts(agenda, part["model"]).words
        lines.append(f"- {chat_text(part['model'])}: {ICONS[severity]} {formatting.STATUS_WORDS[severity]}, {asked}")
    lines += ["", "Agenda:"] if agenda.items else ["", "Nothing needs action this week."]
    for number, item in enumerate(agenda.items, 1):
        end = ended.get(item.item)
        lines.append(f"{number}. {chat_text(item_title(item.models, item.title))}" + (f" ({ENDS[end['does']].lower()})" if end else ""))
        notes = (entry for entry in words if entry["item"] == item.item and entry["does"] == "note" and entry.get("text"))
        lines += [f"   - {chat_text(str(entry['author']))}: {chat_text(' '.join(str(entry['text']).split()))}" for entry in notes]
    statements = [decision["statement"] for decision in decisions_of_review(store, review) if decision["statement"]]
    lines += ["", "Decisions:", *(f"- {chat_text(statement)}" for statement in statements)] if statements else []
    lines += action_lines(f"Actions, as of {formatting.format_day(now)}", meeting.agreed_actions(store, review, now.date()))
    known = {action["action"]: action for action in meeting.all_actions(store, now.date())}
    lines += action_lines(
        f"Actions of earlier weeks, as of {formatting.format_day(now)}",
        [known.get(promise["action"], promise) for promise in body["promises"]],
    )
    return "\n".join(lines) + "\n"


def action_lines(title: str, actions: Sequence[Body]) -> list[str]:
    """A title and below it the actions in Markdown, each with owner, due date and stage. Empty if there are no actions."""
    return (
        ["", f"{title}:", *(f"- {chat_text(action['text'])} ({chat_text(meeting.who_and_when(action))})" for action in actions)]
        if actions
        else []
    )


def review_json(store: "Store", body: Body, now: datetime) -> Body:
    """The frozen figures of a week without small groups (`suppressed`: findings that are left out), and under `meeting` what its meeting
    agreed: actions, decisions, outcomes and notes, who closed it (None if it is open), and the day on which `overdue` holds.
    """
    body = week_without_small_groups(body)
    review = body["review"]
    words = said_about(store, review)
    entries = [{name: iso(value) if isinstance(value, datetime) else value for name, value in entry.items()} for entry in words]
    agreed, decisions = meeting.agreed_actions(store, review, now.date()), decisions_of_review(store, review)
    closed = by_whom(ended) if (ended := meeting.closed_by(words)) else None
    agreed_here = {"as_of": f"{now:%Y-%m-%d}", "closed": closed, "actions": agreed, "decisions": decisions, "agenda": entries}
    return {**body, "meeting": agreed_here}


def item_title(models: Sequence[str], title: str) -> str:
    """The title of an item, with the names of its models in front."""
    return f"{', '.join(models)}: {title}" if models else title


def chat_text(words: str) -> str:
    """A text on one line for a chat. Names in backticks stay code; markup, mentions and addresses elsewhere are escaped."""
    return "".join(
        f"`{part}`" if place % 2 and part else MARKUP.sub(r"\\\1", MENTION.sub("\\1\u2060", part))
        for place, part in enumerate(" ".join(formatting.escape_direction_marks(words).split()).split("`"))
    )
