"""The table of rules on a phone."""

import json

from tests.browser.heights import PHONE
from tests.support.dashboard_pages import opened
from tests.support.dashboard_world import World

PADDING = 32
"""Pixels beside a table on a phone."""


def test_a_phone_shows_the_threshold_of_a_rule_beside_its_name(current: World) -> None:
    """Regression: the name of a rule was as wide as the phone, so that its threshold was out of sight."""
    shown = opened("rules", model="loan").data_editor[0]
    columns, names = json.loads(shown.proto.columns), list(shown.value)
    assert names[:2] == ["Rule", "Threshold override"], names
    assert sum(columns[name]["width"] for name in names[:2]) <= PHONE["width"] - PADDING
