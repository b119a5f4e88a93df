// Read, consent, will, signature: the steps of one signer. The server's record says which step is next,
// so a reload or a lost answer goes on where it stopped.

import * as device from "./device.js";
import { fromBase64, sha256, toBase64, toHex } from "./encoding.js";
import { busy, call, download, hideProblem, Problem, showProblem, showTime, takeFocus, textsOf } from "./page.js";
import { marksOf } from "./marks.js";
import { Reading } from "./reading.js";
import { Annexes, highlight } from "./annexes.js";
import { Fields } from "./fields.js";
import { attributesOf, messageOf } from "./statement.js";

const POLL_MS = 5000;
const STATEMENT_MS = 9 * 60_000; // the server takes a statement for ten minutes
const RENEW = new Set(["intent.stale", "intent.used", "intent.other_annex"]);

const root = document.getElementById("sign");
const text = textsOf(root);
const part = (name) => root.querySelector(`[data-part="${name}"]`);
const agreementPath = `/api/v1/agreements/${root.dataset.agreement}`;
const problem = part("problem");

const state = { facts: null, record: null, certificates: [], standing: null, fault: null, made: {}, checked: false };
const marks = marksOf(root);
const reading = new Reading(root, { key: root.dataset.signer, changed: showReading });

const mine = () => state.facts.signers.find((one) => one.id === root.dataset.signer);
const signerPath = `/api/v1/signers/${root.dataset.signer}`;
const acted = (one) => Boolean(one.signed_at || one.approved_at);
const bound = () => state.facts.signers.filter((one) => one.act === "sign").map((one) => one.organisation_id);
const open = () => ["published", "signing"].includes(state.facts.state);

async function refresh() {
  state.facts = await call("GET", agreementPath);
}

async function lookForKey() {
  state.fault = null;
  try {
    device.requireSupport();
    state.certificates = await call("GET", "/api/v1/certificates");
    state.record = await device.load(device.ownerOf(root.dataset));
    state.standing = device.standing(state.record, state.certificates);
    if (state.standing !== "ready") state.fault = new device.DeviceError(`device.${state.standing}`);
  } catch (error) {
    state.fault = error;
  }
}

/** Which step is next for this signer. */
function phase() {
  const me = mine();
  if (me.signed_at || (me.approved_at && !me.approve_again)) return "signed";
  if (!open()) return "closed";
  if (me.refused_at) return "refused";
  if (!me.needed && !me.approve_again) return "not_needed";
  if (new Date(state.facts.expires_at) <= new Date()) return "expired";
  if (!me.read_at) return "read";
  if (me.act === "sign" && !me.intent_at) {
    if (Annexes.open(state.facts, me).length > 0) return "clauses";
    if (Annexes.missing(state.facts, me).length > 0) return "files";
    if (Fields.missing(state.facts, me).length > 0) return "fields";
  }
  if (state.fault) return "device";
  if (me.act === "approve") return me.turn || me.approve_again ? "approve" : "wait_turn";
  if (!me.consented_at) return "consent";
  if (bound().some((one) => !state.facts.consented.includes(one))) return "wait_consent";
  if (!me.turn) return "wait_turn";
  if (me.unapproved) return "wait_approval";
  return me.intent_at ? "finish" : "sign";
}

