// What the page shows, as the part of the URL behind `#`: it can be shared, the back button works, and no server or log
// sees it. The key never stands in it.
//
//   #/?window=7d&event_name=chat            overview       #/sessions                 ranking
//   #/events/EVENT?has_error=true           events         #/sessions/SESSION/EVENT   timeline
//   #/pipeline                              ingest

export const WINDOWS = ["1h", "24h", "7d", "30d"];
export const WINDOW_DEFAULT = "24h";
export const VIEWS = { "": "Overview", sessions: "Sessions", events: "Events", pipeline: "Pipeline" };
const FILTER_NAMES = new Set(["event_name", "user_id", "conversation_id", "has_error"]);
const OPTION_NAMES = new Set(["metric", "by", "min_events", "order"]);
const PROPERTY = "properties.";

/** `{view, ids, range, filters: [[name, value]], options: {}}`; what cannot be read is left out. */
export function readAddress(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view = "", ...ids] = path.split("/").map(decode);
  const address = { view: view in VIEWS ? view : "", ids: ids.filter(Boolean), range: {}, filters: [], options: {} };
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === "window" || name === "start" || name === "end") address.range[name] = value;
    else if (isFilter(name) && (value || isProperty(name))) address.filters.push([name, value]);
    else if (OPTION_NAMES.has(name)) address.options[name] = value;
  }
  if (address.range.start) delete address.range.window;
  else address.range = { window: address.range.window ?? WINDOW_DEFAULT };
  return address;
}

/** The text that `readAddress` reads. */
export function writeAddress({ view, ids = [], range, filters = [], options = {} }) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(range)) {
    if (value && !(name === "window" && value === WINDOW_DEFAULT)) query.append(name, value);
  }
  for (const [name, value] of filters) query.append(name, value);
  for (const [name, value] of Object.entries(options)) if (value) query.append(name, value);
  const path = [view, ...ids].map(encodeURIComponent).join("/");
  return `#/${path}${query.size ? `?${query}` : ""}`;
}

/** The address of another view, keeping range and filters. */
export function linkTo(address, view, ...ids) {
  return writeAddress({ ...address, view, ids, options: {} });
}

/** The address with one more filter; a name other than a property's has one value at a time. */
export function withFilter(address, name, value) {
  const kept = address.filters.filter(([other, held]) => !(other === name && (held === value || !isProperty(name))));
  return { ...address, filters: [...kept, [name, value]] };
}

/** The address without the filter at an index. */
export function withoutFilter(address, index) {
  return { ...address, filters: address.filters.filter((_, position) => position !== index) };
}

/** The address of the events that pass one more filter. */
export function eventsWith(address, name, value) {
  return writeAddress({ ...withFilter(address, name, value), view: "events", ids: [], options: {} });
}

/** Parameters of a report of this address, ready for the API. */
export function parametersOf(address, more = {}) {
  return [...Object.entries(address.range), ...address.filters, ...Object.entries(more)];
}

export function isProperty(name) {
  return name.startsWith(PROPERTY);
}

export function propertyName(path) {
  return PROPERTY + path;
}

function isFilter(name) {
  return FILTER_NAMES.has(name) || (isProperty(name) && name.length > PROPERTY.length);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
