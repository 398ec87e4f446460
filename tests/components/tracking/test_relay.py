"""The relay against real SQLite stores, read back through MLflow's own client."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE

from components.context import DESCRIBED, RunContext, Trial
from components.stage.stage import PIPELINE, Interrupted, open_stage
from components.tracking import relay as relay_module
from components.tracking.backend import Trouble
from components.tracking.champions import Lineage
from components.tracking.journal import Journal
from components.tracking.mlflow.champions import MlflowChampions
from components.tracking.mlflow.client import connect, trouble_of
from components.tracking.mlflow.runs import RUN_TAG, STAGE_TAG
from components.tracking.mlflow.sender import MlflowSender
from components.tracking.mlflow.tracker import MLFLOW
from components.tracking.relay import Relay, count_unsent, has_unsent, unsent_runs
from components.tracking.sqlite_address import sqlite_uri
from gan_models.atomic import write_json
from gan_models.errors import RequestError, RunError


def drain(context: RunContext, only: str | None = None) -> None:
    with Relay(context, only) as relay:
        pending = relay.drain(60)
        assert not pending, pending
        assert pending.rejected == ()


def runs_of(context: RunContext) -> dict[str, Any]:
    """The MLflow runs of a pipeline run by their stage."""
    client = connect(context.tracking_uri)
    experiment = client.get_experiment_by_name(context.experiment)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.`{RUN_TAG}` = '{context.run_id}'")
    by_stage = {run.data.tags[STAGE_TAG]: run for run in found}
    assert len(by_stage) == len(found)
    return by_stage


def history(context: RunContext, run: Any, key: str) -> list[tuple[int, float]]:
    return sorted((m.step, m.value) for m in connect(context.tracking_uri).get_metric_history(run.info.run_id, key))


def test_a_run_as_mlflow_shows_it(tracked: RunContext, png: Path) -> None:
    with open_stage(PIPELINE, tracked) as pipeline:
        pipeline.log_params({"seed": 0})
        pipeline.headline({}, "Recipe **dcgan** on digits.", {})
        with open_stage("train_gan", tracked) as train:
            train.log_params({"optimizers": {"generator": {"lr": 2e-4}}})
            train.log_dataset("digits", "f" * 64, "digits", {"counts": {"train": 10}}, "training")
            for step in (100, 200):
                train.log_metrics({"loss": step / 100}, step=step)
                train.log_image(png, "samples", step)
            train.log_artifact(png, "figures")
            train.log_artifact(png.parent / "store", "folders")
        with open_stage("select_checkpoint", tracked) as select:
            select.log_metrics({"FD": 7.0}, step=100)
            select.log_checkpoint("step-000100", 100, {"FD": 7.0, "IS": 9.0})
            select.headline({"validation/FD": 7.0}, step=100)
            select.headline({"FD": 7.0}, "Best step: **100**.", {"best_step": "100"})
            select.log_artifact(png, of_pipeline=True)
    drain(tracked)

    client, runs = connect(tracked.tracking_uri), runs_of(tracked)
    parent, train_run, select_run = runs[PIPELINE], runs["train_gan"], runs["select_checkpoint"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert [run.info.run_name for run in (parent, train_run, select_run)] == [
        "digits",
        "2 train",
        "3 select checkpoint",
    ]
    assert train_run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    said = re.sub(r"<!-- \w+ -->\n", "", parent.data.tags["mlflow.note.content"])
    pages = [f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}" for run in (train_run, select_run)]
    links = f"**Stages** [2 train]({pages[0]}) · [3 select checkpoint]({pages[1]})"
    assert said == f"Best step: **100**.\n\nRecipe **dcgan** on digits.\n\n{links}"
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["grid.png"]
    assert history(tracked, parent, "validation/FD") == [(100, 7.0)]
    assert parent.data.metrics == {"FD": 7.0, "validation/FD": 7.0}
    assert not any(name.startswith("environment.") for name in parent.data.tags)
    assert parent.data.tags["data"] == "digits ffffffffffff"
    assert parent.data.tags["best_step"] == "100"
    assert parent.inputs.dataset_inputs[0].dataset.name == "digits"
    assert train_run.inputs.dataset_inputs[0].tags[0].value == "training"
    assert train_run.data.params == {"optimizers.generator.lr": "0.0002"}
    assert "environment.python" in train_run.data.tags
    assert history(tracked, train_run, "loss") == [(100, 1.0), (200, 2.0)]
    images = [file.path for file in client.list_artifacts(train_run.info.run_id, "images")]
    assert len(images) == 4
    assert all(part in images[0] for part in ("images/samples+step+100+timestamp+", "+compressed.webp"))
    assert [file.path for file in client.list_artifacts(train_run.info.run_id, "figures")] == ["figures/grid.png"]
    assert [f.path for f in client.list_artifacts(train_run.info.run_id, "folders/store")] == [
        "folders/store/mlflow.db"
    ]
    assert history(tracked, select_run, "FD") == [(100, 7.0)]
    (model,) = client.search_logged_models([parent.info.experiment_id])
    assert (model.name, str(model.status), model.source_run_id) == ("step-000100", "READY", select_run.info.run_id)
    assert {(metric.key, metric.step, metric.value) for metric in model.metrics} == {("FD", 100, 7.0), ("IS", 100, 9.0)}
    assert [output.model_id for output in select_run.outputs.model_outputs] == [model.model_id]
    assert not any((tracked.tracking_folder / "train_gan.spool").iterdir())


def test_a_sweep_has_a_run_for_each_trial_with_its_stages_below(tracked: RunContext) -> None:
    trials = [
        Trial(key=f"k-{seed}", name=f"seed={seed}", settings={"seed": str(seed), "training.steps": "9"})
        for seed in range(2)
    ]
    contexts = [tracked.of_trial(trial) for trial in trials]
    with Relay(tracked, trials=contexts) as relay:
        with open_stage(PIPELINE, tracked) as parent:
            parent.log_params({"recipe": "dcgan"})
            with open_stage("train_gan", contexts[0]) as stage:
                stage.log_metrics({"loss": 1.0}, step=1)
            with open_stage("evaluate_gan", contexts[0]) as stage:
                stage.headline({"FD": 2.5}, "")
            with suppress(RunError), open_stage("train_gan", contexts[1]):
                raise RunError("the loss is NaN")
        assert not relay.drain(60)
    (sweep,) = runs_of(tracked).values()
    assert (sweep.info.run_name, sweep.info.status) == (tracked.name, "FINISHED")
    for trial, context, status in zip(trials, contexts, ("FINISHED", "FAILED"), strict=True):
        runs = runs_of(context)
        run = runs.pop(PIPELINE)
        assert (run.info.run_name, run.info.status) == (trial.name, status), "as its latest stage"
        assert run.data.tags["mlflow.parentRunId"] == sweep.info.run_id
        assert run.data.params == trial.settings, "to compare the trials by"
        assert {each.data.tags["mlflow.parentRunId"] for each in runs.values()} == {run.info.run_id}
    assert runs_of(contexts[0])[PIPELINE].data.metrics == {"FD": 2.5}
    assert sweep.data.metrics == {}


def test_trials_of_a_sweep_that_was_cut_off_are_sent_by_the_next(tracked: RunContext) -> None:
    context = tracked.of_trial(Trial(key="k", name="seed=1", settings={"seed": "1"}))
    with open_stage("train_gan", context):
        pass
    later = tracked.model_copy(update={"run_id": "b" * 32})
    assert [run.run_id for run in unsent_runs(later)] == [context.run_id]
    with Relay(later), suppress(TimeoutError):
        deadline = 600
        while has_unsent(context) and (deadline := deadline - 1):
            time.sleep(0.1)
    assert runs_of(context)[PIPELINE].data.tags["mlflow.parentRunId"] == runs_of(tracked)[PIPELINE].info.run_id


def test_what_was_killed_in_a_trial_is_ended_with_the_sweep(tracked: RunContext) -> None:
    context = tracked.of_trial(Trial(key="k", name="seed=1"))
    journal = Journal(context.tracking_folder, "train_gan")
    journal.append({"kind": "start"})
    journal.close()
    write_json(context.tracking_folder / "run.json", context.model_dump(include=set(DESCRIBED)))
    with suppress(Interrupted), open_stage(PIPELINE, tracked):
        raise Interrupted
    with Relay(tracked, trials=[context]) as relay:
        assert not relay.drain(60)
    assert {run.info.status for run in runs_of(context).values()} == {"KILLED"}


def test_a_failed_and_resumed_run_goes_on_in_the_same_runs(tracked: RunContext) -> None:
    def train(steps: int, error: Exception | None) -> None:
        with open_stage(PIPELINE, tracked), open_stage("train_gan", tracked) as stage:
            for step in range(steps):
                stage.log_metrics({"loss": float(step)}, step=step)
            if error:
                raise error

    with pytest.raises(RunError):
        train(10, RunError("lost power"))
    drain(tracked)
    assert {run.info.status for run in runs_of(tracked).values()} == {"FAILED"}
    train(20, None)
    drain(tracked)
    runs = runs_of(tracked)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert history(tracked, runs["train_gan"], "loss") == [(step, float(step)) for step in range(20)]
    assert "lost power" in runs["train_gan"].data.tags["gan_pipeline.failure"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_batch_whose_acknowledgement_was_lost_arrives_once(
    moment: str, tracked: RunContext, png: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between sending and acknowledging, or right after that, at every single batch."""

    class Killed(BaseException):
        pass

    with open_stage("train_gan", tracked) as stage:
        stage.log_params({"a": 1})
        for step in range(3):
            stage.log_metrics({"loss": 1.0, "accuracy": float("nan")}, step=step)
        stage.log_image(png, "samples", 1)
        stage.log_dataset("digits", "f", "digits", {}, "training")
        stage.log_checkpoint("step-1", 1, {"FD": 1.0})
        stage.headline({"FD": 1.0}, "text", {})
    killed_at: set[int] = set()
    acknowledge = relay_module._Outbox.acknowledge

    def die_once(end: int) -> None:
        if end not in killed_at:
            killed_at.add(end)
            raise Killed

    def die_before(self: Any, lines: Any) -> None:
        die_once(lines[-1].end)
        acknowledge(self, lines)

    def die_after(path: Path, content: dict[str, Any]) -> None:
        write_json(path, content)
        die_once(content["bytes"])

    if moment == "before":
        monkeypatch.setattr(relay_module._Outbox, "acknowledge", die_before)
    else:
        monkeypatch.setattr(relay_module, "write_json", die_after)
    while count_unsent(tracked):
        relay = Relay(tracked)
        outbox = relay._posts[0].refresh()[0]
        with suppress(Killed):
            relay._round()
        outbox.lease.release()
    run = runs_of(tracked)["train_gan"]
    assert len(killed_at) >= 7
    assert [step for step, _ in history(tracked, run, "loss")] == [0, 1, 2]
    assert [step for step, _ in history(tracked, run, "accuracy")] == [0, 1, 2]
    assert history(tracked, runs_of(tracked)[PIPELINE], "FD") == [(0, 1.0)]
    client = connect(tracked.tracking_uri)
    assert len(client.list_artifacts(run.info.run_id, "images")) == 2
    assert len(client.search_logged_models([run.info.experiment_id])) == 1
    assert len(run.inputs.dataset_inputs) == 1
    assert not list((tracked.tracking_folder / "train_gan.spool").iterdir())


