"""A digest put into words, once, for HTML and plain text: a number cannot stand in one and be missing in the other.

All text has been through ``plain``; escaping is the template's work. A link is an https page on the allow-list where
the number can be read there, else it leads to the end of its section (on the digest's own page where one is
configured), which names the command that prints it and the payloads it was read from.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from questions.time import iso
from tracker.digest.content import (
    CALIBRATION_LEAD_DAYS,
    SAID_DAYS,
    Closing,
    DataHealth,
    Digest,
    Dispute,
    Mover,
    Opinion,
    OrderChange,
    OrderRow,
    Overdue,
    PointChange,
    Resolved,
    Standing,
    Subject,
    TrendNews,
)
from tracker.digest.movement import LEAST_CHANGE, LEAST_Z, NOISE_WEEKS
from tracker.digest.outcomes import OURS
from tracker.digest.trends import POINTS_TOLD
from tracker.digest.why import percent
from tracker.report.content import ReliabilityReport
from tracker.report.sections import Column
from tracker.report.wording import (
    clean,
    counted,
    day,
    decimal,
    duration,
    https_url,
    interval,
    minute,
    voice_title,
)

TITLE_LIMIT = 110
ORIGIN = "from-"
HASH_SHOWN = 12
FACT_LIMIT, CELL_LIMIT, NOTE_LIMIT, LINE_LIMIT = 160, 160, 360, 600
MOST_MARKS = 2  # combining marks on one letter: more of them are drawn over the lines above and below
CLOSING_TOLD, RESOLVED_TOLD, OVERDUE_TOLD, RECORDS_TOLD, TRENDS_TOLD, LINES_TOLD = 8, 10, 5, 6, 6, 6
SAID_TOLD, OPINIONS_TOLD = 5, 2
PASSED_TOLD = 3
FAR = 0.05  # movers beyond five points are counted in the subject
COLUMNS = {"internal": "Model"}  # where the full title would not fit a telephone
HOSTS = (
    "metaculus.com",
    "manifold.markets",
    "polymarket.com",
    "kalshi.com",
    "randforecastinginitiative.org",
    "fatebook.io",
    "forecastbench.org",
    "metr.org",
    "epoch.ai",
    "swebench.com",
    "github.com",
    "anthropic.com",
    "huggingface.co",
)
_SCHEME = re.compile(r"\b([a-z][a-z0-9+.-]{1,20}):(?=\S)", re.IGNORECASE)
_ENDLESS = re.compile(r"(\S{60})(?=\S)")
_NAMED = re.compile(
    r"([a-z]+:)?[\w.-]{1,80}( \(payloads? [0-9a-f, ]+\))?", re.ASCII
)  # an id that may be typed again
_HOSTLIKE = re.compile(r"\b(www)\.(?=\S)", re.IGNORECASE)


def plain(text: str, limit: int = TITLE_LIMIT) -> str:
    """Somebody else's text made harmless: one line, nothing invisible, no towers of marks, no word without end,
    nothing that a mail program would turn into a link by itself.

    >>> plain("now javascript:alert(1) or http://evil.example\\u202e")
    'now javascript: alert(1) or http: //evil.example'
    """
    kept: list[str] = []
    marks = 0
    for character in clean(text[: 4 * limit], limit=4 * limit):
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks <= MOST_MARKS:
            kept.append(character)
    dull = _HOSTLIKE.sub(r"\1 .", _SCHEME.sub(r"\1: ", "".join(kept)))
    return clean(_ENDLESS.sub(r"\1 ", dull), limit=limit)


def _cleaned(record: object, limit: int, *names: str) -> None:
    """Whatever reaches a line of a mail has gone through ``plain``, wherever it came from."""
    for name in names:
        object.__setattr__(record, name, plain(getattr(record, name), limit))


@dataclass(frozen=True)
class Where:
    """How numbers become links: hosts that may be linked, and the digest's own page if it has one."""

    hosts: tuple[str, ...] = HOSTS
    permalink: str | None = None

    def link(self, url: str) -> str | None:
        """The URL if it is https and its host, or a parent of it, is on the list."""
        safe = https_url(url) if url else None
        if safe is None:
            return None
        host = (urlsplit(safe).hostname or "").rstrip(".")
        return safe if any(host == one or host.endswith(f".{one}") for one in self.hosts) else None

    def own(self, section: str) -> str:
        """Where a section says where its numbers come from: in the archive if there is one, else in the mail itself."""
        return f"{self.permalink or ''}#{ORIGIN}{section}"


