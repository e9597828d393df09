"""``PageContent`` put into words and tables, once, for every output.

The page and the text twin only lay out what stands here, so a number cannot be in one and missing from
the other. All text of a section has been through ``wording.clean``; escaping is left to the template.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tracker.report.content import (
    AreaDateRow,
    AreaRow,
    CauseRow,
    Chart,
    ComparisonRow,
    EvidenceRow,
    Gap,
    HealthRow,
    PageContent,
    PairRow,
    Place,
    ReliabilityReport,
    RevisionRow,
    VoiceSummary,
)
from tracker.report.wording import (
    GROUP_TITLES,
    NO_VIEW,
    clean,
    counted,
    day,
    decimal,
    https_url,
    interval,
    minute,
    percent_change,
    voice_title,
)

_PARAGRAPH_LIMIT = 3000
_UNKNOWN = "not known"
_NONE = "none"


@dataclass(frozen=True)
class Cell:
    """One cell: cleaned text, a link only if it is safe, and whether it stands for something absent.

    ``limit``: characters after which the text is cut; more than the default only for our own words.
    """

    text: str
    href: str | None = None
    absent: bool = False
    limit: int = 300

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean(self.text, self.limit))
        object.__setattr__(self, "href", https_url(self.href) if self.href else None)


@dataclass(frozen=True)
class Column:
    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of a row is its header."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table {self.caption!r}: a row with another number of cells than columns")


@dataclass(frozen=True)
class Section:
    """A heading with charts, paragraphs, tables, more charts, points and commands, in that order. ``folded``: its
    tables are long and seldom read, may be shown closed; so may ``more_charts``, under their title."""

    key: str
    title: str
    paragraphs: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    more_charts: tuple[Chart, ...] = ()
    more_charts_title: str = ""
    tables: tuple[Table, ...] = ()
    points: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    folded: bool = False

    def __post_init__(self) -> None:
        for name in ("paragraphs", "points"):
            cleaned = tuple(clean(text, _PARAGRAPH_LIMIT) for text in getattr(self, name))
            object.__setattr__(self, name, cleaned)
        commands = tuple((clean(command), clean(what)) for command, what in self.commands)
        object.__setattr__(self, "commands", commands)


def sections(content: PageContent) -> tuple[Section, ...]:
    """The page's sections in reading order."""
    return (
        _ordering(content),
        _comparisons(content),
        _changes(content),
        _horizon(content),
        _calibration(content),
        _health(content),
        _evidence(content),
        _sources(content),
        _database(content),
        Section("caveats", "What this is not", points=content.caveats),
    )


def _absent(text: str) -> Cell:
    return Cell(text, absent=True)


def _number(value: float | None, places: int = 2, missing: str = _NONE) -> Cell:
    return _absent(missing) if value is None else Cell(decimal(value, places))


def _count(value: int) -> Cell:
    return Cell(f"{value:,}")


def _with_interval(value: float | None, ends: tuple[float, float] | None, places: int, level: str) -> Cell:
    if value is None:
        return _absent(_NONE)
    return Cell(
        decimal(value, places) + (f" ({level}: {interval(ends, places)})" if ends is not None else "")
    )


def _columns(*titles: str, numeric: Iterable[int] = ()) -> tuple[Column, ...]:
    at = set(numeric)
    return tuple(Column(title, index in at) for index, title in enumerate(titles))


# ordering ---------------------------------------------------------------------------------------


def _ordering(content: PageContent) -> Section:
    voices = content.ordering.voices
    titles = [voice_title(voice.name) for voice in voices]
    table = Table(
        "Rank of each area by each voice, 1 = soonest; mean rank in brackets",
        _columns("area", "group", *titles, "biggest disagreement"),
        tuple(_area_row(row, voices) for row in content.ordering.rows),
    )
    summary = Table(
        "The voices as a whole",
        _columns("voice", "areas", "P(capabilities first)", "firmness", "what it is", numeric=(1, 2, 3)),
        tuple(_voice_row(voice) for voice in voices),
    )
    paragraphs = (
        f"A rank counts only the areas a voice has evidence about; “{NO_VIEW}” is not a low rank. The biggest "
        "disagreement names the other area on which two voices differ most, with the probability each gives "
        "that this area comes first of the two (“neither” is split in halves). P(capabilities first) is the "
        "probability that the capabilities areas come before the safety areas on average; firmness is "
        "Kendall's tau-b of a voice's own draws with its ranking (1 = certain of its order, 0 = no order).",
        *_reason(content, "slope", bool(content.slope)),
    )
    return Section(
        "ordering",
        "Which areas first",
        paragraphs,
        (content.slope,) if content.slope else (),
        content.ranks,
        f"How likely each rank is: {counted(len(content.ranks), 'chart')}, one per voice",
        (table, summary),
    )


