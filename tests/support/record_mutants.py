"""Seeded JSON lines of several models, valid, nearly valid and invalid, for tests that compare two parsers."""

import json
import random
from datetime import UTC, datetime

from observability.core.catalog import Catalog, Column, Edges, Model, Version

COLUMNS = (
    Column(1, "age", "f1", "number"),
    Column(2, "city", "f2", "category"),
    Column(3, "own", "f3", "boolean"),
    Column(4, "code", "f4", "category"),
    Column(5, "sex", "f5", "category", "group"),
)
REGISTERED = Version("1", datetime(2020, 1, 1, tzinfo=UTC), ("age", "city", "own", "code"), {"feature.code": Edges(levels=("1", "2", "3"))})
CATALOG = Catalog(
    (
        Model(1, "bin", "binary", ("0", "1"), COLUMNS, (REGISTERED,)),
        Model(2, "reg", "regression", (), COLUMNS, (REGISTERED,)),
        Model(3, "multi", "multiclass", ("a", "b"), COLUMNS[:2], ()),
    )
)
NUMBERS = (
    "0 1 -0 0.0 -0.0 12 3.25 0.5 1e5 1E-7 12345678901234567 12345678901234567890 0.1234567890123456789 1e400 -1e-400 5e-324 "
    "2.2250738585072014e-308 100.0 1.50 0.00001 0.0001 1e22 123456789012345678 9007199254740993 1.7976931348623157e308 "
    '0.30000000000000004 NaN "NaN" "Infinity" "-Infinity" Infinity 01 1. +1 .5 --1 1e null true false "0.5" [] {} "" 0.8444218515250481'
).split()
TEXTS = [
    '"EWR"',
    '""',
    '"a\\nb"',
    '"caf\\u00e9"',
    '"café"',
    '"\\ud83d\\ude00"',
    '"\\ud83d"',
    '"x\\u0000y"',
    '"😀"',
    '"\\x"',
    '"a\tb"',
    '"t\\tq\\"u"',
    '"NaN"',
    "5",
    "null",
    "true",
    "1.5",
    '"1"',
    '"\\/"',
    '"0"',
    '"' + "z" * 50 + '"',
    "-3",
    '"nan"',
    '"\x7f"',
    '"a\\":1,\\"b"',
    '" :"',
    '"x":1',
]
GOOD_TIMES = ['"2013-07-01T10:00:00Z"', '"2013-07-01T10:00:00.123456Z"', '"2013-07-01T10:00:00.123456789+02:00"', '"2013-07-01"']
TIMES = [
    *GOOD_TIMES,
    '"2013-02-30"',
    '"2013-07-01T10:00:00"',
    '"2013-07-01 10:00:00"',
    '"2013-07-01T24:00:00Z"',
    '"2016-12-31T23:59:60Z"',
    '"1970-01-01T00:00:00+01:00"',
    '"2200-12-31T23:59:59-01:00"',
    '"1969-12-31T23:59:59Z"',
    '"2013-07-01t10:00:00z"',
    '"2013-07-01T10:00Z"',
    '"2013-07-01T10:00:00+0200"',
    '"2013-07-01T10:00:00.Z"',
    "1372672800",
    "null",
    '"now"',
    '"2013-07-01T10:00:00-23:59"',
    '"2013-07-01T10:00:00+24:00"',
    '"2012-02-29T00:00:00Z"',
    '"1900-01-01T00:00:00Z"',
    '"2013-07-01T10:00:00,5Z"',
    '"2013-11-03T01:30:00"',
    '"2013-03-10T02:30:00"',
    '"2013-07-01T10:00:00 Z"',
]
JUNK = b'{}[]",:\\0159eE+-. tfn\t\x00\xff\xc3'


