"""Options that several commands share, each with its words once: they mean the same everywhere.

A command that takes a request, or the settings of a cluster, names the options that it fills them from:

    @app.command()
    @takes_request("run", *WHAT, "engine")
    def run(request: Request, as_json: JsonOption = False) -> int:

and `--help` shows them where the parameter stands. Only typer is imported here.
"""

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from pipeline.cli import completion

Entry = Callable[..., int]
_MADE = {"Request": object, "ClusterSettings": object}  # types that are not imported for a --help

WHAT = ("recipe", "data", "overrides", "seed")
WHERE = ("workdir", "tracking_uri", "name")
RETRAINING = ("model", "force", "warm_start", "webhook_env")

SetOption = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override any leaf of the recipe, as in training.steps=500.",
        autocompletion=completion.settings,
    ),
]
TRACKING = "The MLflow store. [default: MLFLOW_TRACKING_URI, else a SQLite file beside the runs]"
TrackingOption = Annotated[str | None, Option("--tracking-uri", metavar="URI", help=TRACKING)]
JsonOption = Annotated[bool, Option("--json", help="End standard output with one line of JSON.")]
DryRunOption = Annotated[
    bool, Option("--dry-run", help="Do nothing: say what it would take in parameters, memory, time and disk.")
]
WaitOption = Annotated[bool, Option("--wait", help="On a cluster: follow the stages, and end as the run does.")]


class RequestOptions:
    """Of `pipeline.request.request.Request`, by its fields."""

    recipe: str | None = Option(
        None,
        "--recipe",
        "-r",
        metavar="NAME|PATH",
        help="A recipe's name (see `recipes`) or YAML file. "
        "[default: cgan-projection where the data has labels, else dcgan]",
        autocompletion=completion.recipes,
    )
    data: str | None = Option(
        None,
        "--data",
        "-d",
        metavar="SOURCE",
        help="mnist-5k, digits, torchvision:<Class>, toy:<name>, hf:<name>, or a path or address: a folder, .zip, "
        ".tar, .parquet, .npz, .hdf5, .lmdb. [default: mnist-5k]",
        autocompletion=completion.sources,
    )
    overrides: SetOption = None
    seed: int = Option(0, metavar="N", help="Decides weights, image order and samples.")
    workdir: Path | None = Option(None, metavar="DIR", help="Where everything is kept. [default: runs/<name>]")
    tracking_uri: TrackingOption = None
    name: str | None = Option(None, metavar="NAME", help="How the run is called. [default: from the settings]")
    pipeline: Path | None = Option(None, metavar="FILE", help="Take the settings baked into a compiled pipeline.")
    engine: str = Option(
        "local",
        metavar="local|docker",
        help="What the stages run in: processes, or containers of this machine.",
        autocompletion=completion.one_of("local", "docker"),
    )
    image: str | None = Option(
        None, metavar="IMAGE", help="The container image of all stages. [default: those of `make images`]"
    )
    model: str | None = Option(
        None, metavar="NAME", help="The registered model whose champion is challenged. [default: recipe and data]"
    )
    force: bool = Option(False, "--force", help="Train even if neither data nor recipe changed.")
    warm_start: bool = Option(False, "--warm-start", help="Start from the champion's weights, if they fit.")
    webhook_env: str = Option(
        "", metavar="VARIABLE", help="Environment variable with the address to tell how it ended."
    )


class ClusterOptions:
    """Of `pipeline.engines.cluster.settings`, by its keys; each is also a key of gan-pipeline.toml."""

    host: str | None = Option(
        None,
        metavar="URL",
        help="Of Kubeflow Pipelines. [default: KF_PIPELINES_ENDPOINT, else the cluster of kubectl]",
    )
    namespace: str | None = Option(None, metavar="NAME", help="Where the pods run. [default: kubeflow]")
    experiment: str | None = Option(None, metavar="NAME", help="In Kubeflow and MLflow. [default: gan-pipeline]")
    tracking_uri: str | None = Option(None, metavar="URI", help="The MLflow server as pods reach it.")
    image: str | None = Option(None, metavar="NAME:TAG", help="What the stages run in.")
    image_digest: str | None = Option(None, metavar="sha256:...", help="Exactly this image of that name.")
    gpus: int | None = Option(None, metavar="N", help="Of each node of the training. [default: 0]")
    nodes: int | None = Option(None, metavar="N", help="Of the training. [default: 1]")
    accelerator: str | None = Option(None, metavar="RESOURCE", help="A GPU to Kubernetes. [default: nvidia.com/gpu]")
    node_selector: list[str] | None = Option(
        None, metavar="LABEL=VALUE", help="Nodes that stages with a GPU may run on."
    )
    toleration: list[str] | None = Option(
        None, metavar="KEY[=VALUE][:EFFECT]", help="Taints that these stages tolerate."
    )
    pvc: str | None = Option(
        None, metavar="NAME", help="The volume claim that keeps checkpoints, so that retries continue."
    )
    secret: list[str] | None = Option(
        None,
        metavar="NAME[:KEY=VAR,...]",
        help="Keys of a Kubernetes secret as environment variables. [default: the MLFLOW_TRACKING_... it has]",
    )


def takes_request(command: str, *fields: str, **words: Any) -> Callable[[Entry], Entry]:
    """Fills a command's parameter `request`.

    Args:
        command: `run` or `retrain`, where no option `command` says which.
        fields: its options among `RequestOptions`.
        words: fields with words of this command's own, in place of those there.
    """

    def make(given: dict[str, Any]) -> object:
        from pipeline.request.request import Request

        return Request.parse({"command": command, **{key: each for key, each in given.items() if each is not None}})

    return _taking("request", RequestOptions, {**dict.fromkeys(fields), **words}, make)


def takes_settings(*keys: str) -> Callable[[Entry], Entry]:
    """Fills a command's parameter `settings`; without keys: from all `ClusterOptions`, to start pods."""

    def make(given: dict[str, Any]) -> object:
        from pipeline.engines.cluster.settings import read_settings

        return read_settings(given, submits=not keys)

    return _taking("settings", ClusterOptions, dict.fromkeys(keys or vars(ClusterOptions)["__annotations__"]), make)


def takes_placement() -> Callable[[Entry], Entry]:
    """Fills a command's parameter `placed`: what was typed of a cluster, for a command that may work elsewhere too."""

    def make(given: dict[str, Any]) -> object:
        return {key: value for key, value in given.items() if value not in (None, [])}

    keys = [key for key in vars(ClusterOptions)["__annotations__"] if key != "tracking_uri"]  # the request has one
    return _taking("placed", ClusterOptions, dict.fromkeys(keys), make)


def _taking(
    name: str, options: type, words: dict[str, Any], make: Callable[[dict[str, Any]], object]
) -> Callable[[Entry], Entry]:
    """Gives a command options in place of its parameter `name`, which is made of what was typed for them."""
    hints = options.__annotations__  # no strings: they would have to be evaluated for every command's --help
    taken = [
        Parameter(option, Parameter.KEYWORD_ONLY, default=own or getattr(options, option), annotation=hints[option])
        for option, own in words.items()
    ]

    def decorate(entry: Entry) -> Entry:
        def called(**given: Any) -> int:
            made = make({option: given.pop(option) for option in words})
            return entry(**{name: made}, **given)

        parameters: list[Parameter] = []
        for each in signature(entry, eval_str=True, locals=_MADE).parameters.values():
            parameters += taken if each.name == name else [each.replace(kind=Parameter.KEYWORD_ONLY)]
        called.__name__, called.__doc__ = entry.__name__, entry.__doc__
        called.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        return called

    return decorate
