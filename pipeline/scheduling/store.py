"""Schedules of this machine and the journal of their runs, in one SQLite file.

The journal is what makes a run happen once: a due time is a row, unique for its schedule, written before anything is
started. Whoever dies when, a row goes one way:

    due -> claimed -> running -> finished | failed
                   <-          (its process died or was asked to stop: continued, for a run goes on where it was)
        -> skipped             (with the reason, instead of claimed)

    queued -> claimed          (made up for by `backfill`, the oldest first and one at a time)

A due time is written down by the scheduler, or by the command that changes the times, so that an edit loses nothing;
whether it is run or skipped is for the scheduler to say.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, Field, Json

from components.processes import is_alive
from gan_models.errors import RequestError, unknown_name
from pipeline.scheduling.schedule import DATE, Change, Schedule, ScheduledRun, ScheduleStatus, Trouble

ATTEMPTS = 5  # a run whose process dies this often is given up
GRACE_SECONDS = 3600.0  # a run that is found to be due this much later is still started; later than that it is skipped
BUSY_SECONDS = 30.0
NEWS = timedelta(days=1)
MOST_BACKFILLED = 366
LOCAL = "local"
_SHOWN_RUNS = 20
_PAUSED = "the schedule was paused before it began"
_SCHEDULES = """
CREATE TABLE IF NOT EXISTS schedules (
    name TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    anchor TEXT NOT NULL,  -- intervals are counted from here
    since TEXT NOT NULL,   -- what was due until then is written down, or does not count
    paused TEXT            -- since when
);
"""
_RUNS = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    schedule TEXT NOT NULL,
    due TEXT NOT NULL,
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    runner TEXT NOT NULL DEFAULT '',  -- the process that has it: pid and start time
    attempts INTEGER NOT NULL DEFAULT 0,
    ended TEXT,
    sentence TEXT NOT NULL DEFAULT '',
    begun TEXT,
    UNIQUE (schedule, due)
);
"""
_NOTICES = """
CREATE TABLE IF NOT EXISTS notices (
    engine TEXT NOT NULL,   -- whose schedule it is about
    schedule TEXT NOT NULL,
    event TEXT NOT NULL,
    due TEXT NOT NULL,
    text TEXT NOT NULL,
    webhook TEXT NOT NULL,  -- environment variable that holds the address, where the schedule names one
    made TEXT NOT NULL,
    told TEXT,              -- when; NULL: not yet
    PRIMARY KEY (engine, schedule, event, due)
);
"""
_WATCHES = """
CREATE TABLE IF NOT EXISTS watches (
    schedule TEXT PRIMARY KEY,
    seen TEXT NOT NULL,     -- the version of the data at the last look
    taken TEXT NOT NULL,    -- that of the last run
    trouble TEXT NOT NULL   -- why it could not be looked at, the last time
);
"""
_MIGRATION = (
    "ALTER TABLE schedules RENAME TO before",
    _SCHEDULES,
    "INSERT INTO schedules SELECT name, document, anchor, max(since, changed, ifnull((SELECT max(due) FROM runs "
    "WHERE schedule = before.name AND due LIKE '%.000000%'), '')), paused FROM before",
    "DROP TABLE before",
    "DROP TABLE IF EXISTS apscheduler_jobs",
)
"""Of a store whose due times were found by APScheduler; only those of `run-now` have fractions of a second."""
ENDS = ("finished", "failed", "skipped")


class Kept(BaseModel):
    """A schedule as it is kept."""

    schedule: Json[Schedule] = Field(alias="document")
    anchor: datetime
    since: datetime
    paused: datetime | None


class Claim(BaseModel):
    """A run that is to be done, or is being done."""

    id: int
    schedule: str
    due: datetime
    request: Json[dict[str, Any]]
    runner: str
    attempts: int

    @property
    def occasion(self) -> str:
        """What the run is for, in one word."""
        return f"{self.schedule}@{_text(self.due)}"


class Notice(BaseModel):
    """Something that went wrong with a schedule, to be told once."""

    engine: str
    schedule: str
    event: str
    due: str
    text: str
    webhook: str

    def message(self) -> dict[str, str]:
        """`text` is what chat services show; the rest is for programs."""
        return {"text": self.text, **self.model_dump(include={"event", "schedule", "due", "engine"})}