function showSteps(now) {
  const me = mine();
  const times = {
    open: me.opened_at, read: me.read_at, consent: me.consented_at, sign: me.intent_at, apply: me.signed_at, approve: me.approved_at,
  };
  const annexed = { clauses: Annexes.open(state.facts, me).length === 0, files: Annexes.missing(state.facts, me).length === 0, fields: Fields.missing(state.facts, me).length === 0 };
  const running = { clauses: "clauses", files: "files", fields: "fields", read: "read", consent: "consent", sign: "sign", finish: "apply", approve: "approve" }[now];
  for (const item of root.querySelectorAll("[data-step]")) {
    const at = times[item.dataset.step];
    item.className = at || (annexed[item.dataset.step] && me.read_at) ? "done" : item.dataset.step === running ? "now" : "";
    item.querySelector("span").textContent = at ? showTime(at) : "";
    if (item.dataset.step === running) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
}

function showReading() {
  const total = reading.figures.length;
  part("read-count").textContent = text("sign.read_count", {
    done: reading.read.size, total, minutes: Math.floor(reading.seconds / 60), seconds: String(reading.seconds % 60).padStart(2, "0"),
  });
  part("read-bar").value = reading.read.size;
  part("read-button").disabled = !reading.all || state.facts === null;
}

function showWaiting(now) {
  const me = mine();
  const awaited = {
    wait_consent: (one) => one.act === "sign" && !state.facts.consented.includes(one.organisation_id),
    wait_approval: (one) => one.approve_again,
    wait_turn: (one) => one.turn,
  }[now];
  const others = state.facts.signers.filter(awaited);
  part("waiting-text").textContent = text(`sign.${now}`, {
    who: others.map((one) => `${one.organisation_name} ${one.person_name}`).join("、"),
  });
}

/** What an approver approves beside the pages: values that others filled, and those that their own side has saved. */
function showApproval() {
  const me = mine();
  const own = new Set(state.facts.signers.filter((one) => one.organisation_id === me.organisation_id).map((one) => one.field));
  const values = state.facts.fields.filter((one) => one.value !== "" || own.has(one.field));
  part("approve-again").hidden = !me.approve_again;
  part("approve-values").hidden = values.length === 0;
  part("approve-open").hidden = values.every((one) => one.value !== "" || one.preset !== "");
  part("approve-list").replaceChildren(...values.map((one) => {
    const line = fields.line(one);
    const by = state.facts.signers.find((other) => other.field === one.field);
    const who = document.createElement("p");
    who.className = "small soft";
    who.textContent = text(one.filled_at ? "sign.approve.filled" : one.value === "" ? "fields.waiting" : "sign.approve.saved", { who: by ? `${by.organisation_name} ${by.person_name}` : "" });
    line.append(who);
    return line;
  }));
}

function showResult(now) {
  const { facts } = state;
  const waiting = facts.signers.filter((one) => one.needed && !acted(one));
  const own = ["expired", "refused", "not_needed"].includes(now) ? now : null;
  const key = now === "signed" ? (facts.state === "formed" ? "formed" : open() ? (mine().approved_at ? "approved" : "awaiting") : facts.state) : (own ?? facts.state);
  part("result").className = `verdict ${{ formed: "passed", awaiting: "indeterminate", approved: "passed", released: "indeterminate" }[key] ?? "failed"}`;
  part("result-mark").textContent = { formed: "成", awaiting: "待", approved: "准", released: "解" }[key] ?? "止";
  part("result-title").textContent = text(`sign.result.${key}`);
  part("result-text").textContent = text(`sign.result.${key}.text`, {
    who: waiting.map((one) => one.organisation_name).join("、"),
    at: facts.formed_at ? showTime(facts.formed_at) : "",
    reason: facts.ended_reason ?? "",
  });
  showReceipts();
}

function showReceipts() {
  const list = part("receipts");
  list.replaceChildren();
  for (const entry of state.facts.entries) {
    const item = document.createElement("li");
    item.className = "row between";
    const name = document.createElement("a");
    name.href = `/entries/${entry.id}`;
    name.textContent = text(`entry.${entry.type}`);
    const badge = document.createElement("span");
    badge.className = `badge ${entry.state === "final" ? "good" : entry.state === "journaled" ? "warn" : "info"}`;
    badge.textContent = text(entry.state === "final" ? "sign.receipt.final" : "sign.receipt.pending", {
      state: text(`receipt.${entry.state}`),
    });
    item.append(name, badge);
    list.append(item);
  }
}

async function render() {
  const now = phase();
  const before = root.dataset.phase;
  root.dataset.phase = now;
  showSteps(now);
  const shown = {
    reading: now === "read",
    "reading-hint": now === "read",
    document: true,
    clauses: now === "clauses",
    files: state.facts.attachments.length + state.facts.demands.length > 0 || now === "files",
    fields: now !== "read" && mine().act === "sign" && (Fields.own(state.facts, mine()).length > 0 || state.facts.fields.some((one) => one.filled_at)),
    consent: now === "consent",
    approve: now === "approve",
    sign: now === "sign" || now === "finish",
    waiting: ["wait_consent", "wait_turn", "wait_approval"].includes(now),
    done: ["signed", "closed", "expired", "refused", "not_needed"].includes(now),
    decline: open() && !acted(mine()) && !["refused", "not_needed"].includes(now),
  };
  for (const [name, yes] of Object.entries(shown)) part(name).hidden = !yes;
  part("device-hint").hidden = !state.fault || shown.done;
  if (state.fault && !shown.done) showProblem(part("device-problem"), state.fault, text);
  annexes.show(state.facts, mine());
  fields.show(state.facts, mine());
  if (now === "approve") showApproval();
  if (now === "read") showReading();
  if (shown.waiting) showWaiting(now);
  if (shown.done) showResult(now);
  if (now === "finish") part("sign-statement").hidden = true;
  part("finish-text").hidden = now !== "finish";
  if (now === "finish") {
    part("finish-text").textContent = text("sign.finish.text", {
      at: showTime(mine().intent_at), digest: state.facts.document_sha256,
    });
  }
  part("sign-button").textContent = text(now === "finish" ? "sign.finish" : "sign.sign");
  if (now === "finish") part("sign-button").disabled = false;
  if (["consent", "sign", "approve"].includes(now)) await showStatement(now);
  if (before !== now) goTo(now, shown);
}

/** Bring what is to be done next into sight: after a step, and after a reload. */
function goTo(now, shown) {
  if (now === "read") {
    const next = reading.figures.find((one) => !one.classList.contains("read"));
    if (reading.read.size > 0 && next) next.scrollIntoView({ block: "start" });
    return;
  }
  const place = { clauses: "clauses", files: "files", fields: "fields", consent: "consent", sign: "sign", approve: "approve", finish: "sign", device: "device-hint" }[now] ?? (shown.done ? "done" : "waiting");
  part(place).scrollIntoView({ block: "start" });
  if (root.dataset.ready) takeFocus(part(place));
}

/** The file whose digest is signed, digested on this device: the number on the screen is not only claimed. */
async function checkFile() {
  if (state.checked) return;
  const bytes = await download(`${agreementPath}/revisions/0`);
  if (toHex(await sha256(bytes)) !== state.facts.document_sha256) {
    throw new device.DeviceError("device.other_file");
  }
  state.checked = true;
}

/** A statement lists the values of form fields: with other values it is another statement. */
const valuesNow = () => state.facts.fields.map((one) => one.value).join("\0");

/** Which seal an approval is for: undefined while nothing is chosen, null for any, else what its option says of it. */
function sealChosen() {
  const chooser = part("approve-seal");
  if (!chooser) return null;
  if (chooser.value === "") return undefined;
  const { kind, picture } = chooser.selectedOptions[0].dataset;
  return chooser.value === "any" ? null : { id: chooser.value, kind, picture_sha256: picture };
}

/** Ask for the statement, check it, show it word for word. An approval first says which seal it is for. */
async function showStatement(act, { anew = false } = {}) {
  const seal = act === "approve" ? sealChosen() : null;
  const about = [valuesNow(), seal?.id ?? ""].join("\0");
  const kept = seal !== undefined && state.made[act]?.about === about ? state.made[act] : null;
  if (kept && !anew && Date.now() - kept.since < STATEMENT_MS) return;
  part(`${act}-button`).disabled = true;
  part(`${act}-statement`).hidden = true;
  delete state.made[act];
  if (seal === undefined) return;
  await checkFile();
  const made = await call("POST", `${signerPath}/statements`, seal ? { act, seal_id: seal.id } : { act });
  const message = await messageOf(made, { agreement: state.facts, signer: mine(), act, seal });
  if (act === "approve" && sealChosen()?.id !== seal?.id) return; // another seal was chosen meanwhile
  part(`${act}-zh`).textContent = made.statement.text_zh;
  part(`${act}-en`).textContent = made.statement.text_en;
  part(`${act}-digest`).textContent = made.statement.document_sha256;
  part(`${act}-details`).textContent = JSON.stringify(made.statement, null, 1);
  state.made[act] = { id: made.id, message, since: Date.now(), about };
  part(`${act}-statement`).hidden = false;
  part(`${act}-button`).disabled = false;
}

async function affirm(act) {
  const made = state.made[act];
  // Signed once and kept: sending the same proof again is harmless, a second proof is not.
  made.proof ??= toBase64(await device.sign(state.record, made.message));
  try {
    await call("POST", `/api/v1/statements/${made.id}/affirm`, { signature_base64: made.proof });
  } catch (error) {
    if (RENEW.has(error.code)) {
      await refresh(); // what the statement lists may be what changed
      await showStatement(act, { anew: true });
    }
    throw error;
  }
  delete state.made[act];
}

function progress(name, how) {
  const item = root.querySelector(`[data-progress="${name}"]`);
  item.className = how;
  item.querySelector("span").textContent = text(`sign.progress.${how}`);
}

/** One named part of signing, shown while it runs. */
async function step(name, work) {
  progress(name, "running");
  try {
    const value = await work();
    progress(name, "done");
    return value;
  } catch (error) {
    progress(name, "failed");
    throw error;
  }
}

async function sign() {
  for (const name of ["intent", "prepare", "device", "complete"]) progress(name, "waiting");
  part("progress").hidden = false;
  if (mine().intent_at) progress("intent", "done");
  else await step("intent", () => affirm("sign"));
  const prepared = await step("prepare", () => call("POST", `${signerPath}/signature/prepare`, marks.chosen()));
  const signature = await step("device", async () => {
    const certificateSha256 = state.certificates[0].sha256;
    return toBase64(await device.sign(state.record, attributesOf(prepared, { certificateSha256 })));
  });
  await step("complete", () =>
    call("POST", `/api/v1/prepared/${prepared.id}/complete`, { signature_base64: signature }),
  );
}

/** Do something that changes the record, then show the record as it is: also after a failure. */
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

function press(name, label, work) {
  const button = part(`${name}-button`);
  button.addEventListener("click", async () => {
    await busy(button, text(label), () => act(work));
    await render().catch((error) => showProblem(problem, error, text));
  });
}

press("read", "sign.busy", async () => {
  await call("POST", `${signerPath}/read`, { pages: reading.figures.length, seconds: reading.seconds });
  reading.stop();
});
press("consent", "sign.busy", () => affirm("consent"));
press("sign", "sign.busy", sign);
press("approve", "sign.busy", () => affirm("approve"));
part("approve-seal")?.addEventListener("change", () => {
  hideProblem(problem);
  showStatement("approve", { anew: true }).catch((error) => showProblem(problem, error, text));
});
press("again", "sign.busy", lookForKey);
press("refresh", "sign.busy", async () => {});

const fields = new Fields(root, { text, act, signerPath });
const annexes = new Annexes(root, { text, act, signerPath, agreementPath });
const sheets = part("sheets");
let zoom = 1;
for (const button of root.querySelectorAll("[data-zoom-by]")) {
  button.addEventListener("click", () => {
    zoom = Math.min(4, Math.max(1, zoom + Number(button.dataset.zoomBy)));
    sheets.dataset.zoom = String(zoom);
    part("zoom").textContent = `${zoom * 100}%`;
  });
}

async function poll() {
  const now = root.dataset.phase;
  const pending = state.facts?.entries.some((one) => one.state !== "final");
  const worth = ["wait_consent", "wait_turn", "wait_approval"].includes(now) || (now === "signed" && (open() || pending));
  if (worth && document.visibilityState === "visible" && problem.hidden) {
    await refresh().then(render).catch(() => {});
  }
  setTimeout(poll, POLL_MS);
}

async function begin() {
  await refresh();
  await lookForKey();
  if (!mine().opened_at && open()) state.facts = await call("POST", `${signerPath}/open`);
  highlight(reading.figures, state.facts.clauses, {
    label: (one) => text("clause.mark", { number: one.number, kind: text(`clause.kind.${one.kind}`) }),
    chosen: () => part("clauses").hidden || part("clauses").scrollIntoView({ block: "start" }),
  });
  if (mine().read_at || !open()) reading.stop();
  else reading.start();
}

history.scrollRestoration = "manual";
act(begin).finally(() => {
  root.dataset.ready = "yes";
  setTimeout(poll, POLL_MS);
});
// Coming back from another application with the key made meanwhile.
window.addEventListener("focus", () => {
  if (root.dataset.phase === "device") act(lookForKey);
});
window.addEventListener("online", () => {
  if (!problem.hidden && problem.dataset.code === "device.offline") act(async () => {});
});
