// Whether the server still has what was made on this page. One that was started again has not, nor one that put a visit
// away which lay untouched for long: then the page says so and starts clean. What the browser keeps of a visit (the
// seeds, and the recipe of each cell's last result; demo/remembered.py) comes back, a recipe with a press.

window.ganbookVisit = (() => {
  const EVERY_MS = 15_000; // between two questions to a server that answers
  const SOON_MS = 2_000; // ... and that does not
  const LATE_MS = 10_000; // then the server is asked for more all the same, and says what is wrong
  const GONE = "ganbook-gone"; // in this window's storage: if the page starts clean now, its work is gone
  const LINK = "recipe="; // after the # of an address
  const LONG = 8_000; // letters of an address that any program takes
  const MOST = 300_000; // letters of a recipe that is kept; a browser keeps five million for all pages of a server
  const WORDS = {
    lost: "The page has lost its server, so nothing goes on here. It is asked again every two seconds.",
    gone: "The server no longer has what you made here: it was started again, the connection was lost, or you were"
      + " away for long. The page starts clean; your seeds are back.",
    recipes: "What you had can be made again:",
    copied: "The link is in your clipboard. Whoever opens it gets this result from its recipe, and nothing else of yours.",
    copy: "Copy this link. Whoever opens it gets this result from its recipe, and nothing else of yours.",
    long: "The link is in your clipboard. It is long because the recipe holds a picture; some programs cut such links,"
      + " so the recipe file is safer.",
    broken: "This link holds no recipe that this page knows; ask for the recipe file instead.",
  };
  const at = (name) => document.getElementById(name);
  let session = null;
  let timer = null;
  let lost = false;
  let leaving = false;
  let kept = null; // as it was when the work was lost
  let arrive;
  const arrived = new Promise((done) => { arrive = done; }); // the server knows this visit
  setTimeout(arrive, LATE_MS);

  // -- the server

  /** {known, busy}: the server has this visit, and something of it is under way. Null without an answer. */
  async function ask() {
    if (!session) return null;
    const answer = await answered();
    if (!answer !== lost) {
      lost = !answer;
      lost ? say("lost", WORDS.lost) : at("visit-lost")?.remove();
      markGone(lost); // Gradio, too, loads a page again that had lost its server, and may be the first to do so
      if (lost) document.dispatchEvent(new Event("ganbook:lost"));
    }
    if (answer && !answer.known) startClean();
    clearTimeout(timer);
    timer = setTimeout(ask, lost ? SOON_MS : EVERY_MS);
    return answer;
  }

  /** {known, busy, waiting}, or null without an answer. */
  async function answered() {
    if (!session) return null;
    const root = (window.gradio_config?.root ?? location.href).replace(/\/$/, "");
    try {
      const answer = await fetch(`${root}/ganbook/visit/${session}`, { cache: "no-store" });
      const found = answer.ok ? await answer.json() : null;
      return typeof found?.known === "boolean" ? found : null; // a proxy may speak for a server that is away
    } catch {
      return null;
    }
  }

  function startClean() {
    if (leaving) return;
    leaving = true;
    markGone(true);
    location.reload();
  }

  function markGone(gone) {
    try {
      gone ? sessionStorage.setItem(GONE, "1") : sessionStorage.removeItem(GONE);
    } catch { /* without storage the page starts clean without a word */ }
  }

  /** Gradio notices a lost server sooner when something is running. What it says then is all that tells. */
  window.addEventListener("pagehide", () => {
    const said = [...document.querySelectorAll('[data-testid="toast-body"]')].map((part) => part.textContent);
    if (session && said.some((words) => words.includes("Connection Lost"))) markGone(true);
  });

  /** The page has got its session: from here on it is asked for. */
  function attach(props, watch) {
    const met = () => {
      if (!props.value || props.value === session) return;
      session = props.value;
      arrive();
      kept ? greet() : follow();
      timer = setTimeout(ask, EVERY_MS);
    };
    watch("value", met);
    met();
  }

  for (const event of ["online", "offline", "focus"]) window.addEventListener(event, () => session && ask());

  // -- what the browser keeps

  /** What is kept after a result: `names` are of seeds and of cells, `values` what was kept, the seeds, the recipes. */
  async function remember(names, [before, ...values]) {
    // Of a tab that was not opened what came back stays.
    const seeds = Object.fromEntries(names.seeds.map((name, i) => [name, values[i] ?? kept?.seeds?.[name] ?? null]));
    const recipes = { ...before?.recipes };
    for (const [i, cell] of names.cells.entries()) {
      const file = values[names.seeds.length + i];
      if (!file?.url || recipes[cell]?.path === file.path) continue;
      const text = await fetch(file.url).then((answer) => (answer.ok ? answer.text() : null)).catch(() => null);
      if (text && text.length <= MOST) recipes[cell] = { path: file.path, text };
    }
    return { seeds, recipes };
  }

  /** What is to come back: nothing, unless the page starts clean because its work is gone. */
  function back(found) {
    let gone = false;
    try {
      gone = sessionStorage.getItem(GONE) !== null;
      sessionStorage.removeItem(GONE);
    } catch { /* no storage, nothing kept */ }
    kept = gone ? (found ?? {}) : null;
    return kept ?? {};
  }

  function greet() {
    const box = say("gone", WORDS.gone);
    const cells = JSON.parse(at("visit")?.querySelector("[data-cells]")?.dataset.cells ?? "{}");
    const found = Object.entries(kept.recipes ?? {}).filter(([cell, one]) => cells[cell] && one?.text);
    if (!found.length) return;
    box.append(" ", WORDS.recipes, " ");
    for (const [cell, { text }] of found) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `${cells[cell].tab}: ${cells[cell].title}`;
      button.addEventListener("click", () => again(cell, cells[cell].tab, text));
      box.append(button, " ");
    }
  }

  /** Loads a recipe as a hand would: its tab is opened, its file put into the cell's button. */
  async function again(cell, tab, text) {
    ganbookUnasked.leave(cell);
    await ganbookParts.open(tab);
    const button = at(`${cell}-recipe-load`);
    let input = button?.querySelector('input[type="file"]');
    for (let one = button; one && !input; one = one.previousElementSibling) if (one.type === "file") input = one;
    if (!input) return;
    const files = new DataTransfer();
    files.items.add(new File([text], `${cell}-recipe.json`, { type: "application/json" }));
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    button.closest(".nb-cell")?.scrollIntoView({ block: "start" });
  }

  // -- links

  /** A link that holds the recipe itself, for the clipboard. What follows the # of an address reaches no server. */
  async function link(cell, file) {
    const text = file?.url ? await fetch(file.url).then((answer) => (answer.ok ? answer.text() : null)) : null;
    if (!text) return;
    const packed = await through(new CompressionStream("deflate-raw"), new TextEncoder().encode(text));
    const letters = btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(""));
    const address = new URL(location.href);
    address.hash = `${LINK}${cell}.${letters.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
    const words = address.href.length > LONG ? WORDS.long : WORDS.copied;
    const box = say("link", words);
    const field = document.createElement("input");
    field.readOnly = true;
    field.value = address.href;
    field.setAttribute("aria-label", "The link");
    field.addEventListener("focus", () => field.select());
    box.append(field);
    box.classList.add("nb-notice-low");
    try {
      await navigator.clipboard.writeText(address.href);
    } catch {
      box.querySelector("span").textContent = WORDS.copy; // the browser lets no page write there
      field.focus();
    }
  }

  /** The page was opened by such a link: its recipe goes the way of one that a hand loads. */
  async function follow() {
    const [cell, letters] = location.hash.startsWith(`#${LINK}`) ? location.hash.slice(LINK.length + 1).split(".") : [];
    if (!letters) return;
    history.replaceState(null, "", location.pathname + location.search); // once is enough
    const cells = JSON.parse(at("visit")?.querySelector("[data-cells]")?.dataset.cells ?? "{}");
    if (!Object.hasOwn(cells, cell)) return say("link", WORDS.broken);
    try {
      const packed = Uint8Array.from(atob(letters.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
      const text = await through(new DecompressionStream("deflate-raw"), packed);
      await again(cell, cells[cell].tab, new TextDecoder().decode(text));
    } catch {
      say("link", WORDS.broken);
    }
  }

  async function through(stream, bytes) {
    const out = [];
    let size = 0;
    const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
    for (let one = await reader.read(); !one.done; one = await reader.read()) {
      if ((size += one.value.length) > MOST) throw new Error("too long for a recipe");
      out.push(one.value);
    }
    return new Uint8Array(await new Blob(out).arrayBuffer());
  }

  window.addEventListener("hashchange", () => session && follow());

  /** A notice above the tabs, which can be put away. */
  function say(name, words) {
    at(`visit-${name}`)?.remove();
    const box = document.createElement("div");
    box.id = `visit-${name}`;
    box.className = "nb-notice";
    box.setAttribute("role", "status");
    const close = document.createElement("button");
    close.type = "button";
    close.className = "nb-notice-close";
    close.setAttribute("aria-label", "Put this notice away");
    close.textContent = "×";
    close.addEventListener("click", () => box.remove());
    const said = document.createElement("span");
    said.textContent = words;
    box.append(close, said);
    (at("tabs") ?? document.body.firstElementChild).before(box);
    return box;
  }

  return { arrived, ask, answered, attach, remember, back, kept: () => kept ?? {}, link };
})();
