// Slider, play and what is shown, of one simplex in motion or of several side by side.

const FRAME_MS = 380;

function epochWords(epoch) {
  return epoch === 0 ? "before training" : `epoch ${epoch}`;
}

// What is chosen of a motion by the controls in `root`; runs that stand side by side share it.
function newLook(root, shown) {
  const chosen = Array.from({ length: Math.min(SPATIAL, shown) }, (_, label) => label);
  const drawn = new Set(Array.from(root.querySelectorAll("[data-part]"), (box) => box.dataset.part));
  return { view: "space", chosen, off: new Set(), drawn, fitted: false, turn: { yaw: -0.35, pitch: -0.35 } };
}

// `epochs` are where the slider can stand. All simplices have the same `look`.
class Player {
  constructor(root, epochs, simplices) {
    Object.assign(this, { root, epochs, simplices, look: simplices[0].look });
    this.place = epochs.length - 1;
    this.playing = false;
    this.listeners = [];
    for (const simplex of simplices) simplex.onTurn = () => this.draw();
    this.controls();
    this.show(this.place);
  }

  controls() {
    const find = (name) => this.root.querySelector(`[data-motion="${name}"]`);
    this.slider = find("slider");
    this.clock = find("epoch");
    this.playButton = find("play");
    this.slider.addEventListener("input", () => {
      this.stop();
      this.goTo(Number(this.slider.value));
    });
    this.playButton.addEventListener("click", () => (this.playing ? this.stop() : this.play()));
    for (const button of this.root.querySelectorAll("[data-view]")) {
      button.addEventListener("click", () => this.turnTo(button.dataset.view));
    }
    for (const box of this.root.querySelectorAll("[data-part]")) {
      box.addEventListener("change", () => this.flip(this.look.drawn, box.dataset.part, box.checked));
    }
    for (const box of this.root.querySelectorAll("[data-class]")) {
      box.addEventListener("change", () => this.flip(this.look.off, Number(box.dataset.class), !box.checked));
    }
    for (const choice of this.root.querySelectorAll("[data-corner]")) {
      choice.addEventListener("change", () => this.choose(Number(choice.dataset.corner), Number(choice.value)));
    }
    find("fit").addEventListener("change", (event) => {
      this.look.fitted = event.target.checked;
      this.draw();
    });
  }

  flip(set, item, isIn) {
    if (isIn) set.add(item);
    else set.delete(item);
    this.draw();
  }

  // A class that stands at another corner already changes places with the one that it replaces.
  choose(corner, label) {
    const { chosen } = this.look;
    const other = chosen.indexOf(label);
    if (other >= 0) chosen[other] = chosen[corner];
    chosen[corner] = label;
    for (const choice of this.root.querySelectorAll("[data-corner]")) {
      choice.value = String(chosen[Number(choice.dataset.corner)]);
    }
    this.draw();
  }

  turnTo(view) {
    this.look.view = view;
    for (const button of this.root.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    for (const only of this.root.querySelectorAll("[data-only]")) only.hidden = only.dataset.only !== view;
    this.draw();
  }

  play() {
    if (this.epochs.length < 2) return;
    const last = this.epochs.length - 1;
    if (this.place >= last) this.show(0);
    this.playing = true;
    this.playButton.textContent = "Pause";
    const from = this.place;
    let start = null;
    const tick = (now) => {
      if (!this.playing) return;
      start ??= now;
      const place = from + (now - start) / (stillness.matches ? 2 * FRAME_MS : FRAME_MS);
      this.show(Math.min(stillness.matches ? Math.floor(place) : place, last));
      if (place >= last) this.stop();
      else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  stop() {
    if (!this.playing) return;
    this.playing = false;
    this.playButton.textContent = "Play";
    this.show(Math.round(this.place));
  }

  // Moves to a picture, in a moment or at once for who wants no motion.
  goTo(place) {
    const from = this.place;
    if (stillness.matches) return this.show(place);
    this.target = place;
    let start = null;
    const tick = (now) => {
      if (this.target !== place || this.playing) return;
      start ??= now;
      const share = Math.min((now - start) / 160, 1);
      this.show(share < 1 ? from + share * (place - from) : place);
      if (share < 1) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  show(place) {
    this.place = place;
    const index = Math.round(place);
    const words = epochWords(this.epochs[index]);
    if (this.playing || place === index) this.slider.value = String(index);
    this.slider.setAttribute("aria-valuetext", words);
    this.clock.textContent = words;
    for (const simplex of this.simplices) simplex.show(place);
    for (const listener of this.listeners) listener(index);
  }

  draw() {
    for (const simplex of this.simplices) simplex.draw();
  }
}
