// Puts the comparison together: one switch for the samples, one for each run, one slider for all simplices.

const pageData = JSON.parse(document.getElementById("data").textContent);
const shared = { charts: [], logEpochs: pageData.logEpochs, off: new Set() };

for (const spec of pageData.charts) {
  const root = document.querySelector(`[data-chart="${spec.name}"]`);
  if (root.querySelector(".plot")) new Chart(root, spec, shared);
}

// Which epoch a run shows, where it is not the one that the slider stands on.
function shownEpoch(own, asked, last) {
  if (own === asked) return epochWords(own);
  if (own > asked) return `${epochWords(own)}, its first picture`;
  return own === last ? `${epochWords(own)}, its last picture` : `${epochWords(own)}, its last picture so far`;
}

if (pageData.side) {
  const { epochs, motions, stops } = pageData.side;
  const root = document.getElementById("motion");
  const look = newLook(root, Math.max(...motions.map((motion) => motion?.shown ?? 0)));
  globalThis.simplices = motions.map((motion, run) =>
    motion && new Simplex(root.querySelector(`[data-run="${run}"]`), motion, look, stops[run]));
  const drawn = globalThis.simplices.filter(Boolean);
  globalThis.player = new Player(root, epochs, drawn);
  const tell = (index) => drawn.forEach((simplex) => {
    const last = simplex.motion.frames.at(-1).epoch;
    simplex.root.querySelector("[data-run-epoch]").textContent = shownEpoch(simplex.frame.epoch, epochs[index], last);
  });
  globalThis.player.listeners.push(tell);
  tell(epochs.length - 1);
}

for (const box of document.querySelectorAll("[data-run-switch]")) {
  box.addEventListener("change", () => {
    const run = Number(box.dataset.runSwitch);
    if (box.checked) shared.off.delete(run);
    else shared.off.add(run);
    for (const panel of document.querySelectorAll(`[data-run="${run}"]`)) panel.hidden = !box.checked;
    for (const chart of shared.charts) chart.draw();
  });
}

const sampleButtons = [...document.querySelectorAll("button[data-choose]")];
function chooseSamples(split) {
  for (const button of sampleButtons) button.setAttribute("aria-pressed", String(button.dataset.choose === split));
  for (const part of document.querySelectorAll("[data-samples]")) part.hidden = part.dataset.samples !== split;
  for (const chart of shared.charts) chart.draw();
  globalThis.player?.draw();
}
for (const button of sampleButtons) button.addEventListener("click", () => chooseSamples(button.dataset.choose));
chooseSamples("train");

const epochSwitch = document.getElementById("log-epochs");
epochSwitch.addEventListener("click", () => {
  shared.logEpochs = !shared.logEpochs;
  epochSwitch.setAttribute("aria-pressed", String(shared.logEpochs));
  for (const chart of shared.charts) chart.draw();
});
