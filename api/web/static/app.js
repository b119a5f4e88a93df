// Conveniences only: every page works without this file.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.dataset.copy;
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Plain HTTP on a phone has no clipboard API: select the text for the person instead.
    const code = button.parentElement.querySelector("code");
    if (code) getSelection().selectAllChildren(code);
    return;
  }
  button.textContent = button.dataset.done;
  setTimeout(() => { button.textContent = before; }, 1600);
});

document.addEventListener("submit", (event) => {
  const button = event.target.querySelector("button[data-busy]");
  if (!button) return;
  button.setAttribute("aria-busy", "true");
  button.dataset.label = button.textContent;
  button.textContent = button.dataset.busy;
});

// Coming back with the browser's back button must not show a busy form.
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll('button[aria-busy="true"]')) {
    button.removeAttribute("aria-busy");
    if (button.dataset.label) button.textContent = button.dataset.label;
  }
});

for (const drop of document.querySelectorAll(".drop")) {
  const input = drop.querySelector('input[type="file"]');
  if (!input) continue;
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) input.files = event.dataTransfer.files;
    });
  }
}

for (const select of document.querySelectorAll("select[data-submit]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
