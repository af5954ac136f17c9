"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const config = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };

  // Narrow: names beside lines give way to the legend, and a finger scrolls the page, not the chart.
  function fitted(figure, width) {
    const layout = JSON.parse(JSON.stringify(figure.layout));
    const direct = (layout.annotations || []).filter((a) => a.name === "direct");
    if (width < 560) {
      layout.annotations = (layout.annotations || []).filter((a) => a.name !== "direct");
      layout.dragmode = false;
      layout.margin.l = 48;
      layout.font.size = 12;
      if (layout.barmode) layout.height += 22 * Math.ceil(figure.data.length / 2);
    } else if (direct.length) {
      layout.margin.r = 120;
    }
    layout.width = width;
    return layout;
  }

  function draw(key, width) {
    const place = document.getElementById(key + "-plot");
    const select = document.querySelector('select[data-chart="' + key + '"]');
    const variants = charts[key];
    const figure = variants[select ? select.value : Object.keys(variants)[0]];
    return Plotly.react(place, figure.data, fitted(figure, width || place.clientWidth), config);
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
  window.addEventListener("beforeprint", () => drawAll(680));
  window.addEventListener("afterprint", () => drawAll());
  drawAll();
  document.documentElement.dataset.drawn = "yes";
})();
