"""An evaluation as one small HTML page that holds its pictures."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

from torch import Tensor

from gan_models.atomic import write_text
from gan_models.metrics.evaluating import Evaluation, Figure
from gan_models.sampling.grids import as_image, enlargement, image_grid

_COLUMNS = 8
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.3em .7em;text-align:right}"
    "td:first-child,th:first-child{text-align:left}.sets{display:flex;gap:2em;flex-wrap:wrap}figure{margin:0}"
    "img{max-width:100%;image-rendering:pixelated}figcaption{color:#555}code{word-break:break-all}"
)


def write_page(path: Path, samples: str, found: Evaluation) -> None:
    """Writes the page whole, or not at all; `samples` is what the sample is called."""
    write_text(path, page(samples, found))


def page(samples: str, found: Evaluation) -> str:
    """The page: what was compared, sample and reference side by side, figures, notes, the protocol."""
    reference = found.protocol.reference.source
    sets = _figure(samples, found.samples) + _figure(f"{reference}, the reference", found.real)
    head = "<tr><th>metric<th>better<th>value<th>95 % interval<th>images<th>real images</tr>"
    lines = "".join(_line(key, figure) for key, figure in found.figures.items())
    title = f"{samples} against {reference}"
    body = (
        f"<h1>{escape(title)}</h1><p>{escape(found.sentence)}.</p><div class=sets>{sets}</div>"
        f"<table>{head}{lines}</table>"
        f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in found.notes)}</ul>"
        f"<p>Protocol {escape(found.name)}, digest {found.protocol.digest}:</p>"
        f"<p><code>{escape(found.protocol.model_dump_json())}</code></p>"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _line(key: str, figure: Figure) -> str:
    around = "" if figure.interval is None else f"{figure.interval[0]:.4g} to {figure.interval[1]:.4g}"
    spread = "" if figure.std is None else f" ± {figure.std:.2g}"
    real = "" if figure.real is None else f"{figure.real:.4g}"
    cells = (key, figure.record.better, f"{figure.value:.4g}{spread}", around, str(figure.n), real)
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _figure(caption: str, images: Tensor) -> str:
    file = io.BytesIO()
    grid = as_image(image_grid(images, _COLUMNS))
    scale = enlargement(images)
    grid.resize((grid.width * scale, grid.height * scale), 0).save(file, format="png")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escape(caption, quote=True)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
