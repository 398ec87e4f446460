"""Schedules as recurring runs of Kubeflow, over real HTTP: edited and cut off anywhere, no run lost, none doubled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gan_models.errors import RequestError, RunError
from pipeline.engines.cluster.runs import ClusterRuns
from pipeline.engines.cluster.schedules import ClusterSchedules
from pipeline.engines.cluster.settings import ClusterSettings, read_settings
from pipeline.engines.cluster.submission import Submission, build_submission
from pipeline.request.request import Request
from pipeline.scheduling.schedule import Schedule, Scheduler, make_schedule
from tests.pipeline.kfp_server import API, Fault, KfpServer
from tests.pipeline.kfp_workflows import cron_times

IMAGE = "registry.example/gan-pipeline:0.1.0"
TINY = {"recipe": "dcgan", "data": "digits", "overrides": ["training.steps=20"]}


@pytest.fixture(scope="module")
def build() -> Callable[[Request, ClusterSettings], Submission]:
    """Compiles each request once."""
    kept: dict[str, Submission] = {}
    settings = read_settings({"image": IMAGE, "pvc": "state"}, {})

    def build(request: Request, _: ClusterSettings) -> Submission:
        if repr(request) not in kept:
            kept[repr(request)] = build_submission(request, settings)
        return kept[repr(request)]

    return build


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KfpServer]:
    monkeypatch.setattr("pipeline.engines.cluster.client.REPEAT_WAIT", 0.01)
    monkeypatch.setattr("pipeline.engines.cluster.schedules._is_near", lambda schedule: False)
    monkeypatch.setattr("pipeline.engines.cluster.schedules.POLL_SECONDS", 0.01)
    with KfpServer() as server:
        yield server


@pytest.fixture
def schedules(
    server: KfpServer, build: Callable[[Request, ClusterSettings], Submission], monkeypatch: pytest.MonkeyPatch
) -> Scheduler:
    monkeypatch.setattr("pipeline.engines.cluster.schedules.build_submission", build)
    return ClusterSchedules(settings_for(server))


def settings_for(server: KfpServer, **more: Any) -> ClusterSettings:
    return read_settings({"host": server.address, "image": IMAGE, "pvc": "state", **more}, {}, Path("/nowhere"))


def nightly(**changes: Any) -> Schedule:
    return make_schedule(**{"name": "nightly", "cron": "0 0 2 * * *", "request": TINY, **changes})


def only(server: KfpServer) -> Any:
    (kept,) = server.schedules.values()
    return kept


def end(server: KfpServer) -> None:
    """Every run that is under way ends well."""
    for run in server.runs.values():
        run.state = "SUCCEEDED"


def at(server: KfpServer, days: int, hour: int = 2, minute: int = 0) -> datetime:
    """A time of a day that is so far from the server's today."""
    return server.now.replace(hour=hour, minute=minute, second=0, microsecond=0) + timedelta(days=days)


def test_a_new_schedule_is_as_kubeflow_wants_it(server: KfpServer, schedules: Scheduler) -> None:
    assert schedules.ensure(nightly(cron="0 2 * * *")) == "created"
    kept = only(server)
    assert kept.trigger.cron_schedule.cron == "0 0 2 * * *"
    assert (kept.no_catchup, kept.max_concurrency, kept.mode) == (True, "1", "ENABLE")
    assert kept.runtime_config.parameters["seed"] == 0
    assert "dcgan on digits" in kept.description


def test_an_interval_has_no_cron(server: KfpServer, schedules: Scheduler) -> None:
    schedules.ensure(nightly(cron=None, every=3600))
    assert only(server).trigger.periodic_schedule.interval_second == "3600"
    assert only(server).trigger.cron_schedule is None


def test_ensure_again_changes_nothing(server: KfpServer, schedules: Scheduler) -> None:
    schedules.ensure(nightly())
    before = (only(server).recurring_run_id, len(server.sent("POST")))
    assert schedules.ensure(nightly(cron="0 2 * * *")) == "unchanged"
    assert (only(server).recurring_run_id, len(server.sent("POST"))) == before