def test_what_the_store_has_is_left_out_even_if_it_was_sent_at_another_time(tracked: RunContext) -> None:
    """SQL stores recognise an equal row by its time; for others the relay must compare by key and step."""
    sender = MlflowSender(tracked)
    spool = tracked.tracking_folder / "train_gan.spool"
    spool.mkdir(parents=True)

    def entry(time: int, step: int) -> dict[str, Any]:
        return {"kind": "metrics", "t": time, "step": step, "values": {"loss": 1.0}}

    sender.send("train_gan", spool, [entry(1, 1)], verify=False)
    sender.send("train_gan", spool, [entry(2, 1), entry(2, 2)], verify=True)
    assert [step for step, _ in history(tracked, runs_of(tracked)["train_gan"], "loss")] == [1, 2]


def test_a_changed_parameter_becomes_a_tag_and_holds_nothing_up(tracked: RunContext) -> None:
    for threads in (1, 2):
        with open_stage("train_gan", tracked) as stage:
            stage.log_params({"threads": threads, "seed": 0})
        drain(tracked)
    run = runs_of(tracked)["train_gan"]
    assert run.data.params == {"threads": "1", "seed": "0"}
    assert run.data.tags["changed.threads"] == "2"


def test_an_entry_that_the_store_does_not_take_is_set_aside(tracked: RunContext) -> None:
    with open_stage("train_gan", tracked) as stage:
        stage._append("metrics", step=1, values={"bad#name": 1.0, "good": 2.0})
        stage.log_metrics({"loss": 1.0}, step=1)
    with Relay(tracked) as relay:
        pending = relay.drain(60)
    assert not pending
    assert len(pending.rejected) == 1
    assert "bad#name" in (tracked.tracking_folder / "train_gan.rejected").read_text()
    assert set(runs_of(tracked)["train_gan"].data.metrics) == {"good", "loss"}


