"""What a monitor gets: Prometheus' text format, strictly, and the store's truth at each scrape."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from components.processes import parent_mark
from gan_models.errors import RequestError
from pipeline.scheduling.metrics import CONTENT_TYPE, metrics, metrics_server
from pipeline.scheduling.schedule import make_schedule
from pipeline.scheduling.store import ScheduleStore

SAMPLE = re.compile(r'([a-z_]+)\{([a-z]+="[^"\\\n]*"(?:,[a-z]+="[^"\\\n]*")*)\} (\d+(?:\.\d+)?)')


def parse(text: str) -> dict[str, float]:
    """The samples by name and labels; fails for what the format does not allow."""
    assert text.endswith("\n")
    found: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
        elif line.startswith("# TYPE "):
            _, _, typed, kind = line.split(" ")
            assert typed == name, "the type follows its help"
            assert typed not in kinds, "a family stands in one piece"
            assert kind in ("gauge", "counter")
            assert (kind == "counter") == typed.endswith("_total")
            kinds[typed] = kind
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            assert sample[1] == name
            key = f"{sample[1].removeprefix('gan_pipeline_schedule_')}{{{sample[2]}}}"
            assert key not in found
            found[key] = float(sample[3])
    return found


@pytest.fixture
def store(tmp_path: Path) -> ScheduleStore:
    store = ScheduleStore(tmp_path / "schedules.db")
    store.ensure(make_schedule(name="faces", every=3600), now=datetime.now(UTC) - timedelta(hours=3, minutes=1))
    return store


def test_a_scrape_shows_the_store(store: ScheduleStore) -> None:
    with metrics_server(store, "0") as address:

        def scrape() -> dict[str, float]:
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert answer.headers["Content-Type"] == CONTENT_TYPE
                return parse(answer.read().decode())

        before = scrape()
        assert before['next_due_timestamp_seconds{schedule="faces"}'] < datetime.now(UTC).timestamp(), "it is overdue"
        assert not [key for key in before if key.startswith("last_")]
        store.record_due()
        claim = store.begin(store.waiting()[0].id, parent_mark())
        assert claim is not None
        running = scrape()
        assert running['missed_total{schedule="faces"}'] == 2
        assert running['running{schedule="faces"}'] == 1
        assert running['last_run_start_timestamp_seconds{schedule="faces"}'] > claim.due.timestamp()
        store.end(claim, "failed", "the disk is full")
        store.pause("faces")
        after = scrape()
        assert after['last_outcome{schedule="faces",outcome="failed"}'] == 1
        assert after['last_outcome{schedule="faces",outcome="finished"}'] == 0
        assert after['runs_total{schedule="faces",outcome="failed"}'] == 1
        assert (after['paused{schedule="faces"}'], after['running{schedule="faces"}']) == (1, 0)
        assert 'next_due_timestamp_seconds{schedule="faces"}' not in after
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(address.replace("/metrics", "/"), timeout=60)


def test_without_schedules_there_are_families_and_no_samples(tmp_path: Path) -> None:
    assert parse(metrics(ScheduleStore(tmp_path / "schedules.db"))) == {}


def test_addresses_that_cannot_be(store: ScheduleStore) -> None:
    with metrics_server(store, "127.0.0.1:0") as address:
        port = address.split(":")[2].removesuffix("/metrics")
        for wrong, words in ((port, "cannot listen there"), ("here", "expected a port"), ("99999", "cannot listen")):
            with pytest.raises(RequestError, match=words), metrics_server(store, wrong):
                pass
