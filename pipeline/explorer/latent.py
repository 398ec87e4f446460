"""The page of a generator that draws from latents: directions, grids, walks and sums, of classes or captions."""

from __future__ import annotations

import random
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from gan_models.exploring.latent_space import MOST_IMAGES, LatentSpace, save_animation
from gan_models.exploring.training_set import TrainingSet
from pipeline.explorer.neighbours import Neighbours
from pipeline.explorer.showing import SMALL, answering, enlarged, enlargement, gallery, tiled, whole
from pipeline.request.request import MAX_SEED

_REACH = 4.0  # standard deviations that a slider goes
_GALLERY = 24
_STRIP = 8  # pictures in a row
_FILMS = 8  # that are kept
_NO_TRUNCATION = "none"

Values = dict[Any, Any]
"""What components of the page are to show."""


class Place(NamedTuple):
    """A picture: where it is in latent space, and of what."""

    seed: int
    condition: str | None
    truncation: float | None


class View(ABC):
    """A tab: its components, and what they show of a place."""

    def __init__(self, space: LatentSpace) -> None:
        self.space = space
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    @abstractmethod
    def draw(self, place: Place, *values: Any) -> Values:
        """What the outputs show for a place and values of the inputs."""

    def latent(self, place: Place) -> Any:
        return self.space.latents([place.seed], place.truncation, place.condition)[0]

    def images(self, latents: Any, *conditions: str | None) -> Any:
        return self.space.images(latents, conditions if len(conditions) > 1 else [*conditions] * len(latents))


class Sliders(View):
    def __init__(self, space: LatentSpace, training: TrainingSet | None) -> None:
        super().__init__(space)
        directions = space.directions
        with gr.Row():
            with gr.Column(scale=2, min_width=300, elem_id="picture-column"):
                self.picture = _picture("Picture of the seed, moved", "picture")
            with gr.Column(scale=3, min_width=300):
                self.sliders = []
                with gr.Row():
                    for number, share in enumerate(directions.shares.tolist(), 1):
                        name = f"Direction {number} ({share:.0%})"
                        self.sliders.append(_direction(name, f"direction-{number}"))
                self.reset = gr.Button("All to 0", size="sm", elem_id="reset")
                gr.Markdown(
                    "The main directions of latent space, in standard deviations. Per cent: their part in the variance "
                    f"of `{directions.layer}`, the first layer that hears latents."
                )
        self.neighbours = Neighbours(training)
        self.inputs = [*self.sliders, *self.neighbours.inputs]
        self.outputs = [self.picture, *self.neighbours.outputs]

    def draw(self, place: Place, *values: Any) -> Values:
        amounts, how = values[: len(self.sliders)], values[len(self.sliders) :]
        latent = self.space.moved(self.latent(place), amounts)
        image = self.images(latent[None], place.condition)[0]
        return {self.picture: enlarged(image), **self.neighbours.of(image, *how)}


class Tiles(View):
    def __init__(self, space: LatentSpace) -> None:
        super().__init__(space)
        seeds, *others = space.rows
        rows = [seeds, *(["classes"] if space.classes else []), *others]
        with gr.Row():
            self.rows = gr.Radio(rows, value="classes" if space.classes else seeds, label="Rows", elem_id="rows")
            self.columns = gr.Slider(1, 16, value=8, step=1, label="Columns", buttons=[])
            self.number = gr.Slider(1, 20, value=4, step=1, label="Rows of seeds", buttons=[])
        self.grid = _picture("A column for each seed; rows of seeds go on from the number in front", "grid")
        self.inputs, self.outputs = [self.rows, self.columns, self.number], [self.grid, self.number]

    def draw(self, place: Place, *values: Any) -> Values:
        rows, columns, number = values
        columns, number = whole(columns, "columns", 1, MOST_IMAGES), whole(number, "rows", 1, MOST_IMAGES)
        grid = self.space.grid(place.seed, columns, rows, number, place.condition, place.truncation)
        return {
            self.grid: tiled(grid.images, grid.columns, grid.rows),
            self.number: gr.update(visible=rows in ("seeds", "mixing")),
        }


