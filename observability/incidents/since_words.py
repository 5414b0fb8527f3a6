"""Words for the beginning of a finding or an incident. Lists, pages, alerts and the command line all use this module."""

from datetime import datetime

from observability.core.finding import Finding, News
from observability.core.formatting import NEWS_WORDS, format_day, format_minute
from observability.core.standing_since import standing_since
from observability.incidents.grouping import Incident
from observability.incidents.grouping_rules import Known, onset_certainty


def finding_since(finding: Finding) -> str | None:
    """`since 31 Dec 2013`, or `since 3 Dec 2013 or earlier` if the finding may have begun before the analysed days. None if its days do not
    show when it began.
    """
    certainty, since = onset_certainty(finding), standing_since(finding)
    if since is not None and certainty != "dated":
        return since.words
    return None if finding.onset is None or certainty == "vague" else onset_words(finding.onset, certainty)


def incident_since(incident: Incident) -> str | None:
    """The same as `finding_since` for an incident. It uses the incident's onset if it is dated, else the day since which the lead has been
    standing, unless the incident is new. It never uses the day of another finding.
    """
    certainty = incident_onset_certainty(incident)
    if incident.onset is not None and certainty == "dated":
        return onset_words(incident.onset, certainty)
    since = standing_since(incident.lead)
    if since is not None and incident.news != "new":
        return since.words
    return None if incident.onset is None else onset_words(incident.onset, certainty)


def onset_words(onset: datetime, certainty: Known) -> str:
    """An onset in words. It states the day if the onset is at midnight, else the minute."""
    is_midnight = onset.hour == onset.minute == 0
    return f"since {format_day(onset) if is_midnight else format_minute(onset)}{' or earlier' if certainty == 'open' else ''}"


def incident_onset_certainty(incident: Incident) -> Known:
    """How well an incident's onset is known (`onset_certainty`), from the finding with this onset, else from the lead."""
    return onset_certainty(next((finding for finding in incident.findings if finding.onset == incident.onset), incident.lead))


def news_since(news: News | None, since: str | None) -> list[str]:
    """The change and its beginning in words, as separate facts. `ongoing since 24 Jun 2013` is a single fact."""
    if news == "ongoing" and since:
        return [f"{NEWS_WORDS[news]} {since}"]
    return [words for words in (NEWS_WORDS.get(news or ""), since) if words]
