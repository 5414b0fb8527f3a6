"""How does a frozen week leave the product: as one HTML file that prints, as minutes in CSV, as a summary for a chat?

The same frozen numbers, what people said about them, and apart from both what is restated since. No script, no request: the file opens offline.
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
from observability.core.finding import iso
from observability.export import svg as export_svg
from observability.export.csv import inert_text
from observability.review import decision_evidence
from observability.review import sentences as review_words
from observability.review.agenda import Arranged, Item, arranged
from observability.review.freeze import found, outcomes, said_about
from observability.review.restated import Restated, restated
from observability.review.snapshot import Body
from observability.store.query import decision_log

if TYPE_CHECKING:
    from jinja2 import Environment

    from observability.store.db.database import Store

TEMPLATES = Path(__file__).parent / "templates"
ICONS = {"ok": "✓", "watch": "▲", "act": "●", "unknown": "?"}
"""Signs that print; the word always stands beside them."""
VERDICTS = {"differs": "differs", "slight": "differs slightly", "alike": "alike", "unknown": "cannot tell"}
ENDS = {"accept": "Accepted", "watch": "Watched", "act": "Acted on"}

MARKUP = re.compile(r"([\\*_\[\]<>~|#])")
MENTION = re.compile(r"(@|https?:|www\.)", re.IGNORECASE)


def page(store: "Store", review: str, now: datetime) -> str:
    """A frozen week as one HTML file. Raises NotFoundError where it is not frozen."""
    body = found(store, review)
    words = said_about(store, review)
    return rendered(body, arranged(items_of(body), words), words, decided(store, review), restated(store, body, now))


def pdf(store: "Store", review: str, now: datetime) -> bytes:
    """The same as PDF, A4. Raises UsageError where weasyprint is not installed, NotFoundError where the week is not frozen."""
    html = page(store, review, now)
    try:
        from weasyprint import HTML
    except (ImportError, OSError):
        raise UsageError(
            "a PDF cannot be made here", got="no weasyprint", attempt="pip install weasyprint, or print the HTML from a browser"
        ) from None
    return bytes(HTML(string=html, base_url=None, url_fetcher=refused).write_pdf())


def refused(url: str, *_: object, **__: object) -> dict[str, object]:
    """The page needs nothing from anywhere; whatever asks for it is refused."""
    raise ValueError(f"nothing is fetched for a report, not {url[:80]}")


def rendered(body: Body, agenda: Arranged, words: Sequence[Mapping[str, Any]], decisions: Sequence[Body], since: Sequence[Restated]) -> str:
    """The page from its parts; equal parts give equal bytes."""
    template = environment().get_template("review.html")
    return template.render(
        body=body,
        agenda={"items_": agenda.items, "folded": agenda.folded},
        anchors={item.item: f"item-{place}" for place, item in enumerate(agenda.items, 1)},
        on_agenda={one: place for place, item in enumerate(agenda.items, 1) for one in item.incidents},
        outcomes={item: {**each, "at": iso(each["at"])} for item, each in outcomes(words).items()},
        notes=[{**each, "at": iso(each["at"])} for each in words if each["does"] == "note" and each.get("text")],
        same_rows=on_the_same_rows,
        piece=decision_evidence.read,
        stake=review_words.stake,
        inputs=review_words.inputs,
        labelling=review_words.labelling_lines,
        slices=review_words.slices,
        results=review_words.results,
        exceeded=review_words.exceeded,
        judged_by=review_words.judged_by,
        settings_of_when=review_words.settings_of_when,
        decisions=decisions,
        restated=since,
        charts={each["model"]: chart(each) for each in body["models"]},
    )


@cache
def environment() -> "Environment":
    """Jinja2 with everything escaped, and the words of the pages."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, finalize=unturned
    )  # fmt: skip
    made.globals.update(
        icons=ICONS,
        words=formatting.STATUS_WORDS,
        ends=ENDS,
        amount=formatting.amount,
        count=formatting.count,
        title=formatting.metric_title,
        minute=lambda at: formatting.minute(datetime.fromisoformat(at)),
        span=lambda start, end: formatting.span(datetime.fromisoformat(start), datetime.fromisoformat(end)),
    )
    made.filters["told"] = told
    return made


def unturned(value: Any) -> Any:
    """What is put into a page, texts without signs that turn what follows; what is no text as it is."""
    return type(value)(formatting.unturned(value)) if isinstance(value, str) else value


def told(words: str) -> Markup:
    """A sentence with its names between backticks as code; everything else is escaped."""
    parts = words.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if place % 2 and part else part for place, part in enumerate(parts))


def on_the_same_rows(each: dict[str, Any]) -> str:
    """The paired part in a sentence."""
    pairs, main = each["pairs"], each["headline"]
    if not pairs or not pairs["n"]:
        return "No row was answered by both, so they are not compared row by row."
    words = [f"Both answered {formatting.count(pairs['n'])} requests, {formatting.count(pairs['labelled'])} of them labelled."]
    if main and main["change"] is not None and main["low"] is not None:
        title = formatting.metric_title(main["metric"])
        words.append(
            f"{title} on them: {formatting.amount(main['new'], main['unit'])} with the new version, {formatting.amount(main['then'], main['unit'])} with the one that serves "
            f"(change {formatting.amount(main['low'], main['unit'])} to {formatting.amount(main['high'], main['unit'])}, 95 % interval): {VERDICTS[main['verdict']]}."
        )
    words.append(f"The new one is right alone in {formatting.count(pairs['only_a'])}, the other in {formatting.count(pairs['only_b'])}.")
    if pairs["flips"] and pairs["flips"]["value"] is not None:
        words.append(f"{formatting.share(pairs['flips']['value'])} of the decisions flip.")
    return " ".join(words)