def where(base_url: str, label: str) -> Where:
    """With the permalink of a digest in an archive published at a base URL; one that is empty or not https has none."""
    safe = https_url(base_url) if base_url else None
    return Where(permalink=f"{safe.rstrip('/')}/{label}.html" if safe else None)


@dataclass(frozen=True)
class Fact:
    """A number in words, where it comes from, and its direction: up, down or neither."""

    text: str
    href: str | None = None
    strong: bool = False
    way: str = ""

    def __post_init__(self) -> None:
        _cleaned(self, FACT_LIMIT, "text")


@dataclass(frozen=True)
class Item:
    """A line with a heading, what is known of it, and why."""

    title: str
    href: str | None = None
    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _cleaned(self, TITLE_LIMIT, "title")
        object.__setattr__(self, "notes", tuple(plain(note, NOTE_LIMIT) for note in self.notes))


@dataclass(frozen=True)
class Cell:
    """A table cell: ``sub`` is a second, smaller line; ``absent``: it stands for something that is not there."""

    text: str
    sub: str = ""
    href: str | None = None
    absent: bool = False
    way: str = ""

    def __post_init__(self) -> None:
        _cleaned(self, CELL_LIMIT, "text", "sub")


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of a row is its header."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Section:
    """A heading, what it says, and the commands that show its numbers. ``more``: how many lines were left out;
    ``origins``: what its numbers were read from, with the first digits of the payloads' SHA-256."""

    key: str
    title: str
    lead: tuple[str, ...] = ()
    table: Table | None = None
    items: tuple[Item, ...] = ()
    more: str = ""
    commands: tuple[str, ...] = ()
    chart: str = ""
    origins: tuple[str, ...] = ()

    @property
    def origin_words(self) -> str:
        """What its origins are to its commands."""
        return "with ID one of" if any(" ID " in command for command in self.commands) else "read from"

    def __post_init__(self) -> None:
        object.__setattr__(self, "lead", tuple(plain(line, LINE_LIMIT) for line in self.lead))
        kept = (line if _NAMED.fullmatch(line) else plain(line) for line in self.origins)
        object.__setattr__(self, "origins", tuple(kept))
        _cleaned(self, LINE_LIMIT, "more")


@dataclass(frozen=True)
class Letter:
    """The whole mail in words: ``quiet`` ones have three lines and no sections. ``chosen``: what its reader chose."""

    subject: str
    label: str
    stamp: str
    stamp_iso: str
    lines: tuple[str, ...]
    sections: tuple[Section, ...]
    quiet: bool
    permalink: str | None = None
    commands: tuple[str, ...] = ()
    version: str = ""
    chosen: str = ""


def letter(digest: Digest, places: Where) -> Letter:
    """The digest in words. Its order is the reader's: the one fact, then what changed, then whether to trust it."""
    lines, sections = (_quiet(digest), ()) if digest.quiet else ((), _sections(digest, places))
    stamp = minute(digest.period.at)
    return Letter(
        subject(digest),
        digest.period.label,
        stamp,
        iso(digest.period.at),
        tuple(lines),
        tuple(sections),
        digest.quiet,
        places.permalink,
        (f"speedup digest --as-of {iso(digest.period.at)} --preview DIR",),
        digest.program_version,
        _chosen(digest),
    )


def _chosen(digest: Digest) -> str:
    """What somebody chose to be told; empty for who chose nothing."""
    parts = [f"of {', '.join(digest.chosen)}"] if digest.chosen else []
    if digest.taste.least is not None:
        parts.append(f"of questions that moved by {digest.taste.least:g} in log-odds or more")
    if not parts:
        return ""
    rest = "" if digest.quiet else " Ranks, calibration, series and data health are told whole."
    return f"As you chose, told {', '.join(parts)}.{rest}"


