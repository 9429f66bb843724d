// Draws the usage page's charts from their tables. The page reads and submits without this file.
(() => {
  const chinese = document.documentElement.lang.startsWith("zh");
  const units = chinese ? [[1e8, " 亿"], [1e4, " 万"]] : [[1e9, "B"], [1e6, "M"], [1e3, "k"]];
  const touches = matchMedia("(pointer: coarse), (max-width: 40rem)");

  // Colours follow theme and brand, so they are asked of the style sheet whenever a chart is drawn.
  const palette = (figure) => {
    const probe = figure.appendChild(document.createElement("i"));
    const found = {};
    for (const name of ["s1", "s2", "s3", "s4", "line", "line-strong", "muted", "bg"]) {
      probe.style.color = `var(--${name})`;
      found[name] = getComputedStyle(probe).color;
    }
    probe.remove();
    return found;
  };

  const read = (figure) => ({
    kind: figure.dataset.chart,
    unit: figure.dataset.unit,
    series: [...figure.querySelectorAll("thead th")].slice(1).map((cell) => cell.textContent),
    rows: [...figure.querySelectorAll("tbody tr")].map((row) => ({
      name: row.querySelector("th").textContent,
      tick: row.dataset.tick,
      values: row.dataset.values.split(",").map((text) => (text === "" ? null : Number(text))),
      texts: [...row.querySelectorAll("td")].map((cell) => cell.textContent),
    })),
  });

  // The least round step by which few ticks reach the greatest value.
  const scaleOf = (greatest, most) => {
    const rough = Math.max(greatest, 1) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power, 1);
    const whole = Number.isInteger(step) ? step : Math.ceil(step);
    return Array.from({ length: Math.ceil(Math.max(greatest, 1) / whole) + 1 }, (_, n) => n * whole);
  };

  const labelsOf = (ticks, unit) => {
    const top = ticks[ticks.length - 1];
    const [size, word] = unit === "seconds" ? [100, chinese ? " 秒" : " s"] : units.find(([least]) => top >= least) || [1, ""];
    return ticks.map((tick) => `${Number((tick / size).toFixed(2))}${tick ? word : ""}`);
  };

  // Ticks where the name changes, thinned out to what has room; the newest always has its name.
  const shownTicks = (rows, width, measure) => {
    const named = rows.map((_, n) => n).filter((n) => n === 0 || rows[n].tick !== rows[n - 1].tick);
    const widest = Math.max(...named.map((n) => measure(rows[n].tick)));
    const every = Math.max(1, Math.ceil(named.length / Math.max(1, Math.floor(width / (widest + 18)))));
    return named.filter((_, place) => (named.length - 1 - place) % every === 0);
  };

  const seriesOf = (table, colours) => {
    const of = (n) => colours[`s${table.kind === "lines" && n === 1 ? 3 : Math.min(n + 1, 4)}`];
    const values = table.rows[0].values.map((_, n) => table.rows.map((row) => row.values[n]));
    if (table.kind === "lines") {
      return values.map((data, n) => {
        const alone = data.flatMap((v, i) => (v !== null && data[i - 1] == null && data[i + 1] == null ? [i] : []));
        return { data, stroke: of(n), width: 1.75, dash: n ? [4, 3] : undefined, points: { show: alone.length > 0, size: 4, width: 0, fill: of(n), filter: () => alone } };
      });
    }
    // Stacked bars: each series is drawn with all below it, the tallest first.
    const bars = uPlot.paths.bars({ size: [0.72, 96], align: 0 });
    const summed = values.map((_, n) => table.rows.map((row) => row.values.slice(0, n + 1).reduce((sum, v) => sum + v, 0) || null));
    return summed
      .map((data, n) => ({ data, fill: of(n), stroke: values.length > 1 ? colours.bg : of(n), width: values.length > 1 ? 1 : 0, paths: bars, points: { show: false } }))
      .reverse();
  };

  const tell = (figure, table, place, left, width) => {
    const under = figure.querySelector(".under");
    const tip = figure.querySelector(".canvas-tip");
    tip.hidden = place == null || touches.matches;
    if (place == null || touches.matches) {
      const row = table.rows[place];
      under.textContent = row ? [row.name, ...row.texts.map((text, n) => (table.series.length > 1 ? `${table.series[n]} ${text}` : text))].join(chinese ? "，" : ", ") : "";
      return;
    }
    const row = table.rows[place];
    const stacked = table.kind === "stack";
    const head = stacked ? row.texts[row.texts.length - 1] : table.series.length > 1 ? "" : row.texts[0];
    const parts = table.series.length > 1 ? table.series.slice(0, stacked ? -1 : undefined) : [];
    tip.replaceChildren(...[[row.name, head], ...parts.map((name, n) => [name, row.texts[n]])].map(([name, text], n) => {
      const line = document.createElement("div");
      line.append(document.createElement("span"), document.createElement(n ? "span" : "b"));
      line.firstChild.textContent = name;
      line.lastChild.textContent = text;
      return line;
    }));
    const flips = left > width / 2;
    tip.style.left = flips ? "auto" : `${left + 8}px`;
    tip.style.right = flips ? `${width - left + 8}px` : "auto";
  };

  const draw = (figure) => {
    const place = figure.querySelector(".canvas");
    const table = read(figure);
    const colours = palette(figure);
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = font;
    const measure = (text) => pen.measureText(text).width;

    const series = seriesOf(table, colours);
    const greatest = Math.max(0, ...series.flatMap((one) => one.data.map((value) => value ?? 0)));
    const ticks = scaleOf(greatest, place.classList.contains("tall") ? 3 : 2);
    const labels = labelsOf(ticks, table.unit);
    const gutter = Math.ceil(Math.max(...labels.map(measure))) + 8;
    const width = place.clientWidth;
    const named = shownTicks(table.rows, width - gutter, measure);
    const reach = table.kind === "lines" ? [0, Math.max(table.rows.length - 1, 1)] : [-0.5, table.rows.length - 0.5];
    const slot = (width - gutter) / table.rows.length;
    const hangs = Math.max(1, Math.ceil(measure(table.rows.at(-1).tick) / 2 - (table.kind === "lines" ? 0 : slot / 2)));
    const word = (n) => (n === named[0] && /^\d+$/.test(table.rows[n].tick) ? table.rows[n].name : table.rows[n].tick);

    const tip = Object.assign(document.createElement("div"), { className: "canvas-tip", hidden: true });
    place.replaceChildren(tip);
    new uPlot({
      width,
      height: place.clientHeight,
      padding: [8, hangs, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false }, move: (chart, left, top) => [left < 0 ? left : chart.valToPos(chart.posToIdx(left), "x"), top] },
      scales: { x: { time: false, range: () => reach }, y: { range: () => [0, ticks[ticks.length - 1]] } },
      axes: [
        { stroke: colours.muted, font, size: 26, gap: 8, grid: { show: false }, ticks: { show: false }, border: { show: true, stroke: colours["line-strong"], width: 1 }, splits: () => named, values: () => named.map(word) },
        { stroke: colours.muted, font, size: gutter, gap: 8, grid: { stroke: colours.line, width: 1 }, ticks: { show: false }, splits: () => ticks, values: () => labels },
      ],
      series: [{}, ...series.map(({ data, ...look }) => look)],
      hooks: { setCursor: [(chart) => tell(figure, table, chart.cursor.idx, gutter + chart.cursor.left, width)] },
    }, [table.rows.map((_, n) => n), ...series.map((one) => one.data)], place);
  };

  const figures = [...document.querySelectorAll("[data-chart]")];
  const drawAll = () => figures.forEach(draw);
  if (window.uPlot && figures.length) {
    const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => {
      if (target.clientWidth !== Number(target.dataset.width)) {
        target.dataset.width = target.clientWidth;
        draw(target.parentElement);
      }
    }));
    figures.forEach((figure) => sizes.observe(figure.querySelector(".canvas")));
    new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  }

  // The button says what is paid.
  const pay = document.querySelector("[data-pay]");
  const sayPrice = () => {
    const chosen = document.querySelector("[name=product]:checked");
    if (chosen) pay.textContent = pay.dataset.pay.replace("{total}", chosen.dataset.price);
  };
  if (pay) {
    pay.form.addEventListener("change", sayPrice);
    sayPrice();
  }

  // A link to what is folded away unfolds it.
  const unfold = () => {
    const folded = location.hash === "#replace" && document.getElementById("replace");
    if (folded) folded.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();
})();
