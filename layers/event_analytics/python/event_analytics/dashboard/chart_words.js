// A chart for those who do not see it: in a sentence, and as a table.

import { h, quiet } from "./dom.js";
import { bucket } from "./format.js";

/** Lowest, highest and last value of each line. */
export function describe(title, starts, interval, lines, format) {
  const parts = lines.map((line) => {
    const known = line.values.filter((value) => value !== null && value !== undefined);
    if (known.length === 0) return `${line.label}: no values`;
    const top = Math.max(...known);
    const when = bucket(starts[line.values.indexOf(top)], interval);
    return `${line.label}: lowest ${format(Math.min(...known))}, highest ${format(top)} at ${when}, last ${format(known.at(-1))}`;
  });
  return `${title}, per ${interval}, ${starts.length} points. ${parts.join(". ")}. The same figures stand in the table below.`;
}

/** The same figures, folded away until they are asked for. */
export function tableOf(title, starts, interval, lines, format) {
  const details = h("details", { class: "chart-table" }, h("summary", {}, "Show as table", quiet(`: ${title}`)));
  // Built when it is opened: 2,000 rows would cost every visit for the few who read them.
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const head = h(
      "tr",
      {},
      h("th", { scope: "col" }, "Start"),
      lines.map((line) => h("th", { scope: "col", class: "number" }, line.label)),
    );
    const rows = starts.map((start, index) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, bucket(start, interval)),
        lines.map((line) => h("td", { class: "number" }, format(line.values[index]))),
      ),
    );
    const table = h(
      "table",
      {},
      h("caption", { class: "quiet" }, `${title} per ${interval}`),
      h("thead", {}, head),
      h("tbody", {}, rows),
    );
    details.append(
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, table` }, table),
    );
  });
  return details;
}
