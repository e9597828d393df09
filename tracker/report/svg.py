"""A chart's SVG made fit to stand inside a page: checked, stripped, and in the page's own colours."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from tracker.report.plots.canvas import PALETTE
from tracker.report.wording import clean

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_ELEMENTS = {"svg", "g", "defs", "path", "text", "tspan", "use", "clipPath", "rect"}
_ATTRIBUTES = {"clip-path", "d", "height", "id", "style", "transform", "viewBox", "width", "x", "y"}
_LOCAL_URL = re.compile(r"url\(#([A-Za-z0-9_-]+)\)")
_COLOUR_NAMES = {colour: name for name, colour in PALETTE.items()}


def inline_svg(svg: str, prefix: str, label: str) -> str:
    """The SVG as an element for HTML: one image with a label, scaling to its container.

    Only elements and attributes matplotlib's charts use are let through (no script, no handler, no
    reference out of the document); ids get ``prefix`` so that several charts can share a page; palette
    colours become CSS variables ``--<name>`` so that a dark page can redefine them. Raises ValueError for
    anything that is not such an SVG.
    """
    if "<!ENTITY" in svg:
        raise ValueError("a chart's SVG must not declare entities")
    try:
        root = ET.fromstring(svg)  # noqa: S314  (entities refused above; the rest is checked below)
    except ET.ParseError as error:
        raise ValueError(f"a chart's SVG does not parse: {error}") from error
    if root.tag != _SVG + "svg":
        raise ValueError(f"a chart must be an svg element, not {root.tag!r}")
    _drop_stylesheet(root)
    referenced = {name for element in root.iter() for name in _references(element)}
    for element in root.iter():
        _tidy(element, prefix, referenced)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib.update({"role": "img", "aria-label": clean(label, limit=6000), "class": "chart"})
    # what matplotlib's own stylesheet said of every element, here inherited from the root
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    return ET.tostring(root, encoding="unicode")


def _drop_stylesheet(root: ET.Element) -> None:
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (_SVG + "style", _SVG + "metadata"):
                parent.remove(child)


def _references(element: ET.Element) -> list[str]:
    names = _LOCAL_URL.findall(element.get("clip-path", ""))
    href = element.get(_XLINK_HREF, "")
    return [*names, *([href[1:]] if href.startswith("#") else [])]


def _tidy(element: ET.Element, prefix: str, referenced: set[str]) -> None:
    name = element.tag.removeprefix(_SVG) if isinstance(element.tag, str) else ""
    if name not in _ELEMENTS:
        raise ValueError(f"a chart's SVG must not hold <{name or 'processing instruction'}>")
    kept: dict[str, str] = {}
    for key, value in element.attrib.items():
        if key == _XLINK_HREF and value.startswith("#"):
            kept["href"] = f"#{prefix}-{value[1:]}"
        elif key == "id" and value in referenced:
            kept["id"] = f"{prefix}-{value}"
        elif key == "clip-path":
            kept["clip-path"] = _LOCAL_URL.sub(rf"url(#{prefix}-\1)", value)
        elif key == "style":
            kept["style"] = _themed(value)
        elif key in _ATTRIBUTES and key != "id":
            kept[key] = value
    if "url(" in kept.get("style", "") or "url(" in _LOCAL_URL.sub("", kept.get("clip-path", "")):
        raise ValueError("a chart's SVG must not refer to anything outside itself")
    element.attrib.clear()
    element.attrib.update(kept)
    element.tag = name


def _themed(style: str) -> str:
    def variable(match: re.Match[str]) -> str:
        name = _COLOUR_NAMES.get(match.group().lower())
        return f"var(--{name})" if name else match.group()

    return re.sub(r"#[0-9a-fA-F]{6}\b", variable, style)
