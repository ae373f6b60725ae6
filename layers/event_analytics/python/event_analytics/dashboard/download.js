// Saves a report as CSV: the same question, asked for as text/csv, handed to the browser as a file.

import { askForCsv } from "./api.js";
import { announce, h, icon, quiet } from "./dom.js";
import { explain } from "./states.js";

const RELEASE_AFTER_MS = 10_000; // the browser has begun to read the file by then

/** A small button that saves the answer of a report. */
export function csvButton(title, path, parameters) {
  const save = async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      saveAs(`${title.toLowerCase().replaceAll(" ", "-")}.csv`, await askForCsv(path, parameters));
      announce(`${title}: saved as CSV`);
    } catch (error) {
      announce(`${title}: not saved. ${explain(error).title}`);
    } finally {
      button.disabled = false;
    }
  };
  return h(
    "button",
    { type: "button", class: "small-button", title: "Save as CSV", onclick: save },
    icon("save"),
    "CSV",
    quiet(` of ${title}`),
  );
}

function saveAs(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = h("a", { href: url, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), RELEASE_AFTER_MS);
}
