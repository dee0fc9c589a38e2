// The page: two sources, settings, one piece of work at a time, its result, and what was made before.

import { ask, send } from "./api.js";
import { Result } from "./result.js";
import { Source } from "./source.js";
import { apart, preferred, speak, word } from "./words.js";

const LANGUAGES = ["en", "de", "ar"];
const EVERY_MS = 250;
const AGAIN_MS = 1500; // while the studio does not answer
const at = (id) => document.getElementById(id);
const form = at("settings");
let about, result, running = null;
const sources = {};

function trouble(error) {
  at("trouble").textContent = error?.message ?? String(error);
  if (error?.foreign) at("trouble").lang = "en";
  else at("trouble").removeAttribute("lang");
  at("trouble").dir = "auto";
  at("trouble").hidden = false;
  at("trouble").scrollIntoView({ block: "nearest" });
}

function fine() {
  at("trouble").hidden = true;
}

// One is heard at a time.
function alone(player) {
  for (const each of [...Object.values(sources), result]) if (each !== player) each.stop();
}

async function refreshShelf() {
  const sounds = await ask("sounds");
  for (const source of Object.values(sources)) source.offer(sounds);
  return sounds;
}

// Settings

function modelChosen() {
  const model = about.models.find((each) => each.name === form.elements.model.value);
  const kept = form.elements.orchestration.value;
  const names = model.orchestrations.map((each) => new Option(each, each));
  form.elements.orchestration.replaceChildren(new Option(word("by_seed"), ""), ...names);
  form.elements.orchestration.value = model.orchestrations.includes(kept) ? kept : "";
  form.elements.orchestration.disabled = model.orchestrations.length === 0;
  at("factors").disabled = form.elements.dial.disabled = !model.factors;
  dialled();
}

// The dial sets the strengths of chords and colour.
function dialled() {
  const { dial, distance } = form.elements;
  const on = dial.checked && !dial.disabled;
  distance.disabled = !on;
  at("distance-told").textContent = on ? Number(distance.value).toFixed(2) : "";
  distance.setAttribute("aria-label", `${word("dial")} ${distance.value}`);
  for (const name of ["harmony", "colour"]) if (form.elements[`strength_${name}`]) form.elements[`strength_${name}`].disabled = on;
}

function factor(name) {
  const label = document.createElement("label");
  const told = document.createElement("span");
  told.dataset.word = `factor_${name}`;
  const from = document.createElement("select");
  from.name = `from_${name}`;
  for (const each of ["groove", "harmony", "both"]) {
    const option = new Option("", each);
    option.dataset.word = each;
    from.append(option);
  }
  from.value = name === "rhythm" ? "groove" : "harmony";
  const strength = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 3, step: 0.1, value: 1, name: `strength_${name}` });
  const shown = document.createElement("output");
  const show = () => { shown.textContent = Number(strength.value).toFixed(1); strength.setAttribute("aria-label", `${word(`factor_${name}`)} ${shown.textContent}`); };
  strength.addEventListener("input", show);
  strength.show = show;
  show();
  const insisted = Object.assign(document.createElement("span"), { className: "strength" });
  insisted.append(strength, shown);
  label.append(told, from, insisted);
  return label;
}

function wish() {
  const { model, seed, lasts, orchestration, align, bpm, transpose } = form.elements;
  const wished = {
    groove: sources.groove.wish(), harmony: sources.harmony.wish(), model: model.value, seed: Number(seed.value), length: lasts.value,
    align: align.value === "bpm" ? bpm.value : align.value, transpose: transpose.value,
  };
  if (at("factors").disabled) return wished;
  const chosen = (kind, plain) => Object.fromEntries(
    about.factors.map((name) => [name, form.elements[`${kind}_${name}`]])
      .filter(([name, box]) => !box.disabled && box.value !== plain(name)).map(([name, box]) => [name, box.value]),
  );
  const distance = form.elements.distance.disabled ? null : Number(form.elements.distance.value);
  const sourcesOf = chosen("from", (name) => (name === "rhythm" ? "groove" : "harmony"));
  const strengths = Object.fromEntries(Object.entries(chosen("strength", () => "1")).map(([name, value]) => [name, Number(value)]));
  return { ...wished, orchestration: orchestration.value, sources: sourcesOf, strengths, distance };
}

