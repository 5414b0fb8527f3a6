"""The compiled loop of the fast parser: typed values of many lines at once.

It reads lines of one kind and model, with keys in any order, and gives up on a line at the first thing it does not know. Such a line is
left to the exact parser, which is slower. The loop may give up on a valid line, but never accepts an invalid one, and never returns other
values than the exact parser. Importing this file imports numba. Everything is in one file, because numba checks only a function's own file
to decide whether its cached code is current.
"""

# ruff: noqa: SIM102, SIM109, SIM110 - compiled code: `in` on a tuple, generators and long conditions are slower or not compiled
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Array: TypeAlias = NDArray[Any]
LITERAL, TEXT, NUMBER, BOOLEAN, TIME, SCALAR, OBJECT, ENUM, NULLS_ONLY, EXTRA = range(10)
"""Kinds of columns: one fixed text, a text, a number, true or false, a time, any scalar, an object, one of several texts, null, any scalar
that is kept as JSON.
"""
INTEGERS, LOGICAL, NOT_EMPTY, NUMBERS_ONLY, NAN_ALLOWED, REQUIRED, LOCAL_ALLOWED, WHOLE, NOT_NULL = 1, 2, 4, 8, 16, 32, 64, 128, 256
"""Flags: a text may be written as an integer; or as true or false; must not be empty; a scalar must be a number; NaN and infinities are
allowed; the field is required; a time may lack an offset; a number must be whole; the value may be absent, but not null."""
ABSENT, NULL, PLAIN, RAW, ESCAPED, ODD_NUMBER, BOOLEANS, LOCAL = range(8)
"""States: absent; null; present (a text without escapes); a number in canonical form; a text with escapes; a number whose text is not
canonical; true or false; a time without an offset. BOOLEAN: false is PLAIN, true is RAW; ENUM: PLAIN + position in the list."""
START, LENGTH, TABLE, COLUMN = range(4)
"""Columns of the entries: start and length of the key, the object it belongs to, and the column it names."""
KIND, FLAGS, SLOT, TEXT_SLOT, INNER, OPTION, OPTION_END = range(7)
"""Properties of a schema column. SLOT: its slot for numbers or times. INNER: the object inside it. OPTION: the first of its texts."""
QUOTE, BACKSLASH, MINUS, PLUS, DOT, COLON, COMMA, OPEN, CLOSE, ZERO, NINE = 34, 92, 45, 43, 46, 58, 44, 123, 125, 48, 57
FIRST_US, AFTER_LAST_US, DAY_US = 0, 7_289_654_400_000_000, 86_400_000_000
"""1970-01-01, 2201-01-01 and a day in microseconds."""


def jit(function: Callable[..., Any]) -> Any:
    """Compile without the interpreter's lock, cached on disk where that is possible."""
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy", forceinline=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True, error_model="numpy", forceinline=True)(function)


@jit
def skip_space(buf: Bytes, i: int, end: int) -> int:
    """The next position that is not white space."""
    while i < end and (buf[i] == 32 or buf[i] == 9 or buf[i] == 10 or buf[i] == 13):
        i += 1
    return i


@jit
def same_bytes(buf: Bytes, start: int, length: int, keys: Bytes, key: int) -> bool:
    """Whether `length` bytes of both buffers are equal."""
    for k in range(length):
        if buf[start + k] != keys[key + k]:
            return False
    return True


@jit
def scan_hex(buf: Bytes, i: int, end: int) -> int:
    """The value of four hexadecimal digits; -1 if they are not hexadecimal."""
    if i + 4 > end:
        return -1
    value = 0
    for k in range(i, i + 4):
        c = buf[k]
        if 48 <= c <= 57:
            digit = c - 48
        elif 97 <= c <= 102:
            digit = c - 87
        elif 65 <= c <= 70:
            digit = c - 55
        else:
            return -1
        value = value * 16 + digit
    return value


