// Puts the parts together, from the data that the page holds as JSON.

const pageData = JSON.parse(document.getElementById("data").textContent);
const shared = { charts: [], logEpochs: pageData.logEpochs };

if (pageData.motion) {
  const root = document.getElementById("motion");
  globalThis.simplex = new Simplex(root, pageData.motion, newLook(root, pageData.motion.shown));
  globalThis.player = new Player(root, pageData.motion.frames.map((frame) => frame.epoch), [globalThis.simplex]);
  followSlider(globalThis.player, globalThis.simplex.motion, document.getElementById("geometry"));
}
for (const spec of pageData.charts) {
  const root = document.querySelector(`[data-chart="${spec.name}"]`);
  if (root.querySelector(".plot")) new Chart(root, spec, shared);
}
if (pageData.depth) depthMap(document.getElementById("depth-map"), pageData.depth);

const epochSwitch = document.getElementById("log-epochs");
epochSwitch?.addEventListener("click", () => {
  shared.logEpochs = !shared.logEpochs;
  epochSwitch.setAttribute("aria-pressed", String(shared.logEpochs));
  for (const chart of shared.charts) chart.draw();
});

// The page of a run that goes on is written again now and then. It is loaded again while its reader leaves it alone.
if (pageData.reloadSeconds) {
  let touched = -Infinity;
  for (const kind of ["pointerdown", "pointermove", "wheel", "keydown", "touchmove"]) {
    addEventListener(kind, () => (touched = performance.now()), { passive: true });
  }
  const wait = 1000 * pageData.reloadSeconds;
  const timer = setInterval(() => {
    if (performance.now() - touched > wait && !document.hidden && !globalThis.player?.playing) location.reload();
  }, wait);
  const button = document.getElementById("reloading");
  button.addEventListener("click", () => {
    clearInterval(timer);
    button.parentElement.remove();
  });
}