def shorter(words: Letter, most: int, width: int) -> Letter:
    """The letter with at most ``most`` lines in every list and ``width`` characters in each of them."""
    return replace(words, sections=tuple(_shorter(section, most, width) for section in words.sections))


def _shorter(section: Section, most: int, width: int) -> Section:
    items = tuple(
        Item(
            plain(item.title, width),
            item.href,
            tuple(replace(fact, text=plain(fact.text, width)) for fact in item.facts),
            tuple(plain(note, width) for note in item.notes[:most]),
        )
        for item in section.items[:most]
    )
    left = len(section.items) - len(items)
    more = "; ".join(
        part for part in (section.more, f"{counted(left, 'more line')} left out" if left else "") if part
    )
    lead = section.lead[: most + 2]
    return replace(
        section,
        lead=tuple(plain(line, 3 * width) for line in lead),
        items=items,
        more=more,
        origins=section.origins[:most],
    )


# the subject --------------------------------------------------------------------------------------


def subject(digest: Digest) -> str:
    """The one fact. Made of our own words and the catalogue's names of areas; no platform's title gets in."""
    far = sum(abs(mover.change) > FAR for mover in digest.movers)
    moved = [f"{far} moved > 5 pts"] if far else []
    facts = [*_order_facts(digest.changes), *_outcome_facts(digest), *_trend_facts(digest.trends)]
    if not facts and digest.movers:
        facts = [] if far else [f"{counted(len(digest.movers), 'question')} moved beyond the usual noise"]
    told = [*facts[:1], *moved] or facts
    nothing = "no change above threshold" if digest.n_before else "nothing to compare with last week yet"
    text = "; ".join(told) if told else nothing
    return clean(f"{digest.period.short}: {text}", limit=120)


def _order_facts(changes: Sequence[OrderChange]) -> list[str]:
    rank = {"market": 0, "trend": 1, "panel": 2}
    facts = []
    for change in sorted(changes, key=lambda one: rank.get(one.voice, 3)):
        voice = change.voice if change.voice != "internal" else "model"
        if change.first:
            facts.append(
                f"{voice} order has a view for the first time, of {counted(len(change.entered), 'area')}"
            )
        elif change.passed:
            first, second = change.passed[0]
            rest = len(change.passed) - 1
            more = f" (+{rest} more)" if rest else ""
            facts.append(f"{first.lower()} passed {second.lower()} in {voice} order{more}")
        elif change.entered:
            facts.append(f"{voice} order now covers {change.entered[0].lower()}")
        else:
            facts.append(f"{voice} order no longer covers {change.left[0].lower()}")
    return facts


def _outcome_facts(digest: Digest) -> list[str]:
    return [f"{counted(len(digest.resolved), 'question')} resolved"] if digest.resolved else []


def _trend_facts(trends: Sequence[TrendNews]) -> list[str]:
    return [f"{plain(news.name, 50)}: {_counts(news)}" for news in trends]


def _counts(news: TrendNews) -> str:
    if news.first:
        return f"{counted(news.n_points, 'point')}, seen for the first time"
    parts = [
        f"{number} {word}"
        for number, word in (
            (news.n_added, "new"),
            (news.n_revised, "revised"),
            (news.n_interval, "with another interval only"),
            (news.n_removed, "gone"),
        )
        if number
    ]
    return ", ".join(parts)


# three lines --------------------------------------------------------------------------------------


def _quiet(digest: Digest) -> list[str]:
    """Nothing happened: that, what stands, and whether the data can be trusted."""
    bar = f"{LEAST_CHANGE * 100:.0f} points and {LEAST_Z:.0f} times its usual weekly change or more"
    if digest.taste.least is not None:
        bar += f", and {digest.taste.least:g} in log-odds"
    moved = (
        f"none of {counted(digest.n_followed, 'followed question')} moved by {bar}"
        if digest.n_followed
        else "no question with a standing value is followed"
    )
    first = (
        f"No change above threshold in the week to {minute(digest.period.at)}: no order of areas changed, {moved}, "
        "nothing resolved, no series was revised."
    )
    counts = [
        f"{len(part)} {word}"
        for part, word in (
            (digest.closing, "closing within 14 days"),
            (digest.overdue, "overdue"),
            (digest.disputes, "disagreements worth a forecast"),
        )
        if part
    ]
    standing = (
        f"Standing: {', '.join(counts)}."
        if counts
        else "Nothing closes within 14 days and nothing is overdue."
    )
    last = f"Data: {_verdict(digest.health)}"
    return [first, standing, f"{last} {_skipped(digest)}" if digest.skipped else last]


