"""Who is told through which channel, from which severity on, and when is it quiet? Read from `alerts.toml` in the home folder.

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
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from observability.core.errors import UsageError
from observability.core.finding import needs_action

FILE = "alerts.toml"
WEBHOOKS = ("json", "jsons")
"""Channels that carry the key of a message in a header, so that who receives it can leave out a repeat."""


@dataclass(frozen=True)
class Config:
    """The file's content, checked. quiet: from and to in local time, None for never."""

    channels: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    default: tuple[str, ...] = ()
    least: str = "act"
    quiet: tuple[time, time] | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    dashboard: str = ""

    def channels_of(self, owner: str | None) -> tuple[str, ...]:
        """Where the owner's alerts go."""
        return self.routes.get(owner or "", self.default)

    def send_at(self, now: datetime) -> datetime:
        """When a message that is decided now may leave: at once, or at the end of the quiet hours."""
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
        """Whether a message may arrive twice there after a crash: every channel but a webhook, which gets the key."""
        return self.channels.get(channel, "").partition(":")[0] not in WEBHOOKS


def read(home: Path) -> Config:
    """The configuration of a home; one without channels where there is no file. Raises UsageError that says what is wrong in it."""
    path = home / FILE
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Config()
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("the alert settings cannot be read", where=FILE, got=str(error)) from None
    return checked(body)


def checked(body: Mapping[str, Any]) -> Config:
    """A parsed file as a Config, or UsageError."""
    unknown = set(body) - {"channels", "routes", "alerts"}
    if unknown:
        raise UsageError("unknown table", where=FILE, got=", ".join(sorted(unknown)), expected="[channels], [routes] or [alerts]")
    channels = {str(name): str(url) for name, url in dict(body.get("channels", {})).items()}
    routes = {str(owner): names(f"routes.{owner}", value, channels) for owner, value in dict(body.get("routes", {})).items()}
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
        raise UsageError(
            "unknown time zone", where=f"{FILE} timezone", got=own.get("timezone"), expected="a name as Europe/Paris"
        ) from None
    default = names("default", own.get("default", []), channels)
    return Config(channels, routes, default, least, hours(own.get("quiet")), zone, str(own.get("dashboard", "")).rstrip("/"))


def names(where: str, value: Any, channels: Mapping[str, str]) -> tuple[str, ...]:
    """Names of channels that there are."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(each in channels for each in found):
        raise UsageError(
            "unknown channel", where=f"{FILE} {where}", got=repr(value), expected=", ".join(channels) or "a channel of [channels]"
        )
    return tuple(found)


def hours(value: Any) -> tuple[time, time] | None:
    """`22:00-07:00` as two times of day."""
    if value in (None, ""):
        return None
    try:
        start, _, end = str(value).partition("-")
        return time.fromisoformat(start.strip()), time.fromisoformat(end.strip())
    except ValueError:
        raise UsageError("the quiet hours cannot be read", where=f"{FILE} quiet", got=repr(value), expected="22:00-07:00") from None