def _area_row(row: AreaRow, voices: tuple[VoiceSummary, ...]) -> tuple[Cell, ...]:
    ranks = [_rank(row.places.get(voice.name)) for voice in voices]
    gap = _absent("fewer than two views") if row.gap is None else Cell(_gap(row.gap))
    return (Cell(row.area), Cell(GROUP_TITLES[row.group]), *ranks, gap)


def _rank(place: Place | None) -> Cell:
    if place is None:
        return _absent(NO_VIEW)
    return Cell(f"{place.label} of {place.of} (mean {decimal(place.mean_rank, 1)})")


def _gap(gap: Gap) -> str:
    a, b = voice_title(gap.voice_a), voice_title(gap.voice_b)
    return f"before {clean(gap.other)}: {a} {decimal(gap.p_a)}, {b} {decimal(gap.p_b)}"


def _voice_row(voice: VoiceSummary) -> tuple[Cell, ...]:
    if voice.n_covered == 0:
        says = f"{NO_VIEW}: {voice.reason or 'no evidence'}"
    else:
        says = "; ".join(part for part in (voice.model, voice.note) if part)
    return (
        Cell(voice_title(voice.name)),
        Cell(f"{voice.n_covered} of {voice.n_areas}"),
        _number(voice.p_capabilities_first),
        _number(voice.tau_b_self),
        Cell(says, limit=1200),
    )


# comparisons ------------------------------------------------------------------------------------


def _comparisons(content: PageContent) -> Section:
    rows = content.comparisons
    paragraphs = (
        "Kendall's tau-b is 1 for the same order, −1 for the reverse and 0 on average for unrelated orders. The "
        "interval of draws comes from resampling both sides. Single draws agree less than what they are about: that "
        "is told behind the noise, where both voices say how sure they are. The null spread is tau-b's standard "
        "deviation for unrelated orders of that many areas: with few areas a large tau-b means little. The weighted "
        "distance (0 = none, 1 = all) is the share of pair weight on which the two disagree. Listed are the pairs of "
        "areas on which two voices stand on opposite sides of one half by 0.15 each, and for how many weeks: a single "
        "week is no news.",
        *_reason(content, "agreement", bool(content.agreement)),
    )
    charts = (content.agreement,) if content.agreement else ()
    titled = f"Where they differ, pair by pair: {counted(len(content.pairs), 'chart')}"
    if not rows:
        missing = (
            *_reason(content, "comparisons", present=False),
            *_reason(content, "agreement", bool(content.agreement)),
        )
        return Section("comparisons", "Do the voices agree", missing, charts, content.pairs, titled)
    table = Table(
        "How pairs of voices compare on the areas both cover",
        _columns(
            "voices",
            "shared areas",
            "tau-b",
            "behind the noise, 90 %",
            "null spread",
            "weighted distance",
            "verdict",
            numeric=(1, 2, 3, 4, 5),
        ),
        tuple(_comparison_row(row) for row in rows),
    )
    points = tuple(
        f"{voice_title(row.a)} against {voice_title(row.b)}: {clean(text)}"
        for row in rows
        for text in row.disagreements
    )
    return Section(
        "comparisons", "Do the voices agree", paragraphs, charts, content.pairs, titled, (table,), points
    )


def _comparison_row(row: ComparisonRow) -> tuple[Cell, ...]:
    return (
        Cell(f"{voice_title(row.a)} and {voice_title(row.b)}"),
        _count(row.n_shared),
        _with_interval(row.tau_b, row.tau_b_ci90, 2, "90 % of draws"),
        _absent("not known") if row.tau_latent_ci90 is None else Cell(interval(row.tau_latent_ci90, 2)),
        _number(row.tau_null_sd),
        _number(row.weighted_distance),
        Cell(row.verdict),
    )


# changes ----------------------------------------------------------------------------------------


def _changes(content: PageContent) -> Section:
    title = "What changed, and why"
    found = content.changes
    if found is None:
        return Section("changes", title, _reason(content, "changes", present=False))
    paragraph = (
        f"Between the weeks that ended on {day(found.since)} and {day(found.until)}, each as known then. An "
        "input's effect is what would not have happened with this input alone put back to what it said before."
    )
    tables: tuple[Table, ...] = ()
    if found.causes:
        table = Table(
            "Inputs that moved an order, the largest effect first",
            _columns("input", "voice", "before", "after", "effect", numeric=(2, 3)),
            tuple(_cause_row(row) for row in found.causes),
        )
        tables = (table,)
    return Section("changes", title, (paragraph,), tables=tables, points=found.sentences)


