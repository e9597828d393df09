"""The styles of a mail's HTML where mail programs look for them: inside the tags."""

from __future__ import annotations

CHARSET = '<meta charset="utf-8">'


def inlined(page: str) -> str:
    """The page with its styles inside the tags; only what must stay a rule (dark, narrow) is left as one."""
    from css_inline import CSSInliner

    inliner = CSSInliner(load_remote_stylesheets=False, keep_at_rules=True, keep_style_tags=False)
    html = inliner.inline(page).replace(CHARSET, "", 1)
    return html.replace("<head>", f"<head>{CHARSET}", 1)  # it has to stand in the first kilobyte
