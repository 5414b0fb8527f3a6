"""What does the command `lab` answer?"""

import argparse
from typing import TYPE_CHECKING

from observability.cli import Outcome, Say
from observability.commands import answered
from observability.errors import UsageError

if TYPE_CHECKING:
    from observability.store.database import Store


def lab(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Plant a fault and show what would have been said; or list the faults."""
    from observability.lab import faults, timeline

    model = said.model or next((each.name for each in store.catalog().models if any(one.reference_rows for one in each.versions)), None)
    if model is None:
        raise UsageError("no model has a reference to plant a fault on", attempt="Register one, or load the sample fleet with demo")
    if not said.list and not said.fault:
        raise UsageError("which fault?", expected="--fault NAME", attempt="See them with --list")
    fault = faults.fault(said.fault).name if said.fault else ""
    choice = timeline.Choice(model, fault, said.strength, said.days, said.rows_a_day, said.label_delay, said.seed, said.source)
    say(f"reading {model}")
    scene = timeline.scene_of(store, choice)
    if said.list:
        say("")
        return lab_faults(model, timeline.possible(scene), said.json)
    told = timeline.tell(scene, choice, lambda share, words: say(f"{share:.0%} {words}"))
    say("")
    on = ", ".join(told.target.values())
    lines = [
        f"Simulated: {told.fault.title} ({told.fault.told}) on {model}{f', {on}' if on else ''}: {told.fault.amount(said.strength):g} {told.fault.unit}.",
        f"{told.told} {choice.rows_a_day:,} a day, labels {choice.label_delay} days late; the fault begins on day 1.",
        *(f"  day {row['day']:>2}  {row['severity']:<5} {row['because']}{' (also without the fault)' if row['also_without_fault'] else ''}" for row in told.rows()),
        told.sentence,
    ]  # fmt: skip
    return answered(told.to_json(), lines, said.json)


def lab_faults(model: str, possible: dict[str, str | None], as_json: bool) -> Outcome:
    """The faults, and why a model cannot have one."""
    from observability.lab.fault import STRENGTHS
    from observability.lab.faults import FAULTS

    body = [
        {"fault": each.name, "section": each.section, "told": each.told, "unit": each.unit, "cannot": possible[each.name]}
        | {strength: each.amount(strength) for strength in STRENGTHS}
        for each in FAULTS.values()
    ]
    lines = [
        f"{each['fault']:<24} {each['told']}{f' Not on {model}: ' + str(each['cannot']) + '.' if each['cannot'] else ''}" for each in body
    ]
    return answered(body, lines, as_json)
