// How a canvas looks: the picture, and over it points, arrows and what follows the pointer. What happens is in canvas.js.
(() => {
  "use strict";
  const { make } = window.ganbookCanvas;
  if (window.ganbookCanvas.Marks) return;

  const DOCKED = 11; // a handle so near to its target lies inside its ring
  const near = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  const tidy = (p) => p && p.map((v) => Math.round(v * 1000) / 1000);

  /** The half of a board that draws: it reads what the other half, which extends it, knows. */
  class Marks {
    buildMarks() {
      const defs = make("defs", {}, this.marks);
      // Names of markers are the whole page's, and there are several canvases on it.
      this.arrow = `gc-arrow-${Math.random().toString(36).slice(2, 9)}`;
      const tip = { id: this.arrow, viewBox: "0 0 10 10", refX: 8.5, refY: 5, markerWidth: 11, markerHeight: 11 };
      const marker = make("marker", { ...tip, orient: "auto", markerUnits: "userSpaceOnUse" }, defs);
      make("path", { d: "M1 1 9 5 1 9Z", class: "gc-tip" }, marker);
      this.cuts = make("g", {}, this.marks); // what patches show, see canvas_patches.js
      this.lines = make("g", {}, this.marks);
      this.band = make("path", { class: "gc-band", visibility: "hidden" }, this.marks);
      this.ends = make("g", {}, this.marks);
      this.ring = make("circle", { class: "gc-ring", visibility: "hidden" }, this.marks);
      this.square = make("rect", { class: "gc-ring", visibility: "hidden" }, this.marks);
      this.cross = make("path", { class: "gc-cross", visibility: "hidden" }, this.marks);
    }

    /** A place on the screen, from the view's corner. */
    screen(place) {
      return place.map((v) => (v + 0.5) * this.scale);
    }

    get scale() {
      return this.size ? this.view.clientWidth / this.size[0] : 1; // of the screen's pixels to the picture's
    }

    docked(point) {
      return Boolean(point.target) && near(point.handle, point.target) * this.scale < DOCKED;
    }

    draw() {
      if (!this.root.isConnected || this.drawing) return; // a mark that goes loses the focus, which is an event
      this.drawing = true;
      this.drawAll();
      this.drawing = false;
    }

    drawAll() {
      this.drawPicture();
      for (const layer of Object.values(this.layers)) layer.show();
      this.drawPoints();
      this.patches.draw();
      this.refresh();
      this.hover(this.over);
    }

    drawPicture() {
      const { picture, view } = this;
      const image = this.compares ? this.before : this.image;
      const [w, h] = [view.clientWidth, view.clientHeight].map((v) => Math.max(1, Math.round(v * devicePixelRatio)));
      const same = picture.width === w && picture.height === h;
      if (same && this.drawn === image) return;
      if (!same) [picture.width, picture.height] = [w, h];
      this.drawn = image;
      const context = picture.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.clearRect(0, 0, w, h);
      if (image) context.drawImage(image, 0, 0, w, h);
    }

    drawPoints() {
      const points = this.live ?? this.points;
      const at = (p) => this.screen(p);
      while (this.lines.childElementCount > points.length) this.lines.lastChild.remove();
      while (this.ends.childElementCount > 2 * points.length) this.ends.lastChild.remove();
      points.forEach((point, i) => {
        const line = this.lines.children[i] ?? this.newLine();
        const [handle, target] = [at(point.handle), point.target && at(point.target)];
        const [trail, casing, arrow] = line.children;
        const long = target && near(handle, target) > 26;
        let path = "";
        if (long) {
          const away = near(handle, target);
          const cut = (d, from, to) => from.map((v, k) => v + ((to[k] - v) * d) / away);
          path = `M${cut(10, handle, target)}L${cut(13, target, handle)}`;
        }
        casing.setAttribute("d", path);
        arrow.setAttribute("d", path);
        const way = this.trails[i];
        trail.setAttribute("d", way && way.length > 1 ? `M${way.map(at).join("L")}` : "");
        const [h, t] = [2 * i, 2 * i + 1].map((k) => this.ends.children[k] ?? this.newEnd(k));
        this.put(h, point.handle, handle, `Point ${i + 1}`);
        this.put(t, point.target, target, `Target of point ${i + 1}`);
        t.classList.toggle("gc-docked", this.docked(point));
      });
      this.cross.setAttribute("visibility", this.cursor && !this.running ? "visible" : "hidden");
      if (this.cursor) {
        const [x, y] = at(this.cursor);
        this.cross.setAttribute("d", `M${x - 12} ${y}h24M${x} ${y - 12}v24`);
      }
    }

    newLine() {
      const group = make("g", {}, this.lines);
      make("path", { class: "gc-trail" }, group);
      make("path", { class: "gc-casing" }, group);
      make("path", { class: "gc-arrow", "marker-end": `url(#${this.arrow})` }, group);
      return group;
    }

    newEnd(k) {
      const [number, end] = [k >> 1, k % 2 ? "target" : "handle"];
      const group = make("g", { "data-number": number, "data-end": end, tabindex: 0, role: "button" }, this.ends);
      if (end === "target") {
        make("circle", { class: "gc-casing", r: 11 }, group);
        make("circle", { class: "gc-target", r: 11 }, group);
        make("circle", { class: "gc-dot", r: 2.5 }, group);
      } else {
        make("circle", { class: "gc-handle", r: 9 }, group);
        make("text", { y: 0.5 }, group).textContent = number + 1;
      }
      return group;
    }

    put(group, place, screen, name) {
      group.toggleAttribute("hidden", !place);
      group.setAttribute("visibility", place ? "visible" : "hidden");
      group.setAttribute("tabindex", place && !this.running && this.kind === "points" ? 0 : -1);
      if (!place) return;
      group.setAttribute("transform", `translate(${screen})`);
      [group.dataset.x, group.dataset.y] = tidy(place);
      const words = `${name}, at ${place.map((v) => v.toFixed(1)).join(", ")}. Arrow keys move it, Delete removes it.`;
      group.setAttribute("aria-label", words);
    }
  }

  Object.assign(window.ganbookCanvas, { Marks, near, tidy });
})();
