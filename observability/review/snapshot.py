"""Computes a review week for freezing: every number that the meeting reads, as of the week's end.

Only records that had arrived by the week's end are used, and the settings of that time. Any past week can therefore be computed again with
the same result. Once a week is stored (freeze.py), it does not change.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from observability.core.catalog import Model
from observability.core.finding import DETAILS, SEVERITIES, Finding, iso
from observability.core.questions import Aggregate
from observability.core.settings import DatedSettings, ModelSettings
from observability.core.time import aware_utc
from observability.core.weeks import ZONE, Week
from observability.core.window import Window
from observability.incidents.action_counts import counted_incidents
from observability.incidents.grouping import Incident
from observability.incidents.grouping_rules import STAGES, pipeline_stage
from observability.incidents.model_state import verdict_severity
from observability.incidents.since_words import incident_since
from observability.monitoring import check as run
from observability.monitoring.analyzer_runs import record_analyzers
from observability.review.action_items import promised_actions
from observability.review.agenda import ranked_agenda
from observability.review.agenda_items import agenda_candidates, audit_records
from observability.review.challengers import challengers
from observability.review.change_log import change_entries
from observability.review.fairness_status import newest_audits
from observability.review.fleet_strip import COMPARED, NOTHING, strip_cells
from observability.review.judged_model import JudgedModel
from observability.review.monitoring_quality import week_monitoring
from observability.review.weekly_details import weekly_details
from observability.store.engine import Store

Body = dict[str, Any]
Progress = Callable[[float, str], None]
FORMAT = 7
"""Version of the stored format; pages show a note if a week has an older one. From 7 on, findings of records form incidents too."""
KEPT_EVIDENCE = frozenset(("by_day", "baseline", "baseline_low", "baseline_high", "baseline_n"))
KEPT_EVIDENCE |= frozenset(("currency", "coverage", "effect", "worse_by", "column", "varies_up_to", DETAILS))
"""Parts of a finding's evidence that charts and comparisons of the review read."""
AUDITS = "trust/audits"
"""The analyzer whose findings a model's card shows whatever their severity. Their subject is the kind of audit, not a column."""
COMING_DAYS = 14
MAX_FINDINGS = 200
"""Maximum number of findings that are stored per model, worst first; `counts` holds the total."""


def week_snapshot(store: Store, week: Week, *, frozen_at: datetime, earlier: Sequence[Body] = (), progress: Progress | None = None) -> Body:
    """The week as JSON. earlier: frozen weeks before it, newest first. They show what is new, and how long items have been open.

    A model that fails raises no error; its analyzers report `unknown`. If the settings of a model were not recorded by the week's end, the
    settings at the time of freezing are used, and `settings_known` is false.
    """
    then = store.settings_at(week.end, frozen_at)
    with store.under({name: dated.settings for name, dated in then.items()}), store.snapshot():
        return snapshot_under_settings(store, week, then, frozen_at, earlier, progress or (lambda share, text: None))


def snapshot_under_settings(
    store: Store, week: Week, then: Mapping[str, DatedSettings], frozen_at: datetime, earlier: Sequence[Body], say: Progress
) -> Body:
    """The week as JSON, with the settings in force at that time."""
    known = store.catalog().fleet
    judged_models = []
    for place, model in enumerate(known):
        say(place / max(len(known), 1), f"checking {model.name}")
        judged_models.append(judge_model_week(store, model, week))
    say(1.0, "building the agenda")
    records = run.record_findings(store, None, start=week.start, end=week.end, as_of=week.end, now=week.end)
    judged_models, records, others = with_record_incidents(store, judged_models, records)
    pipeline = pipeline_body(others)
    models = [
        {**model_body(judged), **settings_recorded(then.get(judged.model.name)), **weekly_details(store, judged)}
        for judged in judged_models
    ]
    happened = change_entries(store, week.start, week.end, as_of=week.end)
    promised = promised_actions(store, week, earlier, frozen_at)
    counted = counted_incidents([*others, *(incident for judged in judged_models for incident in judged.incidents)])
    candidates = agenda_candidates(store, week, [*models, pipeline], promised, earlier, frozen_at, counted)
    return {
        "format": FORMAT,
        "review": str(week),
        "week": str(week),
        "zone": ZONE,
        "start": iso(week.start),
        "end": iso(week.end),
        "as_of": iso(week.end),
        "frozen_at": iso(frozen_at),
        "product": store.versions(),
        "models": models,
        "pipeline": pipeline,
        "promises": promised,
        "records": [frozen_finding(finding) for finding in records if finding.severity != "ok"],
        "alerts": week_monitoring(store, week, models, happened),
        "ledger": [entry.to_json() for entry in happened],
        "challengers": challengers(store, week),
        "audits": newest_audits(audit_records(store, min(frozen_at, week.end))),
        "coming": [entry.to_json() for entry in change_entries(store, week.end, week.end + timedelta(days=COMING_DAYS), as_of=week.end)],
        "agenda": [item.to_json() for item in ranked_agenda(candidates)],
    }


