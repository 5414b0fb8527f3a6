"""Writes slides of a frozen week as one self-contained HTML file. It has one slide for each agenda item, with large type, notes, a timer
and keys.

The file requests nothing. Without scripts, and on paper, the slides follow one below another.
"""

import base64
import hashlib
import re
from datetime import datetime
from typing import TYPE_CHECKING

from observability.core import formatting
from observability.core.finding import iso
from observability.core.formatting import with_full_stop
from observability.export import review as export_review
from observability.review import agenda_figures, meeting
from observability.review import sentences as review_words
from observability.review.agenda import Item, arranged_agenda
from observability.review.freeze import item_outcomes, said_about, stored_week
from observability.review.small_groups import suppressed_words, week_without_small_groups
from observability.review.snapshot import Body

if TYPE_CHECKING:
    from observability.store.engine import Store

PARENTHESES = re.compile(r" \([^()]*\)")
CLAUSE_END = re.compile(r"; |(?<=[^.])\. (?=[A-Z])")


def review_deck(store: "Store", review: str, now: datetime) -> str:
    """The slides of a frozen week as HTML, with what the meeting agreed so far. now: the time that decides which actions are overdue.

    Raises NotFoundError if the week is not frozen.
    """
    body, words = week_without_small_groups(stored_week(store, review)), said_about(store, review)
    agenda, agreed = arranged_agenda(export_review.items_of(body), words), meeting.agreed_actions(store, review, now.date())
    figures = {item.item: figure for item in agenda.items if (figure := agenda_figures.item_figure(body, item))}
    present = {action["action"]: action for action in meeting.all_actions(store, now.date())}
    script = export_review.template_environment().get_template("deck.js").render()
    return (
        export_review.template_environment()
        .get_template("deck.html")
        .render(
            body=body,
            statuses=export_review.model_statuses(body),
            agenda={"items_": agenda.items, "folded": agenda.folded},
            figures=figures,
            headline=slide_headline,
            drawings={name: export_review.item_drawing(figure) for name, figure in figures.items()},
            deciders={item.item: item_deciders(body, item) for item in agenda.items},
            stakes={item.item: stake_lines(body, item) for item in agenda.items},
            outcomes=item_outcomes(words),
            notes=[{**entry, "at": iso(entry["at"])} for entry in words if entry["does"] == "note" and entry.get("text")],
            agreed=agreed,
            day=formatting.format_day(now),
            closed=meeting.closing_sentence(words),
            action_of={action["action"]: action for action in agreed},
            decisions=export_review.decisions_of_review(store, review),
            current=lambda promise: meeting.who_and_when(present.get(promise["action"]) or promise),
            who_and_when=meeting.who_and_when,
            effect=meeting.effect_answer,
            erased_when=review_words.erased_when,
            suppressed=suppressed_words(body["suppressed"]),
            ends=export_review.ENDS,
            script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        )
    )


def slide_headline(item: Item) -> str:
    """The first clause of an item's sentence, without parentheses. The notes of the slide have the whole sentence."""
    return with_full_stop(CLAUSE_END.split(PARENTHESES.sub("", item.title), maxsplit=1)[0])


def item_deciders(body: Body, item: Item) -> str | None:
    """Who decides about an item: the owners of its models when the week was frozen. None if there is no owner."""
    owners = {part["owner"]: None for part in body["models"] if part["model"] in item.models and part.get("owner")}
    return ", ".join(owners) or None


def stake_lines(body: Body, item: Item) -> list[str]:
    """Lines that state who is affected by the incidents of an item and what the errors cost."""
    found_lines = (
        review_words.stake_sentences(part, incident)
        for part in body["models"]
        if part["model"] in item.models
        for incident in item.incidents
    )
    return [line for stake in found_lines if stake for line in stake if line]
