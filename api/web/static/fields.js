// Form fields that are left to this signer: typed, kept, shown on the page before anything is signed. What others
// filled stands beside them, for whoever signs signs that as well.

import { busy, call } from "./page.js";

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
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
    return Fields.own(facts, me).filter((one) => one.required && !one.value && !one.preset);
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
    item.append(element("span", one.label, "small soft"), element("b", one.value || one.preset || this.text("fields.empty")));
    return item;
  }

  input(one) {
    const item = element("li", undefined, "field");
    const label = element("label", one.label);
    const input = element("input");
    input.type = "text";
    input.maxLength = 250;
    input.autocomplete = "off";
    input.value = one.value || one.preset;
    input.dataset.field = one.name;
    input.id = `form-field-${one.number}`;
    label.htmlFor = input.id;
    const state = element("span", this.text(one.required ? "fields.must" : "fields.may"), one.required && !one.value && !one.preset ? "badge warn" : "small soft");
    const line = element("span", undefined, "row between");
    line.append(label, " ", state);
    item.append(line, input, element("p", this.text("fields.page", { page: one.page }), "hint"));
    return item;
  }

  async save() {
    const values = Object.fromEntries(
      [...this.part("fields-own").querySelectorAll("input")].map((one) => [one.dataset.field, one.value]),
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
