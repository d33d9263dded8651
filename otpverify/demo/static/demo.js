"use strict";

// Without this script everything works, too: the server says how long to wait.

const RELEASE_MS = 5000; // longer than the gateway may take
const labels = new Map();
for (const button of document.querySelectorAll("button")) labels.set(button, button.textContent);

// Deadlines are absolute, so that a sleeping tab does not lag.
function countDown(seconds, show) {
  const deadline = Date.now() + Number(seconds) * 1000;
  const tick = () => {
    const left = Math.max(0, Math.ceil((deadline - Date.now()) / 1000));
    show(left);
    if (left > 0) setTimeout(tick, 250);
  };
  tick();
}

function amount(left, second, minute) {
  return left < 120 ? `${left} ${second}` : `${Math.ceil(left / 60)} ${minute}`;
}

// The wait is for what was sent before; another number need not wait for it.
function isEdited(form) {
  return [...form.elements].some(
    (field) => field.type !== "hidden" && field.defaultValue && field.value !== field.defaultValue,
  );
}

for (const button of document.querySelectorAll("button[data-wait]")) {
  const label = labels.get(button);
  countDown(button.dataset.wait, (left) => {
    if (button.form.dataset.sent) return;
    const waits = left > 0 && !isEdited(button.form);
    button.disabled = waits;
    button.textContent = waits ? `${label} in ${amount(left, "s", "min")}` : label;
  });
}
for (const words of document.querySelectorAll("span[data-wait]")) {
  // It was announced as it stood; every second once more would be too much.
  words.closest("[role]").setAttribute("aria-live", "off");
  countDown(words.dataset.wait, (left) => {
    const unit = left === 1 ? "second" : "seconds";
    words.textContent = left > 0 ? `in ${amount(left, unit, "minutes")}` : "now";
  });
}

// A double click must not send a form twice: the second answer would be "already used". A
// submission that was stopped gives no sign, so the form is free again after a while.
function release(form) {
  if (!form.dataset.sent) return;
  clearTimeout(Number(form.dataset.sent));
  delete form.dataset.sent;
  form.removeAttribute("aria-busy");
  for (const button of form.querySelectorAll("button")) button.textContent = labels.get(button);
}
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = setTimeout(release, RELEASE_MS, form);
    form.setAttribute("aria-busy", "true");
    for (const button of form.querySelectorAll("button")) button.textContent = "Sending...";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.forms) release(form);
});
