// A CSV file, first tried and then sent, a slice at a time, with a line for each row. Sending the same file
// from the same page again finishes what was left and doubles nothing.

import { busy, hideProblem, Problem, showProblem, textsOf } from "./page.js";

const TIMEOUT_MS = 120_000;

const root = document.getElementById("bulk");
const text = textsOf(root);
const part = (name) => root.querySelector(`[data-part="${name}"]`);
const form = part("form");
const problem = part("problem");
const slice = Number(root.dataset.slice);

function order() {
  const values = new FormData(form);
  return {
    id: root.dataset.order,
    template: "donation",
    own_party: values.get("own_party"),
    title: values.get("title"),
    matter: "donation",
    // The end of that day in Beijing.
    expires_at: `${values.get("expires")}T23:59:59+08:00`,
    data: {},
    no_amount: values.get("no_amount") === "yes",
    point_out: values.get("point_out") === "yes",
    ask: values.get("ask").split("\n").map((one) => one.trim()).filter(Boolean),
    read_seconds_min: Number(values.get("read_seconds") || 0),
    place_of_formation: values.get("place_of_formation").trim() || null,
    clauses: values
      .getAll("clause_text")
      .map((clause, index) => ({ kind: values.getAll("clause_kind")[index], text: clause, explanation: values.getAll("clause_note")[index] }))
      .filter((one) => one.text.trim()),
  };
}

async function once(first, check) {
  const body = new FormData();
  body.append("file", form.elements.file.files[0]);
  body.append("order", JSON.stringify(order()));
  let response;
  try {
    response = await fetch(`/api/v1/agreements/bulk?first=${first}&count=${slice}&check=${check}`, {
      method: "POST", body, headers: { Accept: "application/json" }, credentials: "same-origin", signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new Problem({ code: "device.offline", detail: String(error), retryable: true });
  }
  const value = await response.json().catch(() => null);
  if (response.ok && value !== null) return value;
  throw new Problem({ code: value?.code ?? "internal", detail: value?.detail ?? "", status: response.status, requestId: value?.request_id ?? "", context: value?.context ?? {} });
}

function line(one) {
  const item = document.createElement("li");
  item.className = "row between";
  const name = document.createElement(one.outcome.startsWith("sent") ? "a" : "span");
  if (one.outcome.startsWith("sent")) name.href = `/agreements/${one.agreement_id}`;
  name.textContent = text("bulk.row", { number: one.number });
  const badge = document.createElement("span");
  badge.className = `badge ${one.outcome === "refused" ? "bad" : "good"}`;
  badge.textContent = text(`bulk.outcome.${one.outcome}`);
  item.append(name, badge);
  if (one.outcome === "refused") {
    const why = document.createElement("p");
    why.className = "small";
    const told = text.has(`error.${one.code}`) ? text(`error.${one.code}`) : one.message;
    why.textContent = [one.field, told, one.code].filter(Boolean).join(" · ");
    item.append(why);
  }
  return item;
}

async function run(check) {
  hideProblem(problem);
  part("rows").replaceChildren();
  part("report").hidden = false;
  part("bar").hidden = false;
  part("bar").value = 0;
  let good = 0;
  let done = 0;
  for (let first = 1; first !== null; ) {
    const told = await once(first, check);
    part("rows").append(...told.report.map(line));
    done += told.report.length;
    good += told.report.filter((one) => one.outcome !== "refused").length;
    part("bar").max = told.rows;
    part("bar").value = done;
    part("told").textContent = text(check ? "bulk.told.check" : "bulk.told.sent", { good, bad: done - good, rows: told.rows });
    first = told.next;
  }
  part("send-button").disabled = good === 0;
}

function start(button, check) {
  return busy(button, text("sign.busy"), () => run(check).catch((error) => showProblem(problem, error, text)));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  await start(part("check-button"), true);
  part("send-button").disabled = part("rows").querySelector(".badge.good") === null;
});
part("send-button").addEventListener("click", () => start(part("send-button"), false));
form.addEventListener("change", () => {
  part("send-button").disabled = true;
});
