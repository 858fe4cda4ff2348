// The canvas that all drawing tabs share: numbered handles with their targets, and areas painted with a brush.
//
// `value` is what the visitor has drawn, and goes to Python: {size, points: [{handle, target}], layers: {name: {size,
// runs}}}. `frame` is what Python shows, and comes from there many times a second: {picture, size, alt, points, running}.
// The two never mix, so that no picture on its way can undo what a hand has just drawn. Places are in pixels of the
// picture, (0, 0) in the middle of the first; no size on the screen ever leaves this file. demo/canvas.py describes both.
(() => {
  "use strict";
  if (window.ganbookCanvas) return;

  const SLOP = { mouse: 4, pen: 6, touch: 9 }; // a press that moves less than this on the screen is a click
  const REACH = { mouse: 13, pen: 16, touch: 24 }; // how far from a point it can still be taken hold of
  const DOCKED = 11; // a handle so near to its target lies inside its ring
  const HOLD_MS = 600; // a finger that rests this long on a point removes it
  const MEMORY = 60; // steps that can be undone
  const SILENCE_MS = 90_000; // no frame for so long: whatever ran is gone, and the canvas is free again
  const CELLS = 512; // along the longer side of a painted area, whatever the picture: edges look smooth, values stay small

  const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
  const near = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  const tidy = (p) => p && p.map((v) => Math.round(v * 1000) / 1000);
  const within = (p, size) => p.map((v, i) => clamp(v, -0.5, size[i] - 0.5));
  const copy = (points) => points.map((p) => ({ handle: [...p.handle], target: p.target && [...p.target] }));
  const make = (name, attributes, parent) => {
    const made = document.createElementNS(parent.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  };

  // -- a painted area: one small number a cell, 0 for nothing, others for the colours of its palette -----------------

  class Layer {
    constructor(size, palette, canvas) {
      [this.palette, this.canvas] = [palette, canvas];
      this.clear(size.map((v) => Math.max(1, Math.round((v * CELLS) / Math.max(...size)))));
    }

    clear(size = this.size) {
      this.size = size;
      this.cells = new Uint8Array(size[0] * size[1]);
    }

    get empty() {
      return !this.cells.some(Boolean);
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

    /** Lengths of runs, nothing and colour 1 in turns; pairs of length and colour where the palette has more. */
    runs() {
      const out = [];
      const pairs = this.palette.length > 1;
      let [last, count] = [0, 0];
      for (const cell of this.cells) {
        if (cell !== last) {
          pairs ? out.push(count, last) : out.push(count);
          [last, count] = [cell, 0];
        }
        count++;
      }
      pairs ? out.push(count, last) : out.push(count);
      return out;
    }

    read({ size, runs }) {
      this.clear(size);
      const pairs = this.palette.length > 1;
      let at = 0;
      for (let i = 0; i < runs.length; i += pairs ? 2 : 1) {
        this.cells.fill(pairs ? runs[i + 1] : i % 2, at, at + runs[i]);
        at += runs[i];
      }
    }
  }

  // -- the canvas ------------------------------------------------------------------------------------------------------

  class Board {
    constructor(element, trigger, props, watch) {
      this.root = element.querySelector(".gc");
      this.trigger = trigger;
      this.props = props;
      this.config = props.config;
      const part = (name) => this.root.querySelector(`.gc-${name}`);
      this.view = part("view");
      this.picture = part("picture");
      this.marks = part("marks");
      this.hint = part("hint");
      this.size = null;
      this.points = [];
      this.layers = {};
      this.past = [];
      this.future = [];
      this.running = false;
      this.gesture = null;
      this.cursor = null;
      this.arrived = 0; // frames that came, and the latest of them that is shown
      this.shown = 0;
      this.trails = [];
      this.tool = this.config.tools[0].name;
      this.last = this.config.tools.find((t) => t.kind === "paint")?.name; // what Erase erases
      this.brush = 0.12;

      this.buildMarks();
      this.buildBar();
      this.listen();
      new ResizeObserver(() => this.draw()).observe(this.view);
      // Another screen may have other pixels: the picture is drawn again for them.
      const again = () => {
        this.draw();
        matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", again, { once: true });
      };
      again();
      watch("value", () => this.load(this.props.value));
      watch("frame", () => this.take(this.props.frame));
      this.load(this.props.value);
      this.take(this.props.frame);
    }

    get paint() {
      const tool = this.config.tools.find((t) => t.name === this.tool);
      return tool?.kind === "paint" ? tool : null;
    }

    get pending() {
      return this.points.find((p) => !p.target);
    }

    // -- what comes from Python

    load(value) {
      if (JSON.stringify(value ?? null) === this.sent) return;
      this.drop();
      clearTimeout(this.watchdog);
      [this.running, this.live] = [false, null]; // these points are where they are, whatever ran
      this.resize(value?.size ?? this.size);
      this.points = copy(value?.points ?? []);
      for (const [name, layer] of Object.entries(this.layers)) {
        const given = value?.layers?.[name];
        given ? layer.read(given) : layer.clear();
      }
      [this.past, this.future, this.trails] = [[], [], []];
      this.draw();
    }

    async take(frame) {
      const number = ++this.arrived;
      if (!frame) return;
      if (frame.running) this.lock();
      let image = this.image;
      if (frame.picture !== this.address) {
        image = null;
        if (frame.picture) {
          image = new Image();
          image.src = frame.picture;
          try {
            await image.decode(); // the old picture stays until the new one can be drawn at once
          } catch {
            return;
          }
        }
      }
      if (number < this.shown) return; // a later one was quicker
      this.shown = number;
      [this.image, this.address] = [image, frame.picture];
      this.resize(frame.size);
      this.picture.setAttribute("aria-label", frame.alt || this.config.empty);
      if (frame.running) {
        this.lock();
        this.live = frame.points ?? null;
        this.live?.forEach((p, i) => (this.trails[i] ??= [p.handle]).push(p.handle));
      } else {
        this.unlock(frame.points);
      }
      this.draw();
    }

    resize(size) {
      if (!size || (this.size && size[0] === this.size[0] && size[1] === this.size[1])) return;
      this.size = [...size];
      this.root.style.setProperty("--gc-w", size[0]);
      this.root.style.setProperty("--gc-h", size[1]);
      for (const tool of this.config.tools) {
        if (tool.kind !== "paint") continue;
        const canvas = this.layers[tool.name]?.canvas ?? document.createElement("canvas");
        canvas.className = "gc-painted";
        this.marks.before(canvas);
        this.layers[tool.name] = new Layer(size, tool.palette, canvas);
      }
      this.points = [];
      [this.past, this.future] = [[], []];
    }

    lock() {
      if (!this.running) {
        this.drop();
        this.trails = [];
      }
      this.running = true;
      clearTimeout(this.watchdog);
      this.watchdog = setTimeout(() => { this.unlock(); this.draw(); }, SILENCE_MS);
      this.refresh();
    }

    /** Points have moved with the picture: from now on they are where they were tracked to. */
    unlock(points) {
      clearTimeout(this.watchdog);
      const tracked = points ?? this.live;
      const was = this.running;
      [this.running, this.live, this.trails] = [false, null, []];
      if (was && tracked && tracked.length === this.points.length) {
        tracked.forEach((p, i) => (this.points[i].handle = [...p.handle]));
        [this.past, this.future] = [[], []]; // the picture that they belonged to is gone
        this.send();
      }
      this.refresh();
    }

    // -- what goes to Python

    value() {
      const layers = {};
      for (const [name, layer] of Object.entries(this.layers)) {
        if (!layer.empty) layers[name] = { size: layer.size, runs: layer.runs() };
      }
      const points = this.points.map((p) => ({ handle: tidy(p.handle), target: tidy(p.target) }));
      return { size: this.size, points, layers };
    }

    send() {
      const value = this.value();
      this.sent = JSON.stringify(value);
      this.props.value = value;
    }

    /** A gesture is over: one event. */
    done() {
      this.send();
      this.trigger("input");
      this.draw();
    }

    // -- memory

    snapshot() {
      const layers = Object.fromEntries(Object.entries(this.layers).map(([name, layer]) => [name, layer.cells]));
      return { points: copy(this.points), layers };
    }

    remember() {
      this.past.push(this.snapshot());
      if (this.past.length > MEMORY) this.past.shift();
      this.future = [];
    }

    restore(kept) {
      this.points = copy(kept.points);
      for (const [name, cells] of Object.entries(kept.layers)) this.layers[name].cells = cells;
    }

    step(from, to) {
      if (this.running || !this[from].length) return;
      this.drop();
      this[to].push(this.snapshot());
      this.restore(this[from].pop());
      this.done();
    }

    /** Ends a gesture as if it had never begun. */
    drop() {
      if (!this.gesture) return;
      clearTimeout(this.gesture.hold);
      if (this.gesture.kept) {
        this.restore(this.gesture.kept);
        this.past.pop();
      }
      this.gesture = null;
      this.draw();
    }

    begin(gesture) {
      this.remember();
      gesture.kept = this.past[this.past.length - 1];
      this.gesture = gesture;
    }

    // -- places

    /** Where an event is, in pixels of the picture; never outside it. */
    place(event) {
      const box = this.view.getBoundingClientRect();
      const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      return within([x * this.size[0] - 0.5, y * this.size[1] - 0.5], this.size);
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

    /** The handle or target nearest to a place, within reach of what points at it. */
    under(place, kind) {
      let [best, distance] = [null, (REACH[kind] ?? REACH.mouse) / this.scale];
      this.points.forEach((point, number) => {
        // Where both lie together it is the target: a point that has arrived can be pulled on from there.
        for (const end of this.docked(point) ? ["target"] : ["handle", "target"]) {
          const away = point[end] ? near(point[end], place) : Infinity;
          if (away < distance) [best, distance] = [{ point, number, end }, away];
        }
      });
      return best;
    }

    // -- hands

    listen() {
      const view = this.view;
      view.addEventListener("pointerdown", (e) => this.down(e));
      view.addEventListener("pointermove", (e) => this.move(e));
      view.addEventListener("pointerup", (e) => this.up(e));
      view.addEventListener("pointercancel", () => this.drop());
      view.addEventListener("lostpointercapture", (e) => this.gesture?.id === e.pointerId && this.drop());
      view.addEventListener("pointerleave", () => this.hover(null));
      view.addEventListener("contextmenu", (e) => this.menu(e));
      view.addEventListener("keydown", (e) => this.key(e));
      view.addEventListener("keyup", (e) => e.key.startsWith("Arrow") && this.settle());
      view.addEventListener("focusout", () => { this.settle(); this.cursor = null; this.draw(); });
      view.addEventListener("dragstart", (e) => e.preventDefault());
      this.root.addEventListener("keydown", (e) => {
        if (e.key === "[" || e.key === "]") return this.setBrush(this.brush * (e.key === "[" ? 0.8 : 1.25));
        if (!(e.ctrlKey || e.metaKey) || !["z", "y"].includes(e.key.toLowerCase())) return;
        e.preventDefault();
        e.key.toLowerCase() === "y" || e.shiftKey ? this.step("future", "past") : this.step("past", "future");
      });
    }

    down(event) {
      if (this.running || !this.image || event.button !== 0 || !event.isPrimary || this.gesture) return;
      const [place, kind] = [this.place(event), event.pointerType];
      this.notice = "";
      const gesture = { id: event.pointerId, from: [event.clientX, event.clientY], kind, moved: false };
      this.cursor = null;
      if (this.paint) {
        this.begin({ ...gesture, does: "paint", last: place });
        this.fresh();
        this.dab(place, place);
      } else {
        const [pending, hit] = [this.pending, this.under(place, kind)];
        if (pending) {
          // The second click. A finger that rests on any point still removes it.
          this.begin({ ...gesture, does: "target", point: pending });
          pending.target = place;
        } else if (hit) {
          this.gesture = { ...gesture, does: "move", ...hit, off: hit.point[hit.end].map((v, i) => v - place[i]) };
        } else if (this.points.length >= this.config.most) {
          this.notice = `There are ${this.config.most} points, which is the most.`;
          return this.advise();
        } else {
          this.begin({ ...gesture, does: "new", point: { handle: place, target: null } });
          this.points.push(this.gesture.point);
        }
        if (hit && kind !== "mouse") this.gesture.hold = setTimeout(() => this.held(hit.number), HOLD_MS);
      }
      this.view.setPointerCapture(event.pointerId);
      this.draw();
    }

    move(event) {
      const gesture = this.gesture;
      if (gesture && gesture.id !== event.pointerId) return;
      if (!this.size) return;
      const place = this.place(event);
      if (!gesture) return this.hover(place);
      if (gesture.does === "paint") {
        // A quick hand is followed through the places between two events too.
        for (const e of event.getCoalescedEvents?.() ?? []) this.dab(gesture.last, (gesture.last = this.place(e)));
        this.dab(gesture.last, (gesture.last = place));
        return this.hover(place);
      }
      const far = near(gesture.from, [event.clientX, event.clientY]) > (SLOP[event.pointerType] ?? SLOP.mouse);
      if (!gesture.moved && !far) return;
      gesture.moved = true;
      clearTimeout(gesture.hold);
      if (gesture.does === "move") {
        if (!gesture.kept) this.begin(gesture);
        gesture.point[gesture.end] = within(place.map((v, i) => v + gesture.off[i]), this.size);
      } else {
        gesture.point.target = place;
      }
      this.draw();
    }

    up(event) {
      const gesture = this.gesture;
      if (!gesture || gesture.id !== event.pointerId) return;
      clearTimeout(gesture.hold);
      const { point } = gesture;
      if (gesture.does === "target" && near(point.handle, point.target) * this.scale < SLOP.mouse) {
        return this.drop(); // a second click on the handle itself says nothing yet
      }
      this.gesture = null;
      if (gesture.does === "move") this.focus(gesture.number, gesture.end);
      if (gesture.does === "move" && !gesture.moved) return;
      this.done();
      if (gesture.does !== "paint" && gesture.does !== "move") this.focus(this.points.indexOf(point), "handle");
      if (gesture.does === "paint") this.hover(event.pointerType === "touch" ? null : this.place(event));
    }

    held(number) {
      this.drop();
      this.remove(number);
      navigator.vibrate?.(12);
    }

    menu(event) {
      if (!this.size) return;
      event.preventDefault();
      if (this.running || this.paint || event.pointerType === "touch") return; // a finger's long press is ours
      const hit = this.under(this.place(event), "mouse");
      if (hit) this.remove(hit.number);
    }

    remove(number) {
      this.drop();
      this.remember();
      this.points.splice(number, 1);
      this.done();
    }

    /** Cells of its own for what is painted now: what is remembered keeps the old ones. */
    fresh() {
      const layer = this.layers[this.tool];
      layer.show();
      layer.shown = layer.cells = layer.cells.slice();
    }

    dab(a, b) {
      const layer = this.layers[this.tool];
      const cells = (p) => p.map((v, i) => ((v + 0.5) / this.size[i]) * layer.size[i]);
      const radius = Math.max(0.7, (this.brush * Math.min(...layer.size)) / 2);
      layer.stroke(cells(a), cells(b), radius, this.erases ? 0 : 1);
    }

    hover(place) {
      this.over = place;
      this.ring.setAttribute("visibility", place && this.paint && !this.running ? "visible" : "hidden");
      const pending = !this.gesture && !this.paint && this.pending;
      this.band.setAttribute("visibility", place && pending && !this.running ? "visible" : "hidden");
      if (!place) return;
      const [x, y] = this.screen(place);
      for (const [key, v] of [["cx", x], ["cy", y], ["r", (this.brush * Math.min(...this.size) * this.scale) / 2]]) {
        this.ring.setAttribute(key, v);
      }
      if (pending) this.band.setAttribute("d", `M${this.screen(pending.handle)}L${x},${y}`);
      this.view.dataset.over = !this.paint && !this.pending && this.under(place, "mouse") ? "point" : "";
    }

    // -- keys

    key(event) {
      if (this.running || !this.image || event.ctrlKey || event.metaKey) return;
      const mark = event.target.closest?.("[data-end]");
      const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (event.key === "Escape") {
        const pending = this.points.indexOf(this.pending);
        this.gesture ? this.drop() : pending >= 0 && this.remove(pending);
      } else if (mark && (event.key === "Delete" || event.key === "Backspace")) {
        const number = Number(mark.dataset.number);
        this.remove(number);
        this.points.length ? this.focus(Math.min(number, this.points.length - 1), "handle") : this.view.focus();
      } else if (arrow) {
        const step = event.shiftKey ? 10 : 1;
        mark ? this.nudge(mark, arrow.map((v) => v * step)) : this.steer(arrow.map((v) => v * step));
      } else if (!mark && (event.key === "Enter" || event.key === " ")) {
        this.act();
      } else {
        return;
      }
      event.preventDefault();
    }

    nudge(mark, by) {
      const point = this.points[Number(mark.dataset.number)];
      if (!this.nudged) this.remember();
      this.nudged = true;
      point[mark.dataset.end] = within(point[mark.dataset.end].map((v, i) => v + by[i]), this.size);
      this.draw();
    }

    /** Arrow keys were let go: their whole way is one gesture. */
    settle() {
      if (!this.nudged) return;
      this.nudged = false;
      this.done();
    }

    /** The cross that stands for the pointer where there is only a keyboard. */
    steer(by) {
      const middle = this.size.map((v) => (v - 1) / 2);
      this.cursor = this.cursor ? within(this.cursor.map((v, i) => v + by[i]), this.size) : middle;
      this.notice = this.cursor.map((v) => v.toFixed(1)).join(", ");
      this.draw();
    }

    act() {
      this.notice = "";
      if (!this.cursor) return this.steer([0, 0]);
      if (!this.paint && !this.pending && this.points.length >= this.config.most) return;
      this.remember();
      const at = [...this.cursor];
      if (this.paint) {
        this.fresh();
        this.dab(at, at);
      } else if (this.pending) {
        this.pending.target = at;
      } else {
        this.points.push({ handle: at, target: null });
      }
      this.done();
    }

    focus(number, end) {
      this.marks.querySelector(`[data-number="${number}"][data-end="${end}"]`)?.focus({ preventScroll: true });
    }

    // -- the bar

    buildBar() {
      const bar = this.root.querySelector(".gc-bar");
      this.erases = false;
      bar.addEventListener("click", (event) => {
        const { tool, erase, act } = event.target.closest("button")?.dataset ?? {};
        if (tool) {
          this.drop();
          [this.tool, this.erases] = erase ? [this.last, true] : [tool, false];
          if (this.paint) this.last = this.tool;
          this.draw();
        } else if (act === "undo") this.step("past", "future");
        else if (act === "redo") this.step("future", "past");
        else if (act === "clear" && !this.running && this.something) {
          this.drop();
          this.remember();
          this.points = [];
          for (const layer of Object.values(this.layers)) layer.clear();
          this.done();
        } else if (act === "hide") {
          this.root.classList.toggle("gc-bare");
          this.refresh();
        }
      });
      this.slider = bar.querySelector("input[type=range]");
      this.slider?.addEventListener("input", () => this.setBrush(Number(this.slider.value) / 100));
      this.setBrush(this.brush);
    }

    get something() {
      return this.points.length || Object.values(this.layers).some((layer) => !layer.empty);
    }

    setBrush(share) {
      this.brush = clamp(share, 0.02, 0.5);
      if (this.slider) this.slider.value = Math.round(this.brush * 100);
      this.hover(this.over);
    }

    refresh() {
      const [paint, root] = [this.paint, this.root];
      root.classList.toggle("gc-running", this.running);
      root.classList.toggle("gc-painting", Boolean(paint));
      root.classList.toggle("gc-empty", !this.image);
      root.querySelector(".gc-size")?.toggleAttribute("hidden", !paint);
      for (const button of root.querySelectorAll(".gc-bar button")) {
        const { tool, erase, act } = button.dataset;
        if (tool) button.setAttribute("aria-pressed", erase ? this.erases : tool === this.tool && !this.erases);
        if (act === "hide") button.setAttribute("aria-pressed", root.classList.contains("gc-bare"));
        button.disabled =
          act !== "hide" &&
          (this.running || !this.image ||
            (act === "undo" && !this.past.length) ||
            (act === "redo" && !this.future.length) ||
            (act === "clear" && !this.something));
      }
      this.advise();
    }

    say(text) {
      if (this.hint.textContent !== text) this.hint.textContent = text;
    }

    advise() {
      const [h, paint] = [this.config.hints, this.paint];
      const number = this.points.indexOf(this.pending) + 1;
      if (!this.image) this.say(this.config.empty);
      else if (this.notice) this.say(this.notice);
      else if (this.running) this.say(h.running);
      else if (paint) this.say(this.erases ? h.erase : paint.hint);
      else if (number) this.say(h.target.replace("#", number));
      else this.say(this.points.length ? h.more : h.first);
    }

    // -- drawing

    buildMarks() {
      const defs = make("defs", {}, this.marks);
      // Names of markers are the whole page's, and there are several canvases on it.
      this.arrow = `gc-arrow-${Math.random().toString(36).slice(2, 9)}`;
      const tip = { id: this.arrow, viewBox: "0 0 10 10", refX: 8.5, refY: 5, markerWidth: 11, markerHeight: 11 };
      const marker = make("marker", { ...tip, orient: "auto", markerUnits: "userSpaceOnUse" }, defs);
      make("path", { d: "M1 1 9 5 1 9Z", class: "gc-tip" }, marker);
      this.lines = make("g", {}, this.marks);
      this.band = make("path", { class: "gc-band", visibility: "hidden" }, this.marks);
      this.ends = make("g", {}, this.marks);
      this.ring = make("circle", { class: "gc-ring", visibility: "hidden" }, this.marks);
      this.cross = make("path", { class: "gc-cross", visibility: "hidden" }, this.marks);
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
      this.refresh();
      this.hover(this.over);
    }

    drawPicture() {
      const { picture, image, view } = this;
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
      group.setAttribute("tabindex", place && !this.running && !this.paint ? 0 : -1);
      if (!place) return;
      group.setAttribute("transform", `translate(${screen})`);
      [group.dataset.x, group.dataset.y] = tidy(place);
      const words = `${name}, at ${place.map((v) => v.toFixed(1)).join(", ")}. Arrow keys move it, Delete removes it.`;
      group.setAttribute("aria-label", words);
    }
  }

  window.ganbookCanvas = {
    attach: (element, trigger, props, watch) => new Board(element, trigger, props, watch),
  };
})();
