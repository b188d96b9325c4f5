// Curves and stacked areas over the epochs: logarithmic or linear, with values at the cursor, and zoom by dragging.

const MARGIN = { left: 62, right: 14, top: 10, bottom: 34 };
const HEIGHT = 270;
const UNRECORDED = ""; // The line goes on to the next epoch that was recorded; where a value is null it is broken.

class Axis {
  constructor(low, high, from, to, isLog) {
    Object.assign(this, { low, high, from, to, isLog });
    this.map = isLog ? Math.log10 : (value) => value;
    this.start = this.map(low);
    this.span = this.map(high) - this.start || 1;
  }

  place(value) {
    return this.from + ((this.map(value) - this.start) / this.span) * (this.to - this.from);
  }

  value(place) {
    const at = this.start + ((place - this.from) / (this.to - this.from)) * this.span;
    return this.isLog ? 10 ** at : at;
  }

  ticks(most) {
    if (this.isLog) {
      const [first, last] = [Math.ceil(this.start - 1e-9), Math.floor(this.start + this.span + 1e-9)];
      const step = Math.max(1, Math.ceil((last - first) / most));
      const found = [];
      for (let power = first; power <= last; power += step) found.push(10 ** power);
      if (found.length >= 3) return found;
      const within = [];
      for (let power = first - 1; power <= last; power++) {
        for (const factor of [1, 2, 5]) within.push(Number(`${factor}e${power}`));
      }
      const inside = within.filter((value) => value >= this.low * 0.999 && value <= this.high * 1.001);
      if (inside.length >= 2) return inside;
    }
    const rough = (this.high - this.low) / most || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
    const found = [];
    for (let at = Math.ceil(this.low / step); at * step <= this.high * (1 + 1e-12); at++) found.push(at * step);
    return found;
  }
}

// Grid lines and numbers of both axes; `words` stand below the right end.
function drawAxes(svg, x, y, words, written = short) {
  for (const value of y.ticks(5)) {
    const place = y.place(value);
    svg.append(shape("line", { class: "grid", x1: x.from, x2: x.to, y1: place, y2: place }));
    svg.append(shape("text", { class: "axis", x: x.from - 7, y: place + 4, "text-anchor": "end" }, written(value, 3)));
  }
  for (const value of x.ticks(x.to < 406 ? 4 : 7)) {
    const place = x.place(value);
    svg.append(shape("line", { class: "grid", x1: place, x2: place, y1: y.to, y2: y.from }));
    svg.append(shape("text", { class: "axis", x: place, y: y.from + 16, "text-anchor": "middle" }, short(value, 5)));
  }
  svg.append(shape("text", { class: "axis", x: x.to, y: y.from + MARGIN.bottom - 3, "text-anchor": "end" }, words));
}

// The lower and the upper end of the band around a curve, nothing where it has none.
function bandEnds(series, at) {
  const half = series.halves?.[at] ?? null;
  return half === null || typeof series.values[at] !== "number" ? [] : [series.values[at] - half, series.values[at] + half];
}

class Chart {
  constructor(root, spec, shared, bar = root.querySelector(".controls")) {
    Object.assign(this, { root, spec, shared, bar });
    this.isLog = spec.logarithmic;
    this.range = null;
    this.cursor = null;
    this.body = root.querySelector(".plot");
    this.tip = new Tip(this.body);
    this.buttons();
    shared.charts.push(this);
    onLook(this.body, () => this.draw());
    this.draw();
  }

  buttons() {
    const { bar } = this;
    if (this.spec.canBeLog) {
      const log = element("button", { type: "button", "aria-pressed": String(this.isLog) }, "Log axis");
      log.addEventListener("click", () => {
        this.isLog = !this.isLog;
        log.setAttribute("aria-pressed", String(this.isLog));
        this.draw();
      });
      bar.append(log);
    }
    this.whole = element("button", { type: "button" }, "Whole run");
    this.whole.hidden = true;
    this.whole.addEventListener("click", () => this.zoom(null));
    bar.append(this.whole);
  }

  zoom(range) {
    this.range = range;
    this.whole.hidden = range === null;
    this.draw();
  }

  epochs() {
    const first = this.shared.logEpochs ? Math.max(this.spec.epochs[0], 1) : this.spec.epochs[0];
    const [low, high] = this.range ?? [first, this.spec.epochs.at(-1)];
    return high > low ? [low, high] : [low - 0.5, low + 0.5];
  }

