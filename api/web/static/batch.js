// Many documents: each is read to its end, all are affirmed by one signature over the list of their digests,
// then signed one after another; approvals need no more than the one signature. The server's record says what is left, so a reload goes on where it stopped.

import * as device from "./device.js";
import { sha256, toBase64, toHex } from "./encoding.js";
import { busy, call, download, hideProblem, showProblem, takeFocus, textsOf } from "./page.js";
import { Reading } from "./reading.js";
import { attributesOf, batchMessageOf } from "./statement.js";

const STATEMENT_MS = 9 * 60_000; // the server takes a statement for ten minutes

const root = document.getElementById("batch");
const text = textsOf(root);
const part = (name) => root.querySelector(`[data-part="${name}"]`);
const path = `/api/v1/batches/${root.dataset.batch}`;
const problem = part("problem");
const state = { facts: null, record: null, certificates: [], fault: null, reading: null, current: null, statement: null, failed: new Map() };

const inState = (name) => state.facts.items.filter((one) => one.state === name);

async function refresh() {
  state.facts = await call("GET", path);
}

async function lookForKey() {
  state.fault = null;
  try {
    device.requireSupport();
    state.certificates = await call("GET", "/api/v1/certificates");
    state.record = await device.load(device.ownerOf(root.dataset));
    const standing = device.standing(state.record, state.certificates);
    if (standing !== "ready") state.fault = new device.DeviceError(`device.${standing}`);
  } catch (error) {
    state.fault = error;
  }
}

const HEALTHY = new Set(["unread", "ready", "affirmed", "awaiting", "approved", "signed"]);
const inTheWay = () => state.facts.items.filter((one) => !HEALTHY.has(one.state));
const say = (code) => (text.has(`waiting.alone.${code}`) ? text(`waiting.alone.${code}`) : text.has(`error.${code}`) ? text(`error.${code}`) : text("batch.state.out"));

function phase() {
  if (state.facts.affirmed_at === null && inTheWay().length > 0) return "drop";
  if (inState("unread").length > 0) return "read";
  if (state.facts.affirmed_at === null) return state.fault ? "device" : "affirm";
  if (inState("affirmed").length > 0) return state.fault ? "device" : "sign";
  return "done";
}

const valueText = (one) => (one.kind === "check" ? text(one.value === "On" ? "fields.ticked" : "fields.unticked") : one.value);

function showRows() {
  part("rows").replaceChildren(
    ...state.facts.items.map((one) => {
      const item = document.createElement("li");
      item.className = "row between";
      const name = document.createElement("a");
      name.href = `/agreements/${one.agreement_id}`;
      name.textContent = `${one.number}. ${one.title}`;
      const said = document.createElement("div");
      said.append(name);
      const badge = document.createElement("span");
      const known = text.has(`batch.state.${one.state}`);
      const fault = state.failed.get(one.signer_id);
      badge.className = `badge ${{ signed: "good", approved: "good", affirmed: "info", awaiting: "warn", ready: "info", unread: "warn" }[one.state] ?? "bad"}`;
      if (one.seal_id && state.facts.act === "approve") {
        const seal = document.createElement("span");
        seal.className = "soft small";
        seal.textContent = `${one.seal_name} · ${text(`seal.kind.${one.seal_kind}`)}`;
        name.append(document.createElement("br"), seal);
      }
      if (one.values.length > 0) {
        const values = document.createElement("p");
        values.className = "soft small";
        values.textContent = one.values.map((value) => `${value.label}：${valueText(value)}`).join("；");
        said.append(values);
      }
      badge.textContent = fault ? `${text(`batch.state.${one.state}`)} · ${fault}` : known ? text(`batch.state.${one.state}`) : say(one.state);
      item.append(said, badge);
      return item;
    }),
  );
}

/** What is not in the batch, and why. */
function showLeftOut() {
  part("left-out").hidden = state.facts.left_out.length === 0;
  part("left-out-rows").replaceChildren(
    ...state.facts.left_out.map((one) => {
      const item = document.createElement("li");
      item.className = "row between";
      const name = document.createElement("a");
      name.href = `/agreements/${one.agreement_id}`;
      name.textContent = one.title;
      const badge = document.createElement("span");
      badge.className = "badge warn";
      badge.textContent = say(one.code);
      item.append(name, badge);
      return item;
    }),
  );
}

function showReading() {
  const { reading } = state;
  if (reading === null) return;
  part("read-count").textContent = text("sign.read_count", {
    done: reading.read.size, total: reading.figures.length, minutes: Math.floor(reading.seconds / 60), seconds: String(reading.seconds % 60).padStart(2, "0"),
  });
  part("read-bar").max = reading.figures.length;
  part("read-bar").value = reading.read.size;
  part("read-button").disabled = !reading.all;
}

