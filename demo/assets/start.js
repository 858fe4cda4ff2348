// The first page: its pictures open a tab with the very example that they show, and a photograph goes to the tab that is
// chosen. All of it is done as a hand would do it: by opening a tab and pressing what is there.
(() => {
  "use strict";
  const PATIENCE_MS = 20_000;
  const press = (selector) => async () => (await found(selector)).click();
  // Tab, cell, and what is pressed there, one after the other.
  const TOUR = {
    walk: ["StyleGAN2", "sg2-interpolation", [write("#sg2-interpolation-seeds", "17, 24, 52, 33"),
      press("#sg2-interpolation-run")]],
    draggan: ["DragGAN", "dg-drag", [press("#dg-drag-try-turn")]],
    attgan: ["AttGAN", "ag-edit", [face, glasses]],
    igan: ["iGAN", "ig-brush", [press("#ig-brush-try-red")]],
    "out-of-domain": ["Out of domain", "od-edit", [press("#od-edit-examples .gt-tile[data-key='1']")]],
  };
  const PHOTO = { "Start here": "st-five", DragGAN: "dg-photo", AttGAN: "ag-edit", iGAN: "ig-project",
    "Out of domain": "od-edit" };
  const PAPERS = { draggan: "DragGAN", attgan: "AttGAN", igan: "iGAN", out_of_domain: "Out of domain" };
  let photo = null;
  const rest = (ms) => new Promise((then) => setTimeout(then, ms));

  async function until(met) {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
      const got = met();
      if (got) return got;
      await rest(60);
    }
    throw new Error("the page did not come to it");
  }

  const found = (selector) => until(() => document.querySelector(selector));

  function write(selector, text) {
    return async () => {
      const box = await found(`${selector} textarea, ${selector} input`);
      box.value = text;
      box.dispatchEvent(new Event("input", { bubbles: true }));
      await rest(100);
    };
  }

  const glassesBox = () =>
    [...document.querySelectorAll("#ag-edit-ticks label")].find((one) => one.textContent.trim() === "eyeglasses")
      ?.querySelector("input");

  /** The first example's face. The tab shows it by itself when it is opened for the first time. */
  async function face() {
    const here = Boolean(document.querySelector("#ag-edit-made img"));
    await until(() => document.querySelector("#ag-edit-made img") && glassesBox());
    if (!here) return;
    (await found("#ag-edit-examples .gt-tile[data-key='0']")).click();
    await rest(600);
    await until(() => glassesBox()?.checked === false);
  }

  async function glasses() {
    await rest(200); // what came with the face is on the page
    if (!glassesBox()?.checked) glassesBox()?.click();
  }

  async function open(tab, cell) {
    await ganbookParts.open(tab);
    (await found(`#${cell}`)).scrollIntoView({ block: "start" });
  }

  async function take(tab) {
    const cell = PHOTO[tab];
    await open(tab, cell);
    document.querySelector(`#${cell}-upload button[aria-label="Clear"]`)?.click(); // another one lies there
    const input = await found(`#${cell}-upload input[type="file"]`);
    const files = new DataTransfer();
    files.items.add(photo);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** The photograph of the cell that does all five, handed on to the tab of one of them. */
  async function again(tab) {
    const image = document.querySelector("#st-five-upload img");
    if (!image) return;
    photo = new File([await (await fetch(image.src)).blob()], "photograph", { type: "image/*" });
    await take(tab);
  }

  function keep(file, zone) {
    if (!file) return;
    photo = file;
    const image = document.createElement("img");
    image.alt = "Your photograph";
    image.src = URL.createObjectURL(file);
    image.addEventListener("error", () => image.replaceWith(file.name));
    zone.querySelector("span").replaceChildren(image);
  }

  /** The photograph that ships, in the place of one's own. */
  async function sample(at) {
    const answer = await fetch(at);
    if (!answer.ok) throw new Error(`${at}: ${answer.status}`);
    const name = at.split("/").at(-1);
    keep(new File([await answer.blob()], name, { type: "image/jpeg" }), document.querySelector(".nb-own-photo label"));
  }

  const zoneOf = (event) => event.target.closest?.(".nb-own-photo label");

  document.addEventListener("change", (event) => {
    const zone = event.target.matches?.("input[type=file]") && zoneOf(event);
    if (zone) keep(event.target.files[0], zone);
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      const zone = zoneOf(event);
      if (!zone) return;
      event.preventDefault();
      zone.classList.toggle("nb-over", kind === "dragover");
      if (kind === "drop") keep(event.dataTransfer.files[0], zone);
    });
  }
  document.addEventListener("click", async (event) => {
    const { tour, take: tab } = event.target.closest?.("[data-tour], [data-take]")?.dataset ?? {};
    const ready = event.target.closest?.("[data-sample]")?.dataset.sample;
    if (ready) await sample(ready).catch(() => null);
    if (tab) {
      if (photo) await take(tab).catch(() => null);
      else document.querySelector(".nb-own-photo input").click();
    }
    const paper = event.target.closest?.("#st-five-papers .gt-tile")?.dataset.key;
    if (paper in PAPERS) await again(PAPERS[paper]).catch(() => null);
    else if (paper === "stylegan2") await open("StyleGAN2", "sg2-mixing").catch(() => null);
    if (!tour) return;
    const [name, cell, steps] = TOUR[tour];
    try {
      await open(name, cell);
      for (const step of steps) await step();
    } catch { /* a network that is missing has no examples; the tab is open and says so */ }
  });
})();
