"""Clicks in the pages of `gan-pipeline explore`, in a browser without a window."""

from __future__ import annotations

import io
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.pipeline.explorer.serving import SIZE, Served, await_page, save_tiny, start

pytestmark = pytest.mark.slow
Visit = Callable[[str], Page]


def source(page: Page, place: str) -> str:
    """The address of the picture at a place of the page, once there is one: equal pictures have equal addresses."""
    address = page.locator(f"{place} img").first.get_attribute("src")
    assert address
    return address


def changed(page: Page, place: str, before: str) -> str:
    expect(page.locator(f"{place} img").first).not_to_have_attribute("src", before, timeout=30_000)
    return source(page, place)


def back_to(page: Page, place: str, before: str) -> None:
    expect(page.locator(f"{place} img").first).to_have_attribute("src", before, timeout=30_000)


def pixels(page: Page, place: str) -> np.ndarray:
    """What the picture shows, an image's pixel in the middle of each square: [H, W, 3]."""
    with urllib.request.urlopen(source(page, place)) as answer:
        shown = Image.open(io.BytesIO(answer.read())).convert("RGB")
    return np.asarray(shown.resize((SIZE, SIZE), Image.Resampling.NEAREST)).astype(int)


def choose(page: Page, place: str, option: str) -> None:
    page.locator(f"{place} input").first.click()
    page.get_by_role("option", name=option, exact=True).click()


def press(page: Page, place: str, key: str, times: int) -> None:
    page.locator(f"{place} input[type=range]").focus()
    for _ in range(times):
        page.keyboard.press(key)


def upload(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator("#upload").click()
    chooser.value.set_files(path)


def dab(page: Page) -> None:
    """A dot of paint in the middle of the canvas."""
    box = page.locator("#canvas canvas").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 2, box["y"] + box["height"] / 2 + 1)
    page.mouse.up()


def test_sliders_move_the_picture_and_go_back(visit: Visit) -> None:
    page = visit("cgan-projection")
    first = source(page, "#picture")
    expect(page.locator("h3")).to_have_text("cgan-projection at step 1")
    press(page, "#direction-1", "ArrowRight", 20)
    expect(page.locator("#direction-1 input[type=number]")).to_have_value("2")
    changed(page, "#picture", first)
    page.locator("#reset").click()
    back_to(page, "#picture", first)
    press(page, "#direction-2", "ArrowLeft", 15)
    changed(page, "#picture", first)


def test_on_a_phone_the_picture_stays_in_sight_while_sliders_are_moved(visit: Visit) -> None:
    page = visit("cgan-projection")
    page.set_viewport_size({"width": 390, "height": 700})
    source(page, "#picture")
    page.locator("#direction-8").scroll_into_view_if_needed()
    page.evaluate("window.scrollBy(0, 250)")
    box, last = page.locator("#picture img").bounding_box(), page.locator("#direction-8").bounding_box()
    assert box
    assert last
    assert 0 <= box["y"] < box["y"] + box["height"] < last["y"] < 700
    assert page.evaluate("document.documentElement.scrollWidth") <= 390  # nothing sticks out at the side


def test_class_truncation_and_seed_decide_the_picture(visit: Visit) -> None:
    page = visit("cgan-projection")
    first = source(page, "#picture")
    choose(page, "#condition", "owl")
    owl = changed(page, "#picture", first)
    choose(page, "#truncation", "0.3")
    calmer = changed(page, "#picture", owl)
    page.locator("#seed input").fill("12")
    changed(page, "#picture", calmer)
    choose(page, "#truncation", "none")
    choose(page, "#condition", "cat")
    page.locator("#seed input").fill("0")
    back_to(page, "#picture", first)


def test_a_grid_and_a_walk(visit: Visit) -> None:
    page = visit("cgan-projection")
    page.get_by_role("tab", name="Grid").click()
    grid = source(page, "#grid")
    page.locator("#rows").get_by_text("truncation").click()
    changed(page, "#grid", grid)
    page.get_by_role("tab", name="Walk").click()
    strip, film = source(page, "#strip"), source(page, "#film")
    with urllib.request.urlopen(film) as answer, Image.open(io.BytesIO(answer.read())) as frames:
        assert frames.n_frames == 2 * 12 - 2
    page.locator("#to-seed input").fill("9")
    changed(page, "#strip", strip)
    changed(page, "#film", film)


