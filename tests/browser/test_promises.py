"""In Chromium: an audit is started, followed, read, signed and expires; a batch is held and released; a trade-off is decided."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from observability.cli.main import main
from observability.core.formatting import format_day
from observability.store.types.loading import LoadDefaults
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import choose, complete, said, settle, tables, until, words
from tests.support.audited_model import register_with_file
from tests.support.form_audits import audit_row, clean_form
from tests.support.new_store import new_store
from tests.support.nightly_batches import gate_batches, nightly_lines
from tests.support.raw_rows import SAMPLE
from tests.support.running import Dashboard, dashboard

pytestmark = pytest.mark.browser


def robustness_results() -> dict[str, Any]:
    """The results of a robustness audit of the sample, without the model file that was audited."""
    records = map(json.loads, (SAMPLE / "audits.jsonl").read_text(encoding="utf-8").splitlines())
    found = next(each["results"] for each in records if each["audit"] == "robustness")
    return {name: value for name, value in found.items() if name != "artifact"}


ENDED = datetime.now(UTC).replace(microsecond=0) - timedelta(days=10)
"""The time at which the audit of the model `lapsed` expired."""


@pytest.fixture(scope="module")
def promises(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard with a model that has a file, a model that serves in batches, and an audit of three forms (variants of a model)."""
    folder = tmp_path_factory.mktemp("promises")
    rng = np.random.default_rng(1)
    forms = {**audit_row([clean_form(rng, "int8"), clean_form(rng, "small", 0.1)]), "kind": "audit", "model": "vision"}
    for name in ("at", "expires"):
        forms[name] = forms[name].replace(tzinfo=UTC).isoformat()
    past = {"kind": "audit", "model": "lapsed", "version": "1", "audit": "robustness", "results": robustness_results()}
    past |= {"at": (ENDED - timedelta(days=90)).isoformat(), "expires": ENDED.isoformat()}
    (folder / "lines.jsonl").write_text("\n".join(map(json.dumps, [forms, past, *nightly_lines()])) + "\n", encoding="utf-8")
    with new_store(folder / "home") as store:
        register_with_file(store, folder, "loan")
        register_with_file(store, folder, "lapsed")
        assert store.load_files([folder / "lines.jsonl"], LoadDefaults()).reasons == {}
        gate_batches(store)
    with dashboard(folder / "home") as running:
        yield running


def test_an_audit_can_be_started_followed_read_and_signed_and_shows_its_expiry(
    promises: Dashboard, visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit(f"{promises.url}/audits?model=loan")
    page.get_by_role("button", name="Run an audit").click()
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_test_id("stProgress").get_by_text("loan").wait_for()
    (audit,) = until(page, "Audits of this model", lambda rows: len(rows) == 1)
    assert audit["Version"]["text"] == "1" and re.match(r"[\d.]+ %", audit["Result"]["text"]) and audit["Audit"]["text"] == "Robustness"
    settle(page)
    page.get_by_role("button", name="Accept as risk owner").click()
    page.get_by_label("Your name").last.fill("Ada")
    page.get_by_label("Your name").last.press("Enter")
    settle(page)
    page.get_by_role("button", name="Sign").click()
    (signed,) = until(page, "Audits of this model", lambda rows: bool(rows) and "Ada" in rows[0]["Accepted by"]["text"])
    assert re.search(r"until \d+ \w+ 20\d\d", signed["Accepted by"]["sub"] or signed["Accepted by"]["text"])
    home = Path(promises.home)
    monkeypatch.setenv("OBSERVABILITY_HOME", str(home))
    folder = home.parent
    told = [
        "register",
        "--model",
        "loan",
        "--version",
        "2",
        "--task",
        "binary",
        "--reference",
        str(folder / "reference.csv"),
        "--label",
        "label",
    ]
    assert main([*told, "--score", "score", "--features", "a", "--artifact", str(folder / "model.txt")]) == 0
    page = visit(f"{promises.url}/audits?model=loan")
    complete(page)
    (ended,) = until(page, "Audits of this model", lambda rows: bool(rows) and rows[0]["Status"]["text"].endswith("Other version"))
    assert ended["Version"]["text"] == "1", "the audit of version 1 has ended, because version 2 needs its own audit"


def test_an_expired_audit_shows_its_expiry_date(promises: Dashboard, visit: Visit) -> None:
    page = visit(f"{promises.url}/audits?model=lapsed")
    complete(page)
    (audit,) = tables(page)["Audits of this model"]
    assert audit["Status"]["text"].endswith("Expired") and audit["Expires"]["text"] == format_day(ENDED)
    assert f"The robustness audit of version 1 expired on {format_day(ENDED)}" in words(page)


@pytest.mark.long  # tests/dashboard/test_audit_page.py
def test_an_expired_audit_can_be_run_again(promises: Dashboard, visit: Visit) -> None:
    page = visit(f"{promises.url}/audits?model=lapsed")
    complete(page)
    page.get_by_role("button", name="Run an audit").click()
    page.get_by_role("button", name="Start", exact=True).click()
    (fresh,) = until(page, "Audits of this model", lambda rows: bool(rows) and not rows[0]["Status"]["text"].endswith("Expired"))
    assert fresh["Audit"]["text"] == "Robustness" and fresh["Expires"]["text"] != format_day(ENDED)
    assert "expired on" not in words(page)


def test_a_batch_is_held_by_the_rules_and_released_by_a_person(
    promises: Dashboard, visit: Visit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OBSERVABILITY_HOME", str(promises.home))
    assert main(["gate", "night-7"]) == 1
    page = visit(f"{promises.url}/batch_gate?model=churn")
    complete(page)
    gates = {row["Batch"]["text"]: row["Gate"]["text"] for row in tables(page)["Batches of predictions"]}
    assert gates["night-7"] == "Held" and gates["night-6"] == "Release" and "lacks 60 of 200 expected keys" in words(page)
    page.get_by_role("button", name="Decide about this batch").click()
    page.get_by_label("Your name").last.fill("Ana")
    page.get_by_label("Your name").last.press("Enter")
    settle(page)
    page.get_by_label("Reason").fill("the rest is on holiday")
    page.get_by_role("button", name="Save").click()
    until(
        page,
        "Batches of predictions",
        lambda rows: any(row["Batch"]["text"] == "night-7" and row["Gate"]["text"] == "Released" for row in rows),
    )
    said(page, "the rest is on holiday")
    page.get_by_test_id("stToast").wait_for(state="detached")  # Streamlit gives its note about the saved action no accessible name
    accessible(page)
    capsys.readouterr()
    assert main(["gate", "night-7", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["gate"], body["decision"]["author"]) == ("release", "Ana")


def test_a_chosen_form_is_saved_with_a_reason_and_shown_in_the_table(promises: Dashboard, visit: Visit) -> None:
    page = visit(f"{promises.url}/trade_offs?model=vision")
    complete(page)
    page.get_by_label("Your name").last.fill("Ana")
    page.get_by_label("Your name").last.press("Enter")
    settle(page)
    choose(page, "Form to serve", "int8")
    page.get_by_label("Reason").fill("a quarter of the time")
    page.get_by_role("button", name="Save").click()
    until(
        page,
        "Forms and their figures",
        lambda rows: any("in use" in (row["Form"].get("sub") or row["Form"]["text"]) and "int8" in row["Form"]["text"] for row in rows),
    )
    said(page, "Serve form int8: a quarter of the time")
