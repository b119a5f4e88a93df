// One box for each signer, put on the pages by tapping, dragging, keys, or beside a text of the document.
// Places are whole points from the lower left corner of the page as it is seen; the server checks them again.

import { busy, call, hideProblem, showProblem, textsOf } from "./page.js";

const SIDE_MIN = 40;
const USUAL = { width: 180, height: 110 };

const root = document.getElementById("place");
const text = textsOf(root);
const part = (name) => root.querySelector(`[data-part="${name}"]`);
const path = `/api/v1/placement/${root.dataset.draft}`;
const sheets = [...root.querySelectorAll(".place-sheet")].map((figure) => ({
  figure,
  image: figure.querySelector("img"),
  page: Number(figure.dataset.page),
  width: Number(figure.dataset.width),
  height: Number(figure.dataset.height),
}));
const signers = JSON.parse(part("signers").textContent);
const form = root.querySelector("form");
const within = (value, low, high) => Math.round(Math.min(Math.max(value, low), Math.max(low, high)));

const boxes = signers.map((signer, index) => {
  const element = part("box").content.firstElementChild.cloneNode(true);
  element.classList.add(`place-${index + 1}`);
  element.dataset.box = String(index + 1);
  element.querySelector("span").textContent = `${index + 1} · ${signer.organisation}`;
  const box = { index, element, page: 0, x: 0, y: 0, ...USUAL };
  element.addEventListener("pointerdown", (event) => grab(box, event));
  element.addEventListener("keydown", (event) => press(box, event));
  element.addEventListener("focus", () => choose(index));
  return box;
});

const chosen = () => boxes[Number(form.elements.which.value) - 1];
const choose = (index) => { form.elements.which.value = String(index + 1); };
const sheetOf = (box) => sheets[box.page - 1];

/** Keep the box on its page and show it there. */
function show(box, { tell = true } = {}) {
  const sheet = sheetOf(box);
  if (!sheet) return;
  box.width = within(box.width, SIDE_MIN, sheet.width);
  box.height = within(box.height, SIDE_MIN, sheet.height);
  box.x = within(box.x, 0, sheet.width - box.width);
  box.y = within(box.y, 0, sheet.height - box.height);
  if (box.element.parentElement !== sheet.figure) {
    const focused = document.activeElement === box.element;
    sheet.figure.append(box.element);
    if (focused) box.element.focus();
  }
  const scale = sheet.image.clientWidth / sheet.width;
  const style = box.element.style;
  style.left = `${sheet.image.offsetLeft + box.x * scale}px`;
  style.top = `${sheet.image.offsetTop + (sheet.height - box.y - box.height) * scale}px`;
  style.width = `${box.width * scale}px`;
  style.height = `${box.height * scale}px`;
  const where = text("place.where", { page: box.page, x: box.x, y: box.y, width: box.width, height: box.height });
  box.element.setAttribute("aria-label", `${box.element.querySelector("span").textContent} · ${where}`);
  if (tell) part("told").textContent = `${box.index + 1}: ${where}`;
}

const showAll = () => { for (const box of boxes) if (box.page) show(box, { tell: false }); };

/** Where a pointer is on the pages: the page under it and the point in its space. */
function pointOn(event) {
  for (const sheet of sheets) {
    const edge = sheet.image.getBoundingClientRect();
    if (event.clientY < edge.top || event.clientY > edge.bottom || event.clientX < edge.left || event.clientX > edge.right) continue;
    const scale = edge.width / sheet.width;
    return { sheet, x: (event.clientX - edge.left) / scale, y: sheet.height - (event.clientY - edge.top) / scale };
  }
  return null;
}