class Mutants:
    """Makes JSON lines. The same seed gives the same lines."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def lines(self, count: int) -> list[bytes]:
        """`count` lines of predictions and labels, most of them valid."""
        made = [self.prediction() if self.dice.random() < 0.85 else self.label() for _ in range(count)]
        return [self.mutated(each.encode()) for each in made]

    def other_lines(self, count: int) -> list[bytes]:
        """`count` lines of steps and annotations, most of them valid."""
        made = [self.step() if self.dice.random() < 0.7 else self.annotation() for _ in range(count)]
        return [self.mutated(each.encode()) for each in made]

    def pick(self, good: list[str], any_of: list[str], right: float = 0.975) -> str:
        """Usually one of the valid values, otherwise any of the others."""
        return self.dice.choice(good) if self.dice.random() < right else self.dice.choice(any_of)

    def number(self) -> str:
        """A number with few or many digits, or something else."""
        return self.pick([str(self.dice.randint(0, 99)), str(round(self.dice.random() * 100, 3)), repr(self.dice.random())], NUMBERS)

    def obj(self, members: dict[str, str]) -> str:
        """An object, written in one of several JSON styles."""
        dice, items = self.dice, list(members.items())
        if dice.random() < 0.1:
            dice.shuffle(items)
        if dice.random() < 0.005 and items:
            items.append(dice.choice(items))
        comma, colon = (",", ":") if dice.random() < 0.6 else dice.choice([(", ", ": "), (" ,\t", " : "), (",  ", ":")])
        return "{" + comma.join(json.dumps(name, ensure_ascii=dice.random() < 0.3) + colon + value for name, value in items) + "}"

    def features(self) -> str:
        """Features with known and unknown names. Some names differ only in case, and one feature is nearly always null."""
        values = {
            "age": self.number,
            "city": lambda: self.pick(['"EWR"', '"JFK"', '"x y"'], TEXTS),
            "own": lambda: self.pick(["true", "false"], NUMBERS),
            "code": lambda: self.pick(["1", "2", "3", '"2"'], TEXTS),
            "new_num": self.number,
            "new_cat": lambda: self.pick(['"u"', '"v"'], TEXTS),
            "Age": self.number,
            "nul": lambda: self.pick(["null"], ["1", '"x"'], 0.995),
            "é": self.number,
        }
        return self.obj({name: value() for name, value in values.items() if self.dice.random() > 0.12})

    def prediction(self) -> str:
        """A prediction with some optional fields."""
        dice, pick = self.dice, self.pick
        model = dice.choice(["bin", "reg", "multi", "free", "free2"])
        line = {"kind": '"prediction"', "id": pick([f'"i{dice.randint(0, 99999)}"'], TEXTS), "at": pick(GOOD_TIMES, TIMES)}
        line |= {"model": json.dumps(model), "version": pick(['"1"', '"2"', "3"], TEXTS)}
        line["features"] = self.features() if dice.random() < 0.98 else dice.choice(["null", "[]", "{}", '{"age":{"a":1}}', '{"age":[1]}'])
        if dice.random() < 0.9:
            of_classes = pick([self.obj({"a": repr(dice.random()), "b": "0.5"}), "0.25"], [*NUMBERS, "{}", '{"a":null}', '{"c":0.1}'])
            unit = pick([str(round(dice.random(), 4)), repr(dice.random())], NUMBERS)
            line["score"] = {"bin": unit, "reg": self.number()}.get(model, of_classes)
        optional = {
            "prediction": (0.5, ['"1"', "1", "true", "0", "13.5"], NUMBERS + TEXTS),
            "label": (0.3, ['"1"', "1", "0", "13.5", "-4"], [*NUMBERS, *TEXTS, '{"value":1}', '{"value":1,"at":"2014-01-01"}', '{"v":1}']),
            "status": (0.2, ['"ok"', '"error"', '"timeout"', '"fallback"', '"rejected"'], TEXTS),
            "latency_ms": (0.3, ["12.5", "3"], NUMBERS),
            "weight": (0.1, ["2", "1.5"], NUMBERS),
            "threshold": (0.1, ["0.5"], NUMBERS),
            "base_value": (0.1, ["0.1"], [*NUMBERS, '{"a":1}']),
            "groups": (0.1, [self.obj({"sex": pick(['"F"', '"M"'], TEXTS), "g": self.number()})], ["null", "3"]),
            dice.choice(["subject", "device", "replica", "batch"]): (0.1, ['"d1"'], TEXTS),
            "environment": (0.1, ['"shadow"', '"production"'], [*TEXTS, '"reference"']),
            "received_at": (0.1, GOOD_TIMES, TIMES),
            "acted_at": (0.1, GOOD_TIMES, TIMES),
            "attributions": (0.02, ['{"age":0.1}', '{"a":{"age":1}}'], ['{"age":"x"}', "1"]),
            "feature_at": (0.02, ['{"age":"2013-07-01T10:00:00Z"}'], ['{"age":1}']),
            "request": (0.3, ['"abc"', "12", "1.5", "true", "null"], NUMBERS + TEXTS),
            "zone": (0.1, ['"eu"'], [*NUMBERS, *TEXTS, '{"a":1}']),
        }
        line |= {name: pick(good, any_of) for name, (share, good, any_of) in optional.items() if dice.random() < share}
        return self.obj({name: value for name, value in line.items() if dice.random() > 0.003})

    def label(self) -> str:
        """A label."""
        dice, pick = self.dice, self.pick
        line = {
            "kind": '"label"',
            "id": f'"i{dice.randint(0, 9999)}"',
            "at": pick(GOOD_TIMES, TIMES),
            "model": dice.choice(['"bin"', '"reg"', '"free"']),
        }
        line["value"] = pick(["1", "0", "12.5"], NUMBERS + TEXTS)
        optional = {"source": ['"human"'], "annotator": ['"a1"'], "other": ["1"]}
        return self.obj(line | {name: pick(good, TEXTS) for name, good in optional.items() if dice.random() < 0.1})

    def step(self) -> str:
        """A step of a run. Its objects hold numbers under several names."""
        dice, pick = self.dice, self.pick
        names = ["loss", "val loss", "é", 'a"b', "50%", "", "lr"]
        metrics = self.obj(
            {name: pick([self.number(), '"NaN"', "2.0"], [*NUMBERS, *TEXTS], 0.995) for name in names if dice.random() > 0.3}
        )
        line = {"kind": '"step"', "run": pick(['"r1"', '"r2"', "7"], TEXTS), "at": pick(GOOD_TIMES, TIMES)}
        line |= {"step": pick([str(dice.randint(0, 999)), "12.0", "1e2"], NUMBERS), "metrics": pick([metrics], ["null", "[]", "{}", "1"])}
        spent = self.obj({"data": self.number(), "compute": repr(dice.random()), "all %": "1e300"})
        optional = {
            "phase_ms": (0.6, [spent, "null"], ["{}", "3", '{"data":null}', '{"data":{"a":1}}']),
            "rank": (0.7, ['"3"', "3"], TEXTS),
            "host": (0.3, ['"h\\u00e9"', '"h"'], TEXTS),
            "batch": (0.1, ['"b"'], TEXTS),
            "received_at": (0.1, GOOD_TIMES, TIMES),
            "note": (0.02, ['"n"'], TEXTS),
        }
        line |= {name: pick(good, any_of) for name, (share, good, any_of) in optional.items() if dice.random() < share}
        return self.obj({name: value for name, value in line.items() if dice.random() > 0.003})

    def annotation(self) -> str:
        """An annotation. Its label is any scalar."""
        dice, pick = self.dice, self.pick
        line = {"kind": '"annotation"', "project": '"p"', "item": pick(['"i1"', "12"], TEXTS), "annotator": pick(['"ann"'], TEXTS)}
        line |= {"at": pick(GOOD_TIMES, TIMES), "label": pick(['"cat"', "1", "2.50", "true"], NUMBERS + TEXTS)}
        optional = {
            "seconds": (0.6, ["2.5", "3"], NUMBERS),
            "gold": (0.2, ['"cat"', "1"], NUMBERS + TEXTS),
            "suggestion": (0.2, ['"dog"', "1"], NUMBERS + TEXTS),
            "suggestion_confidence": (0.2, ["0.5"], NUMBERS),
            "guideline": (0.2, ['"2"', "2"], TEXTS),
        }
        line |= {name: pick(good, any_of) for name, (share, good, any_of) in optional.items() if dice.random() < share}
        return self.obj({name: value for name, value in line.items() if dice.random() > 0.003})

    def mutated(self, line: bytes) -> bytes:
        """The line, or in one of six cases a damaged one: one or two bytes removed, added, changed or repeated, or the end cut off."""
        dice, changed = self.dice, bytearray(line)
        for _ in range(dice.choice([0] * 14 + [1, 1, 2])):
            place, what = dice.randrange(len(changed)) if changed else 0, dice.random()
            if what < 0.3 and changed:
                del changed[place]
            elif what < 0.6:
                changed.insert(place, dice.choice(JUNK))
            elif what < 0.8 and changed:
                changed[place] = dice.choice(JUNK) if dice.random() < 0.7 else dice.randrange(256)
            elif what < 0.9:
                changed = changed[:place]
            else:
                start = dice.randrange(len(changed)) if changed else 0
                changed[place:place] = changed[start : start + dice.randint(1, 8)]
        return bytes(changed).replace(b"\n", b" ")
