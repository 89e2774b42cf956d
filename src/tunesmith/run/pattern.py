"""Patterns that extract a metric from a line of text: plain text with a kind of number, or a regular expression.

``loss={number}`` is text, in which a kind in braces stands for what varies. Anything else is a regular
expression with one group. Either way the value is the *whole* number that was printed: a group that stops
inside a number (``[0-9.]+`` in ``7.5e-05``) is widened, and where ``nan`` or another number stands in its
place, that is the value.

Patterns are those of the package `regex`, which understands what Python's `re` does and can be told how
long to search: `re` may take years over a line of 40 characters, and nothing can interrupt it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import regex

from tunesmith.core.errors import JobError, did_you_mean

#: What the group with the number may be called, where a regular expression has several.
VALUE: Final = "value"
#: What a search in one line may take, in seconds of CPU time.
SEARCH_S: Final = 1.0

_SIGN = "[-+\N{MINUS SIGN}]"
#: What stands between the thousands of a number.
_MARK = (
    "[,_'\N{RIGHT SINGLE QUOTATION MARK}\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}]"
)
#: D is Fortran's.
_EXPONENT = r"(?:[eE][-+]?\d+|[dD][-+]?\d\d+)"
_PLAIN = rf"{_SIGN}?(?:\d[\d_]*(?:\.\d[\d_]*|\.(?![\w.]))?|\.\d[\d_]*){_EXPONENT}?"
_GROUPED = rf"\d{{1,3}}(?:{_MARK}\d{{3}})+(?:\.\d+)?(?![\d_]|[.,]\d)"
#: What may be a number with marks between its thousands, or a comma for its point: 1,234.5; 1.234,5; 0,5
_AMBIGUOUS = rf"{_SIGN}?(?:{_GROUPED}|\d{{1,3}}(?:\.\d{{3}})+,\d+(?![\d.,])|\d+,\d+(?![\d.,]))"
#: How C, Python, Fortran, JavaScript and Windows write what is not finite.
_NOT_FINITE = rf"{_SIGN}?(?i:nan|inf(?:inity)?)(?:\(\w*\))?(?!\w)|{_SIGN}?\N{{INFINITY}}|{_SIGN}?1\.#[A-Z]+\d*"
#: What is printed where there is no number.
_MISSING = r"(?i:none|null|nil|undefined|n/?a)(?![\w/])|<(?i:na|nan|null)>|\*\*+|(?:--+|\?\?+|[\N{EN DASH}\N{EM DASH}]+)(?!\S)"
#: .. and nothing else up to the end of a line or a mark: dashes, question marks, what spreadsheets write, words.
_PLACEHOLDER = (
    r"(?:-+|[\u2013\u2014]+|\?+|\.\.+|\u2026|\#[A-Z][A-Z\d/]*[!?]?|(?i:error|err|fail(?:ed|ure)?|undef|missing|invalid"
    r"|(?:over|under)flow|diverged|unknown|n\.a\.))(?=\s*(?:$|[,;|)\]}]))"
)
_NUMBER = rf"(?>{_AMBIGUOUS}|{_PLAIN})"
#: What makes it part of something else: a unit, a date, a time, a version.
_GOES_ON = r"(?!\w|[-+:.]\d)"
#: The rest of a number, wherever in it one begins.
_REST = regex.compile(
    rf"{_AMBIGUOUS}|0[xX][\da-fA-F]+|{_SIGN}?\.?\d(?:[\d_]|\.(?=\d)|[eE][-+]?(?=\d)|[dD][-+]?(?=\d\d))*"
)
_DIGITS_BEFORE = re.compile(r"[\d.]+$")
_GROUPED_ALONE = re.compile(rf"{_SIGN}?(?:{_GROUPED}|{_PLAIN})")
_PLAIN_ALONE = re.compile(_PLAIN)
_NOT_FINITE_ALONE = re.compile(_NOT_FINITE)
_MISSING_ALONE = re.compile(_MISSING)
_PLACEHOLDER_HERE = re.compile(rf"\s*{_PLACEHOLDER}")
#: What a part of a longer name ends with.
_IN_NAME = re.compile(r"[\w./-]")

_KIND = re.compile(r"\{\{|\}\}|\{(number:,|[A-Za-z]\w*)\}")
#: The kinds that stand for a value, and any text, which does not.
KINDS: Final = ("number", "int", "number:,")
ANY: Final = "any"
_REGEX_SIGNS = re.compile(r"\\[dswDSWb.]|\.[*+]|\(\?|\[\^|\[0-9|[\])][*+?]")


class Reading(NamedTuple):
    """What a pattern has found in a line: a number (NaN or infinite, too), or a text that is none."""

    text: str
    number: float | None
    #: Whether it stands for a number that is not there, or that cannot be read with certainty.
    stands_for_number: bool


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern of one metric."""

    metric: str
    text: str
    _compiled: Any
    _group: int | str
    #: ``number``, ``int`` or ``number:,``; "" for a regular expression.
    kind: str = ""
    #: Whether the regular expression itself says that the number ends within a longer one.
    _cut: bool = False
    #: A text that stands in every match; "" where none is certain. Lines without it need no search.
    literal: str = ""

    @classmethod
    def of(cls, metric: str, text: str) -> Pattern:
        """Compile a pattern. Raises JobError."""
        kinds = [match[1] for match in _KIND.finditer(text) if match[1]]
        if any(kind in (*KINDS, ANY) for kind in kinds):
            return _of_kinds(metric, text, kinds)
        return _of_regex(metric, text, kinds)

    def read(self, line: str) -> Reading | None:
        """The last value in `line`; None where nothing matches. Raises TimeoutError.

        Matches within a longer name (``loss=`` in ``val_loss=``) count only where there are no others.
        """
        best: tuple[bool, Any] | None = None
        if self.literal not in line:
            return None
        for match in self._compiled.finditer(line, timeout=SEARCH_S):
            if match[self._group] is None:
                continue
            begin = match.start()
            alone = not (begin and _IN_NAME.match(line[begin]) and _IN_NAME.match(line[begin - 1]))
            if best is None or alone or not best[0]:
                best = alone, match
        return None if best is None else self._reading(line, best[1])

    def _reading(self, line: str, match: Any) -> Reading:
        start, end = match.span(self._group)
        if not self.kind and not self._cut:
            start, end = _whole(line, start, end, consumed=match.start() < start)
        return reading(line[start:end], self.kind, line[start:])


