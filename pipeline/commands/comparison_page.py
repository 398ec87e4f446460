"""A comparison as one HTML page that holds its pictures and asks nobody for anything."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from pipeline.commands.comparing import Compared, best_of, differing, keys_of, metric_of

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--best:#2f9e4433}
body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem auto;max-width:72rem;padding:0 1rem}
.wide{overflow-x:auto}table{border-collapse:collapse}
th,td{border:1px solid var(--line);padding:.3em .7em;text-align:right}
th:first-child,td:first-child{text-align:left}.best{background:var(--best);font-weight:600}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:1rem}
figure{margin:0}img{width:100%;image-rendering:pixelated;background:#fff}
""".strip()


def page(groups: Sequence[Sequence[Compared]], notes: Sequence[str]) -> str:
    """One section for each group of runs whose figures compare; `notes` stand in front."""
    body = ["<h1>Runs compared</h1>", *(f"<p>{escape(note)}</p>" for note in notes)]
    for group in groups:
        protocol = group[0].protocol
        body.append(f"<h2>{escape(protocol.sentence)}, protocol {protocol.digest}</h2>")
        body.append(_figures(group))
        body.append(f'<div class="pictures">{"".join(_picture(run) for run in group)}</div>')
        body.append(_settings(group))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">'
        f"<title>Runs compared</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _figures(group: Sequence[Compared]) -> str:
    head = ["figure", "better", *(run.name for run in group)]
    lines = []
    for key in keys_of(group):
        metric, best = metric_of(key), best_of(key, group)
        cells = [f"<td>{escape(key)}</td><td>{metric.better if metric else ''}</td>"]
        for run in group:
            mark = ' class="best"' if run is best else ""
            cells.append(f"<td{mark}>{f'{run.figures[key]:.4g}' if key in run.figures else ''}</td>")
        lines.append("".join(cells))
    return _table(head, lines)


def _settings(group: Sequence[Compared]) -> str:
    if not (found := differing(group)):
        return "<p>No setting differs.</p>" if len(group) > 1 else ""
    lines = ["".join(f"<td>{escape(cell)}</td>" for cell in (name, *values)) for name, values in found.items()]
    return _table(["setting", *(run.name for run in group)], lines)


def _table(head: Sequence[str], lines: Sequence[str]) -> str:
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    rows = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><tr>{titles}</tr>{rows}</table></div>'


def _picture(run: Compared) -> str:
    said = f"{escape(run.name)}, step {run.step}"
    if run.grid is None:
        return f"<figure><figcaption>{said}: no picture</figcaption></figure>"
    image = f"data:image/png;base64,{base64.b64encode(run.grid).decode()}"
    return f'<figure><img src="{image}" alt="Samples of {said}"><figcaption>{said}</figcaption></figure>'
