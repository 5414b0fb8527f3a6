"""Findings and incidents for pages: computed once for all pages, and limited to what a person may see."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from observability.core.catalog import Catalog, Model
from observability.core.finding import Finding, worst_first
from observability.core.window import Window
from observability.dashboard import background_findings, load, sign_in
from observability.dashboard.kept_readings import judged_runs_of_window, labels_of_window
from observability.dashboard.scope import Scope
from observability.dashboard.state_cache import Stamp, cached_by_state, displayed_state, model_stamp, owned_store, store, store_stamp
from observability.incidents.grouping import Incident
from observability.incidents.labelling_causes import causes_first
from observability.monitoring.check import AcknowledgedClaims, CheckReport


def findings_in_window(window: Window, *, wait: bool = False) -> list[Finding]:
    """Findings of every analyzer about a model in a window, worst first.

    Analyzers that read samples of raw rows run in the background, and their findings are in the list once they are known. wait: compute
    these findings now, as the pages about them need.
    """
    return findings_and_incidents(window, wait=wait)[0]


def findings_and_incidents(window: Window, *, wait: bool = False) -> tuple[list[Finding], tuple[Incident, ...]]:
    """Return the findings about a model in a window, each with its incident, and the incidents. Both are worst first, and both come from
    counts and from samples.
    """
    counted = counted_findings(window)
    sampled = store().shown_findings(background_findings.sampled_findings(owned_store(), window, load.page_clock(), wait=wait))
    acknowledged = acknowledged_claims() if window.environment == "production" else frozenset()
    found, formed = _findings_with_incidents(model_stamp(window.model), SameFindings((*counted, *sampled)), acknowledged)
    return list(found), formed


class SameFindings:
    """Findings as a cache key that is compared by identity, because stored findings are the same objects until their model changes."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        self.claims = hash(tuple(finding.id for finding in findings))

    def __hash__(self) -> int:
        return self.claims

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SameFindings) and self.findings == other.findings


@lru_cache(maxsize=8)
def _findings_with_incidents(
    _stamp: Stamp, found: SameFindings, acknowledged: AcknowledgedClaims
) -> tuple[list[Finding], tuple[Incident, ...]]:
    """Return the findings about a model with their incidents, grouped once for all pages."""
    from observability.monitoring import check

    return check.findings_with_incidents(load.catalog(), list(found.findings), acknowledged)


@lru_cache(maxsize=2)
def _report_of_findings(_stamp: Stamp, found: SameFindings, acknowledged: AcknowledgedClaims) -> CheckReport:
    """The report of a scope's findings, grouped once for all its pages."""
    from observability.monitoring import check

    marked, formed = check.findings_with_incidents(load.catalog(), list(found.findings), acknowledged)
    return CheckReport(tuple(marked), formed)


@cached_by_state(4, computed=False)
def acknowledged_claims() -> AcknowledgedClaims:
    """The claims that a person has acknowledged or snoozed."""
    from observability.alerts import alert_log

    return alert_log.acknowledged_claims(store(), datetime.now(UTC))


def counted_findings(window: Window) -> tuple[Finding, ...]:
    """Return findings from counts, worst first, stored until the model or the hour of the evaluation changes. Findings that need
    explanations or estimates are stored separately, because new explanations and estimates make only these findings out of date.

    Raises NotFoundError if the person who is signed in may not see the model.
    """
    from observability.monitoring import analyzer_runs, check_windows
    from observability.monitoring.kept_findings import Asked, asked_generation, evaluated_hour, kept_findings_of

    instant, models = load.page_clock(), load.catalog()
    at = evaluated_hour(
        check_windows.evaluation_time(
            models.model(window.model), load.model_activity(window.model), window, load.no_later_than_now(instant)
        ),
        window,
    )
    kept, found = kept_findings_of(owned_store(), len(owned_store().catalog().models)), list[Finding]()
    for reads in analyzer_runs.PARTS["counts"]:
        compute = partial(background_findings.window_findings, owned_store(), window, load.no_later_than_now(instant), reads)
        asked = Asked(window, reads, at)
        found += kept.find_or_compute(asked, asked_generation(displayed_state().models, asked), compute)
    return _findings_worst_first(SameFindings(tuple(store().shown_findings(found))))


@lru_cache(maxsize=8)
def _findings_worst_first(found: SameFindings) -> tuple[Finding, ...]:
    """Return the findings, worst first, sorted once."""
    return tuple(worst_first(list(found.findings)))


def findings_pending(window: Window) -> bool:
    """Return whether the analyzers that read samples have not yet analyzed a window."""
    return background_findings.sampled_findings_pending(owned_store(), window)


def watched_reports() -> Mapping[str, CheckReport]:
    """Return the result of the watcher's last check of each live model, by name; empty if the watcher does not run."""
    from observability.server import process_lock

    watching = process_lock.current_owner().watching
    return {} if watching is None else dict(watching.reports)


def check_times() -> dict[str, datetime]:
    """Return the time at which the watcher last checked each live model, by name; empty if the watcher does not run."""
    from observability.server import process_lock

    watching = process_lock.current_owner().watching
    return {} if watching is None else {name: judged.at for name, judged in dict(watching.judged).items()}