def reading(text: str, kind: str = "", rest: str = "") -> Reading:
    """A text as the number that it is, as far as that is certain; `rest` is the line from there on."""
    placeholder = _PLACEHOLDER_HERE.match(rest or text) is not None
    text = text.strip()
    plain = text.replace("\N{MINUS SIGN}", "-")
    if _NOT_FINITE_ALONE.fullmatch(text):
        infinite = "inf" in plain.lower() or "\N{INFINITY}" in plain
        number = (-math.inf if plain.startswith("-") else math.inf) if infinite else math.nan
        return Reading(text, number, stands_for_number=True)
    if kind == "number:," and _GROUPED_ALONE.fullmatch(text):
        plain = re.sub(_MARK, "", plain)
    elif not _PLAIN_ALONE.fullmatch(text):
        numeric = bool(re.match(r"[-+.]?\.?\d", plain)) or bool(_MISSING_ALONE.fullmatch(text))
        return Reading(text, None, stands_for_number=numeric or placeholder)
    try:
        number = float(re.sub("[dD]", "e", plain))
    except ValueError:
        return Reading(text, None, stands_for_number=True)
    if kind == "int" and number != math.floor(number):
        return Reading(text, None, stands_for_number=True)
    return Reading(text, number, stands_for_number=True)


def _whole(line: str, start: int, end: int, *, consumed: bool) -> tuple[int, int]:
    """The span of the number of which a group matched a part; `consumed` says that the pattern itself has
    taken what stands before the group."""
    while start < end and line[start].isspace():
        start += 1
    if not re.match(r"[-+.]?\.?\d", line[start:end]):
        return start, end
    if not consumed and (before := _DIGITS_BEFORE.search(line, 0, start)):
        start = before.start()
    if (
        start
        and re.match(_SIGN, line[start - 1])
        and not re.match(r"[-+\w.)]", line[start - 2 : start - 1])
    ):
        start -= 1
    rest = _REST.match(line, start)
    return (start, end) if rest is None else (start, max(end, rest.end()))