# sections -----------------------------------------------------------------------------------------


def _sections(digest: Digest, places: Where) -> list[Section]:
    at, since = iso(digest.period.at), iso(digest.period.since)
    return [
        _order(digest, places, at, since),
        _movers(digest, places, at),
        _disputes(digest, places, at),
        _ends(digest, places, at),
        _calibration(digest, places, at),
        _trends(digest, places, at, since),
        _health(digest, at),
    ]


def _order(digest: Digest, places: Where, at: str, since: str) -> Section:
    spoken = [name for name, covered, _ in digest.voices if covered]
    silent = [(name, reason) for name, covered, reason in digest.voices if not covered]
    lead = [_passed(change) for change in digest.changes]
    if not lead:
        lead = [
            "No order changed since last week."
            if digest.n_before
            else "No value was stored a week ago: which area passed which is told from next week on."
        ]
    if digest.skipped:
        lead.insert(0, _skipped(digest))
    lead += [f"{voice_title(name)}: no view ({plain(reason, 160)})." for name, reason in silent]
    href = places.own("order")
    table = Table(
        "Rank of each area by each voice, 1 = sped up first; the change since last week beside it (▲ sooner, ▼ later)",
        (Column("Area"), *(Column(COLUMNS.get(name, voice_title(name)), numeric=True) for name in spoken)),
        tuple(_order_row(row, spoken, href) for row in digest.order),
    )
    items = tuple(
        Item(
            f"Why the order of “{voice_title(change.voice)}” changed",
            None,
            (),
            tuple(map(_line, change.why)),
        )
        for change in digest.changes
        if change.why
    )
    return Section(
        "order",
        "Which areas first",
        tuple(lead),
        table,
        items,
        commands=(f"speedup order --as-of {at} --since {since}",),
        chart="slope",
    )


def _skipped(digest: Digest) -> str:
    return f"No digest was sent for {', '.join(digest.skipped)}: it was too late for them when sending was possible."


def _passed(change: OrderChange) -> str:
    if change.first:
        return f"{voice_title(change.voice)}: a view for the first time, of {counted(len(change.entered), 'area')}."
    parts = [f"{first} passed {second}" for first, second in change.passed[:PASSED_TOLD]]
    if len(change.passed) > PASSED_TOLD:
        parts.append(f"{len(change.passed) - PASSED_TOLD} more pairs swapped")
    parts += [f"{area} came in" for area in change.entered] + [f"{area} fell out" for area in change.left]
    return f"{voice_title(change.voice)}: {'; '.join(parts)}."


def _order_row(row: OrderRow, spoken: Sequence[str], href: str) -> tuple[Cell, ...]:
    gap = row.gap
    sub = ""
    if gap is not None and abs(gap.p_a - gap.p_b) >= 0.3:
        a, b = voice_title(gap.voice_a), voice_title(gap.voice_b)
        sub = f"before {gap.other}: {a} {percent(gap.p_a)}, {b} {percent(gap.p_b)}"
    cells = [_rank(row.standings.get(name), href) for name in spoken]
    return (Cell(row.name, sub, href if sub else None), *cells)


def _rank(standing: Standing | None, href: str) -> Cell:
    if standing is None:
        return Cell("no view", absent=True)
    text = f"{standing.rank}=" if standing.tied else f"{standing.rank}"
    if standing.before is None:
        return Cell(f"{text} new", href=href)
    moved = standing.before - standing.rank
    if not moved:
        return Cell(text, href=href)
    return Cell(
        f"{text} {'▲' if moved > 0 else '▼'}{abs(moved)}", href=href, way="up" if moved > 0 else "down"
    )


