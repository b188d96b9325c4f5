// A point for each complete trial: one measure against another, coloured by a column of the grid.

const NEAR = 16;

// A mark of this shape around a point, as part of a path.
function mark(shape, x, y) {
  const [a, b] = [x.toFixed(1), y.toFixed(1)];
  return [
    `M${a} ${b}m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0z`,
    `M${a} ${b}m-3 -3h6v6h-6z`,
    `M${a} ${b}m0 -3.9l3.7 6.4h-7.4z`,
    `M${a} ${b}m0 -4.2l4.2 4.2l-4.2 4.2l-4.2 -4.2z`,
    `M${a} ${b}m0 3.9l3.7 -6.4h-7.4z`,
    `M${a} ${b}m-1.2 -4h2.4v2.8h2.8v2.4h-2.8v2.8h-2.4v-2.8h-2.8v-2.4h2.8z`,
  ][shape];
}

class Scatter {
  constructor(root, trials) {
    Object.assign(this, { root, trials });
    this.body = root.querySelector(".plot");
    this.tip = new Tip(this.body);
    const find = (name, other) => trials.numbers.find((one) => one.name === name) ?? trials.numbers[other] ?? trials.numbers[0];
    this.ends = { x: find("nc1_quotient", 0), y: find("nc3_duality_centred", 1) };
    this.isLog = { x: this.ends.x.isLog, y: this.ends.y.isLog };
    this.points = [];
    this.cursor = null;
    this.controls();
    trials.listeners.push(() => this.draw());
    onLook(this.body, () => this.draw());
    this.draw();
  }

  controls() {
    const bar = this.root.querySelector("[data-controls]");
    const names = this.trials.numbers.map((one) => one.name);
    for (const [end, words] of [["x", "Across"], ["y", "Up"]]) {
      const log = toggle(`Log, ${words.toLowerCase()}`, this.isLog[end], (isOn) => {
        this.isLog[end] = isOn;
        this.draw();
      });
      bar.append(picker(words, names, this.trials.numbers.indexOf(this.ends[end]), (at) => {
        this.ends[end] = this.trials.numbers[at];
        this.isLog[end] = this.ends[end].isLog;
        log.setAttribute("aria-pressed", String(this.isLog[end]));
        this.draw();
      }), log);
    }
  }

