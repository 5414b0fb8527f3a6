"""The command `exports`: k of a file, ε of a mechanism, a recorded export, a limit that the owner sets, and exports that the product
records by itself when it writes files.
"""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from observability.cli.commands_exports import stored_ledger
from observability.cli.execute import execute
from observability.client.log import Logger
from observability.core.window import EPOCH, Window
from observability.export.own_exports import csv_shape
from observability.metrics.exports import EXPORTS, export_events, export_signature
from observability.monitoring import check
from observability.store.db.database import Database
from tests.support.new_store import new_store

CSV = "age,postcode,name\n30,11,a\n30,11,b\n30,11,c\n40,12,d\n40,12,e\n"


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with closing(new_store(tmp_path / "home", threads=1)) as opened:
        yield opened


def run(store: Database, *argv: str) -> Any:
    found = execute(store, ["exports", *argv, "--json"], lambda _: None)
    assert found.exit_code == 0, found.error
    return json.loads(found.out)


def refused(store: Database, *argv: str) -> str:
    found = execute(store, ["exports", *argv], lambda _: None)
    assert found.exit_code == 2
    return found.error


def test_k_and_epsilon_are_computed(store: Database, tmp_path: Path) -> None:
    (tmp_path / "extract.csv").write_text(CSV, encoding="utf-8")
    file = str(tmp_path / "extract.csv")
    assert run(store, "k", file, "--quasi", "age,postcode")["k"] == 2
    assert run(store, "k", file, "--quasi", "name")["below"]["2"] == [5, 5]
    found = run(store, "epsilon", "--noise-multiplier", "1.1", "--sampling-rate", "0.01", "--steps", "1000")
    assert found["epsilon"] == pytest.approx(1.7118, rel=1e-3) and found["delta"] == 1e-5
    assert "columns that the file lacks" in refused(store, "k", file, "--quasi", "income")
    assert "needs a file" in refused(store, "k") and "--quasi age" in refused(store, "k", file)
    assert "above 0" in refused(store, "epsilon") and "out of range" in refused(store, "epsilon", "--noise-multiplier", "1", "--delta", "2")


def test_a_signed_attestation_is_recorded_and_verified_against_the_registered_key(store: Database, tmp_path: Path) -> None:
    key, document = Ed25519PrivateKey.generate(), b'{"measurement": "sha256:5f2c"}'
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, body in (("key.pem", pem), ("document.json", document), ("signature", key.sign(document))):
        (tmp_path / name).write_bytes(body)
    about, given = ("--recipient", "cloud", "--dataset", "people"), ("--attestation-document", str(tmp_path / "document.json"))
    given = ("--attestation", "sha256:5f2c", *given, "--attestation-signature", str(tmp_path / "signature"))
    run(store, "record", *about, "--rows", "9", *given)
    level = run(store, "level", *about, "--attestation", "sha256:5f2c", "--attestation-key", str(tmp_path / "key.pem"))
    assert level["attestation_key"] == pem.decode() and level["statement"].endswith("attestation sha256:5f2c, a registered key")
    ledger = stored_ledger(store)
    (event,) = ledger.events
    assert export_signature(event, ledger.level(event)) == "verified"
    assert "three options" in refused(store, "record", *about, *given[:4])
    assert "no public key" in refused(store, "level", *about, "--attestation-key", str(tmp_path / "document.json"))
    assert "cannot be read" in refused(store, "level", *about, "--attestation-key", str(tmp_path / "lacking"))


