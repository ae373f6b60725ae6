// The page: turns the address into a view, and keeps toolbar, header and footer beside it.

import { accessForm } from "./access.js";
import { linkTo, readAddress, VIEWS, writeAddress } from "./address.js";
import { ask, forgetAnswers, keepKey, readKey, takeStatistics } from "./api.js";
import { announce, h, icon, quiet } from "./dom.js";
import { events } from "./events.js";
import { exactCount } from "./format.js";
import { overview } from "./overview.js";
import { pipeline, summarise } from "./pipeline.js";
import { sessions } from "./sessions.js";
import { onKeyRefused } from "./states.js";
import { toolbarParts } from "./toolbar.js";

const MAKERS = { "": overview, sessions, events, pipeline };
const LIVE_MS = 10_000;
const PULSE_MS = 30_000; // the state of ingest in the header
const FOOTER_MS = 500; // figures of all questions of a view, once most are answered
const THEMES = { auto: ["contrast", "system's"], light: ["sun", "light"], dark: ["moon", "dark"] };
const THEME_NAME = "tallystream.theme";

const place = (id) => document.getElementById(id);
let shown = null; // {key, view}
let timer = null;

function show() {
  const address = readAddress(location.hash);
  if (!readKey()) {
    showAccess();
    return;
  }
  const key = keyOf(address);
  const isSameView = shown?.key.startsWith(`${address.view}\n`) ?? false;
  drawHeader(address);
  if (shown?.key !== key) {
    shown?.view.release();
    shown = { key, view: MAKERS[address.view](address, { go }) };
    place("main").replaceChildren(shown.view.element);
    document.title = `${VIEWS[address.view]} · Tallystream`;
    if (!isSameView) scrollTo(0, 0);
  }
  shown.view.update(address);
}

/** What makes a view another one: all but the event that is open beside it and the metric of its chart. */
function keyOf(address) {
  const ids = address.view === "sessions" ? address.ids.slice(0, 1) : [];
  return `${address.view}\n${writeAddress({ ...address, ids, options: { ...address.options, metric: null } })}`;
}

function go(address) {
  location.hash = writeAddress(address);
}

function refresh() {
  forgetAnswers();
  shown?.view.refresh();
  pulse();
}

const live = {
  isOn: () => timer !== null,
  toggle: () => {
    if (timer) clearInterval(timer);
    timer = timer ? null : setInterval(() => document.hidden || refresh(), LIVE_MS);
    announce(timer ? "Asking again every 10 seconds" : "No longer asking again by itself");
    return timer !== null;
  },
};

function showAccess(refused = null) {
  shown?.view.release();
  shown = null;
  place("toolbar").hidden = true;
  place("views").replaceChildren();
  place("session-tools").replaceChildren(themeButton());
  const form = accessForm(() => {
    show();
    pulse();
    place("main").querySelector("h1")?.focus();
  }, refused);
  place("main").replaceChildren(form);
  document.title = "Tallystream";
  form.querySelector("input").focus();
}

function drawHeader(address) {
  const hasRange = address.view !== "pipeline" && !(address.view === "sessions" && address.ids.length > 0);
  const links = Object.entries(VIEWS).map(([view, title]) =>
    h("a", { href: linkTo(address, view), "aria-current": view === address.view ? "page" : null }, title),
  );
  place("views").replaceChildren(...links);
  const forget = h(
    "button",
    {
      type: "button",
      class: "icon-button",
      title: "Forget the key",
      onclick: () => {
        keepKey(null);
        showAccess();
      },
    },
    icon("key"),
    quiet("Forget the key"),
  );
  if (!place("pulse"))
    place("session-tools").replaceChildren(
      h(
        "a",
        { id: "pulse", class: "pulse", href: "#/pipeline" },
        h("span", { class: "dot" }),
        quiet("State of the pipeline"),
      ),
      themeButton(),
      forget,
    );
  place("pulse").setAttribute("href", linkTo(address, "pipeline"));
  place("toolbar").hidden = !hasRange;
  if (hasRange)
    keepFocus(place("toolbar"), () =>
      place("toolbar").replaceChildren(...toolbarParts(address, { go, refresh, live })),
    );
}

/** Redraws a place; what had the focus has it again, or its neighbour where it is gone. */
function keepFocus(within, redraw) {
  const reachable = () => [...within.querySelectorAll("a, button")];
  const index = reachable().indexOf(document.activeElement);
  redraw();
  if (index >= 0) reachable()[Math.min(index, reachable().length - 1)].focus();
}

function themeButton() {
  const chosen = () => document.documentElement.dataset.theme ?? "auto";
  const button = h("button", { type: "button", class: "icon-button", id: "theme" });
  const draw = () => {
    const [drawing, words] = THEMES[chosen()];
    button.title = `Theme: ${words}`;
    button.replaceChildren(icon(drawing), quiet(`Theme: ${words}. Change`));
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(chosen()) + 1) % names.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem(THEME_NAME, next);
    } catch {
      // Storage is blocked: the choice lasts as long as the page.
    }
    draw();
    announce(`Theme: ${THEMES[next][1]}`);
    document.dispatchEvent(new Event("themechange"));
  });
  draw();
  return button;
}

/** The state of ingest, in the header of every view. */
async function pulse() {
  const link = place("pulse");
  if (!link || document.hidden) return;
  try {
    const { text, tone } = summarise(await ask("reports/pipeline"));
    link.replaceChildren(h("span", { class: `dot ${tone}` }), text, quiet(", state of the pipeline"));
  } catch {
    link.replaceChildren(h("span", { class: "dot warn" }), "No answer", quiet(", state of the pipeline"));
  }
}

function drawFooter() {
  const { questions, rows, slowest_ms } = takeStatistics();
  if (questions === 0) return;
  const figures = `${questions} ${questions === 1 ? "answer" : "answers"} · ${exactCount(rows)} rows read · slowest ${Math.round(slowest_ms)} ms`;
  place("footer").replaceChildren(
    h("span", {}, "Every figure is exact: counted over events without duplicates"),
    h("span", { class: "number" }, figures),
  );
}

function onKey(event) {
  const isTyping = event.target instanceof Element && event.target.closest("input, select, textarea, dialog");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !shown) return;
  if (event.key === "r") refresh();
  if (event.key === "f" || event.key === "/") {
    event.preventDefault();
    place("add-filter")?.click();
  }
}

onKeyRefused((refused) => {
  keepKey(null);
  showAccess(refused);
});
addEventListener("hashchange", () => {
  const before = shown?.key;
  show();
  if (shown && before && shown.key.split("\n")[0] !== before.split("\n")[0])
    place("main").querySelector("h1")?.focus({ preventScroll: true });
});
addEventListener("keydown", onKey);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
  document.dispatchEvent(new Event("themechange")),
);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part behind # is the page's address
  place("main").focus();
});
setInterval(pulse, PULSE_MS);
setInterval(drawFooter, FOOTER_MS);
show();
pulse();
