"""The content of a page as data, and where it contradicts findings, limits, other pages or its own dates."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from streamlit.testing.v1 import AppTest

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.core.settings import ModelSettings
from tests.support.levels import beyond_limit

TEXTS = ("title", "header", "subheader", "markdown", "caption", "warning", "error", "success", "info")
SEVERITY_OF_ICON = {icon: severity for severity, icon in formatting.STATUS_ICONS.items()}
STATUS_LINE = re.compile(rf":\w+\[({'|'.join(SEVERITY_OF_ICON)}) [^\]]+\]:?\s*(.+)", re.DOTALL)
NUMBER = r"[−-]?\d[\d,]*(?:\.\d+)?"


@dataclass(frozen=True)
class PageView:
    """One page in one window. tables: the data of its tables, by caption; lines: its texts without Markdown; statuses: severity and
    sentence of its status lines; charts: for each chart, its text for screen readers and its table. start, end: the window of its model;
    None on a page about the fleet.
    """

    page: str
    model: str | None
    window: str
    start: datetime | None
    end: datetime | None
    tables: Mapping[str, Mapping[str, Any]]
    lines: tuple[str, ...]
    statuses: tuple[tuple[str, str], ...]
    charts: tuple[tuple[str, pd.DataFrame | None], ...]

    @property
    def place(self) -> str:
        """Page, model and window as text."""
        return f"{self.page} of {self.model or 'the fleet'}, {self.window}"


def plain(text: object) -> str:
    """A text without Markdown, so that a sentence in a table equals the same sentence in a line."""
    return " ".join(re.sub(r"[\\`*\u2060]", "", str(text)).split())


def page_view(
    app: AppTest, page: str, model: str | None, window: str, start: datetime | None = None, end: datetime | None = None
) -> PageView:
    """What a page shows, including its collapsed parts."""
    tables = {data["caption"]: data for each in app.get("bidi_component") if "rows" in (data := json.loads(each.proto.json))}
    texts = [str(each.value) for kind in TEXTS for each in getattr(app, kind)]
    marked = [found for text in texts if (found := STATUS_LINE.match(text))]
    statuses = tuple((SEVERITY_OF_ICON[found[1]], plain(found[2])) for found in marked)
    twins = {each.proto.alt.removeprefix("Table: "): each.value for each in app.dataframe if each.proto.alt}
    charts = tuple((each.proto.alt, twins.get(each.proto.alt)) for each in app.get("plotly_chart"))
    return PageView(page, model, window, start, end, tables, tuple(map(plain, texts)), statuses, charts)


# findings


def ok_beyond_level(finding: Finding, settings: ModelSettings) -> str | None:
    """Why an OK finding is untrue; None if it is not. The value is compared with the finding's own limit (or with the owner's level if the
    finding states none), and the value of each of its windows with that window's limit.
    """
    if finding.severity != "ok":
        return None
    if beyond_limit(finding):
        return f"the value {finding.value} is beyond the limit {finding.limit}"
    level = settings.limits.get(f"{finding.analyzer}/{finding.metric}")
    if finding.value is not None and level is not None and finding.limit is None:
        return f"the owner's level {level} is not applied to {finding.value}"
    better = METRICS[finding.metric].better
    for window in finding.evidence.get("windows") or ():
        value, edge = window.get("value"), window.get("edge")
        if (
            window.get("severity") == "ok"
            and not window.get("standing")  # shown as ongoing
            and None not in (value, edge)
            and (value > edge if better == "low" else value < edge if better == "high" else False)
        ):
            return f"the value {value} of {window['days']} days is beyond the limit {edge}"
    return None


OF_NOW = ("controller_off_share",)
"""Metrics whose finding judges both the share of the whole window and the state at its end: whether the kill switch is on."""


def judged_by_nothing(finding: Finding) -> bool:
    """Whether an OK finding has a value although it has no limit, baseline, test or peers to judge it by.

    Two cases are allowed: a metric for which neither direction is better is not judged, and a count of something bad cannot fall below 0.
    """
    better, known = METRICS[finding.metric].better, {"baseline", "past", "earlier_runs", "windows", "p_value", "p_adjusted"}
    return (
        finding.severity == "ok"
        and finding.value is not None
        and finding.limit is None
        and finding.against != "peers"
        and finding.metric not in OF_NOW
        and better is not None
        and not (better == "low" and finding.value == 0)
        and not known & {name for name, value in finding.evidence.items() if value is not None}
    )


# pages


def cell_sentences(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """For the cells of a table's row and the line below it: each text, with a severity that may belong to it."""
    cells = row["cells"]
    own = [cell["s"] for cell in cells.values() if cell.get("s")]
    for cell in cells.values():  # a cell with a dash shows no value, so the row's status does not belong to its reason
        severity = cell.get("s") or (own[0] if len(own) == 1 and cell.get("t") != formatting.DASH else None)
        if severity:
            yield from ((severity, plain(cell[part])) for part in ("t", "sub", "title") if cell.get(part))
    note = row.get("note")
    if note and note.get("s"):
        yield note["s"], plain(note["t"])


