"""The KFP definition of the stage: a typed signature and one call."""

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def notify(webhook_env: str, run: str, status: dsl.PipelineTaskFinalStatus) -> None:
    """Tells a webhook that the retraining has failed, or what it decided. Never fails.

    Args:
        webhook_env: name of the environment variable that holds the webhook's address; empty: nobody is told.
        run: where the run is tracked and keeps its state, as JSON; empty: the process environment says.
        status: how the pipeline ended, filled in by Kubeflow.
    """
    from components.notify import step
    from components.stage.request import run_step

    run_step(step, run, webhook_env=webhook_env, state=status.state, error=status.error_message or "")
