"""Search the texts in predictions for personal data: e-mail addresses, phone, card and account numbers, national identifiers.

A text counts as personal data by its format and check digits (records/personal_data.py). A sample of limited size is searched. A finding
contains counts, never a text. Fields that records do not define (`extra`) are searched like features, each under its own name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from observability.core.analyzer import OTHERS, Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity
from observability.core.formatting import join_words, plural
from observability.core.json_values import stored_json
from observability.core.questions import Sample
from observability.detection.odd_texts import MAX_FIELDS, joined_texts
from observability.records.personal_data import personal_data_counts, texts_of_kinds
from observability.stats.interval import rate_interval

NAME, METRIC = "data/personal_data", "personal_data_share"
ROWS, MIN_TEXTS, TEXT_CHARACTERS = 2_000, 100, 2_000
"""Number of predictions in the sample; minimum number of texts to judge a column; maximum number of characters that are read of a text."""
SEARCHED = "e-mail addresses, phone, card and account numbers, national identifiers"


@dataclass(frozen=True)
class SearchedColumn:
    """The result of a search of one column: number of texts, number of texts with personal data, and the latter by kind and by reason."""

    reference: str
    texts: int
    personal: int
    kinds: dict[str, int]
    reasons: tuple[tuple[str, str, int], ...]


def needs(context: Context) -> dict[str, Ask]:
    """Ask for a sample of the texts of the window."""
    return {"texts": Ask(Sample("predictions", ("id", *text_columns(context), "extra"), ROWS))}


def text_columns(context: Context) -> tuple[str, ...]:
    """Return the references of the columns that hold texts: features and groups that are categories, and the subject."""
    return (*(column.reference for column in context.model.columns if column.kind == "category"), "subject")


def searched_columns(frames: Frames, context: Context) -> list[SearchedColumn]:
    """Return the result of the search in each column with texts."""
    found = []
    rows = frames["texts"]
    own = {reference: [str(text)[:TEXT_CHARACTERS] for text in rows[reference].dropna()] for reference in text_columns(context)}
    for reference, texts in (own | texts_of_other_fields(rows["extra"].dropna())).items():
        if texts:
            counts = personal_data_counts(texts)
            places = texts_of_kinds(counts)
            kinds = {kind: len(of_kind) for kind, of_kind in places.items()}
            reasons = tuple((count.kind, count.why, count.texts) for count in counts)
            found.append(SearchedColumn(reference, len(texts), len(set().union(*places.values())), kinds, reasons))
    return found


def texts_of_other_fields(extras: Iterable[str]) -> dict[str, list[str]]:
    """Return the texts of fields that records do not define, by `extra.NAME`: one text per row. Several texts inside a field are joined."""
    found: dict[str, list[str]] = {}
    for extra in extras:
        body = stored_json(extra)
        for name, value in body.items() if isinstance(body, dict) else ():
            text = " \n ".join(joined_texts(value))
            if text and (f"extra.{name}" in found or len(found) < MAX_FIELDS):
                found.setdefault(f"extra.{name}", []).append(text[:TEXT_CHARACTERS])
    return found


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return a finding about each column with personal data, and one about all other columns."""
    columns = searched_columns(frames, context)
    found = [personal_column_finding(column, context) for column in columns if column.personal]
    others = [column for column in columns if not column.personal]
    return [*found, *([clean_columns_finding(others, context)] if others or not found else [])]


def personal_column_finding(column: SearchedColumn, context: Context) -> Finding:
    """Return the finding about a column with personal data: a warning above the owner's limit (default 0), `unknown` if the column has few
    texts.
    """
    limit = context.model.settings.limits.get(f"{NAME}/{METRIC}", 0.0)
    kinds = join_words([f"{kind} in {count:,}" for kind, count in column.kinds.items()])
    other = column.reference.startswith("extra.")
    subject = column.reference if other else context.model.subject(column.reference)
    said = f"`{subject}` holds {kinds} of {plural(column.texts, 'text')}"
    base = context.undecided(NAME, subject, METRIC, column.texts, "", against="level")
    reasons = [{"kind": kind, "why": why, "texts": count} for kind, why, count in column.reasons]
    evidence = {"kinds": column.kinds, "reasons": reasons, "texts": column.texts, "column": column.reference}
    base = replace(base, evidence=evidence, limit=limit)
    if column.texts < MIN_TEXTS:
        because = f"{said}; too few to judge: that needs about {MIN_TEXTS - column.texts:,} more."
        return replace(base, because=because)
    known = rate_interval(column.personal, column.texts)
    share = column.personal / column.texts
    severity: Severity = "watch" if share > limit else "ok"
    advice = "log a pseudonym instead" if column.reference == "subject" else "hash or drop it under [protect] in the settings"
    if other:
        advice = "no feature and no field of a record, so leave it out of the log"
    because = f"{said}: {advice}." if severity == "watch" else f"{said}, within the limit of {limit:.3g} that its owner stated."
    because += f" Found by: {'; '.join(f'{why} ({count:,})' for _, why, count in column.reasons)}."
    return replace(
        base,
        value=share,
        low=known.low,
        high=known.high,
        severity=severity,
        because=because,
        likely_source="input" if severity == "watch" else None,
        rank=3.0 + share,
    )


def clean_columns_finding(columns: Sequence[SearchedColumn], context: Context) -> Finding:
    """Return the finding about the columns without personal data; its severity is `unknown` without enough texts."""
    texts = sum(column.texts for column in columns)
    base = context.undecided(NAME, "model", METRIC, texts, "", against="level")
    if not texts:
        because = (
            "Features, groups, subjects and other logged fields of these dates hold no text: there is nothing to search for personal data."
        )
        return replace(base, because=because)
    if texts < MIN_TEXTS:
        because = (
            f"{plural(texts, 'text')} of predictions are too few to search for personal data: that needs about {MIN_TEXTS - texts:,} more."
        )
        return replace(base, because=because)
    known = rate_interval(0, texts)
    because = f"No personal data in {texts:,} texts of {plural(len(columns), 'column')} ({SEARCHED})."
    return replace(base, value=0.0, low=known.low, high=known.high, severity="ok", because=because)


ANALYZER = Analyzer(
    NAME,
    "Do texts of predictions hold personal data?",
    needs,
    analyze,
    limits={METRIC: 0.0},
    proofs={OTHERS: "check digits and forms are read from a sample of texts by a program; SQL does not give them"},
)
