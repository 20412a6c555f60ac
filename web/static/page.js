// Keeps an open page as young as the record: asks for the page again when a new snapshot is due,
// and puts its live parts in place of the old ones. The server renders; there is no second copy of
// any format here. Ages are counted by the server's clock, which each answer's Date header tells.

const RETRY_S = 2;
const COMMIT_ALLOWANCE_S = 1.5;
const pause = document.getElementById("pause");
const banner = document.getElementById("banner");

let clockOffsetMs = Date.parse(document.documentElement.dataset.sentAt) - performance.now();
let isPaused = false;
let lostSinceMs = null;
let timer = null;

const serverNowMs = () => performance.now() + clockOffsetMs;
const now = () => document.getElementById("now").dataset;
const takenAtMs = () => Date.parse(now().takenAt);

function words(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  let rest = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [size, unit] of units) {
    const amount = Math.floor(rest / size);
    rest %= size;
    if (amount || (unit === "s" && !parts.length)) parts.push(`${amount} ${unit}`);
    else if (parts.length) break;
  }
  return parts.slice(0, 2).join(" ");
}

const utc = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ") + " UTC";

function put(next) {
  const overall = document.getElementById("overall");
  const before = overall.className;
  for (const fresh of next.querySelectorAll("[data-live]")) {
    const old = document.getElementById(fresh.id);
    if (old) morph(old, fresh);
  }
  // Of what is out of date the banner speaks.
  if (overall.className !== before && !overall.classList.contains("stale")) {
    document.getElementById("announcement").textContent = overall.textContent.trim();
  }
  document.title = next.title;
  setIcon(next.querySelector("link[rel=icon]").getAttribute("href"));
}

// Makes `old` like `fresh` and keeps the elements that are alike: what has the focus, is selected,
// scrolled or unfolded stays so.
function morph(old, fresh) {
  if (old.nodeName !== fresh.nodeName) {
    old.replaceWith(document.importNode(fresh, true));
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
  } else {
    for (const { name } of [...old.attributes]) {
      const isVisitors = name === "open" && old.nodeName === "DETAILS";
      if (!isVisitors && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const [olds, freshes] = [[...old.childNodes], [...fresh.childNodes]];
    olds.slice(freshes.length).forEach((node) => node.remove());
    freshes.forEach((node, i) => (olds[i] ? morph(olds[i], node) : old.append(document.importNode(node, true))));
  }
}

function setIcon(href) {
  const icon = document.querySelector("link[rel=icon]");
  if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);
}

function say(text) {
  // Announced by screen readers, so it changes only when the state does.
  if (banner.textContent.trim() !== text) banner.textContent = text;
  banner.classList.toggle("is-shown", text !== "");
}

function showAge() {
  for (const age of document.querySelectorAll("[data-since]")) {
    age.textContent = words((serverNowMs() - Date.parse(age.dataset.since)) / 1000);
  }
  const whenSent = document.getElementById("when-sent");
  if (whenSent) whenSent.hidden = true;
  const isExpired = serverNowMs() > Date.parse(now().expiresAt);
  const from = utc(takenAtMs());
  if (lostSinceMs !== null) {
    say(`No contact with the server since ${utc(lostSinceMs)}. The numbers below are from ${from}.`);
  } else if (isExpired && isPaused) {
    say(`Updates are paused. The numbers below are from ${from}.`);
  } else if (isExpired) {
    say(`Out of date: no snapshot has come since ${from}. The numbers below are from then.`);
  } else {
    say("");
  }
  if (lostSinceMs !== null || isExpired) {
    const overall = document.getElementById("overall");
    overall.className = "overall stale";
    overall.replaceChildren(document.getElementById("when-old").content.cloneNode(true));
    setIcon(document.querySelector("link[rel=icon]").getAttribute("href").replace(/icon-\w+/, "icon-stale"));
    document.title = document.title.replace(/^[^·]*·/, "◷ Out of date ·");
  }
}

async function renew() {
  try {
    const answer = await fetch(location.pathname, {
      cache: "no-cache", headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10000),
    });
    const date = Date.parse(answer.headers.get("Date"));
    if (!answer.ok || Number.isNaN(date)) throw new Error(`status ${answer.status}`);
    put(new DOMParser().parseFromString(await answer.text(), "text/html"));
    clockOffsetMs = date - performance.now();
    lostSinceMs = null;
  } catch {
    lostSinceMs ??= serverNowMs();
  }
  showAge();
  plan();
}

function plan() {
  clearTimeout(timer);
  if (isPaused) return;
  const intervalS = Number(now().intervalS);
  const ageS = (serverNowMs() - takenAtMs()) / 1000;
  const dueInS = intervalS + Math.min(COMMIT_ALLOWANCE_S, intervalS / 4) - ageS;
  // A successor that is late, or a server that is lost, is asked for again soon, but not in step
  // with every other open page.
  const retryInS = Math.min(RETRY_S, intervalS / 2) + Math.random() * Math.min(intervalS, 8);
  const waitS = dueInS <= 0 || lostSinceMs !== null ? retryInS : dueInS;
  timer = setTimeout(renew, Math.min(waitS, intervalS + RETRY_S) * 1000);
}

pause.hidden = false;
pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.textContent = isPaused ? "Resume updates" : "Pause updates";
  if (isPaused) clearTimeout(timer);
  else renew();
  showAge();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && !isPaused) renew();
});
setInterval(showAge, 1000);
// The page may come from the browser's memory: only an answer of now tells the server's time.
renew();
