"""The fleet: one row for each model, computed only from rollups and findings."""

from collections.abc import Sequence
from datetime import timedelta
from statistics import fmean
from typing import TYPE_CHECKING, Any

from observability.analyzers.operations.cost import amount_words
from observability.analyzers.serving.call_drift import is_language_model
from observability.core import formatting
from observability.core.finding import FAILED, SEVERITIES, Finding, Severity, with_window_value
from observability.dashboard import links, load, time_series
from observability.dashboard.cells import severity_cell
from observability.dashboard.overview import incidents
from observability.dashboard.overview.model_status import ELSEWHERE, ModelStatus
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, sparkline, table_row
from observability.incidents.daily_values import Band, DayValue, comparison_band, cost_values, daily_values, pair_values
from observability.incidents.grouping import Incident
from observability.incidents.model_state import drift_counts, is_verdict, not_judged_reason
from observability.metrics.measured_windows import MATURE
from observability.metrics.performance import HEADLINE

if TYPE_CHECKING:
    pass

COLUMNS = (
    column("model", "Model", width="10.5rem", strong=True),
    column("status", "Status", help="Open incidents", width="5.8rem"),
    column(
        "traffic",
        "Traffic a day",
        help="Predictions per day; change against the previous period; the share that failed",
        width="6.2rem",
        phone=False,
    ),
    column(
        "latency",
        "Latency",
        help="p99 latency by day with its usual range; change against the previous period",
        width="5.4rem",
        phone=False,
        short=True,
    ),
    column(
        "quality",
        "Input quality",
        help="Nulls, unseen values, ranges, volume, freshness; the worst column by day with its usual range, else the mean share of nulls",
        width="6.4rem",
        phone=False,
        short=True,
    ),
    column(
        "drift",
        "Input drift",
        help="How many features drifted against the reference; mean PSI by day",
        width="7rem",
        short=True,
        phone=False,
    ),
    column(
        "outputs",
        "Output drift",
        help="PSI of the scores against the reference, by day with its usual range",
        width="6rem",
        phone=False,
        short=True,
    ),
    column(
        "outcome",
        "Outcome",
        help="The main metric on the labels so far, else marked as estimated; change against the previous period",
        width="9rem",
    ),
    column(
        "fairness",
        "Fairness",
        help="Differences between groups; by day, the most significant pair, with its interval",
        width="5.6rem",
        phone=False,
        short=True,
    ),
    column(
        "cost",
        "Cost per 1,000",
        help="Cost per thousand predictions by day with its usual range; change against the previous period",
        width="5.2rem",
        phone=False,
        short=True,
    ),
)
SMALL = 76
"""Width in pixels of a sparkline in a narrow column."""
MEASURED_ON = {
    "traffic": "quality",
    "latency": "latency",
    "quality": "quality",
    "drift": "drift",
    "outputs": "drift",
    "outcome": "performance",
    "fairness": "fairness",
    "cost": "cost",
}
"""The page to which the value of each column links."""
NO_GROUPS: Cell = {"t": formatting.DASH, "title": "No sensitive attribute is registered."}


def controllers_note() -> str:
    """Return the number of controllers besides the models, as the end of a sentence; empty if there are none."""
    known = len(load.catalog().controllers)
    return f" and {formatting.plural(known, 'controller')}" if known else ""


