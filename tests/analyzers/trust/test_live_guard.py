"""trust/live_guard: in the logs of the scenario lab, subjects that copy, probe or send strange requests are named, and so are odd texts;
clean weeks name nobody.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.trust.live_guard import ANALYZER
from observability.core.analyzer import Context
from observability.core.catalog import Model, Version
from observability.core.finding import Finding
from observability.core.settings import ModelSettings
from observability.core.standing_since import StandingSince, standing_since
from observability.core.window import Window
from observability.detection import live_guard
from observability.detection.live_guard import input_space
from observability.simulation.clean_log import CleanStream
from observability.simulation.fault_targets import FaultTargets, fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.log_rows import LogRows, joined_rows
from observability.simulation.replay import FaultScenario
from tests.support.analyzer_worlds import START
from tests.support.length import repeats, some
from tests.support.simulation_key import KEY
from tests.support.simulation_world import COLUMNS, credit

WEEKS, SEEDS = repeats(6, 300), repeats(3, 25)
BASE = credit(reference_rows=3000)
ATTACKS = ("model_extraction", "boundary_search", "strange_requests", "prompt_texts", "oversized_texts")


@pytest.fixture(autouse=True, scope="module")
def known_space() -> Iterator[None]:
    """Compute the input space once, because all tests use the same reference."""
    made: dict[bytes, live_guard.InputSpace | None] = {}

    def of(columns: dict[str, np.ndarray], *names: list[str]) -> live_guard.InputSpace | None:
        key = pd.util.hash_pandas_object(pd.DataFrame(columns)).to_numpy().tobytes()
        if key not in made:
            made[key] = input_space(columns, *names)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_guard, "input_space", of)
        yield


def context(**limits: float) -> Context:
    version = Version("1", START, reference_rows=3000)
    model = Model(
        1,
        "credit",
        "binary",
        ("0", "1"),
        COLUMNS,
        (version,),
        ModelSettings(limits={f"{ANALYZER.name}/{name}": each for name, each in limits.items()}),
    )
    return Context(model, version, Window("credit", START, START + pd.Timedelta(days=7), version="1"), START + pd.Timedelta(days=7))


def findings(
    rows: LogRows, actions: pd.DataFrame | None = None, past: LogRows | None = None, scores: bool = True, **limits: float
) -> list[Finding]:
    """The findings about these rows. past: a week of rows that is repeated in each of the four weeks before; None for no past. scores:
    whether the reference has scores.
    """
    about, frames = context(**limits), {}
    for name, ask in ANALYZER.needs(about).items():
        source = BASE.reference if name == "reference" else rows
        if name == "actions":
            frames[name] = pd.DataFrame(columns=["decision", "label", "extra"]) if actions is None else actions
            continue
        if name == "past texts":
            frames[name] = pd.DataFrame(columns=list(ask.aggregate.columns))
            continue
        if name == "past":
            frames[name] = past_rows(past, ask.aggregate.columns)
            continue
        ids = [f"r{place:05}" for place in range(len(source))] if name == "reference" else source["id"]
        frames[name] = pd.DataFrame(
            {column: ids if column == "id" else source[column] for column in ask.aggregate.columns if column != "extra"}
        )
        frames[name] = frames[name].assign(extra=None)
        if name == "reference" and not scores:
            frames[name]["score"] = np.nan
        frames[name] = frames[name].sample(min(ask.aggregate.rows, len(source)), random_state=1)
    return ANALYZER.analyze(frames, about)


def past_rows(rows: LogRows | None, columns: tuple[str, ...]) -> pd.DataFrame:
    """The rows of a week, moved into the four weeks before the window, 100 a day."""
    if rows is None:
        return pd.DataFrame(columns=list(columns))
    made = pd.DataFrame({column: rows[column] for column in columns if column not in ("id", "at")}).sample(2800, random_state=2)
    day = np.arange(2800) // 100
    at = pd.to_datetime(START.replace(tzinfo=None)) - pd.to_timedelta(28 - day, unit="D")
    return made.assign(id=[f"p{place:05}" for place in range(2800)], at=at)


@cache
def week(seed: int) -> tuple[CleanStream, FaultTargets]:
    stream = CleanStream(BASE, seed=seed, past=1, days=7, rows_a_day=500)
    return stream, fault_targets(BASE, seed)


def log(seed: int, fault: str | None = None, strength: str = "middle") -> LogRows:
    """The rows of a week, without a fault or with one on each day."""
    stream, scene = week(seed)
    scenario = FaultScenario(stream, scene, FAULTS[fault] if fault else None, strength)
    return joined_rows([scenario.planted(number, stream.day(number)) for number in range(1, 8)])


@pytest.mark.parametrize("fault", some(ATTACKS, 2))
def test_a_fault_of_middle_strength_is_found_in_nine_of_ten_draws(fault: str) -> None:
    named = 0
    for seed in range(SEEDS):
        _, scene = week(seed)
        right = KEY[fault](scene.target(FAULTS[fault].needs))
        named += any(right.holds(each) for each in findings(log(seed, fault)))
    assert named >= 0.9 * SEEDS, named


@pytest.mark.parametrize(("fault", "metric"), [("model_extraction", "input_coverage"), ("boundary_search", "boundary_request_share")])
def test_a_client_that_sends_all_requests_is_compared_with_the_reference(fault: str, metric: str) -> None:
    """Regression: an attack by the only client was not named, because there were no other clients for a comparison."""
    seeds, named = range(3, 3 + repeats(1, 10)), 0
    for seed in seeds:
        rows = log(seed, fault)
        own = rows.take(~np.isin(np.asarray(rows["id"], object), np.asarray(log(seed)["id"], object)))
        (attacker,) = set(own["subject"])
        for found in (each for each in findings(own) if each.metric == metric and each.subject == f"subject={attacker}"):
            assert found.against == "reference" and "rows of the reference" in found.because
            blocked = fault == "boundary_search"
            assert (found.severity, found.evidence["blocked"]) == (("act", [attacker]) if blocked else ("watch", []))
            assert ("block it" in found.because) == blocked == ("inputs that drifted" not in found.because)
            named += 1
    assert named >= 0.9 * len(seeds), named


@pytest.mark.parametrize("fault", [None, "covariate_shift"])
def test_weeks_of_one_client_name_nobody_even_if_inputs_drift(fault: str | None) -> None:
    for seed in range(1000, 1000 + repeats(3, 100 if fault else 300)):
        rows = log(seed, fault)
        own = rows.put({"subject": np.full(len(rows), "shop", object)})
        found = findings(own)
        assert [each.because for each in found if each.needs_action and each.subject != "model"] == []
        (nobody,) = [each for each in found if each.metric == "odd_subjects"]
        assert (nobody.severity, nobody.against, nobody.n) == ("ok", "reference", 1)
        assert "compared with nobody's" in nobody.because and "No subject stands out" not in nobody.because


def test_a_search_of_the_boundary_by_the_only_client_is_unknown_without_scores_of_the_reference() -> None:
    rows = log(1000)
    own = rows.put({"subject": np.full(len(rows), "shop", object)})
    (nobody,) = [each for each in findings(own, scores=False) if each.metric == "odd_subjects"]
    assert nobody.severity == "unknown" and nobody.value is None and "is unknown: the reference has too few scores" in nobody.because


def test_clean_weeks_name_nobody() -> None:
    asked = [each for seed in range(1000, 1000 + WEEKS) for each in findings(log(seed)) if each.needs_action]
    assert asked == [], [each.because for each in asked]


def test_a_subject_with_odd_texts_is_found_even_with_few_requests() -> None:
    rows = log(3, "prompt_texts")
    odd = next(each for each in findings(rows) if each.metric == "prompt_text_share")
    assert odd.evidence["subjects"] and not [each for each in findings(rows) if each.metric == "odd_subjects"]


def test_an_attack_is_critical_with_its_requests_and_the_next_step() -> None:
    found = next(each for each in findings(log(3, "model_extraction")) if each.metric == "input_coverage")
    assert found.severity == "act" and found.limit == found.evidence["baseline"] < found.low < found.value < found.high
    assert found.subject == f"subject={found.evidence['subjects'][0]}" and "block it" in found.because and len(found.evidence["ids"]) == 10
    assert not [each for each in findings(log(3, "model_extraction")) if each.metric == "odd_subjects"]


def test_far_requests_are_a_warning_and_critical_only_beyond_the_owner_s_level() -> None:
    rows = log(2, "strange_requests")
    far, owned = (
        next(each for each in findings(rows, **limits) if each.subject == "model") for limits in ({}, {"far_request_share": 0.05})
    )
    assert (far.severity, far.limit, far.against) == ("watch", 0.03, "reference") and far.value == pytest.approx(0.1, abs=0.02)
    assert (owned.severity, owned.limit, owned.against) == ("act", 0.05, "level")
    clean = {each.metric: each for each in findings(log(2))}
    assert clean["far_request_share"].severity == clean["odd_subjects"].severity == "ok" and clean["odd_subjects"].n > 0


def test_far_requests_as_frequent_as_in_the_week_before_are_ongoing_and_a_flood_is_new() -> None:
    """In an ongoing drift there are far requests each week: after the first alert they are ongoing. Three times as many are a separate
    fault.
    """
    some, many = log(2, "strange_requests"), log(2, "strange_requests", "strong")

    def far(now: LogRows, past: LogRows | None, **limits: float) -> Finding:
        return next(each for each in findings(now, past=past, **limits) if each.metric == "far_request_share")

    new, stands = far(some, log(2)), far(some, some)
    assert (new.severity, new.news, new.evidence["standing"]) == ("watch", "new", False)
    assert (stands.severity, stands.news, stands.evidence["standing"]) == ("watch", None, True), (
        "the severity depends on the level, although it is not new"
    )
    assert standing_since(stands) == StandingSince((START - pd.Timedelta(days=28)).date(), earlier=True)
    assert far(some, some, far_request_share=0.05).severity == "act"
    flood = far(many, some)
    assert flood.value > 2.5 * stands.value and (flood.news, flood.evidence["standing"]) == ("new", False)
    unknown = far(some, None)
    assert unknown.news is None and "standing" not in unknown.evidence, "without a past nothing is new or ongoing"


def test_subjects_that_send_most_far_requests_are_named_even_with_few_requests() -> None:
    rows = log(2, "strange_requests", "weak")
    mine = np.flatnonzero(~np.isin(np.asarray(rows["id"], object), np.asarray(log(2)["id"], object)))
    names = np.asarray(rows["subject"], object).copy()
    names[mine] = [f"t{place % 3}" for place in range(len(mine))]
    found = findings(rows.put({"subject": names}), far_request_share=0.01)
    far = next(each for each in found if each.metric == "far_request_share")
    assert far.subject == "model" and far.severity == "act" and "3 subjects with " in far.because and " of the far ones" in far.because
    senders = far.evidence["senders"]
    assert {each["subject"] for each in senders[:3]} == {"t0", "t1", "t2"} and len(senders) <= 5
    assert all(each["far"] <= each["n"] < 50 for each in senders[:3]) and sum(each["share"] for each in senders) <= 1
    many = names.copy()
    many[mine] = [f"t{place}" for place in range(len(mine))]
    spread = next(each for each in findings(rows.put({"subject": many}), far_request_share=0.01) if each.metric == "far_request_share")
    assert "of the far ones" not in spread.because


def test_without_subjects_the_share_of_far_requests_is_judged() -> None:
    rows = log(2)
    found = findings(rows.put({"subject": np.full(len(rows), None, object)}))
    assert [(each.metric, each.severity) for each in found] == [("far_request_share", "ok")]
    (few,) = findings(rows.take(np.arange(60)))
    assert few.severity == "unknown" and few.n == 60


def test_reliance_on_the_model_is_compared_with_the_owners_level() -> None:
    actions = pd.DataFrame(
        [(1, 0, '{"action": "1"}')] * 30
        + [(1, 0, '{"action": "0"}')] * 10
        + [(1, 1, '{"action": "1"}')] * 50
        + [(0, 0, '{"action": "0"}')] * 50,
        columns=["decision", "label", "extra"],
    )
    found = {each.metric: each for each in findings(log(2), actions, over_reliance=0.5)}
    over, under = found["over_reliance"], found["under_reliance"]
    assert (over.value, over.n, over.severity, over.against) == (0.75, 40, "act", "level")
    assert (under.value, under.n, under.severity) == (0.0, 100, "unknown") and "set `trust/live_guard/under_reliance`" in under.because
    many = pd.concat([actions] * 30, ignore_index=True)
    sampled = [{each.metric: each for each in findings(log(2), rows)}["over_reliance"] for rows in (actions, many)]
    assert [each.evidence["sampled"] for each in sampled] == [False, True], "only a count of all predictions (not of a sample) has a proof"
