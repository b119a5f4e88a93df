// What goes with a document while it is read: clauses that are pointed out, lit up on the page and confirmed one
// by one; files that belong to it, and files this signer is asked for.

import { busy, call, newId, showTime } from "./page.js";

const DWELL_S = 4; // at least; longer for a longer clause. The server keeps its own time between two.
const DWELL_MAX_S = 20;
const CHARACTERS_PER_S = 30;

/** Light up the clauses on the pages; a tap on one brings its card into sight. */
export function highlight(figures, clauses, { label, chosen }) {
  for (const clause of clauses) {
    for (const [page, left, top, right, bottom] of clause.boxes) {
      const figure = figures.find((one) => Number(one.dataset.page) === page);
      const frame = figure?.querySelector(".sheet-frame");
      if (!frame) continue;
      const mark = document.createElement("button");
      mark.type = "button";
      mark.className = "clause-mark";
      mark.dataset.clause = String(clause.number);
      mark.setAttribute("aria-label", label(clause));
      const style = mark.style;
      style.left = `${left / 10 - 0.6}%`;
      style.top = `${top / 10 - 0.3}%`;
      style.width = `${(right - left) / 10 + 1.2}%`;
      style.height = `${(bottom - top) / 10 + 0.6}%`;
      mark.addEventListener("click", () => chosen(clause));
      frame.append(mark);
    }
  }
}

const kilobytes = (bytes) => `${Math.max(1, Math.round(bytes / 1024))} kB`;

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

export class Annexes {
  /** `root` is the signing page; `act` runs work and shows the record as it is afterwards. */
  constructor(root, { text, act, signerPath, agreementPath }) {
    Object.assign(this, { root, text, act, signerPath, agreementPath, seconds: 0, current: null });
    setInterval(() => this.tick(), 1000);
    this.part("clause-button").addEventListener("click", () => this.confirm());
    this.part("clause-see").addEventListener("click", () => this.see());
  }

  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  /** Clauses that this signer has not confirmed. */
  static open(facts, me) {
    const done = new Set(me.confirmed.map((one) => one.number));
    return me.must_confirm ? facts.clauses.filter((one) => !done.has(one.number)) : [];
  }

  /** Files this signer must still send. */
  static missing(facts, me) {
    return facts.demands.filter((one) => one.field === me.field && one.required && one.attachment_id === null);
  }

  show(facts, me) {
    this.facts = facts;
    this.me = me;
    this.showClauses();
    this.showFiles();
  }

  showClauses() {
    const { facts, me } = this;
    const open = Annexes.open(facts, me);
    const times = new Map(me.confirmed.map((one) => [one.number, one.confirmed_at]));
    for (const mark of this.root.querySelectorAll(".clause-mark")) {
      mark.classList.toggle("done", times.has(Number(mark.dataset.clause)));
    }
    this.part("clause-list").replaceChildren(
      ...facts.clauses.filter((one) => times.has(one.number)).map((one) => {
        const item = element("li", undefined, "row between");
        item.append(element("span", `${one.number}. ${one.text.slice(0, 24)}…`), element("span", `✓ ${showTime(times.get(one.number))}`, "small soft num"));
        return item;
      }),
    );
    const next = open[0] ?? null;
    if (next?.number === this.current?.number) return;
    this.current = next;
    this.seconds = 0;
    if (!next) return;
    this.part("clause-count").textContent = `${facts.clauses.length - open.length + 1} / ${facts.clauses.length}`;
    this.part("clause-kind").textContent = this.text(`clause.kind.${next.kind}`);
    this.part("clause-text").textContent = next.text;
    this.part("clause-explanation").textContent = next.explanation;
    this.part("clause-explained").hidden = next.explanation === "";
    this.part("clause-see").textContent = this.text("clause.see", { page: next.page });
    this.showButton();
  }