# -- text with kinds --------------------------------------------------------------------------


def _of_kinds(metric: str, text: str, kinds: list[str]) -> Pattern:
    values = [kind for kind in kinds if kind in KINDS]
    unknown = [kind for kind in kinds if kind not in (*KINDS, ANY)]
    if unknown:
        raise JobError(
            f"metrics: {metric}: there is no {{{unknown[0]}}}{did_you_mean(unknown[0], (*KINDS, ANY))} "
            "(write {{ and }} for braces)"
        )
    if len(values) != 1:
        raise JobError(
            f"metrics: {metric}: {text!r} has {len(values) or 'no'} numbers; exactly one of "
            f"{', '.join(f'{{{kind}}}' for kind in KINDS)} says where the value is; {{any}} stands for any text"
        )
    sign = _REGEX_SIGNS.search(_KIND.sub("", text))
    if sign is not None:
        raise JobError(
            f"metrics: {metric}: {text!r} is plain text because of {{{values[0]}}}, and {sign[0]} would have to be "
            "printed as it stands; write {any} for any text, or a regular expression with a group: "
            f"{metric}=(\\S+)"
        )
    return Pattern(
        metric,
        text,
        regex.compile(_kinds_regex(text)),
        VALUE,
        kind=values[0],
        literal=_longest_word(_KIND.sub(_brace_or_gap, text)),
    )


def _brace_or_gap(match: re.Match[str]) -> str:
    """What a doubled brace stands for; a gap for a kind."""
    return " " if match[1] else match[0][0]


def _longest_word(text: str) -> str:
    return max(re.split(r"[\s\ufffd]+", text), key=len)  # U+FFFD may be any byte


def _kinds_regex(text: str) -> str:
    """The regular expression for text with kinds."""
    out, at = "", 0
    for match in _KIND.finditer(text):
        literal = text[at : match.start()]
        out += _literal(literal)
        at = match.end()
        if match[1] is None:
            out += re.escape(match[0][0])
        elif match[1] == ANY:
            out += ".*?"
        else:
            after = text[at : at + 1]
            bound = "" if after and re.match(r"[\w.,:+%-]", after) else _GOES_ON
            number = _NUMBER
            if match[1] == "number:,":
                number = rf"(?>{_SIGN}?{_GROUPED}|{_PLAIN}(?!,\d))"
            space = r"\s*" if not literal or not literal[-1].isalnum() else ""
            edge = "" if literal else r"(?<![\w.])"
            other = r"\S+?" if text[at:] else r"\S+"
            out += rf"{space}{edge}(?P<{VALUE}>{_NOT_FINITE}|{number}{bound}|{_MISSING}|{other})"
    out += _literal(text[at:])
    return (r"(?<![\w./-])" if re.match(r"\w", text) else "") + out


def _literal(text: str) -> str:
    """Text as it stands, but for how much space is between words."""
    return r"\s+".join(re.escape(part) for part in re.split(r"\s+", text))


# -- regular expressions ----------------------------------------------------------------------