def judge_model_week(store: Store, model: Model, week: Week) -> JudgedModel:
    """The results of one model in the week. For the figures of the fleet table, also its results in the week before. Each week is evaluated
    as of its end.

    A model without predictions in the week has no rows to read, and no comparison with the week before.
    """
    counts = store.ask(Aggregate("predictions"), Window(model.name, week.start, week.end, as_of=week.end))
    served = int(counts["n"].sum())
    check = partial(run.check, store, model=model.name, as_of=week.end, now=week.end, with_records=False)
    report = check(start=week.start, end=week.end, reads="all" if served else "counts")
    before = check(start=week.back().start, end=week.start, only=COMPARED).findings if served else ()
    return JudgedModel(model, report.windows[model.name], report.findings, report.incidents, before, served)


def with_record_incidents(
    store: Store, judged_models: Sequence[JudgedModel], records: Sequence[Finding]
) -> tuple[list[JudgedModel], list[Finding], tuple[Incident, ...]]:
    """The models with their incidents; the findings of records, each with its incident; and the incidents that belong to none of these
    models. As in `check`, incidents are formed from the findings of models and of records together.
    """
    names, about_records = {judged.model.name for judged in judged_models}, record_analyzers()
    found = [finding for judged in judged_models for finding in judged.findings]
    marked, incidents = run.findings_with_incidents(store.catalog(), run.unique_findings([*found, *records]))
    of_model: dict[str | None, list[Finding]] = {}
    for finding in marked:
        of_model.setdefault(None if finding.analyzer in about_records else finding.model, []).append(finding)
    models = [
        replace(
            judged,
            findings=tuple(of_model.get(judged.model.name, ())),
            incidents=tuple(incident for incident in incidents if incident.model == judged.model.name),
        )
        for judged in judged_models
    ]
    return models, of_model.get(None, []), tuple(incident for incident in incidents if incident.model not in names)


def pipeline_body(incidents: Sequence[Incident]) -> Body:
    """Incidents that belong to no model, in the form of one model's part of the frozen week, but without a name and without predictions."""
    bodies = [incident_body(incident) for incident in incidents]
    nothing: Body = {"findings": [], "strip": {"performance": dict(NOTHING)}, "stakes": {"incidents": {}}}
    return {"model": None, "served": 0, "incidents": bodies, **nothing}


def model_body(judged: JudgedModel) -> Body:
    """One model's part of the frozen week."""
    findings = judged.findings
    needy = [finding for finding in findings if finding.needs_action]
    of_model = [finding for finding in findings if finding.subject == "model" or finding.analyzer == AUDITS]
    shown = {id(finding): finding for finding in (*needy, *of_model)}
    analyzers = sorted({finding.analyzer for finding in findings})
    return {
        "model": judged.model.name,
        "task": judged.model.task,
        "owner": judged.model.settings.owner,
        "versions": sorted({finding.version for finding in findings if finding.version}),
        "served": judged.served,
        "severity": verdict_severity(findings),
        "strip": strip_cells(judged.model, findings, judged.before),
        "settings": settings_of(judged.model),
        "incidents": [incident_body(incident) for incident in judged.incidents],
        "findings": [frozen_finding(finding) for finding in list(shown.values())[:MAX_FINDINGS]],
        "counts": findings_by_severity(findings),
        "judged": {name: findings_by_severity([finding for finding in findings if finding.analyzer == name]) for name in analyzers},
    }


def findings_by_severity(findings: Sequence[Finding]) -> dict[str, int]:
    """The number of findings by severity."""
    return {name: sum(finding.severity == name for finding in findings) for name in SEVERITIES}


def settings_of(model: Model) -> Body:
    """Settings that were set, as JSON."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(model.settings).items()
        if value not in (None, (), {})
    }


def settings_recorded(then: DatedSettings | None) -> Body:
    """When the settings began to be in force (None for a model that was added during the freezing), and whether they were recorded by the
    week's end.
    """
    return {"settings_since": iso(aware_utc(then.since)) if then else None, "settings_known": then is not None and then.known}


def settings_from(part: Body) -> ModelSettings:
    """The settings under which a frozen model was checked."""
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in part["settings"].items()}
    return ModelSettings(**fields)


def frozen_finding(finding: Finding) -> Body:
    """A finding as JSON, with only the parts of its evidence that the review reads."""
    kept = {name: value for name, value in finding.evidence.items() if name in KEPT_EVIDENCE}
    return replace(finding, evidence=kept).to_json()


def incident_body(incident: Incident) -> Body:
    """An incident as JSON, with the ids of its findings."""
    lead = incident.lead
    stages = {pipeline_stage(finding) for finding in incident.findings}
    return {
        "incident": incident.id,
        **{name: getattr(incident, name) for name in ("source", "severity", "sentence", "event")},
        "onset": iso(incident.onset) if incident.onset else None,
        "since": incident_since(incident),
        "lead": lead.id,
        **{name: getattr(lead, name) for name in ("value", "slice", "subject", "metric", "analyzer", "rank")},
        "stages": [name for name in STAGES if name in stages],
        "standing": incident.standing,
        "new": [finding.id for finding in incident.new_details],
        "findings": [lead.id, *(finding.id for finding in incident.collateral)],
    }
