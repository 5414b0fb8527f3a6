"""The page of vendors: each set of fixed questions with its rounds, the answers that changed, and the traffic of language models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from observability.analyzers.operations.cost import amount_words
from observability.analyzers.serving import vendors as judged
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import format_figure
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Window
from observability.dashboard import choice_box, clicks, empty_states, frame, links, load, person_name, sample_figures, theme, time_zone
from observability.dashboard.cells import (
    UNKNOWN_CELL,
    attention_note,
    filled_columns,
    first_finding,
    severity_cell,
    severity_order,
    share_cell,
)
from observability.dashboard.charts import records as charts_records
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import NOT_SAVED, csv_button, cut_note, plain_caption, save_records
from observability.detection import probe_claims
from observability.detection.answer_changes import SPREADS, AnswerChanges, answer_changes
from observability.detection.probe_rounds import ProbeRounds, probe_rounds

MAX_CHANGED = 50
SHOWN_ANSWER = 300
"""Maximum number of characters of an answer in the table; the CSV has the full stored text."""
HOW = """# vendor.toml states the address, the questions and where the answer stands in the response (docs/third-party-models.md)
python -m observability probe vendor.toml --schedule

# or log answers that a job of yours got:
import observability as obs
log = obs.Logger()
log.prediction(id="2026-03-02/q1", model="acme/chat", version="2026-01", environment="probe", item="q1", set="tickets",
               features={"output_tokens": 3}, prediction="billing", expected="billing", latency_ms=412.0, cost=0.0004)"""
ENCODER_HINT = "Name a sentence encoder on this machine as `encoder` in the probe file to compare meanings instead of letters."
MEASURES: dict[str, tuple[str, str]] = {
    probe_claims.CHANGED: ("answers that differ from the baseline", "share"),
    probe_claims.FLIPS: ("answers that differ from the round before", "share"),
    probe_claims.FORM: ("answers in the wrong format", "share"),
    probe_claims.REFUSED: ("refusals", "share"),
    probe_claims.FAILED: ("questions without an answer", "share"),
    probe_claims.RIGHT: ("correct answers", "share"),
    probe_claims.ERROR: ("mean error against the right numbers", "number"),
    probe_claims.SHIFT: ("mean difference from the baseline", "number"),
    probe_claims.SIMILAR: ("similarity to the baseline", "share"),
    probe_claims.LATENCY: ("median latency (ms)", "number"),
    probe_claims.TOKENS: ("output tokens per answer", "number"),
    probe_claims.COST: ("cost per round", "number"),
    probe_claims.RUBRIC: ("mean score of a rubric", "number"),
}
"""The measures of a round that the timeline can show, each with its words and its kind."""
COLUMNS = (
    column("model", "Model", strong=True),
    column("status", "Status", width="7rem"),
    column("questions", "Questions", align="right", phone=False),
    column("rounds", "Rounds", align="right", phone=False),
    column("changed", "Changed", align="right", help="Answers of the newest round that differ from the baseline"),
    column("flips", "Flips", align="right", phone=False, help="Answers of the newest round that differ from the round before"),
    column("refused", "Refusals", align="right", phone=False),
    column("latency", "p50 ms", align="right", phone=False),
    column("tokens", "Tokens", align="right", phone=False, help="Mean output tokens per answer"),
    column("cost", "Cost", align="right", help="Cost of the newest round, in the currency of the probe file, else of the model's settings"),
    column("version", "Version", phone=False, help="Version that the vendor declares"),
    column("last", "Newest (UTC)", short=True, phone=False),
)
NO_CURRENCY = "no currency stated"
CHANGES = (
    column("item", "Item", strong=True, width="8rem", phone=False),
    column("question", "Question"),
    column("before", "Baseline"),
    column("after", "Newest round"),
)


def sets_in_scope(scope: Scope) -> tuple[list[tuple[ProbeRounds, AnswerChanges | None]], Window]:
    """Each set of questions of each model, with the comparison of its newest round before the end of the dates. Also returns the dates as a
    window.
    """
    window = load.window_of_records(scope, judged.ANALYZER)
    answers, events = load.ask_store(judged.ANSWERS, window), load.ask_store(judged.ACCEPTED, window)
    found = []
    for rounds in probe_rounds(answers):
        last = len(rounds.times) - 1
        found.append((rounds, answer_changes(rounds, last, judged.accepted_at(events, rounds))))
    return found, window


def simulated_note(sets: Sequence[tuple[ProbeRounds, AnswerChanges | None]]) -> str:
    """A sentence if all answers are declared as simulated; otherwise empty."""
    return " These answers are simulated." if all(rounds.source == "simulated" for rounds, _ in sets) else ""


def probes_empty_state() -> None:
    """Draw the empty state for dates, or for a store, without answers to fixed questions."""
    if len(load.ask_store(Records("prediction", ("at",), ever=True, rows=1), Window("", EPOCH, load.page_clock()))):
        empty_states.no_rows_state("answers to fixed questions")
    else:
        step = "Ask fixed questions every night: a change that the vendor does not announce is then seen the next morning."
        empty_states.how_to_log_state("No fixed questions have been asked yet.", step, HOW, ("Wrong answers by round", _sample_figure))


def _sample_figure(folder: Path) -> Any:
    """A chart of the share of the sample's answers that are not the expected ones, by round."""
    answers = pd.read_parquet(folder / "vendor.predictions.parquet", columns=["round", "at", "prediction", "expected"])
    drawn = (
        answers.assign(value=answers["prediction"] != answers["expected"]).groupby("round").agg(at=("at", "min"), value=("value", "mean"))
    )
    drawn["at"] = sample_figures.naive_times(drawn["at"])
    return charts_records.record_marks(drawn.assign(severity="ok", words=""), name="wrong answers", share=True)