function grab(box, event) {
  if (event.button > 0) return;
  event.preventDefault();
  box.element.focus();
  choose(box.index);
  const sizing = event.target.hasAttribute("data-grip");
  const from = pointOn(event);
  if (!from) return;
  const start = { ...box };
  box.element.setPointerCapture(event.pointerId);
  const move = (next) => {
    const to = pointOn(next);
    if (!to) return;
    if (sizing) {
      if (to.sheet.page !== start.page) return;
      box.width = start.width + (to.x - from.x);
      box.height = Math.max(SIDE_MIN, start.height + (from.y - to.y));
      box.y = start.y + start.height - box.height;
    } else {
      box.page = to.sheet.page;
      box.x = to.x - (from.x - start.x);
      box.y = to.y - (from.y - start.y);
    }
    show(box);
  };
  const end = () => {
    box.element.removeEventListener("pointermove", move);
    box.element.removeEventListener("pointerup", end);
    box.element.removeEventListener("pointercancel", end);
  };
  box.element.addEventListener("pointermove", move);
  box.element.addEventListener("pointerup", end);
  box.element.addEventListener("pointercancel", end);
}

function press(box, event) {
  const far = event.shiftKey ? 10 : 1;
  const steps = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
  if (event.key in steps) {
    const [x, y] = steps[event.key];
    if (event.altKey) Object.assign(box, { width: box.width + x, height: box.height - y, y: box.y + y });
    else Object.assign(box, { x: box.x + x, y: box.y + y });
  } else if (event.key === "PageDown" || event.key === "PageUp") {
    box.page = within(box.page + (event.key === "PageDown" ? 1 : -1), 1, sheets.length);
  } else return;
  event.preventDefault();
  show(box);
  box.element.scrollIntoView({ block: "nearest" });
}

// A tap on a page brings the chosen box there.
for (const sheet of sheets) {
  sheet.image.addEventListener("click", (event) => {
    const to = pointOn(event);
    const box = chosen();
    if (!to || !box) return;
    Object.assign(box, { page: to.sheet.page, x: to.x - box.width / 2, y: to.y - box.height / 2 });
    show(box);
    box.element.focus({ preventScroll: true });
  });
  sheet.image.addEventListener("load", showAll);
}
new ResizeObserver(showAll).observe(part("sheets"));

part("find").addEventListener("click", () => busy(part("find"), text("place.finding"), async () => {
  hideProblem(part("problem"));
  const box = chosen();
  const wanted = { anchor: part("anchor").value.trim(), nth: Number(part("nth").value) || 1, width: box.width, height: box.height };
  try {
    const [found] = await call("POST", `${path}/boxes`, { fields: [wanted] });
    Object.assign(box, { page: found.page, x: found.x, y: found.y, width: found.width, height: found.height });
    show(box);
    box.element.scrollIntoView({ block: "center" });
    box.element.focus({ preventScroll: true });
  } catch (error) {
    refused(error, box.index + 1);
  }
}));

/** Say why a box cannot stand there, and bring it into view. */
function refused(error, tried) {
  const covered = error.code === "placement.covered";
  const number = tried ?? error.context?.box;
  if (covered) error.context = { ...error.context, box: number };
  showProblem(part("problem"), error, text);
  if (covered && boxes[number - 1]) choose(number - 1);
}

// The server looks at the places before the page is left: a refusal must not cost what was placed by hand.
let looked = false;
form.addEventListener("submit", (event) => {
  const places = boxes.map(({ page, x, y, width, height }) => ({ page, x, y, width, height }));
  form.elements.fields.value = JSON.stringify(places);
  if (looked) { looked = false; return; }
  event.preventDefault();
  event.stopImmediatePropagation();
  const button = form.querySelector("button[type=submit]");
  busy(button, button.dataset.busy, async () => {
    hideProblem(part("problem"));
    try {
      await call("POST", `${path}/boxes`, { fields: places });
      looked = true;
    } catch (error) {
      refused(error);
    }
  }).then(() => { if (looked) form.requestSubmit(button); });
}, { capture: true });

// At first they stand in a row at the foot of the last page, as they would without this page.
const last = sheets.at(-1);
boxes.forEach((box, index) => {
  const room = (last.width - 72) / boxes.length;
  Object.assign(box, { page: last.page, width: Math.min(room - 12, USUAL.width), x: 36 + index * room, y: 36 });
  show(box, { tell: false });
});
root.dataset.ready = "yes";
