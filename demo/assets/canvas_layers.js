// What one brush of the canvas has painted: one small number a cell, 0 for nothing, others for the colours of a palette.
// The first of the canvas's files: it makes the one name that all of them share, and what several of them need.
(() => {
  "use strict";
  if (window.ganbookCanvas) return;

  const CELLS = 512; // along the longer side of a painted area, whatever the picture: edges look smooth, values stay small
  const COLOURS = 64; // in a palette that the visitor fills

  const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
  const make = (name, attributes, parent) => {
    const made = document.createElementNS(parent.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  };

  /** `tool` is what paints: a palette of [red, green, blue, opacity]; where it is `free`, the visitor adds to it. */
  class Layer {
    constructor(size, tool, canvas) {
      [this.tool, this.canvas] = [tool, canvas];
      this.clear(size.map((v) => Math.max(1, Math.round((v * CELLS) / Math.max(...size)))));
    }

    clear(size = this.size) {
      this.size = size;
      this.cells = new Uint8Array(size[0] * size[1]);
      this.palette = this.tool.free ? [] : this.tool.palette;
    }

    get empty() {
      return !this.cells.some(Boolean);
    }

    /** Whether runs come in pairs of a length and a colour. */
    get pairs() {
      return this.tool.free || this.palette.length > 1;
    }

    // What can be undone keeps cells and palette as they are: both are replaced, never changed, by what comes later.

    get kept() {
      return { cells: this.cells, palette: this.palette };
    }

    set kept({ cells, palette }) {
      [this.cells, this.palette] = [cells, palette];
    }

    /** The number of a colour [red, green, blue]; where the palette is full, of the one most like it. */
    number(rgb) {
      const away = (c) => rgb.reduce((sum, v, i) => sum + (v - c[i]) ** 2, 0);
      const found = this.palette.findIndex((c) => away(c) === 0);
      if (found >= 0) return { index: found + 1, exact: true };
      if (this.palette.length >= COLOURS) this.tidy();
      if (this.palette.length < COLOURS) {
        this.palette = [...this.palette, [...rgb, this.tool.palette[0][3]]];
        return { index: this.palette.length, exact: true };
      }
      const distances = this.palette.map(away);
      return { index: distances.indexOf(Math.min(...distances)) + 1, exact: false };
    }

    /** Colours that no cell has any more leave the palette. */
    tidy() {
      const used = [...new Set(this.cells)].filter(Boolean).sort((a, b) => a - b);
      const now = new Uint8Array(256);
      used.forEach((old, i) => (now[old] = i + 1));
      const shown = this.shown === this.cells;
      this.cells = this.cells.map((cell) => now[cell]);
      if (shown) this.shown = this.cells;
      this.palette = used.map((old) => this.palette[old - 1]);
    }

    /** Sets every cell within `radius` of the line from a to b, all in cells, and shows them. */
    stroke(a, b, radius, index) {
      const [w, h] = this.size;
      const left = clamp(Math.floor(Math.min(a[0], b[0]) - radius), 0, w);
      const right = clamp(Math.ceil(Math.max(a[0], b[0]) + radius), 0, w);
      const top = clamp(Math.floor(Math.min(a[1], b[1]) - radius), 0, h);
      const bottom = clamp(Math.ceil(Math.max(a[1], b[1]) + radius), 0, h);
      const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
      const length = dx * dx + dy * dy;
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
          const [px, py] = [x + 0.5 - a[0], y + 0.5 - a[1]];
          const t = length ? clamp((px * dx + py * dy) / length, 0, 1) : 0;
          if ((px - t * dx) ** 2 + (py - t * dy) ** 2 <= radius * radius) this.cells[y * w + x] = index;
        }
      }
      if (right > left && bottom > top) this.paint(left, top, right - left, bottom - top);
    }

    /** Draws all of it, unless that is what stands there. */
    show() {
      if (this.shown === this.cells) return;
      this.shown = this.cells;
      [this.canvas.width, this.canvas.height] = this.size;
      this.paint(0, 0, ...this.size);
    }

    paint(x, y, w, h) {
      const data = new ImageData(w, h);
      for (let j = 0; j < h; j++) {
        for (let i = 0; i < w; i++) {
          const colour = this.palette[this.cells[(y + j) * this.size[0] + x + i] - 1];
          if (colour) data.data.set(colour, (j * w + i) * 4);
        }
      }
      this.canvas.getContext("2d").putImageData(data, x, y);
    }

    /** Lengths of runs, nothing and colour 1 in turns; pairs of length and colour where there may be more. */
    runs() {
      const out = [];
      let [last, count] = [0, 0];
      for (const cell of this.cells) {
        if (cell !== last) {
          this.pairs ? out.push(count, last) : out.push(count);
          [last, count] = [cell, 0];
        }
        count++;
      }
      this.pairs ? out.push(count, last) : out.push(count);
      return out;
    }

    value() {
      if (this.tool.free) this.tidy();
      const value = { size: this.size, runs: this.runs() };
      return this.tool.free ? { ...value, palette: this.palette.map((c) => c.slice(0, 3)) } : value;
    }

    read({ size, runs, palette }) {
      this.clear(size);
      if (this.tool.free) this.palette = (palette ?? []).map((c) => [...c, this.tool.palette[0][3]]);
      const pairs = this.pairs;
      let at = 0;
      for (let i = 0; i < runs.length; i += pairs ? 2 : 1) {
        this.cells.fill(pairs ? runs[i + 1] : i % 2, at, at + runs[i]);
        at += runs[i];
      }
    }
  }

  window.ganbookCanvas = { Layer, clamp, make };
})();
