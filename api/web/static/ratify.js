// Deciding on an act beyond an authority: the sentence is rebuilt and shown word for word, then signed by this device.

import * as device from "./device.js";
import { canonicalBytes, concat, equal, fromBase64, toBase64 } from "./encoding.js";
import { busy, call, hideProblem, showProblem, textsOf } from "./page.js";

const TAG = "fuqi/ratification-intent/v1";
const FIELDS = [
  "agreement", "at", "decision", "document_sha256", "handler", "handler_name", "lack", "method", "nonce", "organisation",
  "organisation_name", "person", "person_name", "ratification", "reason", "text_en", "text_zh", "v",
];
const VERBS = { ratified: ["追认", "ratify"], refused: ["拒绝追认", "refuse to ratify"] };

const root = document.getElementById("ratify");
const text = textsOf(root);

function refuse(why) {
  throw new device.DeviceError("device.statement", why);
}

/** The bytes to sign, made from the JSON that is shown; refused where it is not about this decision. */
function messageOf(made, wanted) {
  const { statement: s } = made;
  if (Object.keys(s).sort().join() !== FIELDS.join()) refuse("its fields are other ones");
  for (const [field, value] of Object.entries({ v: TAG, method: "device_key", ...wanted })) {
    if (s[field] !== value) refuse(`its ${field} is another one`);
  }
  const [zh, en] = VERBS[s.decision];
  const textZh = `本人${s.person_name}，代表${s.organisation_name}，${zh}${s.handler_name}就文件（SHA-256：${s.document_sha256}）超出授权（${s.lack}）的行为。理由：${s.reason}`;
  const textEn = `I, ${s.person_name}, for ${s.organisation_name}, ${en} what ${s.handler_name} did beyond the authority (${s.lack}) about document ${s.document_sha256} (SHA-256). Reason: ${s.reason}`;
  if (s.text_zh !== textZh || s.text_en !== textEn) refuse("its text says something else");
  const message = concat(new TextEncoder().encode(TAG), Uint8Array.of(0), canonicalBytes(s));
  if (!equal(message, fromBase64(made.message_base64))) refuse("its bytes are other ones");
  return message;
}

async function readyKey() {
  device.requireSupport();
  const certificates = await call("GET", "/api/v1/certificates");
  const record = await device.load(device.ownerOf(root.dataset));
  const standing = device.standing(record, certificates);
  if (standing !== "ready") throw new device.DeviceError(`device.${standing}`);
  return record;
}

for (const form of root.querySelectorAll("form[data-ratification]")) {
  const part = (name) => form.querySelector(`[data-part="${name}"]`);
  const path = `/api/v1/ratifications/${form.dataset.ratification}`;
  let pending = null;
  const run = (button, work) => busy(button, text("sign.busy"), async () => {
    hideProblem(part("problem"));
    try {
      await work();
    } catch (error) {
      showProblem(part("problem"), error, text);
    }
  });
  for (const button of form.querySelectorAll("[data-decision]")) {
    button.addEventListener("click", () => run(button, async () => {
      if (!form.reportValidity()) return;
      pending = null;
      part("statement").hidden = true;
      const record = await readyKey();
      const ratify = button.dataset.decision === "ratified";
      const reason = form.elements.reason.value.trim().split(/\s+/).join(" ");
      const made = await call("POST", `${path}/statement`, { ratify, reason });
      const message = messageOf(made, {
        ratification: form.dataset.ratification, agreement: form.dataset.agreement, decision: button.dataset.decision,
        person: root.dataset.person, organisation: root.dataset.organisation, reason,
      });
      part("zh").textContent = made.statement.text_zh;
      part("en").textContent = made.statement.text_en;
      pending = { record, message };
      part("statement").hidden = false;
      part("sign").scrollIntoView({ block: "center" });
    }));
  }
  part("sign").addEventListener("click", () => run(part("sign"), async () => {
    // Signed once and kept: sending the same proof again is harmless.
    pending.proof ??= toBase64(await device.sign(pending.record, pending.message));
    await call("POST", path, { signature_base64: pending.proof });
    location.reload();
  }));
  form.addEventListener("submit", (event) => event.preventDefault());
}
root.dataset.ready = "yes";
