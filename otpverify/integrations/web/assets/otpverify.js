"use strict";

// Counts waits down and keeps forms from being sent twice. Without it everything works, too: the
// server says how long to wait. It runs once the page is there (`defer`), needs no inline script,
// and speaks the language of the page (`<html lang>`).
//
//   <button data-wait="45">          disabled for so many seconds, which it shows
//   <span data-wait="45">            inside a role="alert": words such as "in 45 seconds"
//   <form data-sending="Sending...">  what its buttons say while it is under way
//   <form data-otpverify="off">      is left alone

(() => {
  const RELEASE_MS = 5000; // longer than the gateway may take
  const forms = [...document.forms].filter((form) => form.dataset.otpverify !== "off");
  const labels = new Map();
  for (const form of forms) {
    for (const button of form.querySelectorAll("button")) labels.set(button, button.textContent);
  }

  // "in 45 seconds" or, where there is little room, "in 45 sec."; at the end "now".
  function phrases(style) {
    const options = { numeric: "auto", style };
    try {
      return new Intl.RelativeTimeFormat(document.documentElement.lang || "en", options);
    } catch {
      return new Intl.RelativeTimeFormat("en", options); // the page's language is no such tag
    }
  }
  const inFull = phrases("long");
  const inShort = phrases("short");

  function moment(phrase, left) {
    if (left < 120) return phrase.format(left, "second");
    if (left < 7200) return phrase.format(Math.ceil(left / 60), "minute");
    return phrase.format(Math.ceil(left / 3600), "hour");
  }

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

  // The wait is for what was sent before; another number need not wait for it.
  function isEdited(form) {
    return [...form.elements].some(
      (field) =>
        field.type !== "hidden" && field.defaultValue && field.value !== field.defaultValue,
    );
  }

  for (const button of document.querySelectorAll("button[data-wait]")) {
    if (!labels.has(button)) continue;
    const label = labels.get(button);
    countDown(button.dataset.wait, (left) => {
      if (button.form.dataset.sent) return;
      const waits = left > 0 && !isEdited(button.form);
      button.disabled = waits;
      button.textContent = waits ? `${label} ${moment(inShort, left)}` : label;
    });
  }
  for (const words of document.querySelectorAll("span[data-wait]")) {
    // It was announced as it stood; every second once more would be too much.
    words.closest("[role]")?.setAttribute("aria-live", "off");
    countDown(words.dataset.wait, (left) => {
      words.textContent = moment(inFull, left);
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
  for (const form of forms) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = setTimeout(release, RELEASE_MS, form);
      form.setAttribute("aria-busy", "true");
      const said = form.dataset.sending || "Sending...";
      for (const button of form.querySelectorAll("button")) button.textContent = said;
    });
  }
  addEventListener("pageshow", () => {
    for (const form of forms) release(form);
  });
})();