@jit
def string_end(buf: Bytes, i: int, end: int) -> tuple[int, bool]:
    """The position of the closing quote of a string that begins at `i` (-1 if invalid), and whether it has escapes."""
    escaped = False
    while i < end:
        c = buf[i]
        if c == QUOTE:
            return i, escaped
        if c < 32:
            return -1, escaped
        if c == BACKSLASH:
            escaped = True
            if i + 1 >= end:
                return -1, escaped
            c = buf[i + 1]
            if c == 117:
                code = scan_hex(buf, i + 2, end)
                if code < 0 or 0xDC00 <= code <= 0xDFFF:
                    return -1, escaped
                i += 6
                if 0xD800 <= code <= 0xDBFF:
                    if i + 6 > end or buf[i] != BACKSLASH or buf[i + 1] != 117:
                        return -1, escaped
                    low = scan_hex(buf, i + 2, end)
                    if low < 0xDC00 or low > 0xDFFF:
                        return -1, escaped
                    i += 6
            elif c == QUOTE or c == BACKSLASH or c == 47 or c == 98 or c == 102 or c == 110 or c == 114 or c == 116:
                i += 2
            else:
                return -1, escaped
        else:
            i += 1
    return -1, escaped


@jit
def upper_product(a: int, b: int) -> tuple[Any, Any]:
    """High and low 64 bits of the product of two unsigned 64-bit numbers."""
    mask = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    a0, a1, b0, b1 = np.uint64(a) & mask, np.uint64(a) >> half, np.uint64(b) & mask, np.uint64(b) >> half
    low, middle1, middle2, high = a0 * b0, a1 * b0, a0 * b1, a1 * b1
    carry = (low >> half) + (middle1 & mask) + (middle2 & mask)
    return high + (middle1 >> half) + (middle2 >> half) + (carry >> half), np.uint64(a) * np.uint64(b)


@jit
def nearest_double(digits: int, power: int, high_powers: Array, low_powers: Array, tens: Array) -> tuple[float, bool]:
    """The double nearest to digits × 10^power (digits < 10^19), and whether it is certain.

    After Lemire, Number parsing at a gigabyte per second, 2021.
    """
    w = np.uint64(digits)
    one, zero = np.uint64(1), np.uint64(0)
    if w == zero:
        return 0.0, True
    if w < (one << np.uint64(53)) and -22 <= power <= 22:
        return (float(w) * tens[power] if power >= 0 else float(w) / tens[-power]), True
    if power < -300 or power > 280:
        return 0.0, False
    zeros = 0
    while not (w >> np.uint64(56)):
        w = w << np.uint64(8)
        zeros += 8
    while not (w >> np.uint64(63)):
        w = w << one
        zeros += 1
    at = power + 342
    high, low = upper_product(w, high_powers[at])
    precise = np.uint64(0x1FF)
    if high & precise == precise:
        more, _ = upper_product(w, low_powers[at])
        low = low + more
        if low < more:
            high = high + one
    if low == np.uint64(0xFFFFFFFFFFFFFFFF) and (power < -27 or power > 55):
        return 0.0, False
    upper = np.int64(high >> np.uint64(63))
    mantissa = high >> np.uint64(upper + 9)
    exponent = (((152170 + 65536) * power) >> 16) + 63 + upper - zeros + 1023
    if exponent <= 0 or exponent >= 2046:
        return 0.0, False
    tie = low <= one and -4 <= power <= 23 and (mantissa & np.uint64(3)) == one
    if tie and (mantissa << np.uint64(upper + 9)) == high:
        mantissa = mantissa & ~one
    mantissa = (mantissa + (mantissa & one)) >> one
    return math.ldexp(float(mantissa), int(exponent - 1075)), True


@jit
def scan_number(buf: Bytes, i: int, end: int, high_powers: Array, low_powers: Array, tens: Array) -> tuple[int, float, bool, bool]:
    """A JSON number at `i`: its end (-1 if there is no number), its value, whether the value is certain, whether its text is canonical."""
    negative = buf[i] == MINUS
    start = i + 1 if negative else i
    i = start
    digits, used, power, significant = np.uint64(0), 0, 0, 0
    while i < end and ZERO <= buf[i] <= NINE:
        if used < 19:
            digits = digits * np.uint64(10) + np.uint64(buf[i] - ZERO)
            if digits:
                used += 1
        else:
            significant += 1
        i += 1
    whole = i - start
    if whole == 0 or (whole > 1 and buf[start] == ZERO):
        return -1, 0.0, False, False
    canonical = whole < 19 and not (negative and buf[start] == ZERO)
    if i < end and buf[i] == DOT:
        i += 1
        point = i
        zeros = 0
        while i < end and ZERO <= buf[i] <= NINE:
            if used < 19:
                digits = digits * np.uint64(10) + np.uint64(buf[i] - ZERO)
                if digits:
                    used += 1
                else:
                    zeros += 1
            else:
                significant += 1
            i += 1
        if i == point:
            return -1, 0.0, False, False
        power = point - i
        canonical = used <= 15 and whole < 16 and buf[i - 1] != ZERO and (buf[start] != ZERO or zeros < 4)
    if i < end and (buf[i] == 101 or buf[i] == 69):
        i += 1
        canonical = False
        down = i < end and buf[i] == MINUS
        if i < end and (buf[i] == MINUS or buf[i] == PLUS):
            i += 1
        first = i
        exponent = 0
        while i < end and ZERO <= buf[i] <= NINE:
            if exponent < 10000:
                exponent = exponent * 10 + (buf[i] - ZERO)
            i += 1
        if i == first:
            return -1, 0.0, False, False
        power += -exponent if down else exponent
    if significant > 0:
        return i, 0.0, False, canonical
    if digits == 0 and i == start + whole:
        return i, 0.0, True, canonical
    value, sure = nearest_double(digits, power, high_powers, low_powers, tens)
    return i, -value if negative else value, sure, canonical


