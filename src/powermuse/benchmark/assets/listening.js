
/* The blind test: ABX trials, then ratings, then the names. The answers stay in this browser and in the file saved. */
const planned = document.getElementById("plan").textContent;
const plan = JSON.parse(planned);
const stage = document.getElementById("listening");
/* Answers belong to a plan: with one more model, or other cases, the test begins anew. */
const storageKey = "powermuse-listening:" + [...planned].reduce((sum, letter) => (Math.imul(sum, 31) + letter.codePointAt(0)) >>> 0, 7);
const fresh = () => ({ step: 0, abx: [], ratings: [], finished: false });
let kept = recall();
let sounding = null;

function recall() {
  try { return JSON.parse(localStorage.getItem(storageKey)) || fresh(); } catch (refused) { return fresh(); }
}

function keep() {
  try { localStorage.setItem(storageKey, JSON.stringify(kept)); } catch (refused) { /* a page from disk may not store: the file can still be saved */ }
}

function make(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

function soundOf(caseName, name) {
  const row = [...document.querySelectorAll(".example")].find((one) => one.dataset.case === caseName);
  return [...row.querySelectorAll("audio")].find((one) => one.dataset.name === name);
}

function hush() {
  if (sounding) sounding.audio.pause();
  for (const button of stage.querySelectorAll("[aria-pressed]")) if (button.dataset.listen) button.setAttribute("aria-pressed", "false");
}

/* A button that plays a sound from where the last one of this screen was. */
function listenButton(label, caseName, name, onHeard) {
  const button = make("button", { type: "button", textContent: label });
  button.dataset.listen = "yes";
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    const audio = soundOf(caseName, name);
    const again = sounding && sounding.button === button && !audio.paused;
    const at = sounding && sounding.caseName === caseName ? sounding.audio.currentTime : 0;
    hush();
    sounding = { audio, button, caseName };
    if (again) return;
    button.setAttribute("aria-pressed", "true");
    startAt(audio, at < audio.duration - 0.1 || Number.isNaN(audio.duration) ? at : 0).catch(() => {});
    audio.onended = () => button.setAttribute("aria-pressed", "false");
    if (onHeard) onHeard();
  });
  return button;
}

function row(label, ...children) {
  return make("div", { className: "row" }, make("span", { textContent: label }), ...children);
}

function nextButton(text, go) {
  const button = make("button", { type: "button", className: "next", textContent: text });
  button.addEventListener("click", () => { hush(); sounding = null; go(); });
  return button;
}

function screen(title, ...children) {
  const steps = plan.abx.length + plan.ratings.length + 1;
  const progress = make("progress", { max: steps, value: kept.step });
  progress.setAttribute("aria-label", "Progress of the test");
  const heading = make("h2", { textContent: title, tabIndex: -1 });
  stage.replaceChildren(heading, progress, ...children);
  heading.focus({ preventScroll: true });
}

function forward() { kept.step += 1; keep(); show(); }

function show() {
  const abx = kept.step - 1;
  const rating = abx - plan.abx.length;
  if (kept.finished || rating >= plan.ratings.length) finish();
  else if (kept.step === 0) welcome();
  else if (rating < 0) showAbx(plan.abx[abx], abx);
  else showRating(plan.ratings[rating], rating);
}

function welcome() {
  const skip = make("button", { type: "button", textContent: "Skip the test, show the results" });
  skip.addEventListener("click", reveal);
  screen("A blind listening test",
    make("p", { textContent: (plan.abx.length ? plan.abx.length + " times: which of two sounds is X? Then " : "") + plan.ratings.length +
      " screens on which you rate sounds from 0 to 100. No name is shown before the end. Headphones help. Answers stay in this browser; at the end you can save them as a file." }),
    make("div", { className: "row" }, nextButton("Begin", forward), skip));
}