@pytest.mark.parametrize(
    "change", [{"cron": "0 0 3 * * *"}, {"cron": None, "every": 60}, {"request": {**TINY, "seed": 1}}]
)
def test_a_change_replaces_it(server: KfpServer, schedules: Scheduler, change: dict[str, Any]) -> None:
    schedules.ensure(nightly())
    before = only(server).recurring_run_id
    assert schedules.ensure(nightly(**change)) == "changed"
    assert only(server).recurring_run_id != before
    assert only(server).mode == "ENABLE"


def test_another_image_is_a_change(server: KfpServer) -> None:
    assert ClusterSchedules(settings_for(server)).ensure(nightly()) == "created"
    assert ClusterSchedules(settings_for(server)).ensure(nightly()) == "unchanged"
    assert ClusterSchedules(settings_for(server, image=f"{IMAGE}-1")).ensure(nightly()) == "changed"


def test_pause_and_resume_outlive_a_change(server: KfpServer, schedules: Scheduler) -> None:
    schedules.ensure(nightly(paused=True))
    assert only(server).mode == "DISABLE"
    schedules.ensure(nightly(cron="0 0 3 * * *"))
    assert only(server).mode == "DISABLE"
    schedules.resume("nightly")
    schedules.resume("nightly")
    assert schedules.ensure(nightly(cron="0 0 3 * * *", paused=True)) == "unchanged"
    assert not schedules.show("nightly").schedule.paused
    schedules.pause("nightly")
    assert schedules.show("nightly").schedule.paused


# Requests of a change: find, find the experiment, make, find, disable the old, enable the new, delete the old.
CHANGES = [("POST", r"/recurringruns$"), ("POST", ":disable$"), ("POST", ":enable$"), ("DELETE", ".")]


@pytest.mark.parametrize("kind", ["500", "done"])
@pytest.mark.parametrize(
    ("cut", "paused"),
    [(cut, paused) for cut in CHANGES for paused in (False, True) if not (paused and "able" in cut[1])],
)
def test_a_change_that_is_cut_off_anywhere_is_finished_by_the_next(
    server: KfpServer, schedules: Scheduler, cut: tuple[str, str], kind: str, paused: bool
) -> None:
    schedules.ensure(nightly(paused=paused))
    server.faults.append(Fault(*cut, kind))
    with pytest.raises(RunError):
        schedules.ensure(nightly(cron="0 0 3 * * *"))
    assert sum(kept.mode == "ENABLE" for kept in server.schedules.values()) <= 1, "never two at once"
    assert [each.schedule.name for each in schedules.list()] == ["nightly"]
    schedules.ensure(nightly(cron="0 0 4 * * *"))
    assert only(server).trigger.cron_schedule.cron == "0 0 4 * * *"
    assert (only(server).mode == "ENABLE") is not paused


