// The simplex in motion: a canvas for each split, a slider over the epochs, turned by dragging.

const SPATIAL = 4;
const NEAR_PIXELS = 14;
const MOST_NAMED = 20;

function readMotion(packed) {
  const frames = packed.frames.map((frame) => {
    const made = { epoch: frame.epoch, scale: frame.scale, radius: frame.radius, weightScale: frame.weightScale };
    for (const split of ["train", "test"]) {
      made[split] = decoded(frame[split], Int16Array);
      made[`${split}Polygon`] = decoded(frame[`${split}Polygon`], Int16Array);
      made[`${split}Distance`] = decoded(frame[`${split}Distance`], Float32Array);
    }
    for (const part of ["means", "weight", "vertices"]) {
      made[part] = decoded(frame[part], Float32Array);
      made[`${part}Polygon`] = decoded(frame[`${part}Polygon`], Float32Array);
    }
    return made;
  });
  const splits = packed.splits.map((split) =>
    ({ ...split, labels: decoded(split.labels, Int32Array), rows: decoded(split.rows, Int32Array) }));
  return { ...packed, frames, splits };
}

// One run. `look` is what is chosen of it, `stops` the picture at each place of the slider: both are the player's, and
// several runs may share the first.
class Simplex {
  constructor(root, packed, look, stops = null) {
    Object.assign(this, { root, look });
    this.motion = readMotion(packed);
    this.stops = stops ?? this.motion.frames.map((_, index) => index);
    this.place = this.stops.length - 1;
    this.cache = new Map();
    this.onTurn = () => this.draw();
    this.panels = this.motion.splits.map((split) => this.panel(split));
    onLook(root, () => this.draw());
  }

  get frame() {
    return this.motion.frames[this.stops[Math.round(this.place)]];
  }

  // The classes whose means span what is seen in space: those chosen, as far as this run has them.
  get chosen() {
    const own = this.look.chosen.filter((label) => label < this.motion.shown);
    for (let label = 0; own.length < Math.min(SPATIAL, this.motion.shown); label++) {
      if (!own.includes(label)) own.push(label);
    }
    return own;
  }

  isDrawn(part) {
    return this.look.drawn.has(part) && (part !== "weight" || this.motion.hasWeight);
  }

  show(place) {
    this.place = place;
    this.draw();
  }

  // What is drawn of a picture, before turning: arrays of three numbers a point.
  parts(index) {
    const key = `${this.look.view} ${this.look.view === "space" ? this.chosen : ""} ${index}`;
    if (!this.cache.has(key)) {
      if (this.cache.size > 80) this.cache.clear();
      const frame = this.motion.frames[index];
      this.cache.set(key, this.look.view === "space"
        ? inSpan(frame, this.motion, this.chosen) : onPolygon(frame, this.motion));
    }
    return this.cache.get(key);
  }

  // The same between two pictures: on the straight line from one to the other.
  between(place) {
    const low = Math.floor(place);
    const share = place - low;
    const here = this.parts(this.stops[low]);
    if (share === 0 || this.stops[low] === this.stops[low + 1]) return here;
    const there = this.parts(this.stops[low + 1]);
    const mixed = {};
    for (const part of Object.keys(here)) {
      mixed[part] = here[part].map((value, at) => value + share * (there[part][at] - value));
    }
    return mixed;
  }

  reach(place) {
    const far = (points) => {
      let most = 0;
      for (let at = 0; at < points.length; at += 3) {
        most = Math.max(most, Math.hypot(points[at], points[at + 1], points[at + 2]));
      }
      return most;
    };
    const corners = (parts) => Math.max(far(parts.means), far(parts.vertices));
    if (this.look.fitted) return 1.35 * far(this.between(place).means) || 1;
    const key = `reach ${this.look.view} ${this.chosen}`;
    if (this.reachKey !== key) {
      this.reachKey = key;
      const all = this.motion.frames.map((_, index) => this.parts(index));
      const most = Math.max(...all.map(corners));
      const samples = Math.max(...all.map((parts) => Math.max(far(parts.train), far(parts.test))));
      this.reachFound = Math.max(1.18 * most, Math.min(1.05 * samples, 2 * most)) || 1;
    }
    return this.reachFound;
  }

