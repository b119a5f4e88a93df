// Pages read to their end, and for how long: counted while the page is visible, kept across a reload.

const SECONDS_MAX = 86_400;
const TICK_MS = 1000;

export class Reading {
  /** `root` holds one `[data-page]` figure for each page; `changed` is called after each step. */
  constructor(root, { key, changed }) {
    this.key = `fuqi-reading-${key}`;
    this.changed = changed;
    this.figures = [...root.querySelectorAll("[data-page]")];
    const kept = this.restore();
    this.read = new Set(kept.read);
    this.seconds = kept.seconds;
    this.done = false;
  }

  get all() {
    return this.read.size === this.figures.length;
  }

  start() {
    const seen = new IntersectionObserver((entries) => entries.forEach((entry) => this.atEnd(entry)));
    for (const figure of this.figures) {
      const picture = figure.querySelector("img");
      const end = figure.querySelector("[data-end]");
      figure.classList.toggle("read", this.read.has(figure.dataset.page));
      picture.addEventListener("error", () => this.failed(figure, true));
      picture.addEventListener("load", () => {
        this.failed(figure, false);
        // Observed anew: the end may have been in sight before there was a picture above it.
        seen.unobserve(end);
        seen.observe(end);
      });
      figure.querySelector("[data-again]").addEventListener("click", () => {
        picture.src = `${picture.src.split("?")[0]}?again=${Date.now()}`;
      });
      if (picture.complete && picture.naturalWidth === 0 && picture.currentSrc) this.failed(figure, true);
      seen.observe(end);
    }
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.changed();
  }

  atEnd(entry) {
    const figure = entry.target.closest("[data-page]");
    const picture = figure.querySelector("img");
    if (!entry.isIntersecting || !picture.complete || picture.naturalWidth === 0) return;
    if (this.read.has(figure.dataset.page)) return;
    this.read.add(figure.dataset.page);
    figure.classList.add("read");
    this.keep();
    this.changed();
  }

  failed(figure, yes) {
    figure.querySelector("[data-failed]").hidden = !yes;
  }

  tick() {
    if (this.done || document.visibilityState !== "visible" || this.seconds >= SECONDS_MAX) return;
    this.seconds += 1;
    this.keep();
    this.changed();
  }

  stop() {
    this.done = true;
    clearInterval(this.timer);
    try {
      sessionStorage.removeItem(this.key);
    } catch {
      // Nothing was kept, nothing is left.
    }
  }

  restore() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.key) ?? "{}");
      const read = Array.isArray(kept.read) ? kept.read.map(String) : [];
      return { read, seconds: Number.isSafeInteger(kept.seconds) ? kept.seconds : 0 };
    } catch {
      return { read: [], seconds: 0 };
    }
  }

  keep() {
    try {
      sessionStorage.setItem(this.key, JSON.stringify({ read: [...this.read], seconds: this.seconds }));
    } catch {
      // Private windows may refuse; reading then begins anew after a reload.
    }
  }
}
