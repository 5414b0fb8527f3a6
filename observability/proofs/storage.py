"""Write SQL for figures of places that store data, from their reports, and for figures of stored forms of datasets, from their audits."""

from datetime import datetime, timedelta

from observability.core.analyzer import OTHERWISE, Context, Proofs
from observability.core.finding import Finding
from observability.core.time import instant_from_text
from observability.metrics.storage_reports import GIGABYTE, MIN_FILES, MIN_REPORTS, PAST_DAYS
from observability.metrics.stored_forms import EXACT
from observability.proofs.rows import known_record_conditions, number_literal, text_literal, time_literal, where_clause, window_conditions

AGE_OF_OLDEST = "date_diff('microsecond', oldest_at, \"at\") / 8.64e10"
FIGURES = {
    "storage_used_share": "used_bytes / nullif(capacity_bytes, 0)",
    "storage_retention_overdue_days": f"{AGE_OF_OLDEST} - keep_days",
    "storage_duplicate_share": "duplicate_bytes / nullif(used_bytes, 0)",
    "storage_cold_share": "cold_bytes / nullif(used_bytes, 0)",
    "storage_small_file_share": f"CASE WHEN files >= {MIN_FILES} THEN small_files / files END",
}
AGES = {
    "storage_backup_age_hours": ("max(backup_at)", "3.6e9"),
    "storage_restore_age_days": ("max(restored_at)", "8.64e10"),
    "storage_behind_hours": ("max(complete_to)", "3.6e9"),
}
"""For each metric, the time from which an age is counted, and the unit of the age in microseconds."""
DAILY = {"storage_read_p99_ms": "read_p99_ms", "storage_write_p99_ms": "write_p99_ms"}
OPERATIONS = (("reads", "read_errors"), ("writes", "write_errors"))


def newest_figure_proof(finding: Finding, context: Context) -> str:
    """The SQL for the median of a figure over the newest reports of a place."""
    where = where_clause([*_of_place(finding, context), *window_conditions(finding), "value IS NOT NULL"])
    newest = f'SELECT "at", {FIGURES[finding.metric]} AS value FROM storage_reports\n  {where}\n  ORDER BY "at" DESC LIMIT {MIN_REPORTS}'
    return f"SELECT median(value) AS {finding.metric} FROM (\n  {newest}\n)"


def daily_median_proof(finding: Finding, context: Context) -> str:
    """The SQL for the median over days, where each day counts with the median of the figure in its reports."""
    column = DAILY[finding.metric]
    where = where_clause([*_of_place(finding, context), *window_conditions(finding), f"{column} IS NOT NULL"])
    of_day = f'SELECT median({column}) AS value FROM storage_reports {where} GROUP BY "at"::DATE'
    return f"SELECT median(value) AS {finding.metric} FROM (\n  {of_day}\n)"


def growth_proof(finding: Finding, context: Context) -> str:
    """The SQL for the median growth per day, in gigabytes: from the last report of a day to the last report of the next day that
    has one.
    """
    where = where_clause([*_of_place(finding, context), *_with_past(finding), "used_bytes IS NOT NULL"])
    first = f'(SELECT min("at") FROM storage_reports {where_clause([*_of_place(finding, context), *window_conditions(finding)])})'
    return f"""WITH days AS (
  SELECT max("at") AS last, arg_max(used_bytes, "at") AS used FROM storage_reports {where} GROUP BY "at"::DATE
), steps AS (
  SELECT last, (used - lag(used) OVER (ORDER BY last)) / {number_literal(GIGABYTE)} AS gb,
    date_diff('microsecond', lag(last) OVER (ORDER BY last), last) / 8.64e10 AS days
  FROM days
)
SELECT median(gb / days) AS storage_growth FROM steps WHERE last >= {first}"""


def error_rate_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of reads and writes that failed."""
    where = where_clause([*_of_place(finding, context), *window_conditions(finding)])
    sums = [f"coalesce(sum({part}) FILTER ({n} IS NOT NULL AND {hits} IS NOT NULL), 0)" for n, hits in OPERATIONS for part in (hits, n)]
    return f"SELECT ({sums[0]} + {sums[2]}) / ({sums[1]} + {sums[3]}) AS storage_error_rate\nFROM storage_reports {where}"


def corrupt_rate_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of checked blocks whose checksum differs."""
    known = ("checked IS NOT NULL", "corrupt IS NOT NULL")
    where = where_clause([*_of_place(finding, context), *window_conditions(finding), *known])
    return f"SELECT sum(corrupt) / sum(checked) AS storage_corrupt_rate FROM storage_reports\n{where}"