def test_three_pictures_are_summed(visit: Visit) -> None:
    page = visit("cgan-projection")
    page.get_by_role("tab", name="Arithmetic").click()
    for number, term in ((4, 0), (4, 1), (7, 2)):
        page.locator("#gallery button.thumbnail-item").nth(number).click()
        page.locator(f"#term-{term} img").first.wait_for()
    # A - A + C is C, but for its length.
    total, last, one = (pixels(page, f"#term-{term}") for term in (3, 2, 0))
    assert np.abs(total - last).mean() < np.abs(total - one).mean()
    expect(page.locator("#term-3")).to_contain_text("A - B + C")
    page.locator("#start-over").click()
    expect(page.locator("#term-3 img")).to_have_count(0)


def test_a_caption_of_ones_own_is_drawn_and_a_word_that_was_not_learnt_is_a_sentence(visit: Visit) -> None:
    page = visit("stackgan")
    first = source(page, "#picture")
    choose(page, "#condition", "blue circle")
    second = changed(page, "#picture", first)
    field = page.locator("#condition input").first
    field.fill("blue red square")
    field.press("Enter")
    changed(page, "#picture", second)
    field.fill("blue sqare")
    field.press("Enter")
    page.get_by_text("unknown word 'sqare': did you mean 'square'?").first.wait_for()
    expect(page.locator("body")).not_to_contain_text("Traceback")


def test_paint_colours_what_is_under_it(visit: Visit) -> None:
    page = visit("colorization/gan")
    first = source(page, "#after")
    plain = pixels(page, "#after")
    assert np.ptp(plain, axis=2).max() <= 1  # without hints this network leaves everything grey
    page.wait_for_timeout(2_000)
    dab(page)
    for _ in range(5):  # the canvas takes a moment to be ready, and nothing says when it is; the same dot again is one
        try:
            expect(page.locator("#after img").first).not_to_have_attribute("src", first, timeout=15_000)
            break
        except AssertionError:
            dab(page)
    coloured = pixels(page, "#after")
    middle = coloured[SIZE // 2, SIZE // 2]
    assert middle[0] - middle[1:].max() > 50  # the brush is red to begin with
    touched = np.abs(coloured - plain).max(axis=2) > 8
    rows, columns = np.nonzero(touched)
    assert 1 <= touched.sum() <= 25
    assert np.abs(rows - SIZE / 2).max() <= 4
    assert np.abs(columns - SIZE / 2).max() <= 4
    page.locator("#gallery button.thumbnail-item").nth(2).click()  # another picture, and the paint is gone
    changed(page, "#after", source(page, "#after"))
    assert np.ptp(pixels(page, "#after"), axis=2).max() <= 1


def test_a_picture_of_ones_own_is_translated_to_the_domain_chosen(visit: Visit, tmp_path: Path) -> None:
    page = visit("attribute-transfer")
    before, after = source(page, "#before"), source(page, "#after")
    page.locator("#domain").get_by_text("green").click()
    green = changed(page, "#after", after)
    page.locator("#gallery button.thumbnail-item").nth(1).click()
    second = changed(page, "#before", before)
    changed(page, "#after", green)
    mine = tmp_path / "mine.png"
    Image.new("RGB", (40, 30), (10, 200, 40)).save(mine)
    upload(page, mine)
    changed(page, "#before", second)
    assert (pixels(page, "#before") == (10, 200, 40)).all()


def test_what_is_no_picture_and_what_is_too_large_is_a_sentence(visit: Visit, tmp_path: Path) -> None:
    page = visit("attribute-transfer")
    before = source(page, "#before")
    broken, huge = tmp_path / "broken.png", tmp_path / "huge.png"
    broken.write_bytes(b"no picture at all")
    upload(page, broken)
    page.get_by_text("broken.png cannot be used: not an image of a known format").first.wait_for()
    huge.write_bytes(bytes(21 * 2**20))
    upload(page, huge)
    page.get_by_text("exceed the maximum allowed size of 20").first.wait_for()
    assert source(page, "#before") == before


def test_only_this_machine_is_served_and_asked(pages: dict[str, Served]) -> None:
    with urllib.request.urlopen(pages["stackgan"].address) as answer:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
        served = answer.read().decode()
    for host in ("fonts.googleapis", "cdn.", "cdnjs"):
        assert host not in served


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    served = start(save_tiny(tmp_path / "generator", "cgan-projection"))
    await_page(served)
    served.process.send_signal(signal.SIGINT)
    _, errors = served.process.communicate(timeout=60)
    assert served.process.returncode == 3
    assert errors.strip().splitlines() == ["gan-pipeline: interrupted"]
