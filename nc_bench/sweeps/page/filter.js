// The trials of a sweep: which of them are shown, by the columns of the grid, and how their lines and points look.

const MOST_CHOICES = 40;
const COLOURS = 6;
const DASHES = ["", "8 3", "2 3", "8 3 2 3", "14 4", "4 2 1 2"];
const STEPS = 8;

// Colours in turn, and dashes and shapes so that each colour gets another one in every round.
function lookOf(at) {
  const other = (at + Math.floor(at / COLOURS)) % DASHES.length;
  return { colour: `--s${at % COLOURS}`, dash: DASHES[other], shape: other };
}

function picker(words, options, chosen, onChange) {
  const select = element("select", { "aria-label": words });
  options.forEach((text, at) => select.append(element("option", { value: at }, clipped(text, 60))));
  select.value = String(chosen);
  select.addEventListener("change", () => onChange(Number(select.value)));
  return element("label", { class: "pick" }, `${words} `, select);
}

function clipped(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function toggle(words, isOn, onChange) {
  const button = element("button", { type: "button", "aria-pressed": String(isOn) }, words);
  button.addEventListener("click", () => {
    const now = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(now));
    onChange(now);
  });
  return button;
}

class Trials {
  constructor(packed) {
    Object.assign(this, packed);
    this.state = decoded(packed.state, Uint8Array);
    this.trial = decoded(packed.trial, Uint32Array);
    this.hasPage = decoded(packed.hasPage, Uint8Array);
    this.columns = packed.columns.map((column) => ({ ...column, codes: decoded(column.codes, Uint16Array) }));
    this.measures = packed.measures.map((measure) => ({ ...measure, values: decoded(measure.values, Float32Array) }));
    this.complete = packed.states.indexOf("complete");
    this.limits = new Map();
    this.listeners = [];
    // Whatever is a number for each trial: the measures, then columns of numbers.
    this.numbers = [...this.measures, ...this.columns.filter((column) => column.numbers.length > 1 && column.name !== "seed")
      .map((column) => ({ name: column.name, isLog: spansDecades(column.numbers), values: numbersOf(column) }))];
    this.axes = this.columns.filter((column) => column.labels.length > 1 && column.name !== "seed");
    this.coloured = this.axes[0] ?? this.columns.at(-1);
  }

  // Whether this label of a column is among what is chosen.
  allows(name, label) {
    const limit = this.limits.get(name);
    if (limit === undefined) return true;
    if (typeof limit === "string") return label === limit;
    return label !== "" && Number(label) >= limit.low && Number(label) <= limit.high;
  }

  shown() {
    const open = this.columns.filter((column) => this.limits.has(column.name))
      .map((column) => [column.codes, column.labels.map((label) => this.allows(column.name, label))]);
    const found = [];
    for (let at = 0; at < this.state.length; at++) {
      if (open.every(([codes, allowed]) => allowed[codes[at]])) found.push(at);
    }
    return found;
  }

  // The labels of a column that are among what is chosen, each with its look.
  looks(column) {
    return column.labels.map((label, at) => ({ label, at, ...lookOf(at) })).filter((one) => this.allows(column.name, one.label));
  }

  isScale(column) {
    return column.numbers.length > COLOURS * 2;
  }

  address(at) {
    const trial = this.trial[at];
    return `${this.folder}/${encodeURIComponent(this.trials[trial])}/${this.hasPage[trial] ? this.page : ""}`;
  }

  told(at) {
    const place = this.columns.map((column) => `${column.name} ${column.labels[column.codes[at]]}`.trim()).join(", ");
    return `${place}\ntrial ${this.trials[this.trial[at]]}`;
  }

  controls(root) {
    for (const column of this.columns.filter((one) => one.labels.length > 1)) root.append(this.control(column));
    const names = [...this.axes, ...this.columns.slice(-1)];
    const chosen = names.indexOf(this.coloured);
    root.append(picker("Colour by", names.map((one) => one.name), chosen, (at) => {
      this.coloured = names[at];
      this.tell();
    }));
  }

  control(column) {
    if (column.numbers.length > MOST_CHOICES) return this.range(column);
    return picker(column.name, ["all", ...column.labels.map((label) => label || "–")], 0, (at) => {
      if (at === 0) this.limits.delete(column.name);
      else this.limits.set(column.name, column.labels[at - 1]);
      this.tell();
    });
  }

  range(column) {
    const ends = [column.numbers[0], column.numbers.at(-1)];
    const fields = ["from", "to"].map((word, at) =>
      element("input", { type: "number", step: "any", value: ends[at], "aria-label": `${column.name} ${word}` }));
    for (const field of fields) {
      field.addEventListener("change", () => {
        const [low, high] = fields.map((one, at) => (one.value === "" ? ends[at] : Number(one.value)));
        this.limits.set(column.name, { low, high });
        this.tell();
      });
    }
    return element("label", { class: "pick" }, `${column.name} `, fields[0], " to ", fields[1]);
  }

  tell() {
    const shown = this.shown();
    for (const listener of this.listeners) listener(shown);
  }
}

function numbersOf(column) {
  return Float64Array.from(column.codes, (code) => (column.labels[code] === "" ? NaN : column.numbers[code]));
}

function spansDecades(numbers) {
  return numbers[0] > 0 && numbers.at(-1) >= 30 * numbers[0];
}

// The colour of a number between the ends of its column, in a few steps from one hue to another.
function stepColour(step) {
  return `color-mix(in oklab, var(--s1) ${Math.round((100 * step) / (STEPS - 1))}%, var(--s0))`;
}

function stepOf(value, numbers) {
  const map = spansDecades(numbers) ? Math.log : (number) => number;
  const [low, high] = [map(numbers[0]), map(numbers.at(-1))];
  return Math.round(((map(value) - low) / (high - low || 1)) * (STEPS - 1));
}
