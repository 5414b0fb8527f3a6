"""Put the beginning of a finding or an incident into words, in one place for lists, pages, alerts and the command line."""

from datetime import datetime

from observability.core.finding import Finding, News
from observability.core.formatting import NEWS_WORDS, format_day, format_minute
from observability.core.standing_since import standing_since
from observability.incidents.grouping import Incident
from observability.incidents.grouping_rules import Known, onset_certainty


def finding_since(finding: Finding) -> str | None:
    """`since 31 Dec 2013`; `since 3 Dec 2013 or earlier` if it may have begun before the analysed days; None if its days do not
    show when it began.
    """
    certainty, since = onset_certainty(finding), standing_since(finding)
    if since is not None and certainty != "dated":
        return since.words
    return None if finding.onset is None or certainty == "vague" else onset_words(finding.onset, certainty)


def incident_since(incident: Incident) -> str | None:
    """`finding_since` for an incident: its onset if the onset is dated, else the day since which its lead has been standing, unless the
    incident is new. The day of another finding is not used.
    """
    certainty = incident_onset_certainty(incident)
    if incident.onset is not None and certainty == "dated":
        return onset_words(incident.onset, certainty)
    since = standing_since(incident.lead)
    if since is not None and incident.news != "new":
        return since.words
    return None if incident.onset is None else onset_words(incident.onset, certainty)


def onset_words(onset: datetime, certainty: Known) -> str:
    """An onset in words: the day if it is at midnight, else the minute."""
    is_midnight = onset.hour == onset.minute == 0
    return f"since {format_day(onset) if is_midnight else format_minute(onset)}{' or earlier' if certainty == 'open' else ''}"


def incident_onset_certainty(incident: Incident) -> Known:
    """The certainty of the onset (`onset_certainty`) in the finding that dates the incident, else in its lead."""
    return onset_certainty(next((finding for finding in incident.findings if finding.onset == incident.onset), incident.lead))


def news_since(news: News | None, since: str | None) -> list[str]:
    """The change and its beginning, as separate facts; `ongoing since 24 Jun 2013` is one fact."""
    if news == "ongoing" and since:
        return [f"{NEWS_WORDS[news]} {since}"]
    return [words for words in (NEWS_WORDS.get(news or ""), since) if words]
