"""Tells webhooks what went wrong with schedules: what the store has written down, each once, whoever is killed when.

The store holds a notice of each event before anybody is told, and remembers who was. A process that is killed between
the telling and the remembering tells twice; an alarm that got lost would be worse.
"""

import logging
import threading

from filelock import FileLock, Timeout

from components.notify import webhook
from pipeline.scheduling.store import Notice, ScheduleStore

RETRY_SECONDS = 60.0  # until a webhook that did not answer is tried again

_logger = logging.getLogger("gan_pipeline.scheduler")


class Teller:
    """Tells the notices of one store.

    Args:
        variable: name of the environment variable with the address for schedules that name none of their own.
    """

    def __init__(self, store: ScheduleStore, variable: str = "") -> None:
        self._store, self._variable = store, variable
        self._lock = FileLock(f"{store.path}.notices.lock", timeout=0)

    def tell(self) -> list[str]:
        """Tells all that nobody was told of; what could not be told, a sentence each. Another teller is left alone."""
        try:
            with self._lock:
                return list(filter(None, map(self._tell, self._store.notices())))
        except Timeout:
            return []

    def _tell(self, notice: Notice) -> str:
        """The schedule's own webhook, or the other one where this environment does not hold its address."""
        named = [variable for variable in (notice.webhook, self._variable) if variable]
        variable = next(filter(webhook.address_in, named), "")
        trouble = webhook.post(webhook.address_in(variable), notice.message()) if variable else ""
        if trouble:
            return f"the webhook of {variable} was not told that {notice.text}: {trouble}"
        self._store.told(notice)
        if variable:
            _logger.info("told the webhook of %s: %s", variable, notice.text)
        elif named:
            return f"nobody is told: the environment variable {named[0]} holds no http address"
        return ""

    def tell_until(self, stop: threading.Event, poll_seconds: float) -> None:
        """Looks again and again; a webhook that does not answer keeps nobody waiting but this."""
        while not stop.wait(poll_seconds):
            troubles = self.tell()
            for trouble in troubles:
                _logger.warning("%s", trouble)
            if troubles:
                stop.wait(RETRY_SECONDS)
