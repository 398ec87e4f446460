"""The KFP definition of the stage: a typed signature and one call."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Input, Markdown, Model, Output


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def rank_trials(
    entries: list,  # type: ignore[type-arg]  # KFP takes no other
    trainings: Input[list[Model]],
    choices: Input[list[Model]],
    reports: Input[list[Artifact]],
    code_version: str,
    run: str,
    leaderboard: Output[Artifact],
    selected: Output[Model],
    report: Output[Artifact],
    page: Output[HTML],
    summary: Output[Markdown],
) -> None:
    """Ranks the trials of a sweep by the score that checkpoints are chosen by, and hands on the best one.

    Args:
        entries: of each trial its name, the settings that differ and what it was to be trained with.
        trainings: of each trial, in the same order, the folder of train_gan, or its failure.
        choices: likewise of select_checkpoint.
        reports: likewise of evaluate_gan.
        code_version: changes when the project's code does, so that caches do not outlive it.
        run: where the run is tracked and keeps its state, as JSON; empty: the process environment says.
        leaderboard: leaderboard.json, leaderboard.md and leaderboard.html.
        selected: the generator folder of the best trial.
        report: its evaluation.
        page: leaderboard.html, and
        summary: leaderboard.md, as Kubeflow's own page shows them; a folder shows nothing there.
    """
    import shutil
    from pathlib import Path

    from components.artifacts import LEADERBOARD_FILE, LEADERBOARD_PAGE_FILE
    from components.rank_trials import step
    from components.stage.request import run_step

    result = run_step(
        step, run, entries=entries, trainings=[each.path for each in trainings],
        choices=[each.path for each in choices], reports=[each.path for each in reports],
        output=leaderboard.path, selected=selected.path, report=report.path,
    )  # fmt: skip
    shutil.copyfile(Path(leaderboard.path, LEADERBOARD_PAGE_FILE), page.path)
    shutil.copyfile(Path(leaderboard.path, LEADERBOARD_FILE), summary.path)
    best = result.best
    leaderboard.metadata.update({"best": best.name, result.ranked_by: best.score, **best.figures})
