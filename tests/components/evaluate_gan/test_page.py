"""The page in a browser: nothing is asked for, nothing runs, nothing overflows, everything can be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from components.artifacts import Choice, Curves, ScoredCheckpoint, Training, write_selection_table
from components.context import RunContext
from components.evaluate_gan import step
from components.evaluate_gan.page import data_uri
from components.prepare_data import step as prepare_data
from components.stage.stage import open_stage
from gan_models.data.shape import DataShape
from gan_models.data.table import ImageTable
from gan_models.families.building import build_generator
from gan_models.metrics.protocol import Protocol, Reference
from gan_models.recipes import load_recipe
from gan_models.recipes.schema import Data, Evaluation
from gan_models.sampling.generator import GeneratorInfo, save_generator

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = ("<img src=x onerror=alert(1)>", "<script>alert(2)<", '"><svg onload=alert(3)>')
LONG = "a-class-whose-name-is-much-longer-than-any-column-of-a-table-on-a-telephone-could-ever-be"
SIZES = {"desktop": 1280, "phone": 390}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an untrained generator with a past, on digits whose classes have names that mean harm, or no good."""
    folder = tmp_path_factory.mktemp("page")
    digits = load_digits()
    for number, name in enumerate((*HOSTILE, LONG)):
        (folder / "images" / name).mkdir(parents=True)
        for place, image in enumerate(digits.images[digits.target == number]):
            Image.fromarray((image * 15.9).astype(np.uint8)).save(folder / "images" / name / f"{place}.png")
    context = RunContext(state_dir=str(folder / "state"))
    data = Data(source=f"folder:{folder / 'images'}", size=8, validation=0.1, test=0.3)
    with open_stage("prepare_data", context) as stage:
        prepare_data.run(prepare_data.Request(data=data, output=folder / "dataset"), stage)
    metadata = ImageTable.open(folder / "dataset").metadata
    assert set(metadata.class_names) == {*HOSTILE, LONG}
    recipe = load_recipe("cgan-projection", ["networks.generator.width=4", "evaluation.samples=400"])
    info = GeneratorInfo(
        recipe_name="cgan-projection", image_shape=(1, 8, 8), class_names=metadata.class_names, step=200, seed=0,
        data_fingerprint=metadata.fingerprint, diversity=1.0, collapsed=False,
    )  # fmt: skip
    torch.manual_seed(0)
    generator = folder / "generator"
    save_generator(generator, build_generator(recipe, DataShape((1, 8, 8), 4)).state_dict(), recipe, info)
    scores = [
        ScoredCheckpoint(100, 9.0, False, 1.0),
        ScoredCheckpoint(200, 5.0, False, 0.9),
        ScoredCheckpoint(300, 4.0, True, 0.01),
    ]
    write_selection_table(generator, scores)
    Choice(
        step=200, score=5.0, metric="FD-<b>", candidates=3, collapsed=1, seconds=3.5,
        protocol=Protocol(
            extractor={"name": "x"}, samples=10, parameters={},
            reference=Reference(data="d", source="s", split="validation", images=10),
        ),
    ).write(generator)  # fmt: skip
    series: dict[str, list[float | None]] = {"D/loss": [1.0, 0.5, None], "G/<i>loss": [1.0, 2.0, 3.0]}
    Curves(steps=[100, 200, 300], series=series).write(generator)
    Training(
        recipe="cgan-projection", recipe_digest="d", data_fingerprint="f", seed=0, steps=300, seconds=80.0,
        collapsed=True, unhealthy_steps=(), generators=3, last_metrics={}, environment={"git.revision": "abc"},
    ).write(generator)  # fmt: skip
    request = step.Request(
        generator=generator, dataset=folder / "dataset", output=folder / "report", cache_dir=folder / "cache", seed=0,
        evaluation=Evaluation(samples=400, truncations=(0.7,)), code_version="0.1+xyz",
    )  # fmt: skip
    with open_stage("evaluate_gan", context) as stage:
        step.run(request, stage)
    return folder / "report"


def opened(browser: Browser, report: Path, width: int, scheme: Any) -> tuple[Page, list[str]]:
    """The page, and what it said or asked for."""
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: heard.append(dialog.message))
    page.on("request", lambda request: heard.append(request.url) if not request.url.startswith("data:image/") else None)
    page.goto(f"file://{report / 'report.html'}")
    return page, heard