function showAbx(trial, place) {
  const choice = (label, name) => {
    const button = make("button", { type: "button", textContent: "X is " + label });
    button.addEventListener("click", () => {
      hush();
      sounding = null;
      kept.abx[place] = { case: trial.case, one: trial.one, other: trial.other, x: trial.x, answer: name, correct: name === trial.x };
      forward();
    });
    return button;
  };
  const answers = [choice("1", trial.one), choice("2", trial.other)];
  for (const button of answers) button.disabled = true;
  const heard = () => { for (const button of answers) button.disabled = false; };
  screen("Which one is X? " + (place + 1) + " of " + plan.abx.length,
    row("Listen", listenButton("1", trial.case, trial.one), listenButton("2", trial.case, trial.other), listenButton("X", trial.case, trial.x, heard)),
    row("Your answer", ...answers));
}

function showRating(trial, place) {
  const scores = {};
  const heard = new Set();
  const next = nextButton("Next", () => { kept.ratings[place] = { case: trial.case, scores }; forward(); });
  next.disabled = true;
  const scale = make("div", { className: "scale" });
  for (const word of ["bad", "poor", "fair", "good", "excellent"]) scale.append(make("span", { textContent: word }));
  const lines = trial.systems.map((name, k) => rating("Sound " + (k + 1), trial, name, scores, heard, next));
  screen("How well is this the rhythm of A with the harmony of B, as music? " + (place + 1) + " of " + plan.ratings.length,
    row("The two clips", listenButton("A, the rhythm", trial.case, "A"), listenButton("B, the harmony", trial.case, "B")),
    make("p", { className: "note", textContent: "Hear every sound and rate it" +
      (trial.systems.includes(plan.reference) ? "; one of them is a right answer and should be rated highest." : ".") }),
    scale, ...lines, make("div", { className: "row" }, next));
}

function rating(label, trial, name, scores, heard, next) {
  const done = () => { next.disabled = heard.size < trial.systems.length || Object.keys(scores).length < trial.systems.length; };
  const output = make("output", { textContent: "–" });
  const slider = make("input", { type: "range", min: 0, max: 100, value: 50 });
  slider.setAttribute("aria-label", "Rating of " + label.toLowerCase());
  slider.addEventListener("input", () => { scores[name] = Number(slider.value); output.textContent = slider.value; done(); });
  return make("div", { className: "rating" }, listenButton(label, trial.case, name, () => { heard.add(name); done(); }), slider, output);
}

function results() {
  return { title: plan.title, seed: plan.seed, reference: plan.reference, anchor: plan.anchor, complete: kept.finished, abx: kept.abx, ratings: kept.ratings };
}

function finish() {
  kept.finished = true;
  keep();
  const right = kept.abx.filter((one) => one.correct).length;
  const said = kept.abx.length ? "You named X " + right + " of " + kept.abx.length + " times; chance is " + kept.abx.length / 2 + ". " : "";
  const table = make("table", {}, make("thead", {}, line("th", "system", "mean rating", "rated")), make("tbody", {}, ...summary().map((one) => line("td", ...one))));
  const again = make("button", { type: "button", textContent: "Start again" });
  again.addEventListener("click", () => { kept = fresh(); keep(); document.body.classList.add("blind"); show(); });
  screen("Thank you", make("p", { textContent: said + "The names are shown now, and the results below." }),
    make("div", { className: "scroll" }, table), make("div", { className: "row" }, saveButton(), again));
  document.body.classList.remove("blind");
}

function line(kind, ...texts) { return make("tr", {}, ...texts.map((text, k) => make(k ? kind : "th", { textContent: text }))); }

function summary() {
  const all = new Map();
  for (const one of kept.ratings) for (const [name, score] of Object.entries(one.scores)) all.set(name, [...(all.get(name) || []), score]);
  const mean = (scores) => scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const role = (name) => name + (name === plan.reference ? " (hidden reference)" : name === plan.anchor ? " (anchor)" : "");
  return [...all].sort((one, other) => mean(other[1]) - mean(one[1])).map(([name, scores]) => [role(name), mean(scores).toFixed(0), String(scores.length)]);
}

function saveButton() {
  const button = make("button", { type: "button", className: "next", id: "save", textContent: "Save the answers" });
  button.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([JSON.stringify(results(), null, 1)], { type: "application/json" }));
    make("a", { href: address, download: "listening.json" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  });
  return button;
}

function reveal() { hush(); stage.hidden = true; document.body.classList.remove("blind"); }

show();
