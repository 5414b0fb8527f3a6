"""What does the fleet look like in thirty seconds: one row a model, from rollups and findings only?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.finding import SEVERITIES, Finding, Severity, needs_action, over_window, worst_first
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.dashboard import links, load, time_series
from observability.dashboard.overview import incidents
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, row, spark
from observability.incidents.grouping import Incident, order
from observability.metrics.performance import HEADLINE

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    column("model", "Model", width="10.5rem", strong=True),
    column("status", "Status", width="4.6rem"),
    column("traffic", "Traffic", help="Predictions a day over the window, and the share whose status is not ok", width="6rem"),
    column("latency", "Latency", help="99 of 100 answers took at most this long", width="4.4rem", short=True),
    column("quality", "Input quality", help="Nulls, unseen values, ranges, volume, freshness", width="6.4rem", short=True),
    column("drift", "Input drift", help="Features that moved away from the reference", width="7.6rem", short=True),
    column("outcome", "Outcome", help="The model's main metric on the labels that are in; estimated where none are", width="9.4rem"),
    column("fairness", "Fairness", help="Whether groups are treated alike, and as alike as in the reference", width="5.6rem", short=True),
    column("cost", "Cost", help="Of a thousand predictions: money, and energy below it", width="4.6rem", short=True),
)


NOT_ASKED: Cell = {"t": formatting.DASH, "title": "No sensitive attribute is known, so groups are not compared."}


@dataclass(frozen=True)
class Standing:
    """One model in its window: findings and the incidents that they form, worst first, traffic by day, events, findings that the window before did
    not have.
    """

    model: Model
    window: Window
    findings: tuple[Finding, ...]
    traffic: "DataFrame"
    events: "DataFrame"
    fresh: tuple[Finding, ...]
    incidents: tuple[Incident, ...] = ()

    @property
    def worst(self) -> Incident | None:
        """The incident that a person should read first; None where nothing needs a person."""
        return next(iter(self.incidents), None)

    @property
    def severity(self) -> Severity:
        """The worst severity; `unknown` only where nothing at all could be told."""
        if self.worst:
            return self.worst.severity
        return "ok" if any(each.severity == "ok" for each in self.findings) else "unknown"

    def is_new(self, incident: Incident) -> bool:
        """Whether the same time before did not have it."""
        return any(each.id == incident.lead.id for each in self.fresh)

    def of(self, analyzer: str) -> list[Finding]:
        """Findings of one analyzer."""
        return [each for each in self.findings if each.analyzer == analyzer]


def standing(scope: Scope, model: Model) -> Standing:
    """Everything the fleet page says about one model."""
    window = load.window(scope, model.name)
    found, formed = load.together(window)
    return Standing(
        model,
        window,
        tuple(found),
        time_series.traffic(window),
        time_series.marks(model.name, window),
        tuple(load.new_findings(window)),
        formed,
    )


def neediest_first(standings: list[Standing]) -> list[Standing]:
    """Models that need a person first."""
    return sorted(standings, key=lambda each: (SEVERITIES.index(each.severity), each.model.name))


def as_row(each: Standing, scope: Scope) -> dict[str, Any]:
    """The model's row, with its worst incident as a sentence under it, which leads to the page that shows it."""
    about = scope.about(each.model.name)
    note: Cell | None = None
    if each.worst:
        note = {
            "s": each.worst.severity,
            **links.of_finding(each.worst.lead, scope, each.worst.sentence),
            "sub": incidents.facts(each.worst),
        }
    return row(
        {
            "model": {**links.link(each.model.name, "model", about), "sub": subtitle(each)},
            "status": {"s": each.severity, "t": formatting.STATUS_WORDS[each.severity], "sub": needs(each)},
            "traffic": traffic_cell(each),
            "latency": latency(each),
            "quality": verdict(each.of("data/quality"), "normal"),
            "drift": moved(each.of("serving/drift")),
            "outcome": outcome(each),
            "fairness": verdict(each.of("trust/fairness"), "as before") if each.of("trust/fairness") else NOT_ASKED,
            "cost": cost(each),
        },
        note,
    )


