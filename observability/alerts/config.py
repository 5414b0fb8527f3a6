"""Alert configuration, read from `alerts.toml` in the home folder: channels, routes, least severity, quiet hours.

[channels]
team = "slack://token_a/token_b/token_c"          # any address of apprise: mailto://, workflows:// (Teams), jsons:// …
hook = "jsons://alerts.example.org/observability"

[routes]                                           # owner of the model = channels
"rebooking desk" = ["team"]

[alerts]
default = ["hook"]                                 # whoever has no route
least = "act"                                      # or "watch"
quiet = "22:00-07:00"                              # messages wait until its end
timezone = "Europe/Paris"
dashboard = "https://models.example.org"           # stands in messages as the link

[trackers.issues]                                  # actions become issues (docs/issue-trackers.md)
kind = "github"                                    # or "jira", "linear"
project = "owner/name"
token_variable = "GITHUB_TOKEN"                    # name of an environment variable

[review]
meeting = "tuesday"                                # day of the weekly review
pre_read = ["team"]                                # channels that get its agenda the evening before
hour = 18

[dashboards]
channels = ["team"]                                # channels to which analysts may send the summary of a dashboard
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from observability.alerts.trackers import Tracker, read_tracker
from observability.core.errors import UsageError
from observability.core.finding import needs_action
from observability.records.kinds import WEEKDAYS

FILE = "alerts.toml"
WEBHOOKS = ("json", "jsons")
"""Channels that send a message's key in a header, so that the receiver can drop a repeated message."""


@dataclass(frozen=True)
class AlertConfig:
    """Validated content of the file. quiet: start and end in local time, or None. pre_read: channels that get the agenda of the review on
    the evening before `meeting` (a day of the week), at `pre_read_hour`. for_analysts: channels to which people other than administrators
    may send the summary of a dashboard.
    """

    channels: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    default: tuple[str, ...] = ()
    least: str = "act"
    quiet: tuple[time, time] | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    dashboard: str = ""
    trackers: Mapping[str, Tracker] = field(default_factory=dict)
    pre_read: tuple[str, ...] = ()
    meeting: str = "monday"
    pre_read_hour: int = 18
    for_analysts: tuple[str, ...] = ()

    def channels_of(self, owner: str | None) -> tuple[str, ...]:
        """Channels for the alerts of an owner."""
        return self.routes.get(owner or "", self.default)

    def send_at(self, now: datetime) -> datetime:
        """Earliest time to send a message: now, or the end of the quiet hours."""
        if self.quiet is None:
            return now
        local = now.astimezone(self.zone)
        start, end = self.quiet
        clock = local.time()
        inside = start <= clock < end if start <= end else clock >= start or clock < end
        if not inside:
            return now
        over = local.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
        return (over if over > local else over + timedelta(days=1)).astimezone(UTC)

    def repeats(self, channel: str) -> bool:
        """Whether a message may arrive twice after a crash: true for every channel that has no idempotency key."""
        return self.channels.get(channel, "").partition(":")[0] not in WEBHOOKS


def read_alert_config(home: Path) -> AlertConfig:
    """The configuration of a home, without channels if there is no file. Raises UsageError for an invalid file."""
    path = home / FILE
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return AlertConfig()
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("the alert settings cannot be read", where=FILE, got=str(error)) from None
    return checked_config(body)


