// Words of the page: a file per language in words/, English where one lacks a word.

const RIGHT_TO_LEFT = ["ar", "he", "fa", "ur"];
const TONICS = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
let words = {};

async function fetched(language) {
  return (await fetch(`/page/words/${language}.json`)).json();
}

export async function speak(language) {
  words = { ...(await fetched("en")), ...(language === "en" ? {} : await fetched(language)) };
  document.documentElement.lang = language;
  document.documentElement.dir = RIGHT_TO_LEFT.includes(language) ? "rtl" : "ltr";
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  for (const element of document.querySelectorAll("[data-called]")) {
    element.setAttribute("aria-label", word(element.dataset.called));
    if (element.matches("button")) element.title = word(element.dataset.called);
  }
}

export function word(name, values = {}) {
  return (words[name] ?? name).replace(/\{(\w+)\}/g, (_, key) => apart(values[key] ?? ""));
}

// A number or a name among words that run from right to left: by itself, or its sign would stand on the wrong side.
export function apart(text) {
  return document.documentElement.dir === "rtl" ? `\u2068${text}\u2069` : String(text);
}

// A key such as "F# minor", as musicians of the language call it.
export function keyName(told) {
  const [tonic, mode] = told.split(" ");
  const names = (words[`keys_${mode}`] ?? "").split("|");
  return names[TONICS.indexOf(tonic)] ?? told;
}

// The browser's own language where there are words for it.
export function preferred(known) {
  const kept = localStorage.getItem("language");
  const wished = [kept, ...navigator.languages.map((each) => each.split("-")[0])];
  return wished.find((each) => known.includes(each)) ?? "en";
}
