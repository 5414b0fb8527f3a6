"""The timeline of a vendor: the share of answers that flipped, for each nightly round of every set of questions, across all models that the
vendor serves.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.time import naive_utc
from observability.dashboard import clicks, frame, load, theme, time_zone
from observability.dashboard.charts import records as charts_records
from observability.detection import probe_claims
from observability.detection.answer_changes import AnswerChanges
from observability.detection.probe_rounds import ProbeRounds

Sets = Sequence[tuple[ProbeRounds, AnswerChanges | None]]
COLUMNS = {
    "at": "Round (UTC)",
    "name": "Model and set",
    "value": "Flips",
    "version": "Declared version",
    "mark": "Mark",
    "severity": None,
    "label": None,
    "words": None,
}

OF_ANSWERS = (probe_claims.CHANGED, probe_claims.FLIPS)
"""The metrics whose findings are marked on the timeline: those about answers that differ. Other measures may change although no answer
changes.
"""


def vendor_of(model: str) -> str:
    """The vendor of a model: the vendor in the settings, else the part of the model's name before a slash, else the model's name."""
    known = load.catalog().by_name.get(model)
    return (known.settings.vendor if known else None) or model.partition("/")[0]


def timeline_rows(sets: Sets, found: Sequence[Finding]) -> pd.DataFrame:
    """A row for each round of each set with a share of flipped answers: at, name, value, version, mark, severity, label (a short name) and
    words.

    mark: `change` in the round in which a change of answers begins according to a finding, `version` where the vendor declares a different
    version than before, else empty. found: the findings about the sets.
    """
    rows, alone = [], len({rounds.model for rounds, _ in sets}) == 1
    for rounds, changes in sets:
        if changes is None:
            continue
        begins: dict[int, str] = {}
        for finding in sorted(found, key=lambda each: each.severity == "act"):
            mine = finding.model == rounds.model and finding.subject == f"probes:{rounds.name}" and finding.needs_action
            mine = mine and finding.metric in OF_ANSWERS
            if mine and finding.onset is not None:
                onset = naive_utc(finding.onset)
                begins |= {
                    place: finding.severity for place, at in enumerate(rounds.times) if at >= onset > rounds.times[max(place - 1, 0)]
                }
        flips, name = changes.against_last, f"{rounds.model}: {rounds.name}"
        for place in np.flatnonzero(flips.n > 0):
            at, value = rounds.times[place], float(flips.hits[place] / flips.n[place])
            before, version = rounds.versions[place - 1] if place else None, rounds.versions[place]
            mark = "change" if place in begins else "version" if None not in (before, version) and before != version else ""
            told = {"change": "<br>change begins", "version": f"<br>declared version: {theme.inert_label(str(version))}"}.get(mark, "")
            words = f"{theme.inert_label(name, 60)}<br>{time_zone.named_minute(at)}<br>flips: {formatting.format_share(value)}{told}"
            row = {"at": at, "name": name, "value": value, "version": version or "not declared", "mark": mark, "words": words}
            rows.append(
                row
                | {
                    "severity": begins.get(int(place), "ok"),
                    "label": rounds.name if alone else f"{rounds.model.split('/')[-1]}: {rounds.name}",
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(["at", "name"], ignore_index=True)


def timeline_section(sets: Sets, found: Sequence[Finding], model: str) -> None:
    """Draw the timeline of the vendor of a model. Draws nothing if the vendor has only one set, because the timeline of that set shows the
    same.
    """
    vendor = vendor_of(model)
    own = [each for each in sets if vendor_of(each[0].model) == vendor]
    rows = timeline_rows(own, found)
    if rows["name"].nunique() < 2:
        return
    st.header(formatting.escape_markdown(f"All sets of {vendor}"), anchor=False)
    count = {mark: int((rows["mark"] == mark).sum()) for mark in ("change", "version")}
    alt = (
        f"Answers that differ from the round before, by round, of {formatting.plural(rows['name'].nunique(), 'set')} of {vendor}: "
        f"{formatting.plural(count['change'], 'change begins', 'changes begin')}, "
        f"{formatting.plural(count['version'], 'declared version changes', 'declared versions change')}."
    )
    figure = charts_records.flips_by_set(rows)
    on_drag = clicks.DateSelection("vendor-timeline", rows["at"])
    frame.chart_with_table(figure, rows, key="vendor-timeline", alt=alt, metrics=(probe_claims.FLIPS,), columns=COLUMNS, on_select=on_drag)