def items_of(body: Body) -> list[Item]:
    """The frozen agenda."""
    return [Item.from_json(each) for each in body["agenda"]]


def decided(store: "Store", review: str) -> list[Body]:
    """Standing decisions of a review, oldest first, as a page shows them."""
    found_ = [each for each in decision_log.decisions(store) if each.fields.get("review") == review and each.state == "standing"]
    return [
        {
            "decision": each.id,
            "author": each.first.author,
            "at": iso(each.first.at),
            **{
                name: each.fields.get(name)
                for name in ("statement", "choice", "options", "evidence", "decider", "dissent", "model", "version", "item")
            },
            "revisit": iso(each.fields["revisit"]) if each.fields.get("revisit") else None,
        }
        for each in sorted(found_, key=lambda one: (one.first.at, one.id))
    ]


def chart(part: Body) -> Markup:
    """The main metric of a model by day, from the finding that the strip shows."""
    cell = part["strip"]["performance"]
    finding = next(
        (each for each in part["findings"] if each["metric"] == cell.get("metric") and each["analyzer"] == "serving/performance"), None
    )
    if finding is None:
        return Markup("")
    points = [(str(day), value, low, high) for day, value, low, high, *_ in finding["evidence"].get("by_day", [])]
    limit = finding["limit"] if isinstance(finding["limit"], int | float) else None
    title = formatting.metric_title(finding["metric"])
    guesses = {str(day): value for day, value, *_ in part.get("estimates", {}).get("by_day", [])}
    dashed = [guesses.get(day) for day, *_ in points] if guesses else []
    label = f"{title} of {part['model']} by day. {finding['because']}"
    words = title + ("; broken: the limit" if limit is not None else "") + ("; dotted: estimated" if guesses else "")
    return export_svg.line(points, label=label, limit=limit, words=words, share=finding["unit"] == "share", dashed=dashed)


def minutes(store: "Store", review: str) -> str:
    """The minutes as CSV: one row for each item with what it ended in, each decision, and each action taken in the meeting."""
    body = found(store, review)
    words = said_about(store, review)
    ended = outcomes(words)
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow(["review", "what", "model", "text", "outcome", "author", "at", "owner", "due", "metric"])
    for each in arranged(items_of(body), words).items:
        end = ended.get(each.item)
        said_ = [ENDS[end["does"]], end["author"], iso(end["at"])] if end else ["", "", ""]
        write.writerow(inert([review, "item", ", ".join(each.models), each.title, *said_, "", "", ""]))
    for decision in decided(store, review):
        write.writerow(inert([review, "decision", decision["model"], decision["statement"], decision["choice"], decision["decider"] or decision["author"], decision["at"], "", decision["revisit"], ""]))  # fmt: skip
    for action in reversed(decision_log.actions(store)):
        if action.fields.get("review") == review:
            fields, due = action.fields, action.fields.get("due")
            write.writerow(inert([review, "action", fields.get("model"), fields.get("text"), action.state, action.first.author, iso(action.first.at), fields.get("owner"), iso(due) if due else "", fields.get("metric")]))  # fmt: skip
    return out.getvalue()


def inert(cells: Sequence[Any]) -> list[str]:
    """Cells that no spreadsheet takes for a formula."""
    return ["" if each is None else str(inert_text(each)) for each in cells]


def summary(store: "Store", review: str) -> str:
    """The week in a few lines of Markdown, for a chat."""
    body = found(store, review)
    words = said_about(store, review)
    agenda, ended = arranged(items_of(body), words), outcomes(words)
    lines = [
        f"**Model review, week {body['week']}** ({formatting.span(datetime.fromisoformat(body['start']), datetime.fromisoformat(body['end']))}, UTC)"
    ]
    for each in body["models"]:
        state = f"{ICONS[each['severity']]} {formatting.STATUS_WORDS[each['severity']].lower()}"
        lines.append(f"- {chat(each['model'])}: {state}, {formatting.plural(len(each['incidents']), 'incident')}")
    lines += ["", "Agenda:"] if agenda.items else ["", "Nothing needs a person this week."]
    for number, item in enumerate(agenda.items, 1):
        end = ended.get(item.item)
        lines.append(f"{number}. {chat(named(item.models, item.title))}" + (f" ({ENDS[end['does']].lower()})" if end else ""))
    made = [each["statement"] for each in decided(store, review) if each["statement"]]
    lines += ["", "Decided:", *(f"- {chat(each)}" for each in made)] if made else []
    return "\n".join(lines) + "\n"


def named(models: Sequence[str], title: str) -> str:
    """An item's title with the models that it is about in front of it."""
    return f"{', '.join(models)}: {title}" if models else title


def chat(words: str) -> str:
    """A text on one line that a chat takes as words: names between backticks stay code, signs of markup, mentions and addresses do nothing."""
    return "".join(
        f"`{part}`" if place % 2 and part else MARKUP.sub(r"\\\1", MENTION.sub("\\1\u2060", part))
        for place, part in enumerate(" ".join(formatting.unturned(words).split()).split("`"))
    )