def storage_age_proof(finding: Finding, context: Context) -> str:
    """The SQL for an age at the time of a place's newest report: the age of its last backup, of its last restore test, or of the newest
    data in its copy.
    """
    since, unit = AGES[finding.metric]
    if finding.evidence.get("never"):
        since = 'min("at")' if finding.metric == "storage_backup_age_hours" else 'least(min(backup_at), min("at"))'
    where = where_clause([*_of_place(finding, context), *_with_past(finding)])
    age = f"date_diff('microsecond', {since}, max(\"at\")) / {unit}"
    return f"SELECT greatest({age}, 0) AS {finding.metric} FROM storage_reports\n{where}"


def silence_proof(finding: Finding, context: Context) -> str:
    """The SQL of the hours since the newest report of a place."""
    where = where_clause([*_of_place(finding, context), *_with_past(finding)])
    since = f"date_diff('microsecond', max(\"at\"), {time_literal(context.now)}) / 3.6e9"
    return f"SELECT greatest({since}, 0) AS storage_silence_hours FROM storage_reports\n{where}"


def stored_form_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a figure of the form in which a dataset is stored, from the newest audit; None if the data are stored exactly."""
    form, at = str(finding.evidence["form"]), instant_from_text(finding.evidence.get("audited"), "audited")
    if form == EXACT or at is None:
        return None
    own = f"/storage/forms/{form.replace('~', '~0').replace('/', '~1')}"

    def number(path: str) -> str:
        return f"CAST(json_extract(extra, {text_literal(f'{own}/{path}')}) AS DOUBLE)"

    n, flips = number("model/rows"), number("model/flips")
    lost = f"CAST(json_extract(json_extract(extra, {text_literal(f'{own}/lost')}), '$.*') AS DOUBLE[])"
    exact = "list_min(CAST(json_extract(extra, '$.storage.codecs.*.bytes') AS DOUBLE[]))"
    values = {
        "stored_flip_rate": f"{flips} / {n}",
        "stored_values_lost": f"coalesce(list_sum({lost}), 0)",
        "stored_bytes_saved": f"1 - {number('bytes')} / {exact}",
    }
    group, part = finding.evidence.get("fidelity_place"), finding.evidence.get("slice_place")
    if isinstance(group, int):
        values |= {f"stored_{name}": number(f"fidelity/{group}/{name}/0") for name in ("psnr", "ssim")}
    if isinstance(part, int):
        own_n, own_flips = number(f"model/slices/{part}/n"), number(f"model/slices/{part}/flips")
        values["stored_slice_gap"] = f"{own_flips} / {own_n} - ({flips} - {own_flips}) / ({n} - {own_n})"
    return f"SELECT DISTINCT {values[finding.metric]} AS {finding.metric} FROM datasets\n{_of_storage_audit(finding, context, at)}"


def undecided_form_proof(finding: Finding, context: Context) -> str | None:
    """The SQL that tells whether a dataset is stored in another form than was decided, from the newest audit."""
    at = instant_from_text(finding.evidence.get("audited"), "audited")
    if at is None:
        return None
    used = f"coalesce(json_extract_string(extra, '$.storage.in_use'), {text_literal(EXACT)})"
    other = f"CAST({used} <> {text_literal(str(finding.evidence['decided']))} AS DOUBLE)"
    return f"SELECT DISTINCT {other} AS {finding.metric} FROM datasets\n{_of_storage_audit(finding, context, at)}"


def _of_storage_audit(finding: Finding, context: Context, at: datetime) -> str:
    """The WHERE clause that selects the audit of a dataset made at a certain time."""
    named = {"dataset": str(finding.evidence["dataset"]), "version": str(finding.evidence["dataset_version"])}
    audited = [f"{name} = {text_literal(value)}" for name, value in named.items()]
    return where_clause([*audited, f'"at" = {time_literal(at)}', *known_record_conditions(context)])


def _of_place(finding: Finding, context: Context) -> list[str]:
    """The conditions that select the reports of a place which a check reads."""
    return [f"place = {text_literal(str(finding.evidence['place']))}", *known_record_conditions(context)]


def _with_past(finding: Finding) -> list[str]:
    """The conditions that select the window and the days before it."""
    start = finding.start - timedelta(days=PAST_DAYS)
    return [f'"at" >= {time_literal(start)}', f'"at" < {time_literal(finding.end)}']


STORED_FIGURES = ("stored_flip_rate", "stored_slice_gap", "stored_values_lost", "stored_bytes_saved", "stored_psnr", "stored_ssim")
STORAGE_PROOFS: Proofs = {
    **dict.fromkeys(FIGURES, newest_figure_proof),
    **dict.fromkeys(DAILY, daily_median_proof),
    "storage_growth": growth_proof,
    "storage_error_rate": error_rate_proof,
    "storage_corrupt_rate": corrupt_rate_proof,
    **dict.fromkeys(AGES, storage_age_proof),
    "storage_silence_hours": silence_proof,
    **dict.fromkeys(STORED_FIGURES, stored_form_proof),
    "stored_form_undecided": undecided_form_proof,
    f"stored_flip_rate{OTHERWISE}": "data that are stored exactly change no decision",
    "storage_days_left": "a date is estimated from the growth, not measured",
}