def test_an_earlier_run_that_was_never_sent_is_sent_by_the_next(tracked: RunContext) -> None:
    earlier = tracked.model_copy(update={"run_id": "earlier", "name": "yesterday"})
    elsewhere = tracked.model_copy(update={"run_id": "elsewhere", "tracking_uri": "http://127.0.0.1:9"})
    for context in (earlier, elsewhere, tracked):
        with open_stage("train_gan", context) as stage:
            stage.log_metrics({"loss": 1.0}, step=1)
    assert [run.run_id for run in unsent_runs(tracked)] == ["earlier"]
    with Relay(tracked) as relay:
        assert not relay.drain(60)
        for _ in range(600):
            if not count_unsent(earlier):
                break
            relay._stop.wait(0.05)
    assert runs_of(earlier)[PIPELINE].info.run_name == "yesterday"
    assert count_unsent(elsewhere)


def test_whoever_only_knows_where_a_run_lies_finds_what_its_stages_are_called(tracked: RunContext) -> None:
    with open_stage("train_gan", tracked) as stage:
        stage.log_metrics({"loss": 1.0}, step=1)
    drain(tracked.model_copy(update={"titles": {}}))
    assert runs_of(tracked)["train_gan"].info.run_name == "2 train"


def test_what_is_left_of_a_run_of_an_earlier_version_goes_by_the_titles_of_today(tracked: RunContext) -> None:
    earlier = tracked.model_copy(update={"run_id": "earlier", "name": "yesterday"})
    with open_stage("train_gan", earlier) as stage:
        stage.log_metrics({"loss": 1.0}, step=1)
    described = earlier.tracking_folder / "run.json"
    written = json.loads(described.read_text())
    assert written.pop("titles") == tracked.titles
    described.write_text(json.dumps(written))
    assert [(run.name, run.titles) for run in unsent_runs(tracked)] == [("yesterday", tracked.titles)]


