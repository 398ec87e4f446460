"""The commands that talk to Kubeflow Pipelines. Each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import DataOption, JsonOption, RecipeOption, SeedOption, SetOption

app = typer.Typer()
runs_app = typer.Typer(help="What runs on a cluster, and how it goes.", rich_markup_mode=None)

HostOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Of Kubeflow Pipelines. [default: KF_PIPELINES_ENDPOINT, else the cluster of kubectl]",
        show_default=False,
    ),
]
NamespaceOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Where the pods run. [default: kubeflow]", show_default=False)
]
ExperimentOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="In Kubeflow and MLflow. [default: gan-pipeline]", show_default=False),
]
ImageOption = Annotated[str | None, typer.Option(metavar="NAME:TAG", help="What the stages run in.")]
DigestOption = Annotated[str | None, typer.Option(metavar="sha256:...", help="Exactly this image of that name.")]
GpusOption = Annotated[
    int | None, typer.Option(metavar="N", help="Of each node of the training. [default: 0]", show_default=False)
]
NodesOption = Annotated[int | None, typer.Option(metavar="N", help="Of the training. [default: 1]", show_default=False)]
AcceleratorOption = Annotated[
    str | None,
    typer.Option(metavar="RESOURCE", help="A GPU to Kubernetes. [default: nvidia.com/gpu]", show_default=False),
]
NodeSelectorOption = Annotated[
    list[str] | None, typer.Option(metavar="LABEL=VALUE", help="Nodes that stages with a GPU may run on.")
]
TolerationOption = Annotated[
    list[str] | None, typer.Option(metavar="KEY[=VALUE][:EFFECT]", help="Taints that these stages tolerate.")
]
PvcOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="The volume claim that keeps checkpoints, so that retries continue.")
]
SecretOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[:KEY=VAR,...]",
        help="Keys of a Kubernetes secret as environment variables. [default: the MLFLOW_TRACKING_... it has]",
        show_default=False,
    ),
]
TrackingUriOption = Annotated[
    str | None, typer.Option(metavar="URI", help="The MLflow server as pods reach it.", show_default=False)
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Follow the stages, and end as the run does.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run, or the name of the latest such.")]


@app.command()
def submit(
    recipe: RecipeOption = None,
    data: DataOption = None,
    overrides: SetOption = None,
    seed: SeedOption = 0,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="How the run is called. [default: from the settings]")
    ] = None,
    pipeline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take the settings baked into a compiled pipeline.")
    ] = None,
    host: HostOption = None,
    namespace: NamespaceOption = None,
    experiment: ExperimentOption = None,
    tracking_uri: TrackingUriOption = None,
    image: ImageOption = None,
    image_digest: DigestOption = None,
    gpus: GpusOption = None,
    nodes: NodesOption = None,
    accelerator: AcceleratorOption = None,
    node_selector: NodeSelectorOption = None,
    toleration: TolerationOption = None,
    pvc: PvcOption = None,
    secret: SecretOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> int:
    """Run the training pipeline on a cluster; all options below --pipeline also from gan-pipeline.toml."""
    from pipeline.commands.submit import SubmitRequest, submit_command
    from pipeline.request.cluster import TrainingRequest

    training = TrainingRequest(recipe=recipe, data=data, overrides=tuple(overrides or ()), seed=seed, name=name)
    settings = {
        "host": host,
        "namespace": namespace,
        "experiment": experiment,
        "tracking_uri": tracking_uri,
        "image": image,
        "image_digest": image_digest,
        "gpus": gpus,
        "nodes": nodes,
        "accelerator": accelerator,
        "node_selector": node_selector,
        "toleration": toleration,
        "pvc": pvc,
        "secret": secret,
    }
    return submit_command(SubmitRequest(training, pipeline, wait, as_json, settings))


@runs_app.command("list")
def list_runs(
    host: HostOption = None,
    namespace: NamespaceOption = None,
    experiment: ExperimentOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000)] = 20,
    every: Annotated[bool, typer.Option("--all", help="Of every experiment.")] = False,
    as_json: JsonOption = False,
) -> int:
    """The latest runs, newest first."""
    from pipeline.commands.runs import list_command

    return list_command(_where(host, namespace, experiment), limit, every, as_json)


@runs_app.command()
def show(
    run: RunArgument, host: HostOption = None, namespace: NamespaceOption = None, as_json: JsonOption = False
) -> int:
    """A run, its stages and a link to its page."""
    from pipeline.commands.runs import show_command

    return show_command(_where(host, namespace), run, as_json)


@runs_app.command()
def logs(
    run: RunArgument,
    stage: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Such as train-gan. [default: the one that failed, else the latest]"),
    ] = None,
    host: HostOption = None,
    namespace: NamespaceOption = None,
) -> int:
    """What a stage has printed."""
    from pipeline.commands.runs import logs_command

    return logs_command(_where(host, namespace), run, stage)


@runs_app.command()
def stop(run: RunArgument, host: HostOption = None, namespace: NamespaceOption = None) -> int:
    """End a run; retry continues it."""
    from pipeline.commands.runs import stop_command

    return stop_command(_where(host, namespace), run)


@runs_app.command()
def retry(
    run: RunArgument, wait: WaitOption = False, host: HostOption = None, namespace: NamespaceOption = None
) -> int:
    """Run again what failed; the training goes on from its last checkpoint."""
    from pipeline.commands.runs import retry_command

    return retry_command(_where(host, namespace), run, wait)


def _where(host: str | None, namespace: str | None, experiment: str | None = None) -> dict[str, str | None]:
    return {"host": host, "namespace": namespace, "experiment": experiment}


app.add_typer(runs_app, name="runs")
