// Builds elements. Whatever comes from an event becomes a text node or an attribute of a closed list, never markup.

const ATTRIBUTES = new Set([
  "class",
  "id",
  "for",
  "href",
  "title",
  "type",
  "name",
  "value",
  "placeholder",
  "role",
  "tabindex",
  "scope",
  "hidden",
  "disabled",
  "selected",
  "checked",
  "autocomplete",
  "autocapitalize",
  "spellcheck",
  "maxlength",
  "min",
  "max",
  "step",
  "list",
  "required",
  "open",
  "datetime",
  "colspan",
  "lang",
  "download",
  "d",
  "viewBox",
  "width",
  "height",
  "points",
  "preserveAspectRatio",
  "cx",
  "cy",
  "r",
  "x",
  "y",
  "x1",
  "x2",
  "y1",
  "y2",
  "method",
  "inputmode",
]);
const SVG = "http://www.w3.org/2000/svg";

/** An element. `properties`: attributes; `onclick`-like functions are listeners; `vars` are CSS variables. */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** As `h`, for drawings. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** Text for screen readers only. */
export function quiet(text) {
  return h("span", { class: "quiet" }, text);
}

/** One of the few drawings that buttons carry; decorative. */
export function icon(name) {
  const path = svg("path", { d: ICONS[name] });
  const drawing = svg("svg", { class: "icon", viewBox: "0 0 16 16", width: "16", height: "16" }, path);
  drawing.setAttribute("aria-hidden", "true");
  return drawing;
}

/** Puts text into the page's live region. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) set(element, name, value);
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

function set(element, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (typeof value === "function" && name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "vars") for (const [key, item] of Object.entries(value)) element.style.setProperty(key, item);
  else if (name.startsWith("aria-") || name.startsWith("data-")) element.setAttribute(name, value);
  else if (!ATTRIBUTES.has(name)) throw new Error(`attribute ${name} is not on the list`);
  // An address leads into this page or to a file that it made itself, never where an event's text would have it.
  else if (name === "href" && !/^(#|blob:)/.test(value)) throw new Error("links stay on this page");
  else element.setAttribute(name, value === true ? "" : value);
}

const ICONS = {
  refresh: "M13.5 8a5.5 5.5 0 1 1-1.6-3.9M13.5 1.8v2.9h-2.9",
  close: "M4 4l8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  filter: "M2 4h12M4.5 8h7M6.5 12h3",
  sun: "M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1.1 1.1M11.9 11.9L13 13M13 3l-1.1 1.1M4.1 11.9L3 13M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 1 0 0-5.6",
  moon: "M13.5 9.8A6 6 0 0 1 6.2 2.5a6 6 0 1 0 7.3 7.3",
  contrast: "M8 2.5a5.5 5.5 0 1 0 0 11A5.5 5.5 0 1 0 8 2.5M8.6 2.6v10.8M10 3v10M11.4 3.9v8.2M12.6 5.2v5.6",
  key: "M6 9.5a3 3 0 1 0-3.5 3A3 3 0 0 0 6 9.5zM5.5 8L13 2.5M10.5 4.3l1.8 2.3",
  back: "M9.5 3.5L5 8l4.5 4.5",
  next: "M6.5 3.5L11 8l-4.5 4.5",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  save: "M8 2v8M4.8 7L8 10.2 11.2 7M2.5 13.5h11",
  zoom: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 1 0 0-9M10.3 10.3l3.5 3.5M5 7h4",
};
