"""The first page for many models: the result of each model's last check, a search and filters, and one page of rows at a time."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.finding import SEVERITIES
from observability.core.window import Window
from observability.dashboard import load, load_findings, time_series
from observability.dashboard.overview import model_status
from observability.dashboard.overview.fleet_view import GroupedStatus, grouped_statuses
from observability.dashboard.overview.model_status import ModelStatus
from observability.dashboard.scope import Scope

if TYPE_CHECKING:
    from observability.monitoring.check import AcknowledgedClaims, CheckReport

LOG = logging.getLogger(__name__)
WHOLE = 60
"""Maximum number of models that are drawn on one page; each of them is checked when the page is drawn."""
A_PAGE = 25
COMPUTE_SECONDS = 0.5
"""Maximum time in seconds that one drawing spends on checking models that were never checked; the watcher checks the others."""
NO_ROWS = pd.DataFrame({"n": pd.Series(dtype=float), "errors": pd.Series(dtype=float)})
NO_EVENTS = pd.DataFrame({"at": pd.Series(dtype="datetime64[us]"), "what": pd.Series(dtype=object), "text": pd.Series(dtype=object)})


@dataclass(frozen=True)
class FleetFilter:
    """The filter of the listed models, as stored in the address. find: words of the row or of an incident's claim, in any case. owner,
    team, tag, status: empty for all. page: the page number, from 1.
    """

    find: str = ""
    owner: str = ""
    team: str = ""
    tag: str = ""
    status: str = ""
    page: int = 1

    def matches(self, status: ModelStatus) -> bool:
        """Whether a model is listed."""
        settings = status.model.settings
        return (
            self._finds(status)
            and self.owner in ("", settings.owner)
            and self.team in ("", settings.team)
            and (not self.tag or self.tag in settings.tags)
            and self.status in ("", formatting.STATUS_WORDS[status.severity])
        )

    def _finds(self, status: ModelStatus) -> bool:
        """Return whether the name, owner, team, tags, status and incidents of a model together contain every word of the search."""
        settings, words = status.model.settings, self.find.lower().split()
        if not words:
            return True
        told = [status.model.name, settings.owner or "", settings.team or "", *settings.tags, formatting.STATUS_WORDS[status.severity]]
        text = " ".join([*told, *(incident.sentence for incident in status.incidents)]).lower()
        return all(word in text for word in words)


def fleet_filter_of(address: Mapping[str, str]) -> FleetFilter:
    """Return the filter that an address names; an invalid page number stands for the first page."""
    texts = {field.name: address.get(field.name, "") for field in fields(FleetFilter) if field.name != "page"}
    page = address.get("page", "")
    return FleetFilter(**texts, page=max(int(page), 1) if page.isdecimal() else 1)


def is_large(models: Sequence[object]) -> bool:
    """Whether the first page shows models page by page."""
    return len(models) > WHOLE


def fleet_statuses(scope: Scope) -> list[ModelStatus]:
    """Return the status of every model, worst first. In a small fleet each model is checked now; in a large fleet the status comes from the
    last check.
    """
    models = load.catalog().fleet
    if not is_large(models):
        return model_status.worst_model_first([_status_or_failure(model_status.load_model_status, scope, model) for model in models])
    usual = (scope.span, scope.start, scope.end) == (Scope().span, None, None)
    reports, until = (load_findings.watched_reports() if usual else {}), time.monotonic() + COMPUTE_SECONDS
    checked = load_findings.check_times()
    acknowledged = load_findings.acknowledged_claims()

    def brief(model: Model) -> ModelStatus:
        if (report := reports.get(model.name)) is not None:
            return replace(reported_status(model, report, acknowledged), checked_at=checked.get(model.name))
        return _status_or_failure(checked_status, scope, model) if time.monotonic() < until else pending_status(model)

    return model_status.worst_model_first([brief(model) for model in models])


def _status_or_failure(read: Callable[[Scope, Model], ModelStatus], scope: Scope, model: Model) -> ModelStatus:
    """Return the status of a model. If its computation fails, its row shows the failure and the other models are still drawn. Errors that a
    person can fix are raised.
    """
    try:
        return read(scope, model)
    except ObservabilityError:
        raise
    except Exception as error:
        LOG.exception("the status of %s failed", model.name)
        return replace(pending_status(model), pending=False, failure=type(error).__name__)


def reported_status(model: Model, report: "CheckReport", acknowledged: "AcknowledgedClaims") -> ModelStatus:
    """Return the status of a model from its last check, without its traffic."""
    findings, formed = load_findings.acknowledged_report(model, report, acknowledged)
    return ModelStatus(model, report.windows[model.name], findings, NO_ROWS, NO_EVENTS, (), formed)


def checked_status(scope: Scope, model: Model) -> ModelStatus:
    """The status of a model that is checked now, without its traffic."""
    window = load.window(scope, model.name)
    found, formed = load_findings.findings_and_incidents(window)
    return ModelStatus(model, window, tuple(found), NO_ROWS, NO_EVENTS, (), formed)


def pending_status(model: Model) -> ModelStatus:
    """Return the status of a model that has not been checked yet, with a window of the last seven days."""
    end = load.midnight_after(load.page_clock())
    return ModelStatus(model, Window(model.name, end - timedelta(days=7), end), (), NO_ROWS, NO_EVENTS, (), pending=True)


def with_traffic(scope: Scope, status: ModelStatus) -> ModelStatus:
    """Return the status with its traffic and events, which the row of the model shows."""
    if status.failure:
        return status
    if status.pending:
        status = replace(status, window=load.window(scope, status.model.name))
    traffic, events = time_series.traffic_frame(status.window), time_series.chart_event_marks(status.model.name, status.window)
    before = float(time_series.traffic_frame(load.previous_window(status.window))["n"].sum())
    return replace(status, traffic=traffic, events=events, traffic_before=before or None)


@dataclass(frozen=True)
class ListedPage:
    """One page of the table. rows: the models, each with the group under which it is listed; None for no groups. models: the number of
    models that match the filter. pages: the number of pages of the table.
    """

    rows: list[GroupedStatus]
    models: int
    pages: int


def listed_page(statuses: Sequence[ModelStatus], chosen: FleetFilter, group: str | None = None) -> ListedPage:
    """The page of the table that a filter names, from all models that match, in their order or by groups. A page number beyond the last
    page means the last page.
    """
    matching = [status for status in statuses if chosen.matches(status)]
    rows = grouped_statuses(matching, group)
    pages = max(-(-len(rows) // A_PAGE), 1)
    first = (min(chosen.page, pages) - 1) * A_PAGE
    return ListedPage(rows[first : first + A_PAGE], len(matching), pages)


def oldest_check(statuses: Sequence[ModelStatus]) -> str:
    """The age of the oldest check, as the end of a sentence; empty if all checks were made for the page."""
    oldest = min((status.checked_at for status in statuses if status.checked_at is not None), default=None)
    return "" if oldest is None else f"; the oldest check was {formatting.time_ago(oldest, datetime.now(UTC))}"


def filter_boxes(statuses: Sequence[ModelStatus], chosen: FleetFilter, listed: ListedPage) -> None:
    """Draw the search, the filters and the choice of the page, each of which is written into the address; below them, draw how many models
    match.
    """
    settings = [status.model.settings for status in statuses]
    offered = {
        "owner": sorted({each.owner for each in settings if each.owner}),
        "team": sorted({each.team for each in settings if each.team}),
        "tag": sorted({tag for each in settings for tag in each.tags}),
        "status": [formatting.STATUS_WORDS[severity] for severity in SEVERITIES],
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Search models", chosen.find, key=f"fleet-find {chosen.find}", on_change=_write_address, args=("find", chosen.find))
        for name, values in offered.items():
            now = getattr(chosen, name)
            place = values.index(now) if now in values else None
            box = f"fleet-{name} {now}"
            st.selectbox(name.capitalize(), values, place, key=box, placeholder="All", on_change=_write_address, args=(name, now))
        pages = listed.pages
        box = f"fleet-page {chosen.page} {pages}"
        now_page = min(chosen.page, pages)
        st.number_input(f"Page of {pages:,}", 1, pages, now_page, key=box, on_change=_write_page, args=(box,))
    if listed.models < len(statuses):
        st.caption(f"{listed.models:,} of {formatting.plural(len(statuses), 'model')} match.")


def _write_address(name: str, now: str) -> None:
    value = st.session_state[f"fleet-{name} {now}"]
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)
    st.query_params.pop("page", None)


def _write_page(box: str) -> None:
    st.query_params["page"] = str(st.session_state[box])
