"""Looks at the data of schedules that run on new data, whenever they are due; the store decides what comes of it."""

import logging
import threading
from datetime import UTC, datetime

from components.stage.failures import failure_of
from gan_models.data.sources import parse_source
from pipeline.scheduling.store import Kept, ScheduleStore, first_due

_logger = logging.getLogger("gan_pipeline.scheduler")


class Watcher:
    """Looks at the data of one store's schedules, one after the other; a folder that takes long holds up no run."""

    def __init__(self, store: ScheduleStore) -> None:
        self._store = store

    def look(self) -> None:
        """Once, at all that are due."""
        for kept in self._store.kept():
            if kept.schedule.on_data and kept.paused is None:
                due = first_due(kept, kept.since)
                if due is not None and due <= datetime.now(UTC):
                    self._look(kept)

    def _look(self, kept: Kept) -> None:
        try:
            version = parse_source(str(kept.schedule.request["data"])).digest()
        except Exception as error:  # a package's own kind of source may raise anything
            sentence = failure_of(error).sentence
            _logger.warning("%s: its data cannot be looked at: %s", kept.schedule.name, sentence)
            self._store.could_not_look(kept, sentence)
        else:
            self._store.looked(kept, version)

    def look_until(self, stop: threading.Event, poll_seconds: float) -> None:
        """Again and again."""
        while not stop.wait(poll_seconds):
            self.look()