@jit
def is_long_whole(buf: Bytes, i: int, end: int, value: float, sure: bool) -> bool:
    """Whether a number written as an integer may not be exactly representable as a double, because it is 2^53 or more."""
    if sure and abs(value) < 9007199254740992.0:
        return False
    for k in range(i, end):
        if buf[k] == DOT or buf[k] == 101 or buf[k] == 69:
            return False
    return True


@jit
def two_digits(buf: Bytes, i: int) -> int:
    """The value of two digits; -1000 if they are not digits."""
    a, b = buf[i], buf[i + 1]
    if ZERO <= a <= NINE and ZERO <= b <= NINE:
        return (a - ZERO) * 10 + (b - ZERO)
    return -1000


@jit
def scan_instant(buf: Bytes, i: int, end: int) -> tuple[int, bool]:
    """Microseconds since 1970 of the RFC 3339 text from `i` to `end` (-1: parse exactly), and whether it lacks an offset."""
    if end - i < 10 or buf[i + 4] != MINUS or buf[i + 7] != MINUS:
        return -1, False
    year, month, day = two_digits(buf, i) * 100 + two_digits(buf, i + 2), two_digits(buf, i + 5), two_digits(buf, i + 8)
    if year < 1970 or year > 2200 or month < 1 or month > 12 or day < 1:
        return -1, False
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    length = 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31
    if month == 2:
        length = 29 if leap else 28
    if day > length:
        return -1, False
    y = year - 1 if month <= 2 else year
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    if end - i == 10:
        return days * 86_400_000_000, False
    if end - i < 19 or (buf[i + 10] != 84 and buf[i + 10] != 32) or buf[i + 13] != COLON or buf[i + 16] != COLON:
        return -1, False
    hour, minute, second = two_digits(buf, i + 11), two_digits(buf, i + 14), two_digits(buf, i + 17)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return -1, False
    micro, scale = 0, 100_000
    i += 19
    if i < end and buf[i] == DOT:
        i += 1
        first = i
        while i < end and ZERO <= buf[i] <= NINE:
            micro += (buf[i] - ZERO) * scale
            scale //= 10
            i += 1
        if i == first:
            return -1, False
    total = ((days * 24 + hour) * 3600 + minute * 60 + second) * 1_000_000 + micro
    if i == end:
        return total, True
    if buf[i] == 90:
        i += 1
    elif end - i == 6 and (buf[i] == PLUS or buf[i] == MINUS) and buf[i + 3] == COLON:
        hours, minutes = two_digits(buf, i + 1), two_digits(buf, i + 4)
        if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
            return -1, False
        offset = (hours * 60 + minutes) * 60_000_000
        total = total - offset if buf[i] == PLUS else total + offset
        i += 6
    if i != end or total < FIRST_US or total >= AFTER_LAST_US:
        return -1, False
    return total, False


@jit
def non_finite(buf: Bytes, i: int, length: int) -> float:
    """NaN or an infinity for its name between quotes, 0 for any other text."""
    if length == 3 and buf[i] == 78 and buf[i + 1] == 97 and buf[i + 2] == 78:
        return math.nan
    start = i + 1 if length == 9 and buf[i] == MINUS else i
    if length - (start - i) != 8:
        return 0.0
    if buf[start] == 73 and buf[start + 1] == 110 and buf[start + 2] == 102 and buf[start + 3] == 105:
        if buf[start + 4] == 110 and buf[start + 5] == 105 and buf[start + 6] == 116 and buf[start + 7] == 121:
            return -math.inf if start > i else math.inf
    return 0.0


