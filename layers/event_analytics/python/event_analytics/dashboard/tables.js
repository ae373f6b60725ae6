// Tables: one shape for all, with a caption, and bars that are drawn behind the figures.

import { h } from "./dom.js";

/**
 * A table. `columns`: `[{title, cell(row, index), number, class}]`; the first column heads its row.
 * `isCurrent(row)` marks the row that is open beside the table.
 */
export function table(caption, columns, rows, { isCurrent = () => false } = {}) {
  const head = h(
    "tr",
    {},
    columns.map((column) => h("th", { scope: "col", class: classOf(column) }, column.title)),
  );
  const body = rows.map((row, index) => {
    const cells = columns.map((column, position) => {
      const properties = position === 0 ? { scope: "row", class: classOf(column) } : { class: classOf(column) };
      return h(position === 0 ? "th" : "td", properties, column.cell(row, index));
    });
    return h("tr", { "aria-current": isCurrent(row) ? "true" : null }, cells);
  });
  return h(
    "div",
    { class: "table-box" },
    h("table", {}, h("caption", { class: "quiet" }, caption), h("thead", {}, head), h("tbody", {}, body)),
  );
}

/** A figure with a bar behind it; `share` is 0..1. */
export function barred(content, share, tone = "accent") {
  const width = Math.max(0, Math.min(1, Number.isFinite(share) ? share : 0));
  return h(
    "span",
    { class: `barred ${tone}`, vars: { "--share": `${(width * 100).toFixed(1)}%`, "--least": width > 0 ? "2px" : "0" } },
    h("span", {}, content),
  );
}

/** Median to 99th percentile as a line on a scale that all rows share, with marks at p50, p95 and p99. */
export function spread(row, top) {
  const at = (value) => `${Math.min(100, Math.sqrt(value / (top || 1)) * 100).toFixed(1)}%`;
  const marks = { "--p50": at(row.p50_ms), "--p95": at(row.p95_ms), "--p99": at(row.p99_ms) };
  const drawing = h("span", { class: "spread", vars: marks }, h("i", {}), h("b", {}), h("u", {}), h("s", {}));
  drawing.setAttribute("aria-hidden", "true");
  return drawing;
}

function classOf(column) {
  return [column.number ? "number" : "", column.class ?? ""].join(" ").trim() || null;
}
