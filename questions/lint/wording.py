"""Rules about words: what two careful readers could read differently."""

from __future__ import annotations

import re
from collections.abc import Iterator

from questions.findings import Severity
from questions.lint.rule import (
    DATE,
    Context,
    Hit,
    contextual,
    criteria_text,
    dates_in,
    hits_of,
    rule,
    title_and_criteria,
    title_and_procedure,
    words,
)
from questions.model import QuestionKind
from questions.question import Question

_COUNT = r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|twelve|a|a few|several|the next)"
_SPAN = r"(?:hours?|days?|weeks?|months?|quarters?|years?|decades?)"
_RELATIVE = words(
    rf"within (?:the next )?{_COUNT} (?:\w+ )?{_SPAN}(?!\s+(?:of|after|before|from|apart))"
    rf"|(?:in|over|during) the (?:next|coming) (?:{_COUNT} )?{_SPAN}"
    rf"|{_COUNT} {_SPAN} from now|(?:this|next) (?:century|decade|year|month|week|quarter)(?! ends?\b)"
    r"|(?:by |before )?(?:EOY|EOM|EOQ|year[- ]end)|(?:the )?end of (?:the|this|next) (?:year|month|quarter|decade)"
    r"|soon|shortly|(?:in the )?near future|recently|today|tomorrow|nowadays|upcoming|by now|so far"
)
_VAGUE = words(
    r"significant(?:ly)?|major|widely|most|mostly|substantial(?:ly)?|essentially|roughly|high-impact|meaningful(?:ly)?"
    r"|leading|state[- ]of[- ]the[- ]art|credible reporting|credible reports|consensus|visibl[ey]|generally accepted"
)
_UTTERANCE = words(
    r"declar(?:es?|ed|ing)|announc(?:es?|ed|ing)|proclaims?(?:ed)?|acknowledg(?:es?|ed)|admit(?:s|ted)"
    r"|tweets?|says? (?:that|it|its|they)|claims? (?:that|to)|states? that|publicly (?:says?|claims?|states?)"
    r"|uses? the (?:words?|phrase|term)|calls? (?:it|itself|its)"
)
_NEAR_MISS = words(
    r"declar\w*|announc\w*|sa(?:ys?|id|ying)|claim\w*|stat(?:es?|ed|ement)|word\w*|phrase|term|rumou?rs?|hints?"
)
_NEGATION = re.compile(r"\b(?:not|no|never|none|neither|without|fails?|cannot)\b|n't\b", re.IGNORECASE)
_NEGATIVE_TITLE = re.compile(r"\b(?:not|never|fails? to|n't)\b|n't\b", re.IGNORECASE)
_EXCEPTION = words(
    r"except(?:ions?)?|unless|notwithstanding|carve-?outs?|refund(?:ed|s)?|last[- ]traded|splits?|half"
)
_EARLY = 300  # characters that people read of a market's text before they trade
_UNFILLED = re.compile(
    r"\$\{\w*\}|\{\{.*?\}\}|\{[a-z_]+\}|<[A-Z][A-Z_ ]+>|%\([a-z_]+\)s|\b(?:TODO|FIXME|XXX|lorem ipsum)\b"
    r"(?:: [^.\n\"]*)?|\[(?:insert|name|date|number|area|company)[^\]]*\]",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[^\W_][\w'’.+-]*[^\W_]|[^\W_]")
_FIGURE = re.compile(r"\d+(?:,\d{3})+|\d+(?:\.\d+)?")
_PLAIN = words(
    r"will|would|shall|should|could|which|what|when|where|whether|does|have|has|been|being|first|"
    r"last|reach|reaches|reached|that|this|these|those|there|their|than|then|more|less|least|most|"
    r"from|with|before|after|between|until|into|onto|over|under|above|below|about|date|year|years|"
    r"month|months|day|days|question|happen|happens|come|comes|become|becomes|exceed|exceeds|make|"
    r"makes|take|takes|show|shows|many|much|each|every|any|some|such|only|also|other|another|either|"
    r"both|they|them|were|was"
)
_SHARED_LETTERS = 5  # reaches, reached and reaching are one word


@rule("Q05", Severity.ERROR, "no dates that depend on when one reads them")
def relative_dates(question: Question) -> Iterator[Hit]:
    for path, found in hits_of(_RELATIVE, title_and_criteria(question)):
        yield Hit(
            path,
            f"{found!r} means another day to every reader",
            f"write the day, such as {question.dates.close:%Y-%m-%d}, or the event it is counted from",
        )


@rule("Q18", Severity.WARNING, "no vague terms without a definition")
def vague_terms(question: Question) -> Iterator[Hit]:
    known = {term.casefold() for term, meaning in question.glossary.items() if meaning.strip()}
    for path, found in hits_of(_VAGUE, title_and_procedure(question)):
        if found.casefold() not in known:
            yield Hit(
                path,
                f"{found!r} is read differently by different people",
                f'write a number or a name instead, or define it: glossary."{found.casefold()}" = "…"',
            )


@rule("Q20", Severity.WARNING, "what is done decides, not what somebody says")
def utterances(question: Question) -> Iterator[Hit]:
    listed = bool(question.resolution.evidence_whitelist)
    misses = any(_NEAR_MISS.search(f"{case.scenario} {case.outcome}") for case in question.edge_cases)
    if listed and misses:
        return
    lacking = " and ".join(
        what
        for what, there in (
            ("evidence_whitelist (speakers and channels)", listed),
            ("an edge_case for what comes near it and does not count", misses),
        )
        if not there
    )
    for path, found in hits_of(_UTTERANCE, title_and_procedure(question)):
        yield Hit(
            path,
            f"the outcome hangs on somebody's words ({found!r})",
            f"ask for what is done, or add {lacking}",
        )


@contextual("Q22", Severity.ERROR, "the title promises what the criteria hold")
def headline(question: Question, context: Context) -> Iterator[Hit]:
    text = criteria_text(question)
    plain = text.casefold()
    days = {day for _, day in dates_in(text)}
    for written, day in dates_in(question.title):
        if day not in days:
            yield _absent("the date", written)
    title = DATE.sub(" ", question.title)
    figures = {_value(figure) for figure in _FIGURE.findall(text)}
    for figure in dict.fromkeys(_FIGURE.findall(title)):
        value = _value(figure)
        if value not in figures and not (f"{figure}%" in title and value / 100 in figures):
            yield _absent("the number", figure)
    for key in question.areas:
        area = context.areas.get(key)
        if area and area.name.casefold() in question.title.casefold() and area.name.casefold() not in plain:
            yield _absent("the area", area.name)
    if (negation := _NEGATION.search(question.title)) and not _NEGATION.search(text):
        yield _absent("the negation", negation.group())
    procedure = question.measurement.procedure
    late = _EXCEPTION.search(procedure, _EARLY)
    if late and not _EXCEPTION.search(procedure[:_EARLY]):
        yield Hit(
            ("measurement", "procedure"),
            f"an exception ({late.group()!r}) stands after the first {_EARLY} characters",
            "say in the first sentence what is paid in the exception",
        )


def _absent(what: str, word: str) -> Hit:
    return Hit(
        ("title",),
        f"{what} {word} of the title is not in the criteria",
        f"write {word} in measurement.procedure as well, or take it out of the title",
    )


def _value(figure: str) -> float:
    return float(figure.replace(",", ""))


@rule("Q29", Severity.ERROR, "title and criteria are about the same, filled in, and Yes means it happens")
def integrity(question: Question) -> Iterator[Hit]:
    passages = [*title_and_criteria(question), (("background",), question.background)]
    for path, found in hits_of(_UNFILLED, passages):
        yield Hit(path, f"{found!r} is still to be filled in", "write what it stands for")
    lacking = _missing_words(question)
    if lacking:
        yield Hit(
            ("measurement", "procedure"),
            f"the criteria never speak of: {', '.join(lacking)}",
            "write in measurement.procedure when the thing that the title names has happened",
        )
    two_sided = question.kind in (QuestionKind.BINARY, QuestionKind.CONDITIONAL)
    if two_sided and (denied := _NEGATIVE_TITLE.search(question.title)):
        yield Hit(
            ("title",),
            f"{denied.group()!r}: Yes would mean that something does not happen",
            "ask whether it happens, so that Yes means the title comes true",
        )


def _missing_words(question: Question) -> list[str]:
    """Names of the title that the criteria lack; or its words, when more than a third of them are lacking."""
    there = {_stem(word) for word in _TOKEN.findall(criteria_text(question))}
    title = _TOKEN.findall(DATE.sub(" ", question.title))
    asked = [
        word
        for word in dict.fromkeys(title)
        if len(word) > 3 and not _PLAIN.fullmatch(word) and not word[0].isdigit()
    ]
    lacking = [word for word in asked if _stem(word) not in there]
    names = [
        word for word in lacking if any(letter.isupper() for letter in word[(word != title[0] and 0) or 1 :])
    ]
    return lacking if 3 * len(lacking) > len(asked) else names


def _stem(word: str) -> str:
    plain = word.casefold().removesuffix("'s").removesuffix("’s")
    return plain[:_SHARED_LETTERS] if len(plain) > _SHARED_LETTERS else plain.removesuffix("s")


RULES = (relative_dates, vague_terms, utterances, headline, integrity)