def _movers(digest: Digest, places: Where, at: str) -> Section:
    rule = (
        f"Sorted by z, the change over the question's own usual weekly change (from up to {NOISE_WEEKS} weeks). Told "
        f"are moves of {LEAST_CHANGE * 100:.0f} points and {LEAST_Z:.0f} times the usual or more; "
        f"{counted(digest.n_followed, 'question')} followed."
    )
    more = digest.n_movers - len(digest.movers)
    return Section(
        "movers",
        "What moved",
        (rule,) if digest.movers else (digest.missing["movers"],),
        items=tuple(_mover(mover, places, digest.taste.forecaster) for mover in digest.movers),
        more=f"{more} more moved" if more else "",
        commands=(f"speedup questions show ID --as-of {at}",) if digest.movers else (),
        origins=_origins(digest.movers),
    )


def _origins(lines: Sequence[Mover | Closing | Resolved | Overdue]) -> tuple[str, ...]:
    """The ids by which questions are asked for, with the payloads their values were read from."""
    return tuple(
        dict.fromkeys(
            f"{_id(line.subject)}{_payloads(line.raws if not isinstance(line, Overdue) else ())}"
            for line in lines
        )
    )


def _id(subject: Subject) -> str:
    own = subject.platform == OURS
    return subject.external_id if own else f"{subject.platform}:{subject.external_id}"


def _payloads(raws: Sequence[str]) -> str:
    if not raws:
        return ""
    return f" ({'payload' if len(raws) == 1 else 'payloads'} {', '.join(one[:HASH_SHOWN] for one in raws)})"


def _mover(mover: Mover, places: Where, me: str) -> Item:
    href, own = _href(mover.subject, places), places.own("movers")
    up = mover.change > 0
    points = f"{'▲ +' if up else '▼ −'}{abs(mover.change) * 100:.0f} pts"
    facts = [
        Fact(f"{percent(mover.previous)} → {percent(mover.now)}", href or own, strong=True),
        Fact(points, href or own, way="up" if up else "down"),
        Fact(f"z {decimal(mover.z, 1)} ({counted(mover.weeks, 'week')})", own),
        Fact(_people(mover.n), href or own) if mover.n is not None else Fact("people not told"),
        Fact(_source(mover.subject.platform, mover.source)),
        *(Fact(text, own) for text in _forecasts(mover.opinions, me)),
    ]
    why = mover.why or ("nothing stored says why",)
    return Item(plain(mover.subject.title), href, tuple(facts), (f"Why: {_line('; '.join(why))}.",))


def _forecasts(opinions: Sequence[Opinion], me: str) -> list[str]:
    """What the reader last forecast, where we know who that is; else what people did."""
    if me:
        return [f"you said {percent(one.probability)} on {day(one.at)}" for one in opinions if one.who == me]
    told = [
        f"{plain(one.who, 40)} said {percent(one.probability)} on {day(one.at)}"
        for one in opinions[:OPINIONS_TOLD]
    ]
    left = len(opinions) - OPINIONS_TOLD
    return [*told, f"{left} more forecast it"] if left > 0 else told


def _disputes(digest: Digest, places: Where, at: str) -> Section:
    lead = (
        "Pairs that two voices order differently, with 90% intervals of the market and the spread over all declared "
        "versions of the factor model. A forecast here tells most.",
    )
    return Section(
        "disagreements",
        "Disagreements worth a forecast",
        lead if digest.disputes else (digest.missing["disputes"],),
        items=tuple(_dispute(dispute, places) for dispute in digest.disputes),
        commands=(f"speedup order --as-of {at}",) if digest.disputes else (),
    )


def _dispute(dispute: Dispute, places: Where) -> Item:
    href = places.own("disagreements")
    facts = [
        Fact(_side(voice, p, ends), href, strong=True)
        for voice, p, ends in (
            (dispute.voice_a, dispute.p_a, dispute.range_a),
            (dispute.voice_b, dispute.p_b, dispute.range_b),
        )
    ]
    if dispute.weeks:
        facts.append(Fact(f"for {dispute.weeks} weeks" if dispute.weeks > 1 else "new this week", href))
    notes = []
    action = dispute.action
    if dispute.ours:
        notes.append(f"Forecast ours: speedup forecast add {dispute.ours}")
    if action is None:
        return Item(f"{dispute.first} before {dispute.second}", None, tuple(facts), tuple(notes))
    link = _href(action, places) or href
    facts.append(Fact(f"forecast “{plain(action.title, 80)}” on {action.platform}", link))
    return Item(f"{dispute.first} before {dispute.second}", None, tuple(facts), tuple(notes))


