// The four states of everything that is asked for: loading, answered, nothing there, refused. Each says what to do.

import { ApiError } from "./api.js";
import { h, icon, quiet } from "./dom.js";

const RETRIES_MAX = 5; // by itself; then the person decides
const RETRY_SECONDS_MAX = 60;
let giveKeyBack = () => {};

/** Whoever asks for the key sets this: it is called with the refusal of a key. */
export function onKeyRefused(listener) {
  giveKeyBack = listener;
}

/** A titled part of a page: `{element, body, setHint}`. `actions` stand beside the title. */
export function panel(id, title, { actions = [], wide = false, level = "h2" } = {}) {
  const hint = h("p", { class: "panel-hint" });
  const head = h("div", { class: "panel-head" }, h(level, { id: `${id}-title`, class: "panel-title" }, title), hint);
  const body = h("div", { class: "panel-body" });
  head.append(h("div", { class: "panel-actions" }, actions));
  const element = h(
    "section",
    { class: wide ? "panel wide" : "panel", id, "aria-labelledby": `${id}-title` },
    head,
    body,
  );
  return {
    element,
    body,
    setHint: (text) => {
      hint.textContent = text;
    },
  };
}

/**
 * Shows in `body` what `load` answers, drawn by `draw`; until then a placeholder, or what stood there before.
 * A refusal that may pass is tried again by itself. `isMinor`: another part of the page already says at length why
 * nothing comes. Resolves to whether something was drawn.
 */
export async function loadInto(body, load, draw, options = {}, attempt = 1) {
  const { isCurrent = () => true, lines = 5 } = options;
  body.setAttribute("aria-busy", "true");
  if (!body.hasChildNodes()) body.append(placeholder(lines));
  const again = (next) => loadInto(body, load, draw, options, next);
  try {
    const answer = await load();
    if (isCurrent()) redraw(body, [draw(answer)].flat());
    return isCurrent();
  } catch (error) {
    if (isCurrent()) showRefusal(body, error, attempt, again, options);
    return false;
  } finally {
    body.removeAttribute("aria-busy");
  }
}

/** A calm sentence where there is nothing to show. */
export function emptyNote(text, ...more) {
  return h("div", { class: "empty" }, h("p", {}, text), ...more);
}

function placeholder(lines) {
  const bars = Array.from({ length: lines }, (_, index) =>
    h("span", { class: "bone", vars: { "--w": `${92 - index * 11}%` } }),
  );
  return h("div", { class: "bones" }, quiet("Loading"), bars);
}

/** Replaces what stands in `body`; a link that had the focus has it again where its address still stands there. */
function redraw(body, content) {
  const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  body.replaceChildren(...content);
  if (focused) [...body.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
}

function showRefusal(body, error, attempt, again, { isCurrent = () => true, isMinor = false, onrefused = () => {} }) {
  if (!(error instanceof ApiError)) {
    body.replaceChildren(
      refusal({ title: "This part of the page failed", advice: "Reload the page; the answer itself may be fine." }),
    );
    throw error;
  }
  if (error.isAboutKey) {
    giveKeyBack(error);
    return;
  }
  onrefused(error);
  const clock = h("span", { class: "muted" });
  const retry = h("button", { type: "button", class: "button", onclick: () => again(1) }, icon("refresh"), "Try again");
  body.replaceChildren(isMinor ? minorRefusal(error, retry, clock) : refusal(explain(error), retry, clock));
  if (error.retryAfterSeconds !== null && attempt <= RETRIES_MAX) {
    const seconds = Math.min(error.retryAfterSeconds * attempt, RETRY_SECONDS_MAX);
    countDown(clock, seconds, () => isCurrent() && clock.isConnected && again(attempt + 1));
  }
}

function minorRefusal(error, ...actions) {
  return h(
    "div",
    { class: "refusal minor" },
    h("p", { class: "muted" }, explain(error).title),
    h("div", { class: "refusal-actions" }, actions),
  );
}

function refusal({ title, advice }, ...actions) {
  const words = [h("p", { class: "refusal-title" }, title), h("p", { class: "muted" }, advice)];
  return h("div", { class: "refusal", role: "alert" }, words, h("div", { class: "refusal-actions" }, actions));
}

function countDown(clock, seconds, act) {
  if (!clock.isConnected) return;
  if (seconds <= 0) {
    act();
    return;
  }
  clock.textContent = `again in ${Math.ceil(seconds)} s`;
  setTimeout(() => countDown(clock, seconds - 1, act), 1_000);
}

/** What a refusal means to the reader, and what to do about it. */
export function explain(error) {
  const said = error.field ? `${error.message} (${error.field})` : error.message;
  if (error.reason === "query_too_heavy") {
    return {
      title: "Too much to read for one answer",
      advice: "Choose a shorter time range, or add a filter on user or session.",
    };
  }
  if (error.status === 0) {
    return { title: "The API does not answer", advice: "Check your connection, or whether the service is up." };
  }
  if (error.status === 429) {
    return { title: "More questions than the API takes", advice: "Wait a moment; nothing is lost." };
  }
  if (error.status >= 500) {
    return {
      title: "The store does not answer right now",
      advice: "Events are still taken in. This page asks again by itself.",
    };
  }
  return {
    title: "This question was refused",
    advice: `${said || "The API gave no reason"}. Change the range or the filters above.`,
  };
}
