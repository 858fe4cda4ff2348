// A tab's part comes when the tab is opened (demo/parts.py). While Gradio's page lays it out, an answer that comes for
// one of its components is undone by what the component began with. So what fills a tab waits until it is laid out.

window.ganbookParts = (() => {
  const LOOK_MS = 20;
  const SOON_MS = 50; // in which what a tab does by itself has been sent
  const PATIENCE_MS = 20_000;
  const tabs = new Map(); // by the tab's id: {begun, begin}
  let under_way = 0;

  const pause = (ms) => new Promise((done) => setTimeout(done, ms));

  function of(tab) {
    if (!tabs.has(tab)) {
      const one = {};
      one.begun = new Promise((done) => { one.begin = done; });
      tabs.set(tab, one);
    }
    return tabs.get(tab);
  }

  /** Everything that is to be seen is in the document. Gradio brings it in as the scripts of its components come. */
  async function laidOut(ids) {
    const end = performance.now() + PATIENCE_MS;
    while (!ids.every((id) => document.getElementById(id)) && performance.now() < end) await pause(LOOK_MS);
    await pause(LOOK_MS);
  }

  async function counted(work) {
    under_way++;
    try {
      return await work();
    } finally {
      under_way--;
    }
  }

  /** The inputs of an event when `ids` are laid out; `js` is what the event does with them in the browser. */
  async function after(ids, js, values) {
    await counted(() => laidOut(ids));
    return js ? js(...values) : values;
  }

  /** What the tab does by itself when it has come is on its way. */
  const begun = (tab) => counted(() => pause(SOON_MS)).then(() => {
    of(tab).begin();
    ganbookUnasked.watch(tab);
  });

  /** A tab that was opened is there, and does what it does by itself. */
  function there(tab) {
    const late = pause(PATIENCE_MS).then(() => { throw new Error("the tab did not come"); });
    return counted(() => Promise.race([of(tab).begun, late]));
  }

  /** Opens a tab by the words on it, as a hand would. */
  function open(words) {
    const button = [...document.querySelectorAll('[role="tab"]')].find((one) => one.textContent.trim() === words);
    button?.click();
    return there(button?.getAttribute("aria-controls"));
  }

  return { after, begun, there, open, waiting: () => under_way };
})();