/** Put the first unread document on the page; it counts as opened now. */
async function showDocument() {
  const next = inState("unread")[0];
  if (state.current === next.signer_id) return;
  state.reading?.stop();
  await call("POST", `/api/v1/signers/${next.signer_id}/open`);
  // The number on the screen is not only claimed: the file is digested on this device.
  const bytes = await download(`/api/v1/agreements/${next.agreement_id}/revisions/0`);
  if (toHex(await sha256(bytes)) !== next.document_sha256) throw new device.DeviceError("device.other_file");
  part("document-title").textContent = next.title;
  part("document-number").textContent = text("batch.number", { number: next.number, count: state.facts.items.length });
  part("document-digest").textContent = next.document_sha256;
  const sheets = part("sheets");
  sheets.replaceChildren();
  for (let number = 1; number <= next.pages; number += 1) {
    const figure = part("sheet").content.firstElementChild.cloneNode(true);
    figure.dataset.page = String(number);
    const picture = figure.querySelector("img");
    picture.src = `/api/v1/agreements/${next.agreement_id}/pages/${number}`;
    picture.alt = `${number} / ${next.pages}`;
    picture.loading = number <= 2 ? "eager" : "lazy";
    figure.querySelector("figcaption").textContent = `${number} / ${next.pages}`;
    sheets.append(figure);
  }
  state.current = next.signer_id;
  state.reading = new Reading(sheets, { key: next.signer_id, changed: showReading });
  state.reading.start();
  showReading();
  part("document").scrollIntoView({ block: "start" });
}

/** Ask for the statement, check that every listed digest is of the line it stands for, show it. */
async function showStatement() {
  if (state.statement && Date.now() - state.statement.since < STATEMENT_MS) return;
  part("affirm-button").disabled = true;
  const made = await call("POST", `${path}/statement`);
  state.facts = made; // what is listed is what stands in the lines
  showRows();
  const message = await batchMessageOf(made, root.dataset);
  part("zh").textContent = made.statement.text_zh;
  part("en").textContent = made.statement.text_en;
  part("details").textContent = JSON.stringify(made.statement, null, 1);
  state.statement = { message, since: Date.now() };
  part("statement").hidden = false;
  part("affirm-button").disabled = false;
}

async function render() {
  const now = phase();
  const before = root.dataset.phase;
  root.dataset.phase = now;
  showRows();
  showLeftOut();
  part("drop").hidden = now !== "drop";
  if (now === "drop") part("drop-text").textContent = text("batch.drop.count", { count: inTheWay().length, total: state.facts.items.length });
  part("document").hidden = now !== "read";
  part("reading").hidden = now !== "read";
  part("affirm").hidden = now !== "affirm";
  part("sign").hidden = now !== "sign";
  part("done").hidden = now !== "done";
  part("device-hint").hidden = now !== "device";
  if (now === "device") showProblem(part("device-problem"), state.fault, text);
  if (now === "read") await showDocument();
  root.dataset.left = String(inState("unread").length);
  if (now === "affirm") await showStatement();
  if (now === "sign") showSigning();
  if (before && before !== now) takeFocus(part({ read: "document", device: "device-hint" }[now] ?? now));
}

function showSigning() {
  const total = state.facts.items.length;
  part("sign-bar").max = total;
  part("sign-bar").value = inState("signed").length;
  part("sign-text").textContent = text("batch.sign.text", { done: inState("signed").length, total });
}

async function act(work) {
  hideProblem(problem);
  let fault = null;
  try {
    await work();
  } catch (error) {
    fault = error;
  }
  try {
    await refresh();
    await render();
  } catch (error) {
    fault ??= error;
  }
  if (fault) showProblem(problem, fault, text);
}

function press(name, work) {
  const button = part(`${name}-button`);
  button.addEventListener("click", async () => {
    await busy(button, text("sign.busy"), () => act(work));
    showReading();
  });
}

press("read", async () => {
  const { reading, current } = state;
  await call("POST", `/api/v1/signers/${current}/read`, { pages: reading.figures.length, seconds: reading.seconds });
  reading.stop();
  state.current = null;
});

press("affirm", async () => {
  const made = state.statement;
  made.proof ??= toBase64(await device.sign(state.record, made.message));
  try {
    await call("POST", `${path}/affirm`, { signature_base64: made.proof });
  } catch (error) {
    if (["intent.stale", "intent.proof", "intent.other_annex"].includes(error.code)) state.statement = null;
    throw error;
  }
});

press("drop", async () => {
  state.statement = null;
  await call("POST", `${path}/leave-out`);
  location.reload(); // the page's heading counts the documents
});

/** The seal that goes with a signature: the one approved for it, else the one chosen for all. */
function marksOf(one) {
  const seal = one.seal_id ?? (part("seal")?.value || null);
  return part("seal") === null || seal === null ? {} : { seal_id: seal };
}

/** One document after another. What fails is named in its line, and the others go on. */
press("sign", async () => {
  state.failed.clear();
  for (const one of inState("affirmed")) {
    try {
      const prepared = await call("POST", `/api/v1/signers/${one.signer_id}/signature/prepare`, marksOf(one));
      const attributes = attributesOf(prepared, { certificateSha256: state.certificates[0].sha256 });
      const signature = toBase64(await device.sign(state.record, attributes));
      await call("POST", `/api/v1/prepared/${prepared.id}/complete`, { signature_base64: signature });
      one.state = "signed";
    } catch (error) {
      state.failed.set(one.signer_id, text.has(`error.${error.code}`) ? text(`error.${error.code}`) : (error.code ?? "device.unexpected"));
    }
    showSigning();
    showRows();
  }
});
press("again", lookForKey);

act(lookForKey).finally(() => {
  root.dataset.ready = "yes";
});
window.addEventListener("focus", () => {
  if (root.dataset.phase === "device") act(lookForKey);
});
