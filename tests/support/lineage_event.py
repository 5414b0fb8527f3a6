"""A run event as an OpenLineage integration sends it."""

from typing import Any

AT = "2026-03-02T06:00:00Z"
EVENT: dict[str, Any] = {
    "eventType": "COMPLETE",
    "eventTime": AT,
    "run": {"runId": "3b452093-782c-4ef2-9c0c-aafe2aa6f34d"},
    "job": {"namespace": "airflow", "name": "nightly.train"},
    "inputs": [
        {
            "namespace": "postgres://db",
            "name": "public.people",
            "facets": {
                "version": {"_producer": "p", "_schemaURL": "s", "datasetVersion": "7"},
                "schema": {"fields": [{"name": "age", "type": "INTEGER"}, {"name": "sex"}]},
            },
            "inputFacets": {"dataQualityMetrics": {"rowCount": 900, "bytes": 4096, "columnMetrics": {"age": {"nullCount": 3, "sum": 5.0}}}},
        },
        {"namespace": "s3://bucket", "name": "notes"},
    ],
    "outputs": [{"namespace": "s3://bucket", "name": "scores", "outputFacets": {"outputStatistics": {"rowCount": 850, "size": 100}}}],
    "producer": "https://example.org/job",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
}
