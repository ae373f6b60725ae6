// The two dialogs behind the toolbar: a range of one's own, and a filter; and filters in words.

import { isProperty, propertyName, withFilter } from "./address.js";
import { ask } from "./api.js";
import { h } from "./dom.js";
import { DAY_MS, MINUTE_MS } from "./format.js";

const COMPARISONS = {
  eq: "is",
  ne: "is not",
  gt: "greater than",
  gte: "at least",
  lt: "less than",
  lte: "at most",
  exists: "exists",
};
const FIELDS = {
  event_name: "Event type",
  user_id: "User",
  conversation_id: "Session",
  has_error: "Outcome",
  property: "Property",
};
const PROPERTY_CHARACTERS_MAX = 1_000;
const KEY_CHARACTERS_MAX = 128; // of a user, session or event name
const EXAMPLE = "plan, or tokens.input";

/** A filter in words: `tokens.input at least 100`. */
export function describeFilter(name, value) {
  if (name === "has_error") return ["Outcome", "is", value === "true" ? "failed" : "OK"];
  if (!isProperty(name)) return [FIELDS[name], "is", value];
  const [, comparison = "eq", text = ""] = value.match(/^(eq|ne|gt|gte|lt|lte|exists):(.*)$/s) ?? [null, "eq", value];
  if (comparison === "exists")
    return [name.slice(propertyName("").length), text === "false" ? "does not exist" : "exists", ""];
  return [name.slice(propertyName("").length), COMPARISONS[comparison], text];
}

/** Asks for start and end. */
export function rangeDialog(address, go) {
  const now = new Date();
  const start = h("input", {
    id: "range-start",
    type: "datetime-local",
    required: true,
    value: localText(address.range.start ?? now.getTime() - DAY_MS),
  });
  const end = h("input", {
    id: "range-end",
    type: "datetime-local",
    value: address.range.end ? localText(address.range.end) : "",
  });
  const problem = h("p", { class: "problem", role: "alert" });
  const apply = () => {
    const range = {
      start: new Date(start.value).toISOString(),
      end: end.value ? new Date(end.value).toISOString() : null,
    };
    if (Date.parse(range.start) >= (range.end ? Date.parse(range.end) : Date.now())) {
      problem.textContent = "The start lies before the end.";
      return false;
    }
    go({ ...address, range });
    return true;
  };
  return dialog(
    "Custom range",
    apply,
    field("From", start),
    field("To (empty: now)", end),
    h(
      "p",
      { class: "muted" },
      `In your time zone, ${Intl.DateTimeFormat().resolvedOptions().timeZone}. You can also drag across the chart.`,
    ),
    problem,
  );
}

/** Asks for one filter. */
export function filterDialog(address, go) {
  const names = h("datalist", { id: "event-names" });
  const kind = h(
    "select",
    { id: "filter-field" },
    Object.entries(FIELDS).map(([value, text]) => h("option", { value }, text)),
  );
  const path = h("input", {
    id: "filter-path",
    placeholder: EXAMPLE,
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "off",
  });
  const comparison = h(
    "select",
    { id: "filter-comparison" },
    Object.entries(COMPARISONS).map(([value, text]) => h("option", { value }, text)),
  );
  const value = h("input", {
    id: "filter-value",
    list: "event-names",
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "off",
    maxlength: PROPERTY_CHARACTERS_MAX,
  });
  const outcome = h(
    "select",
    { id: "filter-outcome" },
    h("option", { value: "true" }, "failed"),
    h("option", { value: "false" }, "OK"),
  );
  const fields = {
    path: field("Name", path),
    comparison: field("Comparison", comparison),
    value: field("Value", value),
    outcome: field("Outcome", outcome),
  };
  const adjust = () => {
    const takesPath = kind.value === "property";
    fields.path.hidden = fields.comparison.hidden = !takesPath;
    fields.outcome.hidden = kind.value !== "has_error";
    fields.value.hidden = kind.value === "has_error" || (takesPath && comparison.value === "exists");
    value.maxLength = takesPath ? PROPERTY_CHARACTERS_MAX : KEY_CHARACTERS_MAX;
    if (kind.value === "event_name") value.setAttribute("list", "event-names");
    else value.removeAttribute("list");
    path.required = takesPath;
    value.required = !fields.value.hidden;
  };
  kind.addEventListener("change", adjust);
  comparison.addEventListener("change", adjust);
  adjust();
  suggestNames(names, address);
  const apply = () => {
    go({
      ...withFilter(address, ...filterOf(kind.value, path.value.trim(), comparison.value, value.value, outcome.value)),
      ids: [],
    });
    return true;
  };
  return dialog(
    "Add a filter",
    apply,
    field("Field", kind),
    fields.path,
    fields.comparison,
    fields.value,
    fields.outcome,
    names,
  );
}

function filterOf(kind, path, comparison, value, outcome) {
  if (kind === "has_error") return [kind, outcome];
  if (kind !== "property") return [kind, value];
  return [propertyName(path), comparison === "exists" ? "exists:true" : `${comparison}:${value}`];
}

function suggestNames(list, address) {
  ask("reports/errors", [...Object.entries(address.range), ["limit", 100]]).then(
    (answer) => list.append(...answer.errors.map((row) => h("option", { value: row.event_name }))),
    () => {}, // suggestions only: the name can be typed
  );
}

function field(label, input) {
  return h("p", { class: "field" }, h("label", { for: input.id }, label), input);
}

/** A dialog that is gone when closed; `apply` returns whether it may close. */
function dialog(title, apply, ...content) {
  const submit = (event) => {
    event.preventDefault();
    if (apply()) element.close();
  };
  const cancel = h("button", { type: "button", class: "button", onclick: () => element.close() }, "Cancel");
  const form = h(
    "form",
    { onsubmit: submit },
    h("h2", { id: "dialog-title" }, title),
    content,
    h("div", { class: "dialog-actions" }, cancel, h("button", { type: "submit", class: "button primary" }, "Apply")),
  );
  const element = h(
    "dialog",
    {
      class: "dialog",
      "aria-labelledby": "dialog-title",
      onclose: () => element.remove(),
      onclick: (event) => event.target === element && element.close(),
    },
    form,
  );
  document.body.append(element);
  return element;
}

/** What a datetime-local field takes: local time to the minute. */
function localText(instant) {
  const date = new Date(instant);
  return new Date(date.getTime() - date.getTimezoneOffset() * MINUTE_MS).toISOString().slice(0, 16);
}