def subtitle(each: Standing) -> str:
    """Task and version; the window's dates where it does not end now."""
    served = sorted({one.version for one in each.findings if one.version})
    versions = f"version {served[0]}" if len(served) == 1 else formatting.plural(len(served), "version")
    said = f"{each.model.task or 'not registered'}, {versions}"
    return said if each.window.end >= load.now() else f"{said}\n{formatting.span(each.window.start, each.window.end)}"


def needs(each: Standing) -> str | None:
    """How many incidents need a person."""
    return incidents.counted(each.incidents)


def traffic_cell(each: Standing) -> Cell:
    """Predictions a day with a sparkline."""
    gone = min(each.window.end, load.now()) - each.window.start
    days = max(gone / timedelta(days=1), 1 / 24)
    total = float(each.traffic["n"].sum())
    return {
        "t": f"{formatting.short(total / days)} a day",
        "sub": failed(each),
        "title": f"{total:,.0f} predictions in {formatting.span(each.window.start, each.window.end)}",
        "spark": spark(each.traffic["n"].tolist(), f"Predictions over time, {total:,.0f} in all", bars=True, width=96),
    }


def failed(each: Standing) -> str:
    """Share of predictions that failed, in words."""
    n, errors = float(each.traffic["n"].sum()), float(each.traffic["errors"].sum())
    return formatting.DASH if not n else f"{formatting.share(errors / n)} failed" if errors else "none failed"


def figure(each: Standing, analyzer: str, metric: str) -> Finding | None:
    """What an analyzer says of the whole model by one metric; None where it gives no value."""
    found = (one for one in each.of(analyzer) if one.metric == metric and one.subject == "model" and one.value is not None)
    return next(found, None)


def latency(each: Standing) -> Cell:
    """The 99 % quantile, with the worst that is said about latency and the service level."""
    found = figure(each, "serving/latency", "latency_p99")
    bad = [one for one in each.of("serving/latency") if needs_action(one.severity)]
    if found is None and not bad:
        return {"t": formatting.DASH, "title": "No latency is logged."}
    cell: Cell = {"t": f"{formatting.number(found.value)} ms" if found else formatting.DASH}
    if bad:
        return {**cell, "s": bad[0].severity, "sub": formatting.plural(len(bad), "problem"), "title": bad[0].because.replace("`", "")}
    return {**cell, "title": found.because.replace("`", "") if found else None}


def cost(each: Standing) -> Cell:
    """Money and energy of a thousand predictions, each with its mark where it was not measured."""
    money, energy = figure(each, "operations/cost", "cost_per_thousand"), figure(each, "operations/energy", "energy_per_thousand")
    bad = [one for one in (*each.of("operations/cost"), *each.of("operations/energy")) if needs_action(one.severity)]
    if money is None and energy is None:
        return {"t": formatting.DASH, "title": "Neither a price nor the energy of a prediction is known."}
    words = formatting.amount(energy.value, energy.unit) if energy else None
    said_of = f"\n{energy.basis}" if energy and energy.basis != "measured" else ""
    cell: Cell = {"t": amount_of_money(money) if money else str(words), "sub": f"{words}{said_of}" if money and words else None}
    first = money or energy
    if first is not None and first.basis != "measured":
        cell["mark"] = first.basis
    said = bad[0] if bad else first
    return {**cell, "s": bad[0].severity if bad else None, "title": said.because.replace("`", "") if said else None}


def amount_of_money(finding: Finding) -> str:
    """A sum with its currency, as the finding's evidence names it."""
    return f"{formatting.number(finding.value)} {finding.evidence.get('currency') or ''}".strip()


def verdict(findings: list[Finding], good: str) -> Cell:
    """The worst of some findings in a word."""
    if not findings:
        return {"s": "unknown", "t": "not judged"}
    worst = findings[0]
    bad = [each for each in findings if needs_action(each.severity)]
    if bad:
        return {"s": worst.severity, "t": formatting.plural(len(bad), "problem"), "title": worst.because.replace("`", "")}
    known = any(each.severity == "ok" for each in findings)
    return {"s": "ok" if known else "unknown", "t": good if known else "too early", "title": worst.because.replace("`", "")}


