// My page: the key of this device. Made here, certified by the server, never sent.

import * as device from "./device.js";
import { busy, call, hideProblem, showProblem, showTime, textsOf } from "./page.js";

const card = document.getElementById("device");

if (card) {
  const text = textsOf(card);
  const owner = device.ownerOf(card.dataset);
  const part = (name) => card.querySelector(`[data-part="${name}"]`);
  const problem = part("problem");

  const next = new URLSearchParams(location.search).get("next") ?? "";
  const back = /^\/agreements\/[a-z0-9_]+\/sign$/.test(next) ? next : null;

  async function show() {
    device.requireSupport();
    const [record, certificates] = await Promise.all([
      device.load(owner),
      call("GET", "/api/v1/certificates"),
    ]);
    const state = device.standing(record, certificates);
    const mine = certificates.find((one) => one.spki_sha256 === record?.spkiSha256);
    const shown = mine ?? (state === "elsewhere" ? certificates[0] : null);
    card.dataset.state = state;
    part("badge").textContent = text(`device.state.${state}`);
    part("badge").className = `badge ${{ ready: "good", none: "", uncertified: "warn" }[state] ?? "warn"}`;
    part("text").textContent = text(`device.text.${state}`);
    part("facts").hidden = !shown && !record;
    part("key").textContent = record?.spkiSha256 ?? text("device.not_here");
    part("serial").textContent = shown?.serial ?? "–";
    part("validity").textContent = shown
      ? `${showTime(shown.not_before)} – ${showTime(shown.not_after)}`
      : "–";
    part("never").hidden = !record;
    const make = part("make");
    make.hidden = state === "ready";
    make.textContent = text(
      { none: "device.make", uncertified: "device.finish" }[state] ?? "device.make_new",
    );
    part("replaces").hidden = !["elsewhere", "superseded", "ended"].includes(state);
    part("back").hidden = !(back && state === "ready");
    if (back) part("back").href = back;
  }

  async function make() {
    hideProblem(problem);
    // A key that lost its standing is of no use any more; one without a certificate is finished instead.
    if (["superseded", "ended"].includes(card.dataset.state)) await device.forget(owner);
    const record = await device.create(owner);
    const issued = await call("POST", "/api/v1/certificates", {
      csr_base64: await device.request(record, card.dataset.person),
    });
    await device.keepCertificate(record, { id: issued.id, serial: issued.serial });
  }

  const attempt = async (work) => {
    try {
      await work();
      await show();
    } catch (error) {
      card.dataset.state = "refused";
      part("badge").textContent = text("device.state.refused");
      part("badge").className = "badge bad";
      part("text").textContent = "";
      showProblem(problem, error, text);
    }
  };
  part("make").addEventListener("click", () =>
    busy(part("make"), text("device.making"), () => attempt(make)).then(() => show().catch(() => {})),
  );
  attempt(async () => {});
}