def test_no_run_is_lost_or_doubled_by_edits(server: KfpServer, schedules: Scheduler) -> None:
    """A run every ten seconds, edited between any two, half of the edits cut off."""
    start = at(server, 1)
    server.now = start - timedelta(seconds=1)
    schedules.ensure(nightly(cron="*/10 * * * * *"))
    for second in range(120):
        server.tick(start + timedelta(seconds=second))
        end(server)
        if second % 10 == 5:
            if second % 20 == 5:
                server.faults.append(Fault(*CHANGES[second // 20 % 4], "done"))
            request = {**TINY, "seed": second % 3}
            for _ in range(2):
                try:
                    schedules.ensure(nightly(cron="*/10 * * * * *", request=request))
                except RunError:
                    continue
    due = [start + timedelta(seconds=second) for second in range(0, 120, 10)]
    assert sorted(run.scheduled_at for run in server.runs.values()) == due


def test_two_who_ensure_the_same_at_once_leave_one(server: KfpServer, schedules: Scheduler) -> None:
    """Both have found none, and so made one."""
    import requests
    from kfp_server_api import ApiClient

    schedules.ensure(nightly())
    body = ApiClient().sanitize_for_serialization(only(server))
    assert requests.post(f"{server.address}{API}/recurringruns", json={**body, "namespace": ""}, timeout=10).ok
    assert len(server.scheduled) == 2
    schedules.ensure(nightly())
    assert only(server).mode == "ENABLE"
    assert [each.enabled for each in server.scheduled.values()] == [True]


@pytest.mark.parametrize("multi_user", [False, True])
def test_a_server_for_one_user_and_one_for_many(
    monkeypatch: pytest.MonkeyPatch, build: Callable[[Request, ClusterSettings], Submission], multi_user: bool
) -> None:
    """For one user, experiments belong to no namespace: a body that names one is refused."""
    monkeypatch.setattr("pipeline.engines.cluster.schedules.build_submission", build)
    monkeypatch.setattr("pipeline.engines.cluster.schedules._is_near", lambda schedule: False)
    with KfpServer(multi_user=multi_user) as server:
        schedules = ClusterSchedules(settings_for(server, namespace="team"))
        assert schedules.ensure(nightly()) == "created"
        assert schedules.ensure(nightly(cron="0 0 3 * * *")) == "changed"
        assert schedules.ensure(nightly(cron="0 0 3 * * *")) == "unchanged"
        schedules.pause("nightly")
        schedules.resume("nightly")
        schedules.run_now("nightly")
        (kept,) = schedules.list()
        assert (kept.schedule.name, kept.schedule.paused) == ("nightly", False)
        assert server.experiments[only(server).experiment_id].namespace == ("team" if multi_user else "")


def test_a_request_of_any_length_fits_the_tables(server: KfpServer) -> None:
    """A description holds 255 characters: a longer one is refused when Kubernetes has the schedule already."""
    schedules = ClusterSchedules(settings_for(server))
    overrides = [f"training.steps={number}" for number in range(10, 90)]
    request = {**TINY, "overrides": overrides, "name": "n" * 60}
    assert schedules.ensure(nightly(name="n" * 40, request=request)) == "created"
    assert schedules.show("n" * 40).schedule.request["overrides"] == overrides
    assert len(only(server).description) <= 255
    assert len(server.scheduled) == 1


def test_what_the_server_lost_halfway_is_said(
    server: KfpServer, schedules: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.engines.cluster.schedules.COLUMN", 300)
    monkeypatch.setattr("pipeline.engines.cluster.schedules._TITLE", "t" * 300)
    with pytest.raises(RunError, match="Kubernetes may hold one by now that the server does not know: kubectl get"):
        schedules.ensure(nightly())
    assert (len(server.schedules), len(server.scheduled)) == (0, 1)


def test_resume_starts_nothing_that_was_missed(server: KfpServer, schedules: Scheduler) -> None:
    schedules.ensure(nightly())
    schedules.pause("nightly")
    server.tick(at(server, 3, hour=12))
    assert server.runs == {}
    schedules.resume("nightly")
    server.tick(at(server, 0, hour=12, minute=1))
    assert server.runs == {}
    server.tick(at(server, 1))
    assert [run.scheduled_at for run in server.runs.values()] == [at(server, 0)]


def test_enabling_by_other_means_owes_the_latest_missed_time(server: KfpServer, schedules: Scheduler) -> None:
    """What the controller does, and `resume` keeps from happening."""
    schedules.ensure(nightly(paused=True))
    server.tick(at(server, 3, hour=12))
    server.scheduled[next(iter(server.scheduled))].enabled = True
    server.tick(at(server, 0, hour=12, minute=1))
    assert [run.scheduled_at for run in server.runs.values()] == [at(server, 0)]


def test_a_change_waits_for_the_run_under_way(
    server: KfpServer, build: Callable[[Request, ClusterSettings], Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.engines.cluster.schedules.build_submission", build)
    said: list[str] = []

    def note(sentence: str) -> None:
        assert len(server.schedules) == 1
        said.append(sentence)

    schedules = ClusterSchedules(settings_for(server), note)
    schedules.ensure(nightly())
    server.tick(at(server, 1))
    (run,) = server.runs.values()
    passed = iter(range(100))
    monkeypatch.setattr(
        "pipeline.engines.cluster.schedules.time.sleep", lambda seconds: end(server) if next(passed) == 3 else None
    )
    assert schedules.ensure(nightly(cron="0 0 3 * * *")) == "changed"
    assert (len(said), "is under way: nightly changes when it has ended" in said[0]) == (1, True)
    assert (run.run_id in server.workflows, len(server.schedules)) == (True, 1), "it is still there"


def test_delete_leaves_the_run_under_way(server: KfpServer, schedules: Scheduler) -> None:
    schedules.ensure(nightly())
    server.tick(at(server, 1))
    (run,) = server.runs.values()
    schedules.delete("nightly")
    assert server.schedules == {} == server.scheduled
    assert run.run_id in server.workflows


def test_a_run_is_called_by_its_schedule_and_when_it_was_due(server: KfpServer, schedules: Scheduler) -> None:
    schedules.ensure(nightly())
    server.tick(at(server, 1))
    (raw,) = server.runs.values()
    assert raw.display_name.count("-") > 1, "what Kubernetes calls it"
    runs = ClusterRuns(settings_for(server).connection)
    (listed,) = runs.list(5, every_experiment=True)
    assert listed.name == f"nightly {at(server, 0):%Y-%m-%d %H:%M}"
    assert (runs.find("nightly").id, runs.find(listed.name).id) == (raw.run_id, raw.run_id)
    assert schedules.show("nightly").runs[0].due == at(server, 0)


def test_runs_of_earlier_ids_are_known(server: KfpServer, schedules: Scheduler) -> None:
    schedules.ensure(nightly())
    server.tick(at(server, 1))
    end(server)
    schedules.ensure(nightly(cron="0 0 3 * * *"))
    server.tick(at(server, 1, hour=3))
    assert len({run.recurring_run_id for run in server.runs.values()}) == 2
    assert len(schedules.show("nightly").runs) == 2
    with pytest.raises(RequestError, match="has not ended yet"):
        schedules.run_now("nightly")


def test_health(server: KfpServer, schedules: Scheduler) -> None:
    server.now = datetime.now(UTC) - timedelta(days=3)
    schedules.ensure(nightly())
    grace = timedelta(minutes=10)

    def troubles() -> list[str]:
        return [trouble.sentence for trouble in schedules.show("nightly").troubles(datetime.now(UTC), grace)]

    assert troubles()[0].startswith("late: was due ")
    server.tick(datetime.now(UTC))
    assert troubles() == [], "one is under way"
    (run,) = server.runs.values()
    run.state = "FAILED"
    assert troubles() == [f"run {run.run_id} failed"]
    end(server)
    assert troubles() == []
    schedules.pause("nightly")
    assert schedules.show("nightly").overdue is None


def test_health_tells_a_webhook_once(
    server: KfpServer, schedules: Scheduler, hook: Any, ask: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a cron job that has nothing but the file of before; a retraining that tells its own end is left to it."""
    server.now = datetime.now(UTC) - timedelta(days=3)
    schedules.ensure(nightly())
    schedules.ensure(nightly(name="talks", request={**TINY, "command": "retrain", "webhook_env": "OWN"}))
    server.tick(datetime.now(UTC))
    for run in server.runs.values():
        run.state = "FAILED"
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", server.address)
    for _ in range(2):
        answer = ask("schedule", "health", "--engine", "cluster", "--webhook-env", "HOOK")
        assert (answer.code, answer.err) == (1, "")
    (message,) = hook.got
    assert (message["engine"], message["schedule"], message["event"]) == ("cluster", "nightly", "failed")


def test_a_start_and_an_end(server: KfpServer, schedules: Scheduler) -> None:
    start, end_ = at(server, 5), at(server, 7)
    wanted = nightly(start=start, end=end_)
    schedules.ensure(wanted)
    assert schedules.ensure(wanted) == "unchanged"
    assert schedules.show("nightly").next_run == start
    for day in range(1, 10):
        server.tick(start.replace(hour=12) + timedelta(days=day - 6))
        end(server)
    due = sorted(run.scheduled_at for run in server.runs.values())
    assert due == [start, start + timedelta(days=1), start + timedelta(days=2)]


def test_a_start_that_has_passed_owes_nothing(server: KfpServer, schedules: Scheduler) -> None:
    server.now = datetime.now(UTC)
    schedules.ensure(nightly(start=server.now - timedelta(days=3)))
    schedules.pause("nightly")
    schedules.resume("nightly")
    server.tick(server.now + timedelta(seconds=1))
    assert server.runs == {}


def test_only_the_runs_of_a_schedule_are_asked_for(server: KfpServer, schedules: Scheduler) -> None:
    """Each is sent with its whole pipeline. Kubernetes begins their names with 25 characters of the schedule's."""
    name = "a-schedule-with-a-name-of-forty-letters"
    schedules.ensure(nightly(name=name))
    schedules.ensure(nightly(name="other", cron="0 * * * * *"))
    server.page_limit = 2
    for minute in range(6):
        server.tick(at(server, 1, minute=minute) if not minute else at(server, 0, minute=minute))
        end(server)
    before = len(server.sent("GET"))
    assert len(schedules.show(name).runs) == 1
    assert len([path for path in server.sent("GET")[before:] if path.endswith("/runs")]) == 2


def test_a_run_that_was_given_up_is_waited_for_no_more(server: KfpServer, schedules: Scheduler) -> None:
    """Its workflow is gone: it reads running for ever, and archiving it takes it out of the way."""
    schedules.ensure(nightly())
    server.tick(at(server, 1))
    server.workflows.clear()
    (run,) = server.runs.values()
    run.state = "RUNNING"
    with pytest.raises(RequestError, match="has not ended yet"):
        schedules.run_now("nightly")
    run.storage_state = "ARCHIVED"
    assert schedules.run_now("nightly")
    end(server)
    assert schedules.ensure(nightly(cron="0 0 3 * * *")) == "changed"


def test_run_now_twice_runs_twice(server: KfpServer, schedules: Scheduler) -> None:
    schedules.ensure(nightly())
    first = schedules.run_now("nightly")
    end(server)
    assert schedules.run_now("nightly") != first
    assert len(server.runs) == 2


def test_equal_names_of_one_schedule_are_one_run(server: KfpServer, schedules: Scheduler) -> None:
    """What the server does with them: so `run-now` gives each its own."""
    import requests
    from kfp_server_api import ApiClient

    schedules.ensure(nightly())
    kept = ApiClient().sanitize_for_serialization(only(server))
    fields = ("experiment_id", "pipeline_spec", "runtime_config", "recurring_run_id", "display_name")
    body = {name: kept[name] for name in fields}
    first, second = (requests.post(f"{server.address}{API}/runs", json=body, timeout=10).json() for _ in range(2))
    assert first["run_id"] == second["run_id"]


def test_an_interval_says_when_it_runs_next(server: KfpServer, schedules: Scheduler) -> None:
    schedules.ensure(nightly(cron=None, every=3600))
    shown = schedules.show("nightly").next_run
    assert shown == only(server).created_at + timedelta(seconds=3600)


@pytest.mark.parametrize(
    ("cron", "weekday_alone"),
    [("0 0 2 */2 * MON", False), ("0 0 2 1-31 * MON", True), ("0 0 2 * * MON", False), ("0 0 2 13 * MON", True)],
)
def test_days_are_counted_as_the_server_counts_them(
    server: KfpServer, schedules: Scheduler, cron: str, weekday_alone: bool
) -> None:
    """Of the month and of the week: either will do, unless one begins with a star; `*/2` is a star."""
    schedules.ensure(nightly(cron=cron))
    following = schedules.show("nightly").next_run
    assert following == cron_times(cron, server.now, server.now + timedelta(days=40))[0]
    days = cron_times(cron, server.now, server.now + timedelta(days=400))
    assert any(day.isoweekday() != 1 for day in days) is weekday_alone


def test_a_change_keeps_away_from_times_that_are_due(monkeypatch: pytest.MonkeyPatch, server: KfpServer) -> None:
    monkeypatch.undo()
    from pipeline.engines.cluster.schedules import _is_near

    now = datetime.now(UTC)
    soon, late = now + timedelta(seconds=5), now + timedelta(hours=2)
    assert _is_near(nightly(cron=f"{soon.second} {soon.minute} {soon.hour} * * *"))
    assert not _is_near(nightly(cron=f"{late.second} {late.minute} {late.hour} * * *"))


def test_list_show_and_run_now(server: KfpServer, schedules: Scheduler) -> None:
    for name in ("weekly", "nightly"):
        schedules.ensure(nightly(name=name))
    server.tick(at(server, 1))
    assert [each.schedule.name for each in schedules.list()] == ["nightly", "weekly"]
    shown = schedules.show("nightly")
    assert shown.schedule == nightly()
    assert shown.next_run is not None
    assert (shown.next_run.hour, shown.next_run > datetime.now(UTC)) == (2, True)
    assert [run.state for run in shown.runs] == ["PENDING"]
    with pytest.raises(RequestError, match="has not ended yet, and they never overlap"):
        schedules.run_now("nightly")
    server.runs[shown.runs[0].id].state = "SUCCEEDED"
    made = server.runs[schedules.run_now("nightly")]
    assert made.display_name.startswith("nightly by hand ")
    assert made.runtime_config.parameters["seed"] == 0
    assert schedules.show("nightly").runs[0].id == made.run_id


def test_names_that_are_not_there(server: KfpServer, schedules: Scheduler) -> None:
    with pytest.raises(RequestError, match="there is no schedule 'nightly', nor any other"):
        schedules.pause("nightly")
    schedules.ensure(nightly())
    for act in (schedules.show, schedules.pause, schedules.resume, schedules.run_now, schedules.delete):
        with pytest.raises(RequestError, match="unknown schedule 'nigthly': did you mean 'nightly'"):
            act("nigthly")


def test_recurring_runs_of_others_are_left_alone(server: KfpServer, schedules: Scheduler) -> None:
    schedules.ensure(nightly())
    parameters = only(server).runtime_config.parameters
    parameters["run"] = json.dumps({**json.loads(parameters["run"]), "schedule": {}})
    assert schedules.list() == []
    schedules.ensure(nightly())
    assert len(server.schedules) == 2


def test_a_recurring_run_of_before_is_read(server: KfpServer, schedules: Scheduler) -> None:
    schedules.ensure(nightly())
    request = {
        **{
            "command": "retrain",
            "data": "digits",
            "force": True,
            "model": "faces",
            "name": "nightly",
            "recipe": "dcgan",
        },
        **{"overrides": ["training.steps=20"], "seed": 3, "warm_start": True, "webhook_env": "HOOK"},
    }
    times = {"cron": "0 0 2 * * *", "every": None, "name": "nightly", "paused": False, "timezone": "UTC"}
    note = {"digest": "0123456789abcdef", "enable": True, "schedule": {**times, "request": request}}
    parameters = only(server).runtime_config.parameters
    parameters["run"] = json.dumps({**json.loads(parameters["run"]), "schedule": note})
    read = Request.parse(schedules.show("nightly").schedule.request)
    assert (read.command, read.seed, read.model, read.webhook_env) == ("retrain", 3, "faces", "HOOK")
    assert (read.overrides, read.force, read.warm_start) == (("training.steps=20",), True, True)
    assert schedules.ensure(nightly(request=read.document())) == "changed"
    parameters = only(server).runtime_config.parameters
    assert (parameters["model_name"], parameters["force"], parameters["warm_start"]) == ("faces", True, True)


def test_one_time_zone_for_a_cluster(server: KfpServer, schedules: Scheduler) -> None:
    with pytest.raises(RequestError, match="here UTC, not in Europe/Berlin"):
        schedules.ensure(nightly(timezone="Europe/Berlin"))
    assert server.requests == []
    there = ClusterSchedules(settings_for(server, timezone="Europe/Berlin"))
    assert there.ensure(nightly(timezone="Europe/Berlin")) == "created"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"recipe": "dcgam"}, "did you mean 'dcgan'?"),
        ({"reciep": "dcgan"}, "unknown argument of a training 'reciep': did you mean 'recipe'?"),
        ({"seed": "one"}, "seed: "),
        ({"data": "folder:/images", "recipe": "dcgan"}, "lies on this machine"),
    ],
)
def test_a_request_that_cannot_run_is_never_scheduled(server: KfpServer, request_: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError) as refused:
        ClusterSchedules(settings_for(server)).ensure(nightly(request=request_))
    assert words in str(refused.value)
    assert server.requests == []


# -- the test double is as strict as the real one ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trigger": {"cron_schedule": {"cron": "0 2 * * *"}}}, "not a valid cron"),
        ({"trigger": {"cron_schedule": {"cron": "0 0 25 * * *"}}}, "not a valid cron"),
        ({"trigger": {}}, "exactly one of cron_schedule and periodic_schedule"),
        ({"trigger": {"periodic_schedule": {"interval_second": 60}}}, "invalid value 60"),
        ({"pipeline_spec": None, "pipeline_version_reference": {"pipeline_id": "a"}}, "pipeline version id is missing"),
        ({"pipeline_spec": {"pipeline_spec": {"root": {}}}}, "root component is empty"),
        ({"pipeline_spec": {"pipeline_spec": {"rooot": {}}}}, "invalid v2 pipeline spec"),
        ({"runtime_config": {"parameters": {"seed": 0}}}, "is not optional"),
        ({"max_concurrency": "0"}, "max concurrency"),
        ({"mode": "ON"}, "is none of"),
        ({"display": "x"}, 'unknown field "display"'),
        ({"no_catchup": "yes"}, "invalid value"),
    ],
)
def test_the_server_refuses_what_the_schema_refuses(
    server: KfpServer, schedules: Scheduler, changes: dict[str, Any], words: str
) -> None:
    import requests
    from kfp_server_api import ApiClient

    schedules.ensure(nightly())
    body = ApiClient().sanitize_for_serialization(only(server))
    body = {key: value for key, value in {**body, **changes}.items() if value is not None}
    answer = requests.post(f"{server.address}{API}/recurringruns", json=body, timeout=10)
    assert answer.status_code == 400
    assert words in answer.json()["message"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sed": 1}, "parameter sed provided is not required"),
        ({"seed": "1"}, "parameter seed is of a wrong type"),
    ],
)
def test_the_server_knows_the_parameters_of_a_pipeline(
    server: KfpServer, schedules: Scheduler, arguments: dict[str, Any], words: str
) -> None:
    import requests
    from kfp_server_api import ApiClient

    schedules.ensure(nightly())
    body = ApiClient().sanitize_for_serialization(only(server))
    body["runtime_config"]["parameters"].update(arguments)
    answer = requests.post(f"{server.address}{API}/recurringruns", json=body, timeout=10)
    assert (answer.status_code, words in answer.json()["message"]) == (400, True)
