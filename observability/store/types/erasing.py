"""The result of an erasure in words, and the other places that an erasure reaches."""

from typing import Any, Protocol

from observability.core import formatting


class ErasedNames(Protocol):
    """Finds out whether values and lines are about erased subjects."""

    def cleaned_json(self, value: Any) -> Any:
        """A JSON value with a mark in place of erased subjects and ids."""
        ...

    def erased_lines(self, raw: bytes) -> list[int]:
        """The places (from 0) of the lines of a buffer that are about erased subjects."""
        ...


class WaitingRecords(Protocol):
    """Records of the home that wait outside of the store and its landing folder."""

    def ids_about(self, erased: ErasedNames) -> dict[str, list[str]]:
        """By model, the ids of waiting records that are about erased subjects or mention one."""
        ...

    def erase(self, erased: ErasedNames) -> int:
        """Remove the waiting records about erased subjects, and put marks into other records that mention them; returns the number of
        changed records.
        """
        ...


def forgotten_lines(body: dict[str, Any]) -> list[str]:
    """The erased data, as sentences. The subject itself is not named."""
    rows = ", ".join(f"{count:,} {table}" for table, count in body["rows"].items()) or "no row"
    backups = body["backups"]
    lines = [f"Erased: {rows}."]
    lines += [f"The counts of the touched days were computed again: {', '.join(body['predictions'])}."] if body["predictions"] else []
    lines += [f"Marked {formatting.plural(body['texts'], 'text')} that named it ({formatting.plural(body['reviews'], 'review')})."]
    lines += [f"Changed {formatting.plural(body['landing'], 'line')} of segments."]
    lines += (
        [f"Changed {formatting.plural(body['waiting'], 'waiting request or response', 'waiting requests or responses')}."]
        if body["waiting"]
        else []
    )
    lines += _other_place_lines(body)
    lines += [f"Not erased: backups in {place}, which is not there. Give the command again when it is." for place in backups["unreachable"]]
    lakes = body.get("lakes", {"rewritten": [], "unreachable": []})
    lines += [f"Not erased: the lake {place}, which cannot be used. Give the command again when it can." for place in lakes["unreachable"]]
    lines += [
        f"Not erased: the segments of collectors in {place}, which cannot be used. Give the command again when it can."
        for place in body["collected"]["unreachable"]
    ]
    lines += [f"Left: {sentence}." for sentence in body["left"]]
    lines += ["Its hashed form:", *(f"  {line}" for line in forgotten_lines(body["hashed"]))] if "hashed" in body else []
    return [*lines, f"The store was rewritten. Later records of it are refused. Its keyed hash in erasures.jsonl: {body['hash']}."]


def elsewhere_lines(body: dict[str, Any]) -> list[str]:
    """The traces of a removed model outside the database, as sentences."""
    unreachable = [f"Backups in {place} keep it: they could not be reached." for place in body["backups"]["unreachable"]]
    keeping = [
        f"The lake {place} keeps its rows: it could not be used. The next export leaves them out, and the one after it deletes their files."
        for place in body["lakes"]["unreachable"]
    ]
    collected = [
        f"The segments of collectors in {place} keep it: they could not be reached. They are deleted a week after they were loaded."
        for place in body["collected"]["unreachable"]
    ]
    return [*_other_place_lines(body), *unreachable, *keeping, *collected]


def all_places_were_reached(body: dict[str, Any]) -> bool:
    """Whether an erasure or a removal reached every backup, lake and segment of collectors. body: the result of `forget` or `remove`."""
    return not any(body[place]["unreachable"] for place in ("backups", "lakes", "collected"))


def _other_place_lines(body: dict[str, Any]) -> list[str]:
    """The effect of an erasure or a removal on databases that were set aside, backups, lakes and segments of collectors, as sentences."""
    backups, lakes = body["backups"], body.get("lakes", {"rewritten": []})
    lines = [f"Removed what was set aside: {', '.join(body['set_aside'])}."] if body["set_aside"] else []
    lines += [f"Rewrote {formatting.plural(len(backups['rewritten']), 'backup')}."] if backups["rewritten"] else []
    lines += [f"Rewrote {formatting.plural(len(lakes['rewritten']), 'lake')}."] if lakes["rewritten"] else []
    collected = body["collected"]["rewritten"]
    lines += [f"Rewrote {formatting.plural(len(collected), 'segment')} of collectors."] if collected else []
    return lines + ([f"Removed damaged backups: {', '.join(backups['removed'])}."] if backups["removed"] else [])