def _side(voice: str, p: float, ends: tuple[float, float] | None) -> str:
    told = f" ({percent(ends[0])} to {percent(ends[1])})" if ends else " (no interval)"
    return f"{voice_title(voice)} {percent(p)}{told}"


def _ends(digest: Digest, places: Where, at: str) -> Section:
    """Closing, resolved and overdue, in one section with three kinds of lines."""
    items = [_closing(one, places) for one in digest.closing[:CLOSING_TOLD]]
    items += [_resolved(one, places) for one in digest.resolved[:RESOLVED_TOLD]]
    items += [_overdue(one, places) for one in digest.overdue[:OVERDUE_TOLD]]
    lead = [
        f"Closing within 14 days: {len(digest.closing)}." if digest.closing else digest.missing["closing"],
        f"Outcomes learnt this week: {len(digest.resolved)}. Scores are of what was said {SAID_DAYS} days before the "
        "outcome, lower is better; being counted from the outcome they enter no calibration."
        if digest.resolved
        else digest.missing["resolved"],
        f"Overdue (closed, no outcome): {len(digest.overdue)}."
        if digest.overdue
        else digest.missing["overdue"],
    ]
    left = {
        "closing": len(digest.closing) - CLOSING_TOLD,
        "resolved": len(digest.resolved) - RESOLVED_TOLD,
        "overdue": len(digest.overdue) - OVERDUE_TOLD,
    }
    more = ", ".join(f"{number} more {word}" for word, number in left.items() if number > 0)
    return Section(
        "ends",
        "Closing, resolved, overdue",
        tuple(lead),
        items=tuple(items),
        more=more,
        commands=(f"speedup questions show ID --as-of {at}",) if items else (),
        origins=_origins(
            [
                *digest.closing[:CLOSING_TOLD],
                *digest.resolved[:RESOLVED_TOLD],
                *digest.overdue[:OVERDUE_TOLD],
            ]
        ),
    )


def _resolved(one: Resolved, places: Where) -> Item:
    href = _href(one.subject, places) or places.own("ends")
    facts = [Fact(f"Resolved {plain(one.outcome, 60)} on {day(one.at)}", href, strong=True)]
    notes = [
        f"{plain(said.who, 60)} said {percent(said.probability)}: Brier {decimal(said.brier, 3)}, log "
        f"{decimal(said.log_score, 2)}"
        for said in one.said[:SAID_TOLD]
    ]
    if len(one.said) > SAID_TOLD:
        notes.append(f"{len(one.said) - SAID_TOLD} more forecasters")
    if not one.said:
        notes = [
            "not scored: it came to neither Yes nor No"
            if one.value is None
            else f"no value of {SAID_DAYS} days before is stored"
        ]
    return Item(plain(one.subject.title), href, tuple(facts), tuple(notes))


def _closing(one: Closing, places: Where) -> Item:
    href = _href(one.subject, places) or places.own("ends")
    stands = "no value stands" if one.probability is None else f"at {percent(one.probability)}"
    facts = [Fact(f"Closes {day(one.closes_at)}", href, strong=True), Fact(stands, href)]
    if one.n is not None:
        facts.append(Fact(_people(one.n), href))
    facts.append(Fact(one.subject.platform if one.subject.platform != OURS else "our question"))
    notes = () if one.subject.platform != OURS else (f"speedup questions show {one.subject.external_id}",)
    return Item(plain(one.subject.title), href, tuple(facts), notes)


def _overdue(one: Overdue, places: Where) -> Item:
    href = _href(one.subject, places) or places.own("ends")
    text = f"Overdue: closed {day(one.closed_at)}, {counted(one.days, 'day')} ago"
    return Item(plain(one.subject.title), href, (Fact(text, href, strong=True), Fact(one.subject.platform)))


