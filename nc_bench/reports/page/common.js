// What all parts of the page use: elements, colours of the style sheet, numbers as text, arrays from base64.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes = {}, text = null) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function short(value, digits = 4) {
  if (value === null || !Number.isFinite(value)) return "undefined";
  return value === 0 ? "0" : String(Number(value.toPrecision(digits)));
}

function decoded(text, Type) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at++) bytes[at] = raw.charCodeAt(at);
  return new Type(bytes.buffer);
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// A small box with text beside a point of its parent; empty text hides it.
class Tip {
  constructor(parent) {
    this.parent = parent;
    this.box = element("div", { class: "tip", role: "status" });
    this.box.hidden = true;
    parent.append(this.box);
  }

  show(text, x, y) {
    this.box.hidden = !text;
    if (!text) return;
    this.box.textContent = text;
    const room = this.parent.clientWidth - this.box.offsetWidth;
    this.box.style.left = `${clamp(x + 14, 0, Math.max(room, 0))}px`;
    this.box.style.top = `${y + 14}px`;
  }
}

const stillness = matchMedia("(prefers-reduced-motion: reduce)");

// Calls back where the look may have changed: scheme, printing, width of the element.
function onLook(node, callback) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
  new ResizeObserver(() => requestAnimationFrame(callback)).observe(node);
  addEventListener("beforeprint", () => {
    document.documentElement.dataset.print = "";
    callback();
  });
  addEventListener("afterprint", () => {
    delete document.documentElement.dataset.print;
    callback();
  });
}