class ScheduleStore:
    """The SQLite file; used by the commands, by the scheduler and by the runs, each in a process of its own.

    To the commands it is a `pipeline.scheduling.schedule.Scheduler`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = FileLock(f"{path}.lock", timeout=0)  # of the scheduler that serves it
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._open() as database:
                database.executescript(_SCHEDULES + _RUNS + _NOTICES + _WATCHES)
                old = [*_outdated(database)]
            if old:
                with self._writing() as database:
                    for statement in _outdated(database):  # unless somebody else was faster
                        database.execute(statement)
        except sqlite3.DatabaseError as error:
            raise RequestError(
                f"{path} cannot be used as a store of schedules ({error}): give another --store"
            ) from None

    def _open(self) -> closing[sqlite3.Connection]:
        database = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        database.row_factory = sqlite3.Row
        return closing(database)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else writes beside, whole or not at all."""
        with self._open() as database, database:
            database.execute("BEGIN IMMEDIATE")
            yield database

    # -- schedules ----------------------------------------------------------------------------------------------------

    def ensure(self, schedule: Schedule, now: datetime | None = None) -> Change:
        """Makes it so; of an existing one, whether it is paused is left as it is."""
        moment = now or _now()
        anchor = _text(moment.replace(microsecond=0))
        active = schedule.model_copy(update={"paused": False})
        document = active.model_dump_json()
        with self._writing() as database:
            kept = _find(database, schedule.name)
            if kept is None:
                row = (schedule.name, document, anchor, _text(moment), _text(moment) if schedule.paused else None)
                database.execute("INSERT INTO schedules VALUES (?, ?, ?, ?, ?)", row)
                return "created"
            if kept.schedule == active:
                return "unchanged"
            if _times(kept.schedule) != _times(schedule):
                _write_dues(database, kept, moment)
                database.execute("UPDATE schedules SET anchor = ? WHERE name = ?", (anchor, schedule.name))
            database.execute("UPDATE schedules SET document = ? WHERE name = ?", (document, schedule.name))
        return "changed"

    def is_served(self) -> bool:
        """Whether a scheduler is there."""
        try:
            with self.lock:
                return False
        except Timeout:
            return True

    def list(self, now: datetime | None = None) -> Sequence[ScheduleStatus]:
        with self._open() as database:
            return [_status(database, kept, now or _now()) for kept in self.kept()]

    def show(self, name: str) -> ScheduleStatus:
        with self._open() as database:
            return _status(database, _require(database, name), _now(), self.runs(name))

    def kept(self) -> Sequence[Kept]:
        """All schedules, by name."""
        with self._open() as database:
            return [Kept(**row) for row in database.execute("SELECT * FROM schedules ORDER BY name")]

    def pause(self, name: str, now: datetime | None = None) -> None:
        """From now on nothing is due, and what has not begun is skipped; a run that has begun goes on."""
        moment = now or _now()
        with self._writing() as database:
            if (kept := _require(database, name)).paused is None:
                _write_dues(database, kept, moment)
                database.execute("UPDATE schedules SET paused = ? WHERE name = ?", (_text(moment), name))
                _skip(database, name, _PAUSED, moment, "AND attempts = 0")

    def resume(self, name: str, now: datetime | None = None) -> None:
        """What was due until now is not made up for."""
        with self._writing() as database:
            if _require(database, name).paused is not None:
                moment = _text(now or _now())
                database.execute("UPDATE schedules SET paused = NULL, since = ? WHERE name = ?", (moment, name))

    def delete(self, name: str) -> None:
        """The journal stays; what is waiting to be started is skipped."""
        with self._writing() as database:
            _require(database, name)
            database.execute("DELETE FROM schedules WHERE name = ?", (name,))
            database.execute("DELETE FROM watches WHERE schedule = ?", (name,))
            _skip(database, name, "the schedule was deleted", _now())

    # -- due times ----------------------------------------------------------------------------------------------------

    def next_due(self) -> datetime | None:
        """The first due time that `record_due` has not decided on, past or to come; None: no schedule is active."""
        with self._open() as database:
            undecided = database.execute("SELECT due FROM runs WHERE state = 'due'").fetchall()
        active = [kept for kept in self.kept() if kept.paused is None and not kept.schedule.on_data]
        dues = [first_due(kept, kept.since) for kept in active]
        decided = (datetime.fromisoformat(row["due"]) for row in undecided)
        return min([*filter(None, dues), *decided], default=None)

    def record_due(self, now: datetime | None = None, *, grace: float = GRACE_SECONDS) -> None:
        """Writes down what has come due, and whether it is run: up to `grace` seconds late. The rest stays."""
        moment = now or _now()
        with self._writing() as database:
            for row in database.execute("SELECT * FROM schedules WHERE paused IS NULL").fetchall():
                _write_dues(database, Kept(**row), moment)
                _decide(database, row["name"], moment, grace)

    def backfill(self, name: str, first: datetime, last: datetime, dry: bool = False) -> Sequence[Claim]:
        """Queues a run for each due time from first to last that has none which ended well or is under way.

        Args:
            dry: only says what would be queued.

        Returns:
            those that were queued, the oldest first.

        Raises:
            RequestError: no such schedule, its data is the same each day, no due time, or too many.
        """
        with self._writing() as database:
            kept = _require(database, name)
            if not kept.schedule.is_dated:
                raise RequestError(
                    f"{name} has the same data whenever it is due, so there is nothing to make up for: put {DATE} into "
                    "its --data, as in folder:/photos/{date}"
                )
            dues = [*islice(kept.schedule.dues_within(first, min(last, _now()), kept.anchor), MOST_BACKFILLED + 1)]
            if not dues:
                raise RequestError(f"{name} was never due from {first:%Y-%m-%d %H:%M %Z} to {last:%Y-%m-%d %H:%M %Z}")
            if len(dues) > MOST_BACKFILLED:
                raise RequestError(
                    f"{name} was due more than {MOST_BACKFILLED} times in that range: ask for a shorter one"
                )
            rows = database.execute("SELECT due, state FROM runs WHERE schedule = ?", (name,))
            states = {row["due"]: row["state"] for row in rows}
            for due in dues if not dry else ():
                if states.get(_text(due), "skipped") in ("skipped", "failed"):
                    _queue(database, kept.schedule, due)
            return [
                Claim(
                    id=0,
                    schedule=name,
                    due=due,
                    request=json.dumps(kept.schedule.request_at(due)),
                    runner="",
                    attempts=0,
                )
                for due in dues
                if states.get(_text(due), "skipped") in ("skipped", "failed", "queued")
            ]

    def claim_queued(self) -> None:
        """Of each schedule with nothing under way, the oldest that is queued may be started."""
        with self._open() as database:
            if database.execute("SELECT 1 FROM runs WHERE state = 'queued'").fetchone() is None:
                return
        with self._writing() as database:
            query = (
                "SELECT schedule, min(due) AS due FROM runs JOIN schedules ON name = schedule "
                "WHERE state = 'queued' AND paused IS NULL GROUP BY schedule"
            )
            for row in database.execute(query).fetchall():
                if not _active(database, row["schedule"]):
                    where = "schedule = ? AND due = ?"
                    database.execute(f"UPDATE runs SET state = 'claimed' WHERE {where}", (row["schedule"], row["due"]))

    def run_now(self, name: str) -> str:
        """Claims a run outside of its times; its number. RequestError where there is none, or a run not ended."""
        with self._writing() as database:
            kept = _require(database, name)
            if active := _active(database, name):
                raise RequestError(
                    f"a run of {name} has not ended yet (due {active['due'][:19]}, {active['state']}): wait for it, or "
                    f"look at it with `gan-pipeline schedule show {name}`"
                )
            row = (name, _text(_now()), json.dumps(kept.schedule.request_at(_now())))
            database.execute("UPDATE watches SET taken = seen WHERE schedule = ?", (name,))
            made = database.execute("INSERT INTO runs (schedule, due, state, request) VALUES (?, ?, 'claimed', ?)", row)
            return str(made.lastrowid)

    # -- data that is looked at ---------------------------------------------------------------------------------------

    def looked(self, kept: Kept, version: str, now: datetime | None = None) -> None:
        """What a look at the data has found; a run of it is claimed where it is new, complete and none is under way.

        New: not the version of the last run. Complete: as at the look before, so that nothing half copied is taken.
        """
        moment = now or _now()
        with self._watching(kept, moment) as database:
            if database is None:
                return
            name = kept.schedule.name
            before = database.execute("SELECT * FROM watches WHERE schedule = ?", (name,)).fetchone()
            taken = before["taken"] if before else ""
            if before and before["seen"] == version != taken and not _active(database, name):
                taken = version
                row = (name, _text(moment), json.dumps(kept.schedule.request))
                database.execute("INSERT INTO runs (schedule, due, state, request) VALUES (?, ?, 'claimed', ?)", row)
            database.execute("INSERT OR REPLACE INTO watches VALUES (?, ?, ?, '')", (name, version, taken))

    def could_not_look(self, kept: Kept, sentence: str, now: datetime | None = None) -> None:
        """A failed run in the journal, unless the look before failed for the same reason."""
        moment, name = now or _now(), kept.schedule.name
        with self._watching(kept, moment) as database:
            if database is None:
                return
            before = database.execute("SELECT * FROM watches WHERE schedule = ?", (name,)).fetchone()
            if before is None or before["trouble"] != sentence:
                row = (name, _text(moment), json.dumps(kept.schedule.request), _text(moment), sentence)
                columns = "schedule, due, state, request, ended, sentence"
                made = database.execute(f"INSERT INTO runs ({columns}) VALUES (?, ?, 'failed', ?, ?, ?)", row)
                run = ScheduledRun(id=str(made.lastrowid), state="failed", due=moment, sentence=sentence)
                if run.trouble:
                    _note(database, name, kept.schedule.request, run.trouble)
            taken = before["taken"] if before else ""
            database.execute("INSERT OR REPLACE INTO watches VALUES (?, '', ?, ?)", (name, taken, sentence))

    @contextmanager
    def _watching(self, kept: Kept, moment: datetime) -> Iterator[sqlite3.Connection | None]:
        """Its next look is due after the moment; None where it was changed, paused or deleted during the look."""
        with self._writing() as database:
            now = _find(database, kept.schedule.name)
            if now is None or now.paused is not None or now.schedule != kept.schedule:
                yield None
                return
            where = (_text(moment), kept.schedule.name)
            database.execute("UPDATE schedules SET since = ? WHERE name = ?", where)
            yield database

    # -- runs ---------------------------------------------------------------------------------------------------------

    def waiting(self) -> Sequence[Claim]:
        """Runs to start, oldest first; in a pause, those that had begun before it or were asked for in it."""
        return self._claims(
            "SELECT runs.* FROM runs JOIN schedules ON schedules.name = runs.schedule "
            "WHERE state = 'claimed' AND (paused IS NULL OR due > paused OR attempts > 0) ORDER BY due"
        )

    def running(self) -> Sequence[Claim]:
        """Runs that a process has taken on."""
        return self._claims("SELECT * FROM runs WHERE state = 'running' ORDER BY due")

    def _claims(self, query: str) -> Sequence[Claim]:
        with self._open() as database:
            return [Claim(**row) for row in database.execute(query)]

    def begin(self, run: int, runner: str) -> Claim | None:
        """Takes a claimed run on; None when another process was faster."""
        with self._writing() as database:
            taken = database.execute(
                "UPDATE runs SET state = 'running', runner = ?, attempts = attempts + 1, begun = ifnull(begun, ?) "
                "WHERE id = ? AND state = 'claimed'",
                (runner, _text(_now()), run),
            )
            row = database.execute("SELECT * FROM runs WHERE id = ?", (run,)).fetchone()
            return Claim(**row) if taken.rowcount else None

    def end(self, claim: Claim, state: str, sentence: str, told: bool = False) -> None:
        """How a run ended, said by the process that has it; "claimed" gives it back, to be continued.

        Args:
            told: where it failed: nobody need be told of it any more.
        """
        with self._writing() as database:
            ended = database.execute(
                "UPDATE runs SET state = ?, sentence = ?, ended = ? WHERE id = ? AND state = 'running' AND runner = ?",
                (state, sentence, None if state == "claimed" else _text(_now()), claim.id, claim.runner),
            )
            row = database.execute("SELECT * FROM runs WHERE id = ?", (claim.id,)).fetchone()
            if ended.rowcount and (trouble := ScheduledRun(**row).trouble):
                _note(database, claim.schedule, claim.request, trouble, told=told)

    def give_back(self, claim: Claim, reason: str) -> None:
        """A run that was cut off: it is to be continued, unless its schedule was deleted meanwhile."""
        if claim.schedule in [kept.schedule.name for kept in self.kept()]:
            self.end(claim, "claimed", f"{reason}; to be continued")
        else:
            self.end(claim, "failed", f"{reason}, and its schedule was deleted", told=True)  # by whoever deleted it

    def release_dead(self) -> Sequence[Claim]:
        """Gives back the runs whose process has died without a word; they are returned."""
        dead = [claim for claim in self.running() if not is_alive(claim.runner)]
        for claim in dead:
            if claim.attempts < ATTEMPTS:
                self.give_back(claim, "its process was killed")
            else:
                self.end(claim, "failed", f"its process was killed {claim.attempts} times")
        return dead

    def runs(self, name: str | None = None, limit: int = _SHOWN_RUNS) -> Sequence[ScheduledRun]:
        """The journal, newest first."""
        where, values = ("WHERE schedule = ?", [name]) if name else ("", [])
        with self._open() as database:
            rows = database.execute(f"SELECT * FROM runs {where} ORDER BY due DESC LIMIT ?", [*values, limit])
            return [ScheduledRun(**row) for row in rows]

    def counts(self) -> dict[str, dict[str, int]]:
        """Of each schedule, how many runs of the journal are in which state."""
        found: dict[str, dict[str, int]] = {}
        with self._open() as database:
            for row in database.execute("SELECT schedule, state, count(*) AS runs FROM runs GROUP BY schedule, state"):
                found.setdefault(row["schedule"], {})[row["state"]] = row["runs"]
        return found

    # -- notices ------------------------------------------------------------------------------------------------------

    def note(self, name: str, request: Mapping[str, Any], trouble: Trouble, engine: str = LOCAL) -> None:
        """Writes a notice of an event of a schedule, unless there is one."""
        with self._writing() as database:
            _note(database, name, request, trouble, engine)

    def note_late(self, patience: timedelta, now: datetime | None = None) -> None:
        """Writes a notice for each schedule of which nothing has happened so long after it was due."""
        moment = now or _now()
        for status in self.list(moment):
            for trouble in status.troubles(moment, patience):
                self.note(status.schedule.name, status.schedule.request, trouble)

    def notices(self, now: datetime | None = None) -> Sequence[Notice]:
        """Those that nobody was told of, oldest first; what is older than a day is no news any more."""
        query = "SELECT * FROM notices WHERE told IS NULL AND made > ? ORDER BY made"
        with self._open() as database:
            rows = database.execute(query, (_text((now or _now()) - NEWS),))
            return [Notice(**row) for row in rows]

    def told(self, notice: Notice) -> None:
        """It has been told, and is not told again."""
        key = (notice.engine, notice.schedule, notice.event, notice.due)
        where = "engine = ? AND schedule = ? AND event = ? AND due = ?"
        with self._writing() as database:
            database.execute(f"UPDATE notices SET told = ? WHERE {where}", (_text(_now()), *key))