def other_status(view: PageView, findings: Iterable[Finding]) -> Iterator[str]:
    """Rows and status lines with the sentence of a finding, but with another severity than the finding's."""
    if view.page == "alerts":  # a row shows the state of its alert
        return
    by_sentence = defaultdict(set)
    for finding in findings:
        by_sentence[plain(finding.because)].add(finding.shown_severity)
    shown = [pair for table in view.tables.values() for row in table["rows"] if "cells" in row for pair in cell_sentences(row)]
    for severity, sentence in {*shown, *view.statuses}:
        known = by_sentence.get(sentence)
        if known and severity not in known:
            yield f"{severity} beside a finding that is {' or '.join(sorted(known))}: {sentence}"


def shown_number(text: object) -> float | None:
    """The number at the start of a cell; percentages as shares. None if there is none."""
    found = re.match(rf"({NUMBER})( %)?", str(text).strip())
    if not found:
        return None
    value = float(found[1].replace(",", "").replace("−", "-"))
    return value / 100 if found[2] else value


def direction_of(*texts: object) -> str | None:
    """The better direction of the metric whose title one of the texts begins with; None if there is no such metric."""
    for text in map(str, texts):
        named = max(
            (metric for metric in METRICS.values() if text.lower().startswith(metric.title.lower())),
            key=lambda metric: len(metric.title),
            default=None,
        )
        if named:
            return named.better
    return None


def ok_row_beyond_limit(view: PageView) -> Iterator[str]:
    """Rows of tables and of charts' tables with the status OK although the shown value is beyond the shown limit."""
    for caption, table in view.tables.items():
        limits = [column["key"] for column in table.get("columns", ()) if column["label"] in ("Limit", "Threshold", "Target")]
        for row in table["rows"]:
            cells = row.get("cells", {})
            severities = {cell["s"] for cell in cells.values() if cell.get("s")}
            if severities != {"ok"}:
                continue
            texts = [caption, *(str(cell.get(part) or "") for cell in cells.values() for part in ("t", "sub"))]
            pairs = [
                (cells.get(key, {}).get("t"), cells.get(name, {}).get("t")) for key in limits for name in ("value", "burn", "achieved")
            ]
            pairs += [
                (found[1], cell.get("t"))
                for cell in cells.values()
                if (found := re.search(rf"limit ({NUMBER}(?: %)?)$", str(cell.get("sub") or "")))
            ]
            for limit, value in pairs:
                edge, known = shown_number(limit), shown_number(value)
                better = direction_of(*texts)
                if edge is None or known is None:
                    continue
                if (better == "low" and known > edge) or (better == "high" and known < edge):
                    yield f"{caption}: OK with {value}, limit {limit} ({' / '.join(filter(None, texts[1:]))[:160]})"
    for alt, twin in view.charts:
        if twin is not None and {"severity", "value", "limit"} <= set(twin.columns):
            size = (twin["value"] - twin["reference"]).abs() if "reference" in twin else twin["value"]  # the limit applies to the change
            bad = twin[(twin["severity"].astype(str).str.lower() == "ok") & (size > twin["limit"])]
            yield from (f"chart “{alt}”: OK with {row['value']}, limit {row['limit']}" for row in bad.to_dict("records"))


SPAN = re.compile(r"(\d{1,2})(?: ([A-Z][a-z]{2}))?(?: (\d{4}))? (?:to|–) (\d{1,2}) ([A-Z][a-z]{2}) (\d{4})")


def named_spans(text: str) -> Iterator[tuple[datetime, datetime]]:
    """The ranges of days that a text names, as half-open intervals."""
    for found in SPAN.finditer(text):
        last = datetime.strptime(f"{found[4]} {found[5]} {found[6]}", "%d %b %Y").replace(tzinfo=UTC)
        first = datetime.strptime(f"{found[1]} {found[2] or found[5]} {found[3] or found[6]}", "%d %b %Y").replace(tzinfo=UTC)
        yield first, last + timedelta(days=1)