def _cause_row(row: CauseRow) -> tuple[Cell, ...]:
    return (
        Cell(row.title, href=row.url or None),
        Cell(voice_title(row.voice)),
        Cell(row.before),
        Cell(row.after),
        Cell(row.effect),
    )


# horizons ---------------------------------------------------------------------------------------


def _horizon(content: PageContent) -> Section:
    rows = content.revisions
    paragraphs = [
        "METR measures how long the tasks are, in human working time, that a system finishes half the time. The "
        "series is re-computed when systems are added, so points published earlier move too; each version seen "
        "is kept."
    ]
    paragraphs += content.series_ages
    paragraphs += _reason(content, "horizon", bool(content.horizon))
    paragraphs += _reason(content, "revisions", bool(rows))
    table = Table(
        "Versions of the METR series and what each changed",
        _columns(
            "version",
            "doubling time before (days)",
            "doubling time after (days)",
            "points added",
            "removed",
            "revised",
            "only interval moved",
            "largest change",
            numeric=range(1, 7),
        ),
        tuple(_revision_row(row) for row in rows),
    )
    charts = (content.horizon,) if content.horizon else ()
    title = "Time horizons and their revisions"
    tables = [_area_dates(content.area_dates)] if content.area_dates else []
    tables += [table] if rows else []
    return Section("horizons", title, tuple(paragraphs), charts, tables=tuple(tables))


def _area_dates(rows: Sequence[AreaDateRow]) -> Table:
    """One row an area; all areas share the same possible trends."""
    days = sorted({end for row in rows for end in row.p_by})
    return Table(
        "When the trend reaches the task length each area is assumed to need (an assumption, not a measurement)",
        _columns(
            "area",
            "needed (hours)",
            "median",
            "80 % from",
            "80 % to",
            *(f"P(by end of {end.year})" for end in days),
            numeric=(1, *range(5, 5 + len(days))),
        ),
        tuple(
            (
                Cell(clean(row.area)),
                _count(round(row.needed_minutes / 60)) if row.needed_minutes >= 60 else Cell("under 1"),
                *(_absent("later") if end is None else Cell(day(end)) for end in (row.median, *row.ci80)),
                *(_number(row.p_by.get(end)) for end in days),
            )
            for row in rows
        ),
    )


def _revision_row(row: RevisionRow) -> tuple[Cell, ...]:
    largest = _absent("no value revised")
    if row.largest_ratio is not None:
        largest = Cell(f"{clean(row.largest_key)}: {percent_change(row.largest_ratio)}")
    return (
        Cell(day(row.version)),
        _number(row.doubling_before_days, 1, _UNKNOWN),
        _number(row.doubling_after_days, 1, _UNKNOWN),
        _count(row.n_added),
        _count(row.n_removed),
        _count(row.n_revised),
        _count(row.n_interval_only),
        largest,
    )


# calibration ------------------------------------------------------------------------------------


def _calibration(content: PageContent) -> Section:
    rows = content.calibration
    if not rows:
        return Section("calibration", "Calibration", _reason(content, "calibration", present=False))
    titles = (
        "platform",
        "questions",
        "forecasts",
        "Brier score",
        "log score (nats)",
        "resolved early",
        "close unknown",
    )
    table = Table(
        "Scores of resolved questions by platform; lower is better; in “all” what was heard twice counts once",
        _columns(*titles, numeric=range(1, len(titles))),
        tuple(_calibration_row(row) for row in rows),
    )
    paragraphs = (content.calibration_caveat, *_why_not_compared(content))
    tables = (table, _compared(content.compared)) if content.compared else (table,)
    return Section("calibration", "Calibration", paragraphs, content.reliability, tables=tables)


def _why_not_compared(content: PageContent) -> tuple[str, ...]:
    return _reason(content, "compared", bool(content.compared)) if "compared" in content.reasons else ()


def _compared(rows: Sequence[PairRow]) -> Table:
    titles = (
        "the first",
        "the second",
        "questions",
        "events",
        "difference of Brier scores",
        "however often one looks",
    )
    return Table(
        "Who was better on what both forecast at the same time; negative: the first was",
        _columns(*titles, numeric=range(2, len(titles))),
        tuple(
            (
                Cell(row.a),
                Cell(row.b),
                _count(row.n_questions),
                _count(row.n_events),
                _with_interval(row.difference, row.ci95, 3, "95 %"),
                _absent(_NONE) if row.ever is None else Cell(interval(row.ever, 3)),
            )
            for row in rows
        ),
    )


