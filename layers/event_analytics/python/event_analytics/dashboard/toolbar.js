// Range, filters and refreshing: everything here only writes the address, which the page then shows.

import { WINDOWS, withoutFilter, writeAddress } from "./address.js";
import { describeFilter, filterDialog, rangeDialog } from "./dialogs.js";
import { h, icon, quiet } from "./dom.js";
import { span } from "./format.js";

const WINDOW_LABELS = { "1h": "1 h", "24h": "24 h", "7d": "7 days", "30d": "30 days" };

/** The parts of the toolbar for an address. */
export function toolbarParts(address, { go, refresh, live }) {
  return [rangePicker(address, go), filterChips(address, go), refreshing(refresh, live)];
}

function rangePicker(address, go) {
  const isCustom = Boolean(address.range.start);
  const links = WINDOWS.map((window) =>
    h(
      "a",
      {
        href: writeAddress({ ...address, range: { window } }),
        "aria-current": address.range.window === window ? "true" : null,
        title: span({ window }),
      },
      WINDOW_LABELS[window],
    ),
  );
  const custom = h(
    "button",
    { type: "button", class: isCustom ? "chosen" : null, onclick: () => rangeDialog(address, go).showModal() },
    isCustom ? span(address.range) : "Custom",
  );
  return h("div", { class: "segments", role: "group", "aria-label": "Time range" }, links, custom);
}

function filterChips(address, go) {
  const chips = address.filters.map(([name, value], index) => {
    const [field, comparison, text] = describeFilter(name, value);
    const label = h("span", { class: "chip-text" }, h("span", {}, field), ` ${comparison} `, h("b", {}, text));
    const href = writeAddress({ ...withoutFilter(address, index), ids: [] });
    return h(
      "li",
      { class: "chip" },
      label,
      h(
        "a",
        { href, title: "Remove this filter" },
        icon("close"),
        quiet(`Remove filter ${field} ${comparison} ${text}`),
      ),
    );
  });
  const add = h(
    "button",
    { type: "button", class: "button", id: "add-filter", onclick: () => filterDialog(address, go).showModal() },
    icon("filter"),
    "Filter",
  );
  return h("ul", { class: "chips", "aria-label": "Filters" }, chips, h("li", {}, add));
}

function refreshing(refresh, live) {
  const toggle = h(
    "button",
    {
      type: "button",
      class: "button live",
      "aria-pressed": String(live.isOn()),
      title: "Ask again every 10 seconds",
      onclick: (event) => event.currentTarget.setAttribute("aria-pressed", String(live.toggle())),
    },
    h("span", { class: "dot" }),
    "Live",
  );
  const button = h(
    "button",
    { type: "button", class: "button square", title: "Refresh (r)", onclick: refresh },
    icon("refresh"),
    quiet("Refresh"),
  );
  return h("div", { class: "refreshing" }, toggle, button);
}