def fleet_table_row(status: ModelStatus, scope: Scope, shared: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the row of a model. If the model cannot be judged, a line below gives the reason, or the page that judges it instead. Its
    incidents are in a table of their own. shared: the ids of incidents that several models share and that are counted only once.
    """
    about = scope.about(status.model.name)
    note: Cell | None = None
    page = page_of_what_is_not_judged(status)
    if status.pending:
        note = {"s": "unknown", "t": "Not checked yet: models are checked in turn."}
    elif status.failure:
        note = {"s": "unknown", "t": f"Cannot be computed ({status.failure}): the log of the dashboard has the details."}
    elif page:
        note = links.link_cell(f"See {page.capitalize()}.", page, about)
    elif status.severity == "unknown" and (why := not_judged_reason(status.findings)):
        note = {"s": "unknown", "t": why.replace("`", "")}
    fairness, quality = status.of("trust/fairness"), status.of("data/quality")
    outcome, change = outcome_cell(status)
    measured = {
        "traffic": _traffic_cell(status),
        "latency": latency_cell(status),
        "quality": with_quality_days(quality_cell(quality), quality),
        "drift": inputs_drift_cell(status),
        "outputs": outputs_cell(status),
        "outcome": {**outcome, "more": links.link_cell(short_change(change), "compare", about)} if change else outcome,
        "fairness": fairness_cell(status, fairness) if fairness else NO_GROUPS,
        "cost": cost_cell(status),
    }
    if status.failure:
        measured = {key: {"t": formatting.DASH} for key in measured}
    if page or (note and not status.predictions):  # the page or the note replaces the same words in every cell
        measured |= {
            key: {"t": formatting.DASH, "title": cell.get("title")} for key, cell in measured.items() if cell.get("s") == "unknown"
        }
    return table_row(
        {
            "model": {**links.link_cell(status.model.name, "model", about), **_model_facts(status, scope)},
            "status": status_cell(status.severity, status.incidents, shared),
            **{key: _linked_cell(cell, MEASURED_ON[key], about) for key, cell in measured.items()},
        },
        note,
    )


def page_of_what_is_not_judged(status: ModelStatus) -> str | None:
    """The page of a model that cannot have a reference: the page about its decisions, its answers to probes or its calls. None for other
    models.
    """
    if status.elsewhere and not status.predictions:
        return ELSEWHERE[status.elsewhere[0].analyzer]
    spans = status.model.task is None and status.model.column("feature.operation") is not None
    return "vendors" if spans and any(is_language_model(model) or model.settings.kind == "api" for model in load.catalog().models) else None


def status_cell(severity: Severity, found: Sequence[Incident], shared: frozenset[str] = frozenset()) -> Cell:
    """Return the cell with the number of incidents of a severity, above the numbers of milder ones; only the word of the severity if there
    are none. The tooltip gives the number of shared incidents.

    shared: the ids of incidents that several models share and that are counted only once.
    """
    both = sum(incident.id in shared for incident in found)
    title = f"{both} shared with other models" if both else None
    first, *others = (incidents.incident_counts(found) or "").split("\n")
    if formatting.STATUS_WORDS[severity].lower() not in first:
        first, others = "", [first, *others]
    return {**severity_cell(severity, first or None), "sub": "\n".join(filter(None, others)) or None, "title": title}


def _linked_cell(cell: Cell, page: str, about: Scope) -> Cell:
    """A cell whose value links to the page that shows it. A dash has no link."""
    if cell["t"] == formatting.DASH:
        return cell
    page = "estimated_performance" if page == "performance" and cell.get("mark") == "estimated" else page
    return {**cell, **links.link_cell(cell["t"], page, about), "plain": True}


def records_row(others: Sequence[Incident]) -> dict[str, Any]:
    """The row of incidents that belong to no model of the table, so that the rows add up to the total."""
    worst = min((incident.shown_severity for incident in others), key=SEVERITIES.index)
    return table_row(
        model={
            "t": "Pipeline",
            "title": "\n".join(each.sentence.replace("`", "") for each in others),
        },
        status=status_cell(worst, others),
    )


def is_call_log(status: ModelStatus) -> bool:
    """Return whether a model consists of calls of a language model or of steps of their traces. It then has no row, because the row would
    have only dashes. Its findings are counted above the table (`call_logs_note`), and its incidents are listed with the others.
    """
    return bool(status.predictions) and page_of_what_is_not_judged(status) == "vendors"


def call_logs_note(logs: Sequence[ModelStatus]) -> str:
    """Return words that follow the counts of the fleet: how many of the findings are about call logs, which have no row."""
    if not logs:
        return ""
    found = [incident for status in logs for incident in status.incidents]
    counts = incidents.incident_action_counts(found).words if found else "none"
    return f" ({counts} of these in {formatting.plural(len(logs), 'call log')}, listed on Vendors)"


def _model_facts(status: ModelStatus, scope: Scope) -> Cell:
    """Return facts about the model: the last day of a relative window that does not end now. The tooltip has the task, the version if there
    are several, and the dates.
    """
    served = sorted({finding.version for finding in status.findings if finding.version})
    known = len(status.model.versions)
    versions = f"version {served[0]} of {known}" if len(served) == 1 else formatting.plural(len(served), "version")
    task: str = status.model.task or "not registered"
    lines = [] if status.model.task or status.elsewhere else [task]
    if scope.span != "dates" and status.predictions and status.window.end < load.page_clock():
        lines.append(f"to {formatting.format_day(status.window.end - timedelta(microseconds=1))}")
    span = formatting.format_span(status.window.start, status.window.end)
    return {"sub": "\n".join(lines) or None, "title": ", ".join((task, *([versions] if known > 1 else []), span))}


def _traffic_cell(status: ModelStatus) -> Cell:
    """Return the cell with the predictions per day and a sparkline."""
    elapsed = min(status.window.end, load.page_clock()) - status.window.start
    days = max(elapsed / timedelta(days=1), 1 / 24)
    total, span = status.predictions, formatting.format_span(status.window.start, status.window.end)
    change = change_words(total / days, status.traffic_before / max(round(status.window.days), 1) if status.traffic_before else None)
    return {
        "t": formatting.compact_count(total / days),
        "k": total / days,
        "sub": "\n".join(filter(None, (visible_change(change), failed_share(status) if status.traffic["errors"].sum() else None))) or None,
        "title": f"{total:,.0f} predictions in {span}{in_previous_period(change)}",
        "spark": sparkline(status.traffic["n"].tolist(), f"Predictions over time, {total:,.0f} in total", bars=True, width=96),
    }


def change_words(value: float | None, before: float | None, unit: str = "") -> str | None:
    """Return the change of a value relative to the previous period, such as `+4 % from 250`, or for shares `−1.2 points from 76 %`; None if
    it is unknown.
    """
    if value is None or before is None or (before == 0 and unit != "share"):
        return None
    change = 100 * (value - before) if unit == "share" else 100 * (value / before - 1)
    size = f"{abs(change):.1f}" if unit == "share" else f"{abs(change):,.0f}"
    sign = "±" if float(size.replace(",", "")) == 0 else "+" if change > 0 else formatting.MINUS
    number = formatting.compact_count(before) if before >= 1000 else formatting.format_value(before, unit)
    return f"{sign}{size} {'points' if unit == 'share' else '%'} from {number}"


def short_change(change: str) -> str:
    """A change without the value of the previous period, which the tooltip has."""
    return change.split(" from ", maxsplit=1)[0]


def visible_change(change: str | None) -> str | None:
    """A change without the value of the previous period. None if the change is unknown or rounds to zero; the sparkline then shows that
    nothing changed.
    """
    return short_change(change) if change and not change.startswith("±") else None


def in_previous_period(change: str | None) -> str:
    """Return the change with the value of the previous period, as the end of a tooltip; empty if there is no change."""
    return f"; {change} in the previous period" if change else ""


def change_of_finding(status: ModelStatus, finding: Finding | None) -> str | None:
    """Return the change of a finding's value over the whole window relative to the previous period; None if one of both is unknown."""
    if finding is None:
        return None
    claim = (finding.analyzer, finding.subject, finding.metric, finding.slice)
    same = (each for each in status.before if (each.analyzer, each.subject, each.metric, each.slice) == claim)
    old = next(same, None)
    return change_words(with_window_value(finding).value, with_window_value(old).value if old else None, finding.unit)


def inputs_drift_cell(status: ModelStatus) -> Cell:
    """Return the cell with the number of inputs that drifted, and their mean PSI by day."""
    findings = status.of("serving/drift")
    cell = drift_cell(findings)
    days = time_series.drift_by_day_frame([finding for finding in findings if finding.subject != "score" and finding.metric == "psi"])
    means = days.groupby("day")["value"].mean()
    if len(means) > 1:
        cell["spark"] = sparkline(means.tolist(), "Mean PSI of the inputs by day", zero=True, width=96)
    return cell


def outputs_cell(status: ModelStatus) -> Cell:
    """Return the cell with the PSI of the scores relative to the reference, and its values by day."""
    found = next((finding for finding in status.of("serving/drift") if finding.subject == "score" and finding.metric == "psi"), None)
    if found is None or found.value is None:
        failed = failed_cell(status.of("serving/drift"))
        return failed or {"t": formatting.DASH, "title": _plain_claim(found) or "The scores have no reference."}
    cell: Cell = {"s": found.shown_severity, "t": formatting.format_number(found.value, 2), "title": _plain_claim(found)}
    return {**cell, **days_of_finding(found, "PSI of the scores by day", zero=True)}


def days_of_finding(finding: Finding, label: str, *, zero: bool = False) -> Cell:
    """The sparkline of a finding's metric by day, with its usual range; empty if fewer than two days are known."""
    return small_multiple(
        daily_values(finding.analyzer, finding.evidence), label, comparison_band(finding.analyzer, finding.evidence), zero=zero
    )


def small_multiple(days: Sequence[DayValue], label: str, band: Band | None = None, *, zero: bool = False) -> Cell:
    """Return a sparkline of values by day as a part of a cell. Its band is the given one for all days, or the interval of each day."""
    if sum(value is not None for _, value, _, _ in days) < 2:
        return {}
    low = [low for _, _, low, _ in days] if band is None else [band[0]] * len(days)
    high = [high for _, _, _, high in days] if band is None else [band[1]] * len(days)
    label = f"{label}; band: {band[2] if band else '95 % interval'}"
    return {"spark": sparkline([value for _, value, _, _ in days], label, low=low, high=high, zero=zero, width=SMALL)}


def fairness_cell(status: ModelStatus, found: Sequence[Finding]) -> Cell:
    """Return the cell with the worst finding about groups in a word, the difference of the most significant pair by day, and its change."""
    cell = worst_finding_cell(found, "unchanged")
    known = [finding for finding in found if finding.value is not None and pair_values(finding.evidence)]
    if not known:
        return cell
    first = known[0]
    metric, low, high = first.evidence["surest"]
    change = change_of_finding(status, first)
    words = f"{formatting.metric_title(metric)} of {high} − {low} by day"
    return {
        **cell,
        **small_multiple(pair_values(first.evidence), words),
        "sub": visible_change(change),
        "title": f"{cell.get('title') or ''}{in_previous_period(change)}",
    }


def with_quality_days(cell: Cell, found: Sequence[Finding]) -> Cell:
    """The cell of data quality with a sparkline: the worst column by day if there is a problem, else the mean share of nulls."""
    worst = next((finding for finding in found if finding.needs_action and daily_values(finding.analyzer, finding.evidence)), None)
    if worst is not None:
        label = f"{formatting.metric_title(worst.metric)} of {worst.subject} by day"
        return {**cell, **days_of_finding(worst, label, zero=True)}
    nulls = [
        daily_values(finding.analyzer, finding.evidence) for finding in found if finding.metric == "null_rate" and finding.slice is None
    ]
    shares: dict[str, list[float]] = {}
    for day, value, _, _ in (row for days in nulls for row in days):
        if value is not None:
            shares.setdefault(day, []).append(value)
    if len(shares) < 2:
        return cell
    means = [fmean(shares[day]) for day in sorted(shares)]
    return {**cell, "spark": sparkline(means, "Mean share of nulls by day", zero=True, width=SMALL)}


def failed_share(status: ModelStatus) -> str:
    """Share of predictions that failed, in words."""
    errors = float(status.traffic["errors"].sum())
    if not status.predictions:
        return formatting.DASH
    return f"{formatting.format_share(errors / status.predictions)} failed" if errors else "none failed"


def model_finding(status: ModelStatus, analyzer: str, metric: str) -> Finding | None:
    """Return the finding of an analyzer about the whole model by one metric; None if there is none with a value."""
    found = (finding for finding in status.of(analyzer) if finding.metric == metric and finding.subject == "model")
    return next((finding for finding in found if finding.value is not None), None)


def latency_cell(status: ModelStatus) -> Cell:
    """Return the cell with the p99 latency, and the worst finding about latency and the service level."""
    p99 = model_finding(status, "serving/latency", "latency_p99")
    problems = [finding for finding in status.of("serving/latency") if finding.needs_action]
    if p99 is None and not problems:
        return {"t": formatting.DASH, "title": "No latency is logged."}
    change = change_of_finding(status, p99)
    claim = f"{_plain_claim(p99)}{in_previous_period(change)}" if p99 else None
    cell: Cell = {"t": f"{formatting.format_number(p99.value)} ms" if p99 else formatting.DASH, "title": claim}
    cell |= {"k": p99.value if p99 else None, "sub": visible_change(change)}
    cell |= days_of_finding(p99, "p99 latency by day", zero=True) if p99 else {}
    return {**cell, **_problem_cell(problems, "sub")} if problems else cell


def _problem_cell(problems: Sequence[Finding], place: str = "t") -> Cell:
    """The number of findings that need action, with the severity and sentence of the worst.

    place: the line of the cell that holds the number.
    """
    return {"s": problems[0].shown_severity, place: formatting.plural(len(problems), "problem"), "title": _plain_claim(problems[0])}


def _plain_claim(finding: Finding | None) -> str | None:
    """Return the sentence of a finding without the backticks around names."""
    return finding.because.replace("`", "") if finding else None


def cost_cell(status: ModelStatus) -> Cell:
    """Return the cell with the cost per thousand predictions, or per million if a thousand cost less than 0.01; it is marked if it was not
    measured. Energy is in the tooltip, and in the cell if no cost is known.
    """
    cost = model_finding(status, "operations/cost", "cost_per_thousand")
    energy = model_finding(status, "operations/energy", "energy_per_thousand")
    first = cost or energy
    if first is None:
        return {"t": formatting.DASH, "title": "Neither cost nor energy is known."}
    worst = next((finding for finding in status.of("operations/cost", "operations/energy") if finding.needs_action), None)
    claims = [_plain_claim(each) for each in (worst or first, energy) if each]
    cell: Cell = {"s": worst.shown_severity if worst else None, "title": "\n".join(dict.fromkeys(filter(None, claims)))}
    if first.basis != "measured":
        cell["mark"] = first.basis
    per_million = cost is not None and 0 < (cost.value or 0.0) < 0.01
    times, unit = (1_000, "per million") if per_million else (1, None)
    if cost is None:
        return {**cell, "t": formatting.format_value(first.value, first.unit)}
    amount = amount_words((cost.value or 0.0) * times, str(cost.evidence.get("currency") or ""))
    change = change_of_finding(status, cost)
    words = "\n".join(filter(None, (unit, visible_change(change))))
    title = f"{cell['title']}{in_previous_period(change)}"
    days = small_multiple(cost_values(cost.evidence), "Cost per thousand by day", comparison_band(cost.analyzer, cost.evidence), zero=True)
    return {**cell, **days, "t": amount, "k": cost.value, "sub": words or None, "title": title}


def failed_cell(findings: Sequence[Finding]) -> Cell | None:
    """The cell of an analyzer that failed, with the error in its tooltip; None if none of its findings says so."""
    failed = next((finding for finding in findings if finding.because.startswith(FAILED)), None)
    return {"s": "unknown", "t": "failed", "title": _plain_claim(failed)} if failed else None


def worst_finding_cell(findings: Sequence[Finding], good: str) -> Cell:
    """A cell with the word of the worst finding. good: the word if nothing needs attention."""
    if not findings:
        return {"s": "unknown", "t": "not checked"}
    problems = [finding for finding in findings if finding.needs_action]
    if problems:
        return _problem_cell(problems)
    known = next((finding for finding in findings if finding.severity == "ok"), None)
    if not known and (failed := failed_cell(findings)):
        return failed
    return {"s": "ok" if known else "unknown", "t": good if known else "no data", "title": _plain_claim(known or findings[0])}


def quality_cell(findings: Sequence[Finding]) -> Cell:
    """Return the data quality of a model's values. It is unknown if only arrivals, or only changes relative to the model's own past, could
    be judged.
    """
    cell = worst_finding_cell(findings, "normal")
    if cell["s"] != "ok" or any(map(is_verdict, findings)):
        return cell
    return {**cell, "s": "unknown", "t": "not judged"}


def drift_cell(findings: Sequence[Finding]) -> Cell:
    """Return the cell with the number of inputs that drifted, and the number that cannot be judged."""
    counts = drift_counts(findings)
    cell = {**worst_finding_cell(findings, "stable"), "sub": f"{counts.undecided} unknown" if counts.undecided else None}
    return {**cell, "t": f"{len(counts.drifted)} of {counts.columns}"} if counts.drifted else cell


def outcome_cell(status: ModelStatus) -> tuple[Cell, str | None]:
    """Return the cell of the main metric with its sparkline, or with its estimate if it was not measured; and the change of the metric in
    words, None if unknown.
    """
    headline, unit = HEADLINE.get(status.model.task or ""), status.model.settings.unit
    performance = status.of("serving/performance")
    found = next((finding for finding in performance if finding.metric == headline), None)
    if found is None or found.value is None:
        estimate = model_finding(status, "serving/estimated_performance", headline or "")
        if estimate is not None and estimate.severity != "unknown":
            value, name = formatting.format_value(estimate.value, estimate.unit, unit), formatting.metric_title(estimate.metric)
            return {"t": value, "mark": estimate.basis, "sub": name, "title": _plain_claim(estimate)}, None
        if failed := failed_cell(performance):
            return failed, None
        words = "not checked" if found is None else "no labels yet" if status.predictions else "no data"
        return {"s": "unknown", "t": words, "title": found.because if found else None}, None
    days, title = time_series.metric_by_day_frame(found), formatting.metric_title(found.metric)
    maturity = next((finding for finding in performance if finding.metric == "label_maturity" and finding.value is not None), None)
    whole = with_window_value(found)
    labelled = f", {formatting.format_share(maturity.value)} labelled" if maturity else ""
    missing = maturity is not None and (maturity.value or 0.0) < MATURE
    change = change_of_finding(status, found)
    cell: Cell = {
        "t": formatting.format_value(whole.value, whole.unit, unit),
        "mark": found.basis if found.basis != "measured" else None,
        "sub": f"{title}{labelled if missing else ''}",
        "title": f"{_plain_claim(found)} n = {whole.n:,}{labelled}{in_previous_period(change)}",
    }
    if len(days) > 1:
        low, high = days["low"].tolist(), days["high"].tolist()
        cell["spark"] = sparkline(days["value"].tolist(), f"{title} by day", low=low, high=high, limit=single_limit(found), width=150)
    return cell, change


def severity_without_action(findings: Sequence[Finding]) -> Severity:
    """Return the severity of findings that need no action: `ok` if at least one is `ok`, `unknown` if nothing was judged."""
    return "ok" if any(finding.severity == "ok" for finding in findings) else "unknown"


def single_limit(finding: Finding) -> float | None:
    """The limit of a finding if it is a single number; else None."""
    return finding.limit if isinstance(finding.limit, int | float) else None
