"""From a generator to its page, and the page's server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from gan_models.errors import RequestError, RunError
from gan_models.exploring.given import MOST_BYTES
from gan_models.exploring.style_space import space_of
from gan_models.exploring.training_set import TrainingSet
from gan_models.sampling.generator import LoadedGenerator
from pipeline.explorer.colorization import ColorizationPage
from pipeline.explorer.latent import LatentPage
from pipeline.explorer.translation import TranslationPage

HOST = "127.0.0.1"
_FORGOTTEN_AFTER = 600  # seconds that pictures of the page are kept in files
# A browser asks nobody else, whatever is in the page.
_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
_CSS = """
/* "hidden", which gradio has here, would let nothing stick to the window. */
.gradio-container { width: 100%; max-width: 1180px !important; margin: 0 auto !important; overflow: clip !important; }
footer { display: none !important; }
/* A label stands above its picture, not on it. */
.block > label[data-testid="block-label"].float { position: static; border: 0; padding-left: 0; background: none; }
.block > label[data-testid="block-label"] span { display: none; }
.block:has(> label[data-testid="block-label"].float) { border: 0 !important; }
.block:not(#canvas) > label[data-testid="block-label"].float ~ .image-container > .icon-button-wrapper {
  top: -28px; right: 0; border: 0;
}
.grid-container { grid-template-columns: repeat(auto-fill, minmax(72px, 1fr)) !important; padding-top: 0 !important; }
.grid-wrap { min-height: 0 !important; max-height: none !important; padding: 4px 0 !important; }
#another-seed, #reset, #start-over, #upload { flex: 0 0 auto; width: fit-content; align-self: end; }
/* On a phone the picture stays in sight while sliders below it are moved. */
@media (max-width: 700px) {
  #picture-column { position: sticky; top: 0; z-index: 10; background: var(--body-background-fill); }
  #picture .image-container img { max-height: 40vh; object-fit: contain; }
}
"""


def _kind_of(generator: LoadedGenerator) -> str:
    takes = frozenset(generator.module.inputs)
    if "latents" in takes and takes <= {"latents", "labels", "captions", "embeddings"}:
        return "latent"
    if takes in ({"images", "domains"}, {"images", "attributes"}, {"images", "dropout"}):
        return "translation"
    if takes == {"images", "hints"}:
        return "colorization"
    raise RequestError(
        f"{generator.info.recipe_name} makes images from {', '.join(sorted(takes))}, and there is no page to play with "
        "these: `gan-pipeline sample` draws from it"
    )


def make_page(generator: LoadedGenerator, training: TrainingSet | None, origin: str, scratch: Path) -> gr.Blocks:
    """The page of a generator; RequestError where there is none for what it takes."""
    kind, info = _kind_of(generator), generator.info
    channels, height, width = info.image_shape
    with gr.Blocks(
        title=f"{info.called} - gan-pipeline",
        analytics_enabled=False,
        delete_cache=(_FORGOTTEN_AFTER // 10, _FORGOTTEN_AFTER),
    ) as blocks:
        colours = "grey" if channels == 1 else "colour"
        gr.Markdown(f"### {info.called}\n{width}x{height}, {colours} · {generator.recipe.data.source} · {origin}")
        made: LatentPage | TranslationPage | ColorizationPage
        if kind == "latent":
            made = LatentPage(space_of(generator), training, scratch)
        elif kind == "translation":
            made = TranslationPage(generator, training)
        else:
            made = ColorizationPage(generator, training)
        draw, inputs, outputs = made.load
        blocks.load(draw, inputs, outputs, show_progress="hidden")
    page: gr.Blocks = blocks
    return page


def serve(page: gr.Blocks, port: int, scratch: Path, ready: Callable[[str], None]) -> None:
    """Serves the page on this machine alone until KeyboardInterrupt."""
    try:
        page.queue(default_concurrency_limit=1).launch(
            server_name=HOST,
            server_port=port,
            share=False,
            inbrowser=False,
            quiet=True,
            prevent_thread_lock=True,
            show_error=False,
            max_file_size=MOST_BYTES,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            footer_links=[],
            allowed_paths=[str(scratch)],
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
            css=_CSS,
            app_kwargs={"middleware": [Middleware(_OnlyHere)], "docs_url": None, "redoc_url": None},
        )
        ready(f"http://{HOST}:{port}")
        threading.Event().wait()
    except OSError as error:
        raise RunError(f"the page could not be served on port {port}: {error}") from None
    finally:
        page.close(verbose=False)


class _OnlyHere(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = _POLICY
        return response
