// Asks for the key, once per tab. It is kept in the tab's session storage and sent as a header, never in an address.

import { ApiError, ask, keepKey } from "./api.js";
import { h, icon } from "./dom.js";
import { explain } from "./states.js";

const KEY_CHARACTERS = /^[\x21-\x7e]+$/; // what a header can carry

/** The form; `onaccepted` is called when a key has read something. `refused`: why the last one did not. */
export function accessForm(onaccepted, refused = null) {
  const input = h("input", {
    id: "key",
    type: "password",
    name: "key",
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "off",
    "aria-describedby": "key-help key-problem",
  });
  const problem = h("p", { id: "key-problem", class: "problem", role: "alert" }, refused ? sayRefused(refused) : "");
  const button = h("button", { type: "submit", class: "button primary" }, "Open dashboard");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    problem.textContent = await tryKey(input.value.trim());
    button.disabled = false;
    if (problem.textContent) input.select();
    else onaccepted();
  };
  const help = "A key with the scope read. It stays in this tab until you close it, and is never part of the address.";
  return h(
    "form",
    { class: "access", onsubmit: submit },
    h("div", { class: "access-mark" }, icon("key")),
    h("h1", { tabindex: "-1" }, "Enter your API key"),
    h("p", { id: "key-help", class: "muted" }, help),
    h("label", { for: "key" }, "API key"),
    input,
    problem,
    button,
  );
}

async function tryKey(key) {
  if (!KEY_CHARACTERS.test(key)) return "A key has no spaces and no letters outside of ASCII. Copy it again.";
  keepKey(key);
  try {
    await ask("reports/pipeline");
    return "";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!error.isAboutKey) return ""; // the key may be right: the page itself says what is wrong
    keepKey(null);
    return sayRefused(error);
  }
}

function sayRefused(error) {
  if (error.reason === "scope_missing") return "This key may not read. Use one with the scope read.";
  if (error.status === 401) return "The API wants a key. Enter one with the scope read.";
  if (error.reason === "key_invalid") return "This key is unknown, revoked or expired. Check it, or ask for a new one.";
  return explain(error).title;
}
