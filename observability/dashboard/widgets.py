"""Small elements that several pages draw: links as buttons, status lines, CSV downloads, the error message of a failed save."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, TypeVar

import pandas as pd
import streamlit as st

from observability.alerts import alarm_rules
from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.core.finding import SEVERITIES, Finding, finding_details
from observability.core.settings import ModelSettings
from observability.dashboard import links, load, person_name, time_zone
from observability.dashboard.frame import answer_or_stop, download_button
from observability.export.csv import inert_csv
from observability.incidents.since_words import finding_since, news_since
from observability.monitoring.short_claims import split_claim

Answer = TypeVar("Answer")
LINE_WORDS = 25
"""Maximum number of words of a finding that are drawn on its line; further clauses are behind a question mark."""
NOT_SAVED = "Not saved; your text is still in the form"


def link_button(label: str, target: Mapping[str, Any], *, key: str | None = None, icon: str = "arrow_forward", quiet: bool = True) -> None:
    """Draw a button that follows a link (a cell of links.link_cell, or its target). icon: the name of a Material symbol; quiet: without a
    frame.
    """
    st.button(
        formatting.escape_markdown(label),
        type="tertiary" if quiet else "secondary",
        icon=f":material/{icon}:",
        key=key,
        on_click=links.follow_link,
        args=(target.get("go", target),),
    )


def plain_paragraph(text: object) -> None:
    """Draw a paragraph in which names and values from logs cannot become markup."""
    st.markdown(formatting.escape_markdown(text))


def plain_caption(text: object, *, details: object = None) -> None:
    """Draw a caption in which names and values from logs cannot become markup. details: the text of its tooltip."""
    st.caption(formatting.escape_markdown(text), help=None if details is None else formatting.escape_markdown(details))


def plain_error(text: object) -> None:
    """Draw an error message in which names and values from logs cannot become markup."""
    st.error(formatting.error_markdown(text))


def status_line(severity: str, sentence: str, word: str | None = None, *, strong: bool = False) -> str:
    """A line of Markdown: icon, word and sentence. sentence: names between backticks stay code. strong: the sentence is bold."""
    words = formatting.sentence_markdown(sentence)
    return f"{formatting.status_label(severity, word)}: {f'**{words}**' if strong else words}"


def finding_news(finding: Finding) -> list[str]:
    """Words on what is new about a finding, and since when; empty if neither is known. A date that is in the finding's sentence already is
    not repeated.
    """
    since = finding_since(finding)
    said = finding.onset is not None and f"since {formatting.format_day(finding.onset)}" in finding.because
    return news_since(finding.news, None if said and since and not since.endswith("or earlier") else since)


def note_shown_claims(sentences: Iterable[str]) -> None:
    """Remember that the page has shown the claims with these sentences, so that the table of findings at the end of the page folds them."""
    st.session_state.setdefault("shown-claims", set()).update(sentences)


def is_shown_above(finding: Finding) -> bool:
    """Whether this run of the page has shown a finding already."""
    return finding.because in st.session_state.get("shown-claims", ())


def finding_line(
    finding: Finding, word: str | None = None, *, strong: bool = False, mark: str = "", others: Sequence[Finding] = ()
) -> None:
    """Draw the status line of a finding with its leading clauses and what is new about it. The other clauses are behind a question mark.

    word: replaces the word for the severity. strong: the sentence is bold. mark: Markdown after the sentence. others: findings whose
    sentences are added to the tooltip.
    """
    note_shown_claims([finding.because])
    claim, *rest = split_claim(finding.because, LINE_WORDS)
    line = status_line(finding.severity, claim, word, strong=strong)
    news = " · ".join(finding_news(finding))
    details = [*rest, *finding_details(finding), *(other.because for other in others)]
    words = "\n\n".join(map(formatting.sentence_markdown, details))
    st.markdown(f"{line}{f' :gray[· {news}]' if news else ''}{mark}", help=words or None)


def claim_line(sentence: str, *, quiet: bool = False, before: str = "", details: Sequence[str] = ()) -> None:
    """Draw the leading clauses of a sentence. The other clauses, and the sentences in `details`, are behind a question mark.

    quiet: draw the sentence as a caption. before: Markdown before the sentence. details: further sentences.
    """
    claim, *rest = split_claim(sentence, LINE_WORDS)
    rest += details
    draw = st.caption if quiet else st.markdown
    draw(before + formatting.sentence_markdown(claim), help="\n\n".join(map(formatting.sentence_markdown, rest)) or None)


def finding_lines(findings: Iterable[Finding]) -> None:
    """Draw a status line for each finding."""
    for finding in findings:
        finding_line(finding)


def main_finding_lines(findings: Sequence[Finding]) -> None:
    """Draw a status line for the first finding, in bold, and for each other finding that needs action. The remaining findings are behind
    the question mark of the first.
    """
    shown = [finding for place, finding in enumerate(findings) if not place or finding.needs_action]
    for place, finding in enumerate(shown):
        others = [other for other in findings if other not in shown] if not place else []
        finding_line(finding, strong=not place, others=others)


def leading_finding_line(findings: Iterable[Finding]) -> None:
    """Draw a status line for the worst finding that needs attention, and how many more are listed further down. Draws nothing if no finding
    needs attention.
    """
    needy = sorted((finding for finding in findings if finding.needs_action), key=lambda finding: SEVERITIES.index(finding.severity))
    if needy:
        finding_lines(needy[:1])
    if len(needy) > 1:
        st.caption(f"{formatting.plural(len(needy) - 1, 'more finding')} below.")


def unavailable_note(why: object) -> None:
    """Draw a status line that says why something cannot be shown."""
    st.markdown(status_line("unknown", formatting.capitalized_sentence(why), "Not available"))


def csv_button(
    name: str, rows: pd.DataFrame | Callable[[], pd.DataFrame], *, key: str | None = None, label: str = "CSV", has_groups: bool = True
) -> None:
    """Draw a button that downloads rows as `name.csv`. rows: the frame, or a function that returns it when the button is pressed.
    has_groups: False if no row is about a group of people.
    """

    def made() -> str:
        return inert_csv(rows() if callable(rows) else rows)

    download_button(f"{name}.csv", made, label, key=key or f"{name}-csv", has_groups=has_groups)


def cut_note(total: int, most: int, words: str) -> None:
    """Draw a caption if a table leaves rows out. words: {0} stands for the number of shown rows, {1} for the number of all rows."""
    if total > most:
        st.caption(words.format(most, f"{total:,}"))


def csv_of_table(name: str, rows: pd.DataFrame | Callable[[], pd.DataFrame], total: int, most: int, which: str = "newest") -> None:
    """Draw the CSV button of a table with a maximum number of rows, and a caption if rows are left out."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        csv_button(name, rows)
        cut_note(total, most, f"The {which} {{0}} of {{1}}; the CSV holds all of them.")