def test_a_stage_without_a_command_line_sends_by_itself(tracked: RunContext) -> None:
    context = tracked.model_copy(update={"relay": "in-process"})
    with open_stage("prepare_data", context) as stage:
        stage.log_metrics({"images": 10.0})
    runs = runs_of(context)
    assert runs["prepare_data"].data.metrics == {"images": 10.0}
    assert runs[PIPELINE].info.status == "FINISHED"


def test_the_parent_that_kfp_made_is_used_and_left_to_kfp(tracked: RunContext) -> None:
    client = connect(tracked.tracking_uri)
    given = client.create_run(client.create_experiment("kfp"), run_name="kfp-run").info.run_id
    context = tracked.model_copy(update={"relay": "in-process", "parent_run_id": given})
    with open_stage("prepare_data", context) as stage:
        stage.headline({"images": 3.0}, "text", {})
    parent = client.get_run(given)
    assert parent.data.metrics == {"images": 3.0}
    assert parent.info.status == "RUNNING"
    (child,) = client.search_runs([parent.info.experiment_id], f"tags.mlflow.parentRunId = '{given}'")
    assert child.info.run_name == "1 prepare data"


def test_a_store_that_is_away_costs_nothing(context: RunContext) -> None:
    with open_stage("train_gan", context) as stage, Relay(context) as relay:
        stage.log_metrics({"loss": 1.0}, step=1)
        pending = relay.drain(3.0)
    assert pending.entries == 2
    assert "http://127.0.0.1:9 does not answer (Connection refused)" in pending.sentence
    assert str(context.tracking_folder) in pending.sentence


