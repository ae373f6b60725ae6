// Numbers and times as people read them. Times are the reader's own zone; the title beside them is UTC.

const WHOLE = new Intl.NumberFormat("en-US");
const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 2 });
const COMPACT_FROM = 1_000_000; // below, every digit is worth its place
const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
export const ABSENT = "–";

/** 12,304 and 1.28M. */
export function count(value) {
  if (value === null || value === undefined) return ABSENT;
  return value < COMPACT_FROM ? WHOLE.format(value) : COMPACT.format(value);
}

/** Every digit. */
export function exactCount(value) {
  return WHOLE.format(value ?? 0);
}

/** 0.0421 -> 4.21%; rates that are small but not zero do not look like zero. */
export function rate(value) {
  if (value === null || value === undefined) return ABSENT;
  const percent = value * 100;
  if (percent > 0 && percent < 0.01) return "<0.01%";
  return `${percent >= 99.95 || percent === 0 ? Math.round(percent) : percent.toFixed(percent < 1 ? 2 : 1)}%`;
}

/** 184 ms, 1.24 s, 2 min 5 s, 3 h 12 min, 4 d 2 h. */
export function duration(ms) {
  if (ms === null || ms === undefined) return ABSENT;
  if (ms < 1_000) return `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`;
  if (ms < MINUTE_MS) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min ${Math.floor((ms % MINUTE_MS) / 1_000)} s`;
  if (ms < DAY_MS) return `${Math.floor(ms / HOUR_MS)} h ${Math.floor((ms % HOUR_MS) / MINUTE_MS)} min`;
  return `${Math.floor(ms / DAY_MS)} d ${Math.floor((ms % DAY_MS) / HOUR_MS)} h`;
}

/** "just now", "4 min ago". */
export function ago(instant, now = Date.now()) {
  const ms = now - new Date(instant).getTime();
  if (ms < 5_000) return "just now";
  if (ms < MINUTE_MS) return `${Math.floor(ms / 1_000)} s ago`;
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min ago`;
  if (ms < 2 * DAY_MS) return `${Math.floor(ms / HOUR_MS)} h ago`;
  return `${Math.floor(ms / DAY_MS)} d ago`;
}

/** 21 Nov, 14:03:22; with the year where it is not this one. */
export function moment(instant) {
  const date = new Date(instant);
  return `${day(date)}, ${date.toLocaleString("en-GB", { ...CLOCK, second: "2-digit" })}`;
}

/** As `moment`, without what is zero: 21 Nov, 14:03 or 21 Nov. */
function edge(instant) {
  const date = new Date(instant);
  if (date.getSeconds() > 0) return moment(instant);
  const clock = date.toLocaleString("en-GB", CLOCK);
  return clock === "00:00" ? day(date) : `${day(date)}, ${clock}`;
}

function day(date, more = {}) {
  const year = date.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  return date.toLocaleString("en-GB", { ...more, ...year, day: "numeric", month: "short" });
}

/** The start of a bucket, as short as its length allows. */
export function bucket(instant, interval) {
  const date = new Date(instant);
  if (interval === "day") return day(date, { weekday: "short" });
  return `${day(date)}, ${date.toLocaleString("en-GB", CLOCK)}`;
}

/** A range in words, for headings and announcements. */
export function span(range) {
  if (range.window) return WINDOW_WORDS[range.window] ?? `last ${range.window}`;
  return `${edge(range.start)} to ${range.end ? edge(range.end) : "now"}`;
}

/** 1 event, 2 events. */
export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

const WINDOW_WORDS = {
  "1h": "last hour",
  "24h": "last 24 hours",
  "7d": "last 7 days",
  "30d": "last 30 days",
  "90d": "last 90 days",
};
