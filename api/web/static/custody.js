// Acts on goods: the form is sent as a statement, shown word for word, signed by this device, carried out.
// The statement is rebuilt here and compared before anything is signed: api/flows/custody.py says the same.

import * as device from "./device.js";
import { canonicalBytes, canonicalText, concat, equal, fromBase64, sha256, toBase64, toHex } from "./encoding.js";
import { busy, call, hideProblem, newId, Problem, showProblem, textsOf } from "./page.js";

const TAG = "fuqi/custody-statement/v1";
const FIELDS = [
  "act", "at", "fields", "nonce", "organisation", "organisation_name", "person", "text_en", "text_zh", "v",
];

const root = document.getElementById("goods");
const text = textsOf(root);
const dialog = document.getElementById("statement");
const part = (name) => dialog.querySelector(`[data-part="${name}"]`);
let pending = null;

/** The fields of a form: `data-kind` says what each is; `data-id` makes a fresh id once for each form. */
function fieldsOf(form) {
  const fields = JSON.parse(form.dataset.fields ?? "{}");
  for (const [name, prefix] of Object.entries(JSON.parse(form.dataset.ids ?? "{}"))) {
    form.dataset[`id_${name}`] ??= newId(prefix);
    fields[name] = form.dataset[`id_${name}`];
  }
  for (const input of form.querySelectorAll("[name]")) {
    const [outer, inner] = input.name.split(".");
    const value = valueOf(input);
    if (value === undefined) continue;
    if (input.dataset.kind === "choice") {
      (fields[outer] ??= []).push(value);
    } else if (inner) (fields[outer] ??= {})[inner] = value;
    else fields[outer] = value;
  }
  return form.dataset.act === "lot.pack" ? boxes(fields) : fields;
}

function valueOf(input) {
  if (input.dataset.kind === "choice") return input.checked ? input.value : undefined;
  if (input.type === "checkbox") return input.checked;
  if (input.dataset.kind === "number") return Number(input.value.replaceAll(",", "") || 0);
  if (input.dataset.kind === "yuan") return fenOf(input.value);
  if (input.dataset.kind === "yes") return input.value === "yes";
  if (input.dataset.kind === "optional" && input.value === "") return undefined;
  return input.value;
}

/** Yuan with at most two decimals as whole fen; null for anything else, which the server refuses. */
function fenOf(value) {
  const found = /^(\d{1,13})(?:\.(\d{1,2}))?$/.exec(value.replaceAll(",", "").trim());
  return found ? Number(found[1]) * 100 + Number((found[2] ?? "").padEnd(2, "0")) : null;
}

/** So many boxes of so many units: each gets an id of its own, which its label will carry. */
function boxes({ count, each, ...fields }) {
  fields.packages = Array.from({ length: count }, () => ({ id: newId("pkg"), quantity: each }));
  return fields;
}

function refuse(why) {
  throw new device.DeviceError("device.statement", why);
}

/** The bytes to sign, made from the JSON that is shown; refused where it is about anything else. */
function messageOf(made, { act, fields, person, organisation }) {
  const said = made.statement;
  if (Object.keys(said).sort().join() !== FIELDS.join()) refuse("its fields are other ones");
  if (said.v !== TAG || said.act !== act) refuse("it is another act");
  if (said.person !== person || said.organisation !== organisation) refuse("somebody else acts");
  for (const [name, value] of Object.entries(fields)) {
    const same = typeof value === "object"
      ? canonicalText(said.fields[name]) === canonicalText(value)
      : said.fields[name] === (typeof value === "string" ? value.trim() : value);
    if (!same) refuse(`its ${name} is another one`);
  }
  const message = concat(new TextEncoder().encode(TAG), Uint8Array.of(0), canonicalBytes(said));
  if (!equal(message, fromBase64(made.message_base64))) refuse("its bytes are other ones");
  return message;
}

async function send(path, body) {
  const response = await fetch(path, { method: "POST", body, headers: { Accept: "application/json" }, credentials: "same-origin" })
    .catch((error) => { throw new Problem({ code: "device.offline", detail: String(error), retryable: true }); });
  const value = await response.json().catch(() => null);
  if (response.ok && value) return value;
  throw new Problem({ code: value?.code ?? "internal", detail: value?.detail ?? "", status: response.status });
}

/** Send the chosen file and take its digest, made here: the digest is what is signed. */
async function upload(form, fields) {
  const input = form.querySelector("[data-upload]");
  if (!input) return;
  const file = input.files[0];
  if (!file) throw new device.DeviceError("form.required", text("error.form.required"));
  const body = new FormData();
  body.append("file", file);
  const digest = toHex(await sha256(new Uint8Array(await file.arrayBuffer())));
  const kept = await send(input.dataset.upload, body);
  if (kept.sha256 !== digest) refuse("the server kept another file");
  fields.sha256 = digest;
}

async function state(form) {
  const act = form.dataset.act;
  const fields = fieldsOf(form);
  await upload(form, fields);
  const { person, organisation } = root.dataset;
  const record = await device.load(device.ownerOf({ person, organisation }));
  const standing = device.standing(record, await call("GET", "/api/v1/certificates"));
  if (standing !== "ready") throw new device.DeviceError(`device.${standing}`);
  const made = await call("POST", "/api/v1/custody/statements", { id: newId("cst"), act, fields });
  const message = messageOf(made, { act, fields, person, organisation });
  part("zh").textContent = made.statement.text_zh;
  part("en").textContent = made.statement.text_en;
  part("fields").textContent = JSON.stringify(made.statement.fields, null, 1);
  hideProblem(part("problem"));
  pending = { id: made.id, record, message };
  dialog.showModal();
}

async function sign() {
  pending.proof ??= toBase64(await device.sign(pending.record, pending.message));
  await call("POST", `/api/v1/custody/statements/${pending.id}/sign`, { signature_base64: pending.proof });
  location.assign(root.dataset.after ?? location.pathname);
  if ((root.dataset.after ?? location.pathname) === location.pathname) location.reload();
}

for (const form of root.querySelectorAll("form[data-act]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const place = form.querySelector("[data-problem]");
    hideProblem(place);
    await busy(form.querySelector("button[type=submit]"), text("goods.busy"), async () => {
      try {
        await state(form);
      } catch (error) {
        showProblem(place, error, text);
      }
    });
  });
}

part("sign").addEventListener("click", () => busy(part("sign"), text("goods.busy"), async () => {
  try {
    await sign();
  } catch (error) {
    showProblem(part("problem"), error, text);
  }
}));
part("cancel").addEventListener("click", () => dialog.close());
root.dataset.ready = "yes";
