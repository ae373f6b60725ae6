// How far the answers are behind the senders, and what could not be taken in.

import { ask } from "./api.js";
import { h } from "./dom.js";
import { ago, duration, exactCount, MINUTE_MS } from "./format.js";
import { loadInto, panel } from "./states.js";

const COUNTED_MAX = 10_000; // of letters and of the spool the API counts no more
const FRESH_MS = MINUTE_MS; // what is accepted shows within seconds: older means that none came, or that it waits
const STALLED_MS = 45_000; // the lag is measured every minute, give or take: two of them found the same records

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
  if (answer.dead_letters_24h > 0) return { text: `${upTo(answer.dead_letters_24h, "+")} not loaded`, tone: "bad" };
  if (isUnknown(answer.pending_changes)) return { text: "Store silent", tone: "bad" };
  if (isStalled(answer)) return { text: "Load stands still", tone: "bad" };
  if (isUnknown(answer.dead_letters_24h)) return { text: "S3 silent", tone: "warn" };
  if (isUnknown(answer.load_lag_records)) return { text: "Lag unknown", tone: "warn" };
  if (answer.spooled_objects > 0 || isBehind(answer)) return { text: "Catching up", tone: "warn" };
  if (isUnknown(answer.newest_loaded_at)) return { text: "No recent event", tone: "calm" };
  const tone = answer.freshness_ms < FRESH_MS ? "good" : "calm";
  return { text: `Newest event ${ago(answer.newest_loaded_at)}`, tone };
}

/** Whether records wait of which load took none from one measurement to a later one. */
function isStalled({ load_stalled_since: since, lag_measured_at: measured }) {
  return !isUnknown(since) && Date.parse(measured) - Date.parse(since) >= STALLED_MS;
}

/** Whether records waited and nothing shows that was accepted about then. */
function isBehind({ load_lag_records: records, lag_measured_at: measured, newest_loaded_at: newest }) {
  return records > 0 && (isUnknown(newest) || Date.parse(measured) - Date.parse(newest) > FRESH_MS);
}

function draw(answer) {
  return h(
    "dl",
    { class: "gauges" },
    newestGauge(answer),
    waitingGauge(answer),
    lettersGauge(answer),
    changesGauge(answer),
    spoolGauge(answer),
  );
}

function newestGauge({ newest_loaded_at: newest, pending_changes: pending }) {
  const name = "Newest event that shows";
  if (isUnknown(pending)) return silent(name, "ClickHouse");
  const dated = "dated from a day ago to a day ahead";
  if (isUnknown(newest)) return gauge(name, "none", `No event shows that is ${dated}. Others may have come.`);
  const time = h("time", { datetime: newest, title: newest }, ago(newest));
  return gauge(
    name,
    time,
    `When it was accepted, of events ${dated}. While they come in, this is at most the time that they take to show.`,
  );
}

function waitingGauge(answer) {
  const { load_lag_records: records, lag_measured_at: measured, load_stalled_since: since } = answer;
  const name = "Waiting to be loaded";
  if (isUnknown(measured) && isUnknown(answer.dead_letters_24h)) return silent(name, "S3");
  if (isUnknown(records)) {
    const last = isUnknown(measured) ? "not counted yet" : `last counted ${ago(measured)}, too long ago to tell`;
    return gauge(name, "unknown", `Records in Kafka are counted every minute: ${last}.`, "warn");
  }
  const counted = `counted ${ago(measured)}`;
  if (records === 0) return gauge(name, "0", `Load has taken every record in Kafka, ${counted}. No newer one waits.`);
  const value = exactCount(records);
  if (!isStalled(answer))
    return gauge(name, value, `Records in Kafka on their way, ${counted}.`, isBehind(answer) ? "warn" : null);
  const standing = `load had taken none for ${duration(Date.parse(measured) - Date.parse(since))}`;
  return gauge(name, value, `Records in Kafka, ${counted}; ${standing}. They are safe and show once it goes on.`, "bad");
}

function lettersGauge({ dead_letters_24h: letters }) {
  const name = "Dead letters, 24 hours";
  if (isUnknown(letters)) return silent(name, "S3");
  if (letters === 0) return gauge(name, "0", "All that load took could be loaded, or was since sent again.", "good");
  const how =
    "Records that could not be loaded, kept with their reason. An admin key reads them (GET /dead-letters) and ";
  return gauge(name, upTo(letters), `${how}sends them again.`, "bad");
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
  return gauge(name, upTo(objects), "Accepted while Kafka was away, safe in S3, being sent on.", "warn");
}

function silent(name, part) {
  return gauge(name, "unknown", `${part} did not answer. Ask again in a moment; what was accepted is safe.`, "warn");
}

function gauge(name, value, meaning, tone = null) {
  const content = h("dd", { class: `gauge-value ${tone ?? ""}` }, value);
  return h("div", { class: "gauge" }, h("dt", {}, name), content, h("dd", { class: "muted" }, meaning));
}

/** A count, as far as the API counts. */
function upTo(value, more = " or more") {
  return `${exactCount(value)}${value < COUNTED_MAX ? "" : more}`;
}

function isUnknown(value) {
  return value === null || value === undefined;
}