def first_due(kept: Kept, after: datetime) -> datetime | None:
    return kept.schedule.due_after(after, kept.anchor)


def _status(
    database: sqlite3.Connection, kept: Kept, now: datetime, runs: Sequence[ScheduledRun] = ()
) -> ScheduleStatus:
    paused, undecided = kept.paused is not None, first_due(kept, kept.since)
    return ScheduleStatus(
        schedule=kept.schedule.model_copy(update={"paused": paused}),
        next_run=None if paused else first_due(kept, now),
        overdue=_undecided(database, kept) or (undecided if not paused and undecided and undecided <= now else None),
        runs=list(runs),
    )


def _undecided(database: sqlite3.Connection, kept: Kept) -> datetime | None:
    """The first due time that a change of the times has written down, and no scheduler has seen."""
    query = "SELECT min(due) FROM runs WHERE schedule = ? AND state = 'due'"
    (due,) = database.execute(query, (kept.schedule.name,)).fetchone()
    return due and datetime.fromisoformat(due)


def _note(
    database: sqlite3.Connection,
    name: str,
    request: Mapping[str, Any],
    trouble: Trouble,
    engine: str = LOCAL,
    told: bool = False,
) -> None:
    now, due = _text(_now()), _text(trouble.due) if trouble.due else ""
    row = (engine, name, trouble.event, due, f"schedule {name}: {trouble.sentence}")
    where = (request.get("webhook_env", ""), now, now if told else None)
    database.execute("INSERT OR IGNORE INTO notices VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, *where))


def _write_dues(database: sqlite3.Connection, kept: Kept, until: datetime) -> None:
    """Writes down what has come due until a moment, by the times as they are before it; `looked` does for data."""
    if kept.schedule.on_data:
        return
    name = kept.schedule.name
    due = first_due(kept, kept.since)
    while kept.paused is None and due and due <= until:
        row = (name, _text(due), json.dumps(kept.schedule.request_at(due)))
        database.execute("INSERT OR IGNORE INTO runs (schedule, due, state, request) VALUES (?, ?, 'due', ?)", row)
        due = first_due(kept, due)
    database.execute("UPDATE schedules SET since = ? WHERE name = ?", (_text(until), name))


def _decide(database: sqlite3.Connection, name: str, now: datetime, grace: float) -> None:
    """Whether what is due is to be run."""
    dues = database.execute("SELECT * FROM runs WHERE schedule = ? AND state = 'due' ORDER BY due", (name,)).fetchall()
    skipped: list[ScheduledRun] = []
    for row in dues:
        late = (now - datetime.fromisoformat(row["due"])).total_seconds()
        reason = ""
        if row is not dues[-1]:
            reason = f"the scheduler was not running; the run due at {dues[-1]['due'][:19]} stands for it"
        elif late > grace:
            reason = f"the scheduler was not running until {late:.0f} s later"
        elif active := _active(database, name):
            reason = f"the run due at {active['due'][:19]} was still {active['state'].replace('claimed', 'waiting')}"
        database.execute(
            "UPDATE runs SET state = ?, sentence = ?, ended = ? WHERE id = ?",
            ("skipped" if reason else "claimed", reason, _text(now) if reason else None, row["id"]),
        )
        if reason:
            skipped.append(ScheduledRun(**{**row, "state": "skipped", "sentence": reason}))
    if skipped and (trouble := skipped[-1].trouble):  # one notice for all that a pause of the scheduler cost
        more = f"; so was what was due at {len(skipped) - 1} times before" if len(skipped) > 1 else ""
        request = json.loads(dues[-1]["request"])
        _note(database, name, request, trouble._replace(sentence=f"{trouble.sentence}{more}"))


def _skip(database: sqlite3.Connection, name: str, reason: str, now: datetime, which: str = "") -> None:
    """Skips what has not been started."""
    database.execute(
        "UPDATE runs SET state = 'skipped', ended = ?, sentence = ? "
        f"WHERE schedule = ? AND state IN ('due', 'claimed', 'queued') {which}",
        (_text(now), reason, name),
    )


def _queue(database: sqlite3.Connection, schedule: Schedule, due: datetime) -> None:
    """As if it had never been tried; if it fails again, that is told again."""
    row = (schedule.name, _text(due))
    database.execute("DELETE FROM runs WHERE schedule = ? AND due = ?", row)
    database.execute("DELETE FROM notices WHERE engine = ? AND schedule = ? AND due = ?", (LOCAL, *row))
    query = "INSERT INTO runs (schedule, due, state, request) VALUES (?, ?, 'queued', ?)"
    database.execute(query, (*row, json.dumps(schedule.request_at(due))))


def _active(database: sqlite3.Connection, name: str) -> Any:
    query = "SELECT * FROM runs WHERE schedule = ? AND state IN ('claimed', 'running')"
    return database.execute(query, (name,)).fetchone()


def _outdated(database: sqlite3.Connection) -> Iterator[str]:
    """What makes a store of before one of today."""

    def columns(table: str) -> Sequence[str]:
        return [column["name"] for column in database.execute(f"PRAGMA table_info({table})")]

    if "revision" in columns("schedules"):
        yield from _MIGRATION
    if "begun" not in columns("runs"):
        yield "ALTER TABLE runs ADD COLUMN begun TEXT"


def _find(database: sqlite3.Connection, name: str) -> Kept | None:
    row = database.execute("SELECT * FROM schedules WHERE name = ?", (name,)).fetchone()
    return None if row is None else Kept(**row)


def _require(database: sqlite3.Connection, name: str) -> Kept:
    if (kept := _find(database, name)) is not None:
        return kept
    known = [row["name"] for row in database.execute("SELECT name FROM schedules")]
    if not known:
        raise RequestError(f"there is no schedule {name!r}: make one with `gan-pipeline schedule ensure {name} ...`")
    raise unknown_name("schedule", name, known)


def _times(schedule: Schedule) -> tuple[object, ...]:
    return schedule.cron, schedule.every, schedule.timezone, schedule.start, schedule.end, schedule.on_data


def _now() -> datetime:
    return datetime.now(UTC)


def _text(moment: datetime) -> str:
    """All of one length and in UTC, so that they sort and are equal as texts when they are as moments."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