WINDOW_NAMED = re.compile(r"\b(?:of|in) (?:this window|these dates|these days)\b")


def chart_days(twin: pd.DataFrame) -> tuple[datetime, datetime] | None:
    """The first and the last time in a chart's table; None if the table has no times."""
    for name in ("period", "day", "at", "hour"):
        if name in twin and len(twin) and not pd.api.types.is_numeric_dtype(twin[name]):
            times = pd.to_datetime(twin[name], errors="coerce", utc=True).dropna()
            if len(times):
                return times.min().to_pydatetime(), times.max().to_pydatetime()
    return None


def chart_beside_its_dates(view: PageView) -> Iterator[str]:
    """Charts whose text names a range of days (or the window), but whose table has other days or fewer days. A chart that names no range is
    not checked.
    """
    for alt, twin in view.charts:
        days = chart_days(twin) if twin is not None else None
        if days is None:
            continue
        spans, bar = list(named_spans(alt)), timedelta(days=7 if "by week" in alt else 1)
        if not spans and view.start and view.end and WINDOW_NAMED.search(alt):
            spans = [(view.start, view.end)]
        for first, end in spans:
            before = first - timedelta(days=6) if "by week" in alt else first  # the bar of a week is drawn at its Monday
            if days[0] < before or days[1] >= end:
                yield f"chart “{alt}” has {days[0]:%Y-%m-%d %H:%M} to {days[1]:%Y-%m-%d %H:%M}"
            elif days[0] - first > bar or end - days[1] > bar + timedelta(days=1):
                yield f"chart “{alt}” covers only {days[0]:%Y-%m-%d %H:%M} to {days[1]:%Y-%m-%d %H:%M}"


# totals

MEANS = ("Accuracy", "Mean absolute error", "ROC AUC", "Brier score", "Log loss", "R²")
COUNTED = {
    "models": rf"^({NUMBER}) models?, (?:{NUMBER} checked: )?(?:{NUMBER} (?:critical|warning)|nothing needs)",
    "predictions": rf"\b({NUMBER}) predictions(?: in|,) \d{{1,2}} (?:[A-Z]|to )",
    "labelled": rf"\b({NUMBER} of {NUMBER}) predictions (?:of this window )?are labelled",
    "critical incidents": rf"^({NUMBER}) critical\b",
    "warnings": rf"^(?:{NUMBER} critical )?({NUMBER}) warnings?$",
    **{mean: rf"^(?:OK: |Warning: |Critical: )?{mean} ({NUMBER}(?: %)?)(?: \(|$)" for mean in MEANS},
}
"""Numbers about a model or the fleet that pages state, with the pattern of their text."""


def stated_totals(view: PageView) -> Iterator[tuple[str | None, str, str, str]]:
    """Model, quantity, number, and the text that states the number. A row that names a model states it about that model."""
    texts = [(view.model, text) for text in view.lines] + [(view.model, sentence) for _, sentence in view.statuses]
    for caption, table in view.tables.items():
        rows = [row["cells"] for row in table["rows"] if "cells" in row]
        for cells in rows:
            model = cells.get("model", {}).get("t") or view.model
            texts += [(model, plain(cell[part])) for cell in cells.values() for part in ("t", "sub", "title") if cell.get(part)]
            for cell in cells.values():
                found = re.match(rf"({'|'.join(MEANS)})(?:,|$)", str(cell.get("sub") or "").partition("\n")[0])
                if found and shown_number(cell["t"]) is not None:
                    yield model, found[1], str(cell["t"]), plain(cell["sub"])
        if caption.startswith(f"Incidents of {view.model},"):
            severities = [cells["severity"]["t"] for cells in rows]
            for name, word in (("critical incidents", "Critical"), ("warnings", "Warning")):
                if severities.count(word) and len(rows) < 12:
                    yield view.model, name, str(severities.count(word)), caption
    for model, text in texts:
        for name, pattern in COUNTED.items():
            if found := re.search(pattern, text):
                yield model, name, found[1], text


OTHER_DATES = ("review",)
"""Pages that show their own dates, whatever window is chosen: those of a frozen week."""