@pytest.mark.parametrize("gone", ["inodes", "bytes"])
def test_a_full_disk_loses_nothing_and_prints_no_traceback(
    gone: str, tmp_path: Path, png: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=200", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        store = sqlite_uri(tmp_path / "mlflow.db")
        tracked = RunContext(state_dir=str(disk), tracking_uri=store, run_id="full", relay="external")
        with open_stage("train_gan", tracked) as stage:
            stage.log_metrics({"loss": 1.0}, step=1)
            stage.log_image(png, "samples", 1)
        fill(disk, gone)
        with Relay(tracked) as relay:
            pending = relay.drain(60)
        assert "cannot be written (No space left on device): make room" in pending.sentence
        assert pending.rejected == ()
        for path in disk.glob("filled-*"):
            path.unlink()
        drain(tracked)
        assert history(tracked, runs_of(tracked)["train_gan"], "loss") == [(1, 1.0)]
        output = capfd.readouterr()
        assert "Traceback" not in output.out + output.err
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path, what: str) -> None:
    """Until nothing more can be written; of the bytes the last one goes, too."""
    with suppress(OSError):
        if what == "inodes":
            for number in range(1000):
                (disk / f"filled-{number}").touch()
        for size in (1 << 16, 1):
            with suppress(OSError), (disk / "filled-").open("ab", buffering=0) as file:
                while True:
                    file.write(bytes(size))


def test_a_deleted_experiment_is_a_sentence_and_costs_no_entry(tracked: RunContext) -> None:
    client = connect(tracked.tracking_uri)
    experiment = client.create_experiment(tracked.experiment)
    client.delete_experiment(experiment)
    with open_stage("train_gan", tracked) as stage:
        stage.log_metrics({"loss": 1.0}, step=1)
    with Relay(tracked) as relay:
        assert "'test' was deleted" in relay.drain(30).sentence
        client.restore_experiment(experiment)
        assert not relay.drain(30)
    assert history(tracked, runs_of(tracked)["train_gan"], "loss") == [(1, 1.0)]


def test_a_run_deleted_in_the_middle_is_made_anew(tracked: RunContext) -> None:
    with open_stage("train_gan", tracked) as stage, Relay(tracked) as relay:
        stage.log_metrics({"loss": 1.0}, step=1)
        assert not relay.drain(30)
        connect(tracked.tracking_uri).delete_run(runs_of(tracked)["train_gan"].info.run_id)
        stage.log_metrics({"loss": 2.0}, step=2)
        pending = relay.drain(30)
    assert not pending
    assert pending.rejected == ()
    assert history(tracked, runs_of(tracked)["train_gan"], "loss") == [(2, 2.0)]


def test_what_an_error_calls_for() -> None:
    from mlflow.exceptions import MlflowException, RestException

    def http(status: int) -> requests.HTTPError:
        response = requests.Response()
        response.status_code = status
        return requests.HTTPError("upload failed", response=response)

    def rest(code: str) -> RestException:
        return RestException({"error_code": code, "message": "m"})

    locked = MlflowException("(sqlite3.OperationalError) database is locked", TEMPORARILY_UNAVAILABLE)
    assert [trouble_of(error) for error in (locked, http(503), OSError("reset"), rest("INTERNAL_ERROR"))] == [
        Trouble.AWAY
    ] * 4
    assert trouble_of(MlflowException("API request to http://h failed with exception refused")) is Trouble.AWAY
    foreign = MlflowException("failed with error code 400 != 200. Response body: 'Bad host'", INVALID_PARAMETER_VALUE)
    assert [trouble_of(error) for error in (http(401), http(403), rest("PERMISSION_DENIED"), foreign)] == [
        Trouble.REFUSED
    ] * 4
    assert trouble_of(rest("RESOURCE_DOES_NOT_EXIST")) is Trouble.MISSING
    assert trouble_of(rest("INVALID_PARAMETER_VALUE")) is Trouble.REJECTED
    assert trouble_of(ZeroDivisionError()) is Trouble.ODD


