"""What does a week look like when it is frozen: every number that the meeting reads, as of the week's end?

`snapshot` computes; nothing in what it gives back ever changes once it has landed (freeze.py). It knows only what had arrived by the week's end, and
judges by the settings that held then, so any past week can be made anew and comes out the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model
from observability.core.finding import SEVERITIES, Finding, iso, needs_action
from observability.core.questions import Aggregate
from observability.core.settings import ModelSettings
from observability.core.time import aware_utc
from observability.core.weeks import ZONE, Week
from observability.core.window import Window
from observability.incidents.grouping import Incident
from observability.incidents.grouping_rules import STAGES, stage
from observability.monitoring import check as run
from observability.review.action_items import promises
from observability.review.agenda import ranked
from observability.review.agenda_items import items, rows
from observability.review.challengers import challengers
from observability.review.change_log import entries
from observability.review.fairness_status import audits
from observability.review.fleet_strip import COMPARED, strip
from observability.review.judged_model import Judged
from observability.review.monitoring_quality import monitoring
from observability.review.weekly_details import beside
from observability.store.db.settings_history import Then, settings_at
from observability.store.query import aggregates
from observability.store.query.source import snapshot as one_state
from observability.store.registry import admin

if TYPE_CHECKING:
    from observability.store.db.database import Store

Body = dict[str, Any]
Progress = Callable[[float, str], None]
FORMAT = 5
"""Version of the frozen shape; a page that reads an older one says so."""
KEPT_EVIDENCE = (
    "by_day",
    "baseline",
    "baseline_low",
    "baseline_high",
    "baseline_n",
    "currency",
    "coverage",
    "effect",
    "worse_by",
    "column",
)
"""Evidence that a frozen finding keeps: what a chart or a comparison of the review reads."""
COMING_DAYS = 14
MOST_FINDINGS = 200
"""Findings of a model that a frozen week keeps, the worst; `counts` says how many there were."""


def snapshot(store: "Store", week: Week, *, frozen_at: datetime, earlier: Sequence[Body] = (), progress: Progress | None = None) -> Body:
    """The week as JSON. earlier: frozen weeks before it, newest first, for what is new and how long an item has waited.

    Raises nothing for a model that fails: its analyzers then say `unknown`, as everywhere. Of a model whose settings nobody had recorded by the week's
    end, those of the freezing count, and `settings_known` says so.
    """
    then = settings_at(store, week.end, frozen_at)
    with store.under({name: each.settings for name, each in then.items()}), one_state(store):
        return taken(store, week, then, frozen_at, earlier, progress or (lambda share, text: None))


def taken(store: "Store", week: Week, then: Mapping[str, Then], frozen_at: datetime, earlier: Sequence[Body], say: Progress) -> Body:
    """The same, with the catalog as it was then."""
    known = store.catalog().models
    judged_models = []
    for place, model in enumerate(known):
        say(place / max(len(known), 1), f"judging {model.name}")
        judged_models.append(judged(store, model, week))
    say(1.0, "putting the agenda together")
    records = run.record_findings(store, None, start=week.start, end=week.end, as_of=week.end, now=week.end)
    models = [{**model_body(each), **judged_by(then.get(each.model.name)), **beside(store, each)} for each in judged_models]
    happened = entries(store, week.start, week.end, as_of=week.end)
    promised = promises(store, week, earlier, frozen_at)
    return {
        "format": FORMAT,
        "review": str(week),
        "week": str(week),
        "zone": ZONE,
        "start": iso(week.start),
        "end": iso(week.end),
        "as_of": iso(week.end),
        "frozen_at": iso(frozen_at),
        "product": admin.versions(),
        "models": models,
        "promises": promised,
        "records": [frozen(each) for each in records if each.severity != "ok"],
        "alerts": monitoring(store, week, models, happened),
        "ledger": [each.to_json() for each in happened],
        "challengers": challengers(store, week),
        "audits": audits(rows(store, "audit", min(frozen_at, week.end))),
        "coming": [each.to_json() for each in entries(store, week.end, week.end + timedelta(days=COMING_DAYS), as_of=week.end)],
        "agenda": [each.to_json() for each in ranked(items(store, week, models, promised, earlier, frozen_at))],
    }


def judged(store: "Store", model: Model, week: Week) -> Judged:
    """One model in the week and, for the figures of the strip, in the week before; both as of the week's end.

    Of a model that served nothing in the week there are no rows to read, and no figure to hold against the week before.
    """
    counts = aggregates.ask(store, Aggregate("predictions"), Window(model.name, week.start, week.end, as_of=week.end))
    served = int(counts["n"].sum())
    check = partial(run.check, store, model=model.name, as_of=week.end, now=week.end, with_records=False)
    report = check(start=week.start, end=week.end, reads="all" if served else "counts")
    before = check(start=week.back().start, end=week.start, only=COMPARED).findings if served else ()
    return Judged(model, report.windows[model.name], report.findings, report.incidents, before, served)


def model_body(each: Judged) -> Body:
    """One model's part of the frozen week."""
    needy = [one for one in each.findings if needs_action(one.severity)]
    shown = {id(one): one for one in (*needy, *(one for one in each.findings if one.subject == "model"))}
    return {
        "model": each.model.name,
        "task": each.model.task,
        "owner": each.model.settings.owner,
        "versions": sorted({one.version for one in each.findings if one.version}),
        "served": each.served,
        "severity": severity(each),
        "strip": strip(each.model, each.findings, each.before),
        "settings": settings_of(each.model),
        "incidents": [incident_body(one) for one in each.incidents],
        "findings": [frozen(one) for one in list(shown.values())[:MOST_FINDINGS]],
        "counts": counts(each.findings),
        "judged": {
            name: counts([one for one in each.findings if one.analyzer == name]) for name in sorted({one.analyzer for one in each.findings})
        },
    }


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """How many findings have each severity."""
    return {name: sum(one.severity == name for one in findings) for name in SEVERITIES}


