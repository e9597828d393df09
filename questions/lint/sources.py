"""Rules about where the answer is read, and what happens when the source fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from questions.fields import Gone, Silent
from questions.findings import Severity
from questions.lint.rule import Hit, dates_in, instrument, is_numeric, rule, words
from questions.question import EventBasis, Question, VersionPolicy

_HOME = frozenset({"", "/", "/home", "/home/", "/index.html", "/index.htm", "/index.php"})
_SEARCH_HOSTS = re.compile(r"(?:^|\.)(?:google|bing|duckduckgo|yahoo)\.[a-z.]+$")
_SEARCH_KEYS = frozenset({"q", "query", "search", "s", "keyword", "keywords"})
_USUAL_LAG_DAYS = {"metr.org": 14}  # METR says one to two weeks per run at the least
_VERSION = re.compile(
    r"\bv\.?\d|\bversion\s+\S*\d|\brelease\s+\S*\d|\b[A-Z]{1,6}\d+(?:\.\d+)+|\b\d+\.\d+\.\d+\b"
    r"|\b(?:commit|tag|revision|sha(?:-?256)?|hash)\s+\S*[0-9a-f]{4,}|\b[0-9a-f]{7,64}\b",
)
_AS_OF = re.compile(
    r"\b(?:version|state|copy|snapshot|set|suite|list|release)\b.{0,60}\d{4}-\d{2}-\d{2}", re.S
)
_INTERFACE = words(r"leaderboards?|arena|trends|dashboards?|scoreboards?|charts?|rankings?")
_STATE = words(
    r"tabs?|filters?|toggles?|columns?|sort(?:ed|ing)?|rows?|permalink|commit|archived?|JSON pointer"
)
_PERMALINK = re.compile(
    r"web\.archive\.org/web/\d|archive\.(?:ph|today|is)/|/(?:blob|raw|tree)/[0-9a-f]{7,40}/"
)
_COPY = words(r"body|bod(?:y|ies)|content|cop(?:y|ies)|bytes|page|payload")
_HASH = words(r"hash(?:es)?|sha-?256|digest")
_TIME = words(r"times?|when|timestamp|moment|date")


def host(url: str) -> str:
    return (urlsplit(url).hostname or "").removeprefix("www.")


def is_at(url: str, site: str) -> bool:
    """Whether a page is on a site or one of its subdomains."""
    return host(url) == site or host(url).endswith(f".{site}")


def _usual_lag_days(url: str) -> int:
    return max((days for site, days in _USUAL_LAG_DAYS.items() if is_at(url, site)), default=0)


def _page_fault(url: str) -> str:
    """What kind of address it is that shows no answer; empty for one that may."""
    parts = urlsplit(url)
    path = parts.path.casefold()
    segments = path.split("/")
    if path in _HOME and not parts.query:
        return "a bare domain" if path in ("", "/") else "a home page"
    if "api" in host(url).split(".") or "api" in segments:
        return ""  # a query of a data service is a source like any other
    keys = {key.casefold() for key, _ in parse_qsl(parts.query)}
    if _SEARCH_HOSTS.search(host(url)) or "search" in segments or keys & _SEARCH_KEYS:
        return "a search page"
    return ""


@rule("Q01", Severity.ERROR, "the page that decides, and where on it to look")
def primary_source(question: Question) -> Iterator[Hit]:
    resolution = question.resolution
    if not resolution.primary_url:
        yield Hit(
            ("resolution", "primary_url"),
            "no page is named on which the answer can be read",
            'add primary_url = "https://…": the very page, table or file with the figure',
        )
    elif fault := _page_fault(resolution.primary_url):
        yield Hit(
            ("resolution", "primary_url"),
            f"{resolution.primary_url} is {fault}: nobody can tell what to read there",
            "write the address of the very page, table or file with the figure",
        )
    if not resolution.selector.strip():
        yield Hit(
            ("resolution", "selector"),
            "it is not said where on the page the answer stands",
            'add selector = "…": a column, a section, a CSS selector or a JSON pointer',
        )


@rule("Q02", Severity.ERROR, "a second source elsewhere, or an outcome that needs none")
def fallback(question: Question) -> Iterator[Hit]:
    resolution = question.resolution
    decisive = {Gone.ANNUL, Gone.DEFAULT_OUTCOME, Gone.LAST_SNAPSHOT}
    if resolution.if_gone is not None and resolution.if_gone.then in decisive:
        return
    first = host(resolution.primary_url)
    if all(host(url) == first for url in resolution.fallback_urls):
        yield Hit(
            ("resolution", "fallback_urls"),
            f"every named source is on one host ({first or 'none'})",
            "add a page on another host to fallback_urls, or set if_gone to "
            "annul, default_outcome or last_snapshot",
        )


@rule("Q08", Severity.ERROR, "what a new version of the instrument means")
def version_policy(question: Question) -> Iterator[Hit]:
    measurement, resolution = question.measurement, question.resolution
    what, policy = instrument(question), measurement.version_policy
    if policy is None:
        if what:
            yield Hit(
                ("measurement", "version_policy"),
                f"a {what} changes its version, and it is not said which one counts",
                "set version_policy to pin, latest, named_successor or annul_on_change",
            )
        return
    if policy is VersionPolicy.NAMED_SUCCESSOR and not measurement.successors:
        yield Hit(
            ("measurement", "version_policy"),
            "no successor is named",
            'add successors = ["…"], or choose another version_policy',
        )
    if policy is VersionPolicy.PIN and not measurement.version:
        note = resolution.if_method_changes.note if resolution.if_method_changes else ""
        texts = "\n".join((resolution.selector, measurement.procedure, measurement.formula, note))
        if not (_VERSION.search(texts) or _AS_OF.search(texts)):
            yield Hit(
                ("measurement", "version_policy"),
                "pin names no version",
                'add version = "…" (a version, tag or commit), or name it in selector',
            )


@rule("Q09", Severity.ERROR, "what happens when the source disappears")
def if_gone(question: Question) -> Iterator[Hit]:
    if question.resolution.if_gone is None:
        yield Hit(
            ("resolution", "if_gone"),
            "nothing says what happens when the source disappears",
            f"set if_gone to one of: {', '.join(Gone)}",
        )


@rule("Q10", Severity.ERROR, "what happens when the source stays silent, and from when on")
def if_silent(question: Question) -> Iterator[Hit]:
    policy, dates = question.resolution.if_silent, question.dates
    if policy is None:
        yield Hit(
            ("resolution", "if_silent"),
            "nothing says what happens when the source has published nothing",
            f"set if_silent to one of: {', '.join(Silent)}",
        )
        return
    days = [day for _, day in dates_in(policy.note) if day]
    if dates.report_grace_days is None and not days:
        yield Hit(
            ("resolution", "if_silent"),
            "it is not said by when a source counts as silent",
            "set dates.report_grace_days, or write the date in if_silent's note",
        )
    elif days and max(days) < dates.close.date():
        yield Hit(
            ("resolution", "if_silent"),
            f"{max(days)} is before the close: nothing can be reported by then",
            f"write a date after {dates.close:%Y-%m-%d}",
        )
    if policy.then is Silent.WAIT and not days:
        yield Hit(
            ("resolution", "if_silent"),
            "wait has no end",
            'write { then = "wait", note = "…" } with the date on which the waiting ends',
        )


@rule("Q11", Severity.ERROR, "how a bound counts")
def if_bound_only(question: Question) -> Iterator[Hit]:
    if is_numeric(question) and question.resolution.if_bound_only is None:
        yield Hit(
            ("resolution", "if_bound_only"),
            'nothing says how a figure published as "at least X", or as unreliable above X, counts',
            "set if_bound_only to counts_if_decisive, not_counted, counts_as_value or annul",
        )


@rule("Q25", Severity.ERROR, "which day counts, and how late a report may come")
def event_basis(question: Question) -> Iterator[Hit]:
    dates = question.dates
    if dates.event_basis is None:
        yield Hit(
            ("dates", "event_basis"),
            "it is not said whether the day of the event, of its publication or of the report counts",
            f"set event_basis to one of: {', '.join(EventBasis)}",
        )
    if dates.report_grace_days is None:
        yield Hit(
            ("dates", "report_grace_days"),
            "it is not said how long a report of the event may take",
            "set report_grace_days to the days the source usually needs, or more",
        )
        return
    if dates.report_grace_days == 0 and dates.event_basis is EventBasis.EVENT_DATE:
        yield Hit(
            ("dates", "report_grace_days"),
            "an event of the last day could not be reported in time",
            "set report_grace_days to the days the source usually needs, or more",
        )
        return
    for url in (question.resolution.primary_url, *question.resolution.fallback_urls):
        lag = _usual_lag_days(url)
        if dates.report_grace_days < lag:
            yield Hit(
                ("dates", "report_grace_days"),
                f"{host(url)} usually needs {lag} days or more, {dates.report_grace_days} are allowed",
                f"set report_grace_days to {lag} or more",
            )
            return


@rule("Q27", Severity.WARNING, "the state of the page, and what is kept of it")
def interface_state(question: Question) -> Iterator[Hit]:
    resolution = question.resolution
    urls = " ".join((resolution.primary_url, *resolution.fallback_urls))
    shown = _INTERFACE.search(" ".join((resolution.primary_url, resolution.selector, question.title)))
    if shown and not (_STATE.search(resolution.selector) or _PERMALINK.search(urls)):
        yield Hit(
            ("resolution", "selector"),
            f"a {shown.group().casefold()} shows different figures by tab, filter and sort order",
            "name in selector the tab, filter, toggle, column and sort order, or give a permalink",
        )
    lacking = [
        what
        for what, pattern in (("body", _COPY), ("hash", _HASH), ("time of the fetch", _TIME))
        if not pattern.search(resolution.snapshot_policy)
    ]
    if lacking:
        yield Hit(
            ("resolution", "snapshot_policy"),
            f"what is kept of the page does not include: {', '.join(lacking)}",
            'write snapshot_policy = "The body, its hash and the time of the fetch are stored."',
        )


RULES = (
    primary_source,
    fallback,
    version_policy,
    if_gone,
    if_silent,
    if_bound_only,
    event_basis,
    interface_state,
)
