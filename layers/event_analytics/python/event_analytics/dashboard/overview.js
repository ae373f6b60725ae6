// The overview: four figures with their course, then who, what, how slow and what fails.

import { linkTo, parametersOf, withFilter, writeAddress } from "./address.js";
import { ask } from "./api.js";
import { timeFigure } from "./charts.js";
import { announce, h, quiet } from "./dom.js";
import { csvButton } from "./download.js";
import { count, duration, exactCount, plural, rate, span } from "./format.js";
import { emptyNote, loadInto, panel } from "./states.js";
import { sparkline } from "./sparkline.js";
import { errorTexts, errorTypes, latencyByType, topSessions, topUsers } from "./rankings.js";

const ROWS = 8; // of each ranking: what one looks at; the rest is one click away
const TEXTS = 6;

const METRICS = {
  events: { title: "Events", field: "events", format: count, color: "--accent", tone: "accent" },
  users: { title: "Users", field: "users", format: count, color: "--violet", tone: "violet" },
  error_rate: { title: "Error rate", field: "error_rate", format: rate, color: "--bad", tone: "bad", isWorseUp: true },
  p95_ms: { title: "Latency p95", field: "p95_ms", format: duration, color: "--teal", tone: "teal", isWorseUp: true },
};

/** The view. `go` takes the page to another address. */
export function overview(address, { go }) {
  const tiles = h("div", { class: "tiles", role: "group", "aria-label": "Key figures; each shows its course below" });
  const course = panel("course", "Events over time", { wide: true });
  const heading = h("h1", { tabindex: "-1", class: "page-title" }, "Overview ", h("small", {}, span(address.range)));
  const rankings = rankingsOf(address);
  const element = h(
    "div",
    { class: "page" },
    heading,
    tiles,
    course.element,
    h(
      "div",
      { class: "grid" },
      rankings.map((ranking) => ranking.panel.element),
    ),
  );
  const view = { element, current: address, volume: null, figure: null, isReleased: false };
  const isCurrent = () => !view.isReleased;

  const showCourse = () => {
    if (!view.volume) return;
    view.figure?.release();
    view.figure = null;
    course.element.hidden = false;
    course.body.replaceChildren(drawCourse(view, course, go));
  };
  const load = () => {
    loadInto(
      tiles,
      () => ask("reports/volume", parametersOf(address)),
      (answer) => {
        view.volume = answer;
        showCourse();
        announce(
          `Overview, ${span(address.range)}: ${exactCount(answer.totals.events)} events, ${exactCount(answer.totals.errors)} failed`,
        );
        loadBefore(answer, address).then(
          (before) => isCurrent() && showChange(tiles, answer.totals, before.totals),
          () => {},
        );
        return drawTiles(view);
      },
      {
        isCurrent,
        lines: 3,
        onrefused: () => {
          course.element.hidden = true;
        },
      },
    );
    for (const ranking of rankings)
      loadInto(ranking.panel.body, () => ask(ranking.path, ranking.parameters), ranking.draw, {
        isCurrent,
        isMinor: true,
      });
  };
  load();
  return {
    element,
    refresh: load,
    update: (next) => {
      view.current = next;
      for (const tile of tiles.querySelectorAll(".tile"))
        tile.setAttribute("aria-current", String(tile.dataset.metric === metricOf(next)));
      showCourse();
    },
    release: () => {
      view.isReleased = true;
      view.figure?.release();
    },
  };
}

function rankingsOf(address) {
  const ask100 = parametersOf(address, { limit: 100 });
  const make = (id, title, path, parameters, draw, actions = []) => ({
    path,
    parameters,
    draw,
    panel: panel(id, title, {
      actions: [...actions, csvButton(title, path, parametersOf(address, { ...parameters.more, limit: 10_000 }))],
    }),
  });
  const by = (more, limit) => Object.assign(parametersOf(address, { ...more, limit }), { more });
  const all = (view, text) => h("a", { class: "small-button", href: linkTo(address, view) }, text);
  const failed = writeAddress({ ...withFilter(address, "has_error", "true"), view: "events", ids: [], options: {} });
  return [
    make("latency", "Latency by event type", "reports/latency", Object.assign(ask100, { more: {} }), (answer) =>
      latencyByType(answer, address),
    ),
    make("users", "Top users", "reports/top-users", by({}, ROWS), (answer) => topUsers(answer, address)),
    make("errors", "Errors by event type", "reports/errors", by({}, ROWS), (answer) => errorTypes(answer, address)),
    make("texts", "Top error texts", "reports/errors", by({ by: "error" }, TEXTS), (answer) => errorTexts(answer), [
      h("a", { class: "small-button", href: failed }, "Failed events"),
    ]),
    make(
      "sessions",
      "Sessions by error rate",
      "reports/top-conversations",
      by({ by: "error_rate" }, ROWS),
      (answer) => topSessions(answer, address),
      [all("sessions", "All sessions")],
    ),
  ];
}

