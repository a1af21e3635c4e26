"use strict";
// Charts: the page's data as Plotly figures, drawn when they come near the screen.
(() => {
  const { el } = Report;
  const HUES = {
    light: ["#0a6a73", "#b8531b", "#6a4aa0", "#5d6b12", "#ad3468", "#2c5aa8", "#6b5344"],
    dark: ["#62c9d1", "#f0a06a", "#b9a0ea", "#bccb62", "#f08fb4", "#8fb4f5", "#cdb29f"],
  };
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
  const MARKERS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star"];

  /** Plotly reads a little HTML in its labels: names are shown as they are. */
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  const look = (series, place) => {
    const hues = HUES[Report.dark() ? "dark" : "light"];
    const index = series.hue ?? place;
    const role = { before: Report.color("before"), between: Report.color("muted"), after: Report.color("accent") };
    return {
      color: role[series.role] ?? hues[index % hues.length],
      dash: series.role === "between" || series.dashed ? "dot" : DASHES[Math.floor(index / hues.length) % DASHES.length],
      symbol: MARKERS[index % MARKERS.length],
    };
  };

  const whiskers = (series, color) =>
    series.low && series.low.some((low) => low !== null)
      ? {
          type: "data",
          symmetric: false,
          array: series.high.map((high, i) => (high === null ? 0 : high - series.y[i])),
          arrayminus: series.low.map((low, i) => (low === null ? 0 : series.y[i] - low)),
          color,
          thickness: 1.4,
          width: 5,
        }
      : undefined;

  const measured = (value, axis) =>
    axis.format.endsWith("%") && value !== null ? `${Report.number(100 * value, 1)}%` : Report.number(value);

  const hover = (chart, series) =>
    series.x.map((x, i) => {
      const y = (value) => measured(value, chart.y);
      const lines = [`${plain(chart.x.title)} ${measured(x, chart.x)}`, `${plain(chart.y.title)} ${y(series.y[i])}`];
      if (series.low?.[i] != null) lines.push(`95% interval ${y(series.low[i])} – ${y(series.high[i])}`);
      if (series.n?.[i] != null) lines.push(`n = ${series.n[i].toLocaleString("en")}`);
      if (series.name) lines.unshift(`<b>${plain(series.name)}</b>`);
      if (series.labels?.[i]) lines.unshift(plain(series.labels[i]));
      return lines.join("<br>");
    });

  const base = (chart, series, index) => {
    const { color, dash, symbol } = look(series, index);
    return {
      type: "scatter",
      name: plain(series.name),
      x: series.x,
      y: series.y,
      text: hover(chart, series),
      hoverinfo: "text",
      line: { color, dash, width: 2 },
      marker: { color, symbol, size: 8 },
    };
  };

  const KINDS = {
    iterations: (chart, series, index) => {
      const trace = base(chart, series, index);
      // Lines stand a little beside each other, so that no interval hides another.
      const aside = Math.min(0.06, 0.3 / chart.series.length) * (index - (chart.series.length - 1) / 2);
      const x = series.x.map((iteration) => iteration + aside);
      return { ...trace, x, mode: chart.joined ? "lines+markers" : "markers", error_y: whiskers(series, trace.line.color) };
    },
    histogram: (chart, series, index) => {
      const trace = base(chart, series, index);
      const filled = series.role === "between" ? undefined : "tozeroy";
      const fillcolor = trace.line.color.replace("rgb(", "rgba(").replace(")", ", 0.2)");
      const name = `${trace.name} · n = ${series.n[0].toLocaleString("en")} · ${plain(series.labels[0])}`;
      const text = ["", ...hover(chart, { ...series, n: null, labels: null }), ""];
      const width = series.x.length > 1 ? series.x[1] - series.x[0] : 1;
      const x = [series.x[0] - width, ...series.x, series.x[series.x.length - 1] + width];
      return { ...trace, name, text, x, y: [0, ...series.y, 0], mode: "lines", fill: filled, fillcolor, line: { ...trace.line, shape: "hvh" } };
    },
    reliability: (chart, series, index) => {
      const trace = base(chart, series, index);
      return { ...trace, mode: "lines+markers", error_y: whiskers(series, trace.line.color) };
    },
    curve: (chart, series, index) => {
      const mode = series.x.length < 12 ? "lines+markers" : "lines";
      const trace = base(chart, series, index);
      return { ...trace, mode, line: { ...trace.line, width: 1.6 }, marker: { ...trace.marker, size: 5 } };
    },
  };

  const diagonal = () => ({
    type: "line", x0: 0.5, y0: 0.5, x1: 1, y1: 1, line: { color: Report.color("strong-line"), width: 1, dash: "dot" },
  });

  const level = (y) => ({
    type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: Report.color("strong-line"), width: 1.2, dash: "dot" },
  });

  const layout = (chart, narrow) => {
    const ink = Report.color("ink");
    const muted = Report.color("muted");
    const axis = { gridcolor: Report.color("line"), zeroline: false, linecolor: Report.color("line"), automargin: true };
    const title = (text) => ({ text: plain(text), font: { size: 12, color: muted }, standoff: 8 });
    const wide = chart.series.length > 1;
    const figure = {
      margin: { l: 8, r: 8, t: 14, b: 8 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink },
      xaxis: { ...axis, title: title(chart.x.title), tickformat: chart.x.format, showgrid: false, ticks: "outside", tickcolor: Report.color("line") },
      yaxis: { ...axis, title: title(chart.y.title), tickformat: chart.y.format, nticks: 6 },
      showlegend: (wide || chart.kind === "reliability") && chart.series[0].name !== "",
      legend: { orientation: "h", xref: "container", yref: "container", x: 0, y: 0, yanchor: "bottom", font: { size: narrow ? 11 : 12 } },
      hovermode: "closest",
      hoverlabel: { bgcolor: Report.color("surface"), bordercolor: Report.color("strong-line"), font: { color: ink }, align: "left" },
      dragmode: false,
    };
    if (chart.kind === "iterations") {
      const xs = chart.series.flatMap((series) => series.x);
      Object.assign(figure.xaxis, { dtick: 1, range: [Math.min(...xs) - 0.25, Math.max(...xs) + 0.25] });
    }
    if (chart.y.range) figure.yaxis.range = chart.y.range;
    if (chart.neutral !== null) figure.shapes = [level(chart.neutral)];
    if (chart.kind === "histogram") figure.yaxis.rangemode = "tozero";
    if (chart.kind === "reliability") {
      figure.shapes = [diagonal()];
      figure.xaxis.range = [0.48, 1.02];
    }
    return figure;
  };

  const library = () =>
    Report.once("plotly", async () => {
      const source = URL.createObjectURL(new Blob([await Report.text("data-plotly")], { type: "text/javascript" }));
      await new Promise((resolve, reject) => {
        document.head.append(el("script", { src: source, onload: resolve, onerror: reject }));
      });
      URL.revokeObjectURL(source);
    });

  const drawn = new Set();
  const draw = async (figure) => {
    const charts = await Report.json("data-charts");
    await library();
    const chart = charts[figure.dataset.chart];
    const place = figure.querySelector(".plot");
    const traces = chart.series.map((series, index) => KINDS[chart.kind](chart, series, index));
    place.querySelector(".drawing")?.remove();
    const options = { displayModeBar: false, responsive: true };
    await Plotly.react(place, traces, layout(chart, place.clientWidth < 420), options);
    drawn.add(figure);
  };

  const refuse = (figure, error) => {
    figure.querySelector(".plot").replaceChildren(el("p", { class: "drawing" }, `This chart cannot be drawn here: ${error.message ?? "the library was refused"}`));
  };

  const numbers = async (figure) => {
    const chart = (await Report.json("data-charts"))[figure.dataset.chart];
    const head = ["", chart.x.title, chart.y.title, "low", "high", "n"];
    const cell = (value, i) => el(i ? "td" : "th", { class: i ? "number" : null }, i ? Report.number(value, 4) : value);
    const rows = chart.series.flatMap((series) =>
      series.x.map((x, i) => {
        const label = [series.name, series.labels?.[i]].filter(Boolean).join(" · ");
        const n = series.n?.length === series.x.length ? series.n[i] : null;
        return el("tr", {}, ...[label, x, series.y[i], series.low?.[i], series.high?.[i], n].map(cell));
      }),
    );
    const titles = head.map((title, i) => el("th", { scope: "col", class: i ? "number" : null }, title));
    const table = el("table", {}, el("thead", {}, el("tr", {}, ...titles)), el("tbody", {}, ...rows));
    figure.querySelector(".numbers .scroll").replaceChildren(table);
  };

  // One chart at a time, the page free in between: a reader may scroll and type while many are drawn.
  let queue = Promise.resolve();
  const later = (figure) => {
    queue = queue
      .then(() => draw(figure))
      .catch((error) => refuse(figure, error))
      .then(() => new Promise((resolve) => setTimeout(resolve)));
  };

  for (const figure of document.querySelectorAll("[data-chart]")) {
    Report.whenNear(figure, () => later(figure));
    figure.querySelector(".numbers").addEventListener("toggle", () => numbers(figure), { once: true });
  }
  // The library is large: it is read once the page has nothing else to do, before the reader comes to a chart.
  // A failure shows at the first chart.
  if (document.querySelector("[data-chart]")) Report.whenIdle(() => library().catch(() => {}));
  Report.onTheme(() => drawn.forEach(later));
})();
