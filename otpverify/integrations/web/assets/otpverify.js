"use strict";

// Counts waits down, keeps forms from being sent twice, takes the code out of a pasted message, and
// ends a wait early when the message was not delivered. Without it everything works, too: the
// server says how long to wait, and reads the code as well. It needs no inline script, speaks the
// language of the page (`<html lang>`), and follows pages whose content is swapped, such as by htmx.
//
//   <button data-wait="45">          disabled for so many seconds, which it shows: "(0:45)"
//   <button data-wait="45" data-status="/phone/status">
//                                    asks this address (the flow's state as JSON) for a shorter wait
//   <p data-undelivered hidden>      is shown when a delivery report says so
//   <input autocomplete="one-time-code" data-length="6">
//                                    takes a code of so many digits out of a pasted message
//   <span data-wait="45">            inside a role="alert": words such as "in 45 seconds"
//   <form data-sending="Sending...">  what its buttons say while it is being sent
//   <form data-otpverify="off">      is left alone

(() => {
  const RELEASE_MS = 5000; // longer than the gateway may take
  const FIRST_LOOK_MS = 2000; // for delivery reports; then ever less often
  const FAILED = ["undelivered", "rejected", "expired", "failed"];
  const labels = new WeakMap(); // a button's own words
  const deadlines = new WeakMap(); // absolute, so that a sleeping tab does not lag
  const prepared = new WeakSet();

  // "in 45 seconds"; at the end "now".
  function words(left) {
    const options = { numeric: "auto" };
    let format;
    try {
      format = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", options);
    } catch {
      format = new Intl.RelativeTimeFormat("en", options); // the page's language is no such tag
    }
    if (left < 120) return format.format(left, "second");
    if (left < 7200) return format.format(Math.ceil(left / 60), "minute");
    return format.format(Math.ceil(left / 3600), "hour");
  }

  // "0:45", "12:05", "1:02:05".
  function clock(left) {
    const pad = (value) => String(value).padStart(2, "0");
    const minutes = Math.floor(left / 60) % 60;
    const hours = Math.floor(left / 3600);
    return `${hours ? `${hours}:${pad(minutes)}` : minutes}:${pad(left % 60)}`;
  }

  function secondsLeft(element) {
    return Math.max(0, Math.ceil((deadlines.get(element) - Date.now()) / 1000));
  }

  function countDown(element, show) {
    deadlines.set(element, Date.now() + Number(element.dataset.wait) * 1000);
    const tick = () => {
      if (!element.isConnected) return;
      const left = secondsLeft(element);
      show(left);
      if (left > 0) setTimeout(tick, 250);
    };
    tick();
  }

  // A message that was not delivered may be sent again at once; reports come after the page.
  function watchDelivery(button, pause = FIRST_LOOK_MS) {
    setTimeout(async () => {
      const left = secondsLeft(button);
      if (!button.isConnected || left === 0) return;
      if (document.visibilityState === "visible") {
        try {
          const reply = await fetch(button.dataset.status, { cache: "no-store" });
          const found = reply.ok ? await reply.json() : {};
          if (found.resend_in < left) {
            deadlines.set(button, Date.now() + found.resend_in * 1000);
          }
          if (FAILED.includes(found.delivery)) {
            for (const notice of document.querySelectorAll("[data-undelivered]")) {
              notice.setAttribute("role", "alert");
              notice.hidden = false;
            }
          }
          const ended = found.state && found.state !== "pending";
          if (ended || [...FAILED, "delivered"].includes(found.delivery)) return;
        } catch {
          // The network is away; the countdown goes on.
        }
      }
      watchDelivery(button, pause * 1.5);
    }, pause);
  }

  // The code in a pasted message, as the server takes it out (`sentences.code_in`); otherwise null.
  function codeIn(text, length) {
    if (!/\p{L}/u.test(text)) return null;
    const line = new RegExp(`@\\S+ #(\\p{Nd}{${length}})\\s*$`, "u").exec(text);
    if (line) return line[1];
    const half = Math.floor(length / 2);
    const parted = `\\p{Nd}{${half}}[ -]\\p{Nd}{${length - half}}`;
    // Messages quote what is not theirs, so a number outside of quotes goes first.
    for (const part of [text.replace(/"[^"]*"/g, '""'), text]) {
      for (const digits of [`\\p{Nd}{${length}}`, parted]) {
        const alone = `(?<!\\p{Nd})(?<!\\p{Nd}[.,])(${digits})(?![.,]?\\p{Nd})`;
        const found = new Set([...part.matchAll(new RegExp(alone, "gu"))].map((match) => match[1]));
        if (found.size === 1) return [...found][0];
      }
    }
    return null;
  }
  document.addEventListener("paste", (event) => {
    const field = event.target;
    if (!(field instanceof HTMLInputElement) || field.autocomplete !== "one-time-code") return;
    if (!(field.dataset.length > 0) || !isOurs(field.form)) return;
    const code = codeIn(event.clipboardData?.getData("text") ?? "", Number(field.dataset.length));
    if (code === null) return;
    event.preventDefault();
    field.value = code;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });

  // The wait is for what was sent before; another number need not wait for it.
  function isEdited(form) {
    return [...form.elements].some(
      (field) =>
        field.type !== "hidden" && field.defaultValue && field.value !== field.defaultValue,
    );
  }

  function label(button) {
    if (!labels.has(button)) labels.set(button, button.textContent);
    return labels.get(button);
  }

  function isOurs(form) {
    return form instanceof HTMLFormElement && form.dataset.otpverify !== "off";
  }

  function prepare() {
    for (const element of document.querySelectorAll("[data-wait]")) {
      if (prepared.has(element)) continue;
      prepared.add(element);
      if (element.localName === "span") {
        // It was announced as it stands; every second once more would be too much.
        element.closest("[role]")?.setAttribute("aria-live", "off");
        countDown(element, (left) => {
          element.textContent = words(left);
        });
      } else if (isOurs(element.form)) {
        const own = label(element);
        countDown(element, (left) => {
          if (element.form?.dataset.sent) return;
          const waits = left > 0 && !isEdited(element.form);
          element.disabled = waits;
          element.textContent = waits ? `${own} (${clock(left)})` : own;
        });
        if (element.dataset.status) watchDelivery(element);
      }
    }
  }

  // A double click must not send a form twice. A submission that was stopped gives no sign, so the
  // form is free again after a while.
  function release(form) {
    if (!form.dataset.sent) return;
    clearTimeout(Number(form.dataset.sent));
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
    for (const button of form.querySelectorAll("button")) button.textContent = label(button);
  }
  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      if (!isOurs(form)) return;
      if (form.dataset.sent) {
        event.preventDefault();
        event.stopImmediatePropagation(); // also for scripts that send it themselves
        return;
      }
      form.dataset.sent = setTimeout(release, RELEASE_MS, form);
      form.setAttribute("aria-busy", "true");
      const sending = form.dataset.sending || "Sending...";
      for (const button of form.querySelectorAll("button")) {
        label(button);
        button.textContent = sending;
      }
    },
    true,
  );
  addEventListener("pageshow", () => {
    for (const form of document.forms) release(form);
  });
  new MutationObserver(prepare).observe(document.documentElement, {
    childList: true,
    subtree: true,
  });
  prepare();
})();