def _of_regex(metric: str, text: str, kinds: list[str]) -> Pattern:
    try:
        compiled = regex.compile(text)
    except regex.error as error:
        raise JobError(
            f"metrics: the pattern of {metric!r} is no regular expression: {error}"
        ) from None
    group = VALUE if VALUE in compiled.groupindex else 1
    if compiled.groups != 1 and group != VALUE:
        if kinds and not compiled.groups:
            raise JobError(
                f"metrics: {metric}: there is no {{{kinds[0]}}}{did_you_mean(kinds[0], KINDS)}"
            )
        raise JobError(
            f"metrics: the pattern of {metric!r} has {compiled.groups} groups; write it as text with "
            f"{{number}} where the number is, such as {metric}={{number}}, or with exactly one group: "
            f"{metric}=(\\S+); of several, call one (?P<{VALUE}>...)"
        )
    verbose = compiled.flags & regex.VERBOSE
    literal = "" if verbose else _literal_prefix(text)
    place = None if verbose else _place(text, group)
    if place is None:
        return Pattern(metric, text, compiled, group, literal=literal)
    before, inside, after = text[: place[0]], text[place[0] : place[1]], text[place[1] + 1 :]
    named = re.search(r"[A-Za-z=:]", re.sub(r"\\.|\(\?[A-Za-z<!=:P]*", "", before))
    missing = f"|{_MISSING}|{_PLACEHOLDER}" if named else ""
    wide = rf"\s*(?:(?<!\w)(?:{_NOT_FINITE})|{_NUMBER}{_GOES_ON}{missing})|(?:{inside})"
    try:
        compiled = regex.compile(before + wide + text[place[1] :])
    except regex.error:  # an option set in the group, say
        return Pattern(metric, text, compiled, group, literal=literal)
    cut = re.match(r"\\[.,]|[eE,_]|\[(?:\.|eE|Ee|e|E|,)\]|\\d|\[0-9", after)
    return Pattern(metric, text, compiled, group, _cut=cut is not None, literal=literal)


def _literal_prefix(text: str) -> str:
    """The text with which every match of a regular expression begins, as far as that is certain."""
    if "|" in text or re.search(r"\(\?[^:P<=!]", text):  # other ways, or options
        return ""
    begin = re.match(r"\^?(?:\(\?:)?((?:[\w \"',:;=/<>@#%&~!-]|\\[^\w])+)", text, re.ASCII)
    if begin is None:
        return ""
    prefix = begin[1]
    if re.match(r"[*?{+]", text[begin.end() :]):  # the last sign may be missing, or come again
        prefix = re.sub(r"(?s)(?:\\.|.)\Z", "", prefix)
    if "(?:" in begin[0] and re.search(r"\)[*?{]", text):
        return ""
    return _longest_word(re.sub(r"\\(.)", r"\1", prefix))


def _place(text: str, group: int | str) -> tuple[int, int] | None:
    """Where the content of a group stands in a regular expression; None where that is not certain."""
    places: list[tuple[int, int]] = []
    opened: list[tuple[int, bool]] = []
    count = i = 0
    while i < len(text):
        match text[i]:
            case "\\":
                i += 1
            case "[":
                i = _class_end(text, i)
            case "(":
                name = re.match(r"\(\?P?<(?![=!])(\w+)>", text[i:])
                captures = name is not None or text[i + 1 : i + 2] != "?"
                count += captures
                wanted = captures and ((name is not None and name[1] == group) or count == group)
                opened.append((i + (1 if name is None else name.end()), wanted))
            case ")":
                if not opened:
                    return None
                start, wanted = opened.pop()
                if wanted:
                    places.append((start, i))
        i += 1
    return places[0] if len(places) == 1 else None


def _class_end(text: str, start: int) -> int:
    """Where the bracket closes that opens at `start`."""
    i = start + 1
    if text[i : i + 1] == "^":
        i += 1
    if text[i : i + 1] == "]":
        i += 1
    while i < len(text) and text[i] != "]":
        i += 2 if text[i] == "\\" else 1
    return i
