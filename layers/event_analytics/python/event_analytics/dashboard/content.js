// Input and output of an event: plain text, JSON, or the messages of a conversation with a model.

import { h } from "./dom.js";

const MESSAGES_MAX = 500;

/** The first characters of what a person would read of it; empty where there is nothing. */
export function firstWords(text, characters) {
  if (!text) return "";
  const messages = messagesIn(parse(text));
  const words = (messages ? textOf(messages.at(-1).content) : text).replace(/\s+/g, " ").trim();
  return words.length > characters ? `${words.slice(0, characters)}…` : words;
}

/** The whole of it, as readable as its form allows. */
export function contentBlock(title, text) {
  const parsed = parse(text);
  const messages = messagesIn(parsed);
  if (messages)
    return h("ol", { class: "messages", "aria-label": title }, messages.slice(0, MESSAGES_MAX).map(message));
  const words = parsed === undefined ? text : JSON.stringify(parsed, null, 2);
  return textBlock(title, words, parsed !== undefined);
}

/** Text that scrolls in its own box when it is long; reachable by keyboard. */
export function textBlock(title, text, isCode = false) {
  return h("pre", { class: isCode ? "block code" : "block", tabindex: "0", role: "region", "aria-label": title }, text);
}

function message({ role, content }) {
  return h(
    "li",
    { class: role === "user" ? "message mine" : "message" },
    h("span", { class: "role" }, String(role)),
    h("div", {}, textOf(content)),
  );
}

function messagesIn(document) {
  const list = Array.isArray(document) ? document : document?.messages;
  const isMessage = (item) => item !== null && typeof item === "object" && "role" in item && "content" in item;
  return Array.isArray(list) && list.length > 0 && list.every(isMessage) ? list : null;
}

function textOf(content) {
  if (typeof content === "string") return content;
  if (Array.isArray(content) && content.every((part) => typeof part?.text === "string"))
    return content.map((part) => part.text).join("\n");
  return JSON.stringify(content, null, 2) ?? "";
}

/** The JSON object or list in a text; undefined where it is neither. */
function parse(text) {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
