// How far the answers are behind the senders, and what could not be taken in.

import { ask } from "./api.js";
import { h } from "./dom.js";
import { ago, count, exactCount } from "./format.js";
import { loadInto, panel } from "./states.js";

/** The view. */
export function pipeline() {
  const state = { isReleased: false };
  const part = panel("ingest", "Ingest", { wide: true });
  const load = () => loadInto(part.body, () => ask("reports/pipeline"), draw, { isCurrent: () => !state.isReleased });
  load();
  const heading = h("h1", { tabindex: "-1", class: "page-title" }, "Pipeline");
  return {
    element: h("div", { class: "page" }, heading, part.element),
    refresh: load,
    update: () => {},
    release: () => {
      state.isReleased = true;
    },
  };
}

/** The same in a few words, with a tone: `{text, tone}`. */
export function summarise(answer) {
  if (answer.dead_letters_24h > 0) return { text: `${count(answer.dead_letters_24h)} not loaded`, tone: "bad" };
  if (isUnknown(answer.pending_changes)) return { text: "Store silent", tone: "bad" };
  if (isUnknown(answer.dead_letters_24h)) return { text: "S3 silent", tone: "warn" };
  if (answer.spooled_objects > 0) return { text: "Catching up", tone: "warn" };
  if (isUnknown(answer.newest_loaded_at)) return { text: "No event today", tone: "calm" };
  return { text: `Newest event ${ago(answer.newest_loaded_at)}`, tone: "good" };
}

function draw(answer) {
  return h(
    "dl",
    { class: "gauges" },
    newestGauge(answer),
    lettersGauge(answer),
    changesGauge(answer),
    spoolGauge(answer),
  );
}

function newestGauge({ newest_loaded_at: newest, pending_changes: pending }) {
  const name = "Newest event that shows";
  if (isUnknown(pending)) return silent(name, "ClickHouse");
  if (isUnknown(newest)) return gauge(name, "none today", "No event was accepted in the last 24 hours.");
  const time = h("time", { datetime: newest, title: newest }, ago(newest));
  return gauge(
    name,
    time,
    "When it was accepted. While events come in, this is at most the time that they take to show.",
  );
}

function lettersGauge({ dead_letters_24h: letters }) {
  const name = "Dead letters, 24 hours";
  if (isUnknown(letters)) return silent(name, "S3");
  if (letters === 0) return gauge(name, "0", "Everything that was accepted could be loaded.", "good");
  const how =
    "Records that could not be loaded, kept with their reason. An admin key reads them (GET /dead-letters) and ";
  return gauge(name, exactCount(letters), `${how}sends them again.`, "bad");
}

function changesGauge({ pending_changes: changes }) {
  const name = "Changes waiting";
  if (isUnknown(changes)) return silent(name, "ClickHouse");
  return gauge(
    name,
    exactCount(changes),
    "Updates and deletes whose event has not come; applied within a minute of it.",
  );
}

function spoolGauge({ spooled_objects: objects }) {
  const name = "Requests in the spool";
  if (isUnknown(objects)) return silent(name, "S3");
  if (objects === 0) return gauge(name, "0", "Kafka takes everything directly.", "good");
  return gauge(name, exactCount(objects), "Accepted while Kafka was away, safe in S3, being sent on.", "warn");
}

function silent(name, part) {
  return gauge(name, "unknown", `${part} did not answer. Ask again in a moment; what was accepted is safe.`, "warn");
}

function gauge(name, value, meaning, tone = null) {
  const content = h("dd", { class: `gauge-value ${tone ?? ""}` }, value);
  return h("div", { class: "gauge" }, h("dt", {}, name), content, h("dd", { class: "muted" }, meaning));
}

function isUnknown(value) {
  return value === null || value === undefined;
}
