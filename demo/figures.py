"""Pictures as HTML where no component of Gradio's fits: a table whose rows and columns have pictures for headings."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image

# On the page a picture of the table is rarely larger than this; the download has them as they are.
SHOWN = 256

Heading = tuple[Image.Image, str]


def table(
    rows: Sequence[Sequence[Image.Image]], row_heads: Sequence[Heading], col_heads: Sequence[Heading], about: str
) -> str:
    """``rows`` under and beside their headings (picture, name); ``about`` is the table's caption."""
    top = "".join(f'<th scope="col">{_figure(*head)}</th>' for head in col_heads)
    body = "".join(
        f'<tr><th scope="row">{_figure(*head)}</th>'
        + "".join(f"<td>{_img(image, f'{head[1]} with {col[1]}')}</td>" for image, col in zip(row, col_heads, strict=True))
        + "</tr>"
        for row, head in zip(rows, row_heads, strict=True)
    )
    return (
        f'<div class="nb-table" tabindex="0" role="region" aria-label="{escape(about)}"><table>'
        f"<caption>{escape(about)}</caption><thead><tr><td></td>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _figure(image: Image.Image, name: str) -> str:
    return f"<figure>{_img(image, name)}<figcaption>{escape(name)}</figcaption></figure>"


def _img(image: Image.Image, alt: str) -> str:
    """The picture inside the page itself, so that it lies at no address that others could ask for."""
    size = image.size
    if max(size) > SHOWN:
        image = image.copy()
        image.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    text = base64.b64encode(data.getvalue()).decode()
    return f'<img src="data:image/png;base64,{text}" width="{size[0]}" height="{size[1]}" alt="{escape(alt)}">'
