"""Keeps passwords out of everything that is written down."""

import re

# scheme://user:password@host, also inside a longer text
_CREDENTIALS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s'\"@]*(?::[^/\s'\"]*)?@")


def redact(text: str) -> str:
    """The text with the credentials of every address in it replaced by `***`.

    >>> redact("no answer from https://ann:secret@mlflow.example:5000/api")
    'no answer from https://***@mlflow.example:5000/api'
    """
    return _CREDENTIALS.sub(r"\g<scheme>***@", text)
