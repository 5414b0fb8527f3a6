"""Answers of devices are compared with the server's answers to the same requests: the share that differs, its severity, the devices' own
count, and the SQL that proves the value.
"""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.serving.device_agreement import ANALYZER, GAP, SHARE, analyze, needs
from observability.core.analyzer import Context
from observability.core.catalog import Model, Version
from observability.core.finding import Finding
from observability.core.settings import ModelSettings
from observability.core.window import Slice, Window
from observability.metrics.device_agreement import answer_pairs, clustered_rate
from observability.monitoring import check
from observability.simulation.faults_device_answers import FAULTS
from observability.simulation.frame_replay import replay_frame_fault
from observability.stats.interval import rate_interval
from observability.store.types.registration import RegistrationRequest
from tests.support.length import repeats
from tests.support.new_store import new_store
from tests.support.proving import differing, without_reason

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=7)
MODEL = Model(1, "cough", "binary", ("no", "yes"), versions=(Version("2"),))


def context(model: Model = MODEL, budget: float = 0.1) -> Context:
    return Context(model, model.versions[0], Window(model.name, START, END, "2"), END, budget)


def server_answers(rows: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    score = rng.random(rows)
    at = START.replace(tzinfo=None) + pd.to_timedelta(np.sort(rng.uniform(0, 7 * 86_400, rows)), unit="s")
    table = {"id": [f"r{place}" for place in range(rows)], "at": at, "device": None, "version": "2", "score": score}
    return pd.DataFrame(table | {"decision": (score >= 0.5).astype(int)})


def frames(share: float, *, rows: int = 3000, counted: float | None = None, seed: int = 1, after: int = 0) -> dict[str, pd.DataFrame]:
    """Answers of 30 devices to a third of the server's requests, and the devices' own counts. From day `after` on, a share of the answers
    differs from the server's.
    """
    rng, server = np.random.default_rng(seed), server_answers(rows, seed)
    own = server[rng.random(rows) < 0.3].copy()
    late = (own["at"] >= START.replace(tzinfo=None) + timedelta(days=after)).to_numpy()
    changed = (rng.random(len(own)) < share) & late
    own = own.assign(
        device=[f"d{place % 30:02}" for place in range(len(own))],
        version="2 int8",
        decision=np.where(changed, 1 - own["decision"], own["decision"]),
    )
    compared = own.groupby("device").size()
    reports = pd.DataFrame({"device": compared.index, "at": own["at"].max(), "version": "2 int8", "compared": compared.to_numpy()})
    reports["agreed"] = reports["compared"] - (reports["compared"] * (counted or 0.0)).round()
    return {"answers": server, "shadow": own, "counts": reports if counted is not None else reports.head(0)}


def by_metric(given: dict[str, pd.DataFrame], model: Model = MODEL) -> dict[str, Finding]:
    return {each.metric: each for each in analyze(given, context(model))}


def test_device_disagreement_is_the_share_of_differing_rows_with_the_same_id_and_is_dated() -> None:
    given = frames(0.09, after=4)
    found = by_metric(given)
    assert set(found) == {SHARE}, "without the devices' own count there is no comparison with it"
    share = found[SHARE]
    server = dict(zip(given["answers"]["id"], given["answers"]["decision"], strict=True))
    wrong = [server[name] != decision for name, decision in zip(given["shadow"]["id"], given["shadow"]["decision"], strict=True)]
    assert share.value == pytest.approx(np.mean(wrong)) and share.n == len(wrong)
    assert share.subject == "version=2 int8" and share.severity == "watch" and share.limit == 0.02
    assert share.onset is not None and share.onset.date() == (START + timedelta(days=4)).date() and "since 6 Mar 2026" in share.because
    assert by_metric(frames(0.2))[SHARE].severity == "act" and by_metric(frames(0.003))[SHARE].severity == "ok"
    strict = replace(MODEL, settings=ModelSettings(limits={f"serving/device_agreement/{SHARE}": 0.001}))
    assert by_metric(frames(0.02), strict)[SHARE].severity == "act"


def test_the_devices_own_count_is_compared_with_the_rows() -> None:
    wrong, right = by_metric(frames(0.1, counted=0.0))[GAP], by_metric(frames(0.1, counted=0.1))[GAP]
    assert wrong.severity == "watch" and wrong.low is not None and wrong.low > 0 and "The count is wrong" in wrong.because
    assert right.severity != "watch" and right.value is not None and abs(right.value) < 0.03
    few = by_metric(frames(0.1, rows=60, counted=0.0))
    assert {each.severity for each in few.values()} == {"unknown"} and "about" in few[GAP].because


def test_few_servers_or_devices_give_no_finding_and_a_shadow_server_counts() -> None:
    given = frames(0.1)
    assert analyze({**given, "shadow": given["shadow"].head(0)}, context()) == []
    assert analyze({**given, "answers": given["answers"].head(0)}, context()) == []
    turned = {**given, "answers": given["shadow"], "shadow": given["answers"]}
    assert by_metric(turned)[SHARE].value == by_metric(given)[SHARE].value
    assert needs(replace(context(), window=replace(context().window, slice=Slice((("sex", "F"),))))) == {}


def test_a_regression_agrees_within_a_tenth_of_the_server_s_spread() -> None:
    server = server_answers(1000)
    spread = float(server["score"].std(ddof=0))
    moved = np.where(np.arange(1000) % 10 == 0, 0.11 * spread, 0.09 * spread)
    own = server.assign(device="d1", version="2 int8", score=server["score"] + moved)
    rows = pd.concat([server.assign(environment="production"), own.assign(environment="shadow")], ignore_index=True)
    pairs = answer_pairs(Model(1, "eta", "regression"), rows)
    assert len(pairs) == 1000 and pairs["differs"].mean() == pytest.approx(0.1)


def test_a_challenger_in_shadow_is_not_the_server() -> None:
    """The server's answer is the one in production. Without one, it is the answer of the version in shadow, if there is only one; with
    several there is no server's answer.
    """
    given = frames(0.2)
    others = given["answers"].assign(version="3", decision=1 - given["answers"]["decision"])
    alone = by_metric(given)[SHARE]
    beside = by_metric(given | {"shadow": pd.concat([given["shadow"], others], ignore_index=True)})[SHARE]
    assert (beside.value, beside.n) == (alone.value, alone.n)
    none = given["answers"].head(0)
    shadowed = by_metric(given | {"answers": none, "shadow": pd.concat([given["shadow"], given["answers"]], ignore_index=True)})[SHARE]
    assert (shadowed.value, shadowed.n) == (alone.value, alone.n)
    assert not by_metric(given | {"answers": none, "shadow": pd.concat([given["shadow"], given["answers"], others], ignore_index=True)})


def test_the_interval_covers_the_truth_if_devices_differ_from_each_other() -> None:
    """If the shares differ between devices, an interval computed from rows alone covers the truth too rarely."""
    rng, covered, narrow, runs = np.random.default_rng(5), 0, 0, 400
    for _ in range(runs):
        shares = rng.beta(1, 19, 40)
        n = np.full(40, 60.0)
        hits = rng.binomial(60, shares).astype(float)
        wide, plain = clustered_rate(hits, n), rate_interval(hits.sum(), n.sum())
        covered += wide.low <= 0.05 <= wide.high
        narrow += plain.low <= 0.05 <= plain.high
    assert covered / runs > 0.92 > 0.8 > narrow / runs


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_fault_of_middle_strength_is_found(name: str) -> None:
    named, runs = 0, repeats(3, 30)
    for seed in range(runs):
        given = {"answers": server_answers(2000, seed), "shadow": server_answers(0), "counts": pd.DataFrame()}
        found = replay_frame_fault(given, context(), FAULTS[name], "middle", seed)
        (look,) = found.looks
        named += any(each.metric == FAULTS[name].metric and each.subject == found.target for each in look.alarms)
        assert not [each for each in look.twin if each.needs_action]
    assert named >= 0.9 * runs


def test_clean_weeks_raise_no_finding() -> None:
    raised = [
        each for seed in range(repeats(5, 300)) for each in analyze(frames(0.004, counted=0.004, seed=seed), context()) if each.needs_action
    ]
    assert raised == []


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_share_is_proved_from_the_rows_in_a_store(task: str, tmp_path: Path) -> None:
    given, reference = frames(0.1, rows=600), tmp_path / "reference.csv"
    label = (lambda score: int(score > 0.5)) if task == "binary" else (lambda score: score)
    reference.write_text(
        "x,score,label\n" + "\n".join(f"{s:.3f},{s:.3f},{label(s)}" for s in np.linspace(0.01, 0.99, 200)), encoding="utf-8"
    )
    lines, challenger = [], given["answers"].assign(version="3")
    for environment, part in (("production", given["answers"]), ("shadow", pd.concat([given["shadow"], challenger], ignore_index=True))):
        for place, row in enumerate(part.to_dict("records")):
            score = row["score"] if environment == "production" else (1 - row["score"] if place % 9 == 0 else row["score"])
            body = {"kind": "prediction", "id": row["id"], "model": "cough", "version": row["version"], "environment": environment}
            at = row["at"].floor("s").tz_localize(UTC).to_pydatetime()
            lines.append({**body, "at": at, "received_at": at, "features": {"x": row["score"]}, "score": score})
            lines[-1] |= {"device": row["device"]} if row["device"] else {}
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.register(RegistrationRequest(model="cough", version="2", reference=reference, task=task, label="label", score=("score",)))
        store.write_records(lines)
        found = check.check(store, model="cough", start=START, end=END, now=END, only=(ANALYZER.name,)).findings
        assert differing(store, found) == [] and without_reason(found) == []
        assert [(each.metric, each.subject) for each in found if each.proof] == [(SHARE, "version=2 int8")]
