// Puts the page of a sweep together: one filter for the scatter, the bands, the heat map, the differences and the list.

const pageData = JSON.parse(document.getElementById("data").textContent);
const trials = new Trials(pageData.trials);
trials.controls(document.getElementById("filter"));

// Stands for the width of the band where no trial of a cell was recorded at an epoch.
const NOT_RECORDED = -1;

// A chart whose lines are the cells that the filter leaves.
const MOST_LINES = 16;

function evenly(all, most) {
  if (all.length <= most) return all;
  return Array.from({ length: most }, (_, at) => all[Math.round((at * (all.length - 1)) / (most - 1))]);
}

class Bands {
  constructor(root, packed) {
    Object.assign(this, { root, packed });
    this.measures = packed.measures.map((one) => ({ ...one, means: decoded(one.means, Float32Array),
      halves: decoded(one.halves, Float32Array) }));
    const first = Math.max(this.measures.findIndex((one) => one.name === "nc1_quotient"), 0);
    this.measure = this.measures[first];
    const bar = root.querySelector("[data-controls]");
    bar.append(picker("Measure", this.measures.map((one) => one.name), first, (at) => {
      this.measure = this.measures[at];
      this.chart.isLog = this.measure.isLog;
      root.querySelector(".plot + .controls button").setAttribute("aria-pressed", String(this.measure.isLog));
      this.update();
    }), toggle("Log epochs", packed.epochs.at(-1) > 30, (isOn) => {
      this.chart.shared.logEpochs = isOn;
      this.chart.draw();
    }));
    const shared = { charts: [], logEpochs: packed.epochs.at(-1) > 30 };
    // The chart takes the last bar of its root for its own buttons.
    this.chart = new Chart(root, this.spec(), shared, root.querySelector(".plot + .controls"));
    trials.listeners.push(() => this.update());
    this.legend();
  }

  shown() {
    const { by, cells } = this.packed;
    return cells.map((_, at) => at).filter((at) => by.every((name, place) => trials.allows(name, cells[at][place])));
  }

  // The colour says the column that is chosen for it, as far as cells are told apart by it, or else the cell.
  lookOfCell(cell) {
    const place = this.packed.by.indexOf(trials.coloured.name);
    if (place < 0 || trials.isScale(trials.coloured)) return lookOf(cell);
    return lookOf(trials.coloured.labels.indexOf(this.packed.cells[cell][place]));
  }

  words(cell) {
    const { by, cells } = this.packed;
    const parts = by.map((name, at) => {
      const column = trials.columns.find((one) => one.name === name);
      return column.labels.length > 1 ? labelled(column, cells[cell][at]) : "";
    });
    return `${parts.filter(Boolean).join(", ") || "all trials"} (n = ${this.packed.runs[cell]})`;
  }

  // Dashes say the same as colours where no two cells have one colour, else they tell these apart.
  spec() {
    const { epochs } = this.packed;
    const number = (value) => (Number.isFinite(value) ? value : null);
    const drawn = evenly(this.shown().filter((cell) => this.packed.runs[cell] > 0), MOST_LINES);
    const isAlone = new Set(drawn.map((cell) => this.lookOfCell(cell).colour + this.lookOfCell(cell).dash)).size === drawn.length;
    const seen = new Map();
    const series = drawn.map((cell) => {
      const from = cell * epochs.length;
      const halves = Array.from(this.measure.halves.subarray(from, from + epochs.length), number);
      const means = Array.from(this.measure.means.subarray(from, from + epochs.length), (mean, at) =>
        (halves[at] === NOT_RECORDED ? UNRECORDED : number(mean)));
      const look = this.lookOfCell(cell);
      const again = seen.get(look.colour) ?? 0;
      seen.set(look.colour, again + 1);
      return { words: this.words(cell), values: means, halves, colour: look.colour,
        dash: isAlone ? look.dash : DASHES[again % DASHES.length], width: 1.9 };
    });
    return { name: "bands", epochs, series, levels: [], logarithmic: this.measure.isLog, canBeLog: true, stacked: false,
      alt: `${this.measure.name} over the epochs: means of ${drawn.length} settings` };
  }

  update() {
    this.chart.spec = this.spec();
    this.chart.zoom(null);
    this.legend();
  }

  legend() {
    const { series } = this.chart.spec;
    this.root.querySelector("[data-legend]").replaceChildren(...series.map((one) => {
      const svg = shape("svg", { width: 30, height: 10, "aria-hidden": "true" });
      svg.append(shape("line", { x1: 0, x2: 30, y1: 5, y2: 5, "stroke-width": 3, "stroke-dasharray": one.dash,
        style: `stroke: var(${one.colour})` }));
      return element("li", {}, svg, element("bdi", {}, clipped(one.words, 160)));
    }));
    const all = this.shown().length;
    const said = all > series.length ? [`${series.length} of ${all} settings are drawn; choose fewer above.`] : [];
    if (this.packed.leftOut) said.push(`${this.packed.leftOut} measures have no curves here, for want of room.`);
    this.root.querySelector("[data-left]").textContent = said.join(" ");
  }
}

class TrialList {
  constructor(root) {
    this.root = root;
    this.most = 20;
    root.querySelector("[data-more]").addEventListener("click", () => {
      this.most += 200;
      this.draw();
    });
    trials.listeners.push(() => this.draw());
    this.draw();
  }

  draw() {
    const shown = trials.shown();
    const head = ["trial", ...trials.columns.map((column) => column.name), "state"];
    const rows = shown.slice(0, this.most).map((at) => element("tr", {},
      element("th", { scope: "row" }, element("a", { href: trials.address(at) }, trials.trials[trials.trial[at]])),
      ...trials.columns.map((column) => element("td", { class: "words" }, column.labels[column.codes[at]] || "–")),
      element("td", { class: "words" }, trials.states[trials.state[at]])));
    const table = element("table", { class: "cells" },
      element("thead", {}, element("tr", {}, ...head.map((words) => element("th", { scope: "col", class: "words" }, words)))),
      element("tbody", {}, ...rows));
    this.root.querySelector("[data-table]").replaceChildren(
      element("div", { class: "scroll", role: "region", "aria-label": "Trials", tabindex: 0 }, table));
    this.root.querySelector("[data-more]").hidden = shown.length <= this.most;
    document.getElementById("filtered").textContent = `${shown.length} of ${trials.state.length} trials.`;
  }
}

const parts = {
  scatter: (root) => new Scatter(root, trials),
  bands: (root) => new Bands(root, pageData.bands),
  heat: (root) => new HeatMap(root, trials),
  differences: (root) => new Differences(root, pageData.differences, trials),
  trials: (root) => new TrialList(root),
};
globalThis.sweep = { trials };
for (const [id, make] of Object.entries(parts)) {
  const root = document.getElementById(id);
  if (root) globalThis.sweep[id === "trials" ? "list" : id] = make(root);
}
