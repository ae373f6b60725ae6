// Events whose embedding lies next to this one's.

import { linkTo, WINDOWS } from "./address.js";
import { ask, post } from "./api.js";
import { firstWords } from "./content.js";
import { h } from "./dom.js";
import { moment, span } from "./format.js";
import { emptyNote, loadInto } from "./states.js";

const EVENTS = 8;
const WORDS_CHARACTERS = 140;

/** A part that asks when it is opened: the question reads every embedding of the range. */
export function similarEvents(event, address) {
  const body = h("div", {});
  const of = event.input_embeddings ? "input" : "output";
  const range = address.range.start || WINDOWS.includes(address.range.window) ? address.range : {};
  const details = h(
    "details",
    { class: "part similar" },
    h("summary", {}, h("h3", {}, "Similar events"), h("small", {}, `by ${of}, ${span(address.range)}`)),
    body,
  );
  details.addEventListener("toggle", () => {
    if (!details.open || body.hasChildNodes()) return;
    loadInto(
      body,
      () => post("events/similar", { id: event.id, of, limit: EVENTS, ...range }),
      (answer) => draw(answer, event, address),
    );
  });
  return details;
}

function draw(answer, event, address) {
  const others = answer.events.filter((row) => row.id !== event.id);
  if (others.length === 0) {
    return emptyNote("No other event with embeddings of this size in the range. Choose a longer one.");
  }
  return h(
    "ol",
    { class: "similar-list" },
    others.map((row) => h("li", {}, similarRow(row, address))),
  );
}

function similarRow(row, address) {
  const percent = `${(row.similarity * 100).toFixed(1)}%`;
  const who = row.user_id ? ` · ${row.user_id}` : "";
  const words = h("span", { class: "words" });
  // The answer names events, not their texts; reading them one by one also opens them at once when one is chosen.
  ask(`event/${encodeURIComponent(row.id)}`).then(
    (whole) => words.append(firstWords(whole.input ?? whole.output, WORDS_CHARACTERS)),
    () => {}, // the row says enough without
  );
  return h(
    "a",
    { href: linkTo(address, "events", row.id) },
    h("span", { class: "match", vars: { "--share": `${Math.max(0, row.similarity * 100).toFixed(1)}%` } }, percent),
    h("span", {}, h("b", {}, row.event_name), h("small", {}, moment(row.timestamp), who), words),
  );
}