def moved(findings: list[Finding]) -> Cell:
    """How many inputs drifted."""
    cell = verdict(findings, "stable")
    bad = {each.subject for each in findings if needs_action(each.severity)}
    return {**cell, "t": f"{len(bad)} of {len({each.subject for each in findings})} moved"} if bad else cell


def outcome(each: Standing) -> Cell:
    """The headline metric, measured, with its sparkline."""
    headline = HEADLINE.get(each.model.task or "")
    found = next((one for one in each.of("serving/performance") if one.metric == headline), None)
    if found is None or found.value is None:
        guess = figure(each, "serving/estimated_performance", headline or "")
        if guess is not None and guess.severity != "unknown":
            words = formatting.metric_title(guess.metric)
            return {
                "t": formatting.amount(guess.value, guess.unit),
                "mark": guess.basis,
                "sub": words,
                "title": guess.because.replace("`", ""),
            }
        return {"s": "unknown", "t": "no labels yet" if found is not None else "not judged", "title": found.because if found else None}
    days = time_series.of_metric(found)
    title = formatting.metric_title(found.metric)
    ripe = next((one for one in each.of("serving/performance") if one.metric == "label_maturity" and one.value is not None), None)
    whole = over_window(found)
    cell: Cell = {
        "t": formatting.amount(whole.value, whole.unit),
        "mark": found.basis,
        "sub": f"{title}, {formatting.share(ripe.value)} labelled" if ripe else title,
        "title": f"{found.because.replace('`', '')} n = {whole.n:,}",
    }
    if len(days) > 1:
        low, high = days["low"].tolist(), days["high"].tolist()
        cell["spark"] = spark(days["value"].tolist(), f"{title} by day", low=low, high=high, limit=single(found), width=150)
    return cell


def worst(findings: list[Finding]) -> list[Finding]:
    """Findings of several analyzers, worst first."""
    return worst_first(findings)


def settled(findings: Sequence[Finding]) -> Severity:
    """The severity of findings none of which needs a person: fine where at least one could be judged."""
    return "ok" if any(each.severity == "ok" for each in findings) or not findings else "unknown"


def single(finding: Finding) -> float | None:
    """A limit that is one number."""
    return finding.limit if isinstance(finding.limit, int | float) else None


def changes(standings: list[Standing], scope: Scope, *, acts: bool = True) -> list[dict[str, Any]]:
    """What changed, newest first: events of the windows, and incidents whose lead the same time before did not have; those to act on only with
    `acts`, so that they are not told twice beside what needs a person.
    """
    rows: list[tuple[datetime, dict[str, Any]]] = []
    for each in standings:
        for at, what, words in zip(each.events["at"], each.events["what"], each.events["text"]):
            when = at.to_pydatetime()
            cells = {"at": {"t": formatting.minute(when)}, "what": {"t": str(words), "sub": f"{each.model.name}, {what}"}}
            rows.append((when, row(cells)))
    begins = {one.id: each.window.start for each in standings for one in each.incidents}
    fresh = (one for each in standings for one in each.incidents if each.is_new(one) and (acts or one.severity != "act"))
    rows += [new_row(one, models, begins[one.id], scope) for one, models in incidents.told_once(fresh)]
    return [cells for _, cells in sorted(rows, key=lambda pair: pair[0], reverse=True)]


def new_row(one: Incident, models: Sequence[str], begins: datetime, scope: Scope) -> tuple[datetime, dict[str, Any]]:
    """An incident that the window before did not have. models: of which it is said; begins: of its window."""
    cells = {
        "at": {"t": incidents.since(one) or "new"},
        "what": {
            "s": one.severity,
            **incidents.what(one, scope),
            "sub": f"{incidents.named(models)}, suspected source: {one.source}; not so in the window before",
        },
    }
    return naive_utc(one.onset or begins), row(cells)


def more_to_watch(standings: list[Standing], others: Sequence[Incident]) -> list[Incident]:
    """Incidents that neither need a person nor stand among what changed, worst first. others: of no serving model's window."""
    told = (one for each in standings for one in each.incidents if not each.is_new(one))
    return sorted((each for each in (*told, *others) if each.severity != "act"), key=order)


CHANGE_COLUMNS = (column("at", "When (UTC)", width="9rem"), column("what", "What", wide=True))