def severity(each: Judged) -> str:
    """The worst severity; `unknown` only where nothing at all could be told."""
    found = {one.severity for one in each.findings}
    return next((name for name in ("act", "watch", "ok") if name in found), "unknown")


def settings_of(model: Model) -> Body:
    """The limits and decisions in force, as far as anything was decided."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(model.settings).items()
        if value not in (None, (), {})
    }


def judged_by(then: Then | None) -> Body:
    """From when on the settings held (None of a model that came while the week was frozen), and whether that was recorded by the week's end."""
    return {"settings_since": iso(aware_utc(then.since)) if then else None, "settings_known": then is not None and then.known}


def settings_from(part: Body) -> ModelSettings:
    """The settings that a frozen model was judged by."""
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in part["settings"].items()}
    return ModelSettings(**fields)


def frozen(finding: Finding) -> Body:
    """A finding with only the evidence that the review reads."""
    kept = {name: value for name, value in finding.evidence.items() if name in KEPT_EVIDENCE}
    return replace(finding, evidence=kept).to_json()


def incident_body(incident: Incident) -> Body:
    """An incident with the ids of its findings."""
    return {
        "incident": incident.id,
        "source": incident.source,
        "severity": incident.severity,
        "sentence": incident.sentence,
        "onset": iso(incident.onset) if incident.onset else None,
        "event": incident.event,
        "lead": incident.lead.id,
        "value": incident.lead.value,
        "slice": incident.lead.slice,
        "subject": incident.lead.subject,
        "metric": incident.lead.metric,
        "analyzer": incident.lead.analyzer,
        "rank": incident.lead.rank,
        "stages": [name for name in STAGES if name in {stage(each) for each in incident.findings}],
        "findings": [incident.lead.id, *(each.id for each in incident.collateral)],
    }