def set_key(rounds: ProbeRounds) -> str:
    """The text that identifies a set of questions in the address."""
    return f"{rounds.model}/{rounds.name}"


def chosen_set(sets: Sequence[tuple[ProbeRounds, AnswerChanges | None]], found: Sequence[Finding]) -> str | None:
    """The set that the address names, else the most urgent set."""
    keys = [set_key(rounds) for rounds, _ in sets]
    chosen = choice_box.address_selectbox(
        "probes",
        "Set of questions",
        keys,
        words=str,
        placeholder="Most urgent",
        width=420,
        missing="The link names {}, which was not asked.",
    )
    first = {set_key(rounds): first_finding(judged.set_findings(found, rounds.model, rounds.name)) for rounds, _ in sets}
    return chosen or min(keys, key=lambda key: (severity_order(first[key]), key), default=None)


def sets_table(
    sets: Sequence[tuple[ProbeRounds, AnswerChanges | None]], found: Sequence[Finding], chosen: str | None, scope: Scope
) -> None:
    """Draw a row for each set, most urgent first."""
    lines = []
    first = {set_key(rounds): first_finding(judged.set_findings(found, rounds.model, rounds.name)) for rounds, _ in sets}
    for rounds, changes in sorted(sets, key=lambda each: (severity_order(first[set_key(each[0])]), set_key(each[0]))):
        key, last = set_key(rounds), len(rounds.times) - 1
        finding, target = first[key], links.link_cell(rounds.model, "vendors", scope, probes=key)
        cells: dict[str, Cell] = {each["key"]: dict(UNKNOWN_CELL) for each in COLUMNS}
        cells |= {
            "model": {**target, "sub": rounds.name},
            "status": severity_cell(finding.severity if finding else None),
            "questions": {"t": f"{len(rounds.items):,}"},
            "rounds": {"t": f"{len(rounds.times):,}"},
            "refused": share_cell(_mean(rounds.refused[last])),
            "version": {"t": rounds.versions[last] or "not declared"},
            "last": {"t": time_zone.zoned_minute(rounds.times[last])},
        }
        if changes is not None and changes.against_baseline.n[last]:
            cells["changed"] = share_cell(changes.against_baseline.hits[last] / changes.against_baseline.n[last])
        if changes is not None and changes.against_last.n[last]:
            cells["flips"] = share_cell(changes.against_last.hits[last] / changes.against_last.n[last])
        values = {"latency": _median(rounds.latency[last]), "tokens": _mean(rounds.output_tokens[last]), "cost": _sum(rounds.cost[last])}
        cells |= {name: {"t": format_figure(value)} for name, value in values.items() if value is not None}
        if values["cost"] is not None:
            currency = cost_currency(rounds.model, rounds)
            cells["cost"] |= {"t": amount_words(values["cost"], currency)} if currency else {"sub": NO_CURRENCY}
        selected = key == chosen
        lines.append(table_row(cells, attention_note(finding, target, selected=selected), selected=selected))
    draw_table(
        "vendors", "Sets of fixed questions and their newest round", filled_columns(COLUMNS, lines, ("model", "questions", "rounds")), lines
    )


def cost_currency(model: str, rounds: ProbeRounds | None = None) -> str | None:
    """The currency in which a model's calls are charged: from its probes, else from its settings; None if neither states it."""
    if rounds is not None and rounds.currency:
        return rounds.currency
    known = load.catalog().by_name.get(model)
    return (known.settings.cost_currency or known.settings.budget_currency) if known else None


