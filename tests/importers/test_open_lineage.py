"""OpenLineage events become records that the store accepts, and the product's records become events that the official client's classes
accept.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from observability.core.window import EPOCH, Window
from observability.export.open_lineage import open_lineage_events
from observability.importers.open_lineage import NoEventError, records_of_event
from observability.records.record import validate
from observability.store.types.loading import LoadDefaults
from tests.support.lineage_event import AT, EVENT
from tests.support.new_store import new_store


def test_an_event_becomes_its_run_and_the_datasets_with_row_counts() -> None:
    run, people, scores = records_of_event(EVENT)
    assert run == {
        "kind": "run", "run": EVENT["run"]["runId"], "at": AT, "event": "end", "job": "airflow/nightly.train", "status": "finished",
        "dataset": "postgres://db/public.people@7", "inputs": ["postgres://db/public.people@7", "s3://bucket/notes"],
    }  # fmt: skip
    assert people == {
        "kind": "dataset", "dataset": "postgres://db/public.people", "version": "7", "at": AT, "rows": 900, "bytes": 4096,
        "columns": {"age": {"type": "INTEGER", "nulls": 3}, "sex": {}},
    }  # fmt: skip
    assert scores["version"] == scores["run"] == run["run"] and (scores["rows"], scores["bytes"]) == (850, 100)
    assert scores["parents"] == run["inputs"]
    for record in (run, people, scores):
        assert validate(record)["kind"] == record["kind"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("START", ("start", None)), ("FAIL", ("end", "failed")), ("ABORT", ("end", "aborted")), ("RUNNING", None), (None, None)],
)
def test_the_type_of_an_event_gives_start_or_end(kind: str | None, expected: tuple[str, str | None] | None) -> None:
    found = [each for each in records_of_event({**EVENT, "eventType": kind}) if each["kind"] == "run"]
    assert [(each["event"], each.get("status")) for each in found] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"eventTime": None}, "'eventTime' is a text"),
        ({"run": {}}, "'run.runId' is a text"),
        ({"job": 3}, "'job' is a JSON object"),
        ({"eventType": "DONE"}, "got 'DONE'"),
        ({"inputs": "people"}, "'inputs' is a list"),
        ({"inputs": [3]}, "an element of 'inputs'"),
        ({"outputs": [{"name": "x"}]}, "'outputs.namespace' is a text"),
        ({"inputs": [{}] * 1001}, "more than 1,000"),
    ],
)
def test_an_event_that_is_not_a_run_event_is_refused_naming_the_field(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(NoEventError, match=reason):
        records_of_event({**EVENT, **change})
    with pytest.raises(NoEventError, match="only run events"):
        records_of_event({"dataset": {}, "eventTime": AT})


@pytest.fixture
def exported(tmp_path: Path) -> list[dict[str, Any]]:
    """The events of a store with a run on a cleaned dataset that has a parent."""
    lines = [
        {"kind": "dataset", "dataset": "raw", "version": "1", "at": AT, "rows": 1000},
        {
            "kind": "dataset", "dataset": "people", "version": "7", "at": AT, "rows": 900, "bytes": 4096, "parents": ["raw@1"],
            "columns": {"age": {"type": "INTEGER"}, "sex": {}},
        },
        {"kind": "run", "run": "of-seven", "event": "start", "at": AT, "dataset": "people@7", "model": "loan", "version": "3", "study": "s"},
        {"kind": "run", "run": "of-seven", "event": "end", "at": "2026-03-02T07:00:00Z", "status": "failed"},
    ]  # fmt: skip
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    store = new_store(tmp_path / "home", threads=1)
    try:
        store.load_files([path], LoadDefaults())
        return list(open_lineage_events(store, Window("", EPOCH, datetime(2027, 1, 1, tzinfo=UTC))))
    finally:
        store.close()


def test_exported_events_are_imported_as_the_original_records(exported: list[dict[str, Any]]) -> None:
    back = [record for event in exported for record in records_of_event(event)]
    runs = {each["event"]: each for each in back if each["kind"] == "run" and each["run"] == "of-seven"}
    assert runs["start"]["dataset"] == "people@7" and (runs["start"]["model"], runs["start"]["version"]) == ("loan", "3")
    assert runs["end"]["status"] == "failed" and runs["start"]["study"] == "s"
    (people,) = [each for each in back if each.get("dataset") == "people" and each["kind"] == "dataset" and "parents" in each]
    assert {each["run"] for each in back if each["kind"] == "run"} == {"of-seven"}, "an event about a dataset alone is no run"
    assert "run" not in people and (people["version"], people["rows"], people["bytes"], people["parents"]) == ("7", 900, 4096, ["raw@1"])
    assert people["columns"] == {"age": {"type": "INTEGER"}, "sex": {}}


def test_the_official_client_accepts_exported_events(exported: list[dict[str, Any]]) -> None:
    from openlineage.client import event_v2 as base
    from openlineage.client.facet_v2 import dataset_version_dataset, output_statistics_output_dataset
    from openlineage.client.serde import Serde

    assert [event["eventType"] for event in exported].count("FAIL") == 1
    for event in exported:
        version = [
            dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=each["facets"]["version"]["datasetVersion"])
            for each in event["outputs"]
        ]
        typed = base.RunEvent(
            eventTime=event["eventTime"],
            producer=event["producer"],
            run=base.Run(runId=event["run"]["runId"]),  # the client refuses a run id that is no UUID
            job=base.Job(namespace=event["job"]["namespace"], name=event["job"]["name"]),
            eventType=base.RunState(event["eventType"]),
            inputs=[base.InputDataset(namespace=each["namespace"], name=each["name"]) for each in event["inputs"]],
            outputs=[
                base.OutputDataset(
                    namespace=each["namespace"],
                    name=each["name"],
                    facets={"version": facet},
                    outputFacets={
                        "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                            rowCount=each["outputFacets"]["outputStatistics"]["rowCount"]
                        )
                    },
                )
                for each, facet in zip(event["outputs"], version, strict=True)
            ],
        )
        sent = json.loads(Serde.to_json(typed))
        assert sent["schemaURL"] == event["schemaURL"]
        for mine, its in zip(event["outputs"], sent["outputs"], strict=True):
            assert its["facets"]["version"]["_schemaURL"] == mine["facets"]["version"]["_schemaURL"]
            own, theirs = mine["outputFacets"]["outputStatistics"], its["outputFacets"]["outputStatistics"]
            assert (own["_schemaURL"], own["rowCount"]) == (theirs["_schemaURL"], theirs["rowCount"])
        records = records_of_event(sent)  # the product accepts what the client sends
        assert [each["rows"] for each in records if each["kind"] == "dataset" and "run" in each] == [
            each["outputFacets"]["outputStatistics"]["rowCount"] for each in event["outputs"]
        ]
