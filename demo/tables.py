"""Pictures and numbers as HTML where no component of Gradio's fits: tables with pictures in them.

The pictures lie inside the page, not at addresses, so nobody else can ask for them.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from html import escape

from PIL import Image

# On the page a picture in a table is rarely larger than this; the download has them as they are.
SHOWN = 256

Heading = tuple[Image.Image | None, str]


def table(
    rows: Sequence[Sequence[Image.Image]], row_heads: Sequence[Heading], col_heads: Sequence[Heading], about: str
) -> str:
    """``rows`` under and beside their headings (picture or None, name); ``about`` is the table's caption."""
    top = "".join(f'<th scope="col">{_heading(*head)}</th>' for head in col_heads)
    lines = []
    for row, head in zip(rows, row_heads, strict=True):
        cells = (_image(image, f"{head[1]}, {col[1]}") for image, col in zip(row, col_heads, strict=True))
        lines.append(f'<th scope="row">{_heading(*head)}</th>' + "".join(f"<td>{cell}</td>" for cell in cells))
    return _scrolling("nb-table", about, f"<tr><td></td>{top}</tr>", lines)


def numbers(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], about: str) -> str:
    """A table of numbers, already in words: ``rows`` are (label, one text a column)."""
    top = "".join(f'<th scope="col">{escape(c)}</th>' for c in ("", *columns))
    lines = [
        f'<th scope="row">{escape(label)}</th>' + "".join(f"<td>{escape(text)}</td>" for text in texts)
        for label, texts in rows
    ]
    return _scrolling("nb-table nb-numeric", about, f"<tr>{top}</tr>", lines)


def number(value: float) -> str:
    """Four digits that count, a dash for what there is not."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def data_uri(image: Image.Image, kind: str = "PNG", **options) -> str:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"


def _scrolling(kind: str, about: str, head: str, lines: Sequence[str]) -> str:
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div class="{kind}" tabindex="0" role="region" aria-label="{escape(about)}"><table>'
        f"<caption>{escape(about)}</caption><thead>{head}</thead><tbody>{body}</tbody></table></div>"
    )


def _heading(image: Image.Image | None, name: str) -> str:
    picture = _image(image, name) if image is not None else ""
    return f"<figure>{picture}<figcaption>{escape(name)}</figcaption></figure>"


def _image(image: Image.Image, alt: str) -> str:
    width, height = image.size
    if max(image.size) > SHOWN:
        image = image.copy()
        image.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
    return f'<img src="{data_uri(image, compress_level=1)}" width="{width}" height="{height}" alt="{escape(alt)}">'
