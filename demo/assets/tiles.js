// Pictures that are pressed: a row or a grid of them whose pictures may change many times a second without a flicker,
// because every tile stays the same button while it is there. demo/tiles.py describes what comes in `tiles`.
(() => {
  "use strict";
  if (window.ganbookTiles) return;

  class Tiles {
    constructor(element, trigger, props, watch) {
      this.root = element.querySelector(".gt");
      [this.trigger, this.props] = [trigger, props];
      this.root.addEventListener("click", (event) => {
        const tile = event.target.closest(".gt-tile");
        if (tile && !tile.disabled) this.press(tile);
      });
      this.root.addEventListener("keydown", (event) => this.key(event));
      watch("tiles", () => this.take(this.props.tiles));
      this.take(this.props.tiles);
    }

    press(tile) {
      this.trigger("select", { key: tile.dataset.key });
    }

    take(given) {
      const { items = [], chosen = null, columns = null, pressed = true } = given ?? {};
      const all = this.root.children;
      while (all.length > items.length) this.root.lastChild.remove();
      items.forEach((item, i) => this.show(all[i] ?? this.build(), item, item.key === chosen, pressed));
      this.root.style.setProperty("--gt-columns", columns ?? "");
      this.root.classList.toggle("gt-counted", Boolean(columns));
      this.root.classList.toggle("gt-none", !items.length);
    }

    build() {
      const tile = document.createElement("button");
      [tile.type, tile.className] = ["button", "gt-tile"];
      tile.innerHTML = '<img alt=""><span></span>';
      this.root.append(tile);
      return tile;
    }

    show(tile, { key, picture, caption, alt }, chosen, pressed) {
      const [image, words] = tile.children;
      tile.dataset.key = key;
      if (image.getAttribute("src") !== picture) image.src = picture;
      image.alt = alt ?? caption ?? "";
      if (words.textContent !== (caption ?? "")) words.textContent = caption ?? "";
      words.hidden = !caption;
      pressed ? tile.setAttribute("aria-pressed", chosen) : tile.removeAttribute("aria-pressed");
      tile.classList.toggle("gt-chosen", chosen);
    }

    /** Arrow keys go from tile to tile. */
    key(event) {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.across, ArrowDown: this.across }[event.key];
      const tiles = [...this.root.children];
      const at = tiles.indexOf(document.activeElement);
      if (!step || at < 0) return;
      event.preventDefault();
      tiles[Math.min(tiles.length - 1, Math.max(0, at + step))].focus();
    }

    get across() {
      const tiles = [...this.root.children];
      return Math.max(1, tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length);
    }
  }

  window.ganbookTiles = {
    attach: (element, trigger, props, watch) => new Tiles(element, trigger, props, watch),
  };
})();
