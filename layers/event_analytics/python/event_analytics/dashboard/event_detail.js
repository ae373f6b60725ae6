// One event, whole: what it says, what it carries, and the events that are like it.

import { eventsWith, linkTo } from "./address.js";
import { ask } from "./api.js";
import { contentBlock } from "./content.js";
import { announce, h, icon, quiet } from "./dom.js";
import { ago, duration, moment, plural } from "./format.js";
import { emptyNote, loadInto } from "./states.js";
import { none, pairTable, propertyFilter } from "./properties.js";
import { similarEvents } from "./similar.js";

const BYTES_PER_FLOAT = 4;

/** The pane beside a list: `{element, open(address, id)}`; `closed()` is the address without it. */
export function eventPane(closed) {
  const body = h("div", { class: "panel-body" });
  const close = h(
    "a",
    { class: "icon-button close", href: "#/", title: "Close" },
    icon("close"),
    quiet("Close this event"),
  );
  const element = h(
    "section",
    { class: "panel detail", id: "detail", "aria-label": "Event", tabindex: "-1", hidden: true },
    close,
    body,
  );
  let shown = null;
  let listedAt = 0; // where the list stood when the pane took its place
  const open = (address, id) => {
    close.setAttribute("href", closed());
    element.hidden = !id;
    if ((id ?? null) === shown) return;
    if (shown === null) listedAt = scrollY;
    shown = id ?? null;
    body.replaceChildren();
    if (isNarrow()) scrollTo(0, id ? 0 : listedAt);
    if (!id) return;
    loadInto(
      body,
      () => loadEvent(id),
      (event) => drawEvent(event, address),
      { isCurrent: () => shown === id, lines: 7 },
    ).then((isDrawn) => {
      if (!isDrawn) return;
      element.focus({ preventScroll: true });
      announce("Event opened");
    });
  };
  return { element, open };
}

async function loadEvent(id) {
  try {
    return await ask(`event/${encodeURIComponent(id)}`);
  } catch (error) {
    if (error.status === 404 || error.status === 410 || error.reason === "id_invalid") return { absent: error.reason };
    throw error;
  }
}

function drawEvent(event, address) {
  if (event.absent) return emptyNote(ABSENT[event.absent] ?? ABSENT.event_not_found);
  return [
    h(
      "header",
      { class: "detail-head" },
      h("h2", {}, event.event_name),
      event.error ? h("span", { class: "badge bad" }, "Failed") : h("span", { class: "badge good" }, "OK"),
      event.latency_ms === null ? null : h("span", { class: "badge" }, duration(event.latency_ms)),
    ),
    h("dl", { class: "pairs" }, keyFacts(event, address)),
    event.error
      ? part(
          "Error",
          h("pre", { class: "block bad", tabindex: "0", role: "region", "aria-label": "Error" }, event.error),
        )
      : null,
    event.input ? part("Input", contentBlock("Input", event.input)) : null,
    event.output ? part("Output", contentBlock("Output", event.output)) : null,
    part(
      "Properties",
      pairTable("Properties", event.properties, (path, value) => propertyFilter(path, value, address)),
    ),
    part("Session metadata", pairTable("Session metadata", event.conversation_metadata)),
    part("Embeddings", embeddings(event)),
    hasEmbeddings(event) ? similarEvents(event, address) : null,
  ].filter(Boolean);
}

function keyFacts(event, address) {
  const fact = (name, value) => (value ? h("div", {}, h("dt", {}, name), h("dd", {}, value)) : null);
  const time = h(
    "time",
    { datetime: event.timestamp, title: event.timestamp },
    `${moment(event.timestamp)} (${ago(event.timestamp)})`,
  );
  const user =
    event.user_id &&
    h("a", { href: eventsWith(address, "user_id", event.user_id), title: "Events of this user" }, event.user_id);
  const session =
    event.conversation_id &&
    h(
      "a",
      { href: linkTo(address, "sessions", event.conversation_id), title: "Timeline of this session" },
      event.conversation_id,
    );
  return [
    fact("Time", time),
    fact("User", user),
    fact("Session", session),
    fact("Id", [h("code", {}, event.id), copyButton(event.id)]),
  ];
}

function copyButton(text) {
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => announce("Copied"),
      () => announce("Not copied: the browser refused"),
    );
  return h(
    "button",
    { type: "button", class: "icon-button", title: "Copy", onclick: copy },
    icon("copy"),
    quiet("Copy the id"),
  );
}

function part(title, ...content) {
  return h("section", { class: "part" }, h("h3", {}, title), content);
}

function hasEmbeddings(event) {
  return Boolean(event.input_embeddings || event.output_embeddings);
}

function embeddings(event) {
  const sizes = [
    ["input", event.input_embeddings],
    ["output", event.output_embeddings],
  ].filter(([, vector]) => vector);
  if (sizes.length === 0) return none();
  return h(
    "p",
    {},
    sizes
      .map(
        ([name, vector]) =>
          `${name}: ${plural(vector.length, "dimension")}, ${plural(vector.length * BYTES_PER_FLOAT, "byte")}`,
      )
      .join("; "),
  );
}

function isNarrow() {
  return matchMedia("(max-width: 1000px)").matches;
}

const ABSENT = {
  event_not_found:
    "There is no event of this id, or it is not loaded yet. New events appear within seconds: open it again then.",
  event_deleted: "This event was deleted.",
  id_invalid: "This is not the id of an event. Follow a link of a list instead.",
};
