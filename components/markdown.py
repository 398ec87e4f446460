"""Text of other people's (class names, captions, paths, errors) inside Markdown."""

import re

_SPECIAL = re.compile(r"([\\`\[\]|<>])")


def plain(text: str) -> str:
    r"""On one line, with nothing in it that is a link, an image, HTML, code or the edge of a table's cell.

    >>> plain("cat | <img src=x> [dog](http://x)")
    'cat \\| \\<img src=x\\> \\[dog\\](http://x)'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
