// The tables of the overview and of the list of sessions: rows of a report, each leading to what it is about.

import { linkTo, withFilter, writeAddress } from "./address.js";
import { h } from "./dom.js";
import { count, duration, exactCount, moment, plural, rate } from "./format.js";
import { emptyNote } from "./states.js";
import { barred, spread, table } from "./tables.js";

/** Of `GET /reports/top-users`. */
export function topUsers(answer, address) {
  if (answer.users.length === 0) return emptyNote("No event in this range names a user.");
  const top = answer.users[0].events;
  const columns = [
    { title: "User", class: "main", cell: (row) => filterLink(address, "user_id", row.user_id) },
    { title: "Events", number: true, class: "bar", cell: (row) => barred(count(row.events), row.events / top) },
  ];
  return [
    table("Users with the most events", columns, answer.users),
    h("p", { class: "panel-foot" }, `${plural(answer.users_total, "user")} in all`),
  ];
}

/** Of `GET /reports/latency`; the slowest first. */
export function latencyByType(answer, address) {
  if (answer.latency.length === 0) return emptyNote("No event in this range carries a latency.");
  const rows = [...answer.latency].sort((a, b) => b.p95_ms - a.p95_ms);
  const top = Math.max(...rows.map((row) => row.p99_ms));
  const columns = [
    { title: "Event type", class: "main", cell: (row) => filterLink(address, "event_name", row.event_name) },
    { title: "Events", number: true, class: "wide-only", cell: (row) => count(row.events) },
    { title: "p50", number: true, cell: (row) => duration(row.p50_ms) },
    { title: "p95", number: true, cell: (row) => h("b", {}, duration(row.p95_ms)) },
    { title: "p99", number: true, cell: (row) => duration(row.p99_ms) },
    { title: "p50 to p99", class: "spread-cell wide-only", cell: (row) => spread(row, top) },
  ];
  return table("Latency by event type, slowest first", columns, rows);
}

/** Of `GET /reports/errors`. */
export function errorTypes(answer, address) {
  const rows = answer.errors.filter((row) => row.errors > 0);
  if (rows.length === 0) return noErrors(answer);
  const columns = [
    {
      title: "Event type",
      class: "main",
      cell: (row) => filterLink(withFilter(address, "has_error", "true"), "event_name", row.event_name, "events"),
    },
    { title: "Errors", number: true, cell: (row) => count(row.errors) },
    { title: "Rate", number: true, class: "bar", cell: (row) => barred(rate(row.error_rate), row.error_rate, "bad") },
  ];
  const foot = `${exactCount(answer.errors_total)} of ${plural(answer.events_total, "event")} failed`;
  return [table("Errors by event type", columns, rows), h("p", { class: "panel-foot" }, foot)];
}

/** Of `GET /reports/errors?by=error`. */
export function errorTexts(answer) {
  if (answer.errors.length === 0) return noErrors(answer);
  const top = answer.errors[0].errors;
  const columns = [
    {
      title: "Error",
      class: "main text",
      cell: (row) => h("span", { class: "error-text", title: row.error }, row.error),
    },
    { title: "Events", number: true, class: "bar", cell: (row) => barred(count(row.errors), row.errors / top, "bad") },
  ];
  return table("Most frequent error texts", columns, answer.errors);
}

/** Of `GET /reports/top-conversations`. */
export function topSessions(answer, address) {
  if (answer.conversations.length === 0) return emptyNote("No event in this range belongs to a session.");
  const slowest = Math.max(...answer.conversations.map((row) => row.p95_ms ?? 0));
  const columns = [
    {
      title: "Session",
      class: "main id",
      cell: (row) => h("a", { href: linkTo(address, "sessions", row.conversation_id) }, row.conversation_id),
    },
    { title: "Events", number: true, cell: (row) => count(row.events) },
    { title: "Errors", number: true, class: "wide-only", cell: (row) => count(row.errors) },
    {
      title: "Error rate",
      number: true,
      class: "bar",
      cell: (row) => barred(rate(row.error_rate), row.error_rate, "bad"),
    },
    {
      title: "p95",
      number: true,
      class: "bar wide-only",
      cell: (row) => barred(duration(row.p95_ms), row.p95_ms / slowest, "teal"),
    },
    {
      title: "Began",
      number: true,
      class: "wide-only",
      cell: (row) => h("time", { datetime: row.started_at, title: row.started_at }, moment(row.started_at)),
    },
    {
      title: "Lasted",
      number: true,
      class: "wide-only",
      cell: (row) => duration(Date.parse(row.ended_at) - Date.parse(row.started_at)),
    },
  ];
  return table("Sessions", columns, answer.conversations);
}

function noErrors(answer) {
  return emptyNote(
    answer.events_total ? `None of ${plural(answer.events_total, "event")} failed.` : "No events in this range.",
  );
}

function filterLink(address, name, value, view = address.view) {
  const href = writeAddress({ ...withFilter(address, name, value), view, ids: [], options: {} });
  return h("a", { href, title: `Only ${value}` }, value);
}