  visible() {
    const [low, high] = this.epochs();
    const within = [];
    this.spec.epochs.forEach((epoch, at) => {
      if (epoch >= low && epoch <= high) within.push(at);
    });
    return within;
  }

  // Of a page of several runs those of the runs that are switched on.
  series() {
    return this.spec.series.filter((series) => !this.shared.off?.has(series.run));
  }

  levels() {
    return this.spec.levels.filter((level) => !this.shared.off?.has(level.run));
  }

  values() {
    const fits = (value) => typeof value === "number" && (!this.isLog || value > 0);
    const inside = this.visible();
    const levels = this.levels().filter((level) => fits(level.value)).map((level) => level.value);
    const found = this.series().flatMap((series) =>
      inside.flatMap((at) => [series.values[at], ...bandEnds(series, at)]).filter(fits));
    return found.length ? [Math.min(...found, ...levels), Math.max(...found, ...levels)] : null;
  }

  draw() {
    const width = this.body.clientWidth;
    if (width === 0) return;
    this.svg?.remove();
    const svg = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", tabindex: 0, "aria-label": this.spec.alt });
    this.svg = svg;
    this.body.prepend(svg);
    this.x = new Axis(...this.epochs(), MARGIN.left, width - MARGIN.right, this.shared.logEpochs);
    let ends = this.spec.stacked ? [0, 1] : this.values();
    if (ends === null) {
      svg.append(shape("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle", class: "axis" },
        this.isLog ? "nothing above 0 here: choose the linear axis" : "nothing here"));
      this.listen(svg);
      return;
    }
    if (!this.spec.stacked) {
      const [low, high] = ends;
      ends = this.isLog ? [low / 1.15, high * 1.15]
        : [low - 0.04 * (high - low || Math.abs(low) || 1), high + 0.04 * (high - low || Math.abs(low) || 1)];
    }
    this.y = new Axis(...ends, HEIGHT - MARGIN.bottom, MARGIN.top, this.isLog && !this.spec.stacked);
    drawAxes(svg, this.x, this.y, "epoch", this.spec.stacked ? (value) => `${Math.round(100 * value)} %` : short);
    if (this.spec.stacked) this.areas(svg);
    else this.lines(svg);
    this.line = shape("line", { class: "cursor", y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, visibility: "hidden" });
    svg.append(this.line);
    this.listen(svg);
  }

  lines(svg) {
    for (const level of this.levels()) {
      if (this.isLog && level.value <= 0) continue;
      const y = this.y.place(level.value);
      svg.append(shape("line", { x1: this.x.from, x2: this.x.to, y1: y, y2: y, "stroke-width": 1.3,
        "stroke-dasharray": level.dash, style: `stroke: var(${level.colour})` }));
    }
    for (const series of this.series()) {
      if (series.halves) svg.append(this.band(series));
      let path = "";
      let isDown = false;
      let dots = 0;
      for (const at of this.visible()) {
        const value = series.values[at];
        if (value === UNRECORDED) continue;
        if (value === null || (this.isLog && value <= 0)) {
          isDown = false;
          continue;
        }
        path += `${isDown ? "L" : "M"}${this.x.place(this.spec.epochs[at]).toFixed(1)} ${this.y.place(value).toFixed(1)}`;
        isDown = true;
        dots++;
      }
      const look = { d: path, fill: "none", "stroke-width": series.width, "stroke-linejoin": "round",
        style: `stroke: var(${series.colour})`, opacity: series.faint ? 0.75 : 1 };
      if (series.dash) look["stroke-dasharray"] = series.dash;
      if (dots === 1) Object.assign(look, { d: `${path}h.01`, "stroke-linecap": "round", "stroke-width": 6 });
      svg.append(shape("path", look));
    }
  }

  // The band around a curve; on a logarithmic axis an end that is not positive is that of the axis.
  band(series) {
    const inside = this.visible().filter((at) => bandEnds(series, at).length);
    const point = (at, end) => {
      const value = bandEnds(series, at)[end];
      const y = this.isLog && value <= 0 ? this.y.from : clamp(this.y.place(value), this.y.to, this.y.from);
      return `${this.x.place(this.spec.epochs[at]).toFixed(1)} ${y.toFixed(1)}`;
    };
    const around = [...inside.map((at) => point(at, 1)), ...[...inside].reverse().map((at) => point(at, 0))];
    return shape("path", { d: around.length ? `M${around.join("L")}Z` : "", class: "band",
      style: `fill: var(${series.colour})` });
  }

  areas(svg) {
    const inside = this.visible();
    const base = inside.map(() => 0);
    for (const series of this.spec.series) {
      const tops = inside.map((at, place) => base[place] + (series.values[at] ?? 0));
      const point = (at, value) => `${this.x.place(this.spec.epochs[at]).toFixed(1)} ${this.y.place(value).toFixed(1)}`;
      const up = inside.map((at, place) => point(at, tops[place]));
      const down = inside.map((at, place) => point(at, base[place])).reverse();
      if (up.length) {
        svg.append(shape("path", { d: `M${[...up, ...down].join("L")}Z`, "stroke-width": 1,
          style: `fill: var(${series.colour}); stroke: var(--ground)` }));
      }
      tops.forEach((top, place) => (base[place] = top));
    }
  }

  listen(svg) {
    let start = null;
    let band = null;
    const place = (event) => ((event.clientX - svg.getBoundingClientRect().left) / svg.clientWidth)
      * svg.viewBox.baseVal.width;
    svg.addEventListener("pointerdown", (event) => {
      start = clamp(place(event), this.x.from, this.x.to);
      band = shape("rect", { class: "zoomed", x: start, y: MARGIN.top, width: 0, height: HEIGHT - MARGIN.top - MARGIN.bottom });
      svg.append(band);
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointermove", (event) => {
      const at = clamp(place(event), this.x.from, this.x.to);
      if (start !== null) {
        band.setAttribute("x", Math.min(start, at));
        band.setAttribute("width", Math.abs(at - start));
      }
      this.point(this.nearest(this.x.value(at)));
    });
    const end = (event) => {
      band?.remove();
      const at = clamp(place(event), this.x.from, this.x.to);
      if (start !== null && Math.abs(at - start) > 8) {
        this.zoom([this.x.value(Math.min(start, at)), this.x.value(Math.max(start, at))]);
      }
      start = band = null;
    };
    svg.addEventListener("pointerup", end);
    svg.addEventListener("pointercancel", () => {
      band?.remove();
      start = band = null;
    });
    svg.addEventListener("pointerleave", () => this.point(null));
    svg.addEventListener("blur", () => this.point(null));
    svg.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const inside = this.visible();
    if (!inside.length) return;
    const now = Math.max(inside.indexOf(this.cursor), 0);
    if (event.key === "ArrowRight") this.point(inside[Math.min(now + 1, inside.length - 1)]);
    else if (event.key === "ArrowLeft") this.point(inside[Math.max(now - 1, 0)]);
    else if (event.key === "Escape" || event.key === "0") this.keepFocus(null);
    else if (event.key === "+" && inside.length > 3) {
      const part = Math.ceil(inside.length / 4);
      const low = clamp(now - part, 0, inside.length - 1 - 2 * part);
      this.keepFocus([inside[Math.max(low, 0)], inside[Math.min(Math.max(low, 0) + 2 * part, inside.length - 1)]]
        .map((at) => this.spec.epochs[at]));
    } else return;
    event.preventDefault();
  }

  keepFocus(range) {
    this.zoom(range);
    this.svg.focus();
  }

  nearest(epoch) {
    let best = null;
    for (const at of this.visible()) {
      if (best === null || Math.abs(this.spec.epochs[at] - epoch) < Math.abs(this.spec.epochs[best] - epoch)) best = at;
    }
    return best;
  }

  // Where this series was recorded the last time, here or before.
  before(series, at) {
    while (at >= 0 && series.values[at] === UNRECORDED) at--;
    return at < 0 ? null : at;
  }

  point(at) {
    this.cursor = at;
    if (!this.line) return;
    this.line.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at === null) return this.tip.show("");
    const x = this.x.place(this.spec.epochs[at]);
    this.line.setAttribute("x1", x);
    this.line.setAttribute("x2", x);
    const said = this.series().map((series) => {
      const own = this.before(series, at);
      if (own === null) return `${series.words}: not recorded`;
      const value = series.values[own];
      const text = this.spec.stacked && value !== null ? `${short(100 * value, 3)} %` : short(value);
      const half = series.halves?.[own] ?? null;
      const band = half === null || value === null ? "" : ` ± ${short(half, 2)}`;
      return `${series.words}: ${text}${band}${own === at ? "" : ` (epoch ${this.spec.epochs[own]})`}`;
    });
    this.tip.show([`epoch ${this.spec.epochs[at]}`, ...said].join("\n"), x, MARGIN.top);
  }
}
