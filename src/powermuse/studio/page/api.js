// What the studio is asked; every answer that is no good becomes an Error that can be shown.

import { word } from "./words.js";

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`/api/${path}`, options);
  } catch {
    throw new Error(word("unreachable"));
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.trouble ?? `${answer.status} ${answer.statusText}`);
  return told;
}

export function send(path, content) {
  return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) });
}

export function bring(file) {
  const form = new FormData();
  form.append("file", file);
  return ask("sounds", { method: "POST", body: form });
}