def _mean(values: Any) -> float | None:
    """The mean of the known values; None if no value is known."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def _median(values: Any) -> float | None:
    """The median of the known values; None if no value is known."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None


def _sum(values: Any) -> float | None:
    """The sum of the known values; None if no value is known."""
    known = values[np.isfinite(values)]
    return float(known.sum()) if known.size else None


def shown_score(rounds: ProbeRounds, finding: Finding | None) -> str | None:
    """The rubric score that a finding names, else the first rubric score by name; None if no answer has one."""
    return (finding.evidence.get("score") if finding else None) or min(rounds.rubric, default=None)


def round_values(rounds: ProbeRounds, changes: AnswerChanges | None, metric: str, finding: Finding | None = None) -> list[float | None]:
    """The value of a measure in every round; None for a round in which it is not known. finding: the finding about the measure."""
    places = range(len(rounds.times))
    if metric in (probe_claims.CHANGED, probe_claims.FLIPS):
        if changes is None:
            return [None for _ in places]
        counts = changes.against_baseline if metric == probe_claims.CHANGED else changes.against_last
        return [float(counts.hits[place] / counts.n[place]) if counts.n[place] else None for place in places]
    if metric == probe_claims.SIMILAR:
        return [None if changes is None or changes.similarity is None else _mean(changes.similarity[place]) for place in places]
    if metric == probe_claims.SHIFT:
        return [None if changes is None or changes.gaps is None else _mean(changes.gaps[place]) for place in places]
    if metric == probe_claims.ERROR:
        if rounds.values is None or rounds.expected is None:
            return [None for _ in places]
        errors = np.abs(rounds.values - rounds.expected)
        return [_mean(errors[place]) for place in places]
    if metric == probe_claims.RUBRIC:
        score = shown_score(rounds, finding)
        return [None if score is None else _mean(rounds.rubric[score][place]) for place in places]
    table = {
        probe_claims.FORM: (rounds.ill_formed, _mean),
        probe_claims.REFUSED: (rounds.refused, _mean),
        probe_claims.FAILED: (rounds.failed_share, _mean),
        probe_claims.RIGHT: (rounds.right, _mean),
        probe_claims.LATENCY: (rounds.latency, _median),
        probe_claims.TOKENS: (rounds.output_tokens, _mean),
        probe_claims.COST: (rounds.cost, _sum),
    }
    values, figure = table[metric]
    return [figure(values[place]) for place in places]


def rounds_table(rounds: ProbeRounds, changes: AnswerChanges | None, metric: str, finding: Finding | None) -> pd.DataFrame:
    """Each round in which a measure is known: at, value, version, role (baseline or compared), and severity of its mark."""
    values = round_values(rounds, changes, metric, finding)
    baseline = set(changes.baseline) if changes else set()
    onset = finding.onset if finding is not None and finding.needs_action else None
    rows = [
        {
            "at": at,
            "value": value,
            "version": version or "not declared",
            "role": "baseline" if place in baseline else "compared",
            "severity": finding.severity if finding is not None and onset is not None and aware_utc(at) >= onset else "ok",
        }
        for place, (at, value, version) in enumerate(zip(rounds.times, values, rounds.versions, strict=True))
        if value is not None
    ]
    return pd.DataFrame(rows, columns=["at", "value", "version", "role", "severity"])


def rounds_chart(rounds: ProbeRounds, changes: AnswerChanges | None, found: Sequence[Finding]) -> None:
    """Draw the timeline of a set: a measure of every round, with marks where the declared version changes."""
    offered = [metric for metric in MEASURES if any(value is not None for value in round_values(rounds, changes, metric))]
    bad = first_finding(each for each in found if each.needs_action and each.metric in offered)
    default = bad.metric if bad else offered[0]
    metric = choice_box.measure_selectbox(MEASURES, offered, default, "no round of this set has")
    finding = next((each for each in found if each.metric == metric), None)
    name, unit = MEASURES[metric]
    if metric == probe_claims.COST:
        name = f"{name}, {cost_currency(rounds.model, rounds) or NO_CURRENCY}"
    if metric == probe_claims.RUBRIC:
        name = f"mean score {shown_score(rounds, finding)}"
    table = rounds_table(rounds, changes, metric, finding)
    written = [formatting.format_share(value) if unit == "share" else format_figure(value) for value in table["value"]]
    table["words"] = [
        f"{time_zone.named_minute(at)}<br>{name}: {value}<br>version {theme.inert_label(version)}"
        for at, value, version in zip(table["at"], written, table["version"], strict=True)
    ]
    usual = finding.evidence.get("baseline") if finding is not None else None
    figure = charts_records.record_marks(table, name=name.capitalize(), usual=usual, share=unit == "share")
    changed = [place for place in range(1, len(table)) if table["version"].iloc[place] != table["version"].iloc[place - 1]]
    for place in changed[-5:]:
        label = theme.inert_label(f"version {table['version'].iloc[place]}", 30)
        figure.add_vline(x=table["at"].iloc[place].timestamp() * 1000, line={"dash": "dot", "color": theme.NEUTRAL}, annotation_text=label)
    alt = finding.because.replace("`", "") if finding is not None else f"{name.capitalize()} by round: {written[-1]} in the newest."
    columns = {
        "at": "Round (UTC)",
        "value": name.capitalize(),
        "version": "Declared version",
        "role": "Role",
        "severity": None,
        "words": None,
    }
    on_drag = clicks.DateSelection("vendor-rounds", table["at"])
    frame.chart_with_table(figure, table, key="vendor-rounds", alt=alt, metrics=(metric,), columns=columns, on_select=on_drag)


