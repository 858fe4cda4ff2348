// What Gradio's components leave out for those who see no picture or have no mouse: names, roles, keys.
(() => {
  "use strict";
  const SOON_MS = 150; // after the page has changed

  const label = (part) =>
    part.closest(".block")?.querySelector('[data-testid="block-label"]')?.textContent.trim() || "Picture";

  /** Where the line is, in percent of the picture's width. */
  const tell = (line) => {
    const at = Number(/translateX\(([-\d.]+)px\)/.exec(line.style.transform)?.[1]); // where it goes; it may be on its way
    const share = Math.round((100 * at) / (line.parentElement.clientWidth || 1)) || 0;
    line.setAttribute("aria-valuenow", share);
    line.setAttribute("aria-valuetext", `before: the left ${share} %; after: the rest`);
  };

  /** The line of a comparison of two pictures follows the arrow keys: each is a short pull at its handle. */
  const steer = (line, event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const box = line.getBoundingClientRect();
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    const width = line.closest(".block").getBoundingClientRect().width;
    const to = x + (step * width) / 20;
    const target = line.querySelector(".inner") ?? line;
    const at = (clientX) => ({
      clientX, clientY: y, pageX: clientX + scrollX, pageY: y + scrollY, bubbles: true, view: window, buttons: 1,
    });
    target.dispatchEvent(new MouseEvent("mousedown", at(x)));
    window.dispatchEvent(new MouseEvent("mousemove", at(to)));
    window.dispatchEvent(new MouseEvent("mouseup", at(to)));
  };

  const TASKS = [
    [".empty[aria-label]:not([role])", (part) => {
      part.setAttribute("role", "img");
      part.setAttribute("aria-label", `${label(part)}: not run yet`);
    }],
    [".image-container > button:not([aria-label])", (part) => part.setAttribute("aria-label", label(part))],
    [".nb-compare .outer:not([role=slider])", (part) => {
      part.setAttribute("role", "slider");
      part.setAttribute("tabindex", "0");
      part.setAttribute("aria-label", label(part));
      tell(part);
      new MutationObserver(() => tell(part)).observe(part, { attributes: true, attributeFilter: ["style"] });
      part.addEventListener("keydown", (event) => steer(part, event));
    }],
    [".nb-table:not([tabindex]), .katex-display:not([tabindex])", (part) => {
      if (part.scrollWidth > part.clientWidth + 1) part.setAttribute("tabindex", "0");
    }],
  ];

  let waiting = null;
  const tidy = () => {
    waiting = null;
    for (const [selector, mend] of TASKS) document.querySelectorAll(selector).forEach(mend);
  };
  const soon = () => (waiting ??= setTimeout(tidy, SOON_MS));
  new MutationObserver(soon).observe(document.documentElement, { childList: true, subtree: true });
  soon();
})();