  get dwell() {
    const wanted = Math.ceil((this.current?.text.length ?? 0) / CHARACTERS_PER_S);
    return Math.min(DWELL_MAX_S, Math.max(DWELL_S, wanted));
  }

  tick() {
    if (this.current && !this.part("clauses").hidden && document.visibilityState === "visible") this.seconds += 1;
    this.showButton();
  }

  showButton() {
    const button = this.part("clause-button");
    if (!this.current || button.getAttribute("aria-busy") === "true") return;
    const left = this.dwell - this.seconds;
    button.disabled = left > 0;
    button.textContent = left > 0 ? this.text("clause.wait", { seconds: left }) : this.text("clause.confirm");
  }

  async confirm() {
    const { current, seconds } = this;
    const button = this.part("clause-button");
    await busy(button, this.text("sign.busy"), () =>
      this.act(() => call("POST", `${this.signerPath}/clauses/${current.number}`, { sha256: current.sha256, seconds })),
    );
    this.showButton();
    if (this.current) this.part("clauses").scrollIntoView({ block: "start" });
  }

  see() {
    this.root.querySelector(`.clause-mark[data-clause="${this.current?.number}"]`)?.scrollIntoView({ block: "center" });
  }

  showFiles() {
    const { facts, me } = this;
    const asked = facts.demands.filter((one) => one.field === me.field);
    const fixed = Boolean(me.intent_at) || !["published", "signing"].includes(facts.state) || me.act !== "sign";
    this.part("files-list").replaceChildren(...facts.attachments.map((one) => this.fileItem(one, { fixed })));
    this.part("files-none").hidden = facts.attachments.length > 0;
    this.part("files-asked").replaceChildren(...(fixed ? [] : [...asked.map((one) => this.demandForm(one)), this.demandForm(null)]));
  }

  fileItem(file, { fixed }) {
    const item = element("li", undefined, "stack-tight");
    const line = element("div", undefined, "row between");
    if (file.readable) {
      const link = element("a", file.name);
      link.href = `${this.agreementPath}/attachments/${file.id}`;
      line.append(link);
    } else line.append(element("span", this.text("papers.closed"), "soft"));
    line.append(element("span", kilobytes(file.size_bytes), "small soft num"));
    const code = element("code", file.sha256, "long small");
    item.append(line, code);
    if (!fixed && file.signer_id === this.me.id) {
      const button = element("button", this.text("papers.take_back"), "button quiet small");
      button.type = "button";
      button.addEventListener("click", () => busy(button, this.text("sign.busy"), () =>
        this.act(() => call("POST", `${this.signerPath}/uploads/${file.id}/withdraw`)),
      ));
      item.append(button);
    }
    return item;
  }

  /** A field for a file: one that is asked for, or any other. It is sent as soon as it is chosen. */
  demandForm(demand) {
    const label = element("label", undefined, "field");
    const name = demand ? demand.label : this.text("papers.other");
    const state = !demand ? "" : demand.attachment_id ? this.text("papers.sent") : this.text(demand.required ? "papers.required" : "papers.optional");
    const line = element("span", undefined, "row between");
    line.append(element("b", name), element("span", state, demand?.attachment_id ? "badge good" : demand?.required ? "badge warn" : "small soft"));
    const input = element("input");
    input.type = "file";
    input.accept = "application/pdf,image/jpeg,image/png";
    input.dataset.demand = demand ? String(demand.number) : "";
    const told = element("span", "", "small soft");
    input.addEventListener("change", async () => {
      const [file] = input.files;
      if (!file) return;
      const body = new FormData();
      body.append("id", newId("att"));
      if (demand) body.append("demand", String(demand.number));
      body.append("file", file);
      input.disabled = true;
      told.textContent = this.text("papers.sending", { name: file.name });
      await this.act(() => call("POST", `${this.signerPath}/uploads`, body));
      input.disabled = false;
      told.textContent = "";
    });
    label.append(line, input, told);
    return label;
  }
}
