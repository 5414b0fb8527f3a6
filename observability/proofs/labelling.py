"""Write SQL for agreement, accuracy, queue and price of labels, from raw annotations and assignments."""

from datetime import timedelta

from observability.core.analyzer import Context, Proofs
from observability.core.finding import Finding
from observability.proofs.prices import price_sql
from observability.proofs.rows import known_record_conditions, text_literal, time_literal, where_clause

PAST_DAYS = 28
"""Labels from up to this many days before the window are read as well."""
FIRST = '"at", label, gold, suggestion, seconds, suggestion_confidence, guideline'
"""The order that determines which answer of a person to an item is the first."""


def agreement_proof(finding: Finding, context: Context) -> str:
    """The SQL for Krippendorff's alpha of the newest labels, on items that were labelled in the window or in its last days."""
    return f"""WITH {_newest_labels(finding, context)}, counts AS (
  SELECT project, item, label, count(*) AS n, sum(count(*)) OVER (PARTITION BY project, item) AS labels FROM looked_at
  GROUP BY project, item, label
), paired AS (
  SELECT * FROM counts WHERE labels > 1
), levels AS (
  SELECT label, sum(n) AS n, sum(sum(n)) OVER () AS total FROM paired GROUP BY label
)
SELECT 1 - (SELECT sum(n * (labels - n) / (labels - 1)) FROM paired) / (SELECT sum(n * (total - n) / (total - 1)) FROM levels)
  AS label_agreement"""


def annotator_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for how often one annotator gives the label that most other annotators give to the same item. Only items with such a majority
    label count.
    """
    who = _annotator_of(finding)
    return (
        who
        and f"""WITH {_newest_labels(finding, context)}, others AS (
  SELECT project, item, label, count(*) AS n, max(count(*)) OVER (PARTITION BY project, item) AS most FROM looked_at
  WHERE annotator <> {text_literal(who)} GROUP BY project, item, label
), consensus AS (
  SELECT project, item, any_value(label) AS label FROM others WHERE n = most GROUP BY project, item HAVING count(*) = 1
)
SELECT count(*) FILTER (own.label = consensus.label) / count(*) AS annotator_agreement
FROM looked_at own JOIN consensus USING (project, item) WHERE annotator = {text_literal(who)}"""
    )


def conflicts_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of labels that differ from the previous label by the same person for the same item."""
    return f"""WITH labels AS (
  SELECT "at", label, lag(label) OVER (PARTITION BY project, item, annotator ORDER BY "at", label) AS before FROM annotations
  {where_clause([*_of_projects(finding, context), f'"at" >= {time_literal(finding.start - timedelta(days=PAST_DAYS))}'])}
)
SELECT count(*) FILTER (label <> before) / count(*) AS label_conflicts FROM labels
WHERE "at" > {_look_start(finding, context)}"""


def queue_proof(finding: Finding, context: Context) -> str:
    """The SQL for the mean age in days of the items that wait at the end of the window, for one annotator or for all."""
    who = _annotator_of(finding)
    own = [] if who is None else [f"annotator = {text_literal(who)}"]
    end = time_literal(finding.end)
    return f"""WITH assigned AS (
  SELECT project, item, annotator, max("at") AS "at" FROM assignments
  {where_clause([*_of_projects(finding, context), *own])}
  GROUP BY ALL
), done AS (
  SELECT project, item, annotator, max("at") AS last FROM annotations
  {where_clause(_of_projects(finding, context))}
  GROUP BY ALL
)
SELECT coalesce(avg(date_diff('microsecond', "at", {end})) / 8.64e10, 0) AS queue_days
FROM assigned LEFT JOIN done USING (project, item, annotator) WHERE last IS NULL OR last < "at\""""


def label_price_proof(finding: Finding, context: Context) -> str:
    """The SQL for the price of a label at the end of the window."""
    last = time_literal(finding.end - timedelta(microseconds=1))
    return f"SELECT {price_sql('amount', context, 'label')} AS label_price FROM (SELECT {last} AS hour)"


def answer_share_proof(finding: Finding, context: Context) -> str:
    """The SQL for a share of first answers, by all people or by one: right answers to gold items, or suggestions that became the label."""
    among, hit = {
        "gold_accuracy": ("gold IS NOT NULL", "label = gold"),
        "suggestion_acceptance": ("suggestion IS NOT NULL", "label = suggestion"),
        "wrong_suggestions_taken": ("suggestion <> gold", "label = suggestion"),
    }[finding.metric]
    _, is_guideline, guideline = finding.subject.rpartition("/guideline:")
    who = _annotator_of(finding)
    own = [] if who is None else [f"annotator = {text_literal(who)}"]
    span = f"guideline = {text_literal(guideline)}" if is_guideline else f'"at" >= {time_literal(finding.start)}'
    return f"""WITH {_first_answers(finding, context)}
SELECT count(*) FILTER ({hit}) / count(*) AS {finding.metric} FROM answers
{where_clause([span, among, *own])}"""