@jit
def scan_word(buf: Bytes, i: int, end: int) -> int:
    """The end of true, false or null; -1 for anything else."""
    if i + 4 <= end:
        if buf[i] == 116 and buf[i + 1] == 114 and buf[i + 2] == 117 and buf[i + 3] == 101:
            return i + 4
        if buf[i] == 110 and buf[i + 1] == 117 and buf[i + 2] == 108 and buf[i + 3] == 108:
            return i + 4
    if i + 5 <= end and buf[i] == 102 and buf[i + 1] == 97 and buf[i + 2] == 108 and buf[i + 3] == 115 and buf[i + 4] == 101:
        return i + 5
    return -1


@jit
def find_key(buf: Bytes, i: int, end: int, keys: Bytes, entries: Array, buckets: Array, table: int, guess: int) -> tuple[int, int]:
    """The entry of the key that begins at `i` (-1 if unknown) and the position after its quote. `guess` is tried first."""
    if guess >= 0 and entries[guess, TABLE] == table:
        length = entries[guess, LENGTH]
        if i + length < end and buf[i + length] == QUOTE and same_bytes(buf, i, length, keys, entries[guess, START]):
            return guess, i + length + 1
    start = i
    value = np.uint64(0xCBF29CE484222325) + np.uint64(table)
    while i < end and buf[i] != QUOTE:
        if buf[i] < 32:
            return -1, i
        value = (value ^ np.uint64(buf[i])) * np.uint64(0x100000001B3)
        if buf[i] == BACKSLASH:
            i += 1
            if i >= end:
                return -1, i
            value = (value ^ np.uint64(buf[i])) * np.uint64(0x100000001B3)
        i += 1
    if i >= end:
        return -1, i
    mask = buckets.size - 1
    place = np.int64((value ^ (value >> np.uint64(32))) & np.uint64(mask))
    while buckets[place] >= 0:
        entry = buckets[place]
        if (
            entries[entry, TABLE] == table
            and entries[entry, LENGTH] == i - start
            and same_bytes(buf, start, i - start, keys, entries[entry, START])
        ):
            return entry, i + 1
        place = (place + 1) & mask
    return -1, i


@jit
def option_of(buf: Bytes, i: int, end: int, options: Bytes, bounds: Array, first: int, last: int) -> tuple[int, int]:
    """The end of the text at `i` (-1 if it is none of the options), and its position among them."""
    if buf[i] == QUOTE:
        for k in range(first, last):
            length = bounds[k, 1]
            if i + length + 1 < end and buf[i + 1 + length] == QUOTE and same_bytes(buf, i + 1, length, options, bounds[k, 0]):
                return i + length + 2, k - first
    return -1, 0


@jit
def scan_text(buf: Bytes, i: int, end: int, flags: int) -> tuple[int, int, int, int]:
    """A text at `i`: the position after it (-1 if there is no text), its state, and the bounds of its content."""
    if buf[i] == QUOTE:
        close, escaped = string_end(buf, i + 1, end)
        if close < 0 or (flags & NOT_EMPTY and close == i + 1):
            return -1, PLAIN, i, i
        return close + 1, ESCAPED if escaped else PLAIN, i + 1, close
    start = i
    if flags & INTEGERS and ZERO <= buf[i] <= NINE:
        while i < end and ZERO <= buf[i] <= NINE:
            i += 1
        if (i - start > 1 and buf[start] == ZERO) or i - start > 18 or i >= end or buf[i] == DOT or buf[i] == 101 or buf[i] == 69:
            return -1, PLAIN, start, i
        return i, PLAIN, start, i
    if flags & LOGICAL and (buf[i] == 116 or buf[i] == 102):
        i = scan_word(buf, i, end)
        return i, PLAIN, start, i
    return -1, PLAIN, start, start


