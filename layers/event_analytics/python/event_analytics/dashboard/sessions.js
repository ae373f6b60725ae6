// Sessions: a ranking, and one session's timeline with the event that is open beside it.

import { linkTo, parametersOf, writeAddress } from "./address.js";
import { ask } from "./api.js";
import { announce, h, icon, quiet } from "./dom.js";
import { csvButton } from "./download.js";
import { eventPane } from "./event_detail.js";
import { count, DAY_MS, duration, moment, plural, span } from "./format.js";
import { topSessions } from "./rankings.js";
import { emptyNote, loadInto, panel } from "./states.js";
import { timelineRows } from "./timeline.js";

const SESSIONS = 100;
const EVENTS = 100; // of a session at a time
const DAYS_BACK = 1_825; // what one question may span, less the day that events may lie ahead
const ORDERS = { error_rate: "Error rate", errors: "Errors", events: "Events", latency: "Latency p95" };
const LEAST_EVENTS = ["1", "2", "5", "10", "50"];

/** The view of the ranking, or of one session where the address names one. */
export function sessions(address, tools) {
  return address.ids.length > 0 ? oneSession(address) : ranking(address, tools);
}

function ranking(address, { go }) {
  const by = address.options.by in ORDERS ? address.options.by : "error_rate";
  const least = address.options.min_events ?? "1";
  const parameters = parametersOf(address, { by, min_events: least, limit: SESSIONS });
  const change = (name, value, usual) =>
    go({ ...address, options: { ...address.options, [name]: value === usual ? null : value } });
  const order = choice("session-order", "Order by", Object.entries(ORDERS), by, (value) =>
    change("by", value, "error_rate"),
  );
  const floor = choice(
    "session-least",
    "With at least",
    LEAST_EVENTS.map((value) => [value, plural(Number(value), "event")]),
    least,
    (value) => change("min_events", value, "1"),
  );
  const list = panel("ranking", "Ranking", {
    wide: true,
    actions: [order, floor, csvButton("Sessions", "reports/top-conversations", parameters)],
  });
  const state = { isReleased: false };
  const load = () =>
    loadInto(
      list.body,
      () => ask("reports/top-conversations", parameters),
      (answer) => {
        const shown = answer.conversations.length;
        announce(`${plural(shown, "session")}, by ${ORDERS[by].toLowerCase()}`);
        list.setHint(shown === SESSIONS ? `the first ${SESSIONS}` : plural(shown, "session"));
        return topSessions(answer, address);
      },
      { isCurrent: () => !state.isReleased, lines: 8 },
    );
  load();
  const heading = h("h1", { tabindex: "-1", class: "page-title" }, "Sessions ", h("small", {}, span(address.range)));
  return {
    element: h("div", { class: "page" }, heading, list.element),
    refresh: load,
    update: () => {},
    release: () => {
      state.isReleased = true;
    },
  };
}

function choice(id, label, options, chosen, onchange) {
  const items = options.map(([value, text]) => h("option", { value, selected: value === chosen }, text));
  const select = h("select", { id, onchange: (event) => onchange(event.currentTarget.value) }, items);
  return h("span", { class: "choice" }, h("label", { for: id }, label), select);
}

function oneSession(address) {
  const id = address.ids[0];
  const state = { isReleased: false, events: [], next: null, opened: address.ids[1] };
  const facts = h("dl", { class: "facts" });
  const list = panel("timeline", "Timeline");
  const pane = eventPane(() => linkTo(address, "sessions", id));
  const back = h("a", { class: "back", href: linkTo(address, "sessions") }, icon("back"), "All sessions");
  const heading = h("h1", { tabindex: "-1", class: "page-title" }, "Session ", h("small", { class: "id" }, id));
  const element = h(
    "div",
    { class: "page" },
    back,
    heading,
    facts,
    h("div", { class: "split" }, list.element, pane.element),
  );
  const isCurrent = () => !state.isReleased;

  const show = () => {
    if (state.events.length === 0)
      return emptyNote("No event of this session is stored. It may have been deleted, or the address is not complete.");
    facts.replaceChildren(...factsOf(state));
    const rows = timelineRows(state.events, state.opened, (event) =>
      writeAddress({ ...address, view: "sessions", ids: [id, event.id], options: {} }),
    );
    const more = h("button", { type: "button", class: "button", onclick: () => next(true) }, "Load more");
    return state.next ? [rows, more] : [rows];
  };
  const next = (isMore) =>
    loadInto(
      list.body,
      () => askForPage(id, isMore ? state.next : null),
      (answer) => {
        state.events = isMore ? [...state.events, ...answer.events] : answer.events;
        state.next = answer.next_cursor;
        list.setHint(`${plural(state.events.length, "event")}${state.next ? ", and more" : ""}`);
        announce(`Session with ${plural(state.events.length, "event")}${state.next ? " so far" : ""}`);
        return show();
      },
      { isCurrent, lines: 8 },
    );
  next(false);
  return {
    element,
    refresh: () => next(false),
    update: (to) => {
      state.opened = to.ids[1];
      element.classList.toggle("has-detail", Boolean(state.opened));
      for (const row of list.body.querySelectorAll("[data-event]"))
        row.setAttribute("aria-current", String(row.dataset.event === state.opened));
      pane.open(to, state.opened);
    },
    release: () => {
      state.isReleased = true;
    },
  };
}

function askForPage(id, cursor) {
  const parameters = [["include", "input,output"], ["limit", EVENTS], ...(cursor ? [["cursor", cursor]] : [])];
  // Gateways and browsers disagree about a slash or dots inside a path, however escaped; in a query nothing is special.
  if (!/^\.*$|[/\\]/.test(id)) return ask(`conversations/${encodeURIComponent(id)}/events`, parameters);
  const allTime = [
    ["start", dayFromNow(-DAYS_BACK)],
    ["end", dayFromNow(2)],
  ];
  return ask("events", [["conversation_id", id], ["order", "asc"], ...allTime, ...parameters]);
}

/** The begin of a day; the same all day long, so that pages and kept answers fit together. */
function dayFromNow(days) {
  return new Date((Math.floor(Date.now() / DAY_MS) + days) * DAY_MS).toISOString();
}

function factsOf({ events, next }) {
  const errors = events.filter((event) => event.error).length;
  const users = new Set(events.map((event) => event.user_id).filter(Boolean));
  const [first, last] = [events[0], events.at(-1)];
  const fact = (name, value, tone = null) => h("div", {}, h("dt", {}, name), h("dd", { class: tone }, value));
  return [
    fact("Events", next ? `${count(events.length)}+` : count(events.length)),
    fact("Errors", count(errors), errors > 0 ? "bad" : null),
    fact(users.size === 1 ? "User" : "Users", users.size === 1 ? [...users][0] : count(users.size)),
    fact("Began", [moment(first.timestamp), quiet(` (${first.timestamp})`)]),
    fact("Lasted", duration(Date.parse(last.timestamp) - Date.parse(first.timestamp))),
  ];
}