def checked_config(body: Mapping[str, Any]) -> AlertConfig:
    """The configuration in a parsed file. Raises UsageError if it is invalid."""
    unknown = set(body) - {"channels", "routes", "alerts", "trackers", "review", "dashboards"}
    if unknown:
        expected = "[channels], [routes], [alerts], [trackers], [review] or [dashboards]"
        raise UsageError("unknown table", where=FILE, got=", ".join(sorted(unknown)), expected=expected)
    channels = {str(name): str(url) for name, url in dict(body.get("channels", {})).items()}
    routes = {str(owner): channel_names(f"routes.{owner}", value, channels) for owner, value in dict(body.get("routes", {})).items()}
    own = dict(body.get("alerts", {}))
    unknown = set(own) - {"default", "least", "quiet", "timezone", "dashboard"}
    if unknown:
        raise UsageError(
            "unknown setting",
            where=f"{FILE} [alerts]",
            got=", ".join(sorted(unknown)),
            expected="default, least, quiet, timezone, dashboard",
        )
    least = own.get("least", "act")
    if not needs_action(least):
        raise UsageError("unknown severity", where=f"{FILE} least", got=least, expected="act or watch")
    try:
        zone = ZoneInfo(str(own.get("timezone", "UTC")))
    except (ZoneInfoNotFoundError, ValueError):
        got = own.get("timezone")
        raise UsageError("unknown time zone", where=f"{FILE} timezone", got=got, expected="a name such as Europe/Paris") from None
    default = channel_names("default", own.get("default", []), channels)
    trackers = {str(name): read_tracker(str(name), table, FILE) for name, table in dict(body.get("trackers", {})).items()}
    if both := sorted(trackers.keys() & channels.keys()):
        raise UsageError("a tracker has the name of a channel", where=f"{FILE} trackers", got=", ".join(both), expected="another name")
    dashboard = str(own.get("dashboard", "")).rstrip("/")
    pre_read = review_settings(dict(body.get("review", {})), channels)
    opened = dashboard_channels(dict(body.get("dashboards", {})), channels)
    return AlertConfig(channels, routes, default, least, quiet_hours(own.get("quiet")), zone, dashboard, trackers, *pre_read, opened)


def dashboard_channels(own: Mapping[str, Any], channels: Mapping[str, str]) -> tuple[str, ...]:
    """The channels to which analysts may send the summary of a dashboard. Raises UsageError."""
    if unknown := set(own) - {"channels"}:
        raise UsageError("unknown setting", where=f"{FILE} [dashboards]", got=", ".join(sorted(unknown)), expected="channels")
    return channel_names("dashboards.channels", own.get("channels", []), channels)


def review_settings(own: Mapping[str, Any], channels: Mapping[str, str]) -> tuple[tuple[str, ...], str, int]:
    """The channels of the pre-read, the day of the meeting, and the hour. Raises UsageError."""
    if unknown := set(own) - {"meeting", "pre_read", "hour"}:
        raise UsageError("unknown setting", where=f"{FILE} [review]", got=", ".join(sorted(unknown)), expected="meeting, pre_read, hour")
    meeting, hour = own.get("meeting", "monday"), own.get("hour", 18)
    if meeting not in WEEKDAYS:
        raise UsageError("unknown day", where=f"{FILE} review.meeting", got=repr(meeting), expected=", ".join(WEEKDAYS))
    if isinstance(hour, bool) or not isinstance(hour, int) or not 0 <= hour <= 23:
        raise UsageError("the hour cannot be read", where=f"{FILE} review.hour", got=repr(hour), expected="a number from 0 to 23")
    return channel_names("review.pre_read", own.get("pre_read", []), channels), meeting, hour


def channel_names(where: str, value: Any, channels: Mapping[str, str]) -> tuple[str, ...]:
    """Names of configured channels. Raises UsageError for an unknown one."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(name in channels for name in names):
        expected = ", ".join(channels) or "a channel of [channels]"
        raise UsageError("unknown channel", where=f"{FILE} {where}", got=repr(value), expected=expected)
    return tuple(names)


def quiet_hours(value: Any) -> tuple[time, time] | None:
    """Parse `22:00-07:00` into two times of day."""
    if value in (None, ""):
        return None
    try:
        start, _, end = str(value).partition("-")
        return time.fromisoformat(start.strip()), time.fromisoformat(end.strip())
    except ValueError:
        raise UsageError("the quiet hours cannot be read", where=f"{FILE} quiet", got=repr(value), expected="22:00-07:00") from None
