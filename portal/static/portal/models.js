// The price list, live: search, kinds, unit, and the calculator. Each is a form without this file.
(() => {
  const find = (selector, within = document) => within.querySelector(selector);
  const count = (text) => Math.min(1e7, Math.max(0, Math.trunc(Number(text)) || 0));

  const bar = find("[data-models-bar]");
  const table = find("[data-models]");
  const rows = [...table.querySelectorAll("tbody tr")];

  const filter = () => {
    const words = bar.elements.q.value.trim().toLowerCase();
    const kind = bar.elements.kind ? bar.elements.kind.value : "all";
    let shown = 0;
    for (const row of rows) {
      const text = row.querySelector("th").textContent.toLowerCase();
      row.hidden = !(text.includes(words) && (kind === "all" || row.dataset.kind === kind));
      shown += row.hidden ? 0 : 1;
    }
    table.hidden = shown === 0;
    find("[data-nothing]").hidden = shown > 0;
    find("[data-count]").textContent = shown;
  };

  bar.addEventListener("input", (event) => {
    if (event.target.name === "unit") table.dataset.show = event.target.value;
    else if ("whole" in table.dataset) filter();
    else if (event.target.name === "kind") bar.requestSubmit();
  });
  bar.addEventListener("submit", (event) => {
    if ("whole" in table.dataset) event.preventDefault();
  });

  const calculator = find("[data-calculator]");
  if (!calculator) return;

  // As the server says it: the usual decimals, and more where two digits of a small sum need them.
  const money = (minor) => {
    const usual = Number(calculator.dataset.decimals);
    const sum = minor / 10 ** usual;
    let places = usual;
    while (sum > 0 && places < 8 && Math.round(sum * 10 ** places) < 10) places += 1;
    const digits = sum.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
    return calculator.dataset.symbol + digits;
  };

  calculator.addEventListener("input", () => {
    const prices = calculator.elements.model.selectedOptions[0].dataset;
    const ubt =
      Number(prices.sent) * count(calculator.elements.sent.value) +
      Number(prices.received) * count(calculator.elements.received.value);
    find("[data-out-tokens]").textContent = Math.ceil(ubt / 1e6).toLocaleString("en-US");
    const out = find("[data-out-money]");
    if (out) out.textContent = money((ubt * Number(calculator.dataset.minor)) / Number(calculator.dataset.grant));
  });
  calculator.addEventListener("submit", (event) => event.preventDefault());
})();