def _calibration(digest: Digest, places: Where, at: str) -> Section:
    rows = digest.records
    lead = (
        f"To date, {CALIBRATION_LEAD_DAYS} days before the close of questions that ran their course; lower is better; "
        "95% intervals over questions, left out where questions are too few.",
    )
    table = Table(
        "Scores to date",
        (Column("Forecaster"), Column("n", True), Column("Brier", True), Column("Log (nats)", True)),
        tuple(_record(row, places.own("calibration")) for row in rows[:RECORDS_TOLD]),
    )
    left = len(rows) - RECORDS_TOLD
    return Section(
        "calibration",
        "Calibration to date",
        lead if rows else (digest.missing["calibration"],),
        table if rows else None,
        more=f"{left} more forecasters" if left > 0 else "",
        commands=(f"speedup calibration --lead {CALIBRATION_LEAD_DAYS} --group-by forecaster --as-of {at}",)
        if rows
        else (),
        chart="calibration",
    )


def _record(row: ReliabilityReport, href: str) -> tuple[Cell, ...]:
    def score(value: float | None, ends: tuple[float, float] | None) -> Cell:
        if value is None:
            return Cell("none", absent=True)
        return Cell(decimal(value, 3), interval(ends, 3) if ends else "", href)

    name = "Everybody" if row.name == "all" else plain(row.name, 60)
    return (
        Cell(name),
        Cell(f"{row.n_questions:,}", href=href),
        score(row.brier, row.brier_ci95),
        score(row.log_score, row.log_score_ci95),
    )


def _trends(digest: Digest, places: Where, at: str, since: str) -> Section:
    news = digest.trends
    commands = tuple(
        f"speedup series diff {plain(one.series, 60)} {since} {at}" for one in news[:TRENDS_TOLD]
    )
    left = len(news) - TRENDS_TOLD
    return Section(
        "trends",
        "Trend news",
        () if news else (digest.missing["trends"],),
        items=tuple(_news(one, places) for one in news[:TRENDS_TOLD]),
        more=f"{left} more series" if left > 0 else "",
        commands=commands,
        chart="trend",
        origins=tuple(f"{plain(one.series, 60)}{_payloads(one.raws)}" for one in news[:TRENDS_TOLD]),
    )


def _news(news: TrendNews, places: Where) -> Item:
    own = places.own("trends")
    href = places.link(news.url) or own
    facts = [Fact(f"seen {day(news.seen_at)}", href), Fact(_counts(news), href, strong=True)]
    if news.doubling_after is not None:
        facts.append(Fact(f"doubling time {_days(news)} (line through the records)", own))
    points = news.points[:POINTS_TOLD]
    notes = [_point(point, first=news.first) for point in points]
    whole = news.n_points if news.first else news.n_added + news.n_revised + news.n_interval + news.n_removed
    if whole > len(points):
        notes.append(f"{whole - len(points)} more points")
    return Item(plain(news.name), href, tuple(facts), tuple(notes))


def _days(news: TrendNews) -> str:
    before, after = (
        None if days is None else f"{days:.0f}" for days in (news.doubling_before, news.doubling_after)
    )
    if before is None:
        return f"{after} days"
    return f"{after} days, as before" if before == after else f"{before} → {after} days"


def _point(point: PointChange, *, first: bool) -> str:
    name = f"{plain(point.label, 60)} ({plain(point.metric, 20)})"
    before, after = (
        None if value is None else _amount(value, point.unit) for value in (point.before, point.after)
    )
    if before is None:
        return f"{name}: {after}" if first else f"{name}: new, {after}"
    if after is None:
        return f"{name}: gone, was {before}"
    return (
        f"{name}: {before}, only its interval changed" if before == after else f"{name}: {before} → {after}"
    )


def _amount(value: float, unit: str) -> str:
    if unit == "minutes" and value > 0:
        return duration(value)
    return f"{value:,.4g} {plain(unit, 30)}"


