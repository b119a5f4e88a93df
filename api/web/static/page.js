// What every page with a script of its own needs: texts, calls to the server, refusals with what to do.

const TRIES = 3;
const TIMEOUT_MS = 60_000;
const WAIT_MS = 700;
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const ID_TIME_CHARACTERS = 10;
const ID_RANDOM_CHARACTERS = 16;
const UPLOAD_TIMEOUT_MS = 300_000; // ten megabytes over a slow telephone network

export class Problem extends Error {
  constructor({ code, detail, status = 0, retryable = false, requestId = "", context = {} }) {
    super(detail);
    Object.assign(this, { code, detail, status, retryable, requestId, context });
  }
}

/** An id as ledger/core/ids.py makes them: time in milliseconds, then 80 random bits. */
export function newId(prefix) {
  let time = Date.now();
  let head = "";
  for (let n = 0; n < ID_TIME_CHARACTERS; n += 1) {
    head = ALPHABET[time % 32] + head;
    time = Math.floor(time / 32);
  }
  const dice = crypto.getRandomValues(new Uint8Array(ID_RANDOM_CHARACTERS));
  return `${prefix}_${head}${Array.from(dice, (one) => ALPHABET[one & 31]).join("")}`;
}

/** The texts the page carries in its own language: `text("sign.read", {done: 1})`. */
export function textsOf(element) {
  const table = JSON.parse(element.dataset.texts);
  const text = (key, values = {}) => {
    const found = table[key] ?? key;
    return Object.entries(values).reduce((all, [name, value]) => all.replaceAll(`{${name}}`, value), found);
  };
  text.has = (key) => key in table;
  return text;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function once(method, path, body) {
  let response;
  const file = body instanceof FormData;
  try {
    response = await fetch(path, {
      method,
      body: body === undefined || file ? body : JSON.stringify(body),
      headers: { Accept: "application/json", ...(body === undefined || file ? {} : { "Content-Type": "application/json" }) },
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(file ? UPLOAD_TIMEOUT_MS : TIMEOUT_MS),
    });
  } catch (error) {
    throw new Problem({ code: "device.offline", detail: String(error), retryable: true });
  }
  const value = response.status === 204 ? null : await response.json().catch(() => null);
  if (response.ok && value !== null) return value;
  if (response.status === 401) {
    const here = location.pathname + location.search;
    location.assign(`/login?next=${encodeURIComponent(here)}`);
  }
  throw new Problem({
    code: value?.code ?? "internal",
    detail: value?.detail ?? "",
    status: response.status,
    retryable: value?.retryable ?? response.status >= 502,
    requestId: value?.request_id ?? "",
    context: value?.context ?? {},
  });
}

/** Call the API. Every step may be sent again, so a lost answer is asked for again. */
export async function call(method, path, body) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await once(method, path, body);
    } catch (problem) {
      if (!problem.retryable || tried === TRIES) throw problem;
      await pause(WAIT_MS * tried);
    }
  }
}

/** Bytes of one of our own files. */
export async function download(path) {
  try {
    const response = await fetch(path, { credentials: "same-origin", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    throw new Problem({ code: "internal", detail: `${response.status}`, status: response.status });
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem({ code: "device.offline", detail: String(error), retryable: true });
  }
}

/** Show a refusal: what happened, its code, what to do. */
export function showProblem(place, error, text) {
  const code = error.code ?? "device.unexpected";
  place.replaceChildren();
  const title = document.createElement("strong");
  title.textContent = text.has(`error.${code}`) ? text(`error.${code}`, error.context ?? {}) : error.detail || error.message || code;
  const advice = document.createElement("p");
  advice.textContent = text(
    // What was sent has a fault: its sender mends it, and no operator can.
    text.has(`do.${code}`) ? `do.${code}` : error.retryable ? "do.retry" : error.status === 422 && text.has("do.mend") ? "do.mend" : "do.other",
  );
  const small = document.createElement("p");
  small.className = "small soft";
  small.textContent = error.requestId ? `${code} · ${error.requestId}` : code;
  place.append(title, advice, small);
  place.dataset.code = code;
  place.hidden = false;
  place.scrollIntoView({ block: "nearest" });
}

/** Go on in `place` where the step that had the focus went away: keys and screen readers follow what is shown. */
export function takeFocus(place) {
  const held = document.activeElement;
  if (held && held !== document.body && held.getClientRects().length > 0) return;
  const heading = place.querySelector("h2");
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

export function hideProblem(place) {
  place.hidden = true;
  place.replaceChildren();
  delete place.dataset.code;
}

/** `2026-11-23 13:36` in Beijing time, as the server-made parts of the page show it. */
export function showTime(iso) {
  return new Date(iso).toLocaleString("sv-SE", { timeZone: "Asia/Shanghai" }).slice(0, 16);
}

/** Run `work` with the button shown busy; a second press meanwhile does nothing. */
export async function busy(button, label, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  const before = button.textContent;
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  button.textContent = label;
  try {
    await work();
  } finally {
    button.removeAttribute("aria-busy");
    button.disabled = false;
    button.textContent = before;
  }
}
