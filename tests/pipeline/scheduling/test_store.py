"""The journal of runs: each due time once, whatever is edited, paused, killed or asked for at the same moment."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from components.processes import parent_mark
from gan_models.errors import RequestError
from pipeline.request.request import Request
from pipeline.scheduling.schedule import Schedule, make_schedule
from pipeline.scheduling.store import ATTEMPTS, ScheduleStore, first_due

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
        store.record_due(at(10))
    assert states(store) == {10: "claimed"}
    assert store.next_due() == at(20)


def test_ensure_again_changes_nothing(store: ScheduleStore) -> None:
    before = store.kept()[0]
    assert store.ensure(every(10), at(7)) == "unchanged"
    assert store.kept()[0] == before


def test_another_request_leaves_the_times_alone(store: ScheduleStore) -> None:
    assert store.ensure(every(10, data="digits"), at(7)) == "changed"
    assert first_due(store.kept()[0], at(7)) == store.next_due() == at(10)
    store.record_due(at(10))
    (claim,) = store.waiting()
    assert claim.request == {"data": "digits"}


def test_an_edit_loses_nothing_that_was_due_before_and_doubles_nothing_after(store: ScheduleStore) -> None:
    assert store.ensure(every(5), at(12)) == "changed"
    # No scheduler has seen the edit yet: 10 was due, 20 is not any more.
    assert states(store) == {10: "due"}
    assert store.next_due() == at(10)
    store.record_due(at(16))
    assert states(store) == {10: "claimed"}
    assert store.next_due() == at(17)
    store.record_due(at(22))
    assert states(store) == {10: "claimed", 17: "skipped", 22: "skipped"}


def test_what_an_edit_found_due_is_skipped_like_any_other_if_no_scheduler_comes_in_time(store: ScheduleStore) -> None:
    store.ensure(every(5), at(22))
    store.ensure(every(5, data="digits"), at(23))
    assert states(store) == {10: "due", 20: "due"}
    store.record_due(at(24), grace=60)
    assert states(store) == {10: "skipped", 20: "skipped"}
    assert [run.sentence[:60] for run in store.runs("faces")] == [
        "the scheduler was not running until 240 s later",
        "the scheduler was not running; the run due at 2026-11-22T12:",
    ]


def test_of_several_missed_times_the_latest_stands_for_all(store: ScheduleStore) -> None:
    store.record_due(at(31))
    assert states(store) == {10: "skipped", 20: "skipped", 30: "claimed"}
    assert "the run due at 2026-11-22T12:30:00 stands for it" in store.runs("faces")[-1].sentence


def test_what_was_missed_by_too_much_is_skipped(store: ScheduleStore) -> None:
    store.record_due(at(12), grace=60)
    (run,) = store.runs("faces")
    assert (run.state, run.sentence) == ("skipped", "the scheduler was not running until 120 s later")


def test_runs_never_overlap(store: ScheduleStore) -> None:
    store.record_due(at(10))
    (claim,) = store.waiting()
    assert store.begin(claim.id, parent_mark()) is not None
    store.record_due(at(20))
    assert states(store) == {10: "running", 20: "skipped"}
    assert store.runs("faces")[0].sentence == "the run due at 2026-11-22T12:10:00 was still running"
    with pytest.raises(RequestError, match="has not ended yet"):
        store.run_now("faces")


def test_only_one_of_many_processes_gets_a_run(store: ScheduleStore) -> None:
    store.record_due(at(10))
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
    store.record_due(at(10))
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
    store.record_due(at(10))
    (waiting,) = store.waiting()
    claim = store.begin(waiting.id, parent_mark())
    assert store.release_dead() == []
    assert claim is not None
    store.end(claim, "finished", "promoted")
    store.end(claim, "claimed", "too late")
    assert states(store) == {10: "finished"}


def test_nothing_is_due_in_a_pause_and_nothing_is_made_up_for(store: ScheduleStore) -> None:
    store.record_due(at(10))
    store.pause("faces", at(11))
    store.pause("faces", at(15))  # twice is no error, and moves nothing
    store.record_due(at(20))
    assert store.next_due() is None
    store.resume("faces", at(25))
    store.record_due(at(30))
    assert states(store) == {10: "skipped", 30: "claimed"}
    assert store.runs("faces")[-1].sentence == "the schedule was paused before it began"


def test_a_deleted_schedule_keeps_its_journal_and_comes_back_without_doubles(store: ScheduleStore) -> None:
    store.record_due(at(10))
    store.delete("faces")
    store.ensure(every(10), at(5))
    store.record_due(at(10))
    assert states(store) == {10: "skipped"}


def test_names_that_are_not_there(store: ScheduleStore) -> None:
    for call in (store.show, store.pause, store.resume, store.delete, store.run_now):
        with pytest.raises(RequestError, match="did you mean 'faces'"):
            call("face")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(RequestError, match="give another --store"):
        ScheduleStore(tmp_path / "notes.txt")


def test_a_pause_says_what_became_of_what_was_due_before_it(store: ScheduleStore) -> None:
    store.pause("faces", at(12))
    assert states(store) == {10: "skipped"}
    assert store.runs("faces")[0].sentence == "the schedule was paused before it began"


# -- data of a day -----------------------------------------------------------------------------------------------------


def dated(**times: object) -> Schedule:
    times = times or {"cron": "30 0 * * *", "timezone": "Europe/Berlin"}
    return make_schedule(name="photos", request={"data": "folder:/photos/{date}"}, **times)


def test_a_run_takes_the_data_of_its_day(store: ScheduleStore) -> None:
    store.ensure(dated(), START)
    store.record_due(START + timedelta(days=1), grace=1e9)
    (claim,) = [claim for claim in store.waiting() if claim.schedule == "photos"]
    assert claim.due == datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    assert claim.request == {"data": "folder:/photos/2026-11-23"}, "in Berlin"
    assert {str(claim.request) for claim in store.waiting() if claim.schedule == "faces"} == {"{}"}


def test_a_backfill_queues_what_has_not_ended_well(store: ScheduleStore) -> None:
    store.ensure(dated(cron="0 2 * * *"), START)
    first, last = datetime(2020, 11, 1, tzinfo=UTC), datetime(2020, 11, 3, 2, tzinfo=UTC)
    days = ["folder:/photos/2020-11-01", "folder:/photos/2020-11-02", "folder:/photos/2020-11-03"]
    assert [claim.request["data"] for claim in store.backfill("photos", first, last, dry=True)] == days
    assert store.runs("photos") == []
    assert len(store.backfill("photos", first, last)) == 3
    for state in ("finished", "failed"):
        store.claim_queued()
        store.claim_queued()  # one at a time
        (waiting,) = store.waiting()
        claim = store.begin(waiting.id, parent_mark())
        assert claim is not None
        store.end(claim, state, "")
    assert [run.state for run in store.runs("photos")] == ["queued", "failed", "finished"]
    assert [claim.request["data"] for claim in store.backfill("photos", first, last)] == days[1:]
    assert [run.state for run in store.runs("photos")] == ["queued", "queued", "finished"]
    assert store.notices() == [], "another failure is news again"
    store.pause("photos", START)
    assert [run.state for run in store.runs("photos")] == ["skipped", "skipped", "finished"]


def test_intervals_are_counted_backwards(store: ScheduleStore) -> None:
    store.ensure(dated(every=12 * 3600), START)
    first = datetime(2020, 11, 20, tzinfo=UTC)
    dues = [claim.due for claim in store.backfill("photos", first, first + timedelta(days=1))]
    assert dues == [first, first + timedelta(hours=12), first + timedelta(hours=24)]


def test_backfills_that_cannot_be(store: ScheduleStore) -> None:
    store.ensure(dated(every=1), START)
    day = datetime(2020, 11, 1, tzinfo=UTC)
    with pytest.raises(RequestError, match="due more than 366 times"):
        store.backfill("photos", day, day + timedelta(days=1))
    with pytest.raises(RequestError, match="was never due from"):
        store.backfill("photos", datetime(2999, 1, 1, tzinfo=UTC), datetime(2999, 1, 2, tzinfo=UTC))
    with pytest.raises(RequestError, match="the same data whenever it is due"):
        store.backfill("faces", day, day + timedelta(days=1))


# -- data that is looked at --------------------------------------------------------------------------------------------


def test_a_run_starts_on_data_that_is_new_and_at_rest(store: ScheduleStore) -> None:
    """By looks at 10, 20, ...: what they find, and how many runs there are then."""
    store.delete("faces")
    watched = make_schedule(name="faces", every=600, on_data=True, request={"data": "folder:/photos"})
    store.ensure(watched, START)
    assert store.next_due() is None
    looks = [("a", 0), ("b", 0), ("b", 1), ("b", 1), ("c", 1), ("c", 1), ("c", 1)]
    for number, (version, runs) in enumerate(looks, start=1):
        store.record_due(at(10 * number))
        store.looked(ScheduleStore(store.path).kept()[0], version, at(10 * number))
        assert len(store.runs("faces")) == runs, f"look {number}"
    claim = store.begin(store.waiting()[0].id, parent_mark())
    assert claim is not None
    store.looked(store.kept()[0], "c", at(80))
    assert len(store.runs("faces")) == 1, "one is under way"
    store.end(claim, "finished", "")
    store.looked(store.kept()[0], "c", at(90))
    assert [run.state for run in store.runs("faces")] == ["claimed", "finished"]
    assert first_due(store.kept()[0], store.kept()[0].since) == at(100)


def test_data_that_cannot_be_looked_at_is_a_failure_once(store: ScheduleStore) -> None:
    store.ensure(make_schedule(name="faces", every=600, on_data=True, request={"data": "folder:/photos"}), START)
    for minute in (10, 20, 30):
        store.could_not_look(store.kept()[0], "there is nothing at /photos", at(minute))
    assert [run.sentence for run in store.runs("faces")] == ["there is nothing at /photos"]
    assert len(texts(store)) == 1
    store.looked(store.kept()[0], "a", at(40))
    store.could_not_look(store.kept()[0], "there is nothing at /photos", at(50))
    assert len(store.runs("faces")) == 2


def test_what_was_found_of_a_schedule_that_was_changed_meanwhile_does_not_count(store: ScheduleStore) -> None:
    watched = make_schedule(name="faces", every=600, on_data=True, request={"data": "folder:/photos"})
    store.ensure(watched, START)
    before = store.kept()[0]
    store.looked(before, "a", at(10))
    store.pause("faces", at(15))
    store.looked(before, "a", at(20))
    assert store.runs("faces") == []


# -- notices -----------------------------------------------------------------------------------------------------------


def texts(store: ScheduleStore) -> list[str]:
    """Of a process that comes anew."""
    return [notice.text for notice in ScheduleStore(store.path).notices()]


def test_what_a_stopped_scheduler_missed_is_one_notice(store: ScheduleStore) -> None:
    store.record_due(at(61), grace=30)
    (text,) = texts(store)
    assert text == (
        "schedule faces: run 6 skipped: the scheduler was not running until 60 s later; "
        "so was what was due at 5 times before"
    )
    store.record_due(at(61), grace=30)
    assert len(texts(store)) == 1


def test_a_failed_run_is_a_notice_unless_it_has_told_its_end_itself(store: ScheduleStore) -> None:
    for minute, told in ((10, False), (20, True)):
        store.record_due(at(minute))
        claim = store.begin(store.waiting()[0].id, parent_mark())
        assert claim is not None
        store.end(claim, "failed", "the disk is full", told)
    assert texts(store) == ["schedule faces: run 1 failed: the disk is full"]
    store.told(store.notices()[0])
    assert texts(store) == []
    (trouble,) = store.show("faces").troubles(at(20), timedelta(minutes=10))
    store.note("faces", {}, trouble)
    assert texts(store) == [], "what the run has told is known by what health finds, too"


def test_late_is_what_no_scheduler_has_seen(store: ScheduleStore) -> None:
    patience = timedelta(minutes=10)
    store.note_late(patience, at(20))
    assert texts(store) == []
    store.note_late(patience, at(21))
    late = "schedule faces: late: was due 2026-11-22 12:10:00 UTC, and nothing has started it"
    assert texts(store) == [late]
    store.ensure(every(5), at(22))  # 10 and 20 are written down, and still nothing is done about them
    store.note_late(patience, at(23))
    assert texts(store) == [late]
    store.record_due(at(23))
    assert store.list(at(27))[0].overdue == at(27)


def test_yesterdays_notices_are_no_news(store: ScheduleStore) -> None:
    store.record_due(at(61), grace=30)
    assert store.notices(datetime.now(UTC) + timedelta(days=2)) == []


# -- stores of before --------------------------------------------------------------------------------------------------

BEFORE = """
CREATE TABLE schedules (
    name TEXT PRIMARY KEY, document TEXT NOT NULL, revision INTEGER NOT NULL, anchor TEXT NOT NULL,
    since TEXT NOT NULL, changed TEXT NOT NULL, paused TEXT
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, schedule TEXT NOT NULL, due TEXT NOT NULL, state TEXT NOT NULL,
    request TEXT NOT NULL, runner TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0, ended TEXT,
    sentence TEXT NOT NULL DEFAULT '', UNIQUE (schedule, due)
);
CREATE TABLE apscheduler_jobs (id VARCHAR(191) NOT NULL PRIMARY KEY, next_run_time FLOAT, job_state BLOB NOT NULL);
CREATE INDEX ix_apscheduler_jobs_next_run_time ON apscheduler_jobs (next_run_time);
INSERT INTO apscheduler_jobs VALUES ('faces', 1795349400.0, x'80');
INSERT INTO schedules VALUES (
    'faces',
    '{"name":"faces","cron":null,"every":600,"timezone":"UTC","paused":false,'
    || '"request":{"command":"retrain","data":"digits","workdir":"/runs/faces","name":"faces"}}',
    2, '2026-11-22T12:00:00+00:00', '2026-11-22T12:00:00.250000+00:00', '2026-11-22T12:00:00.500000+00:00', NULL
);
INSERT INTO schedules VALUES (
    'paused',
    '{"name":"paused","cron":"0 30 2 * * *","every":null,"timezone":"Europe/Berlin","paused":false,"request":{}}',
    1, '2026-11-22T12:00:00+00:00', '2026-11-22T12:00:00.000000+00:00', '2026-11-22T12:00:00.000000+00:00',
    '2026-11-22T12:05:00.000000+00:00'
);
INSERT INTO runs (schedule, due, state, request) VALUES
    ('faces', '2026-11-22T12:10:00.000000+00:00', 'finished', '{}'),
    ('faces', '2026-11-22T12:25:00.123456+00:00', 'finished', '{}');
"""


def test_a_store_that_apscheduler_kept_is_taken_over(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "schedules.db")
    database.executescript(BEFORE)
    database.close()
    for _ in range(2):  # the second time it is a store of today
        store = ScheduleStore(tmp_path / "schedules.db")
        assert {run.begun for run in store.runs()} == {None}
        faces, paused = store.kept()
        assert (faces.schedule.every, faces.anchor, faces.since, faces.paused) == (600, at(0), at(10), None)
        assert Request.parse(faces.schedule.request).command == "retrain"
        assert (paused.schedule.cron, paused.paused) == ("0 30 2 * * *", at(5))
    assert store.next_due() == at(20)
    store.record_due(at(21))
    assert [run.state for run in store.runs("faces")] == ["finished", "claimed", "finished"]
    assert store.ensure(every(10), at(22)) == "changed"