def _health(digest: Digest, at: str) -> Section:
    health = digest.health
    items = [
        Item(
            source.name,
            None,
            (Fact(source.state, strong=True),),
            (_line(source.message),) if source.message else (),
        )
        for source in health.troubled[:LINES_TOLD]
    ]
    lead = [_sentence(_verdict(health)), *_health_lines(health)]
    return Section(
        "health",
        "Data health",
        tuple(map(_line, lead)),
        items=tuple(items),
        more=_left(len(health.troubled), "source"),
        commands=(f"speedup status --as-of {at}",),
    )


def _verdict(health: DataHealth) -> str:
    """Whether to trust the week's data, in one line."""
    if not health.sources:
        return "no source has been asked yet: `speedup pull` asks them."
    troubled = len(health.troubled)
    fresh = len(health.sources) - troubled
    state = (
        f"{fresh} of {len(health.sources)} sources in use {'is' if fresh == 1 else 'are'} fresh"
        if troubled
        else "the one source in use is fresh"
        if fresh == 1
        else f"all {fresh} sources in use are fresh"
    )
    parts = [
        f"{counted(number, noun)} {what}".strip()
        for number, noun, what in (
            (len(health.gaps), "gap", "this week"),
            (sum(health.quarantined.values()), "payload", "unread (quarantine)"),
            (health.states.get("not_permitted", 0), "question", "not permitted"),
            (health.states.get("stale", 0), "question", "stale"),
            (len(health.drift), "new difference", "in answers' shape"),
        )
        if number
    ]
    rest = (
        f"; {', '.join(parts)}"
        if parts
        else "; no gaps, every answer could be read and has its usual shape, nothing was refused"
    )
    return f"{state}{rest}."


def _health_lines(health: DataHealth) -> list[str]:
    lines = []
    if health.states:
        told = ", ".join(f"{number:,} {state.replace('_', ' ')}" for state, number in health.states.items())
        lines.append(f"Questions by state: {told}.")
    for source, start, end, reason in health.gaps[:LINES_TOLD]:
        lines.append(f"Gap: {source}, {minute(start)} to {minute(end)}: {plain(reason, 160)}.")
    if len(health.gaps) > LINES_TOLD:
        lines.append(f"{len(health.gaps) - LINES_TOLD} more gaps.")
    if health.quarantined:
        told = ", ".join(f"{number} of {source}" for source, number in health.quarantined.items())
        lines.append(f"In quarantine: {told}. Their bytes are kept; `speedup reparse` after an upgrade.")
    for source, place, what in health.drift[:LINES_TOLD]:
        lines.append(f"Drift: {source}, {plain(place, 80)}: {plain(what, 60)}.")
    if len(health.drift) > LINES_TOLD:
        lines.append(f"{len(health.drift) - LINES_TOLD} more differences.")
    for series, reason in health.frozen[:LINES_TOLD]:
        lines.append(f"Series {plain(series, 60)}: {plain(reason, 160)}.")
    if len(health.frozen) > LINES_TOLD:
        lines.append(f"{len(health.frozen) - LINES_TOLD} more series to look at.")
    if health.never:
        lines.append(f"Never asked: {', '.join(health.never)}.")
    return lines


# small words --------------------------------------------------------------------------------------


def _left(number: int, noun: str) -> str:
    return f"{counted(number - LINES_TOLD, f'more {noun}')}" if number > LINES_TOLD else ""


def _people(n: int) -> str:
    return f"{n:,} {'person' if n == 1 else 'people'}"


def _source(platform: str, source: str) -> str:
    return platform if platform == source else f"{platform} via {source}"


def _href(subject: Subject, places: Where) -> str | None:
    return places.link(subject.url)


def _line(text: str) -> str:
    return plain(text, LINE_LIMIT)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def links(sections: Iterable[Section]) -> list[str]:
    """Every address in some sections, once, in reading order."""
    found: list[str] = []
    for section in sections:
        cells = [cell for row in section.table.rows for cell in row] if section.table else []
        hrefs = [cell.href for cell in cells]
        for item in section.items:
            hrefs += [item.href, *(fact.href for fact in item.facts)]
        found += [href for href in hrefs if href]
    return list(dict.fromkeys(found))


__all__ = [
    "Cell",
    "Column",
    "Fact",
    "Item",
    "Letter",
    "Section",
    "Table",
    "Where",
    "letter",
    "plain",
    "where",
]
