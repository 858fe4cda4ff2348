// A message over the page is put away when its cell says the same in sight of the visitor: once is enough, and nothing
// lies over the buttons then. What is said nowhere else, or out of sight, stays.
(() => {
  "use strict";
  const inSight = (part) => {
    const box = part.getBoundingClientRect();
    return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight;
  };
  const tidy = () => {
    for (const message of document.querySelectorAll('[data-testid="toast-body"]')) {
      const words = [...message.querySelectorAll('[data-testid="toast-text"]')].map((part) => part.textContent.trim());
      if (words.length !== 1) continue;
      const same = (part) => part.textContent.trim() === words[0] && inSight(part);
      const said = [...document.querySelectorAll(".nb-news .nb-error")].find(same);
      if (!said) continue;
      said.dataset.said = "here"; // what was put away is found here
      message.style.display = "none";
      message.querySelector('[data-testid="toast-close"]')?.click();
    }
  };
  const watch = new MutationObserver(tidy);
  const begin = () => {
    const place = document.querySelector(".toast-wrap");
    if (place) watch.observe(place, { childList: true, subtree: true });
    else setTimeout(begin, 300);
  };
  begin();
})();
