"""Each rule of the verdict by itself: what it praises, what it blames, and when it says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from components.artifacts import Choice, Curves, ScoredCheckpoint
from components.evaluate_gan.findings import (
    Classes,
    ClassReading,
    Findings,
    Interval,
    Intervals,
    Reading,
    Row,
    TruncationPoint,
    WithinClasses,
)
from components.evaluate_gan.verdict import RULES, Evidence, Remark, Verdict, verdict
from gan_models.metrics.memorisation import Memorisation
from gan_models.metrics.protocol import Protocol, Reference
from gan_models.tasks.base import TaskFigure


def protocol(split: str = "test", **extractor: Any) -> Protocol:
    reference = Reference(data="d", source="s", split=split, images=10)
    return Protocol(extractor={"name": "x", **extractor}, reference=reference, samples=10, parameters={})


def row(metric: str, generated: float, real: float | None = None, better: str = "higher", images: int = 5000) -> Row:
    def reading(value: float, prefix: str = "") -> Reading:
        return Reading(name=f"{prefix}{metric}-by-x", value=value, std=None, images=images)

    beside = None if real is None else reading(real, "real-")
    return Row(metric=metric, better=better, generated=reading(generated), real=beside, generated_at_real=None)


def findings(*rows: Row, images: int = 5000, references: int = 5000, **more: Any) -> Findings:
    defaults: dict[str, Any] = {
        "metrics": {one.generated.name: one.generated.value for one in rows}, "headline": [], "comparison_metrics": {},
        "protocol": protocol(), "rows": list(rows), "memorisation": None, "classes": None, "extractor_choice": "x",
        "generated": {"images": images, "diversity": 0.9, "collapsed": False, "step": 10, "recipe_name": "r"},
        "reference": {"split": "test", "images": references, "of": references}, "real_sample": {},
        "seed": 0, "data": {}, "environment": {}, "notes": [],
    }  # fmt: skip
    return Findings(**(defaults | more))


def said(rule: str, evidence: Evidence | Findings) -> list[Remark]:
    given = evidence if isinstance(evidence, Evidence) else Evidence(evidence)
    return verdict(given, {rule: RULES[rule]}).remarks


def tones(rule: str, evidence: Evidence | Findings) -> list[str]:
    return [remark.tone for remark in said(rule, evidence)]


@pytest.mark.parametrize(
    ("rule", "metric"),
    [("quality", "precision"), ("variety", "recall"), ("coverage", "coverage"), ("class-asked-for", "agreement")],
)
def test_a_share_is_held_against_that_of_real_images(rule: str, metric: str) -> None:
    good, wrong = RULES[rule].good, RULES[rule].wrong
    assert good is not None
    real = 0.8
    cases = [(good + 0.01, "good"), ((good + wrong) / 2, "between"), (wrong - 0.01, "wrong")]
    for share, tone in cases:
        (remark,) = said(rule, findings(row(metric, share * real, real)))
        assert remark.tone == tone
        assert f"{metric}-by-x is {share * real:.3g}" in remark.sentence
        assert f"good from {100 * good:.0f} %, wrong below {100 * wrong:.0f} %" in remark.sentence
        assert bool(remark.remedy) == (tone != "good")
    assert tones(rule, findings(row(metric, 0.9))) == []  # nothing to hold it against


def test_praise_needs_the_whole_interval_and_an_interval_across_both_thresholds_tells_nothing() -> None:
    def of(low: float, high: float) -> Findings:
        interval = Intervals(generated=Interval(low=low, high=high), how="")
        return findings(row("recall", 0.85, 1.0), intervals={"recall": interval})

    assert tones("variety", of(0.82, 0.88)) == ["good"]
    assert tones("variety", of(0.7, 0.95)) == ["between"]
    assert tones("variety", of(0.3, 0.99)) == ["unclear"]
    assert "(95 %: 0.7 to 0.95)" in said("variety", of(0.7, 0.95))[0].sentence


def test_as_many_generated_as_real_images_are_compared_and_the_interval_moves_along() -> None:
    made = row("recall", 0.9, 1.0)
    made.generated_at_real = Reading(name="recall-matched", value=0.7, std=None, images=100)
    interval = Intervals(generated=Interval(low=0.88, high=0.92), how="")
    (remark,) = said("variety", findings(made, intervals={"recall": interval}))
    assert remark.tone == "between"
    assert "recall-by-x of the first 100 images is 0.7 (95 %: 0.68 to 0.72), 70 % of real" in remark.sentence


@pytest.mark.parametrize(("distance", "tone"), [(0.3, "good"), (0.9, "between"), (1.7, "wrong")])
def test_a_distance_is_told_in_distances_of_real_images(distance: float, tone: str) -> None:
    (remark,) = said("distance", findings(row("FD", distance, 0.2, "lower")))
    assert remark.tone == tone
    assert f"{distance / 0.2:.3g} times that of real images (0.2)" in remark.sentence


def test_a_distance_whose_difference_may_be_none_says_so() -> None:
    intervals = {"FD": Intervals(difference=Interval(low=-0.1, high=0.2), how="")}
    (remark,) = said("distance", findings(row("FD", 0.5, 0.2, "lower"), intervals=intervals))
    assert remark.tone == "unclear"
    assert "the two cannot be told apart" in remark.sentence
    intervals = {"FD": Intervals(difference=Interval(low=0.1, high=0.2), how="")}
    (remark,) = said("distance", findings(row("FD", 0.5, 0.2, "lower"), intervals=intervals))
    assert remark.tone == "between"
    assert "0.1 to 0.2 (95 %)" in remark.sentence
    assert "told apart" not in remark.sentence


def test_a_collapse_is_said_and_its_absence_is_no_merit() -> None:
    assert tones("collapse", findings()) == []
    for changes in ({"diversity": 0.05, "collapsed": False}, {"diversity": 0.5, "collapsed": True}):
        found = findings()
        found.generated |= changes
        (remark,) = said("collapse", found)
        assert remark.tone == "wrong"
        assert f"{changes['diversity']}" in remark.sentence


def checkpoints(*scores: float, collapsed: Sequence[int] = ()) -> list[ScoredCheckpoint]:
    return [ScoredCheckpoint(100 * n, score, n in collapsed, 0.9) for n, score in enumerate(scores, start=1)]


def trained(*scores: float, collapsed: Sequence[int] = (), **more: Any) -> Evidence:
    found = checkpoints(*scores, collapsed=collapsed)
    best = min((one for one in found if one.eligible), key=lambda one: one.score)
    choice = Choice(
        step=best.step, score=best.score, metric="FD-by-x", protocol=protocol("validation"),
        candidates=len(found), collapsed=len(collapsed),
    )  # fmt: skip
    return Evidence(findings(), found, choice, **more)


def test_collapsed_checkpoints_are_counted() -> None:
    assert tones("collapsed-checkpoints", trained(3, 2, 1)) == []
    (remark,) = said("collapsed-checkpoints", trained(3, 2, 1, collapsed=(2,)))
    assert "1 of 3 checkpoints" in remark.sentence


def test_a_training_that_was_still_getting_better_should_go_on() -> None:
    (remark,) = said("unfinished", trained(9, 4, 2))
    assert remark.tone == "between"
    assert "50.0 % better" in remark.sentence
    assert "training.steps=600; in the same work directory it goes on" in remark.remedy
    assert "goes on" not in said("unfinished", trained(9, 4, 2, can_go_on=False))[0].remedy
    assert tones("unfinished", trained(9, 2, 1.99)) == []  # hardly
    assert tones("unfinished", trained(9, 1, 2)) == []
    assert tones("unfinished", trained(9, 4, 2, 1, collapsed=(4,))) == []
    assert tones("unfinished", Evidence(findings())) == []


def test_a_best_checkpoint_long_before_the_end_means_overtrained_or_unstable() -> None:
    (remark,) = said("overtrained", trained(2, 1, 3, 4, 5))
    assert "step 200 of 500" in remark.sentence
    assert "400.0 % worse" in remark.sentence
    assert tones("overtrained", trained(2, 1, 1.1, 1.1, 1.1)) == []
    assert tones("overtrained", trained(5, 4, 3, 1, 4)) == []


def classes(generated: list[float], real: list[float], confusion: list[list[int]] | None = None) -> Classes:
    return Classes(
        names=[f"c{n}" for n in range(len(real))], generated_shares=generated, real_shares=real, confidence=0.9,
        real_confidence=0.9, agreement=0.9, real_agreement=0.9, confusion=confusion,
    )  # fmt: skip


@pytest.mark.parametrize(("share", "tone"), [(0.48, "good"), (0.3, "between"), (0.1, "wrong")])
def test_the_scarcest_class_is_held_against_its_share_of_real_images(share: float, tone: str) -> None:
    found = findings(row("smallest-class", share, better="higher"), classes=classes([1 - share, share], [0.5, 0.5]))
    (remark,) = said("smallest-class", found)
    assert remark.tone == tone
    assert "'c1'" in remark.sentence


def test_of_a_handful_of_images_no_class_is_called_missing() -> None:
    found = findings(
        row("smallest-class", 0.15, images=10), images=10, references=10, classes=classes([0.85, 0.15], [0.5, 0.5])
    )
    assert tones("smallest-class", found) == ["unclear"]


def test_mistaken_classes_are_named_the_worst_first() -> None:
    confusion = [[70, 30, 0], [15, 85, 0], [5, 0, 95]]
    found = said("classes-mistaken", findings(classes=classes([0.3] * 3, [0.3] * 3, confusion)))
    assert [remark.tone for remark in found] == ["wrong", "between"]
    assert "asked for as 'c0', 30.0 % (30 of 100) are taken for 'c1'" in found[0].sentence
    assert (
        tones("classes-mistaken", findings(classes=classes([0.5] * 2, [0.5] * 2, [[3, 1], [0, 4]]))) == []
    )  # one image


def test_a_class_that_lags_behind_is_named() -> None:
    def within(*distances: float) -> Findings:
        made = [
            ClassReading(class_name=f"c{n}", generated=row("w", d).generated, real=row("w", 1.0).generated)
            for n, d in enumerate(distances)
        ]
        return findings(within_classes=WithinClasses(mean=None, real_mean=None, classes=made, left_out=[], least=30))

    (remark,) = said("worst-class", within(1.5, 1.4, 1.6, 9.0))
    assert "'c3'" in remark.sentence
    assert tones("worst-class", within(1.5, 1.4, 1.6, 2.0)) == []


def remembered(ratio: float | None, gap: float = 0.1, of_real: float | None = 0.1) -> Memorisation:
    return Memorisation(
        500, 4000, to_training=1 - gap, to_held_out=1.0, gap=gap, gap_of_real=of_real, distance_ratio=ratio
    )


def test_copies_are_told_by_the_distance_to_the_nearest_training_image() -> None:
    for ratio, tone in ((1.0, "good"), (0.7, "between"), (0.1, "wrong")):
        found = findings(row("nearest-ratio", ratio), memorisation=remembered(ratio))
        assert tones("copies", found) == [tone]
    assert tones("copies", findings(memorisation=remembered(None))) == []


def test_noise_is_not_praised_for_copying_nothing() -> None:
    noise = findings(
        row("precision", 0.0, 0.9), row("nearest-ratio", 3.0), row("FD-gap", 0.1), memorisation=remembered(3.0)
    )
    assert tones("copies", noise) == []
    assert tones("memorisation-gap", noise) == []


def test_the_gap_is_held_against_that_of_images_that_nobody_trained_on() -> None:
    for gap, tone in ((0.15, "good"), (0.45, "between"), (0.9, "wrong")):
        assert tones("memorisation-gap", findings(row("FD-gap", gap), memorisation=remembered(1.0, gap))) == [tone]
    uncalibrated = findings(row("FD-gap", 0.9), memorisation=remembered(1.0, 0.9, None))
    assert tones("memorisation-gap", uncalibrated) == []


def test_memorisation_is_answered_by_augmentation_where_there_is_none() -> None:
    found = findings(row("nearest-ratio", 0.1), memorisation=remembered(0.1))
    assert "game.augmentations" in said("copies", Evidence(found))[0].remedy
    assert "game.augmentations" not in said("copies", Evidence(found, augmented=True))[0].remedy


def test_a_regularizer_is_named_as_it_can_be_set() -> None:
    missing = findings(row("recall", 0.1, 1.0))
    assert "{name: r1, weight: 10}])" in said("variety", Evidence(missing))[0].remedy
    assert "networks.discriminator.norm=none" in said("variety", Evidence(missing, mixes_images=True))[0].remedy
    assert "regularizers.0.weight" in said("variety", Evidence(missing, regularized=True))[0].remedy


def test_a_discriminator_that_wins_is_seen_in_the_last_quarter() -> None:
    def curves(last: float) -> Evidence:
        values: list[float | None] = [0.5] * 6 + [last, None]
        series = {"D/accuracy_real": values, "D/accuracy_fake": values}
        return Evidence(findings(), curves=Curves(steps=list(range(8)), series=series))

    assert tones("discriminator", curves(0.999)) == ["between"]
    assert tones("discriminator", curves(0.95)) == []
    assert tones("discriminator", Evidence(findings(), curves=Curves(steps=[], series={}))) == []


def test_quality_behind_variety_asks_for_truncation_and_a_curve_answers() -> None:
    rows = (row("precision", 0.7, 1.0), row("recall", 0.9, 1.0))
    assert "evaluation.truncations" in said("truncation", findings(*rows))[0].remedy
    assert tones("truncation", findings(row("precision", 0.95, 1.0), row("recall", 0.99, 1.0))) == []
    assert tones("truncation", Evidence(findings(*rows), takes_latents=False)) == []
    points = [
        TruncationPoint(threshold=t, fd=fd, inception_score=None) for t, fd in ((None, 2.0), (1.0, 1.5), (0.5, 3.0))
    ]
    (remark,) = said("truncation", findings(*rows, truncation=points))
    assert remark.remedy == "Sample with --truncation 1."
    assert tones("truncation", findings(*rows, truncation=points[::2])) == []


def test_few_images_are_said() -> None:
    assert tones("few-images", findings()) == []
    (remark,) = said("few-images", findings(references=400))
    assert remark.tone == "unclear"
    assert "400 of the test split" in remark.sentence
    assert "generated images" in said("few-images", findings(images=50))[0].remedy
    assert tones("few-training-images", Evidence(findings(), training_images=300)) == ["unclear"]
    assert tones("few-training-images", Evidence(findings(), training_images=3000)) == []


def test_a_judge_that_does_not_know_the_data_is_said() -> None:
    assert tones("weak-judge", findings(protocol=protocol(accuracy={"test": 0.5}))) == ["unclear"]
    assert tones("weak-judge", findings(protocol=protocol(accuracy={"test": 0.95}))) == []
    assert tones("weak-judge", findings()) == []


def test_missed_floors_are_wrong() -> None:
    assert tones("floors", Evidence(findings(), floors={"recall": 0.1})) == ["wrong"]
    assert tones("floors", Evidence(findings(), floors={})) == []


def test_a_task_is_held_against_real_images_or_all() -> None:
    def task(value: float, real: float | None, better: Any = "higher", is_share: bool = True) -> Findings:
        return findings(
            tasks=[TaskFigure(name="t", title="T", value=value, real=real, better=better, is_share=is_share)]
        )

    assert tones("task", task(0.75, 0.8)) == ["good"]
    assert tones("task", task(0.75, None)) == ["between"]
    assert tones("task", task(0.2, 0.8)) == ["wrong"]
    assert tones("task", task(0.2, None, "lower", False)) == []


def test_the_headline_says_the_worst_and_remedies_of_what_is_wrong_come_first() -> None:
    wrong, fair, good = row("recall", 0.1, 1.0), row("precision", 0.7, 1.0), row("coverage", 0.99, 1.0)
    found = verdict(Evidence(findings(wrong, fair, good)))
    assert (found.tone, found.headline) == ("wrong", "Something is wrong: variety is missing.")
    assert found.remedies[0].startswith("Variety:")
    assert verdict(Evidence(findings(fair, good))).headline.startswith(
        "Nothing failed, with reservations: some images do"
    )
    assert verdict(Evidence(findings(good))).tone == "good"
    assert verdict(Evidence(findings(good, references=10))).tone == "unclear"
    assert verdict(Evidence(findings())) == Verdict("There is nothing to judge it by.", "unclear", [])
