"""From a digest to a mail: HTML, plain text and pictures, all from the same words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.digest.charts import pictures
from tracker.digest.content import Digest
from tracker.digest.layout import ORIGIN, Letter, Table, Where, letter, shorter
from tracker.mail.content import InlineImage, MailContent
from tracker.mail.styles import inlined

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

MAX_HTML_BYTES = 80_000  # Gmail cuts a message off near 102 kB, and hides the unsubscribe link with it
CUTS = ((6, 110), (4, 80), (3, 50))  # lines a list, characters a line
TEXT_WIDTH = 76


@dataclass(frozen=True)
class Footer:
    """Why somebody gets this, how often, and how to stop: filled in by whoever addresses the mail.

    Any of them may be a mark that is replaced per recipient; ``unsubscribe_url`` goes into a link as it is.
    """

    reason: str = "This is a preview: it was sent to nobody."
    frequency: str = "weekly"
    unsubscribe_url: str = ""


class TooLarge(ValueError):
    """A digest whose HTML would be cut off by mail programs."""


def mail_content(
    digest: Digest,
    *,
    places: Where | None = None,
    footer: Footer | None = None,
    images: tuple[InlineImage, ...] | None = None,
) -> MailContent:
    """The digest as a mail. The same digest gives the same bytes. ``images``: its pictures, if they are drawn already.

    Lists and lines are cut until the HTML fits into ``MAX_HTML_BYTES``; raises TooLarge where nothing helps.
    """
    words = letter(digest, places or Where())
    if words.quiet:
        images = ()
    elif images is None:
        images = pictures(digest)
    size = 0
    for said in (words, *(shorter(words, most, width) for most, width in CUTS)):
        html = render_html(said, images, footer or Footer())
        size = len(html.encode())
        if size <= MAX_HTML_BYTES:
            return MailContent(words.subject, render_text(said, images, footer or Footer()), html, images)
    raise TooLarge(f"the digest's HTML has {size} bytes, more than {MAX_HTML_BYTES}")


def render_html(words: Letter, images: Iterable[InlineImage], footer: Footer) -> str:
    """The HTML with its styles inside the tags; only what must stay a rule (dark, narrow) is left as one."""
    drawn = {image.filename.removesuffix(".png"): image for image in images}
    page = (
        _html()
        .get_template("digest.html.j2")
        .render(letter=words, images=drawn, footer=footer, origin=ORIGIN)
    )
    return inlined(page)


def render_text(words: Letter, images: Iterable[InlineImage], footer: Footer) -> str:
    """The plain twin, by its own template."""
    drawn = {image.filename.removesuffix(".png"): image for image in images}
    return _text().get_template("digest.txt.j2").render(letter=words, images=drawn, footer=footer)


def browsable(content: MailContent, prefix: str = "") -> str:
    """The HTML with its pictures taken from files beside it, as a browser wants them."""
    html = content.html
    for image in content.images:
        html = html.replace(f'src="cid:{image.cid}"', f'src="{prefix}{image.filename}"')
    return html


def write_preview(content: MailContent, folder: Path, *, message: bytes = b"") -> tuple[Path, ...]:
    """The mail as files that a browser shows: digest.html, digest.txt and its pictures. Raises OSError.

    ``message``: the same as it would travel, for a mail program: digest.eml.
    """
    folder.mkdir(parents=True, exist_ok=True)
    html, text = folder / "digest.html", folder / "digest.txt"
    html.write_text(browsable(content, prefix="digest-"), encoding="utf-8")
    text.write_text(content.text, encoding="utf-8")
    files = [html, text]
    if message:
        files.append(folder / "digest.eml")
        files[-1].write_bytes(message)
    for image in content.images:
        files.append(folder / f"digest-{image.filename}")
        files[-1].write_bytes(image.png)
    return tuple(files)


@cache
def _html() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tracker.digest", "templates"),
        autoescape=True,  # always: select_autoescape() does not know the ending .html.j2
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["coded"] = coded
    return environment


@cache
def _text() -> Environment:
    """The same, for text that is no markup: there is nothing to escape into."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tracker.digest", "templates"),
        autoescape=False,  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(fold=fold, grid=grid)
    environment.tests["inside"] = lambda href: f"#{ORIGIN}" in href
    return environment


def coded(text: str) -> Markup:
    """A line with what stands in backticks as code, everything escaped.

    >>> str(coded("`speedup pull` & more"))
    '<code>speedup pull</code> &amp; more'
    """
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def fold(text: str, indent: str = "") -> str:
    """Lines of at most ``TEXT_WIDTH`` characters; an address or a long word stays whole."""
    lines = textwrap.wrap(
        text,
        TEXT_WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def grid(table: Table) -> str:
    """A table in columns; the second line of a cell follows its row."""
    rows = [[cell.text for cell in row] for row in table.rows]
    titles = [column.title for column in table.columns]
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    lines = [_aligned(titles, widths, table), "  ".join("-" * width for width in widths)]
    for texts, cells in zip(rows, table.rows, strict=True):
        lines.append(_aligned(texts, widths, table))
        subs = [
            cell.sub if index == 0 else f"{column.title} {cell.sub}"
            for index, (column, cell) in enumerate(zip(table.columns, cells, strict=True))
            if cell.sub
        ]
        lines += [fold(sub, "    ") for sub in subs]
    return "\n".join(lines)


def _aligned(texts: Iterable[str], widths: Iterable[int], table: Table) -> str:
    cells = zip(texts, widths, table.columns, strict=True)
    padded = (text.rjust(width) if column.numeric else text.ljust(width) for text, width, column in cells)
    return "  ".join(padded).rstrip()