def acknowledged_report(
    model: Model, report: CheckReport, acknowledged: AcknowledgedClaims
) -> tuple[tuple[Finding, ...], tuple[Incident, ...]]:
    """Findings and incidents of a model's check, without those about records other than predictions. Acknowledged claims are marked."""
    from observability.monitoring import analyzer_runs, check

    about_records = analyzer_runs.record_analyzers()
    own = frozenset(claim for claim in acknowledged if claim[0] == model.name)
    known = [finding for finding in report.findings if finding.analyzer not in about_records]
    findings = store().shown_findings(known)
    if not own and findings == known:
        return tuple(findings), tuple(each for each in report.incidents if each.lead.analyzer not in about_records)
    marked, formed = check.findings_with_incidents(Catalog((model,)), findings, own)
    return tuple(marked), formed


def scope_report(scope: Scope) -> CheckReport:
    """Return the findings and incidents of the scope, worst first. They are about its model (or about all models, each in its own window)
    and about records.
    """
    acknowledged = frozenset[Any]() if scope.environment else acknowledged_claims()
    found = [finding for model in load.scope_models(scope) for finding in findings_in_window(load.window(scope, model))]
    same = SameFindings((*found, *scope_record_findings(scope, beside=True)))
    return _report_of_findings(store_stamp(computed=False), same, acknowledged)


def incidents_of_findings(findings: Sequence[Finding], models: Sequence[Model]) -> tuple[Incident, ...]:
    """The incidents that findings form, worst first. models: the models of the findings."""
    from observability.monitoring import check

    return check.findings_with_incidents(Catalog(tuple(models)), list(findings), acknowledged_claims())[1]


def scope_record_findings(scope: Scope, *analyzers: str, beside: bool = False) -> list[Finding]:
    """Return the findings about training runs, datasets and other records of the scope's model or of all models, worst first and causes
    before effects.

    The findings are about the chosen dates, or about the last days with records. analyzers: run only these analyzers, so that a page does
    not wait for others. beside: whether records that name no model are analyzed in the window of the scope's model.
    """
    from observability.monitoring import analyzer_runs

    if scope.slice or scope.version or scope.environment:
        return []
    own = load.window(scope, scope.model) if beside and scope.model else None
    dates = (scope.start, scope.end, load.record_days(scope), load.page_clock(), own)
    names = analyzers or sorted(analyzer_runs.record_analyzers())
    return causes_first(worst_first([each for name in names for each in _record_findings(name, scope.model, *dates)]))


def known_record_findings(scope: Scope, *analyzers: str) -> tuple[list[Finding] | None, bool]:
    """The findings of `scope_record_findings`, and whether newer ones are being computed. The findings are None if they are not ready
    soon.
    """
    if not sign_in.current_person().sees_all:
        return scope_record_findings(scope, *analyzers), False
    state, compute = (owned_store().generation, load.page_clock()), partial(scope_record_findings, scope, *analyzers)
    found, pending = background_findings.record_findings_within(owned_store(), (scope, analyzers), state, compute)
    return None if found is None else list(store().shown_findings(found)), pending


def record_findings_pending(scope: Scope, *analyzers: str) -> bool:
    """Whether the findings of these analyzers for `scope_record_findings` are being computed."""
    return background_findings.record_findings_pending(owned_store(), (scope, analyzers))


def fleet_record_findings(scope: Scope) -> list[Finding]:
    """The findings of `scope_record_findings` about all models, whichever model is chosen, so that a choice does not change the dates of
    other models. If a version, slice or environment is chosen, the findings about the chosen model are left out.
    """
    part = scope.slice or scope.version or scope.environment
    return [each for each in scope_record_findings(scope.about(None)) if not part or each.model != scope.model]


@cached_by_state(512, copied=True, computed=False)
def _record_findings(
    name: str, model: str | None, start: datetime | None, end: datetime | None, days: float, instant: datetime, beside: Window | None
) -> list[Finding]:
    """Return the findings of one analyzer for `scope_record_findings`. For people who may see every model, they are stored together with
    the findings of the watcher.
    """
    from observability.analyzers.training.runs import JUDGED
    from observability.metrics.labelled_window import LABELLED
    from observability.monitoring import check
    from observability.monitoring.kept_findings import keeper_of_records

    restricted = not sign_in.current_person().sees_all
    keep = None if restricted else keeper_of_records(owned_store(), displayed_state().models)
    dates: dict[str, Any] = {"start": start, "end": end, "days": days, "now": instant, "evaluated": load.no_later_than_now(instant)}
    shared = {JUDGED: judged_runs_of_window, LABELLED: labels_of_window}
    found = check.record_findings(store().whole_groups(), model, only=(name,), **dates, beside=beside, keep=keep, shared=shared)
    return list(store().shown_findings(found))


def new_findings(window: Window) -> list[Finding]:
    """Return the findings from counts that need action now and did not need it in the previous window of the same length."""
    before, now = ([finding for finding in found if finding.needs_action] for found in (findings_before(window), counted_findings(window)))
    known = {_claim_key(finding) for finding in before}
    return [finding for finding in now if _claim_key(finding) not in known]


def findings_before(window: Window) -> list[Finding]:
    """Return the findings from counts of the previous window of the same length; empty if the model had no record by the end of that
    window.
    """
    first, previous = load.first_record(load.model_activity(window.model), window.model, window.environment), load.previous_window(window)
    return list(counted_findings(previous)) if first is not None and first < previous.end else []


def same_claim_before(window: Window, finding: Finding) -> Finding | None:
    """Return the finding about the same claim in the previous window of the same length; None if there was none."""
    return next((each for each in findings_before(window) if _claim_key(each) == _claim_key(finding)), None)


def _claim_key(finding: Finding) -> tuple[str | None, ...]:
    """A key for the claim of a finding that does not depend on its window and version."""
    return finding.analyzer, finding.model, finding.subject, finding.metric, finding.slice
