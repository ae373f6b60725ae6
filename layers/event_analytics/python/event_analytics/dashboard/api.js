// Asks the API, below the page's own address, with the key that this tab holds.

// The page is the API's root: with or without a slash at its end, everything else lies below it.
const BASE = new URL(location.pathname.replace(/\/*$/, "/"), location.origin);
const KEY_NAME = "tallystream.key";
const KEPT_MS = 15_000; // the back button shows the same figures at once; older ones are asked for again
const KEPT_ANSWERS_MAX = 64;
// Each question at once may wake another function; the first ones asked matter most, and warm ones answer in no time.
const QUESTIONS_AT_ONCE = 3;
const answers = new Map();
const waiting = [];
let running = 0;
let statistics = { questions: 0, rows: 0, slowest_ms: 0 };

/** A refusal. `status` is 0 where nothing answered; `retryAfterSeconds` where waiting may help. */
export class ApiError extends Error {
  constructor(status, { reason = "", message = "", field = null } = {}, retryAfterSeconds = null) {
    super(message);
    Object.assign(this, { status, reason, field, retryAfterSeconds });
  }

  /** Whether the key, not the question, is at fault. */
  get isAboutKey() {
    return this.status === 401 || this.reason === "key_invalid" || this.reason === "scope_missing";
  }
}

/** The answer to GET, maybe one of a few seconds ago. `parameters`: pairs, as names may repeat. */
export function ask(path, parameters = []) {
  const address = urlOf(path, parameters).href;
  const kept = answers.get(address);
  if (kept && Date.now() - kept.at < KEPT_MS) return kept.answer;
  const answer = request(address, {});
  answers.set(address, { at: Date.now(), answer });
  answer.catch(() => answers.delete(address));
  if (answers.size > KEPT_ANSWERS_MAX) answers.delete(answers.keys().next().value);
  return answer;
}

/** The answer to POST. */
export function post(path, document) {
  const headers = { "Content-Type": "application/json" };
  return request(urlOf(path, []).href, { method: "POST", headers, body: JSON.stringify(document) });
}

/** A report as CSV text, for a spreadsheet: no cell of it is a formula. */
export async function askForCsv(path, parameters) {
  const headers = { Accept: "text/csv; formulas=escaped" };
  const response = await send(urlOf(path, parameters).href, { headers });
  if (!response.ok) throw await errorOf(response);
  return response.text();
}

/** Forgets kept answers: the next questions are asked anew. */
export function forgetAnswers() {
  answers.clear();
}

/** Questions answered since the last call, the rows read for them and the slowest one. */
export function takeStatistics() {
  const taken = statistics;
  statistics = { questions: 0, rows: 0, slowest_ms: 0 };
  return taken;
}

export function readKey() {
  return sessionStorage.getItem(KEY_NAME);
}

/** Keeps the key for this tab; null forgets it. */
export function keepKey(key) {
  if (key === null) sessionStorage.removeItem(KEY_NAME);
  else sessionStorage.setItem(KEY_NAME, key);
  forgetAnswers();
}

function urlOf(path, parameters) {
  const url = new URL(path, BASE);
  for (const [name, value] of parameters) url.searchParams.append(name, value);
  return url;
}

async function request(url, options) {
  const response = await send(url, options);
  if (!response.ok) throw await errorOf(response);
  const answer = await response.json();
  statistics.questions += 1;
  statistics.rows += answer.rows_read ?? 0;
  statistics.slowest_ms = Math.max(statistics.slowest_ms, answer.elapsed_ms ?? 0);
  return answer;
}

async function send(url, options) {
  if (running >= QUESTIONS_AT_ONCE) await new Promise((resume) => waiting.push(resume));
  else running += 1;
  try {
    return await fetchWithKey(url, options);
  } finally {
    if (waiting.length > 0)
      waiting.shift()(); // hands its place over
    else running -= 1;
  }
}

async function fetchWithKey(url, options) {
  const headers = { Accept: "application/json", ...options.headers, Authorization: `Bearer ${readKey() ?? ""}` };
  try {
    return await fetch(url, { ...options, headers, credentials: "same-origin", cache: "no-store" });
  } catch {
    throw new ApiError(0, { reason: "unreachable", message: "the API does not answer" }, 5);
  }
}

async function errorOf(response) {
  const document = await response.json().catch(() => ({}));
  const seconds = Number(response.headers.get("Retry-After")) || null;
  return new ApiError(response.status, document.error, response.status >= 500 ? (seconds ?? 5) : seconds);
}
