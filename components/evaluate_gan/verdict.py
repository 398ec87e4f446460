"""What the figures say, in words: what is good, what is wrong, what cannot be told, what to try.

Every rule looks at one thing and has two thresholds. What is between them is neither praised nor blamed, and praise
needs the whole interval on the good side. The thresholds are rules of thumb; each sentence names its own, so that a
reader can disagree. Rules that find nothing to say say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from statistics import median
from typing import Literal, NamedTuple

from components.artifacts import Choice, Curves, ScoredCheckpoint
from components.evaluate_gan.findings import Findings, Row
from components.evaluate_gan.intervals import wilson
from components.evaluate_gan.wording import number
from gan_models.metrics.floors import shortfalls

Tone = Literal["good", "between", "wrong", "unclear"]
TITLES: dict[Tone, str] = {
    "good": "What is good",
    "wrong": "What is wrong",
    "between": "What is neither good nor bad",
    "unclear": "What cannot be told",
}

_PLENTY_OF_A_CONFUSION = 5  # images
_LATE = 4  # what is looked at of a training is its last quarter


class Remark(NamedTuple):
    """One sentence, with the rule that says it."""

    rule: str
    tone: Tone
    sentence: str
    remedy: str = ""  # what to try


@dataclass(frozen=True)
class Evidence:
    """What is looked at. Of the training there may be nothing: a generator may come without it."""

    findings: Findings
    checkpoints: Sequence[ScoredCheckpoint] = ()
    choice: Choice | None = None
    curves: Curves | None = None
    training_images: int = 0
    floors: Mapping[str, float | None] = field(default_factory=dict)
    augmented: bool = False
    takes_latents: bool = True
    regularized: bool = False
    mixes_images: bool = False  # batch norm in D, which terms that look at single images do not go with
    can_go_on: bool = True  # a training of more steps begins as this one did

    @cached_property
    def rows(self) -> dict[str, Row]:
        return {row.metric: row for _, row in self.findings.lines()}


class Rule(NamedTuple):
    """One row of the table: what is asked, from where on the answer is good, beyond where it is wrong."""

    asks: str
    good: float | None
    wrong: float
    look: Callable[[Evidence, str, Rule], Iterator[Remark]]


class Verdict(NamedTuple):
    """All of it."""

    headline: str
    tone: Tone
    remarks: list[Remark]

    def of(self, tone: Tone) -> list[Remark]:
        return [remark for remark in self.remarks if remark.tone == tone]

    @property
    def remedies(self) -> list[str]:
        """Without repeats, those of what is wrong first."""
        ordered = [*self.of("wrong"), *self.of("between"), *self.of("unclear"), *self.of("good")]
        return list(dict.fromkeys(remark.remedy for remark in ordered if remark.remedy))


def verdict(evidence: Evidence, rules: Mapping[str, Rule] | None = None) -> Verdict:
    """Asks every rule of the table."""
    table = RULES if rules is None else rules
    remarks = [remark for name, rule in table.items() for remark in rule.look(evidence, name, rule)]
    openings = {tone: _openings(remarks, tone) for tone in TITLES}
    if openings["wrong"]:
        return Verdict(f"Something is wrong: {openings['wrong']}.", "wrong", remarks)
    if openings["between"]:
        return Verdict(f"Nothing failed, with reservations: {openings['between']}.", "between", remarks)
    if openings["unclear"]:
        return Verdict(f"Nothing failed, but not everything can be told: {openings['unclear']}.", "unclear", remarks)
    if not openings["good"]:
        return Verdict("There is nothing to judge it by.", "unclear", remarks)
    return Verdict(f"Good by every rule that applies ({len(remarks)}).", "good", remarks)


def _openings(remarks: Sequence[Remark], tone: Tone) -> str:
    """What the sentences of a tone begin with, in short."""
    found = (remark.sentence.partition(":")[0] for remark in remarks if remark.tone == tone)
    return "; ".join(dict.fromkeys(f"{one[0].lower()}{one[1:]}" for one in found))


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"


def _percent(share: float) -> str:
    return number(share, is_share=True)


# -- more is better, held against real images -------------------------------------------------------------------------

_SUBJECTS = {
    "precision": ("Images look like real ones", "Some images do not look real", "Many images do not look real"),
    "recall": ("Variety is there", "Some variety is missing", "Variety is missing"),
    "coverage": (
        "The kinds of real images are covered",
        "Some kinds of images are scarce",
        "Kinds of images are missing",
    ),
    "agreement": (
        "Images are of the class asked for",
        "Some images are not of the class asked for",
        "Many images are not of the class asked for",
    ),
}
"""What a sentence begins with: good, between, wrong."""
_REMEDIES = {
    "precision": "Quality: train longer, or widen networks.generator.",
    "recall": "Variety: another seed first, then {regularizer}, or a larger training.batch_size.",
    "coverage": "Missing kinds: look for them among the real images above; train longer, or with a larger "
    "training.batch_size.",
    "agreement": "Classes: train longer, or, with labels, conditioning.discriminator=projection.",
}


def _regularizer(evidence: Evidence) -> str:
    """As it can be set: not every term goes with every D."""
    if evidence.regularized:
        return "a heavier regularizer (regularizers.0.weight)"
    told = "a regularizer (regularizers=[{name: r1, weight: 10}]"
    return f"{told} with networks.discriminator.norm=none)" if evidence.mixes_images else f"{told})"


def _beside_real(metric: str, evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    row = evidence.rows.get(metric)
    if row is None or row.real is None or row.real.value <= 0 or rule.good is None:
        return
    ours, real = row.generated_at_real or row.generated, row.real
    known = evidence.findings.intervals.get(metric)
    share = ours.value / real.value
    low = high = share
    spread = ""
    if known and known.generated:
        # That of the whole sample, moved to the figure of as many images as there are real ones.
        ends = [end + ours.value - row.generated.value for end in (known.generated.low, known.generated.high)]
        low, high = ends[0] / real.value, ends[1] / real.value
        spread = f" (95 %: {number(ends[0])} to {number(ends[1])})"
    tone: Tone = "between"
    if low < rule.wrong and high >= rule.good:
        tone = "unclear"
    elif share < rule.wrong:
        tone = "wrong"
    elif low >= rule.good:
        tone = "good"
    well, partly, badly = _SUBJECTS[metric]
    opening = {"good": well, "wrong": badly, "between": partly, "unclear": "Too few images to tell"}[tone]
    if tone == "between" and share >= rule.good:
        opening = f"{well}, just"
    remedy = _REMEDIES[metric].replace("{regularizer}", _regularizer(evidence))
    if metric == "precision" and evidence.takes_latents:
        remedy = f"{remedy[:-1]}, or cut off latents when sampling."
    yield Remark(
        name,
        tone,
        f"{opening}: {_called(row)} is {number(ours.value)}{spread}, {_whole(share)} of real images' "
        f"{number(real.value)}; good from {_whole(rule.good)}, wrong below {_whole(rule.wrong)}.",
        "" if tone == "good" else remedy,
    )


def _distance(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    row = evidence.rows.get("FD")
    if row is None or row.real is None or row.real.value <= 0 or rule.good is None:
        return
    ours, real = row.generated_at_real or row.generated, row.real
    times = ours.value / real.value
    known = evidence.findings.intervals.get("FD")
    high = times + ((known.generated.high - row.generated.value) / real.value if known and known.generated else 0.0)
    tone: Tone = "wrong" if times > rule.wrong else "good" if high <= rule.good else "between"
    opening = {
        "good": "Close to real images",
        "between": "Not as close as real images",
        "wrong": "Far from real images",
    }[tone]
    difference = ""
    if known and known.difference:
        low, top = known.difference.low, known.difference.high
        difference = f" Their difference is {number(low)} to {number(top)} (95 %)."
        if low <= 0 <= top and tone != "good":
            tone, opening = "unclear", "Perhaps not as close as real images"
            difference = f"{difference[:-1]}: of so few images the two cannot be told apart."
    yield Remark(
        name,
        tone,
        f"{opening}: {_called(row)} is {number(ours.value)}, {number(times)} times that of real images "
        f"({number(real.value)}); good up to {rule.good:g} times, wrong above {rule.wrong:g}.{difference}",
        ""
        if tone == "good"
        else "Distance: see what else is wrong here first; else train longer or with wider networks.",
    )


# -- collapse and classes ---------------------------------------------------------------------------------------------


def _collapse(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    made = evidence.findings.generated
    share, collapsed = float(made.get("diversity", 1.0)), bool(made.get("collapsed"))
    if collapsed or share < rule.wrong:
        marked = "the training marked this generator as collapsed, and " if collapsed else ""
        yield Remark(
            name, "wrong",
            f"Collapse: {marked}fixed latents differ by {number(share)} of what real images do; wrong below "
            f"{rule.wrong:g}.",
            f"Collapse: another seed, lower optimizers.*.lr, or {_regularizer(evidence)}.",
        )  # fmt: skip


def _refused(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    collapsed = sum(one.collapsed for one in evidence.checkpoints)
    if evidence.checkpoints and collapsed / len(evidence.checkpoints) > rule.wrong:
        yield Remark(
            name, "wrong",
            f"The training collapsed on its way: {collapsed} of {len(evidence.checkpoints)} checkpoints; wrong above "
            f"{rule.wrong:g} of them.",
            f"Collapse: another seed, lower optimizers.*.lr, or {_regularizer(evidence)}.",
        )  # fmt: skip


def _smallest_class(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    """Of all classes, the one that is scarcest for how often it is among real images."""
    classes, row = evidence.findings.classes, evidence.rows.get("smallest-class")
    if classes is None or row is None or rule.good is None or len(classes.names) < 2:
        return
    held = [
        (ours / theirs, label)
        for label, (ours, theirs) in enumerate(zip(classes.generated_shares, classes.real_shares, strict=True))
        if theirs > 0
    ]
    share, label = min(held)
    ours, theirs = classes.generated_shares[label], classes.real_shares[label]
    # Blame needs that real images being few explains it no better; the scarcest of many is scarce by luck alone.
    interval, of_real = wilson(ours, row.generated.images), wilson(theirs, evidence.findings.reference["images"])
    low, high = interval.low / theirs, interval.high / of_real.low
    tone: Tone = "between"
    if low < rule.wrong and high >= rule.good:
        tone = "unclear"
    elif share < rule.wrong:
        tone = "wrong"
    elif low >= rule.good:
        tone = "good"
    opening = {
        "good": "Every class is there", "wrong": "A class is nearly missing", "between": "A class is scarce",
        "unclear": "Too few images to tell whether a class is missing",
    }  # fmt: skip
    yield Remark(
        name,
        tone,
        f"{opening[tone]}: {row.generated.name} is {_percent(row.generated.value)}; the scarcest for its share of real "
        f"images is {classes.names[label]!r} with {_percent(ours)} against {_percent(theirs)}, {_whole(share)} of it; "
        f"good from {_whole(rule.good)}, wrong below {_whole(rule.wrong)}.",
        "" if tone == "good" else "Scarce classes: give more images of them, or ask for them (a recipe with "
        "conditioning).",
    )  # fmt: skip


def _confused(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    """The three worst pairs of a class asked for and one drawn."""
    classes = evidence.findings.classes
    if classes is None or classes.confusion is None or rule.good is None:
        return
    pairs = sorted(confused_pairs(classes.confusion), reverse=True)[:3]
    for share, count, asked, seen in pairs:
        if share <= rule.good or count < _PLENTY_OF_A_CONFUSION:
            continue
        yield Remark(
            name,
            "wrong" if share > rule.wrong else "between",
            f"Classes are mistaken: of the images asked for as {classes.names[asked]!r}, {_percent(share)} ({count} of "
            f"{sum(classes.confusion[asked])}) are taken for {classes.names[seen]!r}; said above "
            f"{_percent(rule.good)}, wrong above {_percent(rule.wrong)}.",
            _REMEDIES["agreement"],
        )


def confused_pairs(confusion: Sequence[Sequence[int]]) -> Iterator[tuple[float, int, int, int]]:
    """(share of the class asked for, images, class asked for, class seen), of pairs that differ."""
    for asked, counts in enumerate(confusion):
        total = sum(counts)
        for seen, count in enumerate(counts):
            if seen != asked and count:
                yield count / total, count, asked, seen


def _worst_class(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    """The class whose distance stands out from that of the others, each in units of real images of the class."""
    within = evidence.findings.within_classes
    if within is None:
        return
    times = [(one.generated.value / one.real.value, one) for one in within.classes if one.real and one.real.value > 0]
    if len(times) < 3:
        return
    usual = median(one for one, _ in times)
    worst, reading = max(times, key=lambda one: one[0])
    if worst > rule.wrong * usual:
        yield Remark(
            name,
            "between",
            f"One class lags behind: {reading.generated.name} is {number(reading.generated.value)}, {number(worst)} "
            f"times that of real images of {reading.class_name!r}, where the median class has {number(usual)}; said "
            f"above {rule.wrong:g} times the median.",
            "A class that lags: look whether its real images are of one kind; give more of them.",
        )


# -- memorisation -----------------------------------------------------------------------------------------------------


def _copies(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    found, row = evidence.findings.memorisation, evidence.rows.get("nearest-ratio")
    if found is None or found.distance_ratio is None or row is None or rule.good is None:
        return
    ratio = found.distance_ratio
    tone: Tone = "wrong" if ratio < rule.wrong else "good" if ratio >= rule.good else "between"
    if tone == "good" and _is_far(evidence):
        return
    opening = {
        "good": "No sign of copies",
        "between": "Near its training images",
        "wrong": "It repeats training images",
    }
    yield Remark(
        name,
        tone,
        f"{opening[tone]}: {row.generated.name} is {number(ratio)}: the median generated image is {number(ratio)} "
        f"times as far from {found.searched} training images as a held-out one; good from {rule.good:g}, wrong below "
        f"{rule.wrong:g}.",
        "" if tone == "good" else _more_data(evidence),
    )


def _gap(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    """What is nearer to training images than held-out ones are to them, as a share of the distance to held-out ones."""
    found, row = evidence.findings.memorisation, evidence.rows.get("FD-gap")
    if found is None or found.gap_of_real is None or found.to_held_out <= 0 or row is None or rule.good is None:
        return
    excess = (found.gap - found.gap_of_real) / found.to_held_out
    tone: Tone = "wrong" if excess > rule.wrong else "good" if excess <= rule.good else "between"
    if tone == "good" and _is_far(evidence):
        return
    opening = {
        "good": "Held-out images are as near as training images",
        "between": "Training images are somewhat nearer than held-out ones",
        "wrong": "Training images are much nearer than held-out ones",
    }  # fmt: skip
    yield Remark(
        name,
        tone,
        f"{opening[tone]}: {row.generated.name} is {number(found.gap)} ({number(found.gap_of_real)} for real images "
        f"that nobody trained on), an excess of {number(excess)} of the distance to held-out images; good up to "
        f"{rule.good:g}, wrong above {rule.wrong:g}.",
        "" if tone == "good" else _more_data(evidence),
    )


def _is_far(evidence: Evidence) -> bool:
    """Whether images are so unlike real ones that it says nothing if they are unlike training images."""
    precision, distance = evidence.rows.get("precision"), evidence.rows.get("FD")
    if precision and precision.real and precision.generated.value < RULES["quality"].wrong * precision.real.value:
        return True
    return bool(distance and distance.real and distance.generated.value > RULES["distance"].wrong * distance.real.value)


def _more_data(evidence: Evidence) -> str:
    if evidence.augmented:
        return "Memorisation: more training images, or fewer training.steps."
    return "Memorisation: more training images, or game.augmentations=[translation, cutout], or fewer training.steps."


# -- the training -----------------------------------------------------------------------------------------------------


def _unfinished(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    alive, choice = [one for one in evidence.checkpoints if one.eligible], evidence.choice
    if choice is None or len(alive) < 3 or alive[-1].step != evidence.checkpoints[-1].step:
        return
    last, before = alive[-1], alive[:-1]
    if choice.step != last.step:
        return
    best_before = min((one.score for one in before), key=lambda score: abs(score - last.score))
    gain = abs(best_before - last.score) / max(abs(best_before), 1e-12)
    if gain > rule.wrong:
        yield Remark(
            name,
            "between",
            f"It was still getting better: the last checkpoint, step {last.step}, is the best, with {choice.metric} "
            f"{number(last.score)}, {_percent(gain)} better than any before; said above {_percent(rule.wrong)}.",
            f"Train longer: training.steps={2 * last.step}"
            f"{'; in the same work directory it goes on from where it is' if evidence.can_go_on else ''}.",
        )


def _overtrained(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    choice = evidence.choice
    scored = [one for one in evidence.checkpoints if one.score == one.score]
    if choice is None or len(scored) < 3 or choice.score == 0:
        return
    last, share = scored[-1], choice.step / scored[-1].step
    worse = abs(last.score - choice.score) / abs(choice.score)
    if rule.good is not None and share <= rule.good and worse > rule.wrong:
        yield Remark(
            name,
            "between",
            f"Its best was long before the end: step {choice.step} of {last.step} ({choice.metric} "
            f"{number(choice.score)}), after which it got {_percent(worse)} worse; said up to {rule.good:g} of the "
            f"steps, above {_percent(rule.wrong)}.",
            f"Overtrained or unstable: lower optimizers.*.lr, optimizers.decay_from=0.5, {_regularizer(evidence)}, or, "
            "where images are few, game.augmentations=[translation, cutout].",
        )


def _winning_discriminator(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    if evidence.curves is None:
        return
    found = {}
    for side in ("D/accuracy_real", "D/accuracy_fake"):
        values = evidence.curves.series.get(side, [])
        late = [value for value in values[-max(1, len(values) // _LATE) :] if value is not None]
        if not late:
            return
        found[side] = sum(late) / len(late)
    if min(found.values()) > rule.wrong:
        said = " and ".join(f"{side} {number(value)}" for side, value in found.items())
        yield Remark(
            name,
            "between",
            f"D tells nearly all images apart: {said} over the last quarter of the training, which leaves G little to "
            f"learn from; said above {rule.wrong:g}.",
            f"D too strong: {_regularizer(evidence)}, a lower optimizers.discriminator.lr, or game.augmentations.",
        )


def _truncation(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    precision, recall = evidence.rows.get("precision"), evidence.rows.get("recall")
    if not evidence.takes_latents or rule.good is None:
        return
    points = evidence.findings.truncation
    if points:
        best, plain = min(points, key=lambda point: point.fd), points[0]
        if best.threshold is not None and best.fd < (1 - rule.wrong) * plain.fd:
            yield Remark(
                name,
                "between",
                f"Cut off latents do better: at {best.threshold:g} the Frechet distance is {number(best.fd)}, not "
                f"{number(plain.fd)}; said from {_percent(rule.wrong)} better.",
                f"Sample with --truncation {best.threshold:g}.",
            )
        return
    if precision and recall and precision.real and recall.real and recall.real.value > 0 < precision.real.value:
        quality = precision.generated.value / precision.real.value
        variety = recall.generated.value / recall.real.value
        if quality < rule.good and variety >= quality + rule.wrong:
            yield Remark(
                name,
                "between",
                f"Quality lags behind variety: {precision.generated.name} is {number(quality)} of real images', "
                f"{recall.generated.name} {number(variety)}; said below {rule.good:g} where variety is {rule.wrong:g} "
                "ahead.",
                "Trade variety for quality: evaluation.truncations=[1.0,0.7] shows what cutting off latents brings.",
            )


# -- what can be believed ---------------------------------------------------------------------------------------------


def _few_images(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    generated, reference = evidence.findings.generated["images"], evidence.findings.reference
    few = min(generated, reference["images"])
    if few < rule.wrong:
        which = (
            "generated images" if generated <= reference["images"] else f"real images of the {reference['split']} split"
        )
        yield Remark(
            name,
            "unclear",
            f"Few images: the figures are of {generated} generated images against {reference['images']} of the "
            f"{reference['split']} split; below {rule.wrong:g} on a side small differences mean nothing.",
            f"Surer figures: more {which} (evaluation.samples, data.test).",
        )


def _few_to_learn_from(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    count = evidence.training_images
    if 0 < count < rule.wrong:
        yield Remark(
            name,
            "unclear",
            f"Few training images: {count}; below {rule.wrong:g} a GAN easily learns them by heart.",
            "" if evidence.augmented else "Few training images: game.augmentations=[translation, cutout].",
        )


def _called(row: Row) -> str:
    """The figure that is held against that of real images: of as many images."""
    few = row.generated_at_real
    return row.generated.name if few is None else f"{row.generated.name} of the first {few.images} images"


def _weak_judge(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    accuracy = (evidence.findings.protocol.extractor.get("accuracy") or {}).get(evidence.findings.reference["split"])
    if accuracy is not None and accuracy < rule.wrong:
        yield Remark(
            name,
            "unclear",
            f"A weak judge: the classifier that the figures come from is right on {_percent(accuracy)} of the "
            f"{evidence.findings.reference['split']} split; below {_percent(rule.wrong)} its features say little.",
            "A better judge: evaluation.extractor=efficientnet-lite0 or inception-2015.",
        )


def _floors(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    if short := shortfalls(evidence.floors, evidence.findings.metrics):
        yield Remark(
            name, "wrong", f"The recipe's floors are missed: it is {short}; a retraining would not promote it."
        )


def _tasks(evidence: Evidence, name: str, rule: Rule) -> Iterator[Remark]:
    for task in evidence.findings.tasks:
        if not task.is_share or task.better != "higher" or rule.good is None:
            continue
        best = 1.0 if task.real is None else task.real
        share = task.value / best if best > 0 else 0.0
        tone: Tone = "wrong" if share < rule.wrong else "good" if share >= rule.good else "between"
        opening = {
            "good": "Part of the task is done",
            "between": "Part of the task is half done",
            "wrong": "Part of the task is not done",
        }
        beside = "" if task.real is None else f", {_whole(share)} of real images' {_percent(task.real)}"
        yield Remark(
            name,
            tone,
            f"{opening[tone]}: {task.name} ({task.title}) is {_percent(task.value)}{beside}; good from "
            f"{_whole(rule.good)}, wrong below {_whole(rule.wrong)}.",
            ""
            if tone == "good"
            else "The task: train longer, or raise the weight of its loss (gan-pipeline recipes show).",
        )


RULES: dict[str, Rule] = {
    "task": Rule("is what it is for done? share of images, over that of real ones", 0.9, 0.6, _tasks),
    "floors": Rule("are the recipe's floors reached? (evaluation.floors)", None, 0.0, _floors),
    "collapse": Rule("do fixed latents give different images? share of real images' differences", None, 0.1, _collapse),
    "collapsed-checkpoints": Rule("did checkpoints collapse? share of them", None, 0.0, _refused),
    "distance": Rule("how far from real images? FD over that of real images", 2.0, 8.0, _distance),
    "quality": Rule("do images look real? precision over real images'", 0.9, 0.6, partial(_beside_real, "precision")),
    "variety": Rule("is everything there? recall over real images'", 0.8, 0.5, partial(_beside_real, "recall")),
    "coverage": Rule("is every kind there? coverage over real images'", 0.9, 0.6, partial(_beside_real, "coverage")),
    "smallest-class": Rule(
        "is every class there? share of one over its share of real images", 0.75, 0.4, _smallest_class
    ),
    "class-asked-for": Rule(
        "is it the class asked for? over real images'", 0.95, 0.8, partial(_beside_real, "agreement")
    ),
    "classes-mistaken": Rule("is a class taken for another? share of its images", 0.1, 0.25, _confused),
    "worst-class": Rule("does a class lag? FD within it, over the median class", None, 2.0, _worst_class),
    "copies": Rule(
        "are images copied? distance to the nearest training image over held-out images'", 0.8, 0.5, _copies
    ),
    "memorisation-gap": Rule("nearer to training images? excess over the distance to others", 0.2, 0.5, _gap),
    "unfinished": Rule("was it still getting better at the end? gain of the last checkpoint", None, 0.05, _unfinished),
    "overtrained": Rule(
        "was the best long before the end? share of the steps, and loss since", 0.6, 0.25, _overtrained
    ),
    "discriminator": Rule(
        "does D win? accuracy on both sides over the last quarter", None, 0.99, _winning_discriminator
    ),
    "truncation": Rule("would cutting off latents help? precision, recall, FD", 0.9, 0.05, _truncation),
    "few-images": Rule("enough images to measure on? of either side", None, 1000, _few_images),
    "few-training-images": Rule("enough images to learn from?", None, 1000, _few_to_learn_from),
    "weak-judge": Rule("does the judge know the data? its accuracy on the split", None, 0.9, _weak_judge),
}
"""Of docs/zoo.md, three recipes whose digits are poor are above 20 times the FD of real images, the others below 10."""
