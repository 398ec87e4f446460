"""The journal of runs: each due time once, whatever is edited, paused, killed or asked for at the same moment."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from components.processes import parent_mark
from gan_models.errors import RequestError
from pipeline.scheduling.schedule import Schedule, make_schedule
from pipeline.scheduling.store import ATTEMPTS, LocalSchedules, ScheduleStore, first_due

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOBODY = "999999999:1.00"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def every(minutes: int, **request: str) -> Schedule:
    return make_schedule(name="faces", every=60 * minutes, request=request)


@pytest.fixture
def store(tmp_path: Path) -> ScheduleStore:
    store = ScheduleStore(tmp_path / "schedules.db")
    assert store.ensure(every(10), START) == "created"
    return store


def states(store: ScheduleStore) -> dict[float, str]:
    found = {(run.due - START).total_seconds() / 60: run.state for run in store.runs("faces", 1000) if run.due}
    return dict(sorted(found.items()))


def test_a_due_time_is_written_down_once(store: ScheduleStore) -> None:
    for _ in range(3):
        store.record("faces", 1, [at(10)], now=at(10))
    assert states(store) == {10: "claimed"}


def test_ensure_again_changes_nothing(store: ScheduleStore) -> None:
    before = store.find("faces")
    assert store.ensure(every(10), at(7)) == "unchanged"
    assert store.find("faces") == before


def test_another_request_leaves_the_times_alone(store: ScheduleStore) -> None:
    assert store.ensure(every(10, data="digits"), at(7)) == "changed"
    kept = store.find("faces")
    assert (kept.revision, first_due(kept, at(7))) == (1, at(10))
    store.record("faces", 1, [at(10)], now=at(10))
    (claim,) = store.waiting()
    assert claim.request == {"data": "digits"}


def test_an_edit_loses_nothing_that_was_due_before_and_doubles_nothing_after(store: ScheduleStore) -> None:
    assert store.ensure(every(5), at(12)) == "changed"
    # The scheduler has not seen the edit yet: 10 was due, 20 is not any more.
    store.record("faces", 1, [at(10), at(20)], now=at(20))
    assert states(store) == {10: "claimed"}
    kept = store.find("faces")
    assert (kept.revision, first_due(kept, kept.changed)) == (2, at(17))


def test_of_several_missed_times_the_latest_stands_for_all(store: ScheduleStore) -> None:
    store.record("faces", 1, [at(10), at(20), at(30)], now=at(31))
    assert states(store) == {10: "skipped", 20: "skipped", 30: "claimed"}
    assert "the run due at 2026-11-22T12:30:00 stands for it" in store.runs("faces")[-1].sentence


def test_what_was_missed_by_too_much_is_skipped(store: ScheduleStore) -> None:
    store.record("faces", 1, [at(10)], grace=60, now=at(12))
    (run,) = store.runs("faces")
    assert (run.state, run.sentence) == ("skipped", "the scheduler was not running until 120 s later")


def test_runs_never_overlap(store: ScheduleStore) -> None:
    store.record("faces", 1, [at(10)], now=at(10))
    (claim,) = store.waiting()
    assert store.begin(claim.id, parent_mark()) is not None
    store.record("faces", 1, [at(20)], now=at(20))
    assert states(store) == {10: "running", 20: "skipped"}
    assert store.runs("faces")[0].sentence == "the run due at 2026-11-22T12:10:00 was still running"
    with pytest.raises(RequestError, match="has not ended yet"):
        store.claim_now("faces")


def test_only_one_of_many_processes_gets_a_run(store: ScheduleStore) -> None:
    store.record("faces", 1, [at(10)], now=at(10))
    (waiting,) = store.waiting()
    got: list[str] = []

    def take(number: int) -> None:
        if store.begin(waiting.id, f"{number}:0"):
            got.append(str(number))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_a_run_whose_process_died_is_continued_but_not_for_ever(store: ScheduleStore) -> None:
    store.record("faces", 1, [at(10)], now=at(10))
    for attempt in range(1, ATTEMPTS + 1):
        (waiting,) = store.waiting()
        claim = store.begin(waiting.id, NOBODY)
        assert claim is not None
        assert claim.attempts == attempt
        assert [dead.id for dead in store.release_dead()] == [claim.id]
    assert store.waiting() == []
    (run,) = store.runs("faces")
    assert (run.state, run.sentence) == ("failed", f"its process was killed {ATTEMPTS} times")


def test_a_run_whose_process_lives_is_left_alone(store: ScheduleStore) -> None:
    store.record("faces", 1, [at(10)], now=at(10))
    (waiting,) = store.waiting()
    claim = store.begin(waiting.id, parent_mark())
    assert store.release_dead() == []
    assert claim is not None
    store.end(claim, "finished", "promoted")
    store.end(claim, "claimed", "too late")
    assert states(store) == {10: "finished"}


def test_nothing_is_due_in_a_pause_and_nothing_is_made_up_for(store: ScheduleStore) -> None:
    store.record("faces", 1, [at(10)], now=at(10))
    store.pause("faces", at(11))
    store.pause("faces", at(15))  # twice is no error, and moves nothing
    store.record("faces", 1, [at(20)], now=at(20))
    store.resume("faces", at(25))
    store.record("faces", 1, [at(20), at(30)], now=at(30))
    assert states(store) == {10: "skipped", 30: "claimed"}
    assert store.runs("faces")[-1].sentence == "the schedule was paused before it began"


def test_a_deleted_schedule_keeps_its_journal_and_comes_back_without_doubles(store: ScheduleStore) -> None:
    store.record("faces", 1, [at(10)], now=at(10))
    store.delete("faces")
    store.ensure(every(10), at(5))
    store.record("faces", 1, [at(10)], now=at(10))
    assert states(store) == {10: "skipped"}


def test_names_that_are_not_there(store: ScheduleStore) -> None:
    schedules = LocalSchedules(store)
    for call in (schedules.show, schedules.pause, schedules.resume, schedules.delete, schedules.run_now):
        with pytest.raises(RequestError, match="did you mean 'faces'"):
            call("face")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(RequestError, match="give another --store"):
        ScheduleStore(tmp_path / "notes.txt")
