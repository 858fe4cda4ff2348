// Letters that press buttons of the cell in which a canvas lies, as long as nobody is writing there.
(() => {
  "use strict";
  if (window.ganbookCanvas.listen) return;

  const WRITES = "textarea, select, [contenteditable], input:not([type=range], [type=checkbox], [type=radio], [type=color])";

  let touched = null; // where the last press on the page was
  document.addEventListener("pointerdown", (event) => (touched = event.target), true);

  /** `keys`: letter -> the `elem_id` of a button, or "hide" for the canvas's own switch. */
  window.ganbookCanvas.listen = (root, keys) => {
    const button = (name) =>
      name === "hide" ? root.querySelector("[data-act=hide]") : document.querySelector(`button#${name}, #${name} button`);
    const tell = () => {
      for (const [key, name] of Object.entries(keys)) button(name)?.setAttribute("aria-keyshortcuts", key.toUpperCase());
    };
    tell();
    document.addEventListener("keydown", (event) => {
      const name = keys[event.key.toLowerCase()];
      if (!name || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.repeat) return;
      if (event.defaultPrevented || !root.isConnected || !root.offsetParent) return;
      if (event.target.closest?.(WRITES)) return;
      const cell = root.closest(".nb-cell") ?? root;
      const here = cell.contains(event.target) || (event.target === document.body && cell.contains(touched));
      if (!here) return;
      const found = button(name);
      if (!found || found.disabled) return;
      tell(); // the page may have made its buttons anew
      event.preventDefault();
      found.click();
    });
  };
})();