def test_mlflow_is_quiet(tracked: RunContext, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    logging.getLogger("mlflow").setLevel(logging.NOTSET)
    fresh = tracked.model_copy(update={"tracking_uri": f"sqlite:///{tmp_path}/new/mlflow.db"})
    with open_stage("train_gan", fresh) as stage:
        stage.log_metrics({"loss": 1.0}, step=1)
    drain(fresh)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert not Path("mlruns").exists()
    assert not Path("mlflow.db").exists()


@pytest.mark.slow
def test_the_registered_generator_draws_samples(tracked: RunContext, tmp_path: Path) -> None:
    import mlflow

    from gan_models.data.shape import DataShape
    from gan_models.families.building import build_generator
    from gan_models.recipes import load_recipe
    from gan_models.sampling.generator import GeneratorInfo, load_generator, save_generator
    from gan_models.sampling.served import RowServer

    recipe = load_recipe("cgan-projection", ["networks.generator.width=8", "data.size=16"])
    module = build_generator(recipe, DataShape((1, 16, 16), 10))
    info = GeneratorInfo(
        recipe_name="cgan-projection",
        image_shape=(1, 16, 16),
        class_names=tuple("0123456789"),
        step=1,
        seed=0,
        data_fingerprint="f",
        diversity=1.0,
        collapsed=False,
    )
    folder = tmp_path / "generator"
    save_generator(folder, module.state_dict(), recipe, info)
    for _ in range(2):  # a resumed export repeats itself
        with open_stage("export_samples", tracked) as stage:
            stage.log_generator(folder, "cgan: digits/16", Lineage.of_folder(folder), {"FD-classifier": 1.5})
        drain(tracked)

    client = connect(tracked.tracking_uri)
    (version,) = client.search_model_versions("name = 'cgan- digits-16'")
    assert version.run_id == runs_of(tracked)[PIPELINE].info.run_id
    (registered,) = MlflowChampions(tracked.tracking_uri).versions("cgan- digits-16")
    assert registered.lineage == Lineage.of_folder(folder)
    assert registered.aliases == ["newest"]
    parent = runs_of(tracked)[PIPELINE]
    page = f"#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}"
    for words in (
        "| FD-classifier | 1.5 |",
        "recipe cgan-projection",
        "seed 0, step 1",
        f"[this run]({page})",
        "![samples]",
    ):
        assert words in version.description
    assert parent.data.tags["model"] == "cgan- digits-16 version 1"
    assert (
        "[cgan- digits-16 version 1](#/models/cgan-%20digits-16/versions/1)" in parent.data.tags["mlflow.note.content"]
    )
    assert [output.model_id for output in parent.outputs.model_outputs] == [
        output.model_id for output in runs_of(tracked)["export_samples"].outputs.model_outputs
    ]
    assert MLFLOW.page(tracked.tracking_uri, tracked.run_id) == MLFLOW.page(tracked.tracking_uri) == f"/{page}"
    assert MLFLOW.page(tracked.tracking_uri, "another") == ""
    assert (registered.verdict.decision, registered.verdict.figures) == ("", {"FD-classifier": 1.5})
    mlflow.set_tracking_uri(tracked.tracking_uri)
    loaded = mlflow.pyfunc.load_model("models:/cgan- digits-16/1")
    expected = RowServer(load_generator(folder)).answer([{"seed": 3, "label": "7"}])
    assert loaded.predict([{"seed": 3, "label": "7"}]) == expected
    # What is fetched is what was registered, or it is refused.
    registry = MlflowChampions(tracked.tracking_uri)
    assert registry.download_generator(registered, tmp_path / "fetched")
    place = Path(client.get_model_version_download_uri("cgan- digits-16", "1").removeprefix("file://"))
    stored = next(each for each in (place, *tmp_path.rglob("artifacts")) if (each / "MLmodel").is_file())
    assert not [each for each in stored.rglob("*") if each.suffix in (".pkl", ".pt", ".pt2", ".pth")]
    (stored / "generator/generator.json").write_text((stored / "generator/generator.json").read_text() + " ")
    with pytest.raises(RequestError, match=r"generator\.json of version 1 of cgan- digits-16 is not the file"):
        registry.download_generator(registered, tmp_path / "again")
    assert not (tmp_path / "again").exists()