def similarity_caption(rounds: ProbeRounds) -> None:
    """Draw how the free text or the numbers of a set are compared, and how many rounds cannot be compared. Draws nothing if the answers are
    classes.
    """
    if rounds.values is not None:
        apart = format_figure(rounds.tolerance) if rounds.tolerance is not None else f"{SPREADS:g} times their spread in the baseline"
        plain_caption(f"Answers are numbers: they differ where they are more than {apart} apart.")
    if not rounds.free_text:
        return
    encoder, others = rounds.encoders[-1], int((~rounds.comparable(len(rounds.times) - 1)).sum())
    by = f"the sentence encoder {encoder}" if encoder else "hashed character n-grams"
    left_out = f" {formatting.plural(others, 'earlier round')} of another encoder or none cannot be compared." if others else ""
    plain_caption(f"Free text is compared by {by}.{left_out}", details=None if encoder else ENCODER_HINT)


def changed_answers(rounds: ProbeRounds, changes: AnswerChanges) -> pd.DataFrame:
    """The answers of the newest round that differ from the baseline: item, question, before (baseline), after (newest), as stored."""
    last = len(rounds.times) - 1
    rows = [
        {
            "item": item,
            "question": rounds.questions[place],
            "before": rounds.texts[changes.typical[place], place],
            "after": rounds.texts[last, place],
        }
        for place, item in enumerate(rounds.items)
        if changes.differs[last, place]
    ]
    return pd.DataFrame(rows, columns=["item", "question", "before", "after"])


def changed_section(rounds: ProbeRounds, changes: AnswerChanges) -> None:
    """Draw the changed answers beside the answers of the baseline."""
    table = changed_answers(rounds, changes)
    if table.empty:
        st.markdown("Every answer of the newest round equals the baseline.")
        return
    cut = [
        {name: {"t": text if len(text) <= SHOWN_ANSWER else text[: SHOWN_ANSWER - 1] + "…"} for name, text in row.items()}
        for row in table.head(MAX_CHANGED).astype(str).to_dict("records")
    ]
    draw_table(
        "changed-answers", "Answers that differ from the baseline", CHANGES, [table_row({str(k): v for k, v in row.items()}) for row in cut]
    )
    cut_note(len(table), MAX_CHANGED, "answers")
    csv_button("changed-answers", table, has_groups=False)


def accept_form(rounds: ProbeRounds) -> None:
    """Draw the form with which a person accepts the answers from a chosen day on as the new baseline."""
    turn = st.session_state.get("answers-accepted", 0)
    with st.popover("Accept these answers", icon=":material/check:", key="accept-answers"):
        st.markdown("The rounds from the chosen day on become the baseline. Five rounds are needed before the next comparison.")
        author = person_name.person_name_box("accept-author", rounds.model)
        with st.form(f"accept-{turn}"):
            since = st.date_input("From", value=rounds.times[-1].date(), key=f"accept-from-{turn}", format="YYYY-MM-DD")
            note = st.text_input("Reason", key=f"accept-note-{turn}", max_chars=2_000).strip()
            if not st.form_submit_button("Save", icon=":material/save:", key=f"accept-submit-{turn}"):
                return
    if not author:
        st.error(person_name.why_not_saved(), icon=":material/person:")
        return
    text = f"Answers of {rounds.model} to {rounds.name} accepted as the baseline by {author}" + (f": {note}" if note else "")
    record: dict[str, Any] = {"kind": "event", "at": pd.Timestamp(since, tz="UTC").isoformat(), "what": "deploy", "text": text}
    if save_records([{**record, "model": rounds.model, judged.ACCEPTS: rounds.name, "accepted_by": author}], NOT_SAVED):
        st.session_state["answers-accepted"] = turn + 1
        st.toast("Saved.", icon=":material/check_circle:")
        st.rerun()
