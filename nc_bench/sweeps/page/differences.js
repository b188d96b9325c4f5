// Differences between the values of a column, with their intervals, for the measure and the cells that are chosen.

const MOST_ROWS = 60;
const WHISKER = 190;

class Differences {
  constructor(root, all, trials) {
    Object.assign(this, { root, all, trials, at: 0, measure: 0 });
    trials.listeners.push(() => this.draw());
    this.controls();
    this.draw();
  }

  controls() {
    const bar = this.root.querySelector("[data-controls]");
    const own = this.all[this.at];
    const columns = this.all.map((one) => `${one.column} − ${one.against}`);
    bar.replaceChildren(
      ...(this.all.length > 1 ? [picker("Column", columns, this.at, (at) => {
        Object.assign(this, { at, measure: 0 });
        this.controls();
        this.draw();
      })] : []),
      picker("Measure", own.measures, this.measure, (at) => {
        this.measure = at;
        this.draw();
      }));
  }

  draw() {
    const { column, against, by, measures, rows } = this.all[this.at];
    const names = [column, ...by];
    const chosen = rows.filter((row) => row.measure === measures[this.measure]
      && row.labels.every((label, at) => this.trials.allows(names[at], label)));
    const shown = chosen.slice(0, MOST_ROWS);
    const ends = [0, ...shown.flatMap((row) => [row.low ?? row.mean, row.high ?? row.mean]).filter((end) => end !== null)];
    const axis = new Axis(Math.min(...ends), Math.max(...ends), 6, WHISKER - 6, false);
    const head = element("tr", {}, ...[...names, `minus ${against}`, "", "n", "p", "method"].map((words) =>
      element("th", { scope: "col", class: names.includes(words) || words === "method" ? "words" : "" }, clipped(words, 60))));
    const body = shown.map((row) => element("tr", {},
      ...row.labels.map((label, at) => element(at ? "td" : "th", { class: "words", ...(at ? {} : { scope: "row" }) }, label || "–")),
      element("td", {}, interval(row)), element("td", {}, whisker(row, axis)), element("td", {}, String(row.n)),
      element("td", {}, row.p_holm === null ? "–" : row.p_holm < 0.001 ? "< .001" : row.p_holm.toFixed(3)),
      element("td", { class: "words" }, row.paired ? "paired" : "unpaired")));
    const table = element("table", { class: "cells" }, element("thead", {}, head), element("tbody", {}, ...body));
    const box = element("div", { class: "scroll", role: "region", "aria-label": "Differences", tabindex: 0 }, table);
    const more = chosen.length > shown.length ? `The first ${shown.length} of ${chosen.length}; choose fewer above.` : "";
    this.root.querySelector("[data-table]").replaceChildren(
      chosen.length ? box : element("p", { class: "empty" }, "Nothing that is chosen above can be compared."),
      element("p", { class: "soft" }, more));
  }
}

function interval(row) {
  if (row.low === null) return `${short(row.mean, 3)} (one pair: no interval)`;
  return `${short(row.mean, 3)} [${short(row.low, 3)}, ${short(row.high, 3)}]`;
}

function whisker(row, axis) {
  const svg = shape("svg", { width: WHISKER, height: 18, role: "img", class: "whisker", "aria-label": interval(row) });
  const zero = axis.place(0);
  svg.append(shape("line", { x1: zero, x2: zero, y1: 0, y2: 18, style: "stroke: var(--soft)", "stroke-dasharray": "2 2" }));
  if (row.mean === null) return svg;
  const [low, high] = [row.low ?? row.mean, row.high ?? row.mean].map((end) => axis.place(end));
  svg.append(shape("line", { x1: low, x2: high, y1: 9, y2: 9, "stroke-width": 2, style: "stroke: var(--s0)" }),
    shape("circle", { cx: axis.place(row.mean), cy: 9, r: 4, style: "fill: var(--s0)" }));
  return svg;
}
