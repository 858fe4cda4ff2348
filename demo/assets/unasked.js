// A cell whose result costs little shows it when a visitor has read as far as it: a notebook is read, and an empty one
// says little. It presses a button that nobody sees (demo/lifecycle.py, shows_itself), once the cell has been in sight
// for a moment, where the network ships and nothing was made in the cell yet.

window.ganbookUnasked = (() => {
  const DWELL_MS = 400; // who scrolls past does not read
  const AGAIN_MS = 2000; // between two tries: what a cell builds on may be on its way
  const TRIES = 5;
  const SHARE = 0.25; // of what shows the result, in the window
  const cells = new Map(); // by name: {parts: those in sight, timer}
  const left = new Set(); // names of cells that something else fills
  const observer = new IntersectionObserver(seen, { threshold: SHARE });

  function seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const name = target.closest(".nb-cell").id;
      if (!cells.has(name)) cells.set(name, { parts: new Set(), timer: null });
      const cell = cells.get(name);
      const before = cell.parts.size;
      isIntersecting ? cell.parts.add(target) : cell.parts.delete(target);
      if (cell.parts.size && before) continue;
      clearTimeout(cell.timer);
      cell.timer = cell.parts.size ? setTimeout(() => look(name, TRIES), DWELL_MS) : null;
    }
  }

  function look(name, tries) {
    const state = left.has(name) ? "made" : ganbookCells.state(name);
    if (state === "made") return shows(document.getElementById(name)).forEach((part) => observer.unobserve(part));
    const about = document.getElementById(`${name.split("-")[0]}-about`);
    if (state === "empty" && about?.querySelector("[data-ships]")) document.getElementById(`${name}-unasked`)?.click();
    if (tries > 1) cells.get(name).timer = setTimeout(() => look(name, tries - 1), AGAIN_MS);
    return undefined;
  }

  /** What shows a cell's results (demo/lifecycle.py, makes). The column around it has no place of its own on a phone. */
  const shows = (cell) => [...cell.querySelectorAll('[class*="nb-of-"]')];

  /** The cells of a tab that is laid out. */
  function watch(tab) {
    for (const cell of document.getElementById(tab)?.querySelectorAll(".nb-shows-itself") ?? []) {
      shows(cell).forEach((part) => observer.observe(part));
    }
  }

  /** A recipe is on its way to this cell. */
  const leave = (name) => left.add(name);

  return { watch, leave };
})();
