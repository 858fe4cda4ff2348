// The lifecycle of a cell, as far as the browser sees it (demo/lifecycle.py): that it waits for its turn, and that its
// result was made with other settings than those that stand there now. Nothing of it asks the server to compute.

window.ganbookCells = (() => {
  const SOON_MS = 500; // what is answered sooner was not waited for
  const EVERY_MS = 1000; // between two questions whether it still waits
  const SET_MS = 1500; // in which controls take the values that came with a result
  const OTHER = "Made with other settings";
  const cells = new Map();
  let hand = -Infinity; // when a visitor last did something
  for (const kind of ["pointerdown", "keydown", "input", "drop", "paste"]) {
    document.addEventListener(kind, (event) => { if (event.isTrusted) hand = performance.now(); }, true);
  }

  function of(name) {
    if (!cells.has(name)) cells.set(name, { now: {}, asked: {}, made: {}, run: null, at: 0, timer: null });
    return cells.get(name);
  }

  /** What two values are compared by: files by their place, the line of another result by the run that made it. */
  function key(value) {
    if (value === undefined || value === null || value === "") return null;
    if (typeof value === "string") return value.match(/data-key="([^"]*)"/)?.[1] ?? run(value) ?? value;
    return value.path ?? JSON.stringify(value);
  }

  const run = (status) => status?.match?.(/data-run="([^"]*)"/)?.[1] ?? null;
  const same = (a, b) => String(a ?? null) === String(b ?? null); // a part that was not heard of yet is empty

  /** An event begins: with these values its result will have been made. `names` are of the cell's watched parts. */
  function asked(name, names, result, values) {
    const cell = of(name);
    // What the event is not given is as it was for the last result; other results are used as they are now.
    const used = Object.entries(cell.now).filter(([part]) => part.endsWith("-status"));
    const sent = { ...cell.now, ...cell.made[result], ...Object.fromEntries(used) };
    names.forEach((part, i) => { if (part) sent[part] = key(values[i]); });
    cell.asked[result] = sent;
    clearTimeout(cell.timer);
    cell.timer = setTimeout(() => wait(name), SOON_MS);
    return values;
  }

  /** Says that the event waits, as long as the server says so. */
  async function wait(name) {
    const cell = of(name);
    const timer = cell.timer;
    const answer = await window.ganbookVisit?.answered();
    if (cell.timer !== timer) return; // answered meanwhile, or asked again
    show(name, Boolean(answer?.waiting));
    cell.timer = answer?.busy ? setTimeout(() => wait(name), EVERY_MS) : null;
  }

  function over(name) {
    const cell = of(name);
    clearTimeout(cell.timer);
    cell.timer = null;
    show(name, false);
  }

  function show(name, waits) {
    const frame = document.getElementById(name);
    const line = frame?.querySelector(".nb-waiting");
    if (!waits) return line?.remove();
    if (line || !frame) return undefined;
    const made = document.createElement("p");
    made.className = "nb-waiting";
    made.setAttribute("role", "status");
    made.textContent = "Waiting for its turn …";
    return document.getElementById(`${name}-news`)?.before(made);
  }

  /** A part of the cell has changed. What is out of date is marked in the document: a component's value that an event
   *  writes back could come after a newer one. */
  function seen({ cell: name, parts, made }, [news, status, ...values]) {
    const cell = of(name);
    cell.now = Object.fromEntries(parts.map((part, i) => [part, key(values[i])]));
    if (cell.timer !== null && (news !== cell.news || run(status) !== cell.run)) over(name);
    cell.news = news;
    const found = status?.match?.(/data-run="([^"]*)" data-of="(\d+)"( data-set)?/);
    if (!found) {
      cell.run = null;
      if (!status) cell.made = {};
      return mark(name);
    }
    const [, id, last, set] = found; // set: controls came with the result, some of them perhaps a moment after it
    if (id !== cell.run) {
      [cell.run, cell.at] = [id, performance.now()];
      // A part that was not heard of before is as it was when the event began.
      cell.made[last] = set ? cell.now : { ...cell.now, ...cell.asked[last] };
    } else if (set && performance.now() - cell.at < SET_MS && hand < cell.at) {
      cell.made[last] = cell.now;
    }
    const old = made.map((one, i) => i in cell.made && !one.parts.every((p) => same(cell.made[i][p], cell.now[p])));
    const which = old.findIndex(Boolean);
    if (which < 0) return mark(name);
    const words = old[last] ? OTHER : `${made[which].label}: ${OTHER[0].toLowerCase()}${OTHER.slice(1)}`;
    return mark(name, words, old);
  }

  /** A badge before the line of the result, with a class for each result that is out of date; none without words. */
  function mark(name, words = "", old = []) {
    const line = document.getElementById(`${name}-status`);
    let badge = line?.querySelector(":scope > .nb-badge");
    if (!words || !line) return badge?.remove();
    if (!badge) {
      badge = document.createElement("b");
      badge.setAttribute("role", "status");
      line.prepend(badge);
    }
    badge.className = ["nb-badge", ...old.flatMap((is, i) => (is ? [`nb-stale-${i}`] : []))].join(" ");
    if (badge.textContent !== words) badge.textContent = words;
    return undefined;
  }

  /** "empty", "busy", or "made" for a cell that has a result or something to say. */
  function state(name) {
    const cell = of(name);
    if (cell.run !== null || cell.news) return "made";
    return cell.timer === null ? "empty" : "busy";
  }

  return { asked, seen, state };
})();