async function takeSettings(blend) {
  fine();
  const sounds = await refreshShelf();
  for (const name of ["groove", "harmony"]) {
    const { sound, begin_s, end_s } = blend[name];
    const found = sounds.find((each) => each.id === sound);
    if (found) sources[name].show(found, begin_s, end_s); // its wave comes later
    else trouble(word("not_on_shelf", { name: blend.names[name] }));
  }
  if (about.models.some((each) => each.name === blend.model)) form.elements.model.value = blend.model;
  else trouble(word("no_model", { name: blend.model }));
  modelChosen();
  form.elements.lasts.value = blend.length; // not called length: of a form's elements that is their number
  for (const name of ["seed", "orchestration"]) form.elements[name].value = blend[name];
  const align = blend.align ?? "off"; // as it was before there was a choice
  form.elements.align.value = Number(align) ? "bpm" : align;
  if (Number(align)) form.elements.bpm.value = align;
  form.elements.transpose.value = blend.transpose ?? "0";
  alignChosen();
  form.elements.dial.checked = (blend.distance ?? null) !== null;
  if (form.elements.dial.checked) form.elements.distance.value = blend.distance;
  dialled();
  for (const name of about.factors) {
    form.elements[`from_${name}`].value = blend.sources[name] ?? (name === "rhythm" ? "groove" : "harmony");
    form.elements[`strength_${name}`].value = blend.strengths[name] ?? 1;
    form.elements[`strength_${name}`].show();
  }
}

function alignChosen() {
  form.elements.bpm.disabled = form.elements.align.value !== "bpm";
}

function offerTransposition() {
  const kept = form.elements.transpose.value || "0";
  const semitones = Array.from({ length: 25 }, (_, i) => i - 12).reverse();
  const names = semitones.map((n) => new Option(n === 0 ? word("as_it_is") : apart(`${n > 0 ? "+" : "−"}${Math.abs(n)}`), String(n)));
  form.elements.transpose.replaceChildren(new Option(word("key_of_groove"), "groove"), ...names);
  form.elements.transpose.value = kept;
}

// Work

// Not disabled, which would take the focus from it.
function rest(busy) {
  at("generate").setAttribute("aria-disabled", String(busy));
}

function resting() {
  return at("generate").getAttribute("aria-disabled") === "true";
}

function working(job) {
  const busy = job !== null && ["waiting", "running"].includes(job.state);
  rest(busy);
  if (!busy && document.activeElement === at("cancel")) at("generate").focus();
  at("cancel").hidden = at("progress").hidden = !busy;
  at("progress").value = job?.share ?? 0;
  telling(job ? word(job.state === "running" ? job.what || "waiting" : job.state) : "");
  at("state").dataset.state = job?.state ?? "";
}

// Only what is new: it is read aloud.
function telling(words) {
  if (at("state").textContent !== words) at("state").textContent = words;
}

async function generate(event) {
  event.preventDefault();
  fine();
  try {
    if (resting()) return;
    if (!sources.groove.sound || !sources.harmony.sound) return trouble(word("two_sounds"));
    rest(true); // at once: a second press before the answer would be a second piece of work
    running = await send("jobs", wish());
    localStorage.setItem("running", running.id);
    await follow();
  } catch (error) {
    running = null;
    working(null);
    trouble(error);
  }
}

async function follow() {
  working(running);
  while (["waiting", "running"].includes(running.state)) {
    await pause(EVERY_MS);
    running = await answered(running.id);
    working(running);
  }
  localStorage.removeItem("running");
  if (running.state === "failed") trouble({ message: running.trouble, foreign: true });
  if (running.state !== "done") return;
  const made = await refreshHistory();
  result.show(made.find((each) => each.id === running.id));
}

