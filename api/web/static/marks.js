// What goes onto the page with a signature: a seal, the same across page edges, handwriting. Strokes are kept as
// whole numbers in thousandths of the pad's width, so that the same writing is the same on every screen.

const UNIT = 1000;
const STROKES_MAX = 100;
const POINTS_MAX = 5000;
const STEP_MIN = 4; // thousandths: points closer than this show nothing

export class Pad {
  constructor(root) {
    this.strokes = [];
    this.canvas = root.querySelector("canvas");
    this.undoButton = root.querySelector("[data-pad='undo']");
    this.clearButton = root.querySelector("[data-pad='clear']");
    this.current = null;
    for (const [name, handle] of [
      ["pointerdown", (event) => this.begin(event)],
      ["pointermove", (event) => this.go(event)],
      ["pointerup", () => this.end()],
      ["pointercancel", () => this.cancel()],
    ]) this.canvas.addEventListener(name, handle);
    this.undoButton.addEventListener("click", () => { this.strokes.pop(); this.show(); });
    this.clearButton.addEventListener("click", () => { this.strokes = []; this.show(); });
    new ResizeObserver(() => this.show()).observe(this.canvas);
  }

  get points() {
    return this.strokes.reduce((sum, stroke) => sum + stroke.length, 0);
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = UNIT / box.width;
    const within = (value) => Math.min(UNIT, Math.max(0, Math.round(value)));
    return [within((event.clientX - box.left) * scale), within((event.clientY - box.top) * scale)];
  }

  begin(event) {
    if (event.button > 0 || this.current || this.strokes.length >= STROKES_MAX) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.current = [this.point(event)];
    this.strokes.push(this.current);
    this.show();
  }

  go(event) {
    if (!this.current || event.pointerId !== this.pointer) return;
    event.preventDefault();
    for (const one of event.getCoalescedEvents?.() ?? [event]) {
      const [x, y] = this.point(one);
      const [lastX, lastY] = this.current.at(-1);
      if (this.points < POINTS_MAX && Math.abs(x - lastX) + Math.abs(y - lastY) >= STEP_MIN) this.current.push([x, y]);
    }
    this.show();
  }

  end() {
    this.current = null;
  }

  cancel() {
    if (this.current) this.strokes.pop();
    this.current = null;
    this.show();
  }

  /** Draw anew: also after the screen was turned, when a canvas is empty. */
  show() {
    const box = this.canvas.getBoundingClientRect();
    const density = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(box.width * density);
    this.canvas.height = Math.round(box.height * density);
    const scale = this.canvas.width / UNIT;
    const pen = this.canvas.getContext("2d");
    pen.lineWidth = Math.max(2, this.canvas.width / 140);
    pen.lineCap = "round";
    pen.lineJoin = "round";
    pen.strokeStyle = "#1a2e66";
    for (const stroke of this.strokes) {
      pen.beginPath();
      pen.moveTo(stroke[0][0] * scale, stroke[0][1] * scale);
      for (let n = 1; n < stroke.length - 1; n += 1) {
        const [x, y] = stroke[n];
        const [nextX, nextY] = stroke[n + 1];
        pen.quadraticCurveTo(x * scale, y * scale, ((x + nextX) / 2) * scale, ((y + nextY) / 2) * scale);
      }
      const [lastX, lastY] = stroke.at(-1);
      pen.lineTo(lastX * scale, lastY * scale);
      pen.stroke();
    }
    this.undoButton.disabled = this.clearButton.disabled = this.strokes.length === 0;
    this.canvas.dataset.strokes = String(this.strokes.length);
  }
}

/** The marks of the page: `chosen()` is the body that the server takes with the preparation. */
export function marksOf(root) {
  const part = root.querySelector('[data-part="marks"]');
  if (!part) return { chosen: () => ({}) };
  const pad = new Pad(part.querySelector("[data-pad='pad']"));
  const seal = () => part.querySelector("input[name='mark-seal']:checked")?.value || null;
  const edge = part.querySelector("input[name='mark-edge']");
  const showEdge = () => { if (edge) edge.closest("label").hidden = !seal(); };
  part.addEventListener("change", showEdge);
  showEdge();
  return {
    chosen: () => ({
      seal_id: seal(),
      edge: Boolean(seal() && edge?.checked),
      strokes: pad.strokes,
    }),
  };
}