CONTRAST = """() => {
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const backOf = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const light = c => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => {
    const v = c[i] / 255; return sum + w * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); }, 0);
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent.trim()).join("");
    if (!text) continue;
    const style = getComputedStyle(element);
    const back = backOf(element), ink = parse(element.closest("svg") ? style.fill : style.color);
    const [a, b] = [light(over(ink, back)), light(back)].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), element.tagName + ": " + text.slice(0, 40)]);
  }
  return found.sort((x, y) => x[0] - y[0]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", SIZES.values(), ids=SIZES.keys())
def test_it_fits_asks_for_nothing_and_can_be_read(browser: Browser, report: Path, width: int, scheme: str) -> None:
    page, heard = opened(browser, report, width, scheme)
    assert heard == [f"file://{report / 'report.html'}"]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    pictures = page.evaluate("[...document.images].map(one => [one.alt.length, one.naturalWidth])")
    assert len(pictures) == 5
    assert all(min(picture) > 0 for picture in pictures)
    assert page.evaluate("[...document.querySelectorAll('svg')].every(one => one.getAttribute('aria-label'))")
    found = page.evaluate(CONTRAST)
    assert len(found) > 100
    assert found[0][0] >= 4.5, found[:5]


def test_dark_is_dark_and_light_is_light(browser: Browser, report: Path) -> None:
    backs = {}
    for scheme in ("light", "dark"):
        page, _ = opened(browser, report, 1280, scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        backs[scheme] = sum(int(part) for part in re.findall(r"\d+", colour)[:3])
    assert backs["light"] > 600 > 150 > backs["dark"]


def test_names_that_are_markup_show_as_text(browser: Browser, report: Path) -> None:
    page, heard = opened(browser, report, 1280, "light")
    shown = page.evaluate("document.body.textContent")
    assert all(name in shown for name in (*HOSTILE, "FD-<b>", "G/<i>loss"))
    assert page.evaluate("document.querySelectorAll('script, iframe, [onerror], [onload], img[src=x]').length") == 0
    assert len(heard) == 1


def test_a_script_that_got_in_would_not_run(browser: Browser, report: Path, tmp_path: Path) -> None:
    text = (report / "report.html").read_text(encoding="utf-8")
    bad = "<script>document.title = 'run'</script><style>body { display: none }</style><img src='http://127.0.0.1:9/x'>"
    (tmp_path / "report.html").write_text(text.replace("</main>", f"{bad}</main>"), encoding="utf-8")
    page, _ = opened(browser, tmp_path, 1280, "light")
    assert page.title().startswith("Evaluation of")
    assert page.evaluate("getComputedStyle(document.body).display") != "none"


def test_the_verdict_comes_first_and_everything_else_is_there(report: Path) -> None:
    text = (report / "report.html").read_text(encoding="utf-8")
    places = [
        text.index(f'id="{part}"')
        for part in ("verdict", "samples", "figures", "training", "classes", "neighbours", "origin")
    ]
    assert places == sorted(places)
    assert text.index("Something is wrong: ") < text.index("<img")
    assert "0.1+xyz" in text
    assert "abc" in text
    assert "step 200 of 300" in text
    assert "<td>400</td><td>5000</td>" in text  # evaluation.samples, and what it usually is
    assert "1 collapsed and refused" in text
    assert text.count('class="refused"') == 4  # a cross in each of two charts
    assert "Inception Score over Frechet distance" in text
    assert (report / "report.html").stat().st_size < 1_000_000
    short = (report / "report.md").read_text(encoding="utf-8")
    assert short.index("**Something is wrong: ") < short.index("| metric |")
    assert "<script" not in short.replace("\\<script", "")


@pytest.mark.parametrize(("size", "channels"), [((340, 340), 1), ((3000, 2400), 3), ((1200, 9000), 3)])
def test_the_heaviest_pictures_stay_small(tmp_path: Path, size: tuple[int, int], channels: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    Image.fromarray(noise[..., 0] if channels == 1 else noise).save(tmp_path / "x.png")
    assert len(data_uri(tmp_path / "x.png")) < 450_000
