"""Findings about the sample fleet's own training."""

import json
from datetime import datetime, timedelta

import pytest

from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window
from tests.support.run_frames import said
from tests.support.sample_files import FOLDER


@pytest.fixture(scope="session")
def fleet() -> dict[tuple[str, str], Finding]:
    """Findings about the sample fleet's own training."""
    lines = [line for name in ("training", "distributed") for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    records = [json.loads(line) for line in lines]
    last = max(datetime.fromisoformat(each["at"]) for each in records)
    window = Window("", last - timedelta(days=300), last + timedelta(hours=1))
    return {(each.subject, each.metric): each for each in said(records, Context(EVERY_MODEL, NO_VERSION, window, window.end))}