def test_an_export_is_recorded_judged_and_listed(store: Database, tmp_path: Path) -> None:
    (tmp_path / "extract.csv").write_text(CSV, encoding="utf-8")
    about = ("--recipient", "acme", "--dataset", "people")
    made = run(
        store,
        "record",
        str(tmp_path / "extract.csv"),
        *about,
        "--quasi",
        "age,postcode",
        "--personal",
        "name",
        "--canary",
        "c1=zq-canary-77",
    )
    assert (made["rows"], made["k"], made["columns"]["name"]) == (5, 2, {"tag": "personal"})
    run(store, "record", *about, "--noise-multiplier", "2", "--transform", "noised", "--rows", "3")
    run(store, "level", *about, "--k", "5", "--epsilon", "1", "--reason", "a trial")
    (row,) = run(store, "list")
    assert (row["exports"], row["rows"], row["smallest_k"], row["budget"], row["unknown"]) == (2, 8, 2, 1, 1)
    assert row["epsilon"] == pytest.approx(2.1, rel=0.1)
    now = datetime.now(UTC) + timedelta(minutes=1)
    found = {each.metric: each.severity for each in check.check(store, now=now, only=("trust/exports",)).findings}
    assert (found["export_k"], found["export_epsilon"], found["export_personal_columns"], found["canary_sightings"]) == (
        "act",
        "act",
        "act",
        "ok",
    )
    assert "needs a recipient" in refused(store, "record") and "at least 8 letters" in refused(
        store, "record", *about, "--canary", "c=short"
    )
    assert "a level" in refused(store, "level", *about)


def test_a_logged_export_is_the_same_record(store: Database) -> None:
    with Logger(store.home) as log:
        assert log.export(recipient="acme", columns=["a", "b"], rows=4) and log.export(
            recipient="acme", columns={"a": {"tag": "quasi"}}, k=3
        )
        assert not log.export(rows=4)  # type: ignore[call-arg]  # a wrong call
    store.load_landing()
    found = export_events(store.ask(EXPORTS, Window("", EPOCH, datetime.now(UTC) + timedelta(minutes=1))))
    assert {(each.columns, each.text, each.own) for each in found} == {
        (("a", "b"), "Export of data to acme", False),
        (("a",), "Export of data to acme", False),
    }


def test_files_written_by_the_product_are_logged_as_exports_and_invalidate_no_finding(store: Database, tmp_path: Path) -> None:
    store.write_records([{"kind": "prediction", "id": "a", "model": "loan", "version": "1", "features": {"x": 1}, "score": 0.4}])
    before = dict(store.generations)
    assert execute(store, ["relabel", "--out", str(tmp_path / "sheet.csv")], lambda _: None).exit_code == 0
    after = {name: number for name, number in store.generations.items() if not name.startswith("\0")}
    assert after == {name: number for name, number in before.items() if not name.startswith("\0")}, "no model changed"
    assert max(store.generations.values()) > max(before.values()), "the generation of exports changed"
    (own,) = export_events(store.ask(EXPORTS, Window("", EPOCH, datetime.now(UTC) + timedelta(minutes=1))))
    assert own.own and (own.text, own.recipient, own.rows) == ("relabel worksheet", "file sheet.csv", 0)
    assert csv_shape('a,b\n1,"x\ny"\n2,z\n') == (2, ["a", "b"]) and csv_shape("") == (0, [])


def test_query_rows_and_a_file_description_written_to_files_are_logged_as_exports(store: Database, tmp_path: Path) -> None:
    store.write_records([{"kind": "prediction", "id": "a", "model": "loan", "version": "1", "features": {"x": 1}, "score": 0.4}])
    (tmp_path / "extract.csv").write_text(CSV, encoding="utf-8")
    out, query = tmp_path / "extract.json", 'SELECT id, version FROM "loan.predictions"'
    for line in (
        ["croissant", str(tmp_path / "extract.csv"), "--out", str(out)],
        ["sql", query, "--csv"],
        ["sql", query],
        ["sql", query, "--json"],
    ):
        found = execute(store, line, lambda _: None)
        assert found.exit_code == 0, found.error
    kept = {each.text: each for each in export_events(store.ask(EXPORTS, Window("", EPOCH, datetime.now(UTC) + timedelta(minutes=1))))}
    assert set(kept) == {"Croissant description of extract", "rows of a query (CSV)"}, (
        "a table on the terminal and JSON output are no files"
    )
    rows = kept["rows of a query (CSV)"]
    assert rows.own and (rows.recipient, rows.rows, rows.columns) == ("command line", 1, ("id", "version"))
    assert kept["Croissant description of extract"].recipient == "file extract.json"