// How far a piece of work is; asked again as long as no answer comes, since it goes on meanwhile.
async function answered(id) {
  for (;;) {
    try {
      return await ask(`jobs/${id}`);
    } catch (error) {
      if (!error.unreachable) throw error;
      telling(error.message);
      await pause(AGAIN_MS);
    }
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function cancel() {
  if (running) working(await ask(`jobs/${running.id}`, { method: "DELETE" }).catch(trouble) ?? running);
}

// Work that was under way when the page was left goes on here.
async function resume() {
  const id = localStorage.getItem("running");
  if (!id) return;
  try {
    running = await answered(id);
    await follow();
  } catch {
    localStorage.removeItem("running"); // of a studio that was stopped since
    running = null;
    working(null);
  }
}

// What was made before

async function refreshHistory() {
  const made = await ask("blends");
  at("nothing").hidden = made.length > 0;
  at("history").replaceChildren(...made.map(entry));
  return made;
}

function entry(blend) {
  const line = document.createElement("li");
  const name = document.createElement("span");
  name.className = "name";
  const when = new Date(blend.made_s * 1000).toLocaleString(document.documentElement.lang);
  const clips = apart(`${blend.names.groove} + ${blend.names.harmony}`);
  name.textContent = `${clips} · ${blend.model} · ${word("seed")} ${apart(blend.seed)} · ${apart(when)}`;
  line.append(name, button("open", () => { result.show(blend); at("result").scrollIntoView(); }), button("again", () => takeSettings(blend).catch(trouble)), button("forget", async () => {
    await ask(`blends/${blend.id}`, { method: "DELETE" }).catch(trouble);
    if (result.blend?.id === blend.id) { result.stop(); result.blend = null; at("result").hidden = true; }
    const place = [...line.parentElement.children].indexOf(line);
    await refreshHistory();
    const left = at("history").children;
    (left[Math.min(place, left.length - 1)]?.querySelector("button") ?? at("generate")).focus();
  }));
  return line;
}

function button(name, action) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: word(name) });
  made.addEventListener("click", action);
  return made;
}

// Keys: 1 to 4 hear, space plays and pauses, g composes, Escape calls off; not while one writes.

function pressed(event) {
  if (event.repeat || event.target.closest("input:not([type=range]), select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const heard = { 1: "groove", 2: "harmony", 3: "mix", 4: "blend" }[digit(event)];
  if (heard) result.hear(heard);
  else if (event.key === " " && !event.target.closest("button, a")) { event.preventDefault(); result.pause(); }
  else if (isKey(event, "g") && !resting()) form.requestSubmit();
  else if (event.key === "Escape") cancel();
}

// By its place where the keyboard has another sign there: French digits want shift, Arabic letters are none of ours.
function digit(event) {
  return /^[0-9]$/.test(event.key) ? event.key : /^Digit[0-9]$/.test(event.code) ? event.code.at(-1) : "";
}

function isKey(event, letter) {
  return /^[a-z]$/i.test(event.key) ? event.key.toLowerCase() === letter : event.code === `Key${letter.toUpperCase()}`;
}

async function start() {
  at("language").value = preferred(LANGUAGES);
  await speak(at("language").value);
  about = await ask("about");
  for (const name of ["groove", "harmony"]) sources[name] = new Source(name, { trouble, fine, alone, shelf: refreshShelf });
  result = new Result(alone);
  at("factors").append(...about.factors.map(factor));
  form.elements.model.replaceChildren(...about.models.map((each) => new Option(each.name, each.name)));
  await speak(at("language").value);
  modelChosen();
  offerTransposition();
  at("language").addEventListener("change", async (event) => {
    localStorage.setItem("language", event.target.value);
    await speak(event.target.value);
    modelChosen();
    offerTransposition();
    working(running);
    result.say();
    for (const name of about.factors) form.elements[`strength_${name}`].show();
    for (const source of Object.values(sources)) { source.say(); source.tell(); }
    await refreshHistory();
  });
  form.elements.model.addEventListener("change", modelChosen);
  form.elements.align.addEventListener("change", alignChosen);
  form.elements.dial.addEventListener("change", dialled);
  form.elements.distance.addEventListener("input", dialled);
  form.addEventListener("submit", generate);
  at("cancel").addEventListener("click", cancel);
  document.addEventListener("keydown", pressed);
  await Promise.all([refreshShelf(), refreshHistory()]);
  document.body.dataset.ready = "yes";
  await resume();
}

start().catch(trouble);