  draw() {
    const width = this.body.clientWidth;
    if (width === 0) return;
    const height = Math.min(460, Math.max(300, Math.round(width * 0.6)));
    const { x, y } = this.ends;
    const shown = this.trials.shown();
    const complete = shown.filter((at) => this.trials.state[at] === this.trials.complete);
    const fits = (value, isLog) => Number.isFinite(value) && (!isLog || value > 0);
    const drawn = complete.filter((at) => fits(x.values[at], this.isLog.x) && fits(y.values[at], this.isLog.y));
    this.svg?.remove();
    const alt = `${y.name} against ${x.name}, ${drawn.length} trials, coloured by ${this.trials.coloured.name}`;
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: 0, "aria-label": alt });
    this.svg = svg;
    this.body.prepend(svg);
    this.points = [];
    this.cursor = null;
    this.tip.show("");
    this.left(shown.length, complete.length, drawn.length);
    this.legend();
    if (!drawn.length) {
      svg.append(shape("text", { x: width / 2, y: height / 2, "text-anchor": "middle", class: "axis" }, "no trial to be drawn"));
      return;
    }
    const [across, up] = [this.axis(drawn, "x", MARGIN.left, width - MARGIN.right),
      this.axis(drawn, "y", height - MARGIN.bottom, MARGIN.top + 14)];
    drawAxes(svg, across, up, x.name);
    svg.append(shape("text", { class: "axis", x: 4, y: 12 }, `↑ ${clipped(y.name, 60)}`));
    this.points = drawn.map((at) => ({ at, x: across.place(x.values[at]), y: up.place(y.values[at]) }));
    this.marks(svg);
    this.ring = shape("circle", { class: "ring", r: 7, visibility: "hidden" });
    svg.append(this.ring);
    this.listen(svg, width);
  }

  axis(drawn, end, from, to) {
    const values = this.ends[end].values;
    let [low, high] = [Infinity, -Infinity];
    for (const at of drawn) [low, high] = [Math.min(low, values[at]), Math.max(high, values[at])];
    if (this.isLog[end]) return new Axis(low / 1.2, high * 1.2, from, to, true);
    const room = 0.05 * (high - low || Math.abs(low) || 1);
    return new Axis(low - room, high + room, from, to, false);
  }

  marks(svg) {
    const column = this.trials.coloured;
    const isScale = this.trials.isScale(column);
    const paths = new Map();
    for (const point of this.points) {
      const code = column.codes[point.at];
      const number = column.labels[code] === "" ? null : column.numbers[code];
      const key = isScale ? (number === null ? -1 : stepOf(number, column.numbers)) : code;
      paths.set(key, (paths.get(key) ?? "") + mark(isScale ? 0 : lookOf(code).shape, point.x, point.y));
    }
    for (const [key, d] of paths) {
      const fill = isScale ? (key < 0 ? "var(--soft)" : stepColour(key)) : `var(${lookOf(key).colour})`;
      svg.append(shape("path", { d, class: "marks", style: `fill: ${fill}` }));
    }
  }

  legend() {
    const column = this.trials.coloured;
    const list = this.root.querySelector("[data-legend]");
    const entry = (d, fill, words) => {
      const svg = shape("svg", { width: 14, height: 14, "aria-hidden": "true" });
      svg.append(shape("path", { d, style: `fill: ${fill}` }));
      return element("li", {}, svg, element("bdi", {}, clipped(words, 80)));
    };
    if (this.trials.isScale(column)) {
      const ends = [column.numbers[0], column.numbers.at(-1)];
      list.replaceChildren(...ends.map((end, at) =>
        entry(mark(0, 7, 7), stepColour(at * (STEPS - 1)), `${column.name} ${short(end)}`)));
      return;
    }
    const looks = this.trials.looks(column);
    const more = looks.length > MOST_CHOICES ? [element("li", {}, `and ${looks.length - MOST_CHOICES} more`)] : [];
    list.replaceChildren(...looks.slice(0, MOST_CHOICES).map((look) =>
      entry(mark(look.shape, 7, 7), `var(${look.colour})`, labelled(column, look.label))), ...more);
  }

  left(shown, complete, drawn) {
    const said = [`${drawn} of ${shown} trials are drawn.`];
    if (shown > complete) said.push(`${shown - complete} are not complete.`);
    if (complete > drawn) said.push(`${complete - drawn} have no value that these axes can show.`);
    if (this.trials.leftOut) said.push(`${this.trials.leftOut} measures are left out, for want of room.`);
    this.root.querySelector("[data-left]").textContent = said.join(" ");
  }

  listen(svg, width) {
    const place = (event) => {
      const box = svg.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.width) * width];
    };
    svg.addEventListener("pointermove", (event) => this.point(this.nearest(...place(event))));
    svg.addEventListener("pointerleave", () => this.point(null));
    svg.addEventListener("blur", () => this.point(null));
    svg.addEventListener("click", (event) => this.open(this.nearest(...place(event))));
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "Enter") this.open(this.cursor);
      else if (step) {
        const order = [...this.points].sort((one, other) => one.x - other.x);
        this.point(order[clamp(order.indexOf(this.cursor) + step, 0, order.length - 1)]);
      } else return;
      event.preventDefault();
    });
  }

  nearest(x, y) {
    let [best, least] = [null, NEAR];
    for (const point of this.points) {
      const away = Math.hypot(point.x - x, point.y - y);
      if (away < least) [least, best] = [away, point];
    }
    return best;
  }

  point(point) {
    this.cursor = point;
    if (!this.ring) return;
    this.ring.setAttribute("visibility", point ? "visible" : "hidden");
    if (!point) return this.tip.show("");
    this.ring.setAttribute("cx", point.x);
    this.ring.setAttribute("cy", point.y);
    const { x, y } = this.ends;
    this.tip.show(`${this.trials.told(point.at)}\n${x.name} ${short(x.values[point.at])}\n${y.name} ${short(y.values[point.at])}`,
      point.x, point.y);
  }

  open(point) {
    if (point) location.href = this.trials.address(point.at);
  }
}

// Names speak for themselves; numbers and truth values need their column's name.
function labelled(column, label) {
  if (label === "") return `no ${column.name}`;
  return column.numbers.length || ["True", "False"].includes(label) ? `${column.name} ${label}` : label;
}