def logging_examples(examples: Mapping[str, str], *, expanded: bool = False) -> None:
    """Draw examples of records that make the figures better when they are logged. examples: from the description to the example line."""
    with st.expander("Improve these figures", icon=":material/edit_note:", expanded=expanded):
        for words, line in examples.items():
            st.markdown(words)
            st.code(line, language="json", wrap_lines=True)


def note_line(at: datetime, author: str, word: str, more: str = "", *, strong: bool = False) -> None:
    """Draw one entry of a history: time, author, word and text. strong: whether the word is bold."""
    when, words = formatting.escape_markdown(f"{time_zone.zoned_minute(at)} {author}"), formatting.escape_markdown(word)
    st.markdown(f":gray[{when}] {f'**{words}**' if strong else words}{f': {formatting.escape_markdown(more)}' if more else ''}")


def save_records(records: Sequence[Mapping[str, object]], failure: str | None = None) -> bool:
    """Write records to the store. If they cannot be written, draw the reason and return False. failure: the title of the error."""
    try:
        load.store().write_records(records)
    except ObservabilityError as error:
        st.error(formatting.error_markdown(error), title=failure, icon=":material/error:")
        return False
    return True


@contextlib.contextmanager
def progress_bar(words: str) -> Iterator[Callable[[float, str], None]]:
    """A progress bar that disappears at the end. Yields the function that moves it and changes its text. words: the first text."""
    bar = st.progress(0.0, words)

    def move(share: float, text: str) -> None:
        bar.progress(min(max(share, 0.0), 1.0), formatting.escape_markdown(text))

    try:
        yield move
    finally:
        bar.empty()


def answer_or_error(ask: Callable[[], Answer], title: str | None = None) -> Answer | None:
    """The result of `ask`. If it fails for a reason that a person can correct, draw the error and return None. title: the title of the
    error.
    """
    try:
        return ask()
    except ObservabilityError as error:
        st.error(formatting.error_markdown(error), title=title, icon=":material/error:" if title else None)
        return None


def save_model_settings(model: str, settings: ModelSettings) -> None:
    """Save the settings of a model in the name of this session's person, and rerun the page. If saving fails, the page shows the error and
    stops.
    """
    author = person_name.person_name_or_default()
    answer_or_stop(lambda: alarm_rules.save_settings(load.store(), model, settings, author=author))
    st.rerun()


def utc_midnight(day: date | None) -> datetime | None:
    """The start of a day (UTC), the format of due dates in records; None if no day is chosen."""
    return datetime.combine(day, time(), tzinfo=UTC) if day else None
