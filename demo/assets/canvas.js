// The canvas that all drawing tabs share: numbered handles with their targets, areas painted with brushes, and patches
// of the picture that are moved. This file is what hands do; canvas_layers.js, canvas_patches.js and canvas_marks.js
// come before it.
//
// `value` is what the visitor has drawn, and goes to Python: {size, points: [{handle, target}], layers: {name: {size,
// runs, palette}}, patches: [{source, target, size}]}; palette only of brushes whose colours are free, patches only where
// there is a tool for them. `frame` is what Python shows, and comes from there many times a second: {picture, size, alt, points, running}.
// The two never mix, so that no picture on its way can undo what a hand has just drawn. Places are in pixels of the
// picture, (0, 0) in the middle of the first; no size on the screen ever leaves this file. demo/canvas.py describes both.
(() => {
  "use strict";
  const { Layer, Marks, Patches, clamp, near, tidy } = window.ganbookCanvas;
  if (window.ganbookCanvas.attach) return;

  const SLOP = { mouse: 4, pen: 6, touch: 9 }; // a press that moves less than this on the screen is a click
  const REACH = { mouse: 13, pen: 16, touch: 24 }; // how far from a point it can still be taken hold of
  const HOLD_MS = 600; // a finger that rests this long on a point removes it
  const TOUCH = matchMedia("(hover: none)").matches; // no mouse: its hints are left out
  const MEMORY = 60; // steps that can be undone
  const QUIET_MS = 4_000; // no frame for so long: the server is asked whether anything runs
  const SILENCE_MS = 90_000; // ... and for so long: where nobody can be asked, whatever ran is gone

  const within = (p, size) => p.map((v, i) => clamp(v, -0.5, size[i] - 0.5));
  const copy = (points) => points.map((p) => ({ handle: [...p.handle], target: p.target && [...p.target] }));

  // -- the canvas ------------------------------------------------------------------------------------------------------

  class Board extends Marks {
    constructor(element, trigger, props, watch) {
      super();
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
      this.widths = Object.fromEntries(this.config.tools.map((t) => [t.name, t.width])); // shares of the picture
      this.patches = new Patches(this);
      this.picks = false; // the next press takes a colour from the picture
      this.before = null; // what the picture was at the start; shown while that is held
      this.compares = false;

      this.buildMarks();
      this.buildBar();
      this.listen();
      document.addEventListener("ganbook:lost", () => this.release());
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

    get chosen() {
      return this.config.tools.find((t) => t.name === this.tool);
    }

    get kind() {
      return this.chosen?.kind;
    }

    get paint() {
      return this.kind === "paint" ? this.chosen : null;
    }

    get brush() {
      return this.widths[this.tool];
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
      this.patches.take(value?.patches);
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
      if ("before" in frame) this.keepBefore(frame.before);
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

    /** The picture that the frame's one began as, for whoever wants to compare. */
    keepBefore(address) {
      if (address === this.before?.src) return;
      this.before = null;
      if (address) {
        this.before = new Image();
        this.before.src = address;
      }
      this.compare(false);
    }

    /** Shows it, without marks, as long as that is held. */
    compare(held) {
      if (this.compares === held) return;
      this.compares = held && Boolean(this.before?.complete);
      this.root.classList.toggle("gc-before", this.compares);
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
        this.layers[tool.name] = new Layer(size, tool, canvas);
      }
      this.points = [];
      this.patches.take();
      [this.past, this.future] = [[], []];
    }

    lock() {
      if (!this.running) {
        this.drop();
        this.trails = [];
      }
      this.running = true;
      this.compare(false);
      clearTimeout(this.watchdog);
      this.since = Date.now();
      this.watchdog = setTimeout(() => this.doubt(), QUIET_MS);
      this.refresh();
    }

    /** No frame has come for a while: the canvas is free again unless something still runs. */
    async doubt() {
      const since = this.since;
      const answer = await window.ganbookVisit?.ask();
      if (!this.running || this.since !== since) return; // a frame has come meanwhile
      if (answer ? answer.busy : Date.now() - since < SILENCE_MS) {
        this.watchdog = setTimeout(() => this.doubt(), QUIET_MS);
      } else {
        this.release();
      }
    }

    release() {
      if (!this.running) return;
      this.unlock();
      this.draw();
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
        if (!layer.empty) layers[name] = layer.value();
      }
      const points = this.points.map((p) => ({ handle: tidy(p.handle), target: tidy(p.target) }));
      const value = { size: this.size, points, layers };
      return this.patches.tool ? { ...value, patches: this.patches.value() } : value;
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
      const layers = Object.fromEntries(Object.entries(this.layers).map(([name, layer]) => [name, layer.kept]));
      return { points: copy(this.points), layers, patches: this.patches.kept };
    }

    remember() {
      this.past.push(this.snapshot());
      if (this.past.length > MEMORY) this.past.shift();
      this.future = [];
    }

    restore(kept) {
      this.points = copy(kept.points);
      for (const [name, layer] of Object.entries(kept.layers)) this.layers[name].kept = layer;
      this.patches.kept = kept.patches;
    }

    step(from, to) {
      if (this.running || !this[from].length) return;
      this.drop();
      const held = this.root.contains(document.activeElement);
      this[to].push(this.snapshot());
      this.restore(this[from].pop());
      this.done();
      // A mark that had the focus may be gone now, and the next key should still come here.
      if (held && !this.root.contains(document.activeElement)) this.view.focus({ preventScroll: true });
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
      if (this.config.keys) window.ganbookCanvas.listen(this.root, this.config.keys);
      this.root.addEventListener("keydown", (e) => {
        if (e.key === "[" || e.key === "]") return this.resized(e.key === "[" ? 0.8 : 1.25);
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
      if (this.paint?.free && (this.picks || event.altKey)) {
        this.gesture = { ...gesture, does: "pick" };
        this.pick(place);
      } else if (this.kind === "patch") {
        if (!this.patches.down(place, gesture)) return this.advise();
      } else if (this.paint) {
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
      if (gesture.does === "pick") return this.pick(place);
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
      if (gesture.does === "patch") {
        this.patches.move(gesture, place);
      } else if (gesture.does === "move") {
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
      if (gesture.does === "pick") {
        [this.gesture, this.picks] = [null, false];
        return this.draw();
      }
      if (gesture.does === "patch") return this.patches.up(gesture);
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
      this.kind === "patch" ? this.patches.remove(number) : this.remove(number);
      navigator.vibrate?.(12);
    }

    menu(event) {
      if (!this.size) return;
      event.preventDefault();
      if (this.running || this.paint || event.pointerType === "touch") return; // a finger's long press is ours
      if (this.kind === "patch") return this.patches.menu(this.place(event));
      const hit = this.under(this.place(event), "mouse");
      if (hit) this.remove(hit.number);
    }

    remove(number) {
      this.drop();
      this.remember();
      this.points.splice(number, 1);
      this.done();
    }

    /** What this brush paints on; erasing wipes over all that is painted, whatever painted it. */
    get wet() {
      return this.erases ? Object.values(this.layers) : [this.layers[this.tool]];
    }

    /** Cells of its own for what is painted now: what is remembered keeps the old ones. */
    fresh() {
      if (this.erases) this.index = 0;
      else if (this.paint.free) {
        const { index, exact } = this.wet[0].number(this.rgb);
        this.index = index;
        if (!exact) this.notice = "There are 64 colours, which is the most; the one most like yours was taken.";
      } else this.index = 1;
      for (const layer of this.wet) {
        layer.show();
        layer.shown = layer.cells = layer.cells.slice();
      }
    }

    dab(a, b) {
      for (const layer of this.wet) {
        const cells = (p) => p.map((v, i) => ((v + 0.5) / this.size[i]) * layer.size[i]);
        const radius = Math.max(0.7, (this.brush * Math.min(...layer.size)) / 2);
        layer.stroke(cells(a), cells(b), radius, this.index);
      }
    }

    // -- colours

    get rgb() {
      const text = this.well?.value ?? "#000000";
      return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
    }

    /** The colour that the picture has at a place becomes the brush's. */
    pick(place) {
      const { width, height } = this.picture;
      const at = [width, height].map((v, i) => clamp(Math.floor(((place[i] + 0.5) / this.size[i]) * v), 0, v - 1));
      const [r, g, b] = this.picture.getContext("2d").getImageData(...at, 1, 1).data;
      this.well.value = `#${[r, g, b].map((v) => v.toString(16).padStart(2, "0")).join("")}`;
      this.hover(place);
    }

    hover(place) {
      this.over = place;
      const painting = place && this.paint && !this.picks && this.gesture?.does !== "pick" && !this.running;
      this.ring.setAttribute("visibility", painting ? "visible" : "hidden");
      this.patches.hover(place);
      const pending = !this.gesture && this.kind === "points" && this.pending;
      this.band.setAttribute("visibility", place && pending && !this.running ? "visible" : "hidden");
      if (!place) return;
      const [x, y] = this.screen(place);
      for (const [key, v] of [["cx", x], ["cy", y], ["r", (this.brush * Math.min(...this.size) * this.scale) / 2]]) {
        this.ring.setAttribute(key, v);
      }
      const [r, g, b] = this.erases ? [] : this.paint?.free ? this.rgb : (this.paint?.palette[0] ?? []);
      this.ring.style.fill = r === undefined ? "none" : `rgb(${r} ${g} ${b} / .35)`;
      this.ring.style.strokeDasharray = this.erases ? "3 3" : "none";
      if (pending) this.band.setAttribute("d", `M${this.screen(pending.handle)}L${x},${y}`);
      const held = this.kind === "points" && !this.pending && this.under(place, "mouse");
      this.view.dataset.over = held || (this.kind === "patch" && this.patches.under(place)) ? "point" : "";
    }

    // -- keys

    key(event) {
      if (this.running || !this.image || event.ctrlKey || event.metaKey) return;
      const mark = event.target.closest?.("[data-end]");
      const patch = event.target.closest?.("[data-patch]");
      const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (event.key === "Escape") {
        const pending = this.points.indexOf(this.pending);
        this.picks = false;
        this.gesture ? this.drop() : pending >= 0 ? this.remove(pending) : this.draw();
      } else if (patch) {
        if (!this.patches.key(Number(patch.dataset.patch), event, arrow)) return;
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
      if (this.kind === "points" && !this.pending && this.points.length >= this.config.most) return;
      const at = [...this.cursor];
      if (this.paint?.free && this.picks) {
        this.pick(at);
        this.picks = false;
        return this.draw();
      }
      if (this.kind === "patch") return this.patches.put(at);
      this.remember();
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
          [this.erases, this.picks] = [Boolean(erase), false];
          if (!erase || !this.paint) this.tool = tool;
          this.setBrush(this.brush);
          this.draw();
        } else if (act === "undo") this.step("past", "future");
        else if (act === "redo") this.step("future", "past");
        else if (act === "clear" && !this.running && this.something) {
          this.drop();
          this.remember();
          this.points = [];
          this.patches.take();
          for (const layer of Object.values(this.layers)) layer.clear();
          this.done();
        } else if (act === "hide") {
          this.root.classList.toggle("gc-bare");
          this.refresh();
        } else if (act === "pick") {
          this.picks = !this.picks;
          this.refresh();
        }
      });
      const before = bar.querySelector("[data-act=before]");
      if (before) {
        for (const type of ["pointerdown", "keydown"]) {
          before.addEventListener(type, (e) => {
            if (e.key && e.key !== " " && e.key !== "Enter") return;
            if (e.key) e.preventDefault(); // a key that rests would press it again and again
            this.compare(true);
          });
        }
        for (const type of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) {
          before.addEventListener(type, () => this.compare(false));
        }
        before.addEventListener("contextmenu", (e) => e.preventDefault()); // a finger that rests
      }
      this.well = bar.querySelector("input[type=color]");
      this.well?.addEventListener("input", () => { this.notice = ""; this.advise(); });
      this.slider = bar.querySelector("input[type=range]");
      this.slider?.addEventListener("input", () => this.setBrush(Number(this.slider.value) / 100));
      this.setBrush(this.brush);
    }

    get something() {
      return this.points.length || this.patches.count || Object.values(this.layers).some((layer) => !layer.empty);
    }

    setBrush(share) {
      this.widths[this.tool] = clamp(share, this.chosen.least, 0.5);
      if (this.slider) this.slider.value = Math.round(this.brush * 100);
      this.hover(this.over);
    }

    /** [ or ] was pressed: the patch that has the focus is resized, or else the brush. */
    resized(factor) {
      const patch = document.activeElement?.closest?.("[data-patch]");
      if (patch && this.root.contains(patch) && !this.running) this.patches.resize(Number(patch.dataset.patch), factor);
      else this.setBrush(this.brush * factor);
    }

    refresh() {
      const [paint, root] = [this.paint, this.root];
      root.classList.toggle("gc-running", this.running);
      root.classList.toggle("gc-painting", Boolean(paint));
      root.classList.toggle("gc-empty", !this.image);
      root.classList.toggle("gc-picking", Boolean(paint?.free) && this.picks);
      root.querySelector(".gc-size")?.toggleAttribute("hidden", this.kind === "points");
      root.querySelector(".gc-colour")?.toggleAttribute("hidden", !paint?.free || this.erases);
      for (const button of root.querySelectorAll(".gc-bar button")) {
        const { tool, erase, act } = button.dataset;
        if (tool) button.setAttribute("aria-pressed", erase ? this.erases : tool === this.tool && !this.erases);
        if (act === "hide") button.setAttribute("aria-pressed", root.classList.contains("gc-bare"));
        if (act === "pick") button.setAttribute("aria-pressed", this.picks);
        if (act === "before") button.setAttribute("aria-pressed", this.compares);
        button.disabled =
          act !== "hide" &&
          (this.running || !this.image ||
            (act === "undo" && !this.past.length) ||
            (act === "redo" && !this.future.length) ||
            (act === "clear" && !this.something) ||
            (act === "before" && !this.before));
      }
      this.advise();
    }

    say(text) {
      if (this.hint.textContent !== text) this.hint.textContent = text;
    }

    advise() {
      const [h, paint] = [TOUCH ? { ...this.config.hints, ...this.config.touch } : this.config.hints, this.paint];
      const hint = (tool) => (TOUCH || !tool.keys ? tool.hint : `${tool.hint} ${tool.keys}`);
      const number = this.points.indexOf(this.pending) + 1;
      if (!this.image) this.say(this.config.empty);
      else if (this.notice) this.say(this.notice);
      else if (this.running) this.say(h.running);
      else if (paint && this.picks) this.say(h.pick);
      else if (paint) this.say(this.erases ? h.erase : hint(paint));
      else if (this.kind === "patch") this.say(this.patches.count ? h.patches : hint(this.chosen));
      else if (number) this.say(h.target.replace("#", number));
      else this.say(this.points.length ? h.more : h.first);
    }
  }

  window.ganbookCanvas.attach = (element, trigger, props, watch) => new Board(element, trigger, props, watch);
})();
