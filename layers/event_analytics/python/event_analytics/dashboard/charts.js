// Draws time series with uPlot, and beside each the same figures as text and as a table.

import { describe, tableOf } from "./chart_words.js";
import { h } from "./dom.js";
import { bucket, DAY_MS, HOUR_MS, MINUTE_MS } from "./format.js";

const HEIGHT = 220;
const HEIGHT_NARROW = 170;
const NARROW = 560;
const BUCKET_MS = { minute: MINUTE_MS, hour: HOUR_MS, day: DAY_MS };
const DRAG_MIN_PX = 8; // less is a click

/**
 * A figure of one metric. `lines`: `[{label, color, values, style: "bars" | "line", fill}]` over `starts` (ISO);
 * `format` writes one value; `onrange(start, end)` is called when a stretch is marked with the pointer.
 */
export function timeFigure({ title, starts, interval, lines, format, onrange }) {
  const place = h("div", { class: "chart" });
  const tip = h("div", { class: "chart-tip", hidden: true });
  const box = h("div", { class: "chart-box" }, place, tip);
  box.setAttribute("aria-hidden", "true");
  const legend = h(
    "ul",
    { class: "legend" },
    lines.map((line) => h("li", {}, swatch(line.color), line.label)),
  );
  const caption = h("figcaption", { class: "quiet" }, describe(title, starts, interval, lines, format));
  const figure = h(
    "figure",
    { class: "figure" },
    caption,
    legend,
    box,
    tableOf(title, starts, interval, lines, format),
  );
  const seconds = starts.map((start) => Date.parse(start) / 1_000);
  let plot = null;
  const draw = () => {
    plot?.destroy();
    const width = box.clientWidth;
    if (!width) return;
    plot = new uPlot(
      optionsOf({ width, interval, lines, format, seconds, tip, starts, onrange }),
      [seconds, ...lines.map((line) => line.values)],
      place,
    );
  };
  const resize = new ResizeObserver(() => {
    if (plot && box.clientWidth && plot.width !== box.clientWidth)
      plot.setSize({ width: box.clientWidth, height: heightFor(box.clientWidth) });
    else if (!plot) draw();
  });
  resize.observe(box);
  document.addEventListener("themechange", draw);
  figure.release = () => {
    resize.disconnect();
    document.removeEventListener("themechange", draw);
    plot?.destroy();
    plot = null;
  };
  return figure;
}

function optionsOf({ width, interval, lines, format, seconds, tip, starts, onrange }) {
  const color = paletteOf(tip);
  const axis = {
    stroke: color("--muted"),
    font: `11px ${color("--font")}`,
    ticks: { show: false },
    grid: { stroke: color("--line"), width: 1 },
  };
  return {
    width,
    height: heightFor(width),
    padding: [10, 8, 0, 0],
    legend: { show: false },
    cursor: { x: true, y: false, points: { size: 6 }, drag: { x: Boolean(onrange), y: false, setScale: false } },
    scales: {
      x: { time: true, range: () => [seconds[0] - pad(interval), (seconds.at(-1) ?? 0) + pad(interval)] },
      y: { range: (_, __, top) => [0, top > 0 ? top * 1.12 : 1] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 70, values: clockLabels },
      {
        ...axis,
        size: (plot, values) => 14 + 6.6 * Math.max(2, ...(values ?? []).map((value) => value.length)),
        values: (_, splits) => splits.map((value) => format(value)),
        space: 44,
      },
    ],
    series: [{}, ...lines.map((line) => seriesOf(line, color, interval, seconds.length))],
    hooks: {
      setCursor: [(plot) => showTip(plot, tip, starts, interval, lines, format)],
      setSelect: [(plot) => select(plot, interval, onrange)],
    },
  };
}

function seriesOf(line, color, interval, points) {
  const stroke = color(line.color);
  const common = {
    label: line.label,
    stroke,
    width: 1.75,
    spanGaps: false,
    points: { show: points < 3, size: 5, fill: stroke },
  };
  if (line.style === "bars") {
    return {
      ...common,
      width: 0,
      fill: stroke,
      paths: uPlot.paths.bars({ size: [0.72, 28], radius: 0.12 }),
      points: { show: false },
    };
  }
  return { ...common, fill: line.fill ? `${stroke}1f` : undefined, paths: uPlot.paths.linear() };
}

function pad(interval) {
  return (BUCKET_MS[interval] ?? HOUR_MS) / 2_000;
}

function heightFor(width) {
  return width < NARROW ? HEIGHT_NARROW : HEIGHT;
}

function paletteOf(element) {
  const style = getComputedStyle(element.isConnected ? element : document.documentElement);
  return (name) => style.getPropertyValue(name).trim();
}

/** Times along the axis: clocks, and the date where a day begins. */
function clockLabels(plot, splits, _axis, _space, step) {
  let day = "";
  return splits.map((second) => {
    const date = new Date(second * 1_000);
    const today = date.toLocaleString("en-GB", { day: "numeric", month: "short" });
    const isNewDay = today !== day;
    day = today;
    if (step * 1_000 >= DAY_MS) return today;
    const clock = date.toLocaleString("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    return isNewDay && clock === "00:00" ? today : clock;
  });
}

function showTip(plot, tip, starts, interval, lines, format) {
  const index = plot.cursor.idx;
  tip.hidden = index === null || index === undefined || plot.cursor.left < 0;
  if (tip.hidden) return;
  const rows = lines.map((line) =>
    h("li", {}, swatch(line.color), h("span", {}, line.label), h("b", {}, format(line.values[index]))),
  );
  tip.replaceChildren(h("p", {}, bucket(starts[index], interval)), h("ul", {}, rows));
  const x = plot.over.offsetLeft + plot.valToPos(plot.data[0][index], "x");
  const left = x + 14 + tip.offsetWidth > plot.width ? x - 14 - tip.offsetWidth : x + 14;
  tip.style.setProperty("--x", `${Math.max(0, left)}px`);
}

function select(plot, interval, onrange) {
  const { left, width } = plot.select;
  plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  if (!onrange || width < DRAG_MIN_PX) return;
  const length = BUCKET_MS[interval] ?? HOUR_MS;
  const start = Math.floor((plot.posToVal(left, "x") * 1_000) / length) * length;
  const end = Math.ceil((plot.posToVal(left + width, "x") * 1_000) / length) * length;
  onrange(new Date(start), new Date(Math.max(end, start + length)));
}

function swatch(color) {
  return h("span", { class: "swatch", vars: { "--c": `var(${color})` } });
}
