"""Posts JSON to a webhook whose address only an environment variable holds; nothing of the address is ever said."""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException

TRIES, WAIT_SECONDS, TIMEOUT_SECONDS = 3, 1.0, 10.0


def address_in(variable: str) -> str:
    """The address that an environment variable holds; "" where it holds none."""
    address = os.environ.get(variable, "") if variable else ""
    return address if address.startswith(("http://", "https://")) else ""


def post(address: str, message: Mapping[str, object]) -> str:
    """Tries a few times; "" when it was taken, else why not."""
    trouble = ""
    for attempt in range(TRIES):
        time.sleep(WAIT_SECONDS * attempt)
        if not (trouble := _post(address, message)):
            break
    return trouble


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: followed, a POST would become a GET without what was to be told."""

    def redirect_request(self, *_: object) -> None: ...


_opener = urllib.request.build_opener(_NoRedirect)


def _post(address: str, message: Mapping[str, object]) -> str:
    try:
        request = urllib.request.Request(address, json.dumps(message).encode(), {"Content-Type": "application/json"})
        with _opener.open(request, timeout=TIMEOUT_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        elsewhere = ", a redirect: give the address that it leads to" if 300 <= error.code < 400 else ""
        return f"it answered {error.code}{elsewhere}"
    except urllib.error.URLError as error:
        return f"it does not answer ({type(error.reason).__name__})"
    except (OSError, ValueError, HTTPException) as error:
        return f"it cannot be asked ({type(error).__name__})"