class Walk(View):
    def __init__(self, space: LatentSpace, scratch: Path) -> None:
        super().__init__(space)
        self.scratch = scratch
        with gr.Row():
            self.end = gr.Number(1, label="To seed", precision=0, minimum=0, maximum=MAX_SEED, elem_id="to-seed")
            self.steps = gr.Slider(2, 32, value=12, step=1, label="Steps", buttons=[], elem_id="steps")
        self.strip = _picture("From the seed above to the other one", "strip")
        self.film = _picture("The same, moving", "film", format_="gif")
        self.inputs, self.outputs = [self.end, self.steps], [self.strip, self.film]

    def draw(self, place: Place, *values: Any) -> Values:
        end, steps = whole(values[0], "to seed"), whole(values[1], "steps", 2, 32)
        latents = self.space.walk(self.latent(place), self.latent(place._replace(seed=end)), steps)
        images = self.images(latents, place.condition)
        for seen in sorted(self.scratch.glob("walk-*.gif"), key=lambda path: path.stat().st_mtime)[:-_FILMS]:
            seen.unlink(missing_ok=True)  # gradio has made a copy, which it forgets in time
        film = self.scratch / f"walk-{uuid.uuid4().hex}.gif"
        save_animation(images, film, scale=enlargement(images.shape[2], 224))
        return {self.strip: tiled(images, min(steps, _STRIP)), self.film: str(film)}


class Sums(View):
    def __init__(self, space: LatentSpace) -> None:
        super().__init__(space)
        self.picked = gr.State([])
        self.places = gr.State([])
        with gr.Row():
            self.terms = [
                _picture(label, f"term-{number}", min_width=110)
                for number, label in enumerate(("A", "- B", "+ C", "A - B + C"))
            ]
        self.again = gr.Button("Start over", size="sm", elem_id="start-over")
        self.gallery = gallery("Seeds from the one above on; click on three")
        self.outputs = [self.gallery, self.places]
        picking = [self.picked, *self.terms]
        self.gallery.select(self._pick, [self.places, self.picked], picking, show_progress="hidden")
        self.again.click(lambda: [[], *[None] * 4], None, picking, show_progress="hidden")

    def draw(self, place: Place, *values: Any) -> Values:
        seeds = range(place.seed, place.seed + _GALLERY)
        images = self.images(self.space.latents(seeds, place.truncation, place.condition), place.condition)
        shown = [(enlarged(image, 2 * SMALL), str(seed)) for seed, image in zip(seeds, images, strict=True)]
        return {self.gallery: shown, self.places: [place._replace(seed=seed) for seed in seeds]}

    def _pick(self, event: gr.SelectData, places: list[Place], picked: list[Place]) -> list[Any]:
        return self._with_term(places[event.index], picked)

    @answering
    def _with_term(self, place: Place, picked: list[Place]) -> list[Any]:
        """The terms with one more picture; a fourth is the first of a new sum."""
        terms = [Place(*term) for term in [*(picked if len(picked) < 3 else []), place]]
        latents = [self.latent(term) for term in terms]
        conditions = [term.condition for term in terms]
        if len(terms) == 3:
            # What a - b is added to says what is drawn.
            latents.append(self.space.combined(*latents))
            conditions.append(conditions[2])
        shown: list[Any] = [
            enlarged(self.images(latent[None], condition)[0], 160)
            for latent, condition in zip(latents, conditions, strict=True)
        ]
        return [terms, *shown, *[None] * (4 - len(shown))]


