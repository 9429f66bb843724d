// Lets the lines race from this browser: one try to warm each up, then the median of five.
(() => {
  const TRIES = 5;
  const PATIENCE_MS = 5000;

  const race = document.querySelector("[data-race]");
  const find = (selector) => race.querySelector(selector);
  const again = find("[data-race-again]");
  const state = find("[data-race-state]");
  const lines = [...race.querySelectorAll("[data-line]")];

  const say = (text, values) => text.replace(/\{(\w+)\}/g, (_all, name) => values[name]);
  const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

  // The answer can't be read across origins, and needn't: that it came, and when, is enough.
  const ping = async (address) => {
    const begun = performance.now();
    await fetch(`${address}/healthz`, {
      mode: "no-cors",
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    return performance.now() - begun;
  };

  const measure = async (address) => {
    try {
      await ping(address);
      const times = [];
      for (let n = 0; n < TRIES; n += 1) times.push(await ping(address));
      return Math.max(1, Math.round(median(times)));
    } catch {
      return null; // no answer from here, whatever the reason
    }
  };

  const show = (line, ms, slowest) => {
    const bar = line.querySelector(".race-bar");
    bar.hidden = false;
    bar.style.setProperty("--w", ms === null ? "0%" : `${Math.max(2, (90 * ms) / slowest)}%`);
    line.querySelector("[data-ms]").textContent = ms === null ? race.dataset.down : ms;
    line.querySelector("[data-unit]").hidden = ms === null;
    line.classList.toggle("down", ms === null);
  };

  const remember = (address) => {
    try {
      sessionStorage.setItem("line", address);
    } catch {
      // storage is refused: the guides show the main line
    }
  };

  const finish = (results) => {
    const up = results.filter(({ ms }) => ms !== null).sort((a, b) => a.ms - b.ms);
    const slowest = up.length ? up[up.length - 1].ms : 1;
    results.forEach(({ line, ms }) => show(line, ms, slowest));
    const down = results.length - up.length;
    const words = up.length === 0 ? race.dataset.none : down ? race.dataset.someDown : race.dataset.allUp;
    state.textContent = say(words, { count: down, all: results.length });
    state.className = `state ${up.length === 0 ? "bad" : down ? "warn" : "ok"}`;
    if (!up.length) return;
    const order = [...up, ...results.filter(({ ms }) => ms === null)];
    order.forEach(({ line }, place) => {
      line.classList.toggle("best", place === 0);
      line.parentNode.append(line);
    });
    const name = up[0].line.querySelector("[data-line-name]").textContent;
    if (results.length > 1) find("[data-race-title]").textContent = say(race.dataset.fastest, { name });
    find("[data-race-how]").textContent = race.dataset.how;
    remember(up[0].line.dataset.line);
  };

  const run = async () => {
    again.disabled = true;
    state.hidden = false;
    state.className = "state off";
    const results = [];
    for (const line of lines) {
      state.textContent = say(race.dataset.testing, { done: results.length + 1, all: lines.length });
      results.push({ line, ms: await measure(line.dataset.line) });
    }
    finish(results);
    again.disabled = false;
  };

  again.addEventListener("click", run);
  run();
})();
