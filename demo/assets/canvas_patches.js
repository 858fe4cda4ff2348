// Patches: squares of the picture that are cut out and laid where they should go (the warp brush of Zhu et al. 2016).
//
// A patch is {source, target, size}: the middles of both squares and their side, in pixels of the picture, so that the
// squares' edges lie between pixels. `cut` is what it shows, taken from the picture when the square was drawn.
(() => {
  "use strict";
  const { clamp, make, near, tidy } = window.ganbookCanvas;
  if (window.ganbookCanvas.Patches) return;

  const REACH = { mouse: 0, pen: 4, touch: 10 }; // beyond its edge a patch can still be taken hold of
  const LEAST = 3; // pixels of a side
  const HOLD_MS = 600; // a finger that rests this long on a patch removes it

  class Patches {
    constructor(board) {
      this.board = board;
      this.tool = board.config.tools.find((t) => t.kind === "patch");
      this.list = [];
    }

    get count() {
      return this.list.length;
    }

    take(value) {
      this.list = (value ?? []).map(({ source, target, size }) => ({ source, target, size }));
    }

    value() {
      return this.list.map(({ source, target, size }) => ({ source: tidy(source), target: tidy(target), size }));
    }

    // What can be undone holds on to the list: patches are replaced, never changed.
    get kept() {
      return this.list;
    }

    set kept(list) {
      this.list = list;
    }

    change(number, by) {
      this.list = this.list.map((patch, i) => (i === number ? { ...patch, ...by } : patch));
    }

    // -- places

    get side() {
      const { board } = this;
      return Math.max(LEAST, Math.round((board.widths[this.tool.name] ?? 0) * Math.min(...board.size)));
    }

    /** The middle of a square that lies within the picture, with its edges between pixels. */
    fit(place, side) {
      const half = (side - 1) / 2;
      return place.map((v, i) => Math.round(clamp(v - half, 0, Math.max(0, this.board.size[i] - side))) + half);
    }

    /** The uppermost patch at a place; of one that has moved, where it lies now. */
    under(place, kind = "mouse") {
      const reach = (REACH[kind] ?? 0) / this.board.scale;
      for (let number = this.count - 1; number >= 0; number--) {
        const { target, size } = this.list[number];
        if (Math.max(...place.map((v, i) => Math.abs(v - target[i]))) <= size / 2 + reach) return { number };
      }
      return null;
    }

    get full() {
      if (this.count < this.tool.most) return false;
      this.board.notice = `There are ${this.tool.most} patches, which is the most.`;
      return true;
    }

    // -- hands

    /** Begins a gesture; false if there is none to begin. */
    down(place, gesture) {
      const { board } = this;
      const hit = this.under(place, gesture.kind);
      if (!hit && this.full) return false;
      if (hit) {
        const { target } = this.list[hit.number];
        board.gesture = { ...gesture, does: "patch", ...hit, off: target.map((v, i) => v - place[i]) };
        if (gesture.kind !== "mouse") board.gesture.hold = setTimeout(() => board.held(hit.number), HOLD_MS);
        return true;
      }
      const source = this.fit(place, this.side);
      board.begin({ ...gesture, does: "patch", number: this.count, fresh: true, off: source.map((v, i) => v - place[i]) });
      this.list = [...this.list, this.cut({ source, target: source, size: this.side })];
      return true;
    }

    move(gesture, place) {
      if (!gesture.kept) this.board.begin(gesture);
      const { size } = this.list[gesture.number];
      this.change(gesture.number, { target: this.fit(place.map((v, i) => v + gesture.off[i]), size) });
    }

    up(gesture) {
      const { board } = this;
      const { source, target } = this.list[gesture.number];
      if (gesture.fresh && near(source, target) === 0) {
        board.drop(); // a square that was drawn and not moved asks for nothing
        board.notice = board.config.hints.still;
        return board.advise();
      }
      board.gesture = null;
      if (gesture.kept) board.done();
      this.focus(gesture.number);
    }

    menu(place) {
      const hit = this.under(place);
      if (hit) this.remove(hit.number);
    }

    remove(number) {
      const { board } = this;
      board.drop();
      board.remember();
      this.list = this.list.filter((_, i) => i !== number);
      board.done();
    }

    // -- keys

    /** A patch where the cross is; arrow keys then move it. */
    put(place) {
      const { board } = this;
      if (this.full) return board.advise();
      board.remember();
      const source = this.fit(place, this.side);
      this.list = [...this.list, this.cut({ source, target: source, size: this.side })];
      board.draw();
      this.focus(this.count - 1);
      board.nudged = true; // told when the arrow keys that move it are let go
    }

    /** Whether a key meant something to the patch that has the focus. */
    key(number, event, arrow) {
      const { board } = this;
      if (event.key === "Delete" || event.key === "Backspace") {
        board.nudged = false;
        this.remove(number);
        this.count ? this.focus(Math.min(number, this.count - 1)) : board.view.focus();
      } else if (arrow) {
        if (!board.nudged) board.remember();
        board.nudged = true;
        const { target, size } = this.list[number];
        const step = event.shiftKey ? 10 : 1;
        this.change(number, { target: this.fit(target.map((v, i) => v + arrow[i] * step), size) });
        board.draw();
      } else {
        return false;
      }
      return true;
    }

    resize(number, factor) {
      const { board } = this;
      const { source, target, size } = this.list[number];
      const most = Math.floor(Math.min(...board.size) / 2);
      const side = clamp(factor > 1 ? Math.ceil(size * factor) : Math.floor(size * factor), LEAST, most);
      if (side === size) return;
      board.remember();
      const now = { source: this.fit(source, side), target: this.fit(target, side), size: side };
      this.list = this.list.map((patch, i) => (i === number ? this.cut(now) : patch));
      board.done();
      this.focus(number);
    }

    focus(number) {
      this.board.marks.querySelector(`[data-patch="${number}"]`)?.focus({ preventScroll: true });
    }

    // -- what is seen

    /** Gives a patch what it shows: its square of the picture as that is now. */
    cut(patch) {
      const { image, size } = this.board;
      if (!image) return patch;
      const [fx, fy] = [image.naturalWidth / size[0], image.naturalHeight / size[1]];
      const piece = document.createElement("canvas");
      [piece.width, piece.height] = [fx, fy].map((f) => Math.max(1, Math.round(patch.size * f)));
      const from = patch.source.map((v) => v + 0.5 - patch.size / 2);
      const area = [from[0] * fx, from[1] * fy, patch.size * fx, patch.size * fy];
      piece.getContext("2d").drawImage(image, ...area, 0, 0, piece.width, piece.height);
      return { ...patch, cut: piece.toDataURL() };
    }

    draw() {
      const { board } = this;
      if (!this.tool) return;
      if (this.list.some((patch) => !patch.cut) && board.image) {
        this.list = this.list.map((patch) => (patch.cut ? patch : this.cut(patch)));
      }
      const group = board.cuts;
      while (group.childElementCount > this.count) group.lastChild.remove();
      this.list.forEach((patch, number) => this.show(group.children[number] ?? this.build(group, number), patch, number));
      group.classList.toggle("gc-idle", board.kind !== "patch");
    }

    build(parent, number) {
      const group = make("g", { "data-patch": number, tabindex: 0, role: "button" }, parent);
      make("rect", { class: "gc-from gc-under" }, group);
      make("rect", { class: "gc-from" }, group);
      make("image", { preserveAspectRatio: "none" }, group);
      make("rect", { class: "gc-to gc-under" }, group);
      make("rect", { class: "gc-to" }, group);
      make("path", { class: "gc-casing" }, group);
      make("path", { class: "gc-arrow", "marker-end": `url(#${this.board.arrow})` }, group);
      return group;
    }

    show(group, { source, target, size, cut }, number) {
      const { board } = this;
      const [a, b, side] = [board.screen(source), board.screen(target), size * board.scale];
      const box = (middle) => ({ x: middle[0] - side / 2, y: middle[1] - side / 2, width: side, height: side });
      const [under, from, picture, edge, to, casing, arrow] = group.children;
      const set = (part, values) => Object.entries(values).forEach(([key, v]) => part.setAttribute(key, v));
      for (const part of [under, from]) set(part, box(a));
      for (const part of [picture, edge, to]) set(part, box(b));
      if (cut && picture.getAttribute("href") !== cut) picture.setAttribute("href", cut);
      const path = near(a, b) > 14 ? `M${a}L${b}` : "";
      for (const part of [casing, arrow]) part.setAttribute("d", path);
      group.setAttribute("tabindex", board.kind === "patch" && !board.running ? 0 : -1);
      [group.dataset.source, group.dataset.target, group.dataset.size] = [tidy(source), tidy(target), size];
      const way = `from ${source.map((v) => v.toFixed(1)).join(", ")} to ${target.map((v) => v.toFixed(1)).join(", ")}`;
      const keys = "Arrow keys move it, [ and ] resize it, Delete removes it.";
      group.setAttribute("aria-label", `Patch ${number + 1} of ${size} pixels, ${way}. ${keys}`);
    }

    /** The square that a press would cut. */
    hover(place) {
      const { board } = this;
      const shown = place && board.kind === "patch" && !board.running && !board.gesture && !this.under(place);
      board.square.setAttribute("visibility", shown ? "visible" : "hidden");
      if (!shown) return;
      const [x, y] = board.screen(this.fit(place, this.side));
      const side = this.side * board.scale;
      const box = { x: x - side / 2, y: y - side / 2, width: side, height: side };
      for (const [key, v] of Object.entries(box)) board.square.setAttribute(key, v);
    }
  }

  window.ganbookCanvas.Patches = Patches;
})();