  panel(split) {
    const canvas = this.root.querySelector(`canvas[data-split="${split.name}"]`);
    const panel = { split, canvas, tip: new Tip(canvas.parentElement), points: [] };
    let last = null;
    canvas.addEventListener("pointerdown", (event) => {
      last = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointerup", () => (last = null));
    canvas.addEventListener("pointercancel", () => (last = null));
    canvas.addEventListener("pointermove", (event) => {
      if (last && event.buttons) {
        this.rotate((event.clientX - last[0]) / 130, (event.clientY - last[1]) / 130);
        last = [event.clientX, event.clientY];
      }
      this.hover(panel, event.offsetX, event.offsetY);
    });
    canvas.addEventListener("pointerleave", () => panel.tip.show(""));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.12], ArrowDown: [0, 0.12] };
      if (!(event.key in step)) return;
      event.preventDefault();
      this.rotate(...step[event.key]);
    });
    return panel;
  }

  rotate(yaw, pitch) {
    const { turn, view } = this.look;
    if (view !== "space") return;
    turn.yaw += yaw;
    turn.pitch = clamp(turn.pitch + pitch, -1.57, 1.57);
    this.onTurn();
  }

  draw() {
    const parts = this.between(this.place);
    const reach = this.reach(this.place);
    for (const panel of this.panels) this.paint(panel, parts, reach);
    this.say();
  }

  say() {
    const { frame } = this;
    const said = [];
    const all = Math.max(...frame.means.map(Math.abs), 0);
    const largest = Math.max(...this.motion.frames.map((other) => Math.max(...other.means.map(Math.abs), 0)));
    if (all <= 1e-12 * largest || largest === 0) said.push("All class means coincide at this epoch.");
    if (this.isDrawn("weight")) {
      said.push(`Rows of W are drawn at ${short(frame.weightScale, 3)} times their length.`);
    }
    if (this.look.fitted) said.push("Every epoch is drawn at its own scale, so that its class means fill the picture.");
    this.root.querySelector('[data-motion="scale"]').textContent = said.join(" ");
  }

  turned(points, at, view) {
    const [x, y, z] = [points[at], points[at + 1], points[at + 2]];
    if (this.look.view === "polygon") return [view.middle + x * view.unit, view.middle - y * view.unit, 0];
    const right = x * view.cosYaw + z * view.sinYaw;
    const depth = z * view.cosYaw - x * view.sinYaw;
    const up = y * view.cosPitch - depth * view.sinPitch;
    return [view.middle + right * view.unit, view.middle - up * view.unit, depth * view.cosPitch + y * view.sinPitch];
  }

  paint(panel, parts, reach) {
    const { canvas, split } = panel;
    const size = canvas.clientWidth;
    if (size === 0) return;
    const sharp = Math.max(devicePixelRatio, 2);
    if (canvas.width !== Math.round(size * sharp)) canvas.width = canvas.height = Math.round(size * sharp);
    const pen = canvas.getContext("2d");
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.clearRect(0, 0, size, size);
    const view = {
      middle: size / 2, unit: size / 2 / reach, reach,
      cosYaw: Math.cos(this.look.turn.yaw), sinYaw: Math.sin(this.look.turn.yaw),
      cosPitch: Math.cos(this.look.turn.pitch), sinPitch: Math.sin(this.look.turn.pitch),
    };
    this.edges(pen, parts, view);
    panel.points = this.items(split, parts, view);
    for (const item of panel.points) drawItem(pen, item);
    this.names(pen, parts, view);
    canvas.setAttribute("aria-label", this.described(split));
  }

  labels() {
    return this.look.view === "space" ? this.motion.shown : this.motion.classes;
  }

  edges(pen, parts, view) {
    if (!this.look.drawn.has("vertices")) return;
    const ends = this.look.view === "space" ? this.chosen : Array.from({ length: this.labels() }, (_, label) => label);
    pen.strokeStyle = colour("--soft");
    pen.lineWidth = 0.8;
    pen.globalAlpha = 0.55;
    pen.beginPath();
    ends.forEach((one, at) => {
      const others = this.look.view === "space" ? ends.slice(at + 1) : [ends[(at + 1) % ends.length]];
      for (const other of others) {
        pen.moveTo(...this.turned(parts.vertices, 3 * one, view).slice(0, 2));
        pen.lineTo(...this.turned(parts.vertices, 3 * other, view).slice(0, 2));
      }
    });
    pen.stroke();
    pen.globalAlpha = 1;
  }

  items(split, parts, view) {
    const items = [];
    const small = Math.min(1, Math.sqrt(12 / this.labels()));
    const { chosen } = this;
    const hues = Array.from({ length: 10 }, (_, at) => colour(`--c${at}`));
    const [ink, ground] = [colour("--ink"), colour("--panel")];
    const add = (kind, label, points, at, index) => {
      if (this.look.off.has(label) || !this.isDrawn(kind)) return;
      const [x, y, depth] = this.turned(points, 3 * at, view);
      const isFaint = this.look.view === "space" && !chosen.includes(label);
      items.push({ kind, label, index, x, y, depth, isFaint, size: small * (1 + 0.25 * clamp(depth / view.reach, -1, 1)),
        hue: hues[label] ?? `hsl(${(360 * label) / this.motion.classes} 55% 50%)`,
        ink, ground });
    };
    split.labels.forEach((label, at) => {
      if (label < this.labels()) add("samples", label, parts[split.name], at, at);
    });
    items.sort((one, other) => one.depth - other.depth);
    for (let label = 0; label < this.labels(); label++) {
      add("vertices", label, parts.vertices, label);
      add("weight", label, parts.weight, label);
      add("means", label, parts.means, label);
    }
    return items;
  }

  names(pen, parts, view) {
    if (this.labels() > MOST_NAMED) return;
    pen.font = "12px Helvetica, Arial, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineWidth = 3;
    pen.strokeStyle = colour("--panel");
    pen.fillStyle = colour("--ink");
    const corners = this.look.drawn.has("vertices") ? parts.vertices : parts.means;
    for (let label = 0; label < this.labels(); label++) {
      if (this.look.off.has(label) || (this.look.view === "space" && !this.chosen.includes(label))) continue;
      const [x, y] = this.turned(corners, 3 * label, view);
      const away = Math.hypot(x - view.middle, y - view.middle) || 1;
      const name = this.motion.names[label];
      const text = name.length > 14 ? `${name.slice(0, 13)}…` : name;
      const half = pen.measureText(text).width / 2;
      const place = [x + ((x - view.middle) / away) * (14 + half), y + ((y - view.middle) / away) * 20];
      place[0] = clamp(place[0], half + 2, 2 * view.middle - half - 2);
      pen.strokeText(text, ...place);
      pen.fillText(text, ...place);
    }
  }

  hover(panel, x, y) {
    let nearest = null;
    let least = NEAR_PIXELS;
    for (const item of panel.points) {
      const away = Math.hypot(item.x - x, item.y - y);
      if (away < least || (away === least && item.kind !== "samples")) [least, nearest] = [away, item];
    }
    panel.tip.show(nearest ? this.told(panel.split, nearest) : "", x, y);
  }

  told(split, item) {
    const { frame } = this;
    const name = `class ${this.motion.names[item.label]}`;
    if (item.kind === "samples") {
      const away = frame[`${split.name}Distance`][item.index];
      const share = frame.radius > 0 ? ` (${short((100 * away) / frame.radius, 3)} % of its radius)` : "";
      return `${name}, sample ${split.rows[item.index]}, epoch ${frame.epoch}\n`
        + `distance to its vertex ${short(away, 3)}${share}`;
    }
    const what = { means: "class mean of the training samples", weight: "row of W", vertices: "vertex" }[item.kind];
    return `${what}, ${name}, epoch ${frame.epoch}`;
  }

  described(split) {
    const { frame } = this;
    const away = frame[`${split.name}Distance`];
    const mean = away.length ? away.reduce((sum, value) => sum + value, 0) / away.length : NaN;
    const where = this.look.view === "space"
      ? `the span of classes ${this.chosen.map((label) => this.motion.names[label]).join(", ")}`
      : "the plane in which the simplex is a regular polygon";
    return `${split.title} at epoch ${frame.epoch}, in ${where}: ${away.length} samples, on average ${short(mean, 3)} `
      + `away from the vertices of their classes, which are at radius ${short(frame.radius, 3)}.`;
  }
}

function drawItem(pen, item) {
  const alpha = item.isFaint ? 0.18 : 1;
  pen.globalAlpha = item.kind === "samples" ? 0.75 * alpha : alpha;
  pen.beginPath();
  if (item.kind === "weight") {
    const size = 7 * item.size;
    pen.moveTo(item.x, item.y - size);
    pen.lineTo(item.x + size, item.y + 0.75 * size);
    pen.lineTo(item.x - size, item.y + 0.75 * size);
    pen.closePath();
  } else {
    const size = { samples: 2.2, means: 5.5, vertices: 10 }[item.kind] * item.size;
    pen.arc(item.x, item.y, size, 0, 2 * Math.PI);
  }
  if (item.kind === "samples" || item.kind === "means") {
    pen.fillStyle = item.hue;
    pen.fill();
  }
  if (item.kind !== "samples") {
    pen.lineWidth = item.kind === "means" ? 1.2 : 1.6;
    pen.strokeStyle = item.kind === "weight" ? item.hue : item.ink;
    pen.stroke();
  }
  pen.globalAlpha = 1;
}