def _calibration_row(row: ReliabilityReport) -> tuple[Cell, ...]:
    return (
        Cell(row.name),
        _count(row.n_questions),
        _count(row.n_forecasts),
        _with_interval(row.brier, row.brier_ci95, 3, "95 %"),
        _with_interval(row.log_score, row.log_score_ci95, 3, "95 %"),
        _count(row.n_resolved_early),
        _count(row.n_close_unknown),
    )


# health, evidence, sources, database --------------------------------------------------------------


def _health(content: PageContent) -> Section:
    rows = content.health
    if not rows:
        return Section("health", "Data health", _reason(content, "health", present=False))
    wrong = [row for row in rows if row.problem or row.state != "ok"]
    paragraph = f"{counted(len(rows), 'source')}; " + (
        f"{len(wrong)} not in order." if wrong else "all in order."
    )
    if content.n_overdue:
        paragraph += (
            f" {counted(content.n_overdue, 'question')} closed long ago and still undecided: no outcome is read"
            " off a frozen price."
        )
    table = Table(
        "How each source is doing",
        _columns(
            "source",
            "state",
            "last success",
            "values stored",
            "questions",
            "requests",
            "what is wrong",
            numeric=(3, 5),
        ),
        tuple(_health_row(row) for row in rows),
    )
    return Section("health", "Data health", (paragraph,), tables=(table,))


def _health_row(row: HealthRow) -> tuple[Cell, ...]:
    return (
        Cell(row.source),
        Cell(row.state.replace("_", " ")),
        _absent("never") if row.last_ok_at is None else Cell(minute(row.last_ok_at)),
        _count(row.values_stored),
        Cell(", ".join(f"{n} {state.replace('_', ' ')}" for state, n in row.questions.items()))
        if row.questions
        else _absent("none"),
        _count(row.requests),
        Cell(row.problem) if row.problem else _absent("nothing"),
    )


def _evidence(content: PageContent) -> Section:
    title = "What the voices rest on"
    if not content.evidence:
        return Section("evidence", title, _reason(content, "evidence", present=False))
    table = Table(
        "Every value used, with its declared bearing on an area",
        _columns(
            "area",
            "voice",
            "question or series",
            "source",
            "relation",
            "weight",
            "value",
            "as of",
            numeric=(5, 6),
        ),
        tuple(_evidence_row(row) for row in content.evidence),
    )
    paragraph = (
        f"{counted(len(content.evidence), 'value')} in use. Titles are as the source gave them; before it was "
        "asked, our own label."
    )
    return Section("evidence", title, (paragraph,), tables=(table,), folded=True)


def _evidence_row(row: EvidenceRow) -> tuple[Cell, ...]:
    return (
        Cell(row.area),
        Cell(voice_title(row.voice)),
        Cell(row.title, href=row.url or None),
        Cell(row.source),
        Cell(row.relation),
        _number(row.weight),
        _number(row.probability),
        _absent(_UNKNOWN) if row.as_of is None else Cell(day(row.as_of)),
    )


def _sources(content: PageContent) -> Section:
    title = "Sources and licences"
    if not content.sources:
        return Section("sources", title, ("No source has delivered anything that is shown here.",))
    rows = tuple(
        (Cell(source.name, href=source.url or None), Cell(source.credit), Cell(source.licence))
        for source in content.sources
    )
    return Section(
        "sources", title, tables=(Table("Whose data this is", _columns("source", "credit", "licence"), rows),)
    )


def _database(content: PageContent) -> Section:
    title = "The data behind this page"
    note = content.database
    if note is None:
        return Section("database", title, ("This page was made without a database.",))
    tables: tuple[Table, ...] = ()
    if note.rows:
        rows = tuple((Cell(name), _count(number)) for name, number in note.rows.items() if number)
        tables = (Table("Rows stored", _columns("table", "rows", numeric=(1,)), rows),) if rows else ()
    paragraph = f"Everything shown here was read from {clean(note.location)}."
    empty = [clean(name) for name, number in note.rows.items() if not number]
    if empty:
        paragraph += f" Tables without a row: {', '.join(empty)}."
    return Section("database", title, (paragraph,), tables=tables, commands=note.commands)


def _reason(content: PageContent, part: str, present: bool) -> tuple[str, ...]:
    """The sentence that stands where a part would be, if it is not there."""
    names = {
        "slope": "No chart of the orderings",
        "horizon": "No chart of time horizons",
        "revisions": "No table of revisions",
        "comparisons": "No comparison",
        "agreement": "No chart of the weeks",
        "changes": "Nothing to tell yet",
        "calibration": "No scores yet",
        "compared": "No comparison of forecasters",
        "health": "Nothing known about the sources",
        "evidence": "No evidence listed",
    }
    return () if present else (f"{names[part]}: {content.reasons[part].rstrip('.')}.",)
