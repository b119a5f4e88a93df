// Forms with files or passwords: sent without leaving the page, so that a refusal loses nothing that was
// typed or chosen. Without this file the same form works; the browser then empties file and password fields.

import { busy } from "./page.js";

function showFaults(form, answer) {
  const alert = form.querySelector("[data-fault-alert]");
  const told = answer.querySelector("[data-fault-alert]");
  alert.replaceChildren(...(told ? told.childNodes : []));
  for (const place of form.querySelectorAll("[data-fault-of]")) {
    const name = place.dataset.faultOf;
    const fault = answer.querySelector(`[data-fault-of="${name}"]`);
    place.replaceChildren(...(fault ? fault.childNodes : []));
    const field = form.elements.namedItem(name);
    if (field?.setAttribute) {
      if (place.childNodes.length) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
  }
  (form.querySelector('[aria-invalid="true"]') ?? alert).scrollIntoView({ block: "center" });
  form.querySelector('[aria-invalid="true"]')?.focus();
}

for (const form of document.querySelectorAll("form[data-inline]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    const button = form.querySelector('button[type="submit"]');
    busy(button, button.dataset.busy, async () => {
      try {
        const response = await fetch(form.action, {
          method: "POST",
          body: new FormData(form),
          headers: { Accept: "text/html" },
          credentials: "same-origin",
        });
        if (response.redirected && response.ok) {
          location.assign(response.url);
          return;
        }
        const answer = new DOMParser().parseFromString(await response.text(), "text/html");
        if (answer.querySelector("[data-fault-alert]")) showFaults(form, answer);
        else form.querySelector("[data-fault-alert]").replaceChildren(...answer.querySelector("main").childNodes);
      } catch {
        const alert = form.querySelector("[data-fault-alert]");
        const note = document.createElement("div");
        note.className = "note bad";
        note.setAttribute("role", "alert");
        note.textContent = form.dataset.offline;
        alert.replaceChildren(note);
      }
    });
  }, { capture: true });
}

// Fields that only one choice needs: `data-when="kind=lot"`.
for (const part of document.querySelectorAll("[data-when]")) {
  const [name, value] = part.dataset.when.split("=");
  const form = part.closest("form");
  const show = () => { part.hidden = form.elements.namedItem(name).value !== value; };
  form.addEventListener("change", show);
  show();
}
