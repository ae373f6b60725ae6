// A session's events in order of time: when, what, how long, what was said, what failed.

import { h, icon, quiet } from "./dom.js";
import { duration, moment } from "./format.js";
import { firstWords } from "./content.js";

const PREVIEW_CHARACTERS = 220;

/** The list; `addressOf(event)` is where an event is shown whole. */
export function timelineRows(events, opened, addressOf) {
  const begin = Date.parse(events[0].timestamp);
  const slowest = Math.max(...events.map((event) => event.latency_ms ?? 0));
  return h(
    "ol",
    { class: "timeline" },
    events.map((event) => row(event, begin, slowest, opened, addressOf)),
  );
}

function row(event, begin, slowest, opened, addressOf) {
  const when = h(
    "time",
    { datetime: event.timestamp, title: moment(event.timestamp) },
    `+${duration(Date.parse(event.timestamp) - begin)}`,
  );
  const said = [preview("in", event.input), preview("out", event.output)];
  const share = slowest > 0 && event.latency_ms !== null ? Math.sqrt(event.latency_ms / slowest) : 0;
  const took = h(
    "span",
    { class: "took", vars: { "--share": `${(share * 100).toFixed(1)}%` } },
    event.latency_ms === null ? "" : duration(event.latency_ms),
  );
  return h(
    "li",
    { class: event.error ? "failed" : null, "data-event": event.id, "aria-current": String(event.id === opened) },
    h(
      "a",
      { href: addressOf(event), class: "timeline-row" },
      when,
      h(
        "span",
        { class: "what" },
        h("b", {}, event.event_name),
        event.error ? h("span", { class: "error-text" }, quiet("Error: "), event.error) : null,
        said,
      ),
      took,
    ),
  );
}

function preview(direction, text) {
  const words = firstWords(text, PREVIEW_CHARACTERS);
  if (!words) return null;
  return h(
    "span",
    { class: `said ${direction}` },
    icon(direction === "in" ? "next" : "back"),
    quiet(direction === "in" ? "Input: " : "Output: "),
    h("span", {}, words),
  );
}
