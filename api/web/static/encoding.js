// Bytes as text, and the canonical JSON that is hashed and signed. Same bytes as ledger/core/canonical.py:
// keys sorted, no white space, integers only; anything else is refused, never repaired.

const DEPTH_MAX = 64;

export class EncodingError extends Error {
  constructor(code, detail) {
    super(detail);
    this.code = code;
  }
}

export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromHex(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new EncodingError("device.malformed", "not hex");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function toBase64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

export function fromBase64(text) {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function equal(a, b) {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** Whether `inner` stands somewhere in `outer`. */
export function includes(outer, inner) {
  return toHex(outer).includes(toHex(inner));
}

export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

export function canonicalText(value, depth = 0) {
  if (depth > DEPTH_MAX) throw new EncodingError("device.statement", "nested too deep");
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      throw new EncodingError("device.statement", "only safe integers are signed");
    }
    return String(value);
  }
  if (typeof value === "string") {
    // A lone surrogate has no UTF-8 form.
    if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value)) {
      throw new EncodingError("device.statement", "text with a lone surrogate");
    }
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) {
    return `[${value.map((item) => canonicalText(item, depth + 1)).join(",")}]`;
  }
  if (typeof value === "object") {
    const keys = Object.keys(value).sort();
    if (keys.some((key) => !/^[\x00-\x7f]*$/.test(key))) {
      throw new EncodingError("device.statement", "object keys are ASCII");
    }
    return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalText(value[key], depth + 1)}`).join(",")}}`;
  }
  throw new EncodingError("device.statement", "no canonical form");
}

export function canonicalBytes(value) {
  return new TextEncoder().encode(canonicalText(value));
}
