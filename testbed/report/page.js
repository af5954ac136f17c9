"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const config = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };

  const short = (name) => (name.length > 16 ? name.slice(0, 15) + "…" : name);

  // Narrow: names in the chart give way to the legend, and a finger scrolls the page, not the chart.
  function fitted(figure, width) {
    const layout = JSON.parse(JSON.stringify(figure.layout));
    if (width < 560) {
      layout.annotations = (layout.annotations || []).filter((a) => a.name !== "direct");
      layout.dragmode = false;
      layout.margin.l = 48;
      layout.font.size = 12;
      const ticks = layout.xaxis.tickvals;
      if (ticks && ticks.length > 6) {
        layout.xaxis.ticktext = layout.xaxis.ticktext.filter((_, i) => Number.isInteger(Math.log10(ticks[i])));
        layout.xaxis.tickvals = ticks.filter((tick) => Number.isInteger(Math.log10(tick)));
      }
      if (layout.barmode) {
        const names = figure.data[0].y;
        layout.yaxis.tickvals = names;
        layout.yaxis.ticktext = names.map(short);
        if (layout.annotations.length) layout.xaxis.range[1] *= 1.12;
      }
      if (figure.data.length > 3) layout.height += 20 * Math.ceil(figure.data.length / 2);
    }
    layout.width = width;
    return layout;
  }

  function draw(key, width) {
    const place = document.getElementById(key + "-plot");
    const select = document.querySelector('select[data-chart="' + key + '"]');
    const variants = charts[key];
    const figure = variants[select ? select.value : Object.keys(variants)[0]];
    const room = width || place.clientWidth;
    const data = room >= 560 ? figure.data : figure.data.map((trace) => ({
      ...trace,
      name: short(trace.name),
      mode: trace.meta === "named" ? "markers" : trace.mode,
    }));
    return Plotly.react(place, data, fitted(figure, room), config);
  }

  const drawAll = (width) => Object.keys(charts).forEach((key) => draw(key, width));
  document.querySelectorAll("select[data-chart]").forEach((select) => {
    select.addEventListener("change", () => draw(select.dataset.chart));
  });
  let pending;
  window.addEventListener("resize", () => {
    clearTimeout(pending);
    pending = setTimeout(() => drawAll(), 100);
  });
  const folded = [...document.querySelectorAll("details")];
  let unfolded = [];
  window.addEventListener("beforeprint", () => {
    unfolded = folded.filter((details) => !details.open);
    unfolded.forEach((details) => { details.open = true; });
    drawAll(680);
  });
  window.addEventListener("afterprint", () => {
    unfolded.forEach((details) => { details.open = false; });
    drawAll();
  });
  drawAll();
  document.documentElement.dataset.drawn = "yes";
})();