def header_beside_rows(view: PageView) -> Iterator[str]:
    """The count of critical incidents above Home's table, if it is larger than the sum of the rows and the call logs. Not checked if models
    share incidents.
    """
    header = next((line for line in view.lines if re.match(rf"{NUMBER} models? ?", line) and " critical" in line), None)
    table = next((data for caption, data in view.tables.items() if caption.startswith("Models, ")), None)
    if header is None or table is None or "shared by several models" in "".join(view.lines):
        return
    counts, _, logs = header.partition("(")
    told = re.search(rf"({NUMBER}) critical", counts)
    rows = [str(row["cells"].get("status", {}).get("t") or "") for row in table["rows"] if "cells" in row]
    numbers = [found[1] for text in (*rows, logs) if (found := re.search(rf"({NUMBER}) critical", text))]
    total = sum(int(each.replace(",", "")) for each in numbers)
    if told and int(told[1].replace(",", "")) > total:
        yield f"{told[1]} critical above, {total} in the rows"


def significant_but_not_counted(view: PageView) -> Iterator[str]:
    """A page that states that none of its slices is significant, but shows a warning about one of them and the same metric."""
    said = next((line for line in view.lines if re.search(r"\b0 of \d+ significant", line)), None)
    if said is None:
        return
    metric = next((metric.title for metric in METRICS.values() if f", {metric.title.lower()} " in said.lower()), None)
    listed = {cells["slice"]["t"].replace(" = ", "=") for cells in _rows_with(view, "slice")}
    for cells in _rows_with(view, "because"):
        severity = next((cell["s"] for cell in cells.values() if cell.get("s")), None)
        about, _, rest = str(cells["because"].get("sub") or "").partition(" · ")
        if severity in ("act", "watch") and metric and rest.startswith(metric) and about in listed:
            yield f"{said} beside {plain(cells['because']['t'])}"


def unchanged_beside_worse(view: PageView) -> Iterator[str]:
    """A table of windows that states no change for the whole window, below a line that states that it is worse."""
    worse = [sentence for _, sentence in view.statuses if "· worse" in sentence]
    for caption, table in view.tables.items():
        if caption.endswith(" by window"):
            last = table["rows"][-1]["cells"]
            if worse and last["status"].get("sub") == "unchanged from its past" and last["status"].get("s") in ("act", "watch"):
                yield f"{caption}: {last['days']['t']} unchanged from its past, beside {worse[0][:160]}"


def _rows_with(view: PageView, key: str) -> Iterator[Mapping[str, Any]]:
    for table in view.tables.values():
        yield from (row["cells"] for row in table["rows"] if key in row.get("cells", {}))


def untrue(
    findings: Mapping[str | None, Sequence[Finding]], views: Sequence[PageView], settings: Mapping[str, ModelSettings]
) -> Iterator[tuple[str, str]]:
    """The kind and description of every contradiction within the findings and pages of one window. findings: by model; settings: those of
    each model.
    """
    for model, own in findings.items():
        for finding in own:
            if why := ok_beyond_level(finding, settings.get(model or "", ModelSettings())):
                yield "OK beyond", f"{model} {finding.claim}: {why}. {finding.because}"
            elif judged_by_nothing(finding):
                yield "OK by nothing", f"{model} {finding.claim}: {finding.because}"
    for view in views:
        own = findings.get(view.model, ()) if view.model else [each for every in findings.values() for each in every]
        yield from (("other status", f"{view.place}: {line}") for line in sorted(other_status(view, own)))
        yield from (("OK row beyond", f"{view.place}: {line}") for line in ok_row_beyond_limit(view))
        yield from (("dates", f"{view.place}: {line}") for line in chart_beside_its_dates(view))
    for view in views:
        yield from (("no sum", f"{view.place}: {line}") for line in header_beside_rows(view))
        yield from (("not counted", f"{view.place}: {line}") for line in significant_but_not_counted(view))
        yield from (("unchanged", f"{view.place}: {line}") for line in unchanged_beside_worse(view))
    views = [view for view in views if view.page not in OTHER_DATES]
    stated: dict[tuple[str, str | None], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for view in views:
        for model, name, number, text in stated_totals(view):
            stated[name, model][number].add(f"{view.page}: {text[:150]}")
    for (name, model), numbers in stated.items():
        if len(numbers) > 1:
            places = "; ".join(f"{number} [{' | '.join(sorted(where)[:3])}]" for number, where in sorted(numbers.items()))
            yield "totals", f"{name} of {model or 'the fleet'}: {places}"