@jit
def scan_lines(
    buf: Bytes,
    starts: Array,
    ends: Array,
    numbers_of_lines: Array,
    taken: Array,
    keys: Bytes,
    entries: Array,
    buckets: Array,
    following: Array,
    columns: Array,
    bounds: Array,
    options: Bytes,
    option_bounds: Array,
    lines: Array,
    state: Array,
    numbers: Array,
    times: Array,
    texts: Array,
    later: Array,
    rules: Array,
    high_powers: Array,
    low_powers: Array,
    tens: Array,
) -> tuple[int, int]:
    """Parse as many of the lines as possible into consecutive rows; return the number of rows and the number of values left to Python.

    starts, ends, numbers_of_lines: start, end and number of each line; taken: set where a line became a row. All parameters from `keys` to
    `option_bounds`: the schema (parse_schema.SchemaArrays); following: for each entry, the entry that followed it last, updated here.
    lines, state, numbers, times, texts: the output (parse_columns.ScanBuffers); later: numbers that need Python's reader (row, slot, start,
    length). rules: columns of score, prediction and status, first and last class.
    """
    rows = waiting = 0
    width, count = columns.shape[0], entries.shape[0]
    for k in range(starts.size):
        for j in range(width):
            state[rows, j] = ABSENT
        before = waiting
        end = ends[k]
        i = skip_space(buf, starts[k], end)
        good = i < end and buf[i] == OPEN
        done = False
        table = 0
        first = True
        previous = outer = count
        i = skip_space(buf, i + 1, end)
        while good and not done:
            if i >= end:
                good = False
                break
            if buf[i] == CLOSE:
                i = skip_space(buf, i + 1, end)
                if table == 0:
                    done, good = True, i == end
                else:
                    table, previous, first = 0, outer, False
                continue
            if not first:
                good = buf[i] == COMMA
                i = skip_space(buf, i + 1, end)
            if not good or i >= end or buf[i] != QUOTE:
                good = False
                break
            first = False
            entry, i = find_key(buf, i + 1, end, keys, entries, buckets, table, following[previous])
            if entry < 0:
                good = False
                break
            following[previous] = entry
            previous = entry
            j = entries[entry, COLUMN]
            i = skip_space(buf, i, end)
            if i >= end or buf[i] != COLON or state[rows, j] != ABSENT:
                good = False
                break
            i = skip_space(buf, i + 1, end)
            if i >= end:
                good = False
                break
            kind, flags, slot, c = columns[j, KIND], columns[j, FLAGS], columns[j, SLOT], buf[i]
            if c == OPEN and columns[j, INNER] >= 0:
                state[rows, j] = RAW
                outer, table = entry, columns[j, INNER]
                previous, first = count + table, True
                i = skip_space(buf, i + 1, end)
                continue
            start = i
            if c == 110:
                state[rows, j] = NULL
                i = -1 if flags & (REQUIRED | NOT_NULL) or kind == LITERAL else scan_word(buf, i, end)
            elif kind == NUMBER or ((kind == SCALAR or kind == EXTRA) and (c == MINUS or ZERO <= c <= NINE)):
                state[rows, j] = PLAIN
                sure = True
                if c == QUOTE:
                    close, _ = string_end(buf, i + 1, end)
                    value = 0.0 if close < 0 else non_finite(buf, i + 1, close - i - 1)
                    i = -1 if value == 0.0 or not flags & NAN_ALLOWED else close + 1
                else:
                    i, value, sure, canonical = scan_number(buf, i, end, high_powers, low_powers, tens)
                    if kind != NUMBER:
                        state[rows, j] = RAW if canonical else ODD_NUMBER
                        texts[columns[j, TEXT_SLOT], rows, 0] = start
                        texts[columns[j, TEXT_SLOT], rows, 1] = i - start
                    if i >= 0 and kind != EXTRA and is_long_whole(buf, start, i, value, sure):
                        i = -1
                if kind == EXTRA:
                    pass
                elif i >= 0 and sure:
                    if value < bounds[j, 0] or value > bounds[j, 1] or (flags & WHOLE and value != math.floor(value)):
                        i = -1
                    else:
                        numbers[slot, rows] = value
                elif i >= 0:
                    if bounds[j, 0] > -math.inf or waiting >= later.shape[0]:
                        i = -1
                    else:
                        later[waiting, 0], later[waiting, 1], later[waiting, 2], later[waiting, 3] = rows, slot, start, i - start
                        waiting += 1
            elif kind == TEXT or ((kind == SCALAR or kind == EXTRA) and c == QUOTE):
                i, how, at, close = scan_text(buf, i, end, flags)
                if kind != TEXT and i >= 0:
                    if flags & NUMBERS_ONLY or non_finite(buf, at, close - at) != 0.0 or (kind == EXTRA and how == ESCAPED):
                        i = -1
                state[rows, j] = how
                texts[columns[j, TEXT_SLOT], rows, 0] = at
                texts[columns[j, TEXT_SLOT], rows, 1] = close - at
            elif kind == TIME:
                close, escaped = (string_end(buf, i + 1, end)) if c == QUOTE else (-1, False)
                if close < 0 or escaped:
                    i = -1
                else:
                    micros, local = scan_instant(buf, i + 1, close)
                    times[slot, rows] = micros
                    state[rows, j] = LOCAL if local else PLAIN
                    i = close + 1
                    if micros < 0 or (local and (not flags & LOCAL_ALLOWED or micros < DAY_US or micros > AFTER_LAST_US - 2 * DAY_US)):
                        i = -1
            elif kind == BOOLEAN or kind == SCALAR or kind == EXTRA:
                i = scan_word(buf, i, end)
                state[rows, j] = BOOLEANS if kind != BOOLEAN else RAW if c == 116 else PLAIN
                if kind != BOOLEAN:
                    texts[columns[j, TEXT_SLOT], rows, 0] = start
                    texts[columns[j, TEXT_SLOT], rows, 1] = i - start
                    if flags & NUMBERS_ONLY:
                        i = -1
            elif kind == LITERAL or kind == ENUM:
                i, option = option_of(buf, i, end, options, option_bounds, columns[j, OPTION], columns[j, OPTION_END])
                state[rows, j] = PLAIN + option
            else:
                i = -1
            if i < 0:
                good = False
                break
            i = skip_space(buf, i, end)
        if good:
            for j in range(width):
                if columns[j, FLAGS] & REQUIRED and state[rows, j] < PLAIN:
                    good = False
        if good and rules[0] >= 0:
            if state[rows, rules[0]] == RAW:
                some = False
                for j in range(rules[3], rules[4]):
                    some = some or state[rows, j] >= PLAIN
                    if state[rows, j] == NULL:
                        good = False
                good = good and some
            elif state[rows, rules[0]] < PLAIN and state[rows, rules[1]] < PLAIN:
                code = state[rows, rules[2]]
                good = code == PLAIN + 1 or code == PLAIN + 2 or code == PLAIN + 4
        if good:
            lines[rows] = numbers_of_lines[k]
            taken[k] = True
            rows += 1
        else:
            waiting = before
    return rows, waiting