function metricOf(address) {
  return address.options.metric in METRICS ? address.options.metric : "events";
}

function drawTiles(view) {
  const chosen = metricOf(view.current);
  return Object.entries(METRICS).map(([name, metric]) => {
    const value = view.volume.totals[metric.field];
    const href = writeAddress({ ...view.current, options: { metric: name === "events" ? null : name } });
    const title = metric.format === count ? exactCount(value) : null;
    return h(
      "a",
      { class: "tile", href, "data-metric": name, "aria-current": String(name === chosen) },
      h("span", { class: "tile-label" }, metric.title),
      h("span", { class: "tile-value", title }, metric.format(value)),
      h("span", { class: "tile-change" }),
      view.volume.totals.events > 0
        ? sparkline(
            view.volume.series.map((point) => point[metric.field]),
            metric.tone,
          )
        : null,
    );
  });
}

/** The same question about the stretch of the same length right before. */
function loadBefore(answer, address) {
  const start = Date.parse(answer.start);
  const before = new Date(start - (Date.parse(answer.end) - start));
  return ask("reports/volume", [["start", before.toISOString()], ["end", answer.start], ...address.filters]);
}

function showChange(tiles, now, before) {
  for (const tile of tiles.querySelectorAll(".tile")) {
    const metric = METRICS[tile.dataset.metric];
    const [was, is] = [before[metric.field], now[metric.field]];
    const place = tile.querySelector(".tile-change");
    if (!was || is === null || is === undefined) continue;
    const change = (is - was) / was;
    const percent = Math.abs(change) * 100;
    const words =
      percent < 0.5
        ? "unchanged"
        : `${change > 0 ? "+" : "−"}${percent >= 1_000 ? `${Math.round(percent / 100)}×` : `${percent.toFixed(percent < 10 ? 1 : 0)}%`}`;
    place.replaceChildren(words, quiet(` against the time before: ${metric.format(was)}`));
    place.title = `${metric.format(was)} in the time of the same length before`;
    if (metric.isWorseUp && percent >= 0.5) place.classList.add(change > 0 ? "worse" : "better");
  }
}

function drawCourse(view, course, go) {
  const name = metricOf(view.current);
  const metric = METRICS[name];
  const { series, interval, totals } = view.volume;
  course.element.querySelector(".panel-title").textContent = `${metric.title} over time`;
  course.setHint(`per ${interval}${name === "events" ? `, ${plural(totals.errors, "error")}` : ""}`);
  if (totals.events === 0) return emptyCourse(view.current);
  view.figure = timeFigure({
    title: `${metric.title} over time`,
    starts: series.map((point) => point.start),
    interval,
    lines: linesOf(name, series),
    format: metric.format,
    onrange: (start, end) => go({ ...view.current, range: { start: start.toISOString(), end: end.toISOString() } }),
  });
  return view.figure;
}

function linesOf(name, series) {
  const values = (field) => series.map((point) => point[field]);
  if (name === "events") {
    return [
      { label: "events", color: "--accent", values: values("events"), style: "bars" },
      { label: "of them failed", color: "--bad", values: values("errors"), style: "bars" },
    ];
  }
  if (name === "p95_ms") {
    return [
      { label: "p95", color: "--teal", values: values("p95_ms"), style: "line", fill: true },
      { label: "p50", color: "--muted", values: values("p50_ms"), style: "line" },
    ];
  }
  const metric = METRICS[name];
  // A rate of nothing is no rate: the line has a gap there.
  const shown = series.map((point) => (name === "error_rate" && point.events === 0 ? null : point[metric.field]));
  return [
    {
      label: metric.title.toLowerCase(),
      color: metric.color,
      values: shown,
      style: name === "users" ? "bars" : "line",
      fill: true,
    },
  ];
}

function emptyCourse(address) {
  if (address.filters.length > 0) {
    return emptyNote(
      "No event in this range passes the filters.",
      h("a", { class: "button", href: writeAddress({ ...address, filters: [] }) }, "Remove all filters"),
    );
  }
  const longer = h(
    "a",
    { class: "button", href: writeAddress({ ...address, range: { window: "30d" } }) },
    "Look at the last 30 days",
  );
  const how = h(
    "p",
    { class: "muted" },
    "New here? Send events with POST /events and a key with the scope write; they appear within seconds.",
  );
  return emptyNote("No events in this range.", how, longer);
}
