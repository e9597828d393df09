"""One self-contained HTML page: no script, no external resource, light and dark, wide and narrow."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from questions.time import iso
from tracker.report.content import PageContent
from tracker.report.sections import sections
from tracker.report.svg import inline_svg
from tracker.report.wording import clean, minute

if TYPE_CHECKING:
    from jinja2 import Environment

TITLE = "Which areas of AI research does AI speed up first?"


def render_page(content: PageContent) -> str:
    """The whole page as one HTML document; the same content gives the same bytes.

    All text is escaped, links are https only, charts stand inline as checked SVG.
    """
    from markupsafe import Markup

    parts = sections(content)
    drawn: dict[str, Markup] = {}
    for part in parts:
        for index, chart in enumerate((*part.charts, *part.more_charts)):
            key = _chart_key(part.key, index)
            # the one place where a string is trusted as markup: inline_svg lets only plain drawing through
            drawn[key] = Markup(inline_svg(chart.svg, key, chart.alt))  # noqa: S704
    return (
        html_templates("tracker.report")
        .get_template("page.html.j2")
        .render(
            title=TITLE,
            headline=clean(content.headline, limit=600),
            as_of=minute(content.as_of),
            as_of_iso=iso(content.as_of),
            program_version=clean(content.program_version),
            sections=parts,
            drawn=drawn,
            chart_key=_chart_key,
        )
    )


def _chart_key(section: str, index: int) -> str:
    return f"{section}-{index + 1}"


@cache
def html_templates(package: str) -> Environment:
    """The templates in a package's folder ``templates``: what is put in is escaped, nothing may be missing."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,  # always: select_autoescape() does not know the ending .html.j2
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