class LatentPage:
    """What is the same on all tabs (seed, class or caption, truncation), and the tabs."""

    def __init__(self, space: LatentSpace, training: TrainingSet | None, scratch: Path) -> None:
        self.space = space
        with gr.Row():
            self.seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, elem_id="seed")
            another = gr.Button("Another seed", size="sm", elem_id="another-seed")
            self.condition = self._condition()
            thresholds = [_NO_TRUNCATION, *(f"{each:g}" for each in reversed(space.thresholds) if each is not None)]
            self.truncation = gr.Dropdown(
                thresholds, value=_NO_TRUNCATION, label="Truncation", interactive=True, elem_id="truncation"
            )
        common = [self.seed, self.condition, self.truncation]
        views: list[View] = []
        tabs = []
        makers: dict[str, Callable[[], View]] = {
            "Directions": lambda: Sliders(space, training),
            "Grid": lambda: Tiles(space),
            "Walk": lambda: Walk(space, scratch),
            "Arithmetic": lambda: Sums(space),
        }
        for title, make in makers.items():
            with gr.Tab(title) as tab:
                views.append(make())
            tabs.append(tab)
        self.views = dict(zip(makers, views, strict=True))
        shown = gr.State(next(iter(makers)))
        for (title, view), tab in zip(self.views.items(), tabs, strict=True):
            draw = self._drawer(view)
            tab.select(lambda title=title: title, None, shown, show_progress="hidden").then(
                draw, [*common, *view.inputs], view.outputs, show_progress="hidden"
            )
            if view.inputs:
                gr.on(
                    [component.input for component in view.inputs],
                    draw,
                    [*common, *view.inputs],
                    view.outputs,
                    show_progress="hidden",
                    trigger_mode="always_last",
                )
        every_input = [component for view in views for component in view.inputs]
        every_output = [component for view in views for component in view.outputs]
        gr.on(
            [component.change for component in common],
            self._redraw,
            [shown, *common, *every_input],
            every_output,
            show_progress="hidden",
            trigger_mode="always_last",
        )
        another.click(lambda: random.randrange(10_000), None, self.seed, show_progress="hidden")
        sliders = views[0]
        assert isinstance(sliders, Sliders)
        sliders.reset.click(lambda: [0] * len(sliders.sliders), None, sliders.sliders, show_progress="hidden").then(
            self._drawer(sliders), [*common, *sliders.inputs], sliders.outputs, show_progress="hidden"
        )
        self.load = (self._drawer(sliders), [*common, *sliders.inputs], sliders.outputs)

    def _condition(self) -> Any:
        first = self.space.first_condition
        if self.space.takes_captions:
            return gr.Dropdown(
                list(self.space.captions) or [str(first)],
                value=first,
                label="Caption: choose one, or write your own",
                allow_custom_value=True,
                interactive=True,
                scale=2,
                elem_id="condition",
            )
        if self.space.classes:
            return gr.Dropdown(
                list(self.space.classes), value=first, label="Class", interactive=True, elem_id="condition"
            )
        return gr.State(None)

    def _place(self, seed: float | None, condition: str | None, truncation: str) -> Place:
        threshold = None if truncation == _NO_TRUNCATION else float(truncation)
        return Place(whole(seed, "seed"), condition, threshold)

    def _drawer(self, view: View) -> Any:
        @answering
        def draw(seed: float | None, condition: str | None, truncation: str, *values: Any) -> Values:
            return view.draw(self._place(seed, condition, truncation), *values)

        return draw

    @answering
    def _redraw(self, shown: str, seed: float | None, condition: str | None, truncation: str, *values: Any) -> Values:
        """Of the tab that is seen."""
        start = 0
        for title, view in self.views.items():
            if title == shown:
                own = values[start : start + len(view.inputs)]
                return view.draw(self._place(seed, condition, truncation), *own)
            start += len(view.inputs)
        raise LookupError(shown)


def _direction(label: str, elem_id: str) -> gr.Slider:
    return gr.Slider(-_REACH, _REACH, value=0, step=0.1, label=label, elem_id=elem_id, buttons=[], min_width=260)


def _picture(label: str, elem_id: str, *, min_width: int = 160, format_: str = "png") -> gr.Image:
    return gr.Image(
        label=label,
        interactive=False,
        min_width=min_width,
        buttons=["download"],
        format=format_,
        elem_id=elem_id,
    )
