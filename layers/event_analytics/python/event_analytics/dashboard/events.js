// Events that pass the filters, newest first, and the one that is open beside them.

import { linkTo, parametersOf, writeAddress } from "./address.js";
import { ask } from "./api.js";
import { announce, h, quiet } from "./dom.js";
import { csvButton } from "./download.js";
import { eventPane } from "./event_detail.js";
import { duration, moment, plural, span } from "./format.js";
import { emptyNote, loadInto, panel } from "./states.js";
import { table } from "./tables.js";

const PAGE = 50;

/** The view. */
export function events(address) {
  const list = panel("list", "Newest first", {
    wide: true,
    actions: [csvButton("Events", "events", parametersOf(address, { limit: 1_000 }))],
  });
  const pane = eventPane(() => linkTo(address, "events"));
  const heading = h("h1", { tabindex: "-1", class: "page-title" }, "Events ", h("small", {}, span(address.range)));
  const element = h("div", { class: "page" }, heading, h("div", { class: "split" }, list.element, pane.element));
  const state = { isReleased: false, rows: [], next: null, opened: address.ids[0] };
  const load = (isMore) =>
    loadInto(
      list.body,
      () => askForPage(address, isMore ? state.next : null),
      (answer) => {
        state.rows = isMore ? [...state.rows, ...answer.events] : answer.events;
        state.next = answer.next_cursor;
        list.setHint(state.rows.length ? `${plural(state.rows.length, "event")}${state.next ? ", and more" : ""}` : "");
        announce(`${plural(state.rows.length, "event")} listed`);
        return draw(state, address, () => load(true));
      },
      { isCurrent: () => !state.isReleased, lines: 10 },
    );
  load(false);
  return {
    element,
    refresh: () => load(false),
    update: (to) => {
      state.opened = to.ids[0];
      element.classList.toggle("has-detail", Boolean(state.opened));
      markOpened(list.body, state.opened);
      pane.open(to, state.opened);
    },
    release: () => {
      state.isReleased = true;
    },
  };
}

function askForPage(address, cursor) {
  const parameters = parametersOf(address, { limit: PAGE });
  return ask("events", cursor ? [...parameters, ["cursor", cursor]] : parameters);
}

function draw(state, address, more) {
  if (state.rows.length === 0) {
    const remove = h(
      "a",
      { class: "button", href: writeAddress({ ...address, filters: [], ids: [] }) },
      "Remove all filters",
    );
    return emptyNote("No event in this range passes the filters.", address.filters.length ? remove : null);
  }
  const columns = [
    {
      title: "Event",
      class: "main",
      cell: (row) =>
        h(
          "a",
          { href: linkTo(address, "events", row.id), "data-event": row.id },
          h("span", { class: row.error ? "dot bad" : "dot fine" }),
          row.error ? quiet("Failed: ") : null,
          row.event_name,
        ),
    },
    {
      title: "Time",
      class: "nowrap",
      cell: (row) => h("time", { datetime: row.timestamp, title: row.timestamp }, moment(row.timestamp)),
    },
    { title: "User", class: "id wide-only", cell: (row) => row.user_id ?? "" },
    {
      title: "Session",
      class: "id wide-only",
      cell: (row) =>
        row.conversation_id && h("a", { href: linkTo(address, "sessions", row.conversation_id) }, row.conversation_id),
    },
    { title: "Latency", number: true, cell: (row) => duration(row.latency_ms) },
    {
      title: "Outcome",
      class: "text outcome",
      cell: (row) =>
        row.error
          ? h("span", { class: "error-text", title: row.error }, row.error)
          : h("span", { class: "muted" }, "OK"),
    },
  ];
  const rows = table("Events, newest first", columns, state.rows);
  markOpened(rows, state.opened);
  return state.next ? [rows, h("button", { type: "button", class: "button", onclick: more }, "Load more")] : [rows];
}

function markOpened(place, id) {
  for (const link of place.querySelectorAll("a[data-event]"))
    link.closest("tr").setAttribute("aria-current", String(link.dataset.event === id));
}