@jit
def put_character(code: int, out: Bytes, at: int) -> int:
    """Write a character as UTF-8; return the position after it."""
    if code < 0x80:
        out[at] = code
        return at + 1
    if code < 0x800:
        out[at] = 0xC0 | code >> 6
    else:
        if code < 0x10000:
            out[at] = 0xE0 | code >> 12
        else:
            out[at] = 0xF0 | code >> 18
            at += 1
            out[at] = 0x80 | code >> 12 & 0x3F
        at += 1
        out[at] = 0x80 | code >> 6 & 0x3F
    out[at + 1] = 0x80 | code & 0x3F
    return at + 2


@jit
def unescape(buf: Bytes, i: int, end: int, out: Bytes, at: int) -> int:
    """Write a valid JSON text without its escapes; return the position after it."""
    while i < end:
        c = buf[i]
        if c != 92:
            out[at] = c
            i += 1
            at += 1
            continue
        c = buf[i + 1]
        if c == 117:
            code = scan_hex(buf, i + 2, end)
            i += 6
            if 0xD800 <= code <= 0xDBFF:
                code = 0x10000 + ((code - 0xD800) << 10) + scan_hex(buf, i + 2, end) - 0xDC00
                i += 6
            at = put_character(code, out, at)
            continue
        if c == 98:
            c = 8
        elif c == 102:
            c = 12
        elif c == 110:
            c = 10
        elif c == 114:
            c = 13
        elif c == 116:
            c = 9
        out[at] = c
        at += 1
        i += 2
    return at


@jit
def gather_texts(buf: Bytes, side: Bytes, places: Array, states: Array, offsets: Array, out: Bytes) -> int:
    """Fill `out` with the texts and `offsets` with their bounds; return the bytes used. `side`: texts of non-canonical numbers."""
    at = 0
    for row in range(states.size):
        offsets[row] = at
        if states[row] < PLAIN:
            continue
        start, length = places[row, 0], places[row, 1]
        if states[row] == ESCAPED:
            at = unescape(buf, start, start + length, out, at)
        elif states[row] == ODD_NUMBER:
            for k in range(length):
                out[at + k] = side[start + k]
            at += length
        else:
            for k in range(length):
                out[at + k] = buf[start + k]
            at += length
    offsets[states.size] = at
    return at
