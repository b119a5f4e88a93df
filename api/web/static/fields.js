// Form fields that are left to this signer: typed, ticked or chosen, kept, shown on the page before anything is signed. What others
// filled stands beside them, for whoever signs signs that as well.

import { busy, call } from "./page.js";

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

const TICKED = "On";
const UNTICKED = "Off";
const CONTROLS = "[data-field]";

/** What stands in a field now: written, or else left there by the author. */
function valueOf(one) {
  return one.value || one.preset;
}

/** Whether that answers a required field; a box that is required has to be ticked. */
function answered(one) {
  return one.kind === "check" ? valueOf(one) === TICKED : Boolean(valueOf(one));
}

export class Fields {
  /** `root` is the signing page; `act` runs work and shows the record as it is afterwards. */
  constructor(root, { text, act, signerPath }) {
    Object.assign(this, { root, text, act, signerPath, drawn: null, record: null });
    this.part("fields-button").addEventListener("click", () => this.save());
  }

  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  static own(facts, me) {
    return facts.fields.filter((one) => one.field === me.field && me.act === "sign");
  }

  /** Required fields of this signer that say nothing yet. */
  static missing(facts, me) {
    return Fields.own(facts, me).filter((one) => one.required && !answered(one));
  }

  show(facts, me) {
    const fixed = Boolean(me.intent_at) || !["published", "signing"].includes(facts.state);
    const own = Fields.own(facts, me);
    const others = facts.fields.filter((one) => one.field !== me.field && one.filled_at);
    this.part("fields-others").replaceChildren(...others.map((one) => this.line(one)));
    this.part("fields-others-head").hidden = others.length === 0;
    this.part("fields-button").hidden = fixed || own.length === 0;
    this.part("fields-lead").hidden = fixed || own.length === 0;
    // What is typed and not kept yet stays on the screen while the record says the same.
    const record = JSON.stringify([own, fixed]);
    if (record !== this.record) this.part("fields-own").replaceChildren(...own.map((one) => (fixed ? this.line(one) : this.input(one))));
    this.record = record;
    this.draw(facts);
  }

  line(one) {
    const item = element("li", undefined, "stack-tight");
    item.append(element("span", one.label, "small soft"), element("b", this.shown(one), "field-value"));
    return item;
  }

  shown(one) {
    if (one.kind === "check") return this.text(valueOf(one) === TICKED ? "fields.ticked" : "fields.unticked");
    return valueOf(one) || this.text("fields.empty");
  }

  input(one) {
    const item = element("li", undefined, "field");
    const check = one.kind === "check";
    const input = this.control(one);
    input.autocomplete = "off";
    input.dataset.field = one.name;
    input.id = `form-field-${one.number}`;
    const label = element("label", check ? undefined : one.label, check ? "check-line" : undefined);
    label.htmlFor = input.id;
    if (check) label.append(input, element("span", one.label));
    const state = element("span", this.text(one.required ? "fields.must" : "fields.may"), one.required && !answered(one) ? "badge warn" : "small soft");
    const line = element("span", undefined, "row between");
    line.append(label, " ", state);
    item.append(line, ...(check ? [] : [input]), element("p", this.hint(one), "hint"));
    return item;
  }

  hint(one) {
    const place = this.text("fields.page", { page: one.page });
    const more = { lines: "fields.hint.lines", check: one.required ? "fields.hint.check" : "" }[one.kind];
    return more ? `${place} · ${this.text(more)}` : place;
  }

  control(one) {
    if (one.kind === "choice") {
      const select = element("select");
      select.append(new Option(this.text("fields.choose"), ""), ...one.options.map((option) => new Option(option, option)));
      select.value = valueOf(one);
      return select;
    }
    if (one.kind === "lines") {
      const area = element("textarea");
      area.rows = 4;
      area.maxLength = 1000;
      area.value = valueOf(one);
      return area;
    }
    const input = element("input");
    if (one.kind === "check") {
      input.type = "checkbox";
      input.checked = valueOf(one) === TICKED;
      return input;
    }
    input.type = "text";
    input.maxLength = 250;
    input.value = valueOf(one);
    return input;
  }

  async save() {
    const values = Object.fromEntries(
      [...this.part("fields-own").querySelectorAll(CONTROLS)].map((one) => [
        one.dataset.field,
        one.type !== "checkbox" ? one.value : one.checked ? TICKED : UNTICKED,
      ]),
    );
    await busy(this.part("fields-button"), this.text("sign.busy"), () =>
      this.act(() => call("POST", `${this.signerPath}/fields`, { values })),
    );
  }

  /** The pages are drawn anew when a value on them is another one. */
  draw(facts) {
    const now = facts.fields.map((one) => one.value).join("\0");
    if (this.drawn !== null && this.drawn !== now) {
      for (const picture of this.root.querySelectorAll("[data-page] img")) picture.src = `${picture.src.split("?")[0]}?filled=${Date.now()}`;
    }
    this.drawn = now;
  }
}
