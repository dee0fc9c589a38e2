"use strict";

/* Tables: one group at a time, sorted by a click on a heading. */
function showGroup(name) {
  for (const part of document.querySelectorAll("section.group")) part.hidden = part.dataset.group !== name;
}

function sortBy(head) {
  const table = head.closest("table");
  const upward = head.getAttribute("aria-sort") !== "ascending";
  const column = Number(head.dataset.column);
  for (const other of table.querySelectorAll("thead th")) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", upward ? "ascending" : "descending");
  const rank = (row) => {
    const text = row.children[column].dataset.sort;
    return text === "" ? Infinity : (upward ? 1 : -1) * Number(text);
  };
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => (rank(one) === rank(other) ? 0 : rank(one) - rank(other)));
  table.tBodies[0].append(...rows);
}

/* Players: one sound at a time; another sound of the row goes on where the last one was. */
const now = { row: null, player: null };

function audioOf(player) { return player.querySelector("audio"); }

function startAt(audio, seconds) {
  const go = () => { audio.currentTime = Math.min(seconds, Math.max(0, audio.duration - 0.05)); };
  if (audio.readyState > 0) go(); else audio.addEventListener("loadedmetadata", go, { once: true });
  return audio.play();
}

function stop() {
  if (!now.player) return;
  audioOf(now.player).pause();
  mark(now.player, false);
}

function mark(player, playing) {
  player.classList.toggle("playing", playing);
  player.querySelector("button").setAttribute("aria-pressed", String(playing));
}

function activate(row) {
  if (now.row === row) return;
  stop();
  if (now.row) now.row.classList.remove("active");
  now.row = row;
  now.player = null;
  row.classList.add("active");
}

function play(player) {
  const row = player.closest(".example");
  activate(row);
  stop();
  const position = row.querySelector(".position");
  const at = Number(position.value) < Number(position.max) - 0.1 ? Number(position.value) : 0;
  now.player = player;
  mark(player, true);
  startAt(audioOf(player), at).catch(() => mark(player, false));
  follow();
}

function toggle(player) {
  if (now.player === player && !audioOf(player).paused) stop(); else play(player);
}

function follow() {
  const player = now.player;
  if (!player) return;
  const audio = audioOf(player);
  if (audio.readyState > 0 && !audio.seeking) {
    const position = now.row.querySelector(".position");
    position.value = String(audio.currentTime);
    player.querySelector("i").style.left = (100 * audio.currentTime) / audio.duration + "%";
  }
  if (!audio.paused && !audio.ended) requestAnimationFrame(follow);
}

function preparePlayers() {
  for (const player of document.querySelectorAll(".player")) {
    const audio = audioOf(player);
    audio.removeAttribute("controls");
    audio.addEventListener("ended", () => mark(player, false));
    audio.addEventListener("timeupdate", () => { if (now.player === player) follow(); });
    player.querySelector("button").addEventListener("click", () => toggle(player));
  }
  for (const position of document.querySelectorAll(".position")) {
    position.addEventListener("input", () => {
      activate(position.closest(".example"));
      if (now.player) audioOf(now.player).currentTime = Number(position.value);
    });
  }
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.body.classList.contains("blind")) return;
  const target = event.target;
  const focused = target.closest(".example");
  const row = focused || now.row || document.querySelector(".example");
  if (!row) return;
  if (event.key === " ") {
    if (target.closest("button, input, summary, a, .scroll") || !now.player) return;
    event.preventDefault();
    toggle(now.player);
    return;
  }
  const player = [...row.querySelectorAll(".player")].find((one) => one.dataset.key && one.dataset.key === event.key.toLowerCase());
  if (!player) return;
  event.preventDefault();
  play(player);
}

for (const radio of document.querySelectorAll("#groups input")) radio.addEventListener("change", () => showGroup(radio.value));
const first = document.querySelector("#groups input");
if (first) { first.checked = true; showGroup(first.value); }
for (const head of document.querySelectorAll("th[data-column]")) head.querySelector("button").addEventListener("click", () => sortBy(head));
preparePlayers();
document.addEventListener("keydown", onKey);
