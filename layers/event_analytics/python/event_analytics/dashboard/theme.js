// Runs before the first paint, so that a chosen theme does not flash in the system's colours. Classic script.
"use strict";
try {
  const chosen = localStorage.getItem("tallystream.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is blocked: the system's theme stands.
}
