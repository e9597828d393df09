"""Reading charts back: what a figure's SVG says, and where."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"


def texts_by_gid(svg: str) -> dict[str, str]:
    """The text of every group with an id of ours; the further lines of a label (id ending in ".2") added."""
    found: dict[str, str] = {}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        words = ["".join(text.itertext()) for text in group.iter(f"{SVG}text")]
        if re.match(r"(rank|noview)-", group.get("id", "")) and words:
            gid = group.get("id", "").split(".")[0]
            found[gid] = " ".join([*([found[gid]] if gid in found else []), *words])
    return found


def heights_by_gid(svg: str) -> dict[str, float]:
    """How far down the first line of each such text stands (SVG units, downwards)."""
    found = {}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        text = group.find(f".//{SVG}text")
        if group.get("id", "").startswith("rank-") and text is not None:
            found[group.get("id", "")] = float(text.attrib["y"])
    return found


def styles_by_gid(svg: str, prefix: str) -> dict[str, str]:
    """The style of the first path in every group whose id starts so."""
    found = {}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        path = group.find(f"{SVG}path")
        if group.get("id", "").startswith(prefix) and path is not None:
            found[group.get("id", "")] = path.get("style", "")
    return found


def all_text(svg: str) -> str:
    return "\n".join("".join(text.itertext()) for text in ET.fromstring(svg).iter(f"{SVG}text"))
