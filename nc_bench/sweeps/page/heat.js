// Means of a measure over the trials in each cell of two columns, as coloured squares.

const LEAST_CELL = 46;

// A label in so many characters: numbers with fewer digits, words cut.
function fitting(column, code, most) {
  const label = column.labels[code] || "–";
  if (label.length <= most || !column.numbers.length || label === "–") return clipped(label, most);
  return Number(label).toExponential(1).replace(".0e", "e").replace("e+", "e");
}

class HeatMap {
  constructor(root, trials) {
    Object.assign(this, { root, trials });
    this.axes = trials.axes.filter((column) => column.labels.length <= MOST_CHOICES);
    if (this.axes.length < 2) {
      root.replaceChildren(element("p", { class: "empty" }, "Fewer than two columns have few enough values."));
      return;
    }
    const first = Math.max(trials.measures.findIndex((measure) => measure.name === "nc1_quotient"), 0);
    Object.assign(this, { across: this.axes[1], up: this.axes[0], measure: trials.measures[first] });
    this.isLog = this.measure.isLog;
    this.controls();
    trials.listeners.push(() => this.draw());
    onLook(root.querySelector(".plot"), () => this.draw());
    this.draw();
  }

  controls() {
    const bar = this.root.querySelector("[data-controls]");
    const names = this.axes.map((column) => column.name);
    const log = toggle("Log colours", this.isLog, (isOn) => {
      this.isLog = isOn;
      this.draw();
    });
    bar.append(picker("Across", names, 1, (at) => this.set("across", this.axes[at])),
      picker("Down", names, 0, (at) => this.set("up", this.axes[at])),
      picker("Measure", this.trials.measures.map((one) => one.name), this.trials.measures.indexOf(this.measure), (at) => {
        this.isLog = this.trials.measures[at].isLog;
        log.setAttribute("aria-pressed", String(this.isLog));
        this.set("measure", this.trials.measures[at]);
      }), log);
  }

  set(what, value) {
    this[what] = value;
    this.draw();
  }

  // For each cell that a shown trial is in: how many there are, how many have a value, and its mean.
  cells() {
    const { across, up, measure, trials } = this;
    const found = new Map();
    for (const at of trials.shown()) {
      const key = up.codes[at] * across.labels.length + across.codes[at];
      const cell = found.get(key) ?? { all: 0, n: 0, sum: 0 };
      cell.all++;
      const value = measure.values[at];
      if (trials.state[at] === trials.complete && Number.isFinite(value)) {
        cell.n++;
        cell.sum += value;
      }
      found.set(key, cell);
    }
    for (const cell of found.values()) cell.mean = cell.n ? cell.sum / cell.n : null;
    return found;
  }

  draw() {
    const { across, up, measure, trials } = this;
    const target = this.root.querySelector(".plot");
    const cells = this.cells();
    const columns = across.labels.map((_, at) => at).filter((at) => trials.allows(across.name, across.labels[at]));
    const rows = up.labels.map((_, at) => at).filter((at) => trials.allows(up.name, up.labels[at]));
    const [left, top, row] = [132, 44, 34];
    const width = Math.max(this.root.clientWidth, left + columns.length * LEAST_CELL);
    const cell = Math.min((width - left - 4) / columns.length, 130);
    const map = this.isLog ? Math.log10 : (value) => value;
    const known = [...cells.values()].map((one) => one.mean).filter((value) => value !== null && (!this.isLog || value > 0));
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const height = top + rows.length * row + 4;
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label":
      `${measure.name} by ${up.name} and ${across.name}: ${known.length} cells, from ${short(low)} to ${short(high)}` });
    svg.append(shape("text", { class: "head", x: left, y: 10, style: "text-anchor: start" }, clipped(across.name, 50)),
      shape("text", { class: "head", x: left - 8, y: top - 12, style: "text-anchor: end" }, clipped(up.name, 20)));
    const most = Math.max(4, Math.floor(cell / 7));
    columns.forEach((code, at) => svg.append(
      shape("text", { class: "head", x: left + (at + 0.5) * cell, y: top - 12 }, fitting(across, code, most))));
    rows.forEach((upCode, line) => {
      const y = top + line * row;
      svg.append(shape("text", { class: "head", x: left - 8, y: y + row / 2, style: "text-anchor: end" }, clipped(up.labels[upCode] || "–", 19)));
      columns.forEach((code, at) => {
        const one = cells.get(upCode * across.labels.length + code);
        const drawable = one && one.mean !== null && (!this.isLog || one.mean > 0);
        const share = drawable ? (high > low ? (map(high) - map(one.mean)) / (map(high) - map(low)) : 1) : 0;
        const square = shape("rect", { x: left + at * cell, y, width: cell - 2, height: row - 2, rx: 3,
          style: drawable ? `fill: var(--accent); fill-opacity: ${0.05 + 0.45 * share}` : "fill: none; stroke: var(--line)" });
        const counts = one ? `${one.n} of ${one.all} trials have it` : "no trial";
        square.append(shape("title", {}, `${up.name} ${up.labels[upCode]}, ${across.name} ${across.labels[code]}: `
          + `${one?.mean == null ? "no value" : short(one.mean)} (${counts})`));
        const text = one ? (one.mean === null ? "–" : short(one.mean, 2)) : "";
        svg.append(square, shape("text", { x: left + (at + 0.5) * cell - 1, y: y + row / 2 - 1, "pointer-events": "none" }, text));
      });
    });
    target.replaceChildren(svg);
    this.root.querySelector("[data-ends]").textContent = known.length
      ? `${measure.name}: strongest ${short(low)}, palest ${short(high)}${this.isLog ? " (logarithmic)" : ""}; – no value.`
      : "No complete trial has a value.";
  }
}
