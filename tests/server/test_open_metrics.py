"""`GET /metrics` is valid OpenMetrics and counts the events; the alert rules name only metrics that exist."""

import json
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from observability.core import telemetry
from observability.server import api, health, process_lock, tokens
from observability.server.watcher import WatchedModel, Watching
from observability.store.backup import verify_backup
from observability.store.db.keeping import note_done
from observability.store.registry import admin
from tests.support.http_routes import ask_routes
from tests.support.new_store import new_store
from tests.support.record_lines import prediction

RULES = Path(__file__).parents[2] / "docs" / "prometheus-rules.yml"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The owner of a new home, whose counters start at 0. It answers requests to its routes, with a token of each scope."""
    for name in ("WORKER_JOBS", "ACCEPTED", "REJECTED", "REFUSED", "CLIENT_DROPPED"):
        monkeypatch.setattr(telemetry, name, telemetry.EventCounts())
    for name in ("QUERY_SECONDS", "PAGE_SECONDS", "POST_SECONDS"):
        monkeypatch.setattr(telemetry, name, telemetry.Durations())
    store = new_store(tmp_path / "home", threads=1)
    owner = process_lock.Owner(store.home, process_lock.Lock(-1), store)
    monkeypatch.setattr(process_lock, "_current", owner)
    known = {scope: tokens.create_token(store.home, scope) for scope in ("read", "write")}

    def ask(method, path, scope, body=b"", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask_routes(api.routes(), method, path, known[scope][1], body, named)

    ask.owner, ask.writer = owner, known["write"][0].id
    yield ask
    store.close()


def values(answer):
    """The samples by name and labels, as parsed by Prometheus' library."""
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    families = list(parser.text_string_to_metric_families(answer.body.decode()))
    return {(sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples}


def test_the_metrics_count_what_happened_and_their_text_is_valid(site):
    owner = site.owner
    body = b"\n".join(json.dumps(prediction(i, at="2026-11-01T00:00:00Z")).encode() for i in range(3)) + b'\n{"kind": "prediction"}\n{'
    assert site("POST", "/api/v1/records", "write", body, observability_dropped="7").status == 202
    assert site("POST", "/api/v1/records", "write", b"[").status == 400
    owner.records.publish()
    before = values(site("GET", "/metrics", "read"))
    assert before["observability_landing_segments",] == 1
    assert before["observability_loader_up",] == 0, "no loader runs here"
    owner.load_once()
    owner.watching = Watching(
        models={'lo"an\n': WatchedModel({"act": 2}, 0.25), "new": WatchedModel({}, None)}, checked_at=datetime(2026, 11, 1, tzinfo=UTC)
    )
    telemetry.PAGE_SECONDS.observe(0.3)
    telemetry.PAGE_SECONDS.observe(99)
    with pytest.raises(ValueError, match="no"), telemetry.WORKER_JOBS.by_outcome():
        raise ValueError("no")
    found = values(site("GET", "/metrics", "read"))
    assert found["observability_ingest_accepted_records_total", "records"] == 3
    assert sum(value for key, value in found.items() if key[0] == "observability_ingest_rejected_records_total") == 2
    assert found["observability_ingest_refused_requests_total", "400"] == 1
    assert found["observability_ingest_client_dropped_records_total", site.writer] == 7
    assert found["observability_ingest_syncs_total",] == 1
    assert found["observability_ingest_post_seconds_count",] == 2
    assert found["observability_landing_segments",] == 0
    assert found["observability_page_seconds_bucket", "0.25"] == 0
    assert found["observability_page_seconds_bucket", "0.5"] == 1
    assert found["observability_page_seconds_bucket", "+Inf"] == found["observability_page_seconds_count",] == 2
    assert found["observability_worker_jobs_total", "failed"] == 1
    assert found["observability_model_open_incidents", "act", 'lo"an\n'] == 2
    assert found["observability_model_open_incidents", "new", "watch"] == 0
    assert found["observability_model_label_maturity_ratio", 'lo"an\n'] == 0.25
    assert ("observability_model_label_maturity_ratio", "new") not in found
    assert found["observability_model_last_prediction_age_seconds", "loan"] > 0
    assert site("GET", "/metrics", "write").status == 403


def test_backups_and_the_last_night_have_metrics(site, tmp_path):
    home = site.owner.home
    assert not [key for key in values(site("GET", "/metrics", "read")) if "backup" in key[0] or "night" in key[0]], (
        "what was never done is not reported as a number"
    )
    start = time.time() - 1
    site.owner.store.backup(tmp_path / "backups")
    verify_backup(home, tmp_path / "backups")
    note_done(home, "night", {"failures": ["the lake failed: no room"]})
    found = values(site("GET", "/metrics", "read"))
    for name in ("backup", "verified_restore"):
        assert start <= found[f"observability_{name}_last_timestamp_seconds",] <= time.time()
    assert found["observability_night_failures",] == 1


def test_a_token_for_one_model_gets_the_metrics_of_that_model_alone(site):
    lines = [json.dumps({**prediction(), "model": model}).encode() for model in ("loan", "salaries")]
    assert site("POST", "/api/v1/records", "write", b"\n".join(lines)).status == 202
    site.owner.load_once()
    site.owner.watching = Watching(models={name: WatchedModel({"act": 1}, 0.5) for name in ("loan", "salaries")})
    _, text = tokens.create_token(site.owner.home, "read", role="viewer", models=["loan"])
    told = ask_routes(api.routes(), "GET", "/metrics", text).body.decode()
    assert told.count('model="loan"') == 4
    assert "salaries" not in told
    assert "salaries" in site("GET", "/metrics", "read").body.decode()


def test_earlier_counts_are_reused_only_while_records_wait(site):
    owner = site.owner
    first = owner.store.status()
    body = json.dumps(prediction()).encode()
    site("POST", "/api/v1/records", "write", body)
    owner.load_once()
    assert [model["predictions"] for model in owner.store.status(60)["models"]] == [1], "nothing waits, so the store is counted"
    assert first["models"] == []
    site("POST", "/api/v1/records", "write", json.dumps(prediction(1)).encode())
    owner.records.publish()
    with owner.store.write():
        pass
    held = owner.store.counted
    assert owner.store.status(60)["landing"]["segments"] == 1
    assert owner.store.counted is held
    owner.store.status()
    assert owner.store.counted is not held


def test_if_counting_is_slow_the_status_gives_the_last_counts_and_counts_in_the_background(site, monkeypatch):
    def counted_predictions():
        return [model["predictions"] for model in health.store_status(owner.store)["models"]]

    owner = site.owner
    assert counted_predictions() == []
    monkeypatch.setattr(admin, "SLOW_COUNT", -1.0)
    owner.store.status()
    site("POST", "/api/v1/records", "write", json.dumps(prediction()).encode())
    owner.load_once()
    assert counted_predictions() == [1], "a new model is reported at once"
    site("POST", "/api/v1/records", "write", json.dumps(prediction(1)).encode())
    owner.load_once()
    assert counted_predictions() == [1], "the earlier count is still reported"
    monkeypatch.setattr(health, "COUNT_EVERY", 1e-9)
    end = time.monotonic() + 300
    while counted_predictions() != [2]:
        assert time.monotonic() < end, "the count runs in the background"
        time.sleep(0.01)


def test_the_alert_rules_name_only_existing_metrics(site):
    text = RULES.read_text(encoding="utf-8")
    site("POST", "/api/v1/records", "write", b"{")
    note_done(site.owner.home, "backup", {})
    declared = set(re.findall(r"^# TYPE (\S+)", site("GET", "/metrics", "read").body.decode(), re.MULTILINE))
    used = {name.removesuffix("_total") for name in re.findall(r"observability_\w+", text)}
    assert used and used <= declared
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package promtool has it)")
    told = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True, timeout=600, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
