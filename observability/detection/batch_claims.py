"""Claims about the energy of a model's batch sizes and forms (precision or runtime): an increase since the previous audit, the saving by
another size or form, and expiry.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from observability.core.finding import Against, Severity, iso
from observability.core.formatting import format_day, join_words
from observability.core.numerals import format_figure, percent
from observability.detection.run_claims import RunClaim
from observability.metrics.serving_power import BatchEnergy, EnergyAudit

NAME = "operations/energy"
ENERGY, SAVING, LEFT = "batch_energy", "batch_saving", "audit_days_left"
MORE = 1.5
"""A warning needs at least this ratio to the energy of the previous audit, and an interval that is entirely above 1. Other work on a
machine changes processor time by up to 1.23 times between two audits, beyond both intervals (docs/energy.md).
"""
BATCH_LIMITS: dict[str, float | None] = {SAVING: None}
"""The default limits. The saving has no default, because only the owner can say whether requests may wait for a batch, and whether a form
may give different answers.
"""
Ends = tuple[float, float, float]


def batch_claims(audits: Sequence[EnergyAudit], version: str, form: str, limits: Mapping[str, float], now: datetime) -> Iterator[RunClaim]:
    """Yield the claims about the newest audit of a version; nothing if there is no audit.

    audits: audits of the model, oldest first. form: the served form. limits: the owner's limits.
    """
    own = [audit for audit in audits if audit.version == version]
    if not own:
        return
    newest, level = own[-1], limits.get(f"{NAME}/{SAVING}")
    earlier = [audit for audit in audits if audit.at < newest.at and (audit.hardware, audit.power) == (newest.hardware, newest.power)]
    expired = newest.expires is not None and newest.expires <= now
    rose = _energy_claim(newest, earlier, form)
    claims = [*([rose] if rose else []), *_saving_claims(newest, form, level)]
    yield from ([_expired_claim(newest, now)] if expired else [])
    yield from (claim for claim in claims if claim.severity == "watch" or not expired)


def cost_ends(size: BatchEnergy) -> Ends:
    """The cost of a thousand predictions with its interval. It is in joules if a meter measured them; otherwise it is processor time, which
    is comparable because the assumed power is the same for all sizes.
    """
    return size.joules if size.source == "measured" else size.cpu_seconds


def _alike(now: BatchEnergy, then: BatchEnergy) -> bool:
    """Whether both costs are of the same kind: measured joules, or processor time."""
    return (now.source == "measured") == (then.source == "measured")


def _ratio(now: BatchEnergy, then: BatchEnergy) -> Ends | None:
    """The cost of one size divided by the cost of another size, with its interval; None if the costs are of different kinds, or if either
    may be zero.
    """
    if not _alike(now, then):
        return None
    (value, low, high), (other, least, most) = cost_ends(now), cost_ends(then)
    return (value / other, low / most, high / least) if least > 0 and other > 0 and low > 0 else None


def _by_size(audit: EnergyAudit, form: str) -> dict[int, BatchEnergy]:
    """The measured batch sizes of a form, by their number of rows."""
    return {each.batch: each for each in audit.batches if each.form == form}


def _energy_claim(newest: EnergyAudit, earlier: Sequence[EnergyAudit], form: str) -> RunClaim | None:
    """The claim about the batch size of the served form whose energy rose most, compared with the previous audit on this machine that
    measured it. A size that rose enough for a warning has priority.
    """
    sizes = _by_size(newest, form)
    before, then = next(((audit, past) for audit in reversed(earlier) if (past := _sizes_alike(audit, sizes, form))), (None, {}))
    if before is None:
        return None
    ratios = {batch: _ratio(sizes[batch], past) for batch, past in then.items()}
    changes = {batch: times for batch, times in ratios.items() if times is not None}
    noisy = [batch for batch in ratios if batch not in changes]
    if not changes:
        return _noisy_claim(newest, ENERGY, sizes[noisy[0]], against="past")
    batch = max(changes, key=lambda each: (_rose(changes[each]), changes[each][0]))
    (times, low, high), size = changes[batch], sizes[batch]
    of_version = "" if before.version == newest.version else f" of version {before.version}"
    change = f"{format_figure(times, 3)} times the {format_figure(then[batch].joules[0], 3)} J of {format_day(before.at)}{of_version}"
    because = f"{_words(size)}, {change} ({format_figure(low, 3)} to {format_figure(high, 3)} times)."
    because += f" Too noisy to compare: batches of {join_words([f'{each:,}' for each in noisy])}." if noisy else ""
    severity: Severity = "watch" if _rose(changes[batch]) else "ok"
    told = {"baseline": then[batch].joules[0], "baseline_at": iso(before.at), "times_the_past": times}
    evidence = _evidence(newest, size) | told | {"source": size.source}
    value, least, most = size.joules
    return RunClaim(
        ENERGY, size.rows, severity, because, value, least, most, against="past", rank=1.9, subject=f"form={form}", evidence=evidence
    )


def _sizes_alike(audit: EnergyAudit, sizes: Mapping[int, BatchEnergy], form: str) -> dict[int, BatchEnergy]:
    """The batch sizes of a form that an earlier audit measured with the same kind of cost as the newest audit, smallest first."""
    own = _by_size(audit, form)
    return {batch: own[batch] for batch in sorted(set(own) & set(sizes)) if _alike(sizes[batch], own[batch])}


def _rose(times: Ends) -> bool:
    """Whether a change is a warning: a significant increase by at least MORE."""
    return times[1] > 1 and times[0] >= MORE


def _saving_claims(newest: EnergyAudit, form: str, level: float | None) -> Iterator[RunClaim]:
    """Yield two claims about savings: by the cheapest batch size of the served form, and by the cheapest other form at the smallest batch
    size.
    """
    sizes = _by_size(newest, form)
    if not sizes:
        return
    smallest = sizes[min(sizes)]
    alike = [each for each in newest.batches if _alike(each, smallest)]
    own = [each for each in alike if each.form == form and each.batch != smallest.batch]
    others = [each for each in alike if each.form != form and each.batch == smallest.batch]
    for candidates in (own, others):
        if candidates:
            other = min(candidates, key=lambda each: cost_ends(each)[0])
            times = _ratio(other, smallest)
            yield _noisy_claim(newest, SAVING, other) if times is None else _saving_claim(newest, smallest, other, times, level)


def _noisy_claim(newest: EnergyAudit, metric: str, size: BatchEnergy, against: Against = "level") -> RunClaim:
    """The claim that repeated measurements of an audit vary too much for a comparison, with the next step."""
    because = f"{_words(size)}: too noisy to compare, an interval begins at 0; run `energy measure` again while nothing else runs."
    evidence = _evidence(newest) | {"source": size.source}
    return RunClaim(metric, size.rows, "unknown", because, against=against, subject=f"form={size.form}", evidence=evidence)


def _saving_claim(newest: EnergyAudit, used: BatchEnergy, other: BatchEnergy, times: Ends, level: float | None) -> RunClaim:
    """The claim about the share of the energy that another size or form saves. It is a warning if the whole interval is above the level.

    times: the energy of the other size or form divided by that of the used one.
    """
    saved, low, high = 1 - times[0], 1 - times[2], 1 - times[1]
    severity: Severity = "unknown" if level is None else "watch" if low > level else "ok"
    said = f"{_words(other)}, {percent(abs(saved))} {'less' if saved >= 0 else 'more'} than {_place(used, other)}"
    held = f"no level set: set `{NAME}/{SAVING}`" if level is None else f"the limit is {percent(level)}"
    because = f"{said} ({percent(low)} to {percent(high)} saved); {held}."
    evidence = _evidence(newest, other) | {"place_used": newest.batches.index(used)}
    return RunClaim(
        SAVING, other.rows, severity, because, saved, low, high, level, rank=1.6, subject=f"form={other.form}", evidence=evidence
    )


def _place(used: BatchEnergy, other: BatchEnergy) -> str:
    """Words for the size or form with which another one is compared."""
    return f"form `{used.form}`" if used.form != other.form else "one at a time" if used.batch == 1 else f"in batches of {used.batch:,}"


def _words(size: BatchEnergy) -> str:
    """Words for the energy of one batch size of a form."""
    how = "One at a time" if size.batch == 1 else f"In batches of {size.batch:,}"
    value, low, high = (format_figure(each, 3) for each in size.joules)
    return f"{how} a thousand predictions of form `{size.form}` take {value} J ({low} to {high} J, {size.source} power)"


def _expired_claim(audit: EnergyAudit, now: datetime) -> RunClaim:
    """The claim that an audit has expired."""
    assert audit.expires is not None
    days = (audit.expires - now).total_seconds() / 86_400
    because = f"The energy audit of version {audit.version} expired on {format_day(audit.expires)}: run it again."
    return RunClaim(LEFT, 1, "watch", because, days, days, days, 0.0, rank=1.5, subject="energy", evidence=_evidence(audit))


def _evidence(audit: EnergyAudit, size: BatchEnergy | None = None) -> dict[str, object]:
    """The evidence of a claim: the audit, and the position of the size in its results."""
    about: dict[str, object] = {"audit": "energy", "audited_at": iso(audit.at), "audited_version": audit.version}
    return about if size is None else about | {"place": audit.batches.index(size)}