def label_seconds_proof(finding: Finding, context: Context) -> str:
    """The SQL for the median time of the first answers in the window."""
    return f"""WITH {_first_answers(finding, context)}
SELECT median(seconds) AS label_seconds FROM answers
{where_clause([f'"at" >= {time_literal(finding.start)}', "isfinite(seconds)"])}"""


def anchoring_proof(finding: Finding, context: Context) -> str:
    """The SQL for how much more often a wrong answer is given if it is suggested: Mantel and Haenszel's difference within items."""
    shown = ["suggestion <> gold", *([] if finding.evidence.get("weeks") else [f'"at" >= {time_literal(finding.start)}'])]
    return f"""WITH {_first_answers(finding, context)}, wrong AS (
  SELECT item, suggestion, count(*) AS shown, count(*) FILTER (label = suggestion) AS taken FROM answers
  {where_clause(shown)}
  GROUP BY item, suggestion QUALIFY row_number() OVER (PARTITION BY item ORDER BY count(*) DESC, suggestion) = 1
), items AS (
  SELECT wrong.shown AS a, wrong.taken AS hits_a, count(*) AS b, count(*) FILTER (label = wrong.suggestion) AS hits_b
  FROM wrong JOIN answers USING (item) WHERE answers.suggestion IS NULL GROUP BY item, wrong.shown, wrong.taken
)
SELECT sum((hits_a * b - hits_b * a) / (a + b)) / sum(a * b / (a + b)) AS suggestion_anchoring FROM items"""


def _annotator_of(finding: Finding) -> str | None:
    """The annotator that a finding is about; None if it is about all annotators."""
    if finding.subject.startswith("annotator="):
        return finding.subject.removeprefix("annotator=")
    _, found, name = finding.subject.rpartition("/annotator:")
    return name if found else finding.evidence.get("annotator")


def _of_projects(finding: Finding, context: Context) -> list[str]:
    """The conditions that select the records of the projects that a finding is about, up to the end of its window."""
    projects = context.model.settings.projects or (context.model.name,)
    if finding.subject.startswith("project:"):
        projects = (finding.subject.removeprefix("project:").partition("/annotator:")[0].partition("/guideline:")[0],)
    named = f"project IN ({', '.join(map(text_literal, projects))})"
    return [named, f'"at" < {time_literal(finding.end)}', *known_record_conditions(context)]


def _look_start(finding: Finding, context: Context) -> str:
    """The time from which items and labels belong to the window, or to its last days."""
    days = finding.evidence.get("look_days", context.window.days)
    return time_literal(max(finding.end - timedelta(days=days), finding.start))


def _newest_labels(finding: Finding, context: Context) -> str:
    """SQL for the newest label of each annotator for each item (`newest`), and for those of them whose items belong to the window or to its
    last days.
    """
    since = time_literal(finding.start - timedelta(days=PAST_DAYS))
    return f"""newest AS (
  SELECT project, item, annotator, label, max("at") OVER (PARTITION BY project, item) AS dated FROM annotations
  {where_clause([*_of_projects(finding, context), f'"at" > {since}'])}
  QUALIFY row_number() OVER (PARTITION BY project, item, annotator ORDER BY "at" DESC, label) = 1
), looked_at AS (
  SELECT * FROM newest WHERE dated > {_look_start(finding, context)}
)"""


def _first_answers(finding: Finding, context: Context) -> str:
    """SQL for the first answer of each person to each item, in the window and the four weeks before it (`answers`)."""
    since = time_literal(finding.start - timedelta(days=PAST_DAYS))
    return f"""answers AS (
  SELECT * FROM annotations
  {where_clause([*_of_projects(finding, context), f'"at" >= {since}'])}
  QUALIFY row_number() OVER (PARTITION BY item, annotator ORDER BY {FIRST}) = 1
)"""


LABEL_PROOFS: Proofs = {
    "label_agreement": agreement_proof,
    "annotator_agreement": annotator_proof,
    "label_conflicts": conflicts_proof,
    "queue_days": queue_proof,
    "label_price": label_price_proof,
}
LABELLING_PROOFS: Proofs = {
    "label_agreement": agreement_proof,
    "annotator_agreement": annotator_proof,
    "gold_accuracy": answer_share_proof,
    "suggestion_acceptance": answer_share_proof,
    "wrong_suggestions_taken": answer_share_proof,
    "label_seconds": label_seconds_proof,
    "suggestion_anchoring": anchoring_proof,
    "fatigue_slope": "it is the slope of a regression within the sessions of each person",
}
