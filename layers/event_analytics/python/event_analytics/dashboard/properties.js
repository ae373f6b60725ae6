// Properties of an event: every leaf of an object by its dotted name, and the way to events that share it.

import { eventsWith, propertyName } from "./address.js";
import { h, icon, quiet } from "./dom.js";
import { plural } from "./format.js";

const PROPERTIES_SHOWN = 200;
const FILTER_DEPTH_MAX = 8; // names in a path that the API's filters take
const FILTER_VALUE_CHARACTERS_MAX = 200; // longer ones are texts, not categories

/** The leaves of an object by their dotted names; `act(path, value)` is what can be done with one. */
export function pairTable(title, object, act = () => null) {
  const pairs = flatten(object ?? {});
  if (pairs.length === 0) return none();
  const rows = pairs.slice(0, PROPERTIES_SHOWN).map(([path, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, path.join(".")),
      h("td", {}, text),
      h("td", { class: "number" }, act(path, value)),
    );
  });
  const head = h(
    "tr",
    { class: "quiet" },
    h("th", { scope: "col" }, "Name"),
    h("th", { scope: "col" }, "Value"),
    h("th", { scope: "col" }, "Filter"),
  );
  const rest =
    pairs.length > PROPERTIES_SHOWN
      ? h(
          "p",
          { class: "muted" },
          `${plural(pairs.length - PROPERTIES_SHOWN, "more property", "more properties")} not shown`,
        )
      : null;
  return [
    h(
      "table",
      { class: "properties" },
      h("caption", { class: "quiet" }, title),
      h("thead", {}, head),
      h("tbody", {}, rows),
    ),
    rest,
  ];
}

/** A link to the events whose property is the same; null where no filter can say so. */
export function propertyFilter(path, value, address) {
  const isPlain =
    ["string", "number", "boolean"].includes(typeof value) && String(value).length <= FILTER_VALUE_CHARACTERS_MAX;
  if (!isPlain || path.length > FILTER_DEPTH_MAX || path.some((name) => name === "" || name.includes("."))) return null;
  const name = path.join(".");
  return h(
    "a",
    {
      class: "icon-button",
      href: eventsWith(address, propertyName(name), `eq:${value}`),
      title: `Events with this ${name}`,
    },
    icon("filter"),
    quiet(`Events with ${name} ${value}`),
  );
}

/** What stands where there is nothing. */
export function none() {
  return h("p", { class: "muted" }, "None");
}

/** Paths to the leaves of an object; lists are leaves. */
function flatten(value, path = []) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [[path, value]];
  return Object.entries(value).flatMap(([name, item]) => flatten(item, [...path, name]));
}
